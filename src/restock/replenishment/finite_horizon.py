"""Known or uncertain demand over a few periods to come: exact orders by dynamic programming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class LotSizes:
    """Orders for known demand.

    Attributes:
        order_quantities: units in each period.
        cost: currency over the horizon.
    """

    order_quantities: tuple[float, ...]
    cost: float


@dataclass(frozen=True, kw_only=True)
class FiniteHorizonPlan:
    """The best (s,S) rule of each period and what it costs from every start.

    Attributes:
        reorder_points: shape (n_periods,), the highest level at which is ordered up to the period's level; one below
            the lowest level looked at where nothing is ever ordered.
        order_up_to_levels: shape (n_periods,), units.
        levels: shape (n_levels,), inventory levels, units.
        expected_cost: shape (n_periods + 1, n_levels), currency from the start of each period on, the last
            row at the end.
        best_levels: shape (n_periods, n_levels), the level to order up to from each level.
    """

    reorder_points: NDArray[np.int64]
    order_up_to_levels: NDArray[np.int64]
    levels: NDArray[np.int64]
    expected_cost: NDArray[np.float64]
    best_levels: NDArray[np.int64]


def wagner_whitin(
    demand: Sequence[float], *, fixed_order_cost: float, holding_cost: float, purchase_costs: Sequence[float] = ()
) -> LotSizes:
    """Return the cheapest orders for known demand that is never late.

    Args:
        demand: units in each period, >= 0.
        fixed_order_cost: currency per order.
        holding_cost: currency per unit carried from one period to the next.
        purchase_costs: currency per unit in each period; none: the same always, not counted.

    Source: Wagner and Whitin (1958), Dynamic Version of the Economic Lot Size Model, eq. 2; Snyder and Shen (2019),
        algorithm 3.1.

    Example:
        >>> wagner_whitin((90, 120, 80, 70), fixed_order_cost=500, holding_cost=2)  # Snyder and Shen, example 3.9
        LotSizes(order_quantities=(210, 0, 150, 0), cost=1380.0)
    """
    n_periods = len(demand)
    prices = tuple(purchase_costs) or (0,) * n_periods
    if len(prices) != n_periods:
        raise ValueError(f"purchase_costs must be one a period ({n_periods}), got {len(prices)}.")
    cost: list[float] = [0] * (n_periods + 1)
    covers_until = [0] * n_periods
    for first in reversed(range(n_periods)):
        best, held, units = float("inf"), 0.0, 0.0
        for last in range(first, n_periods):
            held += holding_cost * (last - first) * demand[last]
            units += demand[last]
            total = fixed_order_cost + prices[first] * units + held + cost[last + 1]
            if total < best:
                best, covers_until[first] = total, last + 1
        cost[first] = best
    orders: list[float] = [0] * n_periods
    period = 0
    while period < n_periods:
        orders[period] = sum(demand[period : covers_until[period]])
        period = covers_until[period]
    return LotSizes(order_quantities=tuple(orders), cost=cost[0])


def plan_finite_horizon(
    period_cost: Floats,
    probability: Floats,
    *,
    levels: NDArray[np.int64],
    terminal_cost: Floats,
    first_demand: int = 0,
    fixed_order_cost: float = 0.0,
    purchase_cost: float = 0.0,
    discount: float = 1.0,
) -> FiniteHorizonPlan:
    """Return the best orders of every period and level, where orders arrive at once and unmet demand waits.

    Args:
        period_cost: shape (n_periods, n_levels), expected holding and shortage where a period starts, after its
            order, at a level.
        probability: shape (n_periods, n_demands), chance of each whole demand from `first_demand` on.
        levels: shape (n_levels,), consecutive whole levels, wide enough: below the first, a level counts as the first.
        terminal_cost: shape (n_levels,), cost of ending at a level.
        first_demand: the demand that the first column of `probability` stands for, units >= 0.
        fixed_order_cost: currency per order.
        purchase_cost: currency per unit.
        discount: what a period's cost is worth one period earlier, above 0 and at most 1.

    Raises:
        ValueError: the best level is the highest looked at, so that a higher one may be better.

    Source: Scarf (1960), The Optimality of (S,s) Policies in the Dynamic Inventory Problem; Snyder and Shen (2019),
        eq. 4.66 and algorithm 4.1.
    """
    n_periods, n_levels = period_cost.shape
    expected = np.zeros((n_periods + 1, n_levels))
    expected[-1] = terminal_cost
    chosen = np.zeros((n_periods, n_levels), dtype=np.int64)
    units = np.arange(probability.shape[1]) + first_demand
    after = np.maximum(np.arange(n_levels)[:, None] - units, 0)
    for period in reversed(range(n_periods)):
        kept = period_cost[period] + discount * (expected[period + 1][after] @ probability[period])
        # The cheapest level at or above each, the first of equals.
        priced = kept + purchase_cost * levels
        cheapest = np.zeros(n_levels, dtype=np.int64)
        place = n_levels - 1
        for level in reversed(range(n_levels)):
            place = level if priced[level] <= priced[place] else place
            cheapest[level] = place
        from_here = np.arange(n_levels)
        above = np.minimum(from_here + 1, n_levels - 1)
        ordered = fixed_order_cost + priced[cheapest[above]] - purchase_cost * levels
        is_ordered = (ordered < kept) & (from_here < n_levels - 1)
        if is_ordered.any() and cheapest[above][is_ordered].max() == n_levels - 1:
            raise ValueError(f"the best level is the highest looked at, {levels[-1]}. Give higher levels.")
        expected[period] = np.where(is_ordered, ordered, kept)
        chosen[period] = np.where(is_ordered, cheapest[above], from_here)
    targets = chosen[:, 0]
    is_target = chosen == targets[:, None]
    reorder = np.where(is_target.all(axis=1), n_levels - 1, np.argmin(is_target, axis=1) - 1)
    return FiniteHorizonPlan(
        reorder_points=levels[0] + reorder,
        order_up_to_levels=levels[targets],
        levels=levels,
        expected_cost=expected,
        best_levels=levels[chosen],
    )
