"""Whether recent values still come from the distribution that a reference came from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

# Added to every bin's count, so that an empty bin gives a large figure and not an infinite one.
_PSEUDO_COUNT = 0.5


def population_stability_index(reference: Floats, recent: Floats, *, n_bins: int = 10) -> float:
    """Return the population stability index of `recent` against `reference`: 0 where both fall alike into the bins.

    The bins end at the reference's quantiles; a value that many share (zero, mostly) is a bin of its own. By custom
    below 0.1 is stable and above 0.25 a shift.

    Args:
        reference: shape (n,), any unit; NaN is left out. At least one known value.
        recent: shape (m,), same unit; NaN is left out. At least one known value.
        n_bins: quantile bins before those that coincide are merged, at least 2.

    Raises:
        ValueError: one of the two holds no known value.

    Source: Siddiqi (2006), Credit Risk Scorecards, ch. 9: sum over bins of (p - q) ln(p / q).

    Example:
        >>> values = np.arange(1000.0)
        >>> population_stability_index(values, values)
        0.0
        >>> population_stability_index(values, values + 500) > 0.25
        True
    """
    known, now = reference[~np.isnan(reference)], recent[~np.isnan(recent)]
    if not known.size or not now.size:
        raise ValueError(f"both samples need a known value, got {known.size} and {now.size}")
    edges = np.unique(np.quantile(known, np.linspace(0, 1, n_bins + 1)[1:-1]))
    # "left" puts a value that equals an edge below it: a heavy value is then the last of its bin, and the bin after
    # the next lower edge holds it alone.
    expected = _shares(known, edges)
    found = _shares(now, edges)
    return float(np.sum((found - expected) * np.log(found / expected)))


def _shares(values: Floats, edges: Floats) -> NDArray[np.float64]:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=edges.size + 1) + _PSEUDO_COUNT
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares
