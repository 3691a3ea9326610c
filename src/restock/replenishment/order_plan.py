"""How much to order now, line by line: at least expected cost or for a service target, within the supplier's terms.

1. How many reviews an order covers follows from expected demand alone (least fixed and holding cost per period), and
   from the least quantity that the supplier accepts; neither shortage cost, target nor lead time changes it, so that a
   higher shortage cost or target never lowers the order-up-to level.
2. The best quantity over that window is found exactly (`window_costs`). The order-up-to level is the position with it
   added; where sales are lost before receipt, as if they were not, so that it does not depend on today's stock.
3. It is ordered where waiting for the next review costs more than a cycle costs on average over as long: the rule that
   makes (s,S) policies optimal (Zheng and Federgruen 1991), on sample paths.
4. The quantity is the best that the supplier, the shelf and the service floors allow; what binds is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.feasible_orders import (
    BINDINGS,
    Binding,
    WantedOrders,
    binding_constraints,
    feasible_orders,
    quantity_step,
    real_costs,
    wanted_orders,
    window_costs,
)
from restock.replenishment.order_cycles import covered_reviews, map_chunks
from restock.replenishment.order_lines import Integers, Objective, OrderLines, OrderTerms
from restock.replenishment.order_outcomes import order_outcomes
from restock.replenishment.order_windows import OrderWindows, project_windows
from restock.replenishment.path_safety import path_safety_stock
from restock.replenishment.window_costs import (
    Quantities,
    WindowOutcome,
    least_quantity_costing_less,
    window_outcome,
)


@dataclass(frozen=True, kw_only=True)
class OrderPlan:
    """Orders to place now, each of shape (n_series,).

    Attributes:
        order_quantity: units, within all terms.
        wanted_quantity: units, without minimum, multiple and room; 0 where none is due.
        reorder_point: the inventory position at which or below which is ordered, units.
        order_up_to_level: the inventory position that an order without minimum, multiple and room reaches, units. Where
            demand is lost before receipt whatever is ordered, today's order is smaller than what is missing to it.
        safety_stock: units beyond expected demand, see `path_safety_stock`.
        covered_reviews: reviews until the order that follows this one is expected.
        inventory_position: units, before the order.
        protection_demand_mean: units, from now to the receipt of the order that follows.
        window_demand_mean: units, from this order's receipt to that one's.
        window_periods_mean: periods between them.
        expected_cost: holding, shortage, waste and ordering over the window with the order, currency.
        unordered_cost: the same without it, currency.
        cost_rate: currency per period over a window with an order, that of ordering included.
        expected_missed: units not served at once over the window, with the order.
        unordered_missed: the same without it.
        expected_waste: units of the order that expire.
        fill_rate: expected over the window, with the order, 0-1.
        stockout_probability: in the window, with the order.
        unordered_stockout_probability: the same without it.
        binding: place of what binds in `Binding`; see `bindings`.
    """

    order_quantity: Quantities
    wanted_quantity: Quantities
    reorder_point: Quantities
    order_up_to_level: Quantities
    safety_stock: Quantities
    covered_reviews: NDArray[np.int64]
    inventory_position: Quantities
    protection_demand_mean: Quantities
    window_demand_mean: Quantities
    window_periods_mean: Quantities
    expected_cost: Quantities
    unordered_cost: Quantities
    cost_rate: Quantities
    expected_missed: Quantities
    unordered_missed: Quantities
    expected_waste: Quantities
    fill_rate: Quantities
    stockout_probability: Quantities
    unordered_stockout_probability: Quantities
    binding: NDArray[np.int64]

    @property
    def bindings(self) -> list[Binding]:
        """What binds each line."""
        return [BINDINGS[place] for place in self.binding.tolist()]


def plan_orders(
    lines: OrderLines,
    terms: OrderTerms,
    *,
    objective: Objective = Objective.COST,
    most_covered_reviews: int = 8,
    n_threads: int = 1,
) -> OrderPlan:
    """Return what to order now for every line, on its own (shared constraints: `share_constraints`).

    Args:
        lines: demand paths, stock and lead times.
        terms: costs, targets and what the supplier accepts.
        objective: least cost, with targets as floors; or the least quantity that reaches the target of each line.
        most_covered_reviews: an order covers at most so many reviews.
        n_threads: threads that work on lines side by side; the result does not depend on it.

    Raises:
        HorizonError: a window reaches beyond the paths and `season_periods` is None.
        ValueError: a line has no target that the objective needs, or a shape does not fit.
    """
    _check(lines, terms, objective)
    covered = covered_reviews(lines, terms, most_covered_reviews=most_covered_reviews)

    def plan(rows: Integers) -> OrderPlan:
        return _plan_chunk(lines.select(rows), terms.select(rows), covered[rows], objective)

    parts, order = map_chunks(plan, lines, covered, n_threads=n_threads)
    return _joined(parts, order)


def with_orders(
    plan: OrderPlan,
    lines: OrderLines,
    terms: OrderTerms,
    *,
    order_quantity: Quantities,
    bindings: Sequence[Binding] | None = None,
    n_threads: int = 1,
) -> OrderPlan:
    """Return a plan with other quantities, such as those that fit a budget, and what is expected of them.

    Args:
        plan: of these lines.
        lines: as planned.
        terms: as planned.
        order_quantity: shape (n_series,), units.
        bindings: of each line, where something shared binds it; `NONE` keeps what the plan says. None: all keep it.
        n_threads: threads that work on lines side by side.
    """
    after = order_outcomes(
        lines, terms, covered_reviews=plan.covered_reviews, order_quantity=order_quantity, n_threads=n_threads
    )
    shared = np.array([BINDINGS.index(one) for one in bindings or [Binding.NONE] * lines.n_series], dtype=np.int64)
    return replace(
        plan,
        order_quantity=np.asarray(order_quantity, dtype=np.float64),
        expected_cost=after.cost,
        expected_missed=after.missed,
        expected_waste=after.wasted,
        fill_rate=after.fill_rate,
        stockout_probability=after.stockout_probability,
        binding=np.where(shared > 0, shared, plan.binding),
    )


def _plan_chunk(lines: OrderLines, terms: OrderTerms, covered: Integers, objective: Objective) -> OrderPlan:
    windows = project_windows(lines, covered_reviews=covered, shelf_life_periods=terms.shelf_life_periods)
    first = windows
    if (covered > 1).any():
        ones = np.ones_like(covered)
        first = project_windows(lines, covered_reviews=ones, shelf_life_periods=terms.shelf_life_periods)
    step = quantity_step(terms)
    costs = window_costs(terms)
    wanted = wanted_orders(windows, first, terms, costs=costs, step=step, objective=objective)
    trigger = _trigger(windows, first, wanted, terms=terms, objective=objective)
    position = lines.inventory_position
    nothing = np.zeros(lines.n_series)
    level, point = wanted.quantity, trigger
    if windows.lost_before is not None and len(rows := np.flatnonzero(windows.lost_before.any(axis=1))):
        full, full_first, own = windows.from_full_stock(rows), first.from_full_stock(rows), terms.select(rows)
        own_costs = costs.select(rows)
        at_full = wanted_orders(full, full_first, own, costs=own_costs, step=step[rows], objective=objective)
        level, point = level.copy(), point.copy()
        level[rows] = at_full.quantity
        point[rows] = _trigger(full, full_first, at_full, terms=own, objective=objective)
    is_due = (trigger > 0) & (wanted.quantity > 0)
    feasible = feasible_orders(windows, wanted, terms, costs=costs, objective=objective)
    if objective is Objective.COST:
        ordered = window_outcome(windows, feasible, costs).cost + terms.fixed_order_cost
        waiting = window_outcome(first, nothing, costs).cost
        pays = waiting >= ordered / windows.periods * first.periods * (1 - 1e-6)
        pays |= (feasible == wanted.quantity) | (wanted.first_least > 0)
    else:
        pays = np.ones(lines.n_series, dtype=bool)
    order = np.where(is_due & pays, feasible, 0.0)
    return _described(
        lines, terms, windows=windows, covered=covered, order=order, position=position, wanted=wanted,
        quantity=np.where(is_due, wanted.quantity, 0.0), reorder_point=position + point - step,
        order_up_to_level=position + level,
        allowed_share=_allowed_short_share(terms, objective),
        binding=binding_constraints(
            order, is_due=is_due, wanted=wanted, terms=terms, windows=windows, costs=costs, step=step,
            objective=objective,
        ),
    )  # fmt: skip


def _trigger(
    windows: OrderWindows,
    first: OrderWindows,
    wanted: WantedOrders,
    *,
    terms: OrderTerms,
    objective: Objective,
) -> Quantities:
    """Return the least quantity with which waiting is right, units; something is ordered where it is above 0."""
    if objective is not Objective.COST:
        return wanted.first
    costs = window_costs(terms)
    best = window_outcome(windows, wanted.quantity, costs).cost + terms.fixed_order_cost
    limit = best / windows.periods * first.periods
    # 1e-6: sums of float32 are no more exact, and equal costs are no reason to wait.
    found = least_quantity_costing_less(
        first,
        costs,
        limit=limit * (1 - 1e-6),
        most=np.minimum(wanted.first, wanted.quantity),
        step=quantity_step(terms),
    )
    return np.maximum(found, wanted.first_least)


def _allowed_short_share(terms: OrderTerms, objective: Objective) -> Quantities:
    """Return the share of a cycle's demand that safety stock leaves unserved."""
    if objective is Objective.FILL_RATE:
        return np.asarray(1 - terms.fill_rate, dtype=np.float64)
    if objective is Objective.CYCLE_SERVICE:
        return np.asarray(1 - terms.cycle_service_level, dtype=np.float64)
    holding = terms.chosen_holding_cost
    by_cost = holding / np.maximum(holding + terms.shortage_cost, 1e-300)
    return np.fmin(by_cost, np.fmin(1 - terms.fill_rate, 1 - terms.cycle_service_level))


