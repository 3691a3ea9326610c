"""What a day multiplies a series' level by: weekday, events, the part of the month, each from groups of series.

With a few weeks of an intermittent series most of what looks like its own pattern is luck. So a pattern is estimated on
totals of groups, and what a sku or a series adds to it is shrunk to nothing by a number of units.
"""

from __future__ import annotations

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
# Periods that a factor of 1 is worth beside those of a part of the month.
_PHASE_PRIOR_PERIODS = 7.0
# Units that an index of 1 is worth beside a group's total of one period.
_DRIFT_PRIOR_UNITS = 1.0


def day_factors(sales: Floats, *, weekdays: Integers, is_event: NDArray[np.bool_], groups: Codes) -> Floats:
    """Return the factor of every group and period, weekday times event; shape (n_groups, n_periods + n_ahead).

    Both are ratios of sales to the mean of the week around them, fitted in turn, a pseudo-period of 1 beside them.

    Args:
        sales: shape (n_series, n_periods), units.
        weekdays: shape (n_periods + n_ahead,), 0 to 6.
        is_event: shape (n_groups, n_periods + n_ahead).
        groups: shape (n_series,).
    """
    n_groups, n_periods = len(is_event), sales.shape[1]
    total = group_totals(sales, groups, n_groups=n_groups)
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


def finer_weekday_factors(
    sales: Floats, factors: Floats, *, weekdays: Integers, groups: Codes, prior_units: float
) -> Floats:
    """Return what the weekdays of finer groups add to `factors`; shape (n_series, n_periods + n_ahead).

    Args:
        sales: shape (n_series, n_periods), units.
        factors: shape (n_series, n_periods + n_ahead), those already known.
        weekdays: shape (n_periods + n_ahead,), 0 to 6.
        groups: shape (n_series,), such as the sku, or each series on its own.
        prior_units: sales that a factor of 1 is worth.
    """
    n_groups, n_periods = int(groups.max()) + 1, sales.shape[1]
    expected = expected_sales(sales, factors[:, :n_periods])
    ratio = np.ones((n_groups, 7))
    for weekday in range(7):
        days = np.asarray(weekdays[:n_periods] == weekday)
        sold = np.bincount(groups, sales[:, days].sum(axis=1), minlength=n_groups)
        would = np.bincount(groups, expected[:, days].sum(axis=1), minlength=n_groups)
        ratio[:, weekday] = (sold + prior_units) / (would + prior_units)
    return ratio[groups][:, weekdays]


def phase_factors(sales: Floats, factors: Floats, *, phases: Integers, groups: Codes, n_groups: int) -> Floats:
    """Return the factor of the part of the month of every group; shape (n_groups, n_periods + n_ahead).

    Slower than a week, so beside the mean of the whole history: a trend in it is taken for the phase in part, which the
    pseudo-periods of 1 hold down.

    Args:
        sales: shape (n_series, n_periods), units.
        factors: shape (n_series, n_periods + n_ahead), those already known.
        phases: shape (n_periods + n_ahead,), codes from 0, such as the half of the month.
        groups: shape (n_series,), codes below `n_groups`.
        n_groups: how many groups there are.
    """
    index = group_index(sales, factors, groups=groups, n_groups=n_groups)
    n_periods = sales.shape[1]
    factor = np.ones((n_groups, int(phases.max()) + 1))
    for phase in range(factor.shape[1]):
        days = np.asarray(phases[:n_periods] == phase)
        factor[:, phase] = (index[:, days].sum(axis=1) + _PHASE_PRIOR_PERIODS) / (days.sum() + _PHASE_PRIOR_PERIODS)
    return factor[:, phases]


def group_index(sales: Floats, factors: Floats, *, groups: Codes, n_groups: int) -> Floats:
    """Return what each group sold beside what `factors` and the mean levels explain; shape (n_groups, n_periods).

    Args:
        sales: shape (n_series, n_periods), units.
        factors: shape (n_series, n_periods or more).
        groups: shape (n_series,), codes below `n_groups`.
        n_groups: how many groups there are.

    Example:
        >>> sales = np.array([[4.0, 9.0]])
        >>> group_index(sales, np.array([[1.0, 2.0]]), groups=np.zeros(1, dtype=np.intp), n_groups=1).round(2)
        array([[0.94, 1.03]])
    """
    expected = expected_sales(sales, factors[:, : sales.shape[1]])
    sold, would = (group_totals(of, groups, n_groups=n_groups) for of in (sales, expected))
    return np.asarray((sold + _DRIFT_PRIOR_UNITS) / (would + _DRIFT_PRIOR_UNITS))


def group_totals(values: Floats, groups: Codes, *, n_groups: int) -> Floats:
    """Return the sums of the series of each group; shape (n_groups, n_periods)."""
    return np.stack([np.bincount(groups, column, minlength=n_groups) for column in values.T], axis=1)


def expected_sales(sales: Floats, factors: Floats) -> Floats:
    """Return what each period would have sold at the series' mean level; shape (n_series, n_periods), units."""
    level = sales.mean(axis=1, keepdims=True) / np.maximum(factors.mean(axis=1, keepdims=True), 1e-9)
    return np.asarray(level * factors)
