"""The quantity wanted by cost or service, the best that the supplier and the room allow, and what keeps them apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.order_lines import Objective, OrderTerms
from restock.replenishment.order_windows import OrderWindows
from restock.replenishment.window_costs import (
    Quantities,
    WindowCosts,
    cheapest_quantity,
    quantity_for_cycles,
    quantity_for_fill_rate,
    window_outcome,
)


class Binding(StrEnum):
    """What keeps an order from the quantity wanted."""

    NONE = "none"
    MINIMUM_ORDER = "minimum_order_quantity"
    ORDER_MULTIPLE = "order_multiple"
    STORAGE = "storage"
    SERVICE_FLOOR = "service_floor"
    SHELF_LIFE = "shelf_life"
    BUDGET = "budget"
    SUPPLIER_MINIMUM = "supplier_minimum"
    TRANSPORT = "transport"
    WAREHOUSE = "warehouse_stock"


BINDINGS = tuple(Binding)


@dataclass(frozen=True, kw_only=True)
class WantedOrders:
    """What would be ordered without the supplier's terms; `least` and `first_least` are the service floors."""

    quantity: Quantities
    first: Quantities
    least: Quantities
    first_least: Quantities


def quantity_step(terms: OrderTerms) -> Quantities:
    """Return the step in which levels are looked for, units: whole units, or the order multiple where it is finer."""
    multiple = terms.order_multiple
    step: Quantities = multiple / np.ceil(multiple - 1e-9)
    return step


def window_costs(terms: OrderTerms) -> WindowCosts:
    """Return the costs that orders are chosen with: the policy parameters are in the holding cost."""
    return WindowCosts(
        holding_cost=terms.chosen_holding_cost, shortage_cost=terms.shortage_cost, waste_cost=terms.waste_cost
    )


def real_costs(terms: OrderTerms) -> WindowCosts:
    """Return the costs that are paid."""
    return WindowCosts(holding_cost=terms.holding_cost, shortage_cost=terms.shortage_cost, waste_cost=terms.waste_cost)


def wanted_orders(
    windows: OrderWindows,
    first: OrderWindows,
    terms: OrderTerms,
    *,
    costs: WindowCosts,
    step: Quantities,
    objective: Objective,
) -> WantedOrders:
    """Return what would be ordered over each line's window, and over that until the next review.

    Args:
        windows: over all reviews covered.
        first: until the order of the next review is received; may be the same.
        terms: targets.
        costs: per unit.
        step: shape (n_series,), units, see `quantity_step`.
        objective: least cost, with targets as floors, or a target.
    """
    floors = [np.full(len(step), -np.inf), np.full(len(step), -np.inf)]
    for place, one in enumerate((windows, first)):
        if one is first and first is windows and place == 1:
            floors[1] = floors[0]
            continue
        if objective is not Objective.CYCLE_SERVICE and np.isfinite(terms.fill_rate).any():
            found = quantity_for_fill_rate(one, np.nan_to_num(terms.fill_rate), step=step)
            floors[place] = np.where(np.isfinite(terms.fill_rate), found, floors[place])
        if objective is not Objective.FILL_RATE and np.isfinite(terms.cycle_service_level).any():
            found = quantity_for_cycles(one, np.nan_to_num(terms.cycle_service_level), step=step)
            is_asked = np.isfinite(terms.cycle_service_level)
            floors[place] = np.where(is_asked, np.maximum(found, floors[place]), floors[place])
    if objective is not Objective.COST:
        return WantedOrders(quantity=floors[0], first=floors[1], least=floors[0], first_least=floors[1])
    quantity = cheapest_quantity(windows, costs, step=step)
    cheapest_first = quantity if first is windows else cheapest_quantity(first, costs, step=step)
    return WantedOrders(
        quantity=np.maximum(quantity, floors[0]),
        first=np.maximum(cheapest_first, floors[1]),
        least=floors[0],
        first_least=floors[1],
    )


def least_order(terms: OrderTerms) -> Quantities:
    """Return the smallest order that the supplier accepts, shape (n_series,), units."""
    multiple = terms.order_multiple
    found: Quantities = np.maximum(np.ceil(terms.minimum_order_quantity / multiple - 1e-9), 1) * multiple
    return found


def feasible_orders(
    windows: OrderWindows, wanted: WantedOrders, terms: OrderTerms, *, costs: WindowCosts, objective: Objective
) -> Quantities:
    """Return the best order above 0 that the supplier accepts and that there is room for; 0 where there is none."""
    multiple = terms.order_multiple
    least = least_order(terms)
    most = np.floor(np.minimum(terms.most_order_quantity, 1e15) / multiple + 1e-9) * multiple
    above = np.clip(np.ceil(wanted.quantity / multiple - 1e-9) * multiple, least, np.maximum(most, least))
    found = above
    if objective is Objective.COST:
        below = np.clip(np.floor(wanted.quantity / multiple + 1e-9) * multiple, least, np.maximum(most, least))
        cheaper = window_outcome(windows, below, costs).cost <= window_outcome(windows, above, costs).cost
        found = np.where(cheaper & (below >= wanted.least - 1e-9), below, above)
    return np.where(most >= least, found, 0.0)


def binding_constraints(
    order: Quantities,
    *,
    is_due: NDArray[np.bool_],
    wanted: WantedOrders,
    terms: OrderTerms,
    windows: OrderWindows,
    costs: WindowCosts,
    step: Quantities,
    objective: Objective,
) -> NDArray[np.int64]:
    """Return the place in `Binding` of what keeps each order from the quantity wanted, the hardest first."""
    least, multiple = least_order(terms), terms.order_multiple
    most = np.floor(np.minimum(terms.most_order_quantity, 1e15) / multiple + 1e-9) * multiple
    found = np.zeros(len(order), dtype=np.int64)
    if windows.at_expiry is not None:
        free = WindowCosts(
            holding_cost=costs.holding_cost, shortage_cost=costs.shortage_cost, waste_cost=costs.waste_cost * 0
        )
        is_perishable = (terms.shelf_life_periods > 0) & (cheapest_quantity(windows, free, step=step) > wanted.quantity)
        found[is_perishable] = BINDINGS.index(Binding.SHELF_LIFE)
    is_floor = (wanted.quantity == wanted.least) & np.isfinite(wanted.least) & (objective is Objective.COST)
    found[is_floor] = BINDINGS.index(Binding.SERVICE_FLOOR)
    is_other = np.abs(order - wanted.quantity) > 1e-6 * multiple
    # A minimum that is one multiple only is the multiple's doing.
    is_minimum = (order <= least) & (least > multiple * (1 + 1e-9)) & (wanted.quantity < least)
    found[is_other] = BINDINGS.index(Binding.ORDER_MULTIPLE)
    found[is_other & is_minimum] = BINDINGS.index(Binding.MINIMUM_ORDER)
    found[is_other & (order < wanted.quantity) & ((order >= most) | (most < least))] = BINDINGS.index(Binding.STORAGE)
    return np.where(is_due, found, 0)
