"""What is known ahead about the periods to forecast, and in words what is assumed where nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from restock.errors import DataError
from restock.forecasting.panel import DemandPanel, FloatArray


class PlanError(DataError):
    """A planned period is not one of the forecast periods, or is planned twice."""

    title = "The plan does not fit the forecast"


@dataclass(frozen=True, kw_only=True)
class PlannedPeriod:
    """What is known ahead about one period; None where nothing is.

    Attributes:
        date: first day of the period.
        unit_price: planned price, currency per unit.
        is_promoted: whether a promotion is planned.
    """

    date: date
    unit_price: float | None
    is_promoted: bool | None


@dataclass(frozen=True, kw_only=True)
class PlannedSeries:
    """What a forecast reads.

    Attributes:
        panel: history, and the plan of every series.
        horizon: periods to forecast.
        assumptions: one tuple a series: what is assumed, in words.
    """

    panel: DemandPanel
    horizon: int
    assumptions: tuple[tuple[str, ...], ...]


def plan_periods(panel: DemandPanel, plans: Sequence[tuple[PlannedPeriod, ...]], *, horizon: int) -> PlannedSeries:
    """Return the panel with the plans written over what it assumes ahead, and what is still assumed.

    Args:
        panel: grid that reaches over the horizon.
        plans: one a series.
        horizon: periods to forecast.

    Raises:
        PlanError: a planned period is none of those to forecast, or is planned twice.
    """
    prices, promotions = panel.unit_price, panel.is_promoted
    if any(plans):
        prices, promotions = prices.copy(), promotions.copy()
    first = panel.observed_periods
    assumptions = []
    for row, plan in enumerate(plans):
        columns = _planned_columns(panel, plan, horizon=horizon)
        has_price, has_promotion = np.zeros(horizon, dtype=bool), np.zeros(horizon, dtype=bool)
        for column, period in zip(columns, plan, strict=True):
            if period.unit_price is not None:
                prices[row, column], has_price[column - first] = period.unit_price, True
            if period.is_promoted is not None:
                promotions[row, column], has_promotion[column - first] = period.is_promoted, True
        ahead = slice(first, first + horizon)
        assumptions.append(
            (
                *_promotion_words(promotions[row, ahead], has_promotion),
                *_price_words(panel.unit_price[row, ahead], has_price),
            )
        )
    written = replace(panel, unit_price=prices, is_promoted=promotions)
    return PlannedSeries(panel=written, horizon=horizon, assumptions=tuple(assumptions))


def _planned_columns(panel: DemandPanel, plan: tuple[PlannedPeriod, ...], *, horizon: int) -> list[int]:
    """Return the column of the grid that each planned period stands in."""
    dates = [panel.date_of(panel.observed_periods + ahead) for ahead in range(horizon)] if plan else []
    position = {day: panel.observed_periods + ahead for ahead, day in enumerate(dates)}
    columns = [position.get(period.date) for period in plan]
    for period, column in zip(plan, columns, strict=True):
        if column is None:
            raise PlanError(
                f"planned date {period.date} is not a forecast period: those are every {panel.frequency.days} days "
                f"from {dates[0]} to {dates[-1]}."
            )
    known = [column for column in columns if column is not None]
    if len(set(known)) < len(known):
        raise PlanError("a date is planned more than once, expected one entry a period.")
    return known


def _promotion_words(promotions: FloatArray, is_planned: NDArray[np.bool_]) -> tuple[str, ...]:
    open_periods = int((~is_planned).sum())
    if open_periods == 0:
        return ()
    where = "" if open_periods == len(is_planned) else f" on {open_periods} of {len(is_planned)} periods"
    if (promotions[~is_planned] > 0).any():
        return (f"promotions as stored{where}",)
    return (f"no promotion planned{where}",)


def _price_words(prices: FloatArray, is_planned: NDArray[np.bool_]) -> tuple[str, ...]:
    open_periods = int((~is_planned).sum())
    if open_periods == 0:
        return ()
    where = "" if open_periods == len(is_planned) else f" on {open_periods} of {len(is_planned)} periods"
    assumed = np.unique(prices[~is_planned])
    if np.isnan(assumed).any():
        return (f"no price is known{where}",)
    if len(assumed) > 1:
        return (f"prices as stored{where}",)
    return (f"price stays at {assumed[0]:.2f}{where}",)
