"""Quantiles as arrays: their loss, their order, and levels between those that a model gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def pinball_loss(observed: Floats, forecast: Floats, quantiles: Sequence[float]) -> Floats:
    """Return the pinball loss of each quantile, without a factor 2.

    Args:
        observed: shape (...,), units; NaN gives NaN.
        forecast: shape (..., n_quantiles), units.
        quantiles: levels of the last axis of `forecast`, each above 0 and below 1.

    Returns:
        shape (..., n_quantiles): level x shortfall where too low, (1 - level) x excess where too high.

    Source: Koenker and Bassett (1978), Regression Quantiles, eq. 1.2.

    Example:
        >>> pinball_loss(np.array([10.0]), np.array([[8.0, 14.0]]), (0.1, 0.9)).round(3).tolist()
        [[0.2, 0.4]]
    """
    levels = np.asarray(quantiles, dtype=forecast.dtype)
    error = observed[..., None] - forecast
    return np.maximum(levels * error, (levels - 1) * error)


def order_quantiles(values: Floats) -> Floats:
    """Return quantiles sorted along the last axis and never below zero.

    Sorting what a model gives never raises its pinball loss.

    Source: Chernozhukov, Fernandez-Val and Galichon (2010), Quantile and Probability Curves Without Crossing, prop. 4.

    Example:
        >>> order_quantiles(np.array([2.0, -1.0, 3.0])).tolist()
        [0.0, 2.0, 3.0]
    """
    return np.sort(np.maximum(values, 0), axis=-1)


def interpolate_quantiles(values: Floats, quantiles: Sequence[float], wanted: Sequence[float]) -> Floats:
    """Return the quantiles at the levels `wanted`, linear in the level between the two neighbours.

    Args:
        values: shape (..., n_quantiles), sorted along the last axis.
        quantiles: levels of the last axis, increasing.
        wanted: levels to return, each within the first and last of `quantiles`.

    Raises:
        ValueError: a wanted level lies outside the given ones; a tail can't be invented.

    Example:
        >>> interpolate_quantiles(np.array([0.0, 10.0, 30.0]), (0.1, 0.5, 0.9), (0.3, 0.9)).round(6).tolist()
        [5.0, 30.0]
    """
    levels = np.asarray(quantiles, dtype=np.float64)
    targets = np.asarray(wanted, dtype=np.float64)
    if targets.size and (targets.min() < levels[0] or targets.max() > levels[-1]):
        raise ValueError(f"levels must lie within {levels[0]} to {levels[-1]}, got {list(wanted)}")
    right = np.clip(np.searchsorted(levels, targets), 1, len(levels) - 1)
    weight = ((targets - levels[right - 1]) / (levels[right] - levels[right - 1])).astype(values.dtype)
    return values[..., right - 1] * (1 - weight) + values[..., right] * weight


def integrate_quantiles(values: Floats, quantiles: Sequence[float]) -> Floats:
    """Return the mean of the distribution that the quantiles describe, flat beyond the outermost levels.

    Args:
        values: shape (..., n_quantiles), sorted along the last axis.
        quantiles: levels of the last axis, increasing.

    Example:
        >>> round(float(integrate_quantiles(np.array([0.0, 5.0, 10.0]), (0.1, 0.5, 0.9))), 6)
        5.0
    """
    levels = np.asarray(quantiles, dtype=np.float64)
    borders = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    mean: Floats = values @ np.diff(borders).astype(values.dtype)
    return mean


def empirical_quantiles(values: Floats, quantiles: Sequence[float]) -> Floats:
    """Return the quantiles of the known values of every row, linear between order statistics.

    Args:
        values: shape (n_rows, n_values); NaN is unknown. A row without any known value gives NaN.
        quantiles: levels within 0 and 1.

    Returns:
        shape (n_rows, n_quantiles).

    Source: Hyndman and Fan (1996), Sample Quantiles in Statistical Packages, definition 7.

    Example:
        >>> empirical_quantiles(np.array([[3.0, np.nan, 1.0, 2.0]]), (0.0, 0.75)).tolist()
        [[1.0, 2.5]]
    """
    # NaN sorts to the end, so the known values of a row lie first.
    ordered = np.sort(values, axis=1)
    known = np.count_nonzero(~np.isnan(values), axis=1)
    position = np.maximum(known - 1, 0)[:, None] * np.asarray(quantiles, dtype=np.float64)
    below = np.floor(position).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(known - 1, 0)[:, None])
    weight = (position - below).astype(values.dtype)
    low, high = np.take_along_axis(ordered, below, axis=1), np.take_along_axis(ordered, above, axis=1)
    found: Floats = low + (high - low) * weight
    return found
