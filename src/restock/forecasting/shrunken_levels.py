"""A series' level shrunk toward its peers, times the day's factors of its groups: much from a few weeks of history.

The pattern of the days comes from the groups that a series belongs to (`day_factors`). The series adds its level:
exponentially weighted, freed of what its group's days had in common, shrunk to what peers and its long-run volatility
let expect, and moved by the recent trend of its sku over all locations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.day_factors import day_factors, finer_weekday_factors, group_index, phase_factors

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Integers = NDArray[np.integer]

# Below it a prior level says nothing about how many periods it is worth, units per period.
_SMALLEST_PRIOR_UNITS = 0.02
# Keeps logarithms finite; the smallest volatility of a real series is far above it, units squared.
_SMALLEST_VOLATILITY = 1e-6


@dataclass(frozen=True, kw_only=True)
class LevelMemory:
    """How a level is read from history; the defaults are those of docs/forecasting.md.

    Attributes:
        decay: share by which a period counts less than the one after it, 0-1.
        prior_periods: how many periods the prior level is worth.
        prior_units: sales that it is worth besides, so that a slow series leans on it more.
        prior_share: part of the prior that `prior_levels` give where they are known, peers the rest, 0-1.
        drift_decay: the same as `decay`, for the level of a group.
        trend_decay: the same, for the sku over all locations.
        trend_prior_units: sales that a sku without trend is worth.
        item_prior_units: sales that a sku's weekday factor of 1 is worth.
        series_prior_units: sales that a series' own weekday factor of 1 is worth.
    """

    decay: float = 0.06
    prior_periods: float = 5.0
    prior_units: float = 4.0
    prior_share: float = 0.7
    drift_decay: float = 0.05
    trend_decay: float = 0.15
    trend_prior_units: float = 60.0
    item_prior_units: float = 300.0
    series_prior_units: float = 500.0


def forecast_levels(
    sales: Floats,
    *,
    n_ahead: int,
    weekdays: Integers,
    is_event: NDArray[np.bool_],
    groups: Codes,
    items: Codes,
    peers: Codes,
    phases: Integers | None = None,
    prior_levels: Floats | None = None,
    memory: LevelMemory = LevelMemory(),
) -> Floats:
    """Return mean demand of the periods after the last one, shape (n_series, n_ahead), units.

    Args:
        sales: shape (n_series, n_periods), units; of the future only weekdays, events and phases are read.
        n_ahead: periods to forecast.
        weekdays: shape (n_periods + n_ahead,), 0 to 6.
        is_event: shape (n_groups, n_periods + n_ahead): days such as those of food stamps, known ahead.
        groups: shape (n_series,), group whose days are estimated, such as location x category.
        items: shape (n_series,), the sku; its own weekdays and its trend are estimated beside the group's.
        peers: shape (n_series,), series whose mean level a level is shrunk to.
        phases: shape (n_periods + n_ahead,), part of the month; None = no monthly pattern.
        prior_levels: shape (n_series,), units per period that are expected before history is seen, such as
            `levels_of_volatility`; None = peers alone.
        memory: how levels are read.

    Source: levels as in Brown (1959), Statistical Forecasting for Inventory Control, shrunk as in Robbins (1956).
    """
    n_groups, n_periods = len(is_event), sales.shape[1]
    factors = day_factors(sales, weekdays=weekdays, is_event=is_event, groups=groups)[groups]
    own = np.arange(len(sales), dtype=np.intp)
    for finer, units in ((items, memory.item_prior_units), (own, memory.series_prior_units)):
        factors = factors * finer_weekday_factors(sales, factors, weekdays=weekdays, groups=finer, prior_units=units)
    if phases is not None:
        factors = factors * phase_factors(sales, factors, phases=phases, groups=groups, n_groups=n_groups)[groups]
    drift = group_index(sales, factors, groups=groups, n_groups=n_groups)
    drift = drift / _weighted_mean(drift, memory.drift_decay)[:, None]
    past = factors[:, :n_periods] * drift[groups]
    level = _shrunken_level(sales, past, peers=peers, prior_levels=prior_levels, memory=memory)
    level = level * _item_trend(sales, level[:, None] * past, items=items, memory=memory)
    return level[:, None] * factors[:, n_periods : n_periods + n_ahead]


def levels_of_volatility(volatility: Floats, levels: Floats, *, groups: Codes) -> Floats:
    """Return the level that series of such a volatility have in their group; shape (n_series,), units per period.

    A Poisson regression of the level on the logarithm of the volatility and its square, one a group. The volatility of
    years tells of the level before the few weeks that are at hand: for a Poisson it is twice the rate.

    Args:
        volatility: shape (n_series,), mean squared difference from one period to the next, units squared; above 0, and
            of no period after the last one known.
        levels: shape (n_series,), mean sales of the periods at hand, units.
        groups: shape (n_series,), codes from 0, such as the category.

    Source: McCullagh and Nelder (1989), Generalized Linear Models, chapter 6.
    """
    from sklearn.linear_model import PoissonRegressor

    logarithm = np.log(np.maximum(volatility, _SMALLEST_VOLATILITY))
    expected = np.zeros(len(levels))
    for group in np.unique(groups):
        rows = groups == group
        if levels[rows].sum() == 0:
            continue
        centred = logarithm[rows] - logarithm[rows].mean()
        explanatory = np.stack([centred, centred**2], axis=1) / max(float(centred.std()), 1e-9) ** np.array([1, 2])
        fitted = PoissonRegressor(alpha=1e-6, max_iter=500, tol=1e-6).fit(explanatory, levels[rows])
        expected[rows] = fitted.predict(explanatory)
    return expected


def _shrunken_level(
    sales: Floats, factors: Floats, *, peers: Codes, prior_levels: Floats | None, memory: LevelMemory
) -> Floats:
    """Return the level of every series at the end, units per period of factor 1; shape (n_series,)."""
    weights = _weights(sales.shape[1], memory.decay)
    own = (sales @ weights) / np.maximum(factors @ weights, 1e-9)
    prior = (np.bincount(peers, own) / np.maximum(np.bincount(peers), 1))[peers]
    if prior_levels is not None:
        prior = (1 - memory.prior_share) * prior + memory.prior_share * prior_levels
    n_effective = weights.sum() ** 2 / (weights**2).sum()
    worth = memory.prior_periods + memory.prior_units / np.maximum(prior, _SMALLEST_PRIOR_UNITS)
    return np.asarray((n_effective * own + worth * prior) / (n_effective + worth))


def _item_trend(sales: Floats, expected: Floats, *, items: Codes, memory: LevelMemory) -> Floats:
    """Return what each series' sku sold lately over all locations beside `expected`; shape (n_series,), about 1."""
    weights = _weights(sales.shape[1], memory.trend_decay)
    sold, would = (np.bincount(items, of @ weights) + memory.trend_prior_units for of in (sales, expected))
    return np.asarray((sold / would)[items])


