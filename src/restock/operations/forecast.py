"""Forecasts on request: stored or posted history in, quantiles with their source and assumptions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import DataError, HorizonError, NotReadyError
from restock.forecasting.forecast import DemandForecast
from restock.forecasting.panel import DemandPanel, FloatArray, build_demand_panel
from restock.operations.served_model import ServedModel
from restock.operations.stored_history import StoredHistory
from restock.statistics.quantiles import interpolate_quantiles
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES
from restock.timeline import Frequency

LONGEST_HISTORY_PERIODS = 3_660

# Somewhere on Earth it is already tomorrow: a sale of "today" there is not in the future.
_LATEST_LOCAL_DATE = timedelta(hours=14)
_NAMED_FAULTS = 20


class QuantileError(DataError):
    """A quantile lies outside those that the model gives."""

    title = "The quantile can't be given"


class PlanError(DataError):
    """A planned period is not one of the forecast periods, or is planned twice."""

    title = "The plan does not fit the forecast"


@dataclass(frozen=True, kw_only=True)
class RowFault:
    """One fault of one posted row.

    Attributes:
        row: position in the request, from 0.
        column: which column is wrong.
        value: what it holds.
        expected: what would have been right.
        rule: name of the rule.
    """

    row: int
    column: str
    value: str
    expected: str
    rule: str


class RejectedRowsError(DataError):
    """Posted rows break the rules that ingestion keeps.

    Attributes:
        faults: the first of them.
    """

    title = "Rows of the history are not valid"

    def __init__(self, message: str, *, faults: tuple[RowFault, ...]) -> None:
        super().__init__(message)
        self.faults = faults

    def members(self) -> dict[str, object]:
        """Return the faults."""
        return {"errors": [asdict(fault) for fault in self.faults]}


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
class SeriesRequest:
    """One series to forecast from stored history.

    Attributes:
        sku: the article.
        location: where it is sold.
        planned: what is known ahead.
    """

    sku: str
    location: str
    planned: tuple[PlannedPeriod, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PostedSeries:
    """One series whose history comes with the request.

    Attributes:
        sku: any name for the article.
        location: a stored location lends its region and holidays; any other name is fine.
        category_path: categories from broad to narrow, joined by ' > '; "" where unknown.
        sales: table `sales` of this one series.
        planned: what is known ahead.
    """

    sku: str
    location: str
    category_path: str
    sales: pl.DataFrame
    planned: tuple[PlannedPeriod, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ForecastAnswer:
    """A forecast with everything needed to trace it.

    Attributes:
        forecast: at exactly the quantiles asked for.
        model: what made it.
        interpolated_quantiles: the levels that the model does not give itself, interpolated between its neighbours.
        assumptions: one tuple a series: what was assumed about the periods ahead, in words.
        data_hash: hash of the history used.
    """

    forecast: DemandForecast
    model: ServedModel
    interpolated_quantiles: tuple[float, ...]
    assumptions: tuple[tuple[str, ...], ...]
    data_hash: str


def forecast_stored(
    model: ServedModel,
    history: StoredHistory,
    *,
    series: Sequence[SeriesRequest],
    horizon: int | None,
    quantiles: Sequence[float],
) -> ForecastAnswer:
    """Return the forecast of stored series, in the order asked for.

    Args:
        model: what forecasts.
        history: what it forecasts from.
        series: which series, at least one.
        horizon: periods after the last stored one; None means the longest the model gives.
        quantiles: probability levels, increasing.

    Raises:
        UnknownSeriesError: a series has no stored history.
        HorizonError: the horizon is longer than the model gives.
        QuantileError: a level lies outside those of the model.
        PlanError: a plan does not fit the forecast periods.
        NotReadyError: the history is still being rebuilt for a model of another frequency.
    """
    if history.panel.frequency is not model.frequency:
        raise NotReadyError(
            f"the stored history is {history.panel.frequency} and is being rebuilt for a {model.frequency} model; "
            "ask again in a few seconds."
        )
    checked = _check_horizon(model, horizon)
    panel = history.select([(one.sku, one.location) for one in series])
    plans = [one.planned for one in series]
    return _answer(model, panel, plans=plans, horizon=checked, quantiles=quantiles, data_hash=history.data_hash)


def forecast_posted(
    model: ServedModel,
    posted: PostedSeries,
    *,
    history: StoredHistory | None,
    horizon: int | None,
    quantiles: Sequence[float],
    data_hash: str,
    now: datetime,
) -> ForecastAnswer:
    """Return the forecast of a series whose history comes with the request.

    Args:
        model: what forecasts.
        posted: the series.
        history: stored history, for the region and holidays of a known location; None where there is none.
        horizon: periods after the last posted one; None means the longest the model gives.
        quantiles: probability levels, increasing.
        data_hash: hash of the posted history.
        now: the time, UTC; sales after today are refused.

    Raises:
        RejectedRowsError: rows break the rules of table `sales`.
        DataError: dates repeat, lie off the model's grid, or span more than LONGEST_HISTORY_PERIODS.
        InsufficientHistoryError: the model needs more history.
        HorizonError: the horizon is longer than the model gives.
        QuantileError: a level lies outside those of the model.
        PlanError: a plan does not fit the forecast periods.
    """
    checked = _check_horizon(model, horizon)
    sales = check_posted_sales(posted.sales, frequency=model.frequency, today=(now + _LATEST_LOCAL_DATE).date())
    product = pl.DataFrame({"sku": [posted.sku], "name": [posted.sku], "category_path": [posted.category_path]})
    panel = build_demand_panel(
        sales,
        PRODUCTS.conform(product),
        locations=history.location_table if history is not None else LOCATIONS.empty(),
        calendar=history.calendar if history is not None else CALENDAR.empty(),
        frequency=model.frequency,
        horizon=checked,
    )
    return _answer(model, panel, plans=[posted.planned], horizon=checked, quantiles=quantiles, data_hash=data_hash)


def check_posted_sales(sales: pl.DataFrame, *, frequency: Frequency, today: date) -> pl.DataFrame:
    """Return posted `sales` sorted by date, once they keep the rules that ingestion keeps.

    Raises:
        RejectedRowsError: rows break the rules of table `sales`.
        DataError: dates repeat, or span more than LONGEST_HISTORY_PERIODS.
    """
    rules = SALES.row_rules(today=today)
    verdicts = sales.select(rule.accepts.alias(rule.name) for rule in rules)
    faults = [
        RowFault(
            row=row,
            column=rule.column,
            value=str(sales[rule.column][row]),
            expected=rule.expected,
            rule=rule.name,
        )
        for rule in rules
        for row in np.flatnonzero(~verdicts[rule.name].to_numpy()).tolist()
    ]
    if faults:
        faults.sort(key=lambda fault: fault.row)
        first = faults[0]
        raise RejectedRowsError(
            f"{len(faults)} values of the history are not valid, the first in row {first.row}: {first.column} must be "
            f"{first.expected}, got {first.value}.",
            faults=tuple(faults[:_NAMED_FAULTS]),
        )
    ordered = sales.sort("date")
    repeated = ordered.filter(pl.col("date").is_duplicated())
    if not repeated.is_empty():
        raise DataError(f"date {repeated['date'][0]} comes more than once in the history, expected one row a period.")
    days = (ordered["date"][-1] - ordered["date"][0]).days
    if days // frequency.days >= LONGEST_HISTORY_PERIODS:
        raise DataError(
            f"the history spans {days // frequency.days + 1} {frequency} periods, expected at most "
            f"{LONGEST_HISTORY_PERIODS}. Send only the latest."
        )
    return ordered


def _check_horizon(model: ServedModel, horizon: int | None) -> int:
    longest = model.forecaster.horizon
    if horizon is None:
        return longest
    if horizon > longest:
        raise HorizonError(
            f"horizon must be 1 to {longest} {model.frequency} periods for {model.version}, got {horizon}. "
            "Ask for less, or train and promote a model with a longer params.yaml: forecasting.horizon."
        )
    return horizon


def _answer(
    model: ServedModel,
    panel: DemandPanel,
    *,
    plans: Sequence[tuple[PlannedPeriod, ...]],
    horizon: int,
    quantiles: Sequence[float],
    data_hash: str,
) -> ForecastAnswer:
    """Return the forecast of every series of `panel` under its plan."""
    wanted = tuple(quantiles)
    given = model.forecaster.quantiles
    outside = [level for level in wanted if not given[0] <= level <= given[-1]]
    if outside:
        raise QuantileError(
            f"quantiles must lie within {given[0]:g} and {given[-1]:g}, which {model.version} gives, "
            f"got {', '.join(f'{level:g}' for level in outside)}."
        )
    planned, assumptions = _with_plans(panel.extended(horizon), plans, horizon=horizon)
    forecast = model.forecaster.forecast(planned, horizon=horizon)
    interpolated = tuple(level for level in wanted if level not in given)
    if wanted != forecast.quantiles:
        units = interpolate_quantiles(forecast.quantile_units, forecast.quantiles, wanted)
        forecast = replace(forecast, quantiles=wanted, quantile_units=units)
    return ForecastAnswer(
        forecast=forecast,
        model=model,
        interpolated_quantiles=interpolated,
        assumptions=assumptions,
        data_hash=data_hash,
    )


def _with_plans(
    panel: DemandPanel, plans: Sequence[tuple[PlannedPeriod, ...]], *, horizon: int
) -> tuple[DemandPanel, tuple[tuple[str, ...], ...]]:
    """Return the panel with the plans written over what it assumes ahead, and what is still assumed, a series each."""
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
    return replace(panel, unit_price=prices, is_promoted=promotions), tuple(assumptions)


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
