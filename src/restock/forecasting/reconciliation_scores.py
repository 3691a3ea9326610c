"""The back-test of reconciliation: totals forecast on their own, added up from the series, and brought together.

Every window uses errors of earlier windows only. Sales of censored periods count as repaired, in totals and in series.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.aggregates import aggregate_panel, repair_censored
from restock.forecasting.backtest import run_backtest
from restock.forecasting.panel import DemandPanel
from restock.forecasting.reconcile import (
    ErrorCovariance,
    Hierarchy,
    build_hierarchy,
    equal_covariance,
    reconcile,
    shrunken_covariance,
    structural_covariance,
    variance_covariance,
)
from restock.params import Params
from restock.timeline import Frequency

Floats = NDArray[np.float64]

_SCHEMA = pl.Schema(
    {
        "method": pl.String(),
        "level": pl.String(),
        "n_nodes": pl.Int64(),
        "wape": pl.Float64(),
        "bias": pl.Float64(),
    }
)
OWN, BOTTOM_UP = "own", "bottom_up"
SERIES_LEVEL = "series"
# The covariance that each way of reconciling assumes, from the hierarchy and earlier errors.
_COVARIANCES: Mapping[str, Callable[[Hierarchy, Floats], ErrorCovariance]] = {
    "ols": lambda hierarchy, _: equal_covariance(hierarchy),
    "wls_struct": lambda hierarchy, _: structural_covariance(hierarchy),
    "wls_var": lambda _, errors: variance_covariance(errors),
    # Centred: MinT asks for errors of mean zero.
    "mint": lambda _, errors: shrunken_covariance(errors - errors.mean(axis=1, keepdims=True)),
}


def judge_reconciliation(backtest: pl.DataFrame, panel: DemandPanel, *, params: Params) -> pl.DataFrame:
    """Return how far off the mean forecast of every level is, by way of reconciling.

    Args:
        backtest: rows of `run_backtest` of the series' model.
        panel: the history it was made from.
        params: reconciliation.family (what forecasts the totals on their own), forecasting, backtest, families,
            features.

    Returns:
        columns method ("own": every node as forecast on its own; "bottom_up"; "ols", "wls_struct", "wls_var", "mint"),
        level ("series" at the bottom), n_nodes, wape (sum of absolute errors / sum of sales) and bias (sum of errors /
        sum of sales). The oldest window is left out: no error is known before it. No row where there is only one.
    """
    cutoffs = sorted(set(backtest["cutoff"].to_list()))
    hierarchy = build_hierarchy(panel.series)
    largest = params.features.max_stockout_share
    totals = aggregate_panel(panel, hierarchy, max_stockout_share=largest)
    own = run_backtest(totals, family=params.reconciliation.family, params=params)
    horizon = params.forecasting.horizon
    series = _window_grid(backtest, panel, cutoffs=cutoffs, horizon=horizon)
    above = _window_grid(own, totals, cutoffs=cutoffs, horizon=horizon)
    sold = _sold(panel, repair_censored(panel, max_stockout_share=largest), cutoffs=cutoffs, horizon=horizon)
    # A series that is not forecast, because it was not listed yet, is in no total.
    sold = np.where(np.isnan(series), 0.0, sold)
    base = np.concatenate([np.nan_to_num(above), np.nan_to_num(series)], axis=1)
    observed = np.stack([hierarchy.add_up(window) for window in sold])
    made: dict[str, list[Floats]] = {name: [] for name in (OWN, BOTTOM_UP, *_COVARIANCES)}
    for place in range(1, len(cutoffs)):
        errors = _known_errors(observed - base, cutoffs, place=place, frequency=panel.frequency)
        made[OWN].append(base[place])
        made[BOTTOM_UP].append(hierarchy.add_up(base[place, hierarchy.n_aggregates :]))
        for name, covariance_of in _COVARIANCES.items():
            bottom = reconcile(base[place], hierarchy, covariance=covariance_of(hierarchy, errors))
            made[name].append(hierarchy.add_up(bottom))
    levels = np.array([*hierarchy.levels, *[SERIES_LEVEL] * hierarchy.n_series])
    rows = [
        {"method": name, "level": level} | _score(np.stack(windows), observed[1:], is_level=levels == level)
        for name, windows in made.items()
        if windows
        for level in dict.fromkeys(levels.tolist())
    ]
    return pl.DataFrame(rows, schema=_SCHEMA)


def _window_grid(backtest: pl.DataFrame, panel: DemandPanel, *, cutoffs: list[date], horizon: int) -> Floats:
    """Return the mean forecasts of every window; shape (n_windows, n_series, horizon), NaN where not forecast."""
    found = np.full((len(cutoffs), panel.n_series, horizon), np.nan)
    places = panel.series.select("sku", "location").with_row_index("row")
    rows = backtest.join(places, on=["sku", "location"], how="left", maintain_order="left")
    window = rows["cutoff"].replace_strict(cutoffs, list(range(len(cutoffs))), return_dtype=pl.Int64)
    found[window.to_numpy(), rows["row"].to_numpy(), rows["horizon"].to_numpy() - 1] = rows["mean_units"].to_numpy()
    return found


def _sold(panel: DemandPanel, sales: NDArray[np.float32], *, cutoffs: list[date], horizon: int) -> Floats:
    """Return the sales of every window; shape (n_windows, n_series, horizon), 0 before a series' first sale."""
    firsts = [panel.index_of(cutoff) + 1 for cutoff in cutoffs]
    return np.stack([np.nan_to_num(sales[:, first : first + horizon]).astype(np.float64) for first in firsts])


def _known_errors(errors: Floats, cutoffs: list[date], *, place: int, frequency: Frequency) -> Floats:
    """Return the errors of earlier windows that are known at a cutoff; shape (n_nodes, n_errors).

    The oldest window counts only while it is the only one, as for the dependence.
    """
    parts = []
    for earlier in range(min(1, place - 1), place):
        n_known = (cutoffs[place] - cutoffs[earlier]).days // frequency.days
        parts.append(errors[earlier][:, :n_known])
    return np.concatenate(parts, axis=1)


def _score(forecast: Floats, observed: Floats, *, is_level: NDArray[np.bool_]) -> dict[str, float]:
    """Return the metrics of the nodes of one level, all windows together."""
    error = (forecast - observed)[:, is_level]
    sold = max(float(observed[:, is_level].sum()), 1e-12)
    return {
        "n_nodes": int(is_level.sum()),
        "wape": float(np.abs(error).sum()) / sold,
        "bias": float(error.sum()) / sold,
    }
