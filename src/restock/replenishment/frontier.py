"""The exact trade between cost and service of any lines together: no other orders serve as much for less.

Each line's orders trade what they cost (holding and waste over the window) for units served at once. The cheapest next
unit of service over all lines is always the next step of the frontier, as every line's steps grow dearer: sweeping the
price of a unit missed from 0 up gives all points at which some line changes. Between two neighbours nothing lies below
the straight line (they are the corners of the convex hull).

Source: Fox (1966), Discrete Optimization via Marginal Analysis; Everett (1963), Generalized Lagrange Multiplier Method.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.feasible_orders import real_costs
from restock.replenishment.order_cycles import map_chunks
from restock.replenishment.order_lines import Integers, OrderLines, OrderTerms
from restock.replenishment.order_plan import OrderPlan
from restock.replenishment.order_windows import project_windows
from restock.replenishment.window_costs import WindowCosts, window_outcome

Cells = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ServiceCurves:
    """What a few orders of each line cost and miss, each of shape (n_series, n_options) but the demand.

    Attributes:
        quantities: units, 0 first, rising.
        costs: holding and waste over the window, currency.
        missed: units not served at once over the window.
        demand: shape (n_series,), units of the window.
    """

    quantities: Cells
    costs: Cells
    missed: Cells
    demand: Cells


@dataclass(frozen=True, kw_only=True)
class CostFrontier:
    """Corners of the frontier, from the cheapest on; each of shape (n_points,).

    Attributes:
        shortage_price: currency per unit missed at which orders move on to this corner; 0 for the first.
        cost: holding and waste of all lines over their windows, currency.
        missed_units: expected over the windows.
        fill_rate: share of demand units served at once.
        ordered_units: of all lines.
        current_cost: the plan's, currency.
        current_fill_rate: the plan's.
    """

    shortage_price: Cells
    cost: Cells
    missed_units: Cells
    fill_rate: Cells
    ordered_units: Cells
    current_cost: float
    current_fill_rate: float

    def thinned(self, most_points: int) -> CostFrontier:
        """Return at most so many of the corners, the ends among them, spread evenly by fill rate."""
        if len(self.cost) <= most_points:
            return self
        aims = np.linspace(self.fill_rate[0], self.fill_rate[-1], most_points)
        rows = np.unique(np.clip(np.searchsorted(self.fill_rate, aims), 0, len(self.cost) - 1))
        return CostFrontier(
            shortage_price=self.shortage_price[rows],
            cost=self.cost[rows],
            missed_units=self.missed_units[rows],
            fill_rate=self.fill_rate[rows],
            ordered_units=self.ordered_units[rows],
            current_cost=self.current_cost,
            current_fill_rate=self.current_fill_rate,
        )


def service_curves(
    lines: OrderLines, terms: OrderTerms, plan: OrderPlan, *, n_options: int = 65, n_threads: int = 1
) -> ServiceCurves:
    """Return what orders from none to those that leave nothing unserved cost and miss.

    Args:
        lines: as planned.
        terms: as planned; quantities are whole multiples, the minimum and shared constraints are left aside.
        plan: of these lines.
        n_options: orders of each line, spread evenly over whole multiples where those are more.
        n_threads: threads that work on lines side by side.
    """
    costs = real_costs(terms)

    def evaluate(rows: Integers) -> tuple[Cells, ...]:
        windows = project_windows(
            lines.select(rows),
            covered_reviews=plan.covered_reviews[rows],
            shelf_life_periods=terms.shelf_life_periods[rows],
        )
        own = costs.select(rows)
        unpriced = WindowCosts(
            holding_cost=own.holding_cost, shortage_cost=np.zeros(len(rows)), waste_cost=own.waste_cost
        )
        multiple = terms.order_multiple[rows]
        n_steps = np.ceil(np.maximum(windows.worst.max(axis=1), 0) / multiple)
        places = np.arange(n_options)
        spread = np.round(places / (n_options - 1) * n_steps[:, None])
        steps = np.where((n_steps < n_options)[:, None], np.minimum(places, n_steps[:, None]), spread)
        quantities = steps * multiple[:, None]
        found = [window_outcome(windows, quantities[:, place], unpriced) for place in places]
        cost, missed = np.stack([one.cost for one in found], axis=1), np.stack([one.missed for one in found], axis=1)
        return quantities, cost, missed, windows.window_demand

    parts, order = map_chunks(evaluate, lines, plan.covered_reviews, n_threads=n_threads)
    back = np.argsort(order)
    quantities, cost, missed, demand = (np.concatenate([part[i] for part in parts])[back] for i in range(4))
    return ServiceCurves(quantities=quantities, costs=cost, missed=missed, demand=demand)


def cost_frontier(
    curves: ServiceCurves, *, selected: NDArray[Any] | None = None, ordered: Cells | None = None
) -> CostFrontier:
    """Return the frontier of some lines together.

    Args:
        curves: of all lines.
        selected: rows, or shape (n_series,) of booleans; None: all.
        ordered: shape (n_series,), the plan's order quantities, to show where it stands; None: it orders nothing.
    """
    rows = np.arange(len(curves.demand)) if selected is None else np.arange(len(curves.demand))[selected]
    lines, before, after = _hull_steps(curves.costs[rows], curves.missed[rows])
    dearer = curves.costs[rows][lines, after] - curves.costs[rows][lines, before]
    served = curves.missed[rows][lines, before] - curves.missed[rows][lines, after]
    units = curves.quantities[rows][lines, after] - curves.quantities[rows][lines, before]
    price = dearer / served
    order = np.lexsort((after, price))
    missed = np.concatenate([[0.0], np.cumsum(served[order])])
    missed = curves.missed[rows][:, 0].sum() - missed
    cost = curves.costs[rows][:, 0].sum() + np.concatenate([[0.0], np.cumsum(dearer[order])])
    asked = float(curves.demand[rows].sum())
    now = np.zeros(len(curves.demand)) if ordered is None else ordered
    current_cost, current_missed = (
        sum(np.interp(now[row], curves.quantities[row], values[row]) for row in rows)
        for values in (curves.costs, curves.missed)
    )
    return CostFrontier(
        shortage_price=np.concatenate([[0.0], price[order]]),
        cost=cost,
        missed_units=np.maximum(missed, 0.0),
        fill_rate=1 - np.maximum(missed, 0.0) / asked if asked > 0 else np.ones(len(missed)),
        ordered_units=np.concatenate([[0.0], np.cumsum(units[order])]),
        current_cost=float(current_cost),
        current_fill_rate=1 - float(current_missed) / asked if asked > 0 else 1.0,
    )


def orders_at_price(curves: ServiceCurves, shortage_price: float) -> Cells:
    """Return the orders of the frontier where a unit missed costs so much, shape (n_series,), units."""
    place = np.argmin(curves.costs + shortage_price * curves.missed, axis=1)
    found: Cells = curves.quantities[np.arange(len(place)), place]
    return found


def _hull_steps(costs: Cells, missed: Cells) -> tuple[NDArray[np.int64], ...]:
    """Return the steps between corners of each line's lower hull: its row, the option before and the one after."""
    found: list[tuple[int, int, int]] = []
    for row in range(len(costs)):
        corners = [0]
        for option in range(1, costs.shape[1]):
            # 1e-9 units: float32 sums tell no less apart, and a step has to serve something.
            if missed[row, option] > missed[row, corners[-1]] - 1e-9:
                continue
            while len(corners) > 1 and _rate(costs[row], missed[row], corners[-1], option) <= _rate(
                costs[row], missed[row], corners[-2], corners[-1]
            ):
                corners.pop()
            corners.append(option)
        found += [(row, first, last) for first, last in pairwise(corners)]
    steps = np.array(found, dtype=np.int64).reshape(-1, 3)
    return steps[:, 0], steps[:, 1], steps[:, 2]


def _rate(costs: Cells, missed: Cells, before: int, after: int) -> float:
    """Return the currency paid per unit served more."""
    return float((costs[after] - costs[before]) / (missed[before] - missed[after]))
