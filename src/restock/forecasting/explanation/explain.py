"""A forecast taken apart: what each driver adds to a series' usual level, and what is no driver's doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.explanation.drivers import Driver, Remainder
from restock.forecasting.explanation.situations import imagine_situations
from restock.forecasting.explanation.usual import UsualPlan, split_plan, usual_level
from restock.forecasting.families.ensemble import EnsembleForecaster
from restock.forecasting.forecast import DemandForecast, DemandForecaster
from restock.forecasting.panel import DemandPanel
from restock.statistics.attribution import shapley_values

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Parts add up by their definition but for rounding, of which float32 sums of thousands of units leave this share.
_ROUNDING_SHARE = 1e-6
# What rebuilt inputs may be off from the forecast itself; more means that they are not what the family read.
_REBUILT_SHARE = 1e-3
# Series taken apart at a time: bounds the memory of all their situations.
_BLOCK_SERIES = 64


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The mean forecast of many series, taken apart.

    Attributes:
        series: columns sku and location, one row a series.
        cutoff: last period whose data were used.
        dates: the forecast periods.
        mean_units: shape (n_series, horizon), units per period: what is explained.
        is_promoted: same shape: periods that a promotion is planned for.
        is_holiday: same shape: periods with a holiday.
        driver_units: by driver, same shape: what each adds; `Driver.LEVEL` is the usual level itself.
        remainder_units: by remainder, same shape: what is no driver's doing.
    """

    series: pl.DataFrame
    cutoff: date
    dates: tuple[date, ...]
    mean_units: Floats
    is_promoted: Flags
    is_holiday: Flags
    driver_units: Mapping[Driver, Floats]
    remainder_units: Mapping[Remainder, Floats]

    def __post_init__(self) -> None:
        away = np.abs(self.sum_units() - self.mean_units)
        if not (away <= _ROUNDING_SHARE * np.maximum(np.abs(self.mean_units), 1)).all():
            raise ValueError(f"the parts must sum to the forecast, are up to {away.max():g} units off")

    @property
    def horizon(self) -> int:
        """How many periods are explained."""
        return len(self.dates)

    def parts(self) -> dict[Driver | Remainder, Floats]:
        """Return drivers, then remainders; each of shape (n_series, horizon), units per period."""
        return dict([*self.driver_units.items(), *self.remainder_units.items()])

    def sum_units(self) -> Floats:
        """Return the sum of all parts; shape (n_series, horizon), units per period."""
        total: Floats = np.sum(list(self.parts().values()), axis=0)
        return total

    def corrected_to(self, served_units: Floats, remainder: Remainder) -> Explanation:
        """Return the explanation of what was served in the end; the difference goes to `remainder`.

        Args:
            served_units: shape (n_series, horizon), units per period.
            remainder: what made the difference.
        """
        added = self.remainder_units.get(remainder, np.zeros_like(self.mean_units)) + served_units - self.mean_units
        return replace(self, mean_units=served_units, remainder_units={**self.remainder_units, remainder: added})


def explain_forecast(forecaster: DemandForecaster, panel: DemandPanel, *, horizon: int) -> Explanation:
    """Return the mean forecast of every series of `panel`, taken apart so that the parts sum to it exactly.

    The level is a number of the history: the mean of the latest usual periods. What promotion, price, holiday, weekday
    and season add are Shapley values of the forecaster itself: its mean contribution over all orders in which the
    drivers go from usual to what they are. The trend is where the forecaster, everything being usual, expects the level
    to be, less the level: growth, decline and what the latest periods showed. An ensemble is explained by its members,
    each by its weight; calibration and cold start are remainders of their own.

    Args:
        forecaster: a fitted family or ensemble.
        panel: history and plan.
        horizon: periods, 1 to what the forecaster was fitted for.

    Raises:
        HorizonError: `horizon` is longer than the model's.
        ValueError: a family's inputs could not be rebuilt as it reads them, which is a fault of this module.

    Source: Lundberg and Lee (2017), A Unified Approach to Interpreting Model Predictions, with groups of inputs as
        players and the series' own usual situation as the reference.
    """
    reach = max(horizon, forecaster.horizon)
    blocks = [
        _explain_block(forecaster, panel.select(rows).extended(reach), horizon=horizon)
        for rows in np.split(np.arange(panel.n_series), range(_BLOCK_SERIES, panel.n_series, _BLOCK_SERIES))
    ]
    return blocks[0] if len(blocks) == 1 else _joined(blocks)


def _explain_block(forecaster: DemandForecaster, panel: DemandPanel, *, horizon: int) -> Explanation:
    served = forecaster.forecast(panel, horizon=horizon)
    plan, level = split_plan(panel), np.repeat(usual_level(panel)[:, None], horizon, axis=1)
    if isinstance(forecaster, EnsembleForecaster):
        return _explain_ensemble(forecaster, plan, level=level, served=served)
    mean_units, parts = _explain_family(forecaster, plan, horizon=horizon)
    _check_rebuilt(mean_units, served, forecaster=forecaster)
    own = served.mean_units.astype(np.float64)
    return _explanation(served, plan, parts=parts, level=level, own=own, remainders={})


