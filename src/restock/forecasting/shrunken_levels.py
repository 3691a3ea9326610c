"""A series' level shrunk toward its peers, times the day's factors of its groups: much from a few weeks of history.

With eight weeks of an intermittent series most of what looks like its own weekday pattern is luck. Here the pattern
comes from the groups that a series belongs to, and the series adds its level, exponentially weighted and shrunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Integers = NDArray[np.integer]

# Kept above zero, so that a group that never sold has factors of 1, units per period.
_SMALLEST_BASE_UNITS = 0.05
_FIT_ROUNDS = 3
# How much a period counts less than the next one when factors are estimated.
_FACTOR_DECAY = 0.99


@dataclass(frozen=True, kw_only=True)
class LevelMemory:
    """How a level is read from history.

    Attributes:
        decay: share by which a period counts less than the one after it, 0-1.
        prior_periods: how many periods the peers' level is worth.
    """

    decay: float
    prior_periods: float


# A short and a long memory err at different times; their mean is better than either on every window that was tried.
MEMORIES = (LevelMemory(decay=0.03, prior_periods=2.0), LevelMemory(decay=0.1, prior_periods=4.0))


def forecast_levels(
    sales: Floats,
    *,
    n_ahead: int,
    weekdays: Integers,
    is_event: NDArray[np.bool_],
    groups: Codes,
    items: Codes,
    peers: Codes,
    item_prior_units: float = 100.0,
    memories: Sequence[LevelMemory] = MEMORIES,
) -> Floats:
    """Return mean demand of the periods after the last one, shape (n_series, n_ahead), units.

    Args:
        sales: shape (n_series, n_periods), units; nothing else of the future is read than weekdays and events.
        n_ahead: periods to forecast.
        weekdays: shape (n_periods + n_ahead,), 0 to 6.
        is_event: shape (n_groups, n_periods + n_ahead): days such as those of food stamps, known ahead.
        groups: shape (n_series,), group whose weekdays and events are estimated, such as location x category.
        items: shape (n_series,), the sku; its own weekdays are estimated beside the group's.
        peers: shape (n_series,), series whose mean level a level is shrunk to.
        item_prior_units: sales that a sku's weekday factor of 1 is worth.
        memories: levels to average.

    Source: levels as in Brown (1959), Statistical Forecasting for Inventory Control, shrunk as in Robbins (1956).
    """
    factors = day_factors(sales, weekdays=weekdays, is_event=is_event, groups=groups)[groups]
    factors = factors * _item_factors(sales, factors, weekdays=weekdays, items=items, prior_units=item_prior_units)
    n_periods = sales.shape[1]
    levels = [_shrunken_level(sales, factors[:, :n_periods], peers=peers, memory=memory) for memory in memories]
    level: Floats = np.mean(np.stack(levels), axis=0)
    return level[:, None] * factors[:, n_periods : n_periods + n_ahead]


def day_factors(sales: Floats, *, weekdays: Integers, is_event: NDArray[np.bool_], groups: Codes) -> Floats:
    """Return the factor of every group and period, weekday times event; shape (n_groups, n_periods + n_ahead).

    Both are ratios of sales to the mean of the week around them, fitted in turn, a pseudo-period of 1 beside them.
    """
    n_groups, n_periods = len(is_event), sales.shape[1]
    total = np.stack([np.bincount(groups, column, minlength=n_groups) for column in sales.T], axis=1)
    expected = np.stack([total[:, max(0, period - 3) : period + 4].mean(axis=1) for period in range(n_periods)], axis=1)
    weights = _FACTOR_DECAY ** np.arange(n_periods - 1, -1, -1.0)
    base = (total * weights).sum(axis=1) / weights.sum() + _SMALLEST_BASE_UNITS
    weekday_factor, event_factor = np.ones((n_groups, 7)), np.ones((n_groups, 2))
    event = is_event.astype(np.intp)

    def ratio(of_days: NDArray[np.bool_], without: Floats) -> Floats:
        sold = (total * weights * of_days).sum(axis=1) + base
        would = (expected * without * weights * of_days).sum(axis=1) + base
        return np.asarray(sold / would)

    for _ in range(_FIT_ROUNDS):
        by_event = np.take_along_axis(event_factor, event[:, :n_periods], axis=1)
        for weekday in range(7):
            weekday_factor[:, weekday] = ratio(np.asarray(weekdays[:n_periods] == weekday)[None, :], by_event)
        by_weekday = weekday_factor[:, weekdays[:n_periods]]
        for kind in range(2):
            event_factor[:, kind] = ratio(event[:, :n_periods] == kind, by_weekday)
    return weekday_factor[:, weekdays] * np.take_along_axis(event_factor, event, axis=1)


def _item_factors(sales: Floats, factors: Floats, *, weekdays: Integers, items: Codes, prior_units: float) -> Floats:
    """Return what a sku's weekdays add to those of its series' groups; shape (n_series, n_periods + n_ahead)."""
    n_items, n_periods = int(items.max()) + 1, sales.shape[1]
    expected = sales.mean(axis=1, keepdims=True) * factors[:, :n_periods]
    ratio = np.ones((n_items, 7))
    for weekday in range(7):
        days = np.asarray(weekdays[:n_periods] == weekday)
        sold = np.bincount(items, sales[:, days].sum(axis=1), minlength=n_items)
        would = np.bincount(items, expected[:, days].sum(axis=1), minlength=n_items)
        ratio[:, weekday] = (sold + prior_units) / (would + prior_units)
    return ratio[items][:, weekdays]


def _shrunken_level(sales: Floats, factors: Floats, *, peers: Codes, memory: LevelMemory) -> Floats:
    """Return the level of every series at the end, units per period of factor 1; shape (n_series,)."""
    weights = (1 - memory.decay) ** np.arange(sales.shape[1] - 1, -1, -1.0)
    own = (sales * weights).sum(axis=1) / np.maximum((factors * weights).sum(axis=1), 1e-9)
    of_peers = (np.bincount(peers, own) / np.maximum(np.bincount(peers), 1))[peers]
    n_effective = weights.sum() ** 2 / (weights**2).sum()
    return np.asarray((own * n_effective + memory.prior_periods * of_peers) / (n_effective + memory.prior_periods))


def count_quantiles(mean: Floats, dispersion: Floats, *, quantiles: Sequence[float]) -> Floats:
    """Return quantiles of negative binomial counts, with the point mass at zero that they have.

    Args:
        mean: shape (n_series, n_ahead), units.
        dispersion: shape (n_series,): variance / mean, above 1; 1 and below is taken as a Poisson's.
        quantiles: levels.

    Returns:
        shape (n_series, n_ahead, n_quantiles), whole units. Assumes counts.
    """
    from scipy.stats import nbinom  # type: ignore[import-untyped]  # scipy ships no types

    excess = np.maximum(dispersion, 1.01)[:, None, None]
    positive = np.maximum(mean, 1e-6)[..., None]
    return np.asarray(nbinom.ppf(np.asarray(quantiles), positive / (excess - 1), 1 / excess))