def _weights(n_periods: int, decay: float) -> Floats:
    return np.asarray((1 - decay) ** np.arange(n_periods - 1, -1, -1.0))


def _weighted_mean(values: Floats, decay: float) -> Floats:
    weights = _weights(values.shape[1], decay)
    return np.asarray((values @ weights) / weights.sum())


def count_dispersion(sales: Floats, expected: Floats, *, groups: Codes, prior_periods: float = 15.0) -> Floats:
    """Return variance / mean of each series' counts about what is expected, shrunk to its group; shape (n_series,).

    Args:
        sales: shape (n_series, n_periods), units, at least 2 periods.
        expected: same shape, units; with the same mean as the sales, which costs one degree of freedom.
        groups: shape (n_series,), such as location x category.
        prior_periods: how many periods the group's dispersion is worth.

    Source: the moment estimate of McCullagh and Nelder (1989), Generalized Linear Models, section 6.2.3.
    """
    n_periods = sales.shape[1]
    squares = ((sales - expected) ** 2).sum(axis=1) * (n_periods / (n_periods - 1))
    own = squares / np.maximum(expected.sum(axis=1), _SMALLEST_PRIOR_UNITS * n_periods)
    of_group = (np.bincount(groups, own) / np.maximum(np.bincount(groups), 1))[groups]
    return np.asarray((n_periods * own + prior_periods * of_group) / (n_periods + prior_periods))


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