def _explain_family(
    forecaster: DemandForecaster, plan: UsualPlan, *, horizon: int
) -> tuple[Floats, dict[Driver, Floats]]:
    """Return a family's mean forecast, shape (n_series, horizon), and what each driver adds to it, units."""
    situations = imagine_situations(forecaster, plan, horizon=horizon)
    parts = shapley_values(situations.mean_units)
    return situations.mean_units[-1], dict(zip(situations.drivers, parts, strict=True))


def _explain_ensemble(
    ensemble: EnsembleForecaster, plan: UsualPlan, *, level: Floats, served: DemandForecast
) -> Explanation:
    """Return the members' explanations, each by its weight, and what calibration and cold start make of their mean."""
    panel, horizon = plan.panel, served.horizon
    weights = ensemble.weights.of(ensemble.rule.assign(panel))
    mean_units = np.zeros_like(level)
    parts: dict[Driver, Floats] = {}
    for place, name in enumerate(ensemble.weights.members):
        rows = np.flatnonzero(weights[:, place])
        if not rows.size:
            continue
        of_member, of_drivers = _explain_family(ensemble.members[name], split_plan(panel.select(rows)), horizon=horizon)
        weight = weights[rows, place, None]
        mean_units[rows] += weight * of_member
        for driver, units in of_drivers.items():
            parts.setdefault(driver, np.zeros_like(level))[rows] += weight * units
    total = served.mean_units.astype(np.float64)
    own, told = np.ones((panel.n_series, 1)), np.zeros_like(level)
    if ensemble.cold_start is not None:
        own = ensemble.cold_start.own_share(panel)[:, None]
        young = np.flatnonzero(own[:, 0] < 1)
        if young.size:
            told[young] = ensemble.cold_start.forecast_new(panel.select(young), horizon=horizon)[1]
    cold = (1 - own) * told
    calibrated = total - cold - own * mean_units
    if ensemble.calibration is None:
        _check_rebuilt(own * mean_units + cold, served, forecaster=ensemble)
    remainders = {
        remainder: units
        for remainder, units, is_there in (
            (Remainder.CALIBRATION, calibrated, ensemble.calibration is not None),
            (Remainder.COLD_START, cold, ensemble.cold_start is not None),
        )
        if is_there
    }
    left = total - sum(remainders.values(), np.zeros_like(level))
    scaled = {driver: own * units for driver, units in parts.items()}
    return _explanation(served, plan, parts=scaled, level=own * level, own=left, remainders=remainders)


def _explanation(
    served: DemandForecast,
    plan: UsualPlan,
    *,
    parts: Mapping[Driver, Floats],
    level: Floats,
    own: Floats,
    remainders: Mapping[Remainder, Floats],
) -> Explanation:
    """Return the explanation, with what level and drivers leave of `own`, the drivers' share of the mean, as trend."""
    trend = own - level - sum(parts.values(), np.zeros_like(level))
    drivers = {Driver.LEVEL: level, Driver.TREND: trend, **parts}
    first = plan.panel.observed_periods
    ahead = slice(first, first + served.horizon)
    return Explanation(
        series=served.series,
        cutoff=served.cutoff,
        dates=served.dates,
        mean_units=served.mean_units.astype(np.float64),
        is_promoted=plan.panel.is_promoted[:, ahead] > 0,
        is_holiday=plan.panel.is_holiday[:, ahead] > 0,
        driver_units={driver: drivers.get(driver, np.zeros_like(level)) for driver in Driver},
        remainder_units=remainders,
    )


def _check_rebuilt(mean_units: Floats, served: DemandForecast, *, forecaster: DemandForecaster) -> None:
    """Refuse to explain a forecast by inputs that do not give it.

    Raises:
        ValueError: they do not.
    """
    away = np.abs(mean_units - served.mean_units)
    if not (away <= _REBUILT_SHARE * np.maximum(served.mean_units, 1)).all():
        raise ValueError(
            f"family {forecaster.family} gives other means by rebuilt inputs, up to {away.max():g} units off"
        )


def _joined(blocks: list[Explanation]) -> Explanation:
    first = blocks[0]
    return replace(
        first,
        series=pl.concat([block.series for block in blocks]),
        mean_units=np.concatenate([block.mean_units for block in blocks]),
        is_promoted=np.concatenate([block.is_promoted for block in blocks]),
        is_holiday=np.concatenate([block.is_holiday for block in blocks]),
        driver_units={
            driver: np.concatenate([block.driver_units[driver] for block in blocks]) for driver in first.driver_units
        },
        remainder_units={
            remainder: np.concatenate([block.remainder_units[remainder] for block in blocks])
            for remainder in first.remainder_units
        },
    )