def _described(
    lines: OrderLines,
    terms: OrderTerms,
    *,
    windows: OrderWindows,
    covered: Integers,
    order: Quantities,
    position: Quantities,
    wanted: WantedOrders,
    quantity: Quantities,
    reorder_point: Quantities,
    order_up_to_level: Quantities,
    allowed_share: Quantities,
    binding: NDArray[np.int64],
) -> OrderPlan:
    real = real_costs(terms)
    after: WindowOutcome = window_outcome(windows, order, real)
    before = window_outcome(windows, np.zeros(len(order)), real)
    ordering = np.where(order > 0, terms.fixed_order_cost, 0.0)
    level_cost = window_outcome(windows, wanted.quantity, real).cost + terms.fixed_order_cost
    protection = windows.protection_demand
    cycle = covered * lines.review_periods
    cycle_demand = lines.demand_paths.mean(axis=(1, 2), dtype=np.float64) * cycle
    return OrderPlan(
        order_quantity=order,
        wanted_quantity=quantity,
        reorder_point=reorder_point,
        order_up_to_level=order_up_to_level,
        safety_stock=path_safety_stock(protection, allowed_short_units=allowed_share * cycle_demand),
        covered_reviews=np.asarray(covered, dtype=np.int64),
        inventory_position=position,
        protection_demand_mean=protection.mean(axis=1, dtype=np.float64),
        window_demand_mean=windows.window_demand,
        window_periods_mean=windows.periods,
        expected_cost=after.cost + ordering,
        unordered_cost=before.cost,
        cost_rate=level_cost / windows.periods,
        expected_missed=after.missed,
        unordered_missed=before.missed,
        expected_waste=after.wasted,
        fill_rate=after.fill_rate,
        stockout_probability=after.stockout_probability,
        unordered_stockout_probability=before.stockout_probability,
        binding=binding,
    )


