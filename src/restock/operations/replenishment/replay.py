"""The past as a market to trade in again: the demand of the back-test's windows, and what was forecast of it.

Demand that a stockout cut off is drawn from what the rest of the history says of it, once, the same for every rule
that trades. What a rule is shown at a cutoff was known at that cutoff: its forecast, and how demands hang together as
earlier windows had shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import InsufficientHistoryError
from restock.forecasting.censoring import censoring_rule
from restock.forecasting.dependence import describe_series, learn_dependence
from restock.forecasting.known_demand import demand_in_hindsight, in_stock_exposure, usual_demand
from restock.forecasting.metrics import quantile_column
from restock.forecasting.panel import DemandPanel
from restock.forecasting.segments import segments_by_cutoff
from restock.params import Params
from restock.replenishment.walk_forward import FROM_OUTSIDE
from restock.statistics.paths import iterate_paths

Paths = NDArray[np.float32]
Units = TypeVar("Units", NDArray[np.float32], NDArray[np.float64])

# Periods that a rule without a forecast averages.
AVERAGED_PERIODS = 56
# Segment of lines that supply others.
WAREHOUSE = "warehouse"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Windows of a back-test, one after the other, for the lines of a plan.

    Attributes:
        first: first period that is traded: the one after the oldest cutoff.
        demand: shape (n_lines, n_periods), units of customers; 0 at warehouses.
        forecast_from: shape (n_windows,), increasing: from the end of this period on (-1: from the start) the window's
            forecast is known, and the latest counts.
        paths: one a window, shape (n_lines, n_paths, horizon), units, from the period after that one; of a warehouse
            the sum of those it supplies.
        past_mean: one a window, shape (n_lines,), units a period sold in the last `AVERAGED_PERIODS` before it.
        past_deviation: likewise, their standard deviation.
        segments: shape (n_lines,), such as "A-smooth", as of the oldest cutoff; WAREHOUSE for warehouses.
        imputed_share: share of the demand in units that a stockout had cut off.
    """

    first: date
    demand: NDArray[np.float64]
    forecast_from: NDArray[np.intp]
    paths: tuple[Paths, ...]
    past_mean: tuple[NDArray[np.float64], ...]
    past_deviation: tuple[NDArray[np.float64], ...]
    segments: NDArray[np.str_]
    imputed_share: float


