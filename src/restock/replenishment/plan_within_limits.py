"""A plan of all lines within what they share: orders of each on its own, their curves, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence

from restock.replenishment.cost_curves import order_cost_curves
from restock.replenishment.order_lines import Objective, OrderLines, OrderTerms
from restock.replenishment.order_plan import OrderPlan, plan_orders, with_orders
from restock.replenishment.shared_constraints import SharedLimit, SharedPlan, SupplierOrder, share_constraints


def plan_within_limits(
    lines: OrderLines,
    terms: OrderTerms,
    *,
    limits: Sequence[SharedLimit],
    suppliers: Sequence[SupplierOrder] = (),
    objective: Objective = Objective.COST,
    most_covered_reviews: int = 8,
    n_options: int = 16,
    time_limit_seconds: float = 30.0,
    n_threads: int = 1,
) -> tuple[OrderPlan, SharedPlan]:
    """Return the orders of all lines together, with what is expected of each and what binds it, and the choice itself.

    Args:
        lines: as for `plan_orders`.
        terms: as for `plan_orders`.
        limits: on budget, room and transport.
        suppliers: joint orders with a cost or a minimum.
        objective: as for `plan_orders`.
        most_covered_reviews: as for `plan_orders`.
        n_options: as for `order_cost_curves`.
        time_limit_seconds: as for `share_constraints`.
        n_threads: threads that work on lines side by side.

    Raises:
        HorizonError: as in `plan_orders`.
        InfeasiblePlanError: as in `share_constraints`.
    """
    alone = plan_orders(
        lines, terms, objective=objective, most_covered_reviews=most_covered_reviews, n_threads=n_threads
    )
    curves = order_cost_curves(lines, terms, alone, objective=objective, n_options=n_options, n_threads=n_threads)
    shared = share_constraints(curves, limits=limits, suppliers=suppliers, time_limit_seconds=time_limit_seconds)
    plan = with_orders(
        alone, lines, terms, order_quantity=shared.order_quantity, bindings=shared.binding, n_threads=n_threads
    )
    return plan, shared
