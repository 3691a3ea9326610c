"""Weights for the families' forecasts, learned from back-tests, and the back-test of what they make together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.backtest import run_backtest
from restock.forecasting.calibration import Calibration, calibrate_windows
from restock.forecasting.cold_start import ColdStart, fit_cold_start
from restock.forecasting.families.ensemble import SegmentWeights
from restock.forecasting.metrics import quantile_column
from restock.forecasting.panel import DemandPanel
from restock.forecasting.segments import SegmentRule, fit_segment_rule, segments_by_cutoff
from restock.params import FamilyName, ModelName, Params
from restock.statistics.quantile_averages import fit_average_weights

ENSEMBLE: ModelName = "ensemble"
# Simple families: there to be beaten, or to win where the history is short. Others count alike until windows tell more.
SIMPLE_FAMILIES: tuple[FamilyName, ...] = ("seasonal_naive", "statistical")
_KEYS = ["sku", "location", "cutoff", "date"]
# Enough for a handful of weights; more rows would only cost memory and time.
_LARGEST_SAMPLE_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Combination:
    """What combining gave.

    Attributes:
        backtest: rows as of `run_backtest`, family "ensemble": window k with the weights of the windows before it.
        weights: from all windows, for forecasts to come.
        rule: how a series finds its segment, as of the last observed period.
        calibration: corrections of what the weights give, from all windows.
        cold_start: what young series are told by, as of the last observed period.
        weights_by_cutoff: the weights that each window was forecast with.
    """

    backtest: pl.DataFrame
    weights: SegmentWeights
    rule: SegmentRule
    calibration: Calibration
    cold_start: ColdStart
    weights_by_cutoff: Mapping[date, SegmentWeights]


def combine_backtests(
    backtests: Mapping[FamilyName, pl.DataFrame], panel: DemandPanel, *, params: Params
) -> Combination:
    """Return the ensemble of the families, back-tested without looking ahead.

    The oldest window has equal weights of all learned families. A later one has the weights that were best on the
    outcomes known at its cutoff, and the corrections that these called for. A series' segment is what its history up to
    a window's cutoff says. Series that are young at a cutoff are drawn towards what their attributes tell, as they are
    when forecast.

    Args:
        backtests: rows of `run_backtest` by family, of the same windows.
        panel: the history they were made from.
        params: forecasting.quantiles, features.max_stockout_share, evaluation, ensemble, calibration,
            cold_start.

    Raises:
        ValueError: the families were back-tested on different rows.
    """
    members = tuple(backtests)
    quantiles = params.forecasting.quantiles
    ordered = {family: rows.sort(_KEYS) for family, rows in backtests.items()}
    first = ordered[members[0]]
    if any(not rows.select(_KEYS).equals(first.select(_KEYS)) for rows in ordered.values()):
        raise ValueError(f"back-tests of {', '.join(members)} differ in their series or windows")
    cutoffs = sorted(set(first["cutoff"].to_list()))
    segments = segments_by_cutoff(panel, cutoffs, params=params.evaluation)
    place = first.join(segments, on=["sku", "location", "cutoff"], how="left", maintain_order="left")
    place = place.select("cutoff", "date", "segment", "demand", "is_censored").with_row_index("row")
    windows, chosen = [], {}
    for cutoff in cutoffs:
        known = place.filter(pl.col("cutoff") < cutoff, pl.col("date") <= cutoff)
        weights = _fit_weights(known, ordered, params=params)
        chosen[cutoff] = weights
        rows = place.filter(pl.col("cutoff") == cutoff)
        windows.append(_average(rows, ordered, weights=weights, quantiles=quantiles))
    calibrated, calibration = calibrate_windows(
        pl.concat(windows), segments, quantiles=quantiles, params=params.calibration
    )
    served = [
        _blend_young(calibrated.filter(pl.col("cutoff") == cutoff), panel.observed_until(cutoff), params=params)
        for cutoff in cutoffs
    ]
    return Combination(
        backtest=pl.concat(served),
        weights=_fit_weights(place, ordered, params=params).without_unused(),
        rule=fit_segment_rule(panel, params=params.evaluation),
        calibration=calibration,
        cold_start=fit_cold_start(panel, params=params),
        weights_by_cutoff=chosen,
    )


def run_model_backtest(
    panel: DemandPanel,
    *,
    name: ModelName,
    params: Params,
    on_progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Return the back-test of a family, or of the ensemble of params.yaml: forecasting.families.

    Raises:
        InsufficientHistoryError: the history can't hold the windows.
    """
    if name != "ensemble":
        return run_backtest(panel, family=name, params=params, on_progress=on_progress)
    backtests = {
        family: run_backtest(panel, family=family, params=params, on_progress=on_progress)
        for family in params.forecasting.families
    }
    return combine_backtests(backtests, panel, params=params).backtest


