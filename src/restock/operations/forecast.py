"""Forecasts on request: stored or posted history in, quantiles with their source and assumptions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from restock.errors import DataError, HorizonError, NotReadyError
from restock.forecasting.families.ensemble import EnsembleForecaster
from restock.forecasting.forecast import DemandForecast
from restock.forecasting.panel import DemandPanel, build_demand_panel
from restock.operations.planned_periods import PlannedPeriod, PlannedSeries, plan_periods
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

    A series without sales, or with few, is forecast all the same; its assumptions say so.

    Raises:
        UnknownSeriesError: the sku or the location of a series is not known.
        HorizonError: the horizon is longer than the model gives.
        QuantileError: a level lies outside those of the model.
        PlanError: a plan does not fit the forecast periods.
        NotReadyError: the history is still being rebuilt for a model of another frequency.
    """
    planned = plan_stored(model, history, series=series, horizon=horizon)
    return _answer(model, planned, quantiles=quantiles, data_hash=history.data_hash)


def plan_stored(
    model: ServedModel, history: StoredHistory, *, series: Sequence[SeriesRequest], horizon: int | None
) -> PlannedSeries:
    """Return what a forecast of stored series reads.

    Raises:
        UnknownSeriesError, HorizonError, PlanError, NotReadyError: as `forecast_stored`.
    """
    if history.panel.frequency is not model.frequency:
        raise NotReadyError(
            f"the stored history is {history.panel.frequency} and is being rebuilt for a {model.frequency} model; "
            "ask again in a few seconds."
        )
    panel = history.select([(one.sku, one.location) for one in series])
    return plan_panel(model, panel, plans=[one.planned for one in series], horizon=horizon)


def plan_panel(
    model: ServedModel, panel: DemandPanel, *, plans: Sequence[tuple[PlannedPeriod, ...]], horizon: int | None
) -> PlannedSeries:
    """Return what a forecast of known series reads, with what is assumed of their histories and plans.

    Args:
        model: what forecasts.
        panel: their history.
        plans: one a series.
        horizon: periods; None means the longest the model gives.

    Raises:
        HorizonError, PlanError: as `forecast_stored`.
    """
    checked = _check_horizon(model, horizon)
    words = [_history_words(model, known) for known in np.count_nonzero(~np.isnan(panel.sales_units), axis=1)]
    planned = plan_periods(panel.extended(checked), plans, horizon=checked)
    assumptions = tuple((*own, *assumed) for own, assumed in zip(words, planned.assumptions, strict=True))
    return replace(planned, assumptions=assumptions)


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
    planned = plan_periods(panel.extended(checked), [posted.planned], horizon=checked)
    return _answer(model, planned, quantiles=quantiles, data_hash=data_hash)


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
    model: ServedModel, planned: PlannedSeries, *, quantiles: Sequence[float], data_hash: str
) -> ForecastAnswer:
    """Return the forecast of every series under its plan."""
    wanted = tuple(quantiles)
    given = model.forecaster.quantiles
    outside = [level for level in wanted if not given[0] <= level <= given[-1]]
    if outside:
        raise QuantileError(
            f"quantiles must lie within {given[0]:g} and {given[-1]:g}, which {model.version} gives, "
            f"got {', '.join(f'{level:g}' for level in outside)}."
        )
    forecast = model.forecaster.forecast(planned.panel, horizon=planned.horizon)
    interpolated = tuple(level for level in wanted if level not in given)
    if wanted != forecast.quantiles:
        units = interpolate_quantiles(forecast.quantile_units, forecast.quantiles, wanted)
        forecast = replace(forecast, quantiles=wanted, quantile_units=units)
    return ForecastAnswer(
        forecast=forecast,
        model=model,
        interpolated_quantiles=interpolated,
        assumptions=planned.assumptions,
        data_hash=data_hash,
    )


def _history_words(model: ServedModel, n_known: int) -> tuple[str, ...]:
    """Return what is assumed where a series has no history, or hardly one.

    Args:
        model: what forecasts.
        n_known: periods of the series with known sales.
    """
    cold_start = model.forecaster.cold_start if isinstance(model.forecaster, EnsembleForecaster) else None
    if n_known == 0 and cold_start is None:
        return (f"never sold here, and family {model.family} needs a history: expect far too little",)
    if n_known == 0:
        return ("never sold here: told by what the product and the location share with others",)
    if cold_start is not None and n_known < cold_start.young_periods:
        return (f"sold for {n_known} periods only: told in part by what the product shares with others",)
    return ()
