"""Order quantities where the supplier is sometimes down or delivers another quantity than was ordered."""

from __future__ import annotations

import math

from scipy import optimize  # type: ignore[import-untyped]  # scipy ships no types

from restock.replenishment.newsvendor import BaseStock, critical_ratio
from restock.replenishment.order_quantity import OrderQuantity

# Chance of a disruption so long that it is left out of a cost.
_TAIL = 1e-14


def disrupted_order_quantity_cost(
    order_quantity: float,
    *,
    fixed_order_cost: float,
    holding_cost: float,
    shortage_cost: float,
    demand_rate: float,
    disruption_rate: float,
    recovery_rate: float,
) -> float:
    """Return the cost per unit of time of ordering a quantity at zero stock from a supplier that is sometimes down.

    Args:
        order_quantity: units, > 0.
        fixed_order_cost: currency per order.
        holding_cost: currency per unit and unit of time.
        shortage_cost: currency per unit of demand lost.
        demand_rate: units per unit of time.
        disruption_rate: disruptions per unit of time while the supplier is up.
        recovery_rate: recoveries per unit of time while it is down.

    Source: Parlar and Berkin (1991), as corrected by Berk and Arreola-Risa (1994); Snyder and Shen (2019), eq. 9.5.
    """
    both = disruption_rate + recovery_rate
    is_down = disruption_rate / both * -math.expm1(-both * order_quantity / demand_rate)
    once = fixed_order_cost + holding_cost * order_quantity**2 / (2 * demand_rate)
    once += shortage_cost * demand_rate * is_down / recovery_rate
    return once / (order_quantity / demand_rate + is_down / recovery_rate)


def disrupted_order_quantity(
    *,
    fixed_order_cost: float,
    holding_cost: float,
    shortage_cost: float,
    demand_rate: float,
    disruption_rate: float,
    recovery_rate: float,
) -> OrderQuantity:
    """Return the quantity of least cost where the supplier is sometimes down; arguments as for its cost.

    Source: Snyder and Shen (2019), eq. 9.5; the search starts from Snyder (2014), A Tight Approximation for a
        Continuous-Review Inventory Model with Supplier Disruptions.

    Example:
        >>> found = disrupted_order_quantity(
        ...     fixed_order_cost=8, holding_cost=0.225, shortage_cost=5, demand_rate=1300, disruption_rate=1.5,
        ...     recovery_rate=14,
        ... )
        >>> round(found.order_quantity, 1), round(found.cost, 2)  # their example 9.1
        (772.8, 173.95)
    """
    down = disruption_rate / (disruption_rate + recovery_rate)
    part = down * demand_rate * holding_cost
    once = fixed_order_cost * demand_rate * recovery_rate + demand_rate**2 * shortage_cost * down
    near = (math.sqrt(part**2 + 2 * holding_cost * recovery_rate * once) - part) / (holding_cost * recovery_rate)

    def cost(order_quantity: float) -> float:
        return disrupted_order_quantity_cost(
            order_quantity,
            fixed_order_cost=fixed_order_cost,
            holding_cost=holding_cost,
            shortage_cost=shortage_cost,
            demand_rate=demand_rate,
            disruption_rate=disruption_rate,
            recovery_rate=recovery_rate,
        )

    found = optimize.minimize_scalar(cost, bounds=(near / 10, near * 10), method="bounded", options={"xatol": 1e-9})
    return OrderQuantity(order_quantity=float(found.x), cost=float(found.fun))


