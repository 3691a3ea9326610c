"""The plan of a day: what to order of each sku for each location, at least expected cost within everything that binds.

Stores are planned first. Where a warehouse has less than its stores want, it is shared out where a unit saves most;
then the warehouse itself is planned, for what its stores' customers will take. At last all are chosen together within
budget, room, transport and suppliers' minimums.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.operations.replenishment.plan_inputs import PlanInputs
from restock.operations.replenishment.policy import Policy
from restock.operations.replenishment.replay import is_warehouse
from restock.operations.replenishment.simulation import planner_terms
from restock.params import ReplenishmentParams
from restock.replenishment.allocation import allocate_shortage
from restock.replenishment.cost_curves import CostCurves, order_cost_curves
from restock.replenishment.feasible_orders import Binding
from restock.replenishment.order_lines import Objective, OpenOrders, OrderLines, OrderTerms
from restock.replenishment.order_outcomes import order_outcomes
from restock.replenishment.order_plan import OrderPlan, plan_orders
from restock.replenishment.path_rule import with_backlog
from restock.replenishment.policy_tuning import line_multiples
from restock.replenishment.shared_constraints import SharedLimit, SharedPlan, SupplierOrder, share_constraints
from restock.replenishment.simulate import UnmetDemand
from restock.replenishment.walk_forward import FROM_OUTSIDE
from restock.tables import PLAN

Quantities = NDArray[np.float64]

# Draws of every line are independent of how many threads work on them.
_N_THREADS = 2


@dataclass(frozen=True, kw_only=True)
class PlannedLines:
    """Some lines of a plan, in the order of `rows`.

    Attributes:
        rows: shape (n,), places in the inputs' lines.
        order_lines: what was known of them.
        terms: what they were planned with.
        plan: what each would order on its own.
        order_quantity: shape (n,), units, after everything that lines share.
        bindings: what binds each.
        shared: what was shared, with the first lines; None where nothing was.
    """

    rows: NDArray[np.intp]
    order_lines: OrderLines
    terms: OrderTerms
    plan: OrderPlan
    order_quantity: Quantities
    bindings: tuple[str, ...]
    shared: SharedPlan | None


def plan_lines(inputs: PlanInputs, policy: Policy, *, params: ReplenishmentParams) -> list[PlannedLines]:
    """Return the lines of a plan: those without lines to supply, then the warehouses.

    Args:
        inputs: what is known.
        policy: what simulation found best.
        params: objective, targets, limits.

    Raises:
        InfeasiblePlanError: limits contradict each other; the message names them.
    """
    lines = inputs.lines
    terms = planner_terms(
        lines,
        params=params,
        multiples=line_multiples(lines["line_group"].to_numpy().astype(str), policy.shortage_multiples),
        classes=lines["abc_class"].to_numpy().astype(str),
    )
    supplies = is_warehouse(lines)
    nothing = np.zeros(lines.height)
    stores = _plan_rows(np.flatnonzero(~supplies), inputs, terms, params=params, asked=nothing)
    if not supplies.any():
        return _share_all([stores], inputs, params=params)
    stores = _share_warehouses(stores, inputs)
    sources = lines["source"].to_numpy()[stores.rows]
    inside = sources != FROM_OUTSIDE
    asked = np.bincount(sources[inside], weights=stores.order_quantity[inside], minlength=lines.height)
    warehouses = _plan_rows(np.flatnonzero(supplies), inputs, terms, params=params, asked=asked.astype(np.float64))
    return _share_all([stores, warehouses], inputs, params=params)


def order_lines_of(
    inputs: PlanInputs, rows: NDArray[np.intp], *, params: ReplenishmentParams, asked: Quantities
) -> OrderLines:
    """Return what is known of some lines, of which `asked` units leave at once."""
    lines = inputs.lines[rows]
    left = lines["on_hand"].to_numpy() - asked[rows]
    opened = inputs.open_orders
    place = np.full(inputs.lines.height, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    own = place[opened.series] >= 0
    # An order of tonight with a lead time of one day is there tomorrow morning: period 0.
    lead_times = np.maximum(inputs.lead_times[rows], 1) - 1
    is_perishable = (lines["shelf_life_periods"] > 0).to_numpy()
    backlog = np.where(is_perishable, 0.0, np.maximum(-left, 0.0))
    return OrderLines(
        demand_paths=with_backlog(inputs.demand_paths[rows], backlog=backlog, lead_times=lead_times),
        on_hand=np.maximum(left, 0.0),
        backorders=lines["backorders"].to_numpy(),
        lead_times=lead_times,
        review_periods=lines["review_periods"].to_numpy(),
        open_orders=OpenOrders(
            series=place[opened.series[own]], units=opened.units[own], arrival_periods=opened.arrival_periods[own]
        )
        if own.any()
        else None,
        season_periods=inputs.frequency.season_periods,
        unmet=UnmetDemand(params.unmet_demand),
    )


def _plan_rows(
    rows: NDArray[np.intp], inputs: PlanInputs, terms: OrderTerms, *, params: ReplenishmentParams, asked: Quantities
) -> PlannedLines:
    """Return the plan of some lines, each on its own."""
    objective = Objective(params.objective)
    order_lines = order_lines_of(inputs, rows, params=params, asked=asked)
    own_terms = terms.select(rows)
    plan = plan_orders(order_lines, own_terms, objective=objective, n_threads=_N_THREADS)
    return PlannedLines(
        rows=rows,
        order_lines=order_lines,
        terms=own_terms,
        plan=plan,
        order_quantity=plan.order_quantity,
        bindings=tuple(binding.value for binding in plan.bindings),
        shared=None,
    )


def _share_all(parts: list[PlannedLines], inputs: PlanInputs, *, params: ReplenishmentParams) -> list[PlannedLines]:
    """Return the lines within everything that they share, of all parts together; what was shared is with the first."""
    rows = np.concatenate([part.rows for part in parts])
    on_order = np.concatenate([part.order_lines.on_order for part in parts])
    limits, suppliers = _shared(inputs.lines[rows], params, on_order=on_order)
    if not limits and not suppliers:
        return parts
    objective = Objective(params.objective)
    curves = [
        order_cost_curves(part.order_lines, part.terms, part.plan, objective=objective, n_threads=_N_THREADS)
        for part in parts
    ]
    quantities = np.concatenate([each.quantities for each in curves])
    costs = np.concatenate([each.costs for each in curves])
    given = np.concatenate([part.order_quantity for part in parts])
    wanted = np.concatenate([part.plan.order_quantity for part in parts])
    # What a warehouse can't send is no choice.
    costs[(quantities > given[:, None] + 1e-9) & (given < wanted)[:, None]] = np.inf
    shared = share_constraints(
        CostCurves(quantities=quantities, costs=costs),
        limits=limits,
        suppliers=suppliers,
        time_limit_seconds=params.time_limit_seconds,
    )
    is_sharing = np.zeros(len(rows), dtype=np.bool_)
    for limit in limits:
        is_sharing |= limit.use > 0
    for supplier in suppliers:
        is_sharing[supplier.lines] = True
    chosen = np.where(is_sharing, shared.order_quantity, given)
    found, first = [], 0
    for part in parts:
        own = slice(first, first + len(part.rows))
        bindings = tuple(
            alone if by_all == Binding.NONE else str(by_all)
            for alone, by_all in zip(part.bindings, shared.binding[own], strict=True)
        )
        found.append(replace(part, order_quantity=chosen[own], bindings=bindings, shared=None if first else shared))
        first += len(part.rows)
    return found


def _shared(
    lines: pl.DataFrame, params: ReplenishmentParams, *, on_order: Quantities
) -> tuple[list[SharedLimit], list[SupplierOrder]]:
    """Return what lines share: the budget, the room of their location, transport, and suppliers' minimum values."""
    is_outside = (lines["source"] == FROM_OUTSIDE).to_numpy()
    unit_cost = lines["unit_cost"].to_numpy()
    limits = []
    if params.budget is not None and is_outside.any():
        use = np.where(is_outside, unit_cost, 0.0)
        limits.append(SharedLimit(kind=Binding.BUDGET, name="budget", use=use, most=params.budget))
    held = lines["on_hand"].to_numpy() + on_order
    for (location,), part in lines.with_row_index("place").group_by(["location"], maintain_order=True):
        capacity = part["capacity_units"][0]
        if capacity is not None:
            use = np.zeros(lines.height)
            use[part["place"].to_numpy()] = 1.0
            left = max(0.0, capacity - float(held[part["place"].to_numpy()].sum()))
            limits.append(SharedLimit(kind=Binding.STORAGE, name=str(location), use=use, most=left))
    for supplier, most in params.transport_units.items():
        use = (lines["supplier"] == supplier).to_numpy().astype(np.float64)
        if use.any():
            limits.append(SharedLimit(kind=Binding.TRANSPORT, name=supplier, use=use, most=most))
    suppliers = []
    for supplier, least in params.supplier_minimum_values.items():
        chosen = np.flatnonzero((lines["supplier"] == supplier).to_numpy() & is_outside)
        if chosen.size:
            suppliers.append(
                SupplierOrder(
                    name=supplier,
                    lines=chosen.astype(np.int64),
                    fixed_cost=0.0,
                    minimum_value=least,
                    unit_values=unit_cost[chosen],
                )
            )
    return limits, suppliers


def to_table(inputs: PlanInputs, planned: list[PlannedLines], policy: Policy) -> pl.DataFrame:
    """Return table `plan`, sorted by sku and location."""
    frames = [_table_of(inputs, part, policy) for part in planned]
    return PLAN.conform(pl.concat(frames).sort("sku", "location"))


def _table_of(inputs: PlanInputs, part: PlannedLines, policy: Policy) -> pl.DataFrame:
    lines, plan = inputs.lines[part.rows], part.plan
    real = replace(part.terms, shortage_cost=lines["shortage_cost"].to_numpy())
    # What is not ordered can be at the next review: until then only is the lack of an order felt.
    covered = np.where(part.order_quantity > 0, plan.covered_reviews, 1)
    expected = {
        name: order_outcomes(
            part.order_lines, real, covered_reviews=covered, order_quantity=quantity, n_threads=_N_THREADS
        )
        for name, quantity in (("with", part.order_quantity), ("without", np.zeros(lines.height)))
    }
    outcome, waiting = expected["with"], expected["without"]
    reasons = pl.DataFrame(
        {
            "on_hand": lines["on_hand"],
            "on_order": part.order_lines.on_order,
            "backorders": lines["backorders"],
            "inventory_position": plan.inventory_position,
            "protection_demand_mean": plan.protection_demand_mean,
            "lead_time_mean_periods": inputs.lead_times[part.rows].mean(axis=1),
            "lead_time_p90_periods": np.quantile(inputs.lead_times[part.rows], 0.9, axis=1),
            "covered_reviews": plan.covered_reviews,
            "wanted_quantity": plan.wanted_quantity,
            "stockout_probability_without": waiting.stockout_probability,
            "stockout_probability_with": outcome.stockout_probability,
            "expected_lost_units_without": waiting.missed,
            "expected_lost_units_with": outcome.missed,
            "expected_waste_units": outcome.wasted,
            "binding": part.bindings,
            "unit_cost": lines["unit_cost"],
            "shortage_cost": lines["shortage_cost"],
            "holding_cost": lines["holding_cost"],
            "is_price_assumed": ~lines["has_price"],
            "stock_as_of": lines["stock_as_of"],
            "segment": lines["segment"],
        }
    ).with_columns(pl.selectors.float().round(4))
    return lines.select("sku", "location", "supplier").with_columns(
        as_of=pl.lit(inputs.as_of),
        reorder_point=pl.Series(plan.reorder_point),
        order_up_to_level=pl.Series(plan.order_up_to_level),
        safety_stock=pl.Series(plan.safety_stock),
        order_quantity=pl.Series(part.order_quantity),
        unordered_cost=pl.Series(waiting.cost),
        expected_cost=pl.Series(outcome.cost),
        expected_fill_rate=pl.Series(np.clip(outcome.fill_rate, 0.0, 1.0)),
        stockout_probability=pl.Series(outcome.stockout_probability),
        binding=pl.Series(part.bindings),
        forecast_version=pl.lit(inputs.forecast["model_version"]),
        policy_version=pl.lit(policy.version, dtype=pl.String),
        reasons=reasons.select(pl.struct(pl.all()).struct.json_encode()).to_series(),
    )


def _share_warehouses(stores: PlannedLines, inputs: PlanInputs) -> PlannedLines:
    """Return the stores with what their warehouses can send."""
    sources = inputs.lines["source"].to_numpy()[stores.rows]
    inside = np.flatnonzero(sources != FROM_OUTSIDE)
    if not inside.size:
        return stores
    warehouses, skus = np.unique(sources[inside], return_inverse=True)
    parts = OrderPlan(**{field.name: getattr(stores.plan, field.name)[inside] for field in fields(OrderPlan)})
    allocation = allocate_shortage(
        stores.order_lines.select(inside),
        stores.terms.select(inside),
        parts,
        skus=skus,
        available=inputs.lines["on_hand"].to_numpy()[warehouses],
    )
    given = stores.order_quantity.copy()
    bindings = list(stores.bindings)
    for place, quantity in zip(inside.tolist(), allocation.order_quantity.tolist(), strict=True):
        if quantity < given[place]:
            given[place], bindings[place] = quantity, Binding.WAREHOUSE.value
    return replace(stores, order_quantity=given, bindings=tuple(bindings))
