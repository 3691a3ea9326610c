"""Weekly demand of the next three weeks: boosted corrections of a base forecast, and sample paths around them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln  # type: ignore[import-untyped]  # scipy ships no types

from restock.benchmarks.vn2_features import HORIZON, WeeklyFeatures, weekly_features
from restock.benchmarks.vn2_state import WeeklySales

Floats = NDArray[np.float64]

FIRST_ORIGIN = 30  # weeks: with less before it, a cutoff tells little of levels
MIN_MEAN_UNITS = 0.02
# One thread each, and the models beside each other: no waiting for a busy core, and the same trees on any machine.
_THREADS = 1
# Each model learns from every second row, and again from the others: no more work, and the seed matters less.
_PARTS = 2
_SHARED: dict[str, Any] = {
    "eta": 0.05,
    "min_child_weight": 20,
    "subsample": 0.6,
    "colsample_bytree": 0.4,
    "reg_lambda": 5,
    "tree_method": "hist",
    "max_bin": 64,
    "max_delta_step": 0.7,
    "nthread": _THREADS,
}
# A heavy tail suits many small series, a light one the few large ones; the mean of both costs less than either.
_MODELS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"objective": "reg:tweedie", "tweedie_variance_power": 1.5, "max_depth": 6, "colsample_bytree": 0.3}, 180),
    ({"objective": "count:poisson", "max_depth": 6, "colsample_bytree": 0.3}, 250),
)
# Variance / mean of a week's demand.
_RATIOS = np.array([1.02, 1.1, 1.25, 1.45, 1.7, 2.1, 2.7, 3.6, 5.0, 8.0, 13.0, 22.0, 35.0, 60.0])
_RATIO_WEEKS = 65
_RATIO_DECAY = 0.98
_RATIO_ROUNDS = 5
_RATIO_BANDWIDTH = 0.4  # of log units
_RATIO_FLOOR = 0.05
# The base forecast's errors are wider than the boosted one's; this share of the excess fitted the replayed cost best.
_EXCESS_SHARE = 0.5
_COMMON_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class FittedWeeks:
    """Boosted corrections of the base forecast, learned from weeks before a cutoff.

    Attributes:
        boosters: their forecasts are averaged.
    """

    boosters: tuple[Any, ...]

    def forecast(self, features: WeeklyFeatures) -> Floats:
        """Return expected demand, shape (n_series, HORIZON), units."""
        import xgboost

        n_series = len(features.base_units)
        matrix = xgboost.DMatrix(
            features.values.reshape(n_series * HORIZON, -1),
            base_margin=np.log(features.base_units).reshape(-1),
            nthread=_THREADS,
        )
        mean = np.mean([booster.predict(matrix) for booster in self.boosters], axis=0, dtype=np.float64)
        return np.maximum(mean.reshape(n_series, HORIZON), MIN_MEAN_UNITS)


def all_features(history: WeeklySales) -> dict[int, WeeklyFeatures]:
    """Return the features at every cutoff from `FIRST_ORIGIN` weeks to all weeks, by how many weeks are known."""
    return {n_weeks: weekly_features(history.until(n_weeks)) for n_weeks in range(FIRST_ORIGIN, history.n_weeks + 1)}


def fit_weeks(history: WeeklySales, features: Mapping[int, WeeklyFeatures], *, cutoff: int, seed: int) -> FittedWeeks:
    """Return models learned from the first `cutoff` weeks alone.

    Args:
        history: sales; weeks after the cutoff are not read.
        features: by how many weeks are known.
        cutoff: weeks.
        seed: of the trees' samples.
    """
    import xgboost

    rows, units, bases = [], [], []
    for n_weeks in range(FIRST_ORIGIN, cutoff):
        known = features[n_weeks]
        has_begun = history.is_in_stock[:, :n_weeks].any(axis=1)
        for ahead in range(min(HORIZON, cutoff - n_weeks)):
            is_demand = history.is_in_stock[:, n_weeks + ahead] & has_begun
            rows.append(known.values[is_demand, ahead])
            units.append(history.sales_units[is_demand, n_weeks + ahead])
            bases.append(known.base_units[is_demand, ahead])
    values, sold, margin = np.concatenate(rows), np.concatenate(units), np.log(np.concatenate(bases))

    def fit(place: int) -> Any:
        own, rounds = _MODELS[place % len(_MODELS)]
        half = slice(place // len(_MODELS), None, _PARTS)
        matrix = xgboost.QuantileDMatrix(
            values[half], sold[half], base_margin=margin[half], max_bin=_SHARED["max_bin"], nthread=_THREADS
        )
        return xgboost.train({**_SHARED, **own, "seed": seed + place}, matrix, rounds)

    with ThreadPoolExecutor(2) as pool:
        return FittedWeeks(boosters=tuple(pool.map(fit, range(_PARTS * len(_MODELS)))))


def variance_ratios(history: WeeklySales, features: Mapping[int, WeeklyFeatures], *, cutoff: int) -> Floats:
    """Return variance / mean of each series' weekly demand, > 1, from the base forecast's errors three weeks ahead.

    The likelihood of a negative binomial on a grid of ratios, recent weeks weighing more; the prior of a series is what
    series of similar sales have (empirical Bayes), so one wild week does not make a series wild.

    Args:
        history: sales; weeks after the cutoff are not read.
        features: by how many weeks are known.
        cutoff: weeks.
    """
    likelihood = np.zeros((len(history.sales_units), len(_RATIOS)))
    last = cutoff - HORIZON
    for n_weeks in range(max(FIRST_ORIGIN, last - _RATIO_WEEKS), last + 1):
        target = n_weeks + HORIZON - 1
        mean = np.maximum(features[n_weeks].base_units[:, -1], 0.05)
        week = _log_likelihood(history.sales_units[:, target], mean)
        is_demand = history.is_in_stock[:, target]
        likelihood += np.where(is_demand[:, None], week, 0.0) * _RATIO_DECAY ** (last - n_weeks)
    relative = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
    log_mean = np.log(features[cutoff].base_units[:, 0])
    nearness = np.exp(-0.5 * ((log_mean[:, None] - log_mean[None, :]) / _RATIO_BANDWIDTH) ** 2)
    prior = np.full(relative.shape, 1 / len(_RATIOS))
    posterior = prior
    for _ in range(_RATIO_ROUNDS):
        posterior = _to_shares(relative * prior)
        prior = (1 - _RATIO_FLOOR) * _to_shares(nearness @ posterior) + _RATIO_FLOOR / len(_RATIOS)
    found: Floats = np.exp(posterior @ np.log(_RATIOS))
    return found


def demand_paths(mean: Floats, ratio: Floats, *, n_paths: int, rng: np.random.Generator) -> Floats:
    """Return sampled weekly demand, shape (n_series, n_weeks, n_paths), whole units.

    Poisson demand whose mean is multiplied by two gamma factors of mean 1: one of the week, one common to all weeks of
    a path, as errors of a level last. One week alone is about negative binomial.

    Args:
        mean: shape (n_series, n_weeks), units a week, > 0.
        ratio: shape (n_series,), variance / mean of the base forecast's errors, > 1; a share of the excess is taken.
        n_paths: how many.
        rng: random numbers.
    """
    excess = np.maximum(_EXCESS_SHARE * (ratio - 1), 0.01)[:, None] / mean
    own = ((1 - _COMMON_SHARE) * excess)[:, :, None]
    common = (_COMMON_SHARE * excess).mean(axis=1)[:, None, None]
    n_series, n_weeks = mean.shape
    factor = rng.gamma(1 / own, own, (n_series, n_weeks, n_paths)) * rng.gamma(
        1 / common, common, (n_series, 1, n_paths)
    )
    return rng.poisson(mean[:, :, None] * factor).astype(np.float64)


def _log_likelihood(units: Floats, mean: Floats) -> Floats:
    """Return the log likelihood of units at every ratio but for what all ratios share, shape (n_series, n_ratios)."""
    sold = units[:, None]
    size = mean[:, None] / (_RATIOS - 1)
    found: Floats = (
        gammaln(sold + size) - gammaln(size) - size * np.log(_RATIOS) + sold * np.log((_RATIOS - 1) / _RATIOS)
    )
    return found


def _to_shares(weights: Floats) -> Floats:
    found: Floats = weights / weights.sum(axis=1, keepdims=True)
    return found
