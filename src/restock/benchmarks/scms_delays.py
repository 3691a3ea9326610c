"""The delay of each SCMS order line as a distribution: past delays, weighted for the line.

Two weightings, averaged: by likeness (same country, project and mode; the newer, the heavier) and by a boosted
classifier that tells how likely each class of delays is. So a distribution keeps the point mass on the scheduled day,
and quantiles and the chance of lateness belong to one another.
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
_FEWEST_LINES = 200
_LIKENESS_HALF_LIFE_DAYS, _CLASS_HALF_LIFE_DAYS = 1000.0, 730.0
# What a past line counts more for each likeness.
_SAME_COUNTRY, _SAME_PROJECT, _SAME_COUNTRY_AND_MODE, _SAME_VENDOR = 1.5, 1.5, 0.9, 5.0
# Upper borders of the classes of delays, days.
_BORDERS = np.array([-60, -35, -21, -14, -8, -4, -1, 0, 3, 7, 14, 25, 45])
_ROUNDS, _DEPTH, _RATE, _THREADS = 60, 3, 0.05, 2


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
    end = float((cutoff - date(1970, 1, 1)).days)
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
    features = np.concatenate(
        [line_features(lines, has_shipments=has_shipments), past_features(lines, all_delays, cutoff=cutoff)], axis=1
    )
    age = float((cutoff - date(1970, 1, 1)).days) - day_numbers(lines["scheduled_on"])
    kind, is_new = is_from_warehouse(lines), np.arange(lines.height) >= history.height
    quantiles, p_late = np.zeros((new.height, len(LEVELS))), np.zeros(new.height)
    recorded = day_numbers(lines["scheduled_on"]) >= (_RECORDED_FROM - date(1970, 1, 1)).days
    for own in (False, True):
        rows = np.flatnonzero(is_new & (kind == own))
        past = np.flatnonzero(~is_new & (kind == own) & recorded)
        if past.size < _FEWEST_LINES:
            past = np.flatnonzero(~is_new & (kind == own))
        if past.size == 0:
            past = np.flatnonzero(~is_new)
        if rows.size == 0:
            continue
        by_likeness = _likeness_weights(lines, rows, past, age[past])
        by_class = _class_weights(features, rows, past, all_delays[past], age[past], seed=seed)
        parts = [by_likeness, by_class]
        at = rows - history.height
        quantiles[at] = np.mean([_weighted_quantiles(all_delays[past], weight) for weight in parts], axis=0)
        p_late[at] = np.mean([weight[:, all_delays[past] > 0].sum(axis=1) for weight in parts], axis=0)
    return DelayForecast(quantiles=quantiles, p_late=p_late)


def _likeness_weights(lines: pl.DataFrame, rows: NDArray[np.int64], past: NDArray[np.int64], age: Floats) -> Floats:
    """Return how much each past line tells of each new one, shape (n_new, n_past), rows sum to 1."""

    def same(column: str) -> Bools:
        code = lines[column].fill_null("").rank("dense").to_numpy()
        found: Bools = code[rows][:, None] == code[past][None, :]
        return found

    country = same("country")
    weight = 1.0 + _SAME_COUNTRY * country + _SAME_PROJECT * same("project")
    # The warehouses are one vendor, which tells nothing.
    vendor = same("vendor") & ~is_from_warehouse(lines)[rows][:, None]
    weight = weight + _SAME_COUNTRY_AND_MODE * (country & same("mode")) + _SAME_VENDOR * vendor
    weight = weight * 0.5 ** (age / _LIKENESS_HALF_LIFE_DAYS)
    found: NDArray[np.float64] = weight / weight.sum(axis=1, keepdims=True)
    return found


def _class_weights(
    features: Floats, rows: NDArray[np.int64], past: NDArray[np.int64], delay: Floats, age: Floats, *, seed: int
) -> Floats:
    """Return the past lines' weights by the chance of their class of delays, shape (n_new, n_past), rows sum to 1."""
    import xgboost

    recency = 0.5 ** (age / _CLASS_HALF_LIFE_DAYS)
    _, label = np.unique(np.searchsorted(_BORDERS, delay), return_inverse=True)
    n_classes = int(label.max()) + 1
    within = recency / np.bincount(label, weights=recency)[label]
    if n_classes == 1:
        return np.broadcast_to(within, (rows.size, past.size))
    booster = xgboost.train(
        {
            "objective": "multi:softprob", "num_class": n_classes, "max_depth": _DEPTH, "eta": _RATE, "subsample": 0.6,
            "colsample_bytree": 0.4, "min_child_weight": 1.0, "reg_lambda": 5.0, "tree_method": "hist", "max_bin": 64,
            "nthread": _THREADS, "seed": seed,
        },
        xgboost.DMatrix(features[past], label=label, weight=recency),
        num_boost_round=_ROUNDS,
    )  # fmt: skip
    chance = booster.predict(xgboost.DMatrix(features[rows])).reshape(rows.size, n_classes).astype(np.float64)
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
