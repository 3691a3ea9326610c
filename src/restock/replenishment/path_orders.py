"""Orders from sample paths of demand, where unmet demand is lost and orders take whole periods."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def missing_units(on_hand: Floats, on_order: Floats, demand_paths: Floats) -> NDArray[np.float64]:
    """Return how many units each path lacks in the period in which an order placed now can first serve.

    Stock is projected along the path: receipts come at the start of a period, what can't be served is lost. An order of
    q leaves q - missing units at the end of that period, or missing - q short: what a newsvendor decides on.

    Args:
        on_hand: shape (n_skus,), units at the end of the last period.
        on_order: shape (n_skus, lead_time), units received at the start of each of the next periods.
        demand_paths: shape (n_skus, lead_time + 1, n_paths), units per period.

    Returns:
        Shape (n_skus, n_paths), units; below 0 where stock is left in any case.

    Raises:
        ValueError: the shapes don't fit together.

    Example:
        >>> missing_units(np.array([2.0]), np.array([[1.0, 0.0]]), np.array([[[1.0], [4.0], [3.0]]]))
        array([[3.]])
    """
    lead_time = on_order.shape[1]
    if demand_paths.shape[1] != lead_time + 1:
        raise ValueError(f"expected demand of {lead_time + 1} periods, got {demand_paths.shape[1]}.")
    stock = np.broadcast_to(np.asarray(on_hand, dtype=np.float64)[:, None], (len(on_hand), demand_paths.shape[2]))
    for period in range(lead_time):
        stock = np.maximum(stock + on_order[:, period, None] - demand_paths[:, period], 0.0)
    return demand_paths[:, lead_time] - stock


def order_to_cover(missing: Floats, share: Floats | float) -> NDArray[np.float64]:
    """Return the least order that leaves no shortage, in the period that it first serves, on a share of the paths.

    Args:
        missing: of `missing_units`, shape (n_skus, n_paths), units.
        share: above 0 and at most 1, for all skus or shape (n_skus,).

    Returns:
        Shape (n_skus,), units >= 0; whole units where demand and stock are whole.

    Source: the newsvendor's critical ratio with projected stock; Morton (1971).
    """
    n_skus, n_paths = missing.shape
    shares = np.broadcast_to(np.asarray(share, dtype=np.float64), (n_skus,))
    if not ((shares > 0) & (shares <= 1)).all():
        raise ValueError("expected shares above 0 and at most 1.")
    place = np.ceil(shares * n_paths).astype(np.int64) - 1
    found: NDArray[np.float64] = np.maximum(np.sort(missing, axis=1)[np.arange(n_skus), place], 0.0)
    return found
