"""Economic order quantities: what one order should hold where demand is steady and each order costs something fixed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class OrderQuantity:
    """A quantity to order each time and the cost of doing so.

    Attributes:
        order_quantity: units.
        cost: currency per unit of time.
    """

    order_quantity: float
    cost: float


@dataclass(frozen=True, kw_only=True)
class BackorderedQuantity:
    """A quantity to order each time where customers wait.

    Attributes:
        order_quantity: units.
        stockout_share: share of the quantity that is waited for at its receipt, 0-1.
        cost: currency per unit of time.
    """

    order_quantity: float
    stockout_share: float
    cost: float


@dataclass(frozen=True, kw_only=True)
class DiscountedQuantity:
    """A quantity to order each time where the supplier's price falls with it.

    Attributes:
        order_quantity: units.
        price_region: which of the prices it is bought at, from 0.
        cost: currency per unit of time, purchases included.
    """

    order_quantity: float
    price_region: int
    cost: float


@dataclass(frozen=True, kw_only=True)
class JointOrders:
    """Orders of several skus that share a fixed cost.

    Attributes:
        base_cycle_periods: time between two orders.
        multiples: each sku is in every so many orders.
        order_quantities: units of each sku when it is in.
        cost: currency per unit of time.
    """

    base_cycle_periods: float
    multiples: tuple[int, ...]
    order_quantities: tuple[float, ...]
    cost: float


def economic_order_quantity(*, fixed_order_cost: float, holding_cost: float, demand_rate: float) -> OrderQuantity:
    """Return the quantity at which ordering costs as much as holding.

    Args:
        fixed_order_cost: currency per order, > 0.
        holding_cost: currency per unit and unit of time, > 0.
        demand_rate: units per unit of time, > 0.

    Source: Harris (1913); Snyder and Shen (2019), eq. 3.4 and 3.5.

    Example:
        >>> found = economic_order_quantity(fixed_order_cost=8, holding_cost=0.225, demand_rate=1300)
        >>> round(found.order_quantity, 1), round(found.cost, 2)  # their example 3.1
        (304.0, 68.41)
    """
    _check_positive(fixed_order_cost=fixed_order_cost, holding_cost=holding_cost, demand_rate=demand_rate)
    cost = math.sqrt(2 * fixed_order_cost * holding_cost * demand_rate)
    return OrderQuantity(order_quantity=cost / holding_cost, cost=cost)


def backordered_order_quantity(
    *, fixed_order_cost: float, holding_cost: float, shortage_cost: float, demand_rate: float
) -> BackorderedQuantity:
    """Return the economic quantity where customers wait at a cost per unit and time.

    Args:
        fixed_order_cost: currency per order, > 0.
        holding_cost: currency per unit and unit of time, > 0.
        shortage_cost: currency per unit waited for and unit of time, > 0.
        demand_rate: units per unit of time, > 0.

    Source: Snyder and Shen (2019), eq. 3.27 to 3.29.

    Example:
        >>> found = backordered_order_quantity(
        ...     fixed_order_cost=8, holding_cost=0.225, shortage_cost=5, demand_rate=1300
        ... )
        >>> round(found.order_quantity, 1), round(found.stockout_share, 4), round(found.cost, 2)  # their example 3.8
        (310.8, 0.0431, 66.92)
    """
    _check_positive(shortage_cost=shortage_cost)
    plain = economic_order_quantity(
        fixed_order_cost=fixed_order_cost, holding_cost=holding_cost, demand_rate=demand_rate
    )
    scale = math.sqrt((holding_cost + shortage_cost) / shortage_cost)
    share = holding_cost / (holding_cost + shortage_cost)
    return BackorderedQuantity(
        order_quantity=plain.order_quantity * scale, stockout_share=share, cost=plain.cost / scale
    )


def economic_production_quantity(
    *, fixed_order_cost: float, holding_cost: float, demand_rate: float, production_rate: float
) -> OrderQuantity:
    """Return the economic quantity where an order arrives at a finite rate.

    Args:
        fixed_order_cost: currency per order, > 0.
        holding_cost: currency per unit and unit of time, > 0.
        demand_rate: units per unit of time, > 0.
        production_rate: units per unit of time, above the demand rate.

    Source: Taft (1918); Snyder and Shen (2019), eq. 3.31 and 3.32.
    """
    if production_rate <= demand_rate:
        raise ValueError(f"production_rate must be above demand_rate {demand_rate}, got {production_rate}.")
    return economic_order_quantity(
        fixed_order_cost=fixed_order_cost,
        holding_cost=holding_cost * (1 - demand_rate / production_rate),
        demand_rate=demand_rate,
    )


def all_units_discount_quantity(
    *,
    fixed_order_cost: float,
    holding_cost_share: float,
    demand_rate: float,
    breakpoints: Sequence[float],
    unit_costs: Sequence[float],
) -> DiscountedQuantity:
    """Return the cheapest quantity where all units get the price of the region that the quantity reaches.

    Args:
        fixed_order_cost: currency per order, > 0.
        holding_cost_share: holding cost as a share of the unit's price, per unit of time, > 0.
        demand_rate: units per unit of time, > 0.
        breakpoints: units from which each price holds, increasing from 0.
        unit_costs: prices, falling, as many.

    Source: Snyder and Shen (2019), eq. 3.18 and 3.19.

    Example:
        >>> found = all_units_discount_quantity(
        ...     fixed_order_cost=8, holding_cost_share=0.3, demand_rate=1300, breakpoints=(0, 400, 800),
        ...     unit_costs=(0.75, 0.72, 0.68),
        ... )
        >>> found.order_quantity, found.price_region, round(found.cost, 1)  # their example 3.5
        (800, 2, 978.6)
    """
    _check_prices(breakpoints, unit_costs)
    found: list[DiscountedQuantity] = []
    ends = (*breakpoints[1:], math.inf)
    for region, (start, end, price) in enumerate(zip(breakpoints, ends, unit_costs, strict=True)):
        holding_cost = holding_cost_share * price
        free = economic_order_quantity(
            fixed_order_cost=fixed_order_cost, holding_cost=holding_cost, demand_rate=demand_rate
        ).order_quantity
        if free >= end:
            continue
        quantity = max(free, start)
        cost = price * demand_rate + fixed_order_cost * demand_rate / quantity + holding_cost * quantity / 2
        found.append(DiscountedQuantity(order_quantity=quantity, price_region=region, cost=cost))
    return _cheapest(found, breakpoints)


def incremental_discount_quantity(
    *,
    fixed_order_cost: float,
    holding_cost_share: float,
    demand_rate: float,
    breakpoints: Sequence[float],
    unit_costs: Sequence[float],
) -> DiscountedQuantity:
    """Return the cheapest quantity where only the units beyond a breakpoint get its price.

    Arguments as for `all_units_discount_quantity`.

    Source: Snyder and Shen (2019), eq. 3.20 to 3.22.
    """
    _check_prices(breakpoints, unit_costs)
    found: list[DiscountedQuantity] = []
    saved = 0.0
    ends = (*breakpoints[1:], math.inf)
    for region, (start, end, price) in enumerate(zip(breakpoints, ends, unit_costs, strict=True)):
        if region:
            # What the units below the breakpoint cost more than at this price is paid once an order.
            saved += start * (unit_costs[region - 1] - price)
        holding_cost = holding_cost_share * price
        quantity = economic_order_quantity(
            fixed_order_cost=fixed_order_cost + saved, holding_cost=holding_cost, demand_rate=demand_rate
        ).order_quantity
        if start <= quantity < end:
            paid = price * demand_rate + holding_cost_share * saved / 2
            cost = paid + (fixed_order_cost + saved) * demand_rate / quantity + holding_cost * quantity / 2
            found.append(DiscountedQuantity(order_quantity=quantity, price_region=region, cost=cost))
    return _cheapest(found, breakpoints)


def _cheapest(found: Sequence[DiscountedQuantity], breakpoints: Sequence[float]) -> DiscountedQuantity:
    """Return the quantity of the least cost, the smallest of equals.

    Raises:
        ValueError: no price region holds a quantity.
    """
    if not found:
        raise ValueError(f"no price region holds a quantity; breakpoints must rise from 0, got {tuple(breakpoints)}.")
    return min(found, key=lambda each: each.cost)


def joint_order_quantities(
    *,
    shared_order_cost: float,
    order_costs: Sequence[float],
    holding_costs: Sequence[float],
    demand_rates: Sequence[float],
) -> JointOrders:
    """Return cycles of skus that share a fixed order cost, by Silver's heuristic.

    Args:
        shared_order_cost: currency per order, whatever is in it.
        order_costs: currency per order that a sku is in.
        holding_costs: currency per unit and unit of time, > 0.
        demand_rates: units per unit of time, > 0.

    Source: Silver (1976), A simple method of determining order quantities in joint replenishments under deterministic
        demand; also Silver, Pyke and Peterson (1998), section 11.2.

    Example:
        >>> found = joint_order_quantities(
        ...     shared_order_cost=10, order_costs=(1.87, 5.27, 7.94, 8.19, 8.87), holding_costs=(0.2,) * 5,
        ...     demand_rates=(1736, 656, 558, 170, 142),
        ... )
        >>> found.multiples, round(found.cost, 2)  # the example in Silver's paper
        ((1, 1, 1, 3, 3), 218.69)
    """
    value = [holding * rate for holding, rate in zip(holding_costs, demand_rates, strict=True)]
    ratio = [cost / each for cost, each in zip(order_costs, value, strict=True)]
    often = ratio.index(min(ratio))
    scale = value[often] / (shared_order_cost + order_costs[often])
    multiples = tuple(max(1, round(math.sqrt(each * scale))) for each in ratio)
    multiples = (*multiples[:often], 1, *multiples[often + 1 :])
    fixed = shared_order_cost + sum(cost / each for cost, each in zip(order_costs, multiples, strict=True))
    held = sum(each * multiple for each, multiple in zip(value, multiples, strict=True))
    cycle = math.sqrt(2 * fixed / held)
    return JointOrders(
        base_cycle_periods=cycle,
        multiples=multiples,
        order_quantities=tuple(cycle * multiple * rate for multiple, rate in zip(multiples, demand_rates, strict=True)),
        cost=fixed / cycle + cycle * held / 2,
    )


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be > 0, got {value}.")


def _check_prices(breakpoints: Sequence[float], unit_costs: Sequence[float]) -> None:
    if len(breakpoints) != len(unit_costs) or not breakpoints or breakpoints[0] != 0:
        raise ValueError(f"breakpoints must start at 0, one per unit cost, got {breakpoints} and {unit_costs}.")
    rises = all(before < after for before, after in pairwise(breakpoints))
    falls = all(before > after for before, after in pairwise(unit_costs))
    if not rises or not falls:
        raise ValueError(f"breakpoints must rise and unit costs fall, got {breakpoints} and {unit_costs}.")
