"""(r,Q): order Q whenever the inventory position falls to r. Exact and the textbook's approximations, with backorders.

`lead_time_periods` may be a fraction; demand over it has mean rate x lead time and variance rate variance x lead time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import optimize  # type: ignore[import-untyped]  # scipy ships no types

from restock.replenishment.loss_functions import (
    normal_losses,
    normal_quantile,
    normal_second_loss,
    poisson_losses,
)
from restock.replenishment.newsvendor import critical_ratio, poisson_quantile
from restock.replenishment.order_quantity import backordered_order_quantity, economic_order_quantity

# Units; far below what anyone orders, far above rounding.
_TOLERANCE = 1e-10
_MOST_ROUNDS = 1000


@dataclass(frozen=True, kw_only=True)
class ReorderRule:
    """Order `order_quantity` when the inventory position falls to `reorder_point`.

    Attributes:
        reorder_point: units.
        order_quantity: units.
        cost: ordering, holding and shortage, currency per unit of time; exact for the model unless a function says so.
    """

    reorder_point: float
    order_quantity: float
    cost: float


@dataclass(frozen=True, kw_only=True)
class NormalReorder:
    """The costs and the demand that an (r,Q) rule is for.

    Attributes:
        fixed_order_cost: currency per order, > 0.
        holding_cost: currency per unit and unit of time, > 0.
        shortage_cost: currency per unit short and unit of time, > 0; the expected-inventory approximation takes it per
            unit short.
        demand_mean: units per unit of time, > 0.
        demand_deviation: standard deviation, units per square root of time, >= 0.
        lead_time_periods: >= 0.
    """

    fixed_order_cost: float
    holding_cost: float
    shortage_cost: float
    demand_mean: float
    demand_deviation: float
    lead_time_periods: float

    def __post_init__(self) -> None:
        """Refuse what has no policy."""
        if min(self.fixed_order_cost, self.holding_cost, self.shortage_cost, self.demand_mean) <= 0:
            raise ValueError(f"costs and demand_mean must be > 0, got {self}.")
        if self.demand_deviation < 0 or self.lead_time_periods < 0:
            raise ValueError(f"demand_deviation and lead_time_periods must be >= 0, got {self}.")

    @property
    def mean(self) -> float:
        """Expected demand over the lead time, units."""
        return self.demand_mean * self.lead_time_periods

    @property
    def deviation(self) -> float:
        """Standard deviation of demand over the lead time, units."""
        return self.demand_deviation * math.sqrt(self.lead_time_periods)

    def level_cost(self, level: float) -> float:
        """Return holding and shortage per unit of time at one inventory position (the newsvendor's cost)."""
        shortage, leftover = normal_losses(level, mean=self.mean, deviation=self.deviation)
        return self.holding_cost * leftover + self.shortage_cost * shortage

    def best_level(self) -> float:
        """Return the inventory position of least cost, units."""
        ratio = critical_ratio(holding_cost=self.holding_cost, shortage_cost=self.shortage_cost)
        return self.mean + normal_quantile(ratio) * self.deviation


def reorder_cost(case: NormalReorder, *, reorder_point: float, order_quantity: float) -> float:
    """Return the cost of an (r,Q) rule per unit of time, exactly for normal demand over the lead time.

    Source: Snyder and Shen (2019), eq. 5.7, with the integral of the loss in closed form (the second loss).

    Example:
        >>> case = NormalReorder(
        ...     fixed_order_cost=8, holding_cost=0.225, shortage_cost=7.5, demand_mean=1300, demand_deviation=150,
        ...     lead_time_periods=1 / 12,
        ... )
        >>> round(reorder_cost(case, reorder_point=126.8, order_quantity=328.5), 2)  # their example 5.1
        78.07
    """
    if order_quantity <= 0:
        raise ValueError(f"order_quantity must be > 0, got {order_quantity}.")
    upper = reorder_point + order_quantity
    short = normal_second_loss(reorder_point, mean=case.mean, deviation=case.deviation)
    short -= normal_second_loss(upper, mean=case.mean, deviation=case.deviation)
    held = (upper - case.mean) ** 2 / 2 - (reorder_point - case.mean) ** 2 / 2
    levels = case.holding_cost * held + (case.holding_cost + case.shortage_cost) * short
    return (case.fixed_order_cost * case.demand_mean + levels) / order_quantity


def reorder_point_for_quantity(case: NormalReorder, *, order_quantity: float) -> float:
    """Return the best reorder point for a quantity: where the costs at r and at r + Q are equal.

    Source: Snyder and Shen (2019), eq. 5.9; Zheng (1992).
    """
    best = case.best_level()

    def gap(reorder_point: float) -> float:
        return case.level_cost(reorder_point) - case.level_cost(reorder_point + order_quantity)

    # The cost is convex with its least value at `best`, so the gap has one root in between.
    return float(optimize.brentq(gap, best - order_quantity, best, xtol=_TOLERANCE))


def exact_reorder_rule(case: NormalReorder) -> ReorderRule:
    """Return the (r,Q) rule of least cost for normal demand over the lead time.

    With the best r for each Q the cost is convex in Q, and at the optimum it equals the cost at r.

    Source: Zheng (1992), On Properties of Stochastic Inventory Systems, lemma 3; Snyder and Shen (2019), section 5.4.

    Example:
        >>> case = NormalReorder(
        ...     fixed_order_cost=8, holding_cost=0.225, shortage_cost=7.5, demand_mean=1300, demand_deviation=150,
        ...     lead_time_periods=1 / 12,
        ... )
        >>> found = exact_reorder_rule(case)
        >>> round(found.reorder_point), round(found.order_quantity), round(found.cost, 2)  # there 126.8 and 328.5
        (127, 328, 78.07)
    """

    def slope(order_quantity: float) -> float:
        point = reorder_point_for_quantity(case, order_quantity=order_quantity)
        return case.level_cost(point) - reorder_cost(case, reorder_point=point, order_quantity=order_quantity)

    # The economic quantity is a lower bound of the best one (Zheng, theorem 3).
    low = (
        economic_order_quantity(
            fixed_order_cost=case.fixed_order_cost, holding_cost=case.holding_cost, demand_rate=case.demand_mean
        ).order_quantity
        / 2
    )
    high = 2 * low
    while slope(high) < 0:
        high *= 2
    quantity = float(optimize.brentq(slope, low, high, xtol=_TOLERANCE))
    point = reorder_point_for_quantity(case, order_quantity=quantity)
    cost = reorder_cost(case, reorder_point=point, order_quantity=quantity)
    return ReorderRule(reorder_point=point, order_quantity=quantity, cost=cost)


def expected_inventory_rule(case: NormalReorder) -> ReorderRule:
    """Return the rule of the expected-inventory approximation; its shortage cost is per unit short, however long.

    Source: Hadley and Whitin (1963); Snyder and Shen (2019), eq. 5.16 to 5.18 and algorithm 5.1. The cost is that of
        the approximation.

    Raises:
        ValueError: an order costs so much that no chance of a stockout pays it.
    """
    quantity, point = _plain_quantity(case), math.inf

    def reorder_point(order_quantity: float) -> float:
        chance = order_quantity * case.holding_cost / (case.shortage_cost * case.demand_mean)
        if chance >= 1:
            raise ValueError(
                f"the expected-inventory approximation needs a shortage cost above {order_quantity * case.holding_cost}"
                f" / {case.demand_mean}, got {case.shortage_cost}. Take exact_reorder_rule."
            )
        return case.mean + normal_quantile(1 - chance) * case.deviation

    def next_quantity(at: float) -> float:
        short, _ = normal_losses(at, mean=case.mean, deviation=case.deviation)
        once = case.fixed_order_cost + case.shortage_cost * short
        return math.sqrt(2 * case.demand_mean * once / case.holding_cost)

    point, quantity = _settle(reorder_point, next_quantity, quantity)
    short, _ = normal_losses(point, mean=case.mean, deviation=case.deviation)
    cost = case.holding_cost * (point - case.mean + quantity / 2)
    cost += (case.fixed_order_cost + case.shortage_cost * short) * case.demand_mean / quantity
    return ReorderRule(reorder_point=point, order_quantity=quantity, cost=cost)


def loss_function_rule(case: NormalReorder) -> ReorderRule:
    """Return the rule of the loss-function approximation and its exact cost.

    Source: Hadley and Whitin (1963); Snyder and Shen (2019), eq. 5.28 and 5.29.
    """

    def reorder_point(order_quantity: float) -> float:
        wanted = case.holding_cost * order_quantity / (case.holding_cost + case.shortage_cost)

        def gap(at: float) -> float:
            return normal_losses(at, mean=case.mean, deviation=case.deviation)[0] - wanted

        return float(optimize.brentq(gap, case.mean - wanted - 1, case.mean + 40 * case.deviation, xtol=_TOLERANCE))

    def next_quantity(at: float) -> float:
        second = normal_second_loss(at, mean=case.mean, deviation=case.deviation)
        once = case.fixed_order_cost * case.demand_mean + (case.holding_cost + case.shortage_cost) * second
        return math.sqrt(2 * once / case.holding_cost)

    point, quantity = _settle(reorder_point, next_quantity, _plain_quantity(case))
    return _priced(case, point, quantity)


def backordered_quantity_rule(case: NormalReorder) -> ReorderRule:
    """Return the economic quantity with backorders, the best reorder point for it, and the exact cost.

    At most 11.8 % (sqrt(5)/2 - 1) above the best rule, seldom 1 % (Zheng 1992).

    Source: Snyder and Shen (2019), eq. 3.27 and 5.9.
    """
    quantity = backordered_order_quantity(
        fixed_order_cost=case.fixed_order_cost,
        holding_cost=case.holding_cost,
        shortage_cost=case.shortage_cost,
        demand_rate=case.demand_mean,
    ).order_quantity
    return _priced(case, reorder_point_for_quantity(case, order_quantity=quantity), quantity)


def quantity_and_safety_stock_rule(case: NormalReorder) -> ReorderRule:
    """Return the economic quantity, the newsvendor's level as reorder point, and the exact cost.

    Source: Snyder and Shen (2019), eq. 3.4 and 5.21.
    """
    return _priced(case, case.best_level(), _plain_quantity(case))


def exact_poisson_rule(
    *, fixed_order_cost: float, holding_cost: float, shortage_cost: float, demand_mean: float, lead_time_periods: float
) -> ReorderRule:
    """Return the whole (r,Q) of least cost for Poisson demand, under continuous review with backorders.

    Source: Federgruen and Zheng (1992), An Efficient Algorithm for Computing an Optimal (r,Q) Policy in Continuous
        Review Stochastic Inventory Systems; Snyder and Shen (2019), eq. 5.48.

    Example:
        >>> found = exact_poisson_rule(
        ...     fixed_order_cost=100, holding_cost=20, shortage_cost=150, demand_mean=1.5, lead_time_periods=2
        ... )
        >>> found.reorder_point, found.order_quantity, round(found.cost, 2)  # their example 5.8
        (3, 5, 107.92)
    """
    ratio = critical_ratio(holding_cost=holding_cost, shortage_cost=shortage_cost)
    mean = demand_mean * lead_time_periods

    def level_cost(level: int) -> float:
        shortage, leftover = poisson_losses(level, mean=mean)
        return holding_cost * leftover + shortage_cost * shortage

    best = poisson_quantile(ratio, mean=mean)
    point, quantity = best - 1, 1
    total = fixed_order_cost * demand_mean + level_cost(best)
    below, above = level_cost(point), level_cost(best + 1)
    # The levels r+1 .. r+Q are always the Q cheapest; one more is taken while it costs less than the average.
    while min(below, above) < total / quantity:
        total += min(below, above)
        quantity += 1
        if below < above:
            point -= 1
            below = level_cost(point)
        else:
            above = level_cost(point + quantity + 1)
    return ReorderRule(reorder_point=point, order_quantity=quantity, cost=total / quantity)


def _plain_quantity(case: NormalReorder) -> float:
    return economic_order_quantity(
        fixed_order_cost=case.fixed_order_cost, holding_cost=case.holding_cost, demand_rate=case.demand_mean
    ).order_quantity


def _priced(case: NormalReorder, point: float, quantity: float) -> ReorderRule:
    cost = reorder_cost(case, reorder_point=point, order_quantity=quantity)
    return ReorderRule(reorder_point=point, order_quantity=quantity, cost=cost)


def _settle(
    point_for: Callable[[float], float], quantity_for: Callable[[float], float], start: float
) -> tuple[float, float]:
    """Return the reorder point and the quantity that follow from each other, by turns.

    Raises:
        ValueError: they don't settle.
    """
    quantity = start
    for _ in range(_MOST_ROUNDS):
        point = point_for(quantity)
        following = quantity_for(point)
        if abs(following - quantity) < _TOLERANCE:
            return point, following
        quantity = following
    raise ValueError(f"reorder point and quantity do not settle from {start} units. Take exact_reorder_rule.")
