"""How a series sold in past periods that were like the target: in price, promotion, holiday and place in the season."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.panel import FloatArray

IndexArray = NDArray[np.intp]

SIMILAR_NAMES = (
    "smoothed_level",
    "similar_price",
    "similar_price_weight",
    "similar_plan",
    "similar_plan_weight",
    "similar_plan_and_season",
    "similar_plan_and_season_weight",
)
# Periods that a similar one is looked for in, up to the cutoff.
_SIMILAR_PERIODS = 56
# A period this much older counts half as much: 0.97 ** 23.
_DECAY = 0.97
# Relative difference of the price at which a period counts 1 / e.
_PRICE_BANDWIDTH = 0.05
# What a period tells that differs from the target in one of these.
_OTHER_PROMOTION = 0.3
_OTHER_HOLIDAY = 0.25
_OTHER_SEASON = 0.15
# Periods at the series' level that every mean begins with, so that a single period does not stand for itself.
_PRIOR_PERIODS = 1.0
_PRIOR_SIMILAR = 0.5
# Rows looked at together: bounds the memory to rows x periods.
_CHUNK_ROWS = 20_000


def similar_period_columns(
    sales: FloatArray,
    plans: tuple[FloatArray, FloatArray, FloatArray],
    *,
    series: IndexArray,
    origin: IndexArray,
    target: IndexArray,
    scale: FloatArray,
    planned: tuple[FloatArray, FloatArray, FloatArray],
    season_periods: int,
) -> FloatArray:
    """Return weighted means of past sales, each period weighted by its age and by how like the target it is.

    A kernel regression on the last 56 periods up to the cutoff. Four means, in units of the series' scale: of all
    periods; of those at a price like the target's; at its price, promotion and holiday; and at its place in the season
    too. Beside each but the first the sum of its weights: how much the history tells about such a period.

    Args:
        sales: shape (n_series, n_observed), units; NaN where unknown or cut off by a stockout.
        plans: price, promotion and holiday of every period, each of shape (n_series, n_periods).
        series: shape (n_rows,), row of `sales`.
        origin: shape (n_rows,), period index of the cutoff; no later period is read.
        target: shape (n_rows,), period index of the target.
        scale: shape (n_rows,), units per period.
        planned: price, promotion and holiday of every row's target as known at the cutoff, each of shape (n_rows,).
        season_periods: periods after which the season repeats.

    Returns:
        shape (n_rows, len(SIMILAR_NAMES)), float32.

    Source: Nadaraya (1964), On Estimating Regression.
    """
    columns = np.empty((len(series), len(SIMILAR_NAMES)), dtype=np.float32)
    for first in range(0, len(series), _CHUNK_ROWS):
        rows = slice(first, first + _CHUNK_ROWS)
        past = origin[rows, None] + np.arange(1 - _SIMILAR_PERIODS, 1)
        # A period before the grid is masked below; any other place stands in for it.
        place = np.maximum(past, 0)
        of_row = series[rows, None]
        sold = sales[of_row, place] / scale[rows, None]
        is_known = ~np.isnan(sold) & (past >= 0)
        age = np.arange(_SIMILAR_PERIODS - 1, -1, -1, dtype=np.float32)
        recent = is_known * np.float32(_DECAY) ** age
        nearness, promotion, holiday = (
            kernel(grid[of_row, place], wanted[rows, None])
            for kernel, grid, wanted in zip((_by_price, _by_promotion, _by_holiday), plans, planned, strict=True)
        )
        is_in_season = (target[rows, None] - past) % season_periods == 0
        season = np.where(is_in_season, np.float32(1), np.float32(_OTHER_SEASON))
        sold = np.where(is_known, sold, np.float32(0))
        at_price = recent * nearness
        as_planned = at_price * promotion * holiday
        level = _drawn_mean(recent, sold, towards=np.ones(len(sold), dtype=np.float32), prior=_PRIOR_PERIODS)
        found = [level]
        for weights in (at_price, as_planned, as_planned * season):
            found += [_drawn_mean(weights, sold, towards=level, prior=_PRIOR_SIMILAR), weights.sum(axis=1)]
        columns[rows] = np.stack(found, axis=1)
    return columns


def _by_price(price: FloatArray, wanted: FloatArray) -> FloatArray:
    """Return how near prices are, 1 for the same or where both are unknown, 0 where one is."""
    gap = (price / np.maximum(wanted, np.float32(1e-6)) - 1) / np.float32(_PRICE_BANDWIDTH)
    # An unknown price on both sides is no difference: shops without prices lose nothing.
    both_unknown = np.isnan(price) & np.isnan(wanted)
    return np.where(both_unknown, np.float32(1), np.nan_to_num(np.exp(-gap * gap))).astype(np.float32)


def _by_promotion(is_promoted: FloatArray, wanted: FloatArray) -> FloatArray:
    return np.where(is_promoted == wanted, np.float32(1), np.float32(_OTHER_PROMOTION))


def _by_holiday(is_holiday: FloatArray, wanted: FloatArray) -> FloatArray:
    return np.where(is_holiday == wanted, np.float32(1), np.float32(_OTHER_HOLIDAY))


def _drawn_mean(weights: FloatArray, sold: FloatArray, *, towards: FloatArray, prior: float) -> FloatArray:
    """Return the weighted mean of every row, drawn to `towards` as by so many more periods."""
    total = np.einsum("ij,ij->i", weights, sold)
    drawn: FloatArray = (total + prior * towards) / (weights.sum(axis=1) + prior)
    return drawn.astype(np.float32)