def disrupted_base_stock(
    *,
    holding_cost: float,
    shortage_cost: float,
    demand: float,
    disruption_probability: float,
    recovery_probability: float,
) -> BaseStock:
    """Return the best base stock for steady demand that waits, from a supplier that is down for some periods.

    Args:
        holding_cost: currency per unit and period.
        shortage_cost: currency per unit short and period.
        demand: units in every period, > 0.
        disruption_probability: that a supplier who is up is down in the next period, above 0 and below 1.
        recovery_probability: that one who is down is up in the next, above 0 and below 1.

    Source: Snyder and Shen (2019), eq. 9.14, 9.18 and lemma 9.2.

    Example:
        >>> found = disrupted_base_stock(
        ...     holding_cost=0.25, shortage_cost=3, demand=2000, disruption_probability=0.04, recovery_probability=0.25
        ... )
        >>> found.order_up_to_level, round(found.expected_cost, 2)  # their example 9.3
        (8000, 2737.07)
    """
    for name, value in (("disruption", disruption_probability), ("recovery", recovery_probability)):
        if not 0 < value < 1:
            raise ValueError(f"{name}_probability must be above 0 and below 1, got {value}.")
    ratio = critical_ratio(holding_cost=holding_cost, shortage_cost=shortage_cost)
    both = disruption_probability + recovery_probability
    periods, beyond = 0, disruption_probability / both
    while 1 - beyond < ratio:
        periods += 1
        beyond *= 1 - recovery_probability
    level = demand * (1 + periods)
    down, chance, cost = 0, recovery_probability / both, 0.0
    while chance > _TAIL or down <= periods:
        needed = (down + 1) * demand
        cost += chance * (holding_cost * max(level - needed, 0) + shortage_cost * max(needed - level, 0))
        chance = (
            disruption_probability * recovery_probability / both if down == 0 else chance * (1 - recovery_probability)
        )
        down += 1
    return BaseStock(order_up_to_level=level, expected_cost=cost)


def added_yield_order_quantity(
    *, fixed_order_cost: float, holding_cost: float, demand_rate: float, yield_mean: float, yield_deviation: float
) -> OrderQuantity:
    """Return the economic quantity where what arrives is the order plus a random number of units.

    Args:
        fixed_order_cost: currency per order.
        holding_cost: currency per unit and unit of time.
        demand_rate: units per unit of time.
        yield_mean: expected units more (or, negative, fewer) than were ordered.
        yield_deviation: their standard deviation, units.

    Source: Snyder and Shen (2019), eq. 9.22 and 9.23.

    Example:
        >>> found = added_yield_order_quantity(
        ...     fixed_order_cost=18500, holding_cost=0.06, demand_rate=75000, yield_mean=-15000, yield_deviation=9000
        ... )
        >>> round(found.order_quantity), round(found.cost)  # their example 9.4
        (230246, 12915)
    """
    arrives = math.sqrt(2 * fixed_order_cost * demand_rate / holding_cost + yield_deviation**2)
    # At the optimum ordering and variance cost as much as holding.
    return OrderQuantity(order_quantity=arrives - yield_mean, cost=holding_cost * arrives)


def scaled_yield_order_quantity(
    *, fixed_order_cost: float, holding_cost: float, demand_rate: float, yield_mean: float, yield_deviation: float
) -> OrderQuantity:
    """Return the economic quantity where a random share of the order arrives.

    Args:
        fixed_order_cost: currency per order.
        holding_cost: currency per unit and unit of time.
        demand_rate: units per unit of time.
        yield_mean: expected share that arrives, > 0.
        yield_deviation: its standard deviation.

    Source: Snyder and Shen (2019), eq. 9.24 and 9.25.
    """
    square = yield_deviation**2 + yield_mean**2
    quantity = math.sqrt(2 * fixed_order_cost * demand_rate / (holding_cost * square))
    return OrderQuantity(order_quantity=quantity, cost=holding_cost * quantity * square / yield_mean)


def added_yield_base_stock(
    *, holding_cost: float, shortage_cost: float, demand: float, yield_low: float, yield_high: float
) -> BaseStock:
    """Return the best base stock for steady demand where what arrives differs by a uniform number of units.

    Args:
        holding_cost: currency per unit left.
        shortage_cost: currency per unit short.
        demand: units.
        yield_low: least difference, units.
        yield_high: greatest difference, units, above the least.

    Source: Snyder and Shen (2019), eq. 9.27 and 9.28.

    Example:
        >>> found = added_yield_base_stock(
        ...     holding_cost=15e6, shortage_cost=75e6, demand=1.5, yield_low=-0.5, yield_high=0.5
        ... )
        >>> round(found.order_up_to_level, 3), round(found.expected_cost)  # their example 9.6
        (1.833, 6250000)
    """
    if yield_high <= yield_low:
        raise ValueError(f"yield_high must be above yield_low {yield_low}, got {yield_high}.")
    short_share = 1 - critical_ratio(holding_cost=holding_cost, shortage_cost=shortage_cost)
    width = yield_high - yield_low
    missing = yield_low + width * short_share
    leftover, shortage = (yield_high - missing) ** 2 / (2 * width), (missing - yield_low) ** 2 / (2 * width)
    cost = holding_cost * leftover + shortage_cost * shortage
    return BaseStock(order_up_to_level=demand - missing, expected_cost=cost)
