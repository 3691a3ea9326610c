"""Safety stock read off sample paths: what is held beyond expected demand so that little enough is short.

Defined by units short, not by a probability of shortage: E(D - E[D] - s)+ grows with every spread of protection demand
D that keeps its mean, so a longer or more variable lead time can't lower s. A quantile of D less its mean can fall,
where the spread is all beyond the quantile.

Proof, for demand that is independent and alike from period to period and independent of lead times. Let f(L) be
E(D_L - x)+. As (y - x)+ is convex and demand is not negative, f(L + 1) - f(L) never falls with L; so f is convex, and a
spread of L that keeps its mean raises E f(L) (Ross 1983, Stochastic Processes, chapter 8). A longer lead time adds
demand X, independent of the rest, to D: by Jensen's inequality E(D + X - E[D + X] - s)+ >= E(D - E[D] - s)+.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def path_safety_stock(protection_demand: Floats, *, allowed_short_units: Floats) -> NDArray[np.float64]:
    """Return the least stock beyond expected demand with which expected units short stay within a limit, (n_series,).

    Args:
        protection_demand: shape (n_series, n_paths), units over lead time and review period.
        allowed_short_units: shape (n_series,), units per cycle, >= 0: (1 - fill rate) x demand per cycle.

    Example:
        >>> path_safety_stock(np.array([[6.0, 10.0, 14.0, 10.0]]), allowed_short_units=np.array([0.25])).tolist()
        [3.0]
    """
    n_paths = protection_demand.shape[1]
    ordered = -np.sort(-np.asarray(protection_demand, dtype=np.float64), axis=1)
    mean = ordered.mean(axis=1)
    # Short at level x between the k-th and the next largest: the k largest less k x.
    largest = np.cumsum(ordered, axis=1)
    counts = np.arange(1, n_paths + 1)
    following = np.concatenate([ordered[:, 1:], np.full((len(ordered), 1), -np.inf)], axis=1)
    limit = allowed_short_units[:, None] * n_paths
    level = (largest - limit) / counts
    # The first k whose level lies at or above the next largest is the one.
    place = np.argmax(level >= following, axis=1)
    found: NDArray[np.float64] = np.maximum(level[np.arange(len(ordered)), place] - mean, 0.0)
    return found