def _joined(parts: list[OrderPlan], order: Integers) -> OrderPlan:
    """Return one plan of all chunks, in the order of the lines."""
    back = np.argsort(order)
    return OrderPlan(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])[back]
            for field in fields(OrderPlan)
        }
    )


def _check(lines: OrderLines, terms: OrderTerms, objective: Objective) -> None:
    shape = (lines.n_series, lines.n_paths)
    if lines.demand_paths.ndim != 3 or lines.lead_times.shape != shape:
        raise ValueError(
            "demand_paths must be (n_series, n_paths, horizon) and lead_times (n_series, n_paths), got "
            f"{lines.demand_paths.shape} and {lines.lead_times.shape}."
        )
    if lines.lead_times.min(initial=0) < 0 or lines.review_periods.min(initial=1) < 1:
        raise ValueError("lead times must be >= 0 and review periods >= 1.")
    if lines.open_orders is not None and lines.open_orders.arrival_periods.min(initial=0) < 0:
        raise ValueError("open orders can't be received before now: arrival_periods must be >= 0.")
    # NaN spreads to the sum and compares false.
    if not (lines.demand_paths.min(initial=0) >= 0 and np.isfinite(lines.demand_paths.sum(dtype=np.float64))):
        raise ValueError("demand_paths must be finite and >= 0.")
    if not np.isfinite(lines.inventory_position).all():
        raise ValueError("on_hand, backorders and open orders must be finite.")
    asked = {Objective.FILL_RATE: terms.fill_rate, Objective.CYCLE_SERVICE: terms.cycle_service_level}
    missing = np.isnan(asked[objective]) if objective in asked else np.zeros(1, dtype=bool)
    if missing.any():
        raise ValueError(
            f"every line needs a target for the objective {objective}, line {int(missing.argmax())} has none."
        )
