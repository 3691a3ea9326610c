"""(s,S) and (R,s,S): at a review, order up to S where the inventory position is at s or below; with backorders.

With s = S - 1 it is a base stock, with review_periods > 1 a periodic one. Costs fall at the end of each period.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.loss_functions import poisson_losses, poisson_probability
from restock.replenishment.newsvendor import critical_ratio, poisson_quantile

Floats = NDArray[np.floating[Any]]

# Chance of demand beyond the last that is looked at.
_TAIL = 1e-13


@dataclass(frozen=True, kw_only=True)
class OrderUpToRule:
    """At a review order up to `order_up_to_level` where the inventory position is at `reorder_point` or below.

    Attributes:
        reorder_point: units.
        order_up_to_level: units.
        cost: ordering, holding and shortage, currency per period.
    """

    reorder_point: float
    order_up_to_level: float
    cost: float


def order_up_to_cost(
    level_cost: Callable[[int], float],
    probability: Floats,
    *,
    reorder_point: int,
    order_up_to_level: int,
    fixed_order_cost: float,
) -> float:
    """Return the expected cost of an (s,S) rule per review, exactly, by renewal between two orders.

    Args:
        level_cost: expected holding and shortage per review where the position after the order is a whole level.
        probability: shape (n,), chance of each demand 0, 1, … between two reviews; the first is below 1.
        reorder_point: s, units.
        order_up_to_level: S, above s.
        fixed_order_cost: currency per order.

    Source: Veinott and Wagner (1965); Zheng and Federgruen (1991), eq. 3 and 4: visits m(j) of the level S - j between
        two orders, m(0) = 1 / (1 - p(0)), m(j) = sum of p(l) m(j - l), cost = (K + sum m g) / sum m.
    """
    levels = order_up_to_level - reorder_point
    if levels < 1:
        raise ValueError(f"order_up_to_level must be above reorder_point {reorder_point}, got {order_up_to_level}.")
    visits = _visits(probability, levels)
    costs = np.array([level_cost(order_up_to_level - j) for j in range(levels)])
    return float((fixed_order_cost + visits @ costs) / visits.sum())


def exact_order_up_to_rule(
    level_cost: Callable[[int], float], probability: Floats, *, best_level: int, fixed_order_cost: float
) -> OrderUpToRule:
    """Return the (s,S) rule of least cost per review.

    Args:
        level_cost: expected holding and shortage per review where the position after the order is a whole level; falls
            to its least value and rises after it, beyond all bounds.
        probability: shape (n,), chance of each demand 0, 1, … between two reviews.
        best_level: where `level_cost` is least.
        fixed_order_cost: currency per order, > 0.

    Source: Zheng and Federgruen (1991), Finding Optimal (s,S) Policies Is About As Simple As Evaluating a Single
        Policy, the algorithm of section 3; Snyder and Shen (2019), algorithm 4.2.
    """
    if not fixed_order_cost > 0:
        raise ValueError(f"fixed_order_cost must be > 0, got {fixed_order_cost}; without one take a base stock.")

    def cost(point: int, level: int) -> float:
        return order_up_to_cost(
            level_cost, probability, reorder_point=point, order_up_to_level=level, fixed_order_cost=fixed_order_cost
        )

    point = level = best_level
    point -= 1
    while cost(point, level) > level_cost(point):
        point -= 1
    best = cost(point, level)
    following = level + 1
    while level_cost(following) <= best:
        if cost(point, following) < best:
            level = following
            while cost(point, level) <= level_cost(point + 1):
                point += 1
            best = cost(point, level)
        following += 1
    return OrderUpToRule(reorder_point=point, order_up_to_level=level, cost=best)


def poisson_order_up_to_rule(
    *,
    fixed_order_cost: float,
    holding_cost: float,
    shortage_cost: float,
    demand_mean: float,
    lead_time_periods: int = 0,
    review_periods: int = 1,
) -> OrderUpToRule:
    """Return the best (s,S) rule, or (R,s,S) rule, for Poisson demand with backorders.

    Args:
        fixed_order_cost: currency per order, > 0.
        holding_cost: currency per unit and period, > 0.
        shortage_cost: currency per unit short and period, > 0.
        demand_mean: units per period, > 0.
        lead_time_periods: whole periods between order and receipt.
        review_periods: whole periods between two reviews, >= 1.

    Source: `exact_order_up_to_rule`; a review answers for the periods from its receipt to that of the next
        (Hadley and Whitin 1963, chapter 5).

    Example:
        >>> found = poisson_order_up_to_rule(fixed_order_cost=5, holding_cost=1, shortage_cost=4, demand_mean=6)
        >>> found.reorder_point, found.order_up_to_level, round(found.cost, 3)  # Snyder and Shen, example 4.7
        (4, 10, 8.034)
    """
    ratio = critical_ratio(holding_cost=holding_cost, shortage_cost=shortage_cost)
    means = [demand_mean * (lead_time_periods + 1 + k) for k in range(review_periods)]
    known: dict[int, float] = {}

    def level_cost(level: int) -> float:
        if level not in known:
            cost = 0.0
            for mean in means:
                shortage, leftover = poisson_losses(level, mean=mean)
                cost += holding_cost * leftover + shortage_cost * shortage
            known[level] = cost
        return known[level]

    level = poisson_quantile(ratio, mean=means[0])
    while level_cost(level + 1) < level_cost(level):
        level += 1
    between = demand_mean * review_periods
    last = poisson_quantile(1 - _TAIL, mean=between)
    probability = np.array([poisson_probability(units, mean=between) for units in range(last + 1)])
    found = exact_order_up_to_rule(level_cost, probability, best_level=level, fixed_order_cost=fixed_order_cost)
    return OrderUpToRule(
        reorder_point=found.reorder_point,
        order_up_to_level=found.order_up_to_level,
        cost=found.cost / review_periods,
    )


def power_approximation(
    *,
    fixed_order_cost: float,
    holding_cost: float,
    shortage_cost: float,
    demand_mean: float,
    demand_deviation: float,
) -> tuple[float, float]:
    """Return s and S by the power approximation, for independent demand with backorders and no lead time.

    Args:
        fixed_order_cost: currency per order, > 0.
        holding_cost: currency per unit and period, > 0.
        shortage_cost: currency per unit short and period, > 0.
        demand_mean: units per period, > 0.
        demand_deviation: standard deviation, units per period, > 0.

    Source: Ehrhardt and Mosier (1984), A Revision of the Power Approximation for Computing (s,S) Policies; Snyder and
        Shen (2019), eq. 4.77 to 4.80.

    Example:
        >>> point, level = power_approximation(
        ...     fixed_order_cost=2.5, holding_cost=0.18, shortage_cost=0.7, demand_mean=50, demand_deviation=8
        ... )
        >>> round(point, 1), round(level, 1)  # their example 4.8
        (40.2, 74.3)
    """
    if min(fixed_order_cost, holding_cost, shortage_cost, demand_mean, demand_deviation) <= 0:
        raise ValueError("the power approximation needs costs, demand_mean and demand_deviation above 0.")
    quantity = 1.30 * demand_mean**0.494 * (fixed_order_cost / holding_cost) ** 0.506
    quantity *= (1 + (demand_deviation / demand_mean) ** 2) ** 0.116
    z = math.sqrt(quantity / demand_deviation * holding_cost / shortage_cost)
    point = 0.973 * demand_mean + demand_deviation * (0.183 / z + 1.063 - 2.192 * z)
    return point, point + quantity


def _visits(probability: Floats, levels: int) -> NDArray[np.float64]:
    """Return how often each of the levels S, S - 1, … is visited between two orders, shape (levels,)."""
    visits = np.zeros(levels)
    visits[0] = 1 / (1 - probability[0])
    for j in range(1, levels):
        steps = np.arange(1, min(j, len(probability) - 1) + 1)
        visits[j] = probability[steps] @ visits[j - steps] * visits[0]
    return visits
