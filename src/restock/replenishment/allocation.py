"""Warehouse and stores: who gets what when the warehouse runs short, and what stores will ask of it.

Units go where the next one saves most expected cost, on the paths that the stores' orders were chosen with. Costs are
convex in what a store gets, so that taking the best next multiple again and again is exact as long as all stores take
the same multiple; other cases are chosen as a multiple-choice problem (`share_constraints`).

Source: Fox (1966), Discrete Optimization via Marginal Analysis; allocation in shortage: Diks and de Kok (1998), Optimal
    Control of a Divergent Multi-Echelon Inventory System.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.cost_curves import CostCurves
from restock.replenishment.feasible_orders import Binding, least_order, window_costs
from restock.replenishment.forward_run import run_forward
from restock.replenishment.order_lines import Integers, OrderLines, OrderTerms
from restock.replenishment.order_plan import OrderPlan
from restock.replenishment.order_windows import OrderWindows, project_windows
from restock.replenishment.shared_constraints import SharedLimit, share_constraints
from restock.replenishment.window_costs import window_outcome

Floats = NDArray[np.floating[Any]]
Quantities = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """What each store gets of what it ordered.

    Attributes:
        order_quantity: shape (n_series,), units.
        is_short: shape (n_series,), whether the warehouse could not serve all stores of the sku.
        saving_per_unit: shape (n_skus,), currency that one unit more at the warehouse would save; 0 without shortage.
    """

    order_quantity: Quantities
    is_short: NDArray[np.bool_]
    saving_per_unit: Quantities


def allocate_shortage(
    lines: OrderLines,
    terms: OrderTerms,
    plan: OrderPlan,
    *,
    skus: Integers,
    available: Floats,
    time_limit_seconds: float = 10.0,
) -> Allocation:
    """Return how much of their orders stores get from a warehouse that may not have enough.

    Args:
        lines: of the stores, as planned.
        terms: of the stores.
        plan: what each store orders on its own; none gets more.
        skus: shape (n_series,), the sku of each line, 0 to n_skus - 1.
        available: shape (n_skus,), units at the warehouse.
        time_limit_seconds: for each sku whose stores take different multiples.

    Raises:
        InfeasiblePlanError: service floors need more than there is; only where multiples differ.
    """
    given = plan.order_quantity.copy()
    asked = np.bincount(skus, weights=given, minlength=len(available))
    saving = np.zeros(len(available))
    for sku in np.flatnonzero(asked > np.asarray(available) + 1e-9):
        rows = np.flatnonzero((skus == sku) & (plan.order_quantity > 0))
        wanted, own = plan.order_quantity[rows], terms.select(rows)
        windows = project_windows(
            lines.select(rows),
            covered_reviews=plan.covered_reviews[rows],
            shelf_life_periods=own.shelf_life_periods,
        )
        step = own.order_multiple
        is_alike = bool((step == step[0]).all() and (least_order(own) <= step).all())
        has_fixed = bool((own.fixed_order_cost > 0).any())
        if is_alike and not has_fixed:
            given[rows], saving[sku] = _by_marginals(windows, own, wanted, float(available[sku]))
        else:
            given[rows], saving[sku] = _by_choice(windows, own, wanted, float(available[sku]), time_limit_seconds)
    return Allocation(
        order_quantity=given, is_short=(asked > np.asarray(available) + 1e-9)[skus], saving_per_unit=saving
    )


def _tabulated(windows: OrderWindows, terms: OrderTerms, wanted: Quantities) -> tuple[Quantities, Quantities]:
    """Return quantities from 0 to those wanted in multiples, and what they cost, each (n_series, n_steps + 1)."""
    step = terms.order_multiple
    n_steps = np.round(wanted / step).astype(np.int64)
    places = np.minimum(np.arange(int(n_steps.max()) + 1), n_steps[:, None])
    quantities: Quantities = np.asarray(places * step[:, None], dtype=np.float64)
    costs = window_costs(terms)
    values = [window_outcome(windows, quantities[:, place], costs).cost for place in range(quantities.shape[1])]
    return quantities, np.stack(values, axis=1)


def _by_marginals(
    windows: OrderWindows, terms: OrderTerms, wanted: Quantities, available: float
) -> tuple[Quantities, float]:
    quantities, costs = _tabulated(windows, terms, wanted)
    step = float(terms.order_multiple[0])
    saved = np.where(np.diff(quantities, axis=1) > 0, -np.diff(costs, axis=1), -np.inf)
    # Savings of a line fall; a sum of float32 may differ in the last digit.
    saved = np.minimum.accumulate(saved, axis=1)
    rows = np.repeat(np.arange(len(wanted)), saved.shape[1])
    order = np.argsort(-saved.ravel(), kind="stable")
    n_given = int(available / step + 1e-9)
    taken = order[:n_given]
    following = float(saved.ravel()[order[n_given]]) if n_given < len(order) else 0.0
    given = np.bincount(rows[taken], weights=np.isfinite(saved.ravel()[taken]).astype(float), minlength=len(wanted))
    return np.asarray(given * step, dtype=np.float64), max(following / step, 0.0)


def _by_choice(
    windows: OrderWindows, terms: OrderTerms, wanted: Quantities, available: float, time_limit_seconds: float
) -> tuple[Quantities, float]:
    quantities, costs = _tabulated(windows, terms, wanted)
    is_first = np.concatenate([np.ones((len(wanted), 1), dtype=bool), np.diff(quantities, axis=1) > 0], axis=1)
    too_small = (quantities > 0) & (quantities < least_order(terms)[:, None] - 1e-9)
    costs = costs + np.where(quantities > 0, terms.fixed_order_cost[:, None], 0.0)
    curves = CostCurves(quantities=quantities, costs=np.where(is_first & ~too_small, costs, np.inf))
    limit = SharedLimit(kind=Binding.WAREHOUSE, name="warehouse", use=np.ones(len(wanted)), most=available)
    found = share_constraints(curves, limits=[limit], time_limit_seconds=time_limit_seconds)
    return found.order_quantity, found.limits[0].shadow_price


def warehouse_demand_paths(
    lines: OrderLines, terms: OrderTerms, plan: OrderPlan, *, skus: Integers, n_skus: int
) -> NDArray[np.float32]:
    """Return what the stores will order from the warehouse, shape (n_skus, n_paths, horizon), units.

    Stores order up to their levels at their reviews, from now on, and get what they order; so the warehouse's demand
    swings with reviews, multiples and minimums, as a forecast of the sum of customers' demand does not. Paths of stores
    are added as they are: let those that sell together share their draws.

    Args:
        lines: of the stores.
        terms: of the stores.
        plan: the stores' reorder points and order-up-to levels.
        skus: shape (n_series,), the sku of each line.
        n_skus: number of skus.
    """
    asked = np.zeros((n_skus, lines.n_paths, lines.demand_paths.shape[2]), dtype=np.float32)
    for period, run in enumerate(run_forward(lines, terms, plan)):
        np.add.at(asked[:, :, period], skus, run.ordered.astype(np.float32))
    return asked
