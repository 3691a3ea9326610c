"""Safety stock: what to hold beyond expected demand, from how demand and lead time vary over the protection period."""

from __future__ import annotations

import math
from dataclasses import dataclass

from restock.replenishment.loss_functions import normal_losses, normal_quantile


@dataclass(frozen=True, kw_only=True)
class ProtectionDemand:
    """Demand over the periods that one order has to cover.

    Attributes:
        mean: units.
        deviation: standard deviation, units.
        protection_periods: expected lead time + review periods.
    """

    mean: float
    deviation: float
    protection_periods: float


def protection_demand(
    *,
    demand_mean: float,
    demand_deviation: float,
    lead_time_periods: float,
    lead_time_deviation: float = 0.0,
    review_periods: float = 0.0,
) -> ProtectionDemand:
    """Return the moments of demand over lead time + review period, where both demand and lead time vary.

    Demand is independent between periods and of the lead time.

    Args:
        demand_mean: units per period, >= 0.
        demand_deviation: standard deviation, units per period, >= 0.
        lead_time_periods: expected lead time, >= 0.
        lead_time_deviation: standard deviation of the lead time, periods, >= 0.
        review_periods: periods between two reviews, >= 0; 0 is continuous review.

    Raises:
        ValueError: one of them is negative.

    Source: Hadley and Whitin (1963), Analysis of Inventory Systems, chapter 3: Var = E[L] Var[D] + E[D]^2 Var[L].

    Example:
        >>> found = protection_demand(
        ...     demand_mean=100, demand_deviation=30, lead_time_periods=4, lead_time_deviation=1.5
        ... )
        >>> round(found.mean), round(found.deviation, 2)  # sqrt(4 x 900 + 100^2 x 2.25)
        (400, 161.55)
    """
    values = (demand_mean, demand_deviation, lead_time_periods, lead_time_deviation, review_periods)
    if min(values) < 0:
        names = ("demand_mean", "demand_deviation", "lead_time_periods", "lead_time_deviation", "review_periods")
        given = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        raise ValueError(f"moments of demand and lead time must be >= 0, got {given}.")
    periods = lead_time_periods + review_periods
    variance = periods * demand_deviation**2 + (demand_mean * lead_time_deviation) ** 2
    return ProtectionDemand(mean=demand_mean * periods, deviation=math.sqrt(variance), protection_periods=periods)


def safety_stock_for_cycles(demand: ProtectionDemand, *, cycle_service_level: float) -> float:
    """Return the safety stock with which a cycle sees no stockout with the given probability, units.

    Args:
        demand: over the protection period, taken as normal.
        cycle_service_level: probability, above 0 and below 1.

    Source: Silver, Pyke and Thomas (2017), Inventory and Production Management in Supply Chains, chapter 6.

    Example:
        >>> demand = ProtectionDemand(mean=100.0, deviation=20.0, protection_periods=2.0)
        >>> round(safety_stock_for_cycles(demand, cycle_service_level=0.95), 1)
        32.9
    """
    return normal_quantile(cycle_service_level) * demand.deviation


def fill_rate_of_reorder_point(demand: ProtectionDemand, *, reorder_point: float, order_quantity: float) -> float:
    """Return the share of demand served from stock by an (r,Q) policy with backorders, exactly for normal demand.

    Args:
        demand: over the lead time, taken as normal.
        reorder_point: inventory position at which is ordered, units.
        order_quantity: units ordered each time, > 0.

    Returns:
        0-1.

    Source: Zipkin (2000), Foundations of Inventory Management, chapter 6: 1 - (n(r) - n(r+Q)) / Q, n the loss function.

    Example:
        >>> demand = ProtectionDemand(mean=100.0, deviation=20.0, protection_periods=2.0)
        >>> round(fill_rate_of_reorder_point(demand, reorder_point=100.0, order_quantity=200.0), 4)
        0.9601
    """
    if order_quantity <= 0:
        raise ValueError(f"order_quantity must be > 0, got {order_quantity}.")
    before, _ = normal_losses(reorder_point, mean=demand.mean, deviation=demand.deviation)
    after, _ = normal_losses(reorder_point + order_quantity, mean=demand.mean, deviation=demand.deviation)
    return 1 - (before - after) / order_quantity


def fill_rate_of_base_stock(
    *,
    order_up_to_level: float,
    demand_mean: float,
    demand_deviation: float,
    lead_time_periods: int,
    review_periods: int = 1,
) -> float:
    """Return the share of demand served from stock by a periodic base stock with backorders, for normal demand.

    Args:
        order_up_to_level: inventory position after every order, units.
        demand_mean: units per period, > 0.
        demand_deviation: standard deviation, units per period.
        lead_time_periods: whole periods between order and receipt.
        review_periods: whole periods between two orders, >= 1.

    Returns:
        0-1. What is short in a cycle is what is short at its end beyond what was short at its start.

    Source: Johnson, Lee, Davis and Hall (1995), Expressions for item fill rates in periodic inventory systems;
        Teunter (2009), Note on the fill rate of single-stage general periodic review inventory systems.

    Example:
        >>> round(fill_rate_of_base_stock(
        ...     order_up_to_level=130.0, demand_mean=50.0, demand_deviation=10.0, lead_time_periods=1
        ... ), 4)
        0.9983
    """
    if demand_mean <= 0 or review_periods < 1:
        raise ValueError(f"demand_mean must be > 0 and review_periods >= 1, got {demand_mean} and {review_periods}.")
    short = []
    for periods in (lead_time_periods, lead_time_periods + review_periods):
        deviation = demand_deviation * math.sqrt(periods)
        short.append(normal_losses(order_up_to_level, mean=demand_mean * periods, deviation=deviation)[0])
    return 1 - (short[1] - short[0]) / (demand_mean * review_periods)


def safety_stock_for_fill_rate(demand: ProtectionDemand, *, fill_rate: float, order_quantity: float) -> float:
    """Return the smallest safety stock at or above 0 with which an (r,Q) policy serves a share of demand from stock.

    Args:
        demand: over the protection period, taken as normal.
        fill_rate: share of demand units served from stock, above 0 and below 1.
        order_quantity: units ordered each time, > 0.

    Returns:
        Units; 0 where the order quantity alone serves that much.

    Source: the inverse of `fill_rate_of_reorder_point` by bisection; Silver, Pyke and Thomas (2017), chapter 6.

    Example:
        >>> demand = ProtectionDemand(mean=100.0, deviation=20.0, protection_periods=2.0)
        >>> stock = safety_stock_for_fill_rate(demand, fill_rate=0.99, order_quantity=200.0)
        >>> round(fill_rate_of_reorder_point(demand, reorder_point=100.0 + stock, order_quantity=200.0), 6)
        0.99
    """
    if not 0 < fill_rate < 1:
        raise ValueError(f"fill_rate must be above 0 and below 1, got {fill_rate}.")

    def reached(stock: float) -> bool:
        level = demand.mean + stock
        return fill_rate_of_reorder_point(demand, reorder_point=level, order_quantity=order_quantity) >= fill_rate

    low, high = 0.0, max(demand.deviation, 1e-12)
    if reached(low):
        return low
    while not reached(high):
        low, high = high, 2 * high
    # 60 halvings leave nothing of a double's precision.
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
