"""Recalibration of probability levels: which level to ask a forecaster for so that demand stays below as often."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def probability_coverage(low: Floats, high: Floats, knots: Floats) -> NDArray[np.float64]:
    """Return how often outcomes lay within each level of their forecasts: the mean non-randomised PIT distribution.

    An outcome on a point mass counts by the share of its mass that lies below the level, so that no random numbers are
    needed.

    Args:
        low: shape (n,), forecast probability of less than the outcome.
        high: shape (n,), forecast probability of no more than the outcome, >= `low`.
        knots: shape (n_knots,), levels within 0 and 1.

    Returns:
        shape (n_knots,), 0-1; equal to `knots` where the forecasts are calibrated.

    Source: Czado, Gneiting and Held (2009), Predictive Model Assessment for Count Data, eq. 2 and 3.

    Example:
        >>> probability_coverage(np.array([0.0, 0.5]), np.array([0.5, 0.5]), np.array([0.25, 0.5, 1.0])).tolist()
        [0.25, 1.0, 1.0]
    """
    width = high - low
    is_point = width <= 0
    points = np.sort(high[is_point])
    total = np.searchsorted(points, knots, side="right").astype(np.float64)
    start, length = low[~is_point], width[~is_point]
    for place, knot in enumerate(knots):
        total[place] += np.clip((knot - start) / length, 0, 1).sum()
    covered: NDArray[np.float64] = total / max(low.size, 1)
    return covered


def invert_coverage(covered: Floats, knots: Floats, wanted: Floats) -> NDArray[np.float64]:
    """Return the levels to ask a forecaster for, so that outcomes lie below them as often as `wanted` says.

    Args:
        covered: shape (n_knots,), from `probability_coverage`, not decreasing.
        knots: shape (n_knots,), increasing from 0 to 1.
        wanted: shape (n_levels,), within 0 and 1, increasing.

    Returns:
        shape (n_levels,), within 0 and 1, not decreasing. Where outcomes lie at the forecast's own zero more often than
        wanted, the level is 0: the point mass at zero that the forecast lacks.

    Source: Kuleshov, Fenner and Ermon (2018), Accurate Uncertainties for Deep Learning Using Calibrated Regression,
        algorithm 1, as an inverse; the finite-sample bound is that of split conformal prediction (Vovk et al. 2005).

    Example:
        >>> invert_coverage(np.array([0.0, 0.8, 1.0]), np.array([0.0, 0.5, 1.0]), np.array([0.4, 0.9])).tolist()
        [0.25, 0.75]
    """
    # Where the coverage stands still, any level would do; the highest of them keeps a jump at one point one-sided.
    rising, first = np.unique(covered[::-1], return_index=True)
    at = knots[::-1][first]
    found = np.interp(wanted, rising, at)
    found = np.where(wanted <= rising[0], np.where(wanted < covered[0], 0.0, at[0]), found)
    levels: NDArray[np.float64] = np.maximum.accumulate(np.clip(found, 0, 1))
    return levels
