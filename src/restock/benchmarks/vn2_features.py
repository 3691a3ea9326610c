"""What is known of weekly series at a cutoff: a base forecast (level x season) and features relative to it.

Weeks out of stock are unknown, before any mean or factor. Everything of a cutoff is computed from the weeks before it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from restock.benchmarks.vn2_state import WeeklySales

Floats = NDArray[np.float64]

HORIZON = 3
SEASON_WEEKS = 52
# Each group's factors are pulled to those of the group above it by so many units of sales.
_SEASON_GROUPS = (("DepartmentGroup", 200.0), ("Department", 100.0), ("ProductGroup", 60.0), ("Product", 60.0))
_SEASON_PRIOR_UNITS = 50.0
_BASE_GROUP = 2  # ProductGroup's factors make the base forecast
_MIN_FACTOR = 0.15
_MIN_LEVEL_UNITS = 0.05
_LEVEL_WEEKS = 110
_ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.4)
_BASE_WEIGHTS = {0.05: 0.6, 0.1: 0.4}
_LOG_OFFSET = 0.15
_TREND_UNITS = 4.0
_LAST_YEAR_UNITS = 3.0
_TRENDS = (("Product", (1, 4, 13)), ("Store", (1, 4, 13)), ("ProductGroup", (4,)), ("Department", (1, 4)))
_FEAST_WEEKS = 8


@dataclass(frozen=True, kw_only=True)
class WeeklyFeatures:
    """Features of every series at one cutoff, for the weeks 1 to `HORIZON` after it.

    Attributes:
        values: shape (n_series, HORIZON, n_features).
        base_units: shape (n_series, HORIZON), a forecast: level x season, > 0.
    """

    values: NDArray[np.float32]
    base_units: Floats


def week_of_year(first_week: date, n_weeks: int) -> NDArray[np.int64]:
    """Return the ISO week, 1 to 53, of so many weeks from the first on."""
    return np.array([(first_week + timedelta(weeks=week)).isocalendar().week for week in range(n_weeks)])


def weeks_until(first_week: date, n_weeks: int, *, feast: Callable[[int], date]) -> NDArray[np.int64]:
    """Return how many weeks lie between each week and the nearest feast, at most 8 either way; 0 is its own week.

    Args:
        first_week: a Monday.
        n_weeks: how many weeks from it on.
        feast: its day in a year.
    """
    found = []
    for week in range(n_weeks):
        monday = first_week + timedelta(weeks=week)
        away = [(feast(monday.year + year) - monday).days // 7 for year in (-1, 0, 1)]
        found.append(min(away, key=abs))
    return np.array([max(-_FEAST_WEEKS, min(_FEAST_WEEKS, weeks)) for weeks in found])


def nth_sunday(year: int, month: int, n: int) -> date:
    """Return the n-th Sunday of a month.

    Example:
        >>> nth_sunday(2024, 5, 2)
        datetime.date(2024, 5, 12)
    """
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (n - 1))


def seasonal_factors(history: WeeklySales) -> list[Floats]:
    """Return sales of every ISO week / the level around it: of all series, then of each level of groups.

    A week's factor is its sales / what the year around it would have sold evenly, pulled to the group above it.

    Returns:
        For all, DepartmentGroup, Department, ProductGroup and Product: shape (n_series, 54), by ISO week.
    """
    n_weeks = history.n_weeks
    is_known = history.is_in_stock
    units = np.where(is_known, history.sales_units, 0.0)
    expected = np.where(is_known, _yearly_level(units, is_known), 0.0)
    of_week = np.zeros((n_weeks, 54))
    of_week[np.arange(n_weeks), week_of_year(history.first_week, n_weeks)] = 1
    sold, even = units @ of_week, expected @ of_week
    factor = (sold.sum(0) + _SEASON_PRIOR_UNITS) / (even.sum(0) + _SEASON_PRIOR_UNITS)
    above = np.broadcast_to(factor, (len(units), 54))
    factors = [above]
    for name, prior_units in _SEASON_GROUPS:
        code = history.codes[name]
        above = (sum_by(sold, code)[code] + prior_units * above) / (sum_by(even, code)[code] + prior_units)
        factors.append(above)
    return factors


def _yearly_level(units: Floats, is_known: NDArray[np.bool_]) -> Floats:
    """Return the mean of the known weeks among the 53 around each week; at the ends, of the nearest 53."""
    n_weeks = units.shape[1]
    half = SEASON_WEEKS // 2
    week = np.arange(n_weeks)
    start = np.clip(week - half, 0, max(0, n_weeks - SEASON_WEEKS - 1))
    end = np.minimum(start + SEASON_WEEKS + 1, n_weeks)
    sums = np.concatenate([np.zeros((len(units), 1)), units.cumsum(1)], axis=1)
    counts = np.concatenate([np.zeros((len(units), 1)), is_known.cumsum(1)], axis=1)
    found: Floats = (sums[:, end] - sums[:, start]) / np.maximum(counts[:, end] - counts[:, start], 1)
    return found


def sum_by(values: Floats, code: NDArray[np.int64]) -> Floats:
    """Return the sums of the rows of each code, shape (n_codes, ...)."""
    sums = np.zeros((int(code.max()) + 1, *values.shape[1:]))
    np.add.at(sums, code, values)
    return sums


def weekly_features(history: WeeklySales) -> WeeklyFeatures:
    """Return the features of the weeks after the last one of `history`; every value is from its weeks alone."""
    with warnings.catch_warnings():
        # A series that was never in stock in a window has no mean there: NaN, which trees read as unknown.
        warnings.simplefilter("ignore", category=RuntimeWarning)
        return _weekly_features(history)


def _weekly_features(history: WeeklySales) -> WeeklyFeatures:
    n_weeks = history.n_weeks
    week = week_of_year(history.first_week, n_weeks + HORIZON)
    factors = seasonal_factors(history)
    base_factor = factors[_BASE_GROUP + 1]
    sales = np.where(history.is_in_stock, history.sales_units, np.nan)
    level_sales = sales / np.maximum(base_factor[:, week[:n_weeks]], _MIN_FACTOR)
    levels = {alpha: smoothed_level(level_sales, alpha) for alpha in _ALPHAS}
    level = np.maximum(sum(weight * levels[alpha] for alpha, weight in _BASE_WEIGHTS.items()), _MIN_LEVEL_UNITS)
    always = [
        np.log(level),
        *(_log_ratio(levels[alpha], level) for alpha in _ALPHAS),
        *_own_features(history, sales, level_sales=level_sales, level=level),
        *_trend_features(history.codes, level_sales, level=level),
        *(history.codes[name] for name in history.codes),
    ]
    feasts = [
        weeks_until(history.first_week, n_weeks + HORIZON, feast=feast)
        for feast in (
            lambda year: nth_sunday(year, 5, 2),  # Mother's Day
            lambda year: nth_sunday(year, 6, 3),  # Father's Day
            lambda year: date(year, 12, 24),
        )
    ]
    values, base = [], []
    for ahead in range(HORIZON):
        target = n_weeks + ahead
        factor = base_factor[:, week[target]]
        of_target = [
            *_last_year_features(history.codes, sales, target=target, factor=factor),
            np.log(factor),
            *(
                np.log(other[:, week[target]] / factor)
                for place, other in enumerate(factors)
                if place != _BASE_GROUP + 1
            ),
            np.log(base_factor[:, week[n_weeks - 1]] / factor),
            np.log(level * factor),
            *(np.full(len(level), number) for number in (ahead, week[target], *(feast[target] for feast in feasts))),
        ]
        values.append(np.stack([*always, *of_target], axis=1))
        base.append(level * factor)
    return WeeklyFeatures(values=np.stack(values, axis=1).astype(np.float32), base_units=np.stack(base, axis=1))


def smoothed_level(values: Floats, alpha: float) -> Floats:
    """Return exponentially weighted means of the known values of every row, 0 where none is known."""
    recent = values[:, -_LEVEL_WEEKS:]
    weight = (1 - alpha) ** np.arange(recent.shape[1])[::-1]
    is_known = ~np.isnan(recent)
    found: Floats = (np.where(is_known, recent, 0) @ weight) / np.maximum(is_known @ weight, 1e-9)
    return found


def _own_features(
    history: WeeklySales, sales: Floats, *, level_sales: Floats, level: Floats
) -> list[NDArray[np.floating]]:
    """Return what a series' own past tells: last weeks, means, spread, silence, age, weeks out of stock."""
    year, last_year = level_sales[:, -SEASON_WEEKS:], sales[:, -SEASON_WEEKS:]
    mean = np.nanmean(year, axis=1, keepdims=True)
    pairs = np.nansum((year[:, 1:] - mean) * (year[:, :-1] - mean), axis=1)
    is_known = history.is_in_stock
    n_weeks = history.n_weeks
    has_sold = history.sales_units > 0
    silence = np.where(has_sold.any(1), np.argmax(has_sold[:, ::-1], axis=1), n_weeks)
    sold_share = np.where(np.isnan(last_year), np.nan, last_year == 0)
    return [
        *(_log_ratio(level_sales[:, -back], level) for back in range(1, 5)),
        *(_log_ratio(np.nanmean(level_sales[:, -weeks:], axis=1), level) for weeks in (4, 13)),
        _log_ratio(np.nanmean(last_year, axis=1), level),
        _log_ratio(np.nanmax(level_sales[:, -13:], axis=1), level),
        _log_ratio(np.nanmax(year, axis=1), level),
        _log_ratio(np.nanmedian(level_sales[:, -26:], axis=1), level),
        _log_ratio(np.nanpercentile(year, 75, axis=1), level),
        np.nanmean(sold_share[:, -13:], axis=1),
        np.nanmean(sold_share, axis=1),
        np.nansum(last_year, axis=1) / np.maximum((np.nan_to_num(last_year) > 0).sum(1), 1),
        np.nanvar(year, axis=1) / level,
        pairs / np.maximum(np.nansum((year - mean) ** 2, axis=1), 0.1),
        np.minimum(silence, 40).astype(np.float64),
        np.minimum(n_weeks - np.argmax(is_known, axis=1), _LEVEL_WEEKS).astype(np.float64),
        *(1 - is_known[:, -weeks:].mean(1) for weeks in (1, 4, SEASON_WEEKS)),
    ]


