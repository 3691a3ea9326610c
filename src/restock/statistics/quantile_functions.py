"""Quantiles as a whole distribution: values and probabilities also between the given levels and beyond the outermost.

Demand is not negative: below the lowest level the distribution runs straight down to zero. Above the highest one it
falls off exponentially, at the rate that the two outermost probabilities show.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

# The tail's rate is read off between the highest level and the first one that leaves this many times as much above it.
_TAIL_ODDS = 4.0
# Keeps the logarithm of a probability of 0 finite; a level this high is beyond any sample.
_SMALLEST_PROBABILITY = 1e-9


def tail_scale(values: Floats, quantiles: Sequence[float]) -> Floats:
    """Return the mean excess of the exponential tail above the highest quantile.

    Args:
        values: shape (..., n_quantiles), units, sorted along the last axis.
        quantiles: levels of the last axis, increasing, at least two.

    Returns:
        shape (...), units; 0 where the upper quantiles are all the same.

    Example:
        >>> float(tail_scale(np.array([0.0, 10.0, 10.0 + np.log(5)]), (0.1, 0.5, 0.9)).round(6))
        1.0
    """
    levels = np.asarray(quantiles, dtype=np.float64)
    left = (1 - levels) / (1 - levels[-1])
    inner = int(np.flatnonzero(left[:-1] >= min(_TAIL_ODDS, left[0]))[-1])
    rise: Floats = (values[..., -1] - values[..., inner]) / float(np.log(left[inner]))
    return rise


def quantile_weights(quantiles: Sequence[float], levels: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how values at `levels` are made of the given quantiles: as `values @ weights.T + tail_scale x tail`.

    Args:
        quantiles: given levels, increasing.
        levels: shape (n_levels,), wanted levels within 0 and 1.

    Returns:
        weights, shape (n_levels, n_quantiles), and the tail's factors, shape (n_levels,).
    """
    given = np.asarray(quantiles, dtype=np.float64)
    wanted = np.asarray(levels, dtype=np.float64)
    weights = np.zeros((wanted.size, given.size))
    rows = np.arange(wanted.size)
    right = np.clip(np.searchsorted(given, wanted, side="right"), 1, given.size - 1)
    share = np.clip((wanted - given[right - 1]) / (given[right] - given[right - 1]), 0, 1)
    weights[rows, right] = share
    weights[rows, right - 1] += 1 - share
    is_low = wanted < given[0]
    weights[is_low] = 0
    weights[is_low, 0] = wanted[is_low] / given[0]
    left = np.maximum(1 - wanted, _SMALLEST_PROBABILITY) / (1 - given[-1])
    return weights, np.where(wanted > given[-1], -np.log(left), 0.0)


def extrapolate_quantiles(values: Floats, quantiles: Sequence[float], levels: Floats) -> Floats:
    """Return the quantiles at any levels, those beyond the outermost ones by the tails of this module.

    Args:
        values: shape (..., n_quantiles), units, sorted along the last axis, >= 0.
        quantiles: levels of the last axis, increasing, at least two.
        levels: shape (n_levels,), wanted levels within 0 and 1.

    Returns:
        shape (..., n_levels), units.

    Example:
        >>> extrapolate_quantiles(np.array([2.0, 6.0]), (0.2, 0.6), np.array([0.1, 0.2, 0.4, 0.6])).round(6).tolist()
        [1.0, 2.0, 4.0, 6.0]
    """
    weights, tail = quantile_weights(quantiles, levels)
    found: Floats = values @ weights.T.astype(values.dtype)
    return found + tail_scale(values, quantiles)[..., None] * tail.astype(values.dtype)


