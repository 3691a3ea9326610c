"""The delay of each SCMS order line as a distribution: past delays, weighted for the line.

Two weightings, averaged: by likeness (same country, project and mode; the newer, the heavier) and by a boosted
classifier that tells how likely each class of delays is. So a distribution keeps the point mass on the scheduled day,
and quantiles and the chance of lateness belong to one another. Figures of what helped are in docs/replenishment.md.

Where most lines come exactly on the scheduled day, an interval that covers 80 % of the others covers more of all. So
the intervals of the warehouse lines are narrowed until about 80 % of all new lines are expected within theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.benchmarks.scms_features import day_numbers, is_from_warehouse, line_features, past_features

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

LEVELS = (0.1, 0.5, 0.9)
# Until late in 2009 nearly all warehouse lines were recorded as delivered on the scheduled day.
_RECORDED_FROM = date(2010, 1, 1)
_EPOCH = date(1970, 1, 1)
_FEWEST_LINES = 200
_LIKENESS_HALF_LIFE_DAYS = 2000.0
# What a past line counts more for each likeness.
_SAME_COUNTRY, _SAME_PROJECT, _SAME_COUNTRY_AND_MODE = 1.5, 1.5, 0.9
# Upper borders of the classes of delays, days.
_BORDERS = np.array([-60, -35, -21, -14, -8, -4, -1, 0, 3, 7, 14, 25, 45])
_RATE, _THREADS = 0.05, 2
# Share of all new lines that are to lie within their intervals, and how far these are narrowed at most for it.
_WANTED_COVERAGE = 0.81
_NARROWING = np.linspace(1.0, 0.5, 11)


@dataclass(frozen=True, kw_only=True)
class _Boosting:
    """How the classifier learns.

    Attributes:
        rounds: of boosting.
        depth: of a tree.
        min_weight: least weight in a leaf.
        shrinkage: L2 penalty of a leaf.
        half_life_days: age at which a past line counts half.
        has_past: whether it reads how earlier deliveries went.
        weight: of its quantiles, beside 1 of those by likeness; nothing else counts where it is infinite.
    """

    rounds: int
    depth: int
    min_weight: float
    shrinkage: float
    half_life_days: float
    has_past: bool
    weight: float


# By (whether a line comes from a warehouse, whether numbers of shipping notices are read). What a country's deliveries
# were like changes so much from year to year that boosting on it overfits; likeness uses it better.
_BOOSTING = {
    (True, False): _Boosting(
        rounds=30, depth=2, min_weight=20, shrinkage=20, half_life_days=730, has_past=False, weight=1.0
    ),
    (True, True): _Boosting(
        rounds=30, depth=3, min_weight=10, shrinkage=10, half_life_days=730, has_past=True, weight=2.0
    ),
    (False, False): _Boosting(
        rounds=80, depth=2, min_weight=20, shrinkage=20, half_life_days=1500, has_past=True, weight=np.inf
    ),
    (False, True): _Boosting(
        rounds=60, depth=3, min_weight=10, shrinkage=10, half_life_days=730, has_past=True, weight=np.inf
    ),
}


@dataclass(frozen=True, kw_only=True)
class _Group:
    """New lines of one kind and what past lines tell of them.

    Attributes:
        at: places among the new lines, shape (n_group,).
        delay: of the past lines, shape (n_past,).
        weight: of each past line for each new one, shape (n_group, n_past), rows sum to 1.
        quantiles: shape (n_group, 3).
        can_narrow: whether its intervals may be narrowed.
    """

    at: NDArray[np.int64]
    delay: Floats
    weight: Floats
    quantiles: Floats
    can_narrow: bool


@dataclass(frozen=True, kw_only=True)
class DelayForecast:
    """Delays of new lines.

    Attributes:
        quantiles: shape (n_lines, 3), days after the scheduled day at `LEVELS`.
        p_late: shape (n_lines,), chance of more than 0 days.
    """

    quantiles: Floats
    p_late: Floats


def known_delays(history: pl.DataFrame, *, cutoff: date) -> NDArray[np.float64]:
    """Return the delays of past lines as they are known at a cutoff, days, shape (n_lines,).

    A line that was delivered on the cutoff or after it is only known to be late; it stands for the median of what
    past lines of its kind came to that were as late.

    Args:
        history: lines that were scheduled before the cutoff.
        cutoff: first day that is not known.
    """
    scheduled, delivered = day_numbers(history["scheduled_on"]), day_numbers(history["delivered_on"])
    end = float((cutoff - _EPOCH).days)
    delay: NDArray[np.float64] = delivered - scheduled
    came = delivered < end
    kind = is_from_warehouse(history)
    for line in np.flatnonzero(~came):
        as_late = came & (kind == kind[line]) & (delay >= end - scheduled[line])
        delay[line] = np.median(delay[as_late]) if as_late.any() else end - scheduled[line]
    return delay


def forecast_delays(
    history: pl.DataFrame, new: pl.DataFrame, *, cutoff: date, seed: int, has_shipments: bool
) -> DelayForecast:
    """Return the delays of new lines.

    Args:
        history: lines that were scheduled before the cutoff.
        new: lines that are scheduled later; their delivery is not read.
        cutoff: first day that is not known.
        seed: of the boosted classifier.
        has_shipments: whether the numbers of shipping notices may be read.
    """
    delay = known_delays(history, cutoff=cutoff)
    lines = pl.concat([history, new.with_columns(delivered_on=pl.lit(None, dtype=pl.Date))])
    all_delays = np.concatenate([delay, np.full(new.height, np.nan)])
    own_features = line_features(lines, has_shipments=has_shipments)
    past = past_features(lines, all_delays, cutoff=cutoff)
    scheduled = day_numbers(lines["scheduled_on"])
    age = float((cutoff - _EPOCH).days) - scheduled
    kind, is_new = is_from_warehouse(lines), np.arange(lines.height) >= history.height
    is_recorded = scheduled >= (_RECORDED_FROM - _EPOCH).days
    groups = []
    for own in (False, True):
        rows = np.flatnonzero(is_new & (kind == own))
        if rows.size == 0:
            continue
        told = _telling_lines(~is_new, kind == own, is_recorded)
        boosting = _BOOSTING[own, has_shipments]
        features = np.concatenate([own_features, past], axis=1) if boosting.has_past else own_features
        by_class = _class_weights(features[rows], features[told], all_delays[told], age[told], boosting, seed=seed)
        weight, quantiles = by_class, _weighted_quantiles(all_delays[told], by_class)
        if np.isfinite(boosting.weight):
            by_likeness = _likeness_weights(lines, rows, told, age[told])
            share = boosting.weight / (1 + boosting.weight)
            weight = share * by_class + (1 - share) * by_likeness
            quantiles = share * quantiles + (1 - share) * _weighted_quantiles(all_delays[told], by_likeness)
        groups.append(
            _Group(
                at=rows - history.height,
                delay=all_delays[told],
                weight=weight,
                quantiles=quantiles,
                # With shipping notices the classifier is so sure of itself that the intervals are narrow as they are.
                can_narrow=own and not has_shipments,
            )
        )
    return _as_forecast(groups, n_lines=new.height)


def _telling_lines(is_past: Bools, is_alike: Bools, is_recorded: Bools) -> NDArray[np.int64]:
    """Return the past lines to learn from: alike and well recorded; alike where these are few; all where none is."""
    for told in (is_past & is_alike & is_recorded, is_past & is_alike):
        if told.sum() >= _FEWEST_LINES:
            return np.flatnonzero(told)
    return np.flatnonzero(is_past & is_alike if (is_past & is_alike).any() else is_past)


def _as_forecast(groups: list[_Group], *, n_lines: int) -> DelayForecast:
    """Return the groups' quantiles, narrowed as little as gives the wanted coverage of all lines, as it is expected."""
    quantiles, p_late = np.zeros((n_lines, len(LEVELS))), np.zeros(n_lines)
    for group in groups:
        p_late[group.at] = group.weight[:, group.delay > 0].sum(axis=1)
    for factor in _NARROWING:
        covered = 0.0
        for group in groups:
            middle = group.quantiles[:, 1:2]
            narrowed = middle + (factor if group.can_narrow else 1.0) * (group.quantiles - middle)
            is_within = (group.delay >= narrowed[:, :1]) & (group.delay <= narrowed[:, 2:])
            covered += float((group.weight * is_within).sum())
            quantiles[group.at] = narrowed
        if covered <= _WANTED_COVERAGE * n_lines:
            break
    return DelayForecast(quantiles=quantiles, p_late=p_late)


