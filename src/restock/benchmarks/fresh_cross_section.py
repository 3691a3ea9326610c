"""FreshRetailNet by the cross-section model: sales under usual availability, and the demand of days in stock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from restock.benchmarks.family_race import ShowProgress
from restock.forecasting.cross_section.history import build_panel_history
from restock.forecasting.cross_section.model import (
    MEAN_OBJECTIVES,
    CrossSectionSettings,
    Progress,
    draw_rows,
    fit_boosters,
    predict_units,
    quantile_objective,
)
from restock.forecasting.cross_section.totals import panel_of_totals, pull_to_totals
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.statistics.quantiles import interpolate_quantiles, order_quantiles

# Wider than what is written, so that calibration need not invent a tail.
FITTED_LEVELS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)
# Quantiles move by whole shares of the level: fewer rows and rounds tell as much, in a fifth of the time.
_QUANTILE_ROWS = 120_000
_QUANTILE_ROUNDS = 80
# A sku's sales in a region are forecast better from their own history than by adding up its shops'; half of the way
# was best on every window (docs/forecasting.md).
_TOTALS_BY = ("sku", "region")
_TOTALS_SHARE = 0.5
_TOTALS_ROWS = 300_000


def forecast_with_peers(
    panel: DemandPanel, *, horizon: int, has_plan: bool, seed: int, progress: ShowProgress
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return sales, demand and its quantiles for the days after the panel's last observed one.

    Args:
        panel: history, with the plan where there is one.
        horizon: days.
        has_plan: whether prices and promotions of the days ahead may be read.
        seed: what all random numbers follow from.
        progress: shows a step.

    Returns:
        expected sales under usual availability and mean demand, shape (n_series, horizon), and quantiles of demand at
        `FITTED_LEVELS`, shape (n_series, horizon, n_levels); units.

    Raises:
        InsufficientHistoryError: there is nothing to learn from.
    """
    settings = CrossSectionSettings(
        horizon=horizon, known_ahead=("unit_price", "is_promoted") if has_plan else (), seed=seed
    )
    history = build_panel_history(panel)
    with progress(f"cross-section: rows, up to {panel.last_observed}") as advance:
        rows = draw_rows(history, settings, on_progress=advance)
    with progress("cross-section: sales") as advance:
        sales = fit_boosters(rows, MEAN_OBJECTIVES, settings=settings, on_progress=advance)
    with progress("cross-section: totals") as advance:
        pull = _pull_of_totals(panel, settings=settings, on_progress=advance)
    with progress("cross-section: demand") as advance:
        demand = fit_boosters(rows.with_stockouts(), MEAN_OBJECTIVES, settings=settings, on_progress=advance)
    with progress("cross-section: quantiles") as advance:
        quantiles = fit_boosters(
            rows.in_stock().thinned(_QUANTILE_ROWS),
            [quantile_objective(FITTED_LEVELS)],
            settings=settings,
            n_rounds=_QUANTILE_ROUNDS,
            on_progress=advance,
        )
    with progress("cross-section: forecast") as advance:
        found = predict_units([*sales, *demand, *quantiles], history, settings=settings, on_progress=advance)
    n_means = len(MEAN_OBJECTIVES)
    sales_mean = np.stack(found[:n_means]).mean(axis=0)
    demand_mean = np.stack(found[n_means : 2 * n_means]).mean(axis=0)
    # Totals hold the usual share of stockouts, as sales do: they steer sales, not demand.
    return pull(sales_mean), demand_mean, order_quantiles(found[-1]).astype(np.float32)


def _pull_of_totals(
    panel: DemandPanel, *, settings: CrossSectionSettings, on_progress: Progress
) -> Callable[[FloatArray], FloatArray]:
    """Return what moves forecasts of series half of the way to the totals of their sku in a region."""
    totals, code = panel_of_totals(panel, by=_TOTALS_BY)
    history = build_panel_history(totals)
    fewer = replace(settings, n_rows=_TOTALS_ROWS)
    boosters = fit_boosters(draw_rows(history, fewer), MEAN_OBJECTIVES, settings=fewer, on_progress=on_progress)
    units = np.stack(predict_units(boosters, history, settings=fewer)).mean(axis=0)
    return partial(pull_to_totals, totals=units, code=code, share=_TOTALS_SHARE)


def observed_levels(
    fitted: FloatArray, *, sales_units: FloatArray, is_in_stock: NDArray[np.bool_]
) -> tuple[float, ...]:
    """Return the share of in-stock days whose sales stayed below each fitted quantile, half of those that equal it.

    Args:
        fitted: quantiles at `FITTED_LEVELS`, shape (n_series, n_days or more, n_levels), units.
        sales_units: shape (n_series, n_days), units.
        is_in_stock: same shape.

    Returns:
        increasing levels: what the fitted quantiles are in truth.
    """
    keep = is_in_stock & ~np.isnan(sales_units)
    sold = sales_units[keep][:, None]
    quantiles = fitted[:, : sales_units.shape[1]][keep]
    found = ((sold < quantiles).mean(axis=0) + (sold <= quantiles).mean(axis=0)) / 2
    increasing = np.maximum.accumulate(found + np.arange(len(found)) * 1e-6)
    return tuple(float(level) for level in increasing)


def at_levels(fitted: FloatArray, levels: tuple[float, ...], *, wanted: tuple[float, ...]) -> FloatArray:
    """Return the quantiles at the wanted levels from those that were found at `levels`; the outermost ones stay."""
    within = tuple(min(max(level, levels[0]), levels[-1]) for level in wanted)
    return order_quantiles(interpolate_quantiles(fitted, levels, within)).astype(np.float32)
