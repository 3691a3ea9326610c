"""Whether one forecast beats another beyond luck: a paired bootstrap over whole series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Resamples drawn at a time: bounds the memory to this many x clusters.
_CHUNK_RESAMPLES = 250


@dataclass(frozen=True, kw_only=True)
class BootstrapResult:
    """The candidate's loss against the incumbent's.

    Attributes:
        relative_difference: (candidate - incumbent) / incumbent of the summed losses; negative is better.
        lower: lower end of the two-sided interval at `confidence`.
        upper: one-sided upper bound at `confidence`: with this confidence the difference lies below it.
        confidence: the level asked for.
        share_better: share of resamples in which the candidate's loss was lower.
        n_clusters: how many series were resampled.
    """

    relative_difference: float
    lower: float
    upper: float
    confidence: float
    share_better: float
    n_clusters: int


def paired_bootstrap(
    candidate_losses: NDArray[np.float64],
    incumbent_losses: NDArray[np.float64],
    *,
    clusters: NDArray[np.generic],
    n_resamples: int,
    confidence: float,
    seed: int,
) -> BootstrapResult:
    """Return how the candidate's summed loss compares with the incumbent's on the same cases.

    Whole clusters (series) are drawn with replacement, so that errors that hang together within a series don't pass for
    independent evidence. Assumes that series are exchangeable.

    Args:
        candidate_losses: shape (n_cases,), loss of each case.
        incumbent_losses: shape (n_cases,), of the same cases in the same order.
        clusters: shape (n_cases,), which series a case belongs to.
        n_resamples: how many resamples.
        confidence: such as 0.95.
        seed: makes it repeatable.

    Raises:
        ValueError: the shapes differ, there is no case, a loss is not finite, or the incumbent's loss is zero.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 13 (percentile intervals), clusters as in
    Davison and Hinkley (1997), sec. 3.8.
    """
    if not candidate_losses.shape == incumbent_losses.shape == clusters.shape or not candidate_losses.size:
        raise ValueError(
            f"losses and clusters must have one shape and at least one case, got {candidate_losses.shape}, "
            f"{incumbent_losses.shape} and {clusters.shape}"
        )
    if not (np.isfinite(candidate_losses).all() and np.isfinite(incumbent_losses).all()):
        raise ValueError("every loss must be finite; leave out the cases that can't be scored")
    _, code = np.unique(clusters, return_inverse=True)
    candidate = np.bincount(code, weights=candidate_losses)
    incumbent = np.bincount(code, weights=incumbent_losses)
    if incumbent.sum() <= 0:
        raise ValueError("the incumbent's loss is zero: nothing can beat it")
    rng = np.random.default_rng(seed)
    n_clusters = len(candidate)
    differences = []
    for first in range(0, n_resamples, _CHUNK_RESAMPLES):
        drawn = rng.integers(0, n_clusters, size=(min(_CHUNK_RESAMPLES, n_resamples - first), n_clusters))
        base = incumbent[drawn].sum(axis=1)
        # A resample in which the incumbent makes no error at all says nothing of a ratio.
        is_usable = base > 0
        differences.append(candidate[drawn].sum(axis=1)[is_usable] / base[is_usable] - 1)
    resampled = np.concatenate(differences)
    lower, upper = np.quantile(resampled, [(1 - confidence) / 2, confidence])
    return BootstrapResult(
        relative_difference=float(candidate.sum() / incumbent.sum() - 1),
        lower=float(lower),
        upper=float(upper),
        confidence=confidence,
        share_better=float(np.mean(resampled < 0)),
        n_clusters=n_clusters,
    )