def _trend_features(codes: dict[str, NDArray[np.int64]], level_sales: Floats, *, level: Floats) -> list[Floats]:
    """Return how groups sold of late beside their series' levels, and the groups' own levels."""
    units, is_known = np.nan_to_num(level_sales), (~np.isnan(level_sales)).astype(np.float64)
    everything = np.zeros(len(level), dtype=np.int64)
    found = []
    groups: Sequence[tuple[NDArray[np.int64], tuple[int, ...]]] = [
        *((codes[name], spans) for name, spans in _TRENDS),
        (everything, (1, 2, 4, 13)),
    ]
    for code, spans in groups:
        for span in spans:
            sold = sum_by(units[:, -span:].sum(1), code)
            expected = sum_by(is_known[:, -span:].sum(1) * level, code)
            found.append(np.log((sold + _TREND_UNITS) / (expected + _TREND_UNITS))[code])
    for name in ("Product", "Store", "ProductGroup"):
        code = codes[name]
        mean = sum_by(units[:, -13:].sum(1), code) / np.maximum(sum_by(is_known[:, -13:].sum(1), code), 1)
        found.append(_log_ratio(mean[code], level))
    return found


def _last_year_features(
    codes: dict[str, NDArray[np.int64]], sales: Floats, *, target: int, factor: Floats
) -> list[Floats]:
    """Return sales of the same week of last year / the level around it, beside the season's factor; logarithms."""
    n_series, n_weeks = sales.shape
    place = target - SEASON_WEEKS
    if place < 1:
        return [np.full(n_series, np.nan)] * 4
    level = np.nanmean(sales[:, max(0, place - 26) : min(n_weeks, place + 27)], axis=1)
    near = sales[:, place - 1 : place + 2]
    sold = np.nan_to_num(near[:, 1])
    even = np.where(np.isnan(near[:, 1]), 0.0, np.nan_to_num(level))
    found = [_log_ratio(near[:, 1], level), _log_ratio(np.nanmean(near, axis=1), level)]
    for name in ("Product", "Department"):
        code = codes[name]
        ratio = (sum_by(sold, code) + _LAST_YEAR_UNITS) / (sum_by(even, code) + _LAST_YEAR_UNITS)
        found.append(np.log(ratio)[code])
    return [values - np.log(factor) for values in found]


def _log_ratio(values: Floats, level: Floats) -> Floats:
    found: Floats = np.log((values + _LOG_OFFSET) / (level + _LOG_OFFSET))
    return found