def _likeness_weights(lines: pl.DataFrame, rows: NDArray[np.int64], past: NDArray[np.int64], age: Floats) -> Floats:
    """Return how much each past line tells of each new one, shape (n_new, n_past), rows sum to 1."""

    def same(column: str) -> Bools:
        code = lines[column].fill_null("").rank("dense").to_numpy()
        found: Bools = code[rows][:, None] == code[past][None, :]
        return found

    country = same("country")
    weight = 1.0 + _SAME_COUNTRY * country + _SAME_PROJECT * same("project")
    weight = weight + _SAME_COUNTRY_AND_MODE * (country & same("mode"))
    weight = weight * 0.5 ** (age / _LIKENESS_HALF_LIFE_DAYS)
    found: NDArray[np.float64] = weight / weight.sum(axis=1, keepdims=True)
    return found


def _class_weights(
    wanted: Floats, known: Floats, delay: Floats, age: Floats, boosting: _Boosting, *, seed: int
) -> NDArray[np.float64]:
    """Return the past lines' weights by the chance of their class of delays, shape (n_new, n_past), rows sum to 1."""
    import xgboost

    recency = 0.5 ** (age / boosting.half_life_days)
    _, label = np.unique(np.searchsorted(_BORDERS, delay), return_inverse=True)
    n_classes = int(label.max()) + 1
    within = recency / np.bincount(label, weights=recency)[label]
    if n_classes == 1:
        return np.broadcast_to(within, (wanted.shape[0], delay.size)).astype(np.float64)
    # Of few lines, a leaf can't ask for many.
    most = delay.size / 50
    booster = xgboost.train(
        {
            "objective": "multi:softprob", "num_class": n_classes, "max_depth": boosting.depth, "eta": _RATE,
            "subsample": 0.6, "colsample_bytree": 0.4, "min_child_weight": min(boosting.min_weight, most),
            "reg_lambda": min(boosting.shrinkage, most), "tree_method": "hist", "max_bin": 64, "nthread": _THREADS,
            "seed": seed,
        },
        xgboost.DMatrix(known, label=label, weight=recency),
        num_boost_round=boosting.rounds,
    )  # fmt: skip
    chance = booster.predict(xgboost.DMatrix(wanted)).reshape(-1, n_classes).astype(np.float64)
    weight = chance[:, label] * within
    found: NDArray[np.float64] = weight / weight.sum(axis=1, keepdims=True)
    return found


def _weighted_quantiles(delay: Floats, weight: Floats) -> NDArray[np.float64]:
    """Return the least delays that have at least each level's share of weight up to them, shape (n_new, 3)."""
    order = np.argsort(delay, kind="stable")
    share = np.cumsum(weight[:, order], axis=1)
    place = np.stack([(share < level - 1e-9).sum(axis=1) for level in LEVELS], axis=1)
    found: NDArray[np.float64] = delay[order][np.minimum(place, delay.size - 1)]
    return found