def _fit_weights(
    known: pl.DataFrame, backtests: Mapping[FamilyName, pl.DataFrame], *, params: Params
) -> SegmentWeights:
    """Return the weights that are best on some rows of the back-tests; equal ones where there are none.

    Args:
        known: columns row (of the back-tests), segment, demand, is_censored.
        backtests: by family, in the same order of rows.
        params: forecasting.quantiles, ensemble.
    """
    members = tuple(backtests)
    learned = np.array([family not in SIMPLE_FAMILIES for family in members])
    equal = learned / learned.sum() if learned.any() else np.full(len(members), 1 / len(members))
    scored = known.filter(~pl.col("is_censored"), pl.col("demand").is_not_null())
    if scored.is_empty():
        return SegmentWeights(members=members, overall=tuple(equal.tolist()), by_segment={})

    def fitted(rows: pl.DataFrame, towards: NDArray[np.float64]) -> tuple[float, ...]:
        taken = rows.gather_every(-(-rows.height // _LARGEST_SAMPLE_ROWS))
        places = taken["row"].to_numpy()
        columns = [quantile_column(quantile) for quantile in params.forecasting.quantiles]
        units = np.stack([backtests[family][places].select(columns).to_numpy() for family in members])
        weights = fit_average_weights(
            taken["demand"].to_numpy(),
            units,
            quantiles=params.forecasting.quantiles,
            towards=towards,
            pull=params.ensemble.equal_weights_pull,
        )
        return _without_small(weights, params.ensemble.smallest_weight)

    overall = fitted(scored, equal)
    by_segment = {
        str(segment): fitted(rows, np.array(overall))
        for (segment,), rows in sorted(scored.group_by(["segment"], maintain_order=True), key=lambda pair: str(pair[0]))
        if rows.height >= params.ensemble.smallest_segment_rows
    }
    return SegmentWeights(members=members, overall=overall, by_segment=by_segment)


def _without_small(weights: NDArray[np.float64], smallest: float) -> tuple[float, ...]:
    """Return weights with those below `smallest` set to zero; their sum stays 1."""
    kept = np.where(weights < min(smallest, float(weights.max())), 0.0, weights)
    return tuple((kept / kept.sum()).tolist())


def _average(
    rows: pl.DataFrame,
    backtests: Mapping[FamilyName, pl.DataFrame],
    *,
    weights: SegmentWeights,
    quantiles: tuple[float, ...],
) -> pl.DataFrame:
    """Return one window of the ensemble."""
    names, places = rows["segment"].unique().sort(), rows["row"].to_numpy()
    of_segment = weights.of(names.to_numpy())
    # A row's segment as a position among the names, so that weights are looked up once a segment.
    position = np.searchsorted(names.to_numpy().astype(str), rows["segment"].to_numpy().astype(str))
    columns = ["mean_units", *(quantile_column(quantile) for quantile in quantiles)]
    total = np.zeros((rows.height, len(columns)), dtype=np.float32)
    for member, family in enumerate(weights.members):
        share = of_segment[position, member].astype(np.float32)
        if share.any():
            total += share[:, None] * backtests[family][places].select(columns).to_numpy()
    total[:, 1:] = np.sort(total[:, 1:], axis=1)
    window = backtests[weights.members[0]][places]
    return window.with_columns(
        pl.lit(ENSEMBLE).alias("family"), *(pl.Series(name, total[:, place]) for place, name in enumerate(columns))
    )


def _blend_young(window: pl.DataFrame, known: DemandPanel, *, params: Params) -> pl.DataFrame:
    """Return one window with its young series drawn towards what their attributes tell.

    Args:
        window: rows of one cutoff, with column horizon.
        known: the history up to that cutoff.
        params: as for `combine_backtests`.
    """
    cold_start = fit_cold_start(known, params=params)
    share = cold_start.own_share(known)
    young = np.flatnonzero(share < 1)
    if not young.size:
        return window
    horizon = params.forecasting.horizon
    quantile_units, mean_units = cold_start.forecast_new(known.select(young), horizon=horizon)
    names = ["mean_units", *(quantile_column(quantile) for quantile in params.forecasting.quantiles)]
    told = np.concatenate([mean_units[..., None], quantile_units], axis=2).reshape(-1, len(names))
    told_rows = known.series.select("sku", "location")[np.repeat(young, horizon)].with_columns(
        pl.Series("horizon", np.tile(np.arange(1, horizon + 1, dtype=np.int32), young.size)),
        pl.Series("own_share", np.repeat(share[young], horizon).astype(np.float32)),
        *(pl.Series(f"told_{name}", told[:, place]) for place, name in enumerate(names)),
    )
    # A weighted sum of two sorted quantile functions is sorted.
    blended = [
        pl.when(pl.col("own_share").is_null())
        .then(pl.col(name))
        .otherwise(pl.col("own_share") * pl.col(name) + (1 - pl.col("own_share")) * pl.col(f"told_{name}"))
        .cast(pl.Float32)
        .alias(name)
        for name in names
    ]
    joined = window.join(told_rows, on=["sku", "location", "horizon"], how="left", maintain_order="left")
    return joined.with_columns(blended).select(window.columns)
