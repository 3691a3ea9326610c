"""How good sample paths were: scores of the whole path, and how often sums over it were covered."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def energy_score(observed: Floats, paths: Floats) -> float:
    """Return the energy score of one path forecast, in its units; lower is better.

    The mean distance of the paths from what happened, less half the mean distance between two paths: the continuous
    ranked probability score of several periods at once.

    Args:
        observed: shape (n_periods,).
        paths: shape (n_periods, n_paths).

    Source: Gneiting and Raftery (2007), Strictly Proper Scoring Rules, eq. 22 with beta = 1, of the empirical
        distribution of the paths.

    Example:
        >>> energy_score(np.array([0.0, 0.0]), np.array([[3.0, 0.0], [4.0, 0.0]]))
        1.25
    """
    drawn = np.asarray(paths, dtype=np.float64).T
    away = np.linalg.norm(drawn - np.asarray(observed, dtype=np.float64), axis=1).mean()
    # Centred, so that the squares below lose no digits.
    centred = drawn - drawn.mean(axis=0)
    squares = (centred**2).sum(axis=1)
    between = np.maximum(squares[:, None] + squares - 2 * (centred @ centred.T), 0.0)
    np.fill_diagonal(between, 0.0)
    return float(away - np.sqrt(between).mean() / 2)


def variogram_score(observed: Floats, paths: Floats) -> float:
    """Return the mean variogram score of order 1/2 over all pairs of periods; lower is better.

    It compares how far demands of two periods lie apart with how far they do on the paths, so it feels a wrong
    dependence where the energy score hardly does.

    Args:
        observed: shape (n_periods,), at least two.
        paths: shape (n_periods, n_paths).

    Source: Scheuerer and Hamill (2015), Variogram-Based Proper Scoring Rules, eq. 9 with equal weights, divided by the
        number of pairs.

    Example:
        >>> variogram_score(np.array([0.0, 4.0]), np.array([[0.0, 0.0], [1.0, 1.0]]))
        1.0
    """
    truth, drawn = np.asarray(observed, dtype=np.float64), np.asarray(paths, dtype=np.float64)
    first, second = np.triu_indices(len(truth), k=1)
    apart = np.sqrt(np.abs(truth[first] - truth[second]))
    expected = np.sqrt(np.abs(drawn[first] - drawn[second])).mean(axis=1)
    return float(((apart - expected) ** 2).mean())


def rank_bounds(observed: Floats, sums: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of paths below what was observed, and of those not above it.

    Args:
        observed: shape (n,).
        sums: shape (n, n_paths).

    Example:
        >>> [bound.tolist() for bound in rank_bounds(np.array([2.0]), np.array([[1.0, 2.0, 3.0, 4.0]]))]
        [[0.25], [0.5]]
    """
    return (sums < observed[:, None]).mean(axis=1), (sums <= observed[:, None]).mean(axis=1)
