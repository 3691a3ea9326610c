"""What each of a few order quantities costs, line by line: the curves that shared constraints choose on.

A quantity is valued by what its window costs beyond the average cost of as many periods, so that waiting for the next
review and ordering for several reviews compare: the relative values of a renewal cycle. The least is what `plan_orders`
takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.feasible_orders import least_order, quantity_step, wanted_orders, window_costs
from restock.replenishment.order_cycles import map_chunks
from restock.replenishment.order_lines import Integers, Objective, OrderLines, OrderTerms
from restock.replenishment.order_plan import OrderPlan
from restock.replenishment.order_windows import project_windows
from restock.replenishment.window_costs import window_outcome

Quantities = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CostCurves:
    """Quantities to choose from and their values.

    Attributes:
        quantities: shape (n_series, n_options), units; the first is 0, later ones rise or repeat the last.
        costs: the same shape, currency, up to a constant of each line; inf where a service floor forbids it.
    """

    quantities: Quantities
    costs: Quantities

    @property
    def best(self) -> NDArray[np.int64]:
        """Place of the cheapest quantity of each line, shape (n_series,), the first of equals."""
        found: NDArray[np.int64] = np.argmin(self.costs, axis=1)
        return found


def order_cost_curves(
    lines: OrderLines,
    terms: OrderTerms,
    plan: OrderPlan,
    *,
    objective: Objective = Objective.COST,
    n_options: int = 16,
    stretch: float = 1.5,
    n_threads: int = 1,
) -> CostCurves:
    """Return the value of ordering nothing, the planned quantity, and quantities below and above it.

    Args:
        lines: as planned.
        terms: as planned.
        plan: of these lines, from `plan_orders`.
        objective: as planned.
        n_options: quantities of each line, >= 3; all multiples where they are no more, else spread evenly.
        stretch: how far above the planned quantity they reach, for supplier minimums; >= 1.
        n_threads: threads that work on lines side by side.
    """
    quantities = _options(terms, plan, n_options=n_options, stretch=stretch)

    def value(rows: Integers) -> Quantities:
        return _chunk_values(
            lines.select(rows),
            terms.select(rows),
            covered=plan.covered_reviews[rows],
            is_planned=plan.order_quantity[rows] > 0,
            quantities=quantities[rows],
            objective=objective,
        )

    parts, order = map_chunks(value, lines, plan.covered_reviews, n_threads=n_threads)
    costs = np.empty_like(quantities)
    costs[order] = np.concatenate(parts)
    return CostCurves(quantities=quantities, costs=costs)


def _options(terms: OrderTerms, plan: OrderPlan, *, n_options: int, stretch: float) -> Quantities:
    """Return quantities that the supplier accepts, 0 first and the planned one among them."""
    multiple, least = terms.order_multiple, least_order(terms)
    most = np.floor(np.minimum(terms.most_order_quantity, 1e15) / multiple + 1e-9) * multiple
    planned = plan.order_quantity
    wished = np.maximum(np.maximum(planned, plan.order_up_to_level - plan.inventory_position), 0)
    top = np.clip(np.ceil(stretch * wished / multiple - 1e-9) * multiple, least, np.maximum(most, least))
    n_steps = np.round((top - least) / multiple)
    places = np.arange(n_options - 1) / (n_options - 2)
    steps = np.where(
        (n_steps < n_options - 1)[:, None],
        np.minimum(np.arange(n_options - 1), n_steps[:, None]),
        np.round(places * n_steps[:, None]),
    )
    found = least[:, None] + steps * multiple[:, None]
    nearest = np.argmin(np.abs(found - planned[:, None]), axis=1)
    rows = np.flatnonzero(planned > 0)
    found[rows, nearest[rows]] = planned[rows]
    found = np.where((most >= least)[:, None], found, 0.0)
    return np.concatenate([np.zeros((len(found), 1)), found], axis=1)


def _chunk_values(
    lines: OrderLines,
    terms: OrderTerms,
    *,
    covered: Integers,
    is_planned: NDArray[np.bool_],
    quantities: Quantities,
    objective: Objective,
) -> Quantities:
    windows = project_windows(lines, covered_reviews=covered, shelf_life_periods=terms.shelf_life_periods)
    first = windows
    if (covered > 1).any():
        ones = np.ones_like(covered)
        first = project_windows(lines, covered_reviews=ones, shelf_life_periods=terms.shelf_life_periods)
    costs, step = window_costs(terms), quantity_step(terms)
    wanted = wanted_orders(windows, first, terms, costs=costs, step=step, objective=objective)
    if objective is not Objective.COST:
        # The target is a floor, and more than it asks for only costs.
        costs = replace(costs, shortage_cost=np.zeros_like(costs.shortage_cost))
    found = np.stack([window_outcome(windows, one, costs).cost for one in quantities.T], axis=1)
    found += np.where(quantities > 0, terms.fixed_order_cost[:, None], 0.0)
    if objective is Objective.COST:
        best = window_outcome(windows, wanted.quantity, costs).cost + terms.fixed_order_cost
        rate = best / windows.periods
        found -= best[:, None]
        waiting = window_outcome(first, np.zeros(len(covered)), costs).cost - rate * first.periods
        ordered = found[:, 1:].min(axis=1)
        # What the plan does is the least, so that lines that share nothing stay as planned.
        found[:, 0] = np.where(is_planned, np.maximum(waiting, ordered), np.minimum(waiting, ordered))
    must = (wanted.first_least > 0)[:, None]
    found = np.where(must & (quantities < _reachable(wanted.least, quantities)[:, None]), np.inf, found)
    return np.where((quantities == 0) & (np.arange(quantities.shape[1]) > 0), np.inf, found)


def _reachable(least: Quantities, quantities: Quantities) -> Quantities:
    """Return the least quantity that meets the floor, or the most there is where none does, less rounding."""
    found: Quantities = np.minimum(least, quantities.max(axis=1)) - 1e-9
    return found