def replay_backtest(
    backtest: pl.DataFrame,
    panel: DemandPanel,
    lines: pl.DataFrame,
    *,
    params: Params,
    on_progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Return a back-test's windows as a market for the lines.

    Args:
        backtest: rows of `run_backtest`, one model.
        panel: the history that it was made from.
        lines: of `build_lines`, sorted by sku and location.
        params: seed, features, forecasting, evaluation, paths, replenishment.
        on_progress: called with (done, total), windows.

    Raises:
        InsufficientHistoryError: the back-test has no window.
    """
    cutoffs = sorted(set(backtest["cutoff"].to_list()))
    if not cutoffs:
        raise InsufficientHistoryError("the back-test has no window to trade in. Train first: dvc repro.")
    first, horizon = panel.index_of(cutoffs[0]) + 1, params.forecasting.horizon
    last = min(panel.observed_periods, panel.index_of(cutoffs[-1]) + 1 + horizon)
    demand, imputed_share = _trade_demand(panel, lines, periods=slice(first, last), params=params)
    segments = segments_by_cutoff(panel, cutoffs, params=params.evaluation)
    windows, means, deviations = [], [], []
    for done, cutoff in enumerate(cutoffs, start=1):
        windows.append(_draw_window(backtest, panel, lines, cutoff=cutoff, segments=segments, params=params))
        sold = _sold_before(panel, lines, end=panel.index_of(cutoff) + 1)
        means.append(sold.mean(axis=1))
        deviations.append(sold.std(axis=1))
        if on_progress is not None:
            on_progress(done, len(cutoffs))
    return Replay(
        first=panel.date_of(first),
        demand=demand,
        forecast_from=np.array([panel.index_of(cutoff) - first for cutoff in cutoffs]),
        paths=tuple(windows),
        past_mean=tuple(means),
        past_deviation=tuple(deviations),
        segments=line_segments(lines, segments.filter(pl.col("cutoff") == cutoffs[0])),
        imputed_share=imputed_share,
    )


def line_segments(lines: pl.DataFrame, segments: pl.DataFrame) -> NDArray[np.str_]:
    """Return the segment of every line, shape (n_lines,); lines that supply others are of segment WAREHOUSE.

    Args:
        lines: of `build_lines`.
        segments: columns sku, location, segment.
    """
    named = lines.select("sku", "location").join(
        segments.select("sku", "location", "segment"), on=["sku", "location"], how="left", maintain_order="left"
    )
    found: NDArray[np.str_] = np.where(
        is_warehouse(lines), WAREHOUSE, named["segment"].fill_null("C-lumpy").to_numpy().astype(str)
    )
    return found


def is_warehouse(lines: pl.DataFrame) -> NDArray[np.bool_]:
    """Return which lines supply others, shape (n_lines,)."""
    sources = lines["source"].to_numpy()
    found = np.zeros(lines.height, dtype=np.bool_)
    found[sources[sources != FROM_OUTSIDE]] = True
    return found


def sum_into_warehouses(lines: pl.DataFrame, values: Units) -> Units:
    """Return `values` with those of every warehouse replaced by the sum of what it supplies.

    Args:
        lines: of `build_lines`.
        values: shape (n_lines, ...).
    """
    sources = lines["source"].to_numpy()
    supplied = np.flatnonzero(sources != FROM_OUTSIDE)
    summed = values.copy()
    summed[is_warehouse(lines)] = 0
    np.add.at(summed, sources[supplied], values[supplied])
    return summed


def _trade_demand(
    panel: DemandPanel, lines: pl.DataFrame, *, periods: slice, params: Params
) -> tuple[NDArray[np.float64], float]:
    """Return the demand of customers by line and period, and which share of its units a stockout had cut off."""
    rng = np.random.default_rng([params.seed, 7])
    rule = censoring_rule(params.features)
    known = demand_in_hindsight(panel, rule)
    usual = usual_demand(panel, exposure=in_stock_exposure(panel)).units[:, periods]
    units = known.units[:, periods].astype(np.float64)
    drawn = known.is_recovered[:, periods]
    rows, columns = np.nonzero(drawn)
    units[rows, columns] = known.draw(rows, columns + periods.start, rng)
    is_unknown = np.isnan(units)
    sold = np.nan_to_num(panel.sales_units[:, periods].astype(np.float64), nan=0.0)
    units[is_unknown] = np.maximum(sold, rng.poisson(usual))[is_unknown]
    before = np.isnan(panel.sales_units[:, periods])
    units[before] = 0.0
    demand = _by_line(panel, lines, units)
    demand[is_warehouse(lines)] = 0.0
    total = float(units.sum())
    return demand, float((units - sold).sum() / total) if total else 0.0


def _by_line(panel: DemandPanel, lines: pl.DataFrame, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows of series by line, zeros where a line has no series; shape (n_lines, n_periods)."""
    place = lines.select("sku", "location").join(
        panel.series.select("sku", "location").with_row_index("series"),
        on=["sku", "location"],
        how="left",
        maintain_order="left",
    )["series"]
    found = np.zeros((lines.height, values.shape[1]))
    known = place.is_not_null().to_numpy()
    found[known] = values[place.drop_nulls().to_numpy()]
    return found


def _sold_before(panel: DemandPanel, lines: pl.DataFrame, *, end: int) -> NDArray[np.float64]:
    """Return what each line sold, or a warehouse's stores sold, in the periods before `end`."""
    periods = slice(max(0, end - AVERAGED_PERIODS), end)
    sold = np.nan_to_num(panel.sales_units[:, periods].astype(np.float64), nan=0.0)
    return sum_into_warehouses(lines, _by_line(panel, lines, sold))


def _draw_window(
    backtest: pl.DataFrame,
    panel: DemandPanel,
    lines: pl.DataFrame,
    *,
    cutoff: date,
    segments: pl.DataFrame,
    params: Params,
) -> Paths:
    """Return the paths of one window by line; none of a line that was not forecast."""
    horizon, quantiles = params.forecasting.horizon, params.forecasting.quantiles
    n_paths = params.replenishment.simulated_paths
    dependence = learn_dependence(backtest, panel.observed_until(cutoff), segments=segments, params=params)
    rows = (
        backtest.filter(pl.col("cutoff") == cutoff)
        .join(lines.with_row_index("line").select("sku", "location", "line"), on=["sku", "location"], how="inner")
        .sort("line", "horizon")
    )
    first = rows.filter(pl.col("horizon") == 1)
    attributes = (
        first.select("sku", "location")
        .join(panel.series, on=["sku", "location"], how="left", maintain_order="left")
        .join(
            segments.filter(pl.col("cutoff") == cutoff).select("sku", "location", "segment"),
            on=["sku", "location"],
            how="left",
            maintain_order="left",
        )
    )
    units = rows.select([quantile_column(level) for level in quantiles]).to_numpy()
    series = dependence.known_kinds(describe_series(attributes, attributes["segment"].to_list()))
    paths = np.zeros((lines.height, n_paths, horizon), dtype=np.float32)
    places = first["line"].to_numpy()
    for block, drawn in iterate_paths(
        units.reshape(first.height, horizon, len(quantiles)),
        quantiles,
        series=series,
        lags=dependence.to_lags(),
        n_paths=n_paths,
        seed=params.seed,
    ):
        paths[places[block]] = drawn.transpose(0, 2, 1)
    return sum_into_warehouses(lines, paths)