def probability_bounds(observed: Floats, values: Floats, quantiles: Sequence[float]) -> tuple[Floats, Floats]:
    """Return the probability of less than what was observed, and of no more than it: apart where there is a point mass.

    Args:
        observed: shape (n,), units, >= 0.
        values: shape (n, n_quantiles), units, sorted along the last axis, >= 0.
        quantiles: levels of the last axis, increasing, at least two.

    Returns:
        two arrays of shape (n,), each within 0 and 1, the first never above the second.

    Example:
        >>> low, high = probability_bounds(np.array([0.0, 3.0]), np.array([[0.0, 0.0, 6.0]] * 2), (0.25, 0.5, 0.75))
        >>> low.tolist(), high.tolist()
        ([0.0, 0.625], [0.5, 0.625])
    """
    given = np.asarray(quantiles, dtype=np.float64)
    below = np.count_nonzero(values < observed[:, None], axis=1)
    upto = np.count_nonzero(values <= observed[:, None], axis=1)
    padded = np.concatenate([np.zeros((len(values), 1)), values], axis=1)
    levels = np.concatenate([[0.0], given])
    row, left = np.arange(len(values)), np.minimum(upto, given.size - 1)
    width = padded[row, left + 1] - padded[row, left]
    share = np.clip((observed - padded[row, left]) / np.where(width > 0, width, 1.0), 0, 1)
    inside = levels[left] + share * (levels[left + 1] - levels[left])
    scale = tail_scale(values, quantiles)
    excess = np.maximum(observed - values[:, -1], 0) / np.where(scale > 0, scale, 1.0)
    beyond = np.where(scale > 0, 1 - (1 - given[-1]) * np.exp(-excess), 1.0)
    smooth = np.where(upto == given.size, beyond, inside)
    is_tied = upto > below
    low = np.where(is_tied, np.where(observed <= 0, 0.0, given[np.minimum(below, given.size - 1)]), smooth)
    return low, np.where(is_tied, levels[upto], smooth)


def even_by_normal_score(quantiles: Sequence[float], wanted: int) -> tuple[float, ...]:
    """Return some of the levels: the outermost, the median, and of the others those most evenly spread between.

    Even in the normal score of the level, so that the tails have as many as the middle.

    Args:
        quantiles: levels, increasing, 0.5 among them.
        wanted: how many; more than there are gives all of them.

    Example:
        >>> even_by_normal_score((0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99), 5)
        (0.01, 0.1, 0.5, 0.9, 0.99)
    """
    if wanted >= len(quantiles):
        return tuple(quantiles)
    scores = _normal_scores(quantiles)
    even = np.linspace(scores[0], scores[-1], wanted)
    places = {int(np.argmin(np.abs(scores - score))) for score in even}
    return tuple(quantiles[place] for place in sorted(places | {list(quantiles).index(0.5)}))


def between_by_normal_score(values: Floats, quantiles: Sequence[float], wanted: Sequence[float]) -> Floats:
    """Return quantiles at levels between given ones: their square roots are linear in the normal score of the level.

    The root of a count spreads alike at any mean, and nearly normally; so a few levels tell the ones between.

    Args:
        values: shape (..., n_quantiles), units >= 0, sorted along the last axis.
        quantiles: levels of the last axis, increasing, at least two.
        wanted: levels to return, each within the first and last of `quantiles`.

    Returns:
        shape (..., n_wanted), sorted along the last axis where `wanted` increases.

    Raises:
        ValueError: a wanted level lies outside the given ones; a tail can't be invented.

    Source: Bartlett (1936), The Square Root Transformation in Analysis of Variance.

    Example:
        >>> between_by_normal_score(np.array([4.0, 9.0, 16.0]), (0.1, 0.5, 0.9), (0.5, 0.75)).round(3).tolist()
        [9.0, 12.435]
    """
    given, scores = _normal_scores(quantiles), _normal_scores(wanted)
    if scores.size and (scores.min() < given[0] or scores.max() > given[-1]):
        raise ValueError(f"levels must lie within {quantiles[0]} to {quantiles[-1]}, got {list(wanted)}")
    right = np.clip(np.searchsorted(given, scores), 1, len(given) - 1)
    share = ((scores - given[right - 1]) / (given[right] - given[right - 1])).astype(values.dtype)
    roots = np.sqrt(values)
    between = roots[..., right - 1] * (1 - share) + roots[..., right] * share
    found: Floats = between * between
    return found


def _normal_scores(levels: Sequence[float]) -> NDArray[np.float64]:
    return np.array([NormalDist().inv_cdf(level) for level in levels])
