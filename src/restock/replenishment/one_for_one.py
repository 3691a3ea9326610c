"""(S-1,S): each unit sold is ordered again at once; exact for Poisson demand and any distribution of the lead time.

With backorders, units on order are Poisson with mean demand x lead time (Palm's theorem). With lost sales they are
that, cut off at S (Erlang's loss formula). Lead times are independent of each other, so orders may cross.
"""

from __future__ import annotations

from dataclasses import dataclass

from restock.replenishment.loss_functions import poisson_losses, poisson_probability
from restock.replenishment.newsvendor import critical_ratio, poisson_quantile
from restock.replenishment.simulate import UnmetDemand


@dataclass(frozen=True, kw_only=True)
class OneForOne:
    """What a level S does in the long run.

    Attributes:
        order_up_to_level: units in stock and on order together.
        fill_rate: share of demand units served from stock, 0-1.
        on_hand_mean: units.
        cost: holding and shortage, currency per unit of time.
    """

    order_up_to_level: int
    fill_rate: float
    on_hand_mean: float
    cost: float


def erlang_loss(level: int, *, mean: float) -> float:
    """Return the chance that all units are on order where what is short is lost: Erlang's B.

    Args:
        level: units in stock and on order together, >= 0.
        mean: expected demand over the lead time, units.

    Source: Erlang (1917), by the recursion B(n) = mean B(n-1) / (n + mean B(n-1)); for stock Smith (1977), Optimal
        Inventories for an (S-1,S) System with No Backorders.

    Example:
        >>> round(erlang_loss(10, mean=5.0), 4)  # as in any table of Erlang's B
        0.0184
    """
    loss = 1.0
    for units in range(1, level + 1):
        loss = mean * loss / (units + mean * loss)
    return loss


def one_for_one(
    level: int,
    *,
    demand_mean: float,
    lead_time_periods: float,
    holding_cost: float,
    shortage_cost: float,
    unmet: UnmetDemand,
) -> OneForOne:
    """Return what a level does in the long run.

    Args:
        level: S, units >= 0.
        demand_mean: Poisson, units per unit of time.
        lead_time_periods: expected lead time.
        holding_cost: currency per unit and unit of time.
        shortage_cost: currency per unit lost, or per unit that waits and unit of time.
        unmet: whether demand waits or is lost.

    Source: Palm (1938), Feeney and Sherbrooke (1966) for backorders; Smith (1977) for lost sales.

    Example:
        >>> found = one_for_one(
        ...     10, demand_mean=5, lead_time_periods=1, holding_cost=1, shortage_cost=9, unmet=UnmetDemand.LOST
        ... )
        >>> round(found.fill_rate, 4), round(found.on_hand_mean, 3)  # 10 - 5 x 0.9816
        (0.9816, 5.092)
    """
    mean = demand_mean * lead_time_periods
    if unmet is UnmetDemand.LOST:
        lost = erlang_loss(level, mean=mean)
        on_hand = level - mean * (1 - lost)
        cost = holding_cost * on_hand + shortage_cost * demand_mean * lost
        return OneForOne(order_up_to_level=level, fill_rate=1 - lost, on_hand_mean=on_hand, cost=cost)
    waiting, on_hand = poisson_losses(level, mean=mean)
    served = sum(poisson_probability(units, mean=mean) for units in range(level))
    cost = holding_cost * on_hand + shortage_cost * waiting
    return OneForOne(order_up_to_level=level, fill_rate=served, on_hand_mean=on_hand, cost=cost)


def best_one_for_one(
    *,
    demand_mean: float,
    lead_time_periods: float,
    holding_cost: float,
    shortage_cost: float,
    unmet: UnmetDemand,
) -> OneForOne:
    """Return the level of least cost and what it does; arguments as for `one_for_one`.

    The cost is convex in the level: with backorders as the newsvendor's, with lost sales as Erlang's B is convex
    (Messerli 1972).

    Example:
        >>> best_one_for_one(
        ...     demand_mean=5, lead_time_periods=1, holding_cost=1, shortage_cost=9, unmet=UnmetDemand.BACKORDERED
        ... ).order_up_to_level
        8
    """
    ratio = critical_ratio(holding_cost=holding_cost, shortage_cost=shortage_cost)

    def at(level: int) -> OneForOne:
        return one_for_one(
            level,
            demand_mean=demand_mean,
            lead_time_periods=lead_time_periods,
            holding_cost=holding_cost,
            shortage_cost=shortage_cost,
            unmet=unmet,
        )

    found = at(poisson_quantile(ratio, mean=demand_mean * lead_time_periods))
    while (higher := at(found.order_up_to_level + 1)).cost < found.cost:
        found = higher
    while found.order_up_to_level > 0 and (lower := at(found.order_up_to_level - 1)).cost <= found.cost:
        found = lower
    return found
