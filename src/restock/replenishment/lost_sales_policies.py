"""Policies for lost sales with a lead time, from the plain ones to the one that restock plans with.

All but `two_period_myopic` work at any lead time. Their parameters are found by `tune`, on simulated or exact costs.

The best of them is `projected_stockout`: order until the chance that demand exceeds stock, in the period in which this
order is received, is down to a limit. Projecting the whole distribution of stock forward, with sales lost on the way,
is what a base stock leaves out; the myopic policy projects too, but orders too much, as it forgets that what is left
serves later periods. One limit, tuned, makes up for that.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from restock.replenishment.lost_sales import (
    Integers,
    LostSalesCase,
    Policy,
    expected_next,
    optimal_order_bounds,
    projected_leftovers,
)

_GOLDEN = (math.sqrt(5) - 1) / 2


def base_stock(level: int) -> Policy:
    """Return the policy that orders stock and orders on their way up to a level, units.

    Source: Zipkin (2008), section 4, "base-stock".

    Example:
        >>> base_stock(10)(np.array([[3, 2], [9, 4]])).tolist()
        [5, 0]
    """
    return lambda states: np.maximum(level - states.sum(axis=1), 0)


def capped_base_stock(level: int, most_units: int) -> Policy:
    """Return the base stock that never orders more than a cap at a time, units.

    Source: Xin (2021), Understanding the Performance of Capped Base-Stock Policies in Lost-Sales Inventory Models.

    Example:
        >>> capped_base_stock(10, 4)(np.array([[3, 2], [9, 0]])).tolist()
        [4, 1]
    """
    return lambda states: np.clip(level - states.sum(axis=1), 0, most_units)


def constant_order(units: int) -> Policy:
    """Return the policy that orders the same every period, below expected demand.

    Source: Reiman (2004); near-optimal for very long lead times, Goldberg et al. (2016).
    """
    return lambda states: np.full(len(states), units, dtype=np.int64)


def projected_level(case: LostSalesCase, level: float) -> Policy:
    """Return the policy that lifts the stock expected when this order is received up to a level, units.

    Source: van Jaarsveld and Arts (2024), Projected Inventory-Level Policies for Lost Sales Inventory Systems, eq. 4.
    """

    def orders(states: Integers) -> Integers:
        chances = projected_leftovers(case, states)
        expected = chances @ np.arange(chances.shape[1])
        # 1e-9 units: a level that is met but for rounding asks for no unit more.
        found: Integers = np.maximum(np.ceil(level - expected - 1e-9), 0).astype(np.int64)
        return found

    return orders


def projected_stockout(case: LostSalesCase, most_stockout_probability: float) -> Policy:
    """Return the policy that orders until a stockout in the period of this order's receipt is unlikely enough.

    Args:
        case: demand, lead time and costs.
        most_stockout_probability: chance of demand above stock in that period, above 0 and below 1.

    Source: restock; the myopic policy of Morton (1971) with a limit of its own in place of the newsvendor's.

    Example:
        >>> from restock.replenishment.lost_sales import poisson_case
        >>> case = poisson_case(5.0, lead_time_periods=1, holding_cost=1.0, shortage_cost=9.0)
        >>> projected_stockout(case, 0.15)(np.array([[0], [5], [40]])).tolist()  # P(D > 7) = 0.133
        [7, 7, 0]
    """
    if not 0 < most_stockout_probability < 1:
        raise ValueError(f"most_stockout_probability must be above 0 and below 1, got {most_stockout_probability}.")
    # Chance of demand above k for k = level + order.
    above = 1 - np.cumsum(case.probability)
    n_orders = int(np.argmax(above <= most_stockout_probability)) + 1
    reached = np.add.outer(np.arange(case.enough_levels[0] + 1), np.arange(n_orders))
    stockout = np.where(reached < len(above), above[np.minimum(reached, len(above) - 1)], 0.0)

    def orders(states: Integers) -> Integers:
        left = projected_leftovers(case, states)
        chance = left @ stockout[: left.shape[1]]
        found: Integers = (chance > most_stockout_probability + 1e-12).sum(axis=1)
        return found

    return orders


def myopic(case: LostSalesCase) -> Policy:
    """Return the policy that makes the period of this order's receipt as cheap as it can be.

    Source: Morton (1971), The Near-Myopic Nature of the Lagged-Proportional-Cost Inventory Problem with Lost Sales;
        Zipkin (2008), section 4.
    """
    return projected_stockout(case, 1 - case.critical_ratio)


def two_period_myopic(case: LostSalesCase) -> Policy:
    """Return the policy that makes this order's period of receipt and the next as cheap as they can be together.

    Only for short lead times: it keeps a table of all states that an optimum can reach.

    Source: Zipkin (2008), section 4, "myopic2".
    """
    n_levels, n_orders = optimal_order_bounds(case)
    shape = (n_levels,) + (n_orders,) * (case.lead_time_periods - 1)
    states = np.stack(np.unravel_index(np.arange(math.prod(shape)), shape), axis=1).astype(np.int64)
    left = projected_leftovers(case, states)
    cost = case.level_costs(left.shape[1] + n_orders)
    reached = np.add.outer(np.arange(left.shape[1]), np.arange(n_orders))
    now = left @ cost[reached]
    later = now.min(axis=1).reshape(shape)
    both = np.stack([expected_next(case, later, order=order).ravel() for order in range(n_orders)], axis=1) + now
    table = both.argmin(axis=1).reshape(shape)
    most = np.array(shape) - 1

    def orders(asked: Integers) -> Integers:
        found: Integers = table[tuple(np.minimum(asked, most).T)]
        return found

    return orders


def tune(
    cost: Callable[[float], float], low: float, high: float, *, first_looks: int = 6, rounds: int = 5
) -> tuple[float, float]:
    """Return the value between two with the least cost, and that cost, by golden section around the best of a grid.

    Args:
        cost: falls up to its least value and rises after it, but for steps narrower than the grid.
        low: first value looked at.
        high: last value, above the first.
        first_looks: evenly spaced values of the grid, >= 2.
        rounds: costs looked at beyond the grid and two more.

    Source: Kiefer (1953), Sequential Minimax Search for a Maximum.

    Example:
        >>> value, least = tune(lambda x: (x - 2) ** 2, 0.0, 5.0, rounds=40)
        >>> round(value, 3), round(least, 6)
        (2.0, 0.0)
    """
    grid = [low + (high - low) * place / (first_looks - 1) for place in range(first_looks)]
    grid_costs = [cost(value) for value in grid]
    place = grid_costs.index(min(grid_costs))
    low, high = grid[max(place - 1, 0)], grid[min(place + 1, first_looks - 1)]
    inner = [high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)]
    costs = [cost(inner[0]), cost(inner[1])]
    best = min([(grid_costs[place], grid[place]), *zip(costs, inner, strict=True)])
    for _ in range(rounds):
        if costs[0] <= costs[1]:
            high, inner[1], costs[1] = inner[1], inner[0], costs[0]
            inner[0] = high - _GOLDEN * (high - low)
            costs[0] = cost(inner[0])
            best = min(best, (costs[0], inner[0]))
        else:
            low, inner[0], costs[0] = inner[0], inner[1], costs[1]
            inner[1] = low + _GOLDEN * (high - low)
            costs[1] = cost(inner[1])
            best = min(best, (costs[1], inner[1]))
    return best[1], best[0]


def tune_whole(cost: Callable[[int], float], start: int, *, least: int = 0) -> tuple[int, float]:
    """Return the whole number with the least cost, and that cost, by walking downhill from a start.

    Args:
        cost: falls up to its least value and rises after it.
        start: where to begin.
        least: the smallest number allowed.

    Example:
        >>> tune_whole(lambda n: (n - 7) ** 2, 3)
        (7, 0)
    """
    known: dict[int, float] = {}

    def at(value: int) -> float:
        if value not in known:
            known[value] = cost(value) if value >= least else math.inf
        return known[value]

    value = start
    while True:
        following = min((value - 1, value + 1), key=at)
        if at(following) >= at(value):
            return value, at(value)
        value = following
