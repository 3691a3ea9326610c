"""Gaussian copulas across time: normal scores of outcomes, their correlation by lag, and its positive-definite fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

# Decay per period of the exponential kernels that a correlation by lag is made of; 1 is a level that stays.
_DECAYS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 1.0)
# Keeps normal scores finite: no back-test tells probabilities below this apart.
_SMALLEST_PROBABILITY = 1e-6
# Makes a singular matrix factor: far below what any estimate resolves.
_JITTER = 1e-6


def to_normal_correlation(rank_correlation: Floats) -> NDArray[np.float64]:
    """Return the correlation of the normal scores that gives a rank correlation (Spearman) under a Gaussian copula.

    Source: Pearson (1907), On Further Methods of Determining Correlation; Kruskal (1958), Ordinal Measures, eq. 5.7.

    Example:
        >>> to_normal_correlation(np.array([0.0, 1.0])).round(6).tolist()
        [0.0, 1.0]
    """
    found: NDArray[np.float64] = 2 * np.sin(np.pi / 6 * np.asarray(rank_correlation, dtype=np.float64))
    return found


def to_rank_correlation(normal_correlation: Floats) -> NDArray[np.float64]:
    """Return the rank correlation (Spearman) of a Gaussian copula with this correlation of its normal scores.

    Source: as of `to_normal_correlation`, of which it is the inverse.

    Example:
        >>> to_rank_correlation(np.array([0.5])).round(4).tolist()
        [0.4826]
    """
    scores = np.clip(np.asarray(normal_correlation, dtype=np.float64), -1, 1)
    found: NDArray[np.float64] = 6 / np.pi * np.arcsin(scores / 2)
    return found


def normal_scores(low: Floats, high: Floats) -> NDArray[np.float64]:
    """Return the expected normal score of every outcome.

    An outcome that a continuous distribution gave has one score. One on a point mass has a whole interval of them, and
    the mean over it stands for it: no random numbers are needed.

    Args:
        low: shape (n,), forecast probability of less than the outcome.
        high: shape (n,), forecast probability of no more than the outcome, >= `low`.

    Source: the mean of a truncated normal, Johnson, Kotz and Balakrishnan (1994), Continuous Univariate Distributions,
        vol. 1, eq. 13.134.

    Example:
        >>> scores = normal_scores(np.array([0.5, 0.0, 0.0]), np.array([0.5, 1.0, 0.5]))
        >>> (scores.round(4) + 0.0).tolist()  # a zero may come out as -0.0
        [0.0, 0.0, -0.7979]
    """
    from scipy.special import ndtri  # type: ignore[import-untyped]  # scipy ships no types

    bounds = np.clip(np.stack([low, high]).astype(np.float64), _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    at = ndtri(bounds)
    mass = bounds[1] - bounds[0]
    density = np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi)
    is_point = mass > _SMALLEST_PROBABILITY
    scores: NDArray[np.float64] = np.where(
        is_point, (density[0] - density[1]) / np.where(is_point, mass, 1.0), at.mean(axis=0)
    )
    return scores


def score_variances(zero_share: Floats) -> NDArray[np.float64]:
    """Return the variance that expected normal scores have where a share of the outcomes is a point mass at zero.

    The covariance of two such scores is, to first order, the correlation of the normal variables behind them times both
    variances: dividing by them undoes what the point masses hide.

    Args:
        zero_share: shape (n,), forecast probability of zero, 0-1.

    Source: the first term of Mehler's expansion of the bivariate normal density (Kotz, Balakrishnan and Johnson 2000,
        Continuous Multivariate Distributions, eq. 46.27), with the truncated moments of `normal_scores`.

    Example:
        >>> score_variances(np.array([0.0, 0.5, 1.0])).round(4).tolist()
        [1.0, 0.8183, 0.0]
    """
    from scipy.special import ndtri

    share = np.clip(np.asarray(zero_share, dtype=np.float64), _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    at = ndtri(share)
    density = np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi)
    found: NDArray[np.float64] = density**2 / share + (1 - share) + at * density
    return found


def lag_kernels(n_lags: int, *, season_periods: int) -> NDArray[np.float64]:
    """Return correlations by lag of which every non-negative mixture is positive definite.

    Exponential decays, from noise (1 at lag 0 alone) to a level that stays, and the waves of a season that repeats.

    Args:
        n_lags: lags 0 to n_lags - 1, periods.
        season_periods: length of the season.

    Returns:
        shape (n_kernels, n_lags), the kernel of noise first.

    Source: Bochner's theorem; Cressie (1993), Statistics for Spatial Data, sec. 2.5.
    """
    lags = np.arange(n_lags)
    decays = [np.where(lags == 0, 1.0, decay**lags) for decay in _DECAYS]
    waves = [np.cos(2 * np.pi * turns * lags / season_periods) for turns in range(1, min(season_periods // 2, 3) + 1)]
    return np.stack([*decays, *waves])


def lag_matrix(by_lag: Floats) -> NDArray[np.float64]:
    """Return the symmetric matrix whose entry (s, t) is the value at lag |s - t|.

    Example:
        >>> lag_matrix(np.array([1.0, 0.5])).tolist()
        [[1.0, 0.5], [0.5, 1.0]]
    """
    lags, values = np.arange(len(by_lag)), np.asarray(by_lag, dtype=np.float64)
    found: NDArray[np.float64] = values[np.abs(lags[:, None] - lags)]
    return found


def factor_lags(by_lag: Floats) -> NDArray[np.float64]:
    """Return the lower triangular matrix L with L L' the matrix of these covariances by lag.

    Row t needs the first t columns only, so a longer horizon leaves the nearer periods as they are.

    Raises:
        ValueError: the covariances are not those of any process (beyond rounding).
    """
    matrix = lag_matrix(by_lag) + _JITTER * np.eye(len(by_lag))
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"correlations by lag {np.round(by_lag, 4).tolist()} are not positive definite, expected a mixture of "
            "`lag_kernels`"
        ) from error
    return factor.astype(np.float64)
