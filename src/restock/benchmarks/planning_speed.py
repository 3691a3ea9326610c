"""Planning as many lines as a chain has: orders on sample paths, their cost curves, and a budget shared exactly."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from restock.adapters.usage import peak_rss_mb
from restock.replenishment.cost_curves import CostCurves, order_cost_curves
from restock.replenishment.feasible_orders import Binding
from restock.replenishment.order_lines import OpenOrders, OrderLines, OrderTerms, order_terms
from restock.replenishment.order_plan import plan_orders
from restock.replenishment.shared_constraints import SharedLimit, SupplierOrder, share_constraints

_SEED = 20240101
_BUDGET_SHARE = 0.8
_DRAWN_AT_ONCE = 1_000


def measure_planning(
    *, n_lines: int = 30_000, n_paths: int = 200, horizon: int = 28, n_threads: int = 2
) -> dict[str, Any]:
    """Return the seconds of planning lines with given paths: quantities, cost curves and a budget, and the peak memory.

    Demand is Poisson about log-normal means, lead times vary by path, half of the lines are reviewed daily and half
    weekly; some have a cost per order, a minimum, a multiple, and an order open. The budget is 80 % of what all lines
    would cost.

    Args:
        n_lines: sku-locations.
        n_paths: of each.
        horizon: periods; windows beyond it repeat the last 7.
        n_threads: threads that work on lines side by side.
    """
    lines, terms, unit_costs = draw_lines(n_lines=n_lines, n_paths=n_paths, horizon=horizon)
    begun, worked = time.perf_counter(), time.process_time()
    plan = plan_orders(lines, terms, n_threads=n_threads)
    planned = time.perf_counter()
    curves = order_cost_curves(lines, terms, plan, n_options=12, n_threads=n_threads)
    priced = time.perf_counter()
    budget = _BUDGET_SHARE * float(unit_costs @ plan.order_quantity)
    limit = SharedLimit(kind=Binding.BUDGET, name="orders of the day", use=unit_costs, most=budget)
    shared = share_constraints(curves, limits=[limit])
    done = time.perf_counter()
    return {
        "lines": n_lines,
        "paths": n_paths,
        "horizon": horizon,
        "plan_seconds": round(planned - begun, 2),
        "curve_seconds": round(priced - planned, 2),
        "budget_seconds": round(done - priced, 2),
        "seconds": round(done - begun, 2),
        "processor_seconds": round(time.process_time() - worked, 2),
        "gap": shared.gap,
        "peak_mb": round(peak_rss_mb()),
    }


def draw_lines(
    *, n_lines: int, n_paths: int, horizon: int, seed: int = _SEED
) -> tuple[OrderLines, OrderTerms, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return lines, terms and unit costs as `measure_planning` describes them."""
    rng = np.random.default_rng(seed)
    means = np.exp(rng.normal(0.0, 1.2, n_lines))
    demand = np.empty((n_lines, n_paths, horizon), dtype=np.float32)
    for first in range(0, n_lines, _DRAWN_AT_ONCE):
        part = means[first : first + _DRAWN_AT_ONCE, None, None]
        demand[first : first + _DRAWN_AT_ONCE] = rng.poisson(part, (len(part), n_paths, horizon))
    lead_times = rng.integers(2, 8, (n_lines, 1)) + rng.integers(0, 4, (n_lines, n_paths))
    n_open = n_lines // 2
    lines = OrderLines(
        demand_paths=demand,
        on_hand=np.floor(5 * means),
        backorders=np.zeros(n_lines),
        lead_times=lead_times.astype(np.int32),
        review_periods=np.where(np.arange(n_lines) % 2 == 0, 1, 7),
        open_orders=OpenOrders(
            series=rng.permutation(n_lines)[:n_open],
            units=np.ceil(2 * means[:n_open]),
            arrival_periods=rng.integers(0, 6, (n_open, n_paths)),
        ),
        season_periods=7,
    )
    unit_costs = np.exp(rng.normal(1.5, 0.8, n_lines)).astype(np.float64)
    terms = order_terms(
        n_lines,
        holding_cost=unit_costs * 0.3 / 365,
        shortage_cost=unit_costs * 0.4,
        fixed_order_cost=rng.choice([0.0, 2.0], n_lines),
        minimum_order_quantity=rng.choice([0.0, 12.0], n_lines),
        order_multiple=rng.choice([1.0, 6.0], n_lines),
    )
    return lines, terms, unit_costs


def measure_sharing(*, n_lines: int = 30_000, time_limit_seconds: float = 30.0) -> dict[str, dict[str, float]]:
    """Return by what lines share the seconds and the gap of choosing among 16 quantities of each.

    Costs are made up: convex about a wanted quantity, some with a cost per order. The budget is 70 % of what all lines
    would cost, room at 20 locations 90 % of what they would fill, and each of 200 suppliers asks for an order of 20 to
    100 % of what its lines would order, at a cost of 50.

    Args:
        n_lines: lines.
        time_limit_seconds: for each case.
    """
    curves, prices = draw_curves(n_lines)
    rng = np.random.default_rng(_SEED + 1)
    alone = curves.quantities[np.arange(n_lines), curves.best]
    budget = SharedLimit(kind=Binding.BUDGET, name="all", use=prices, most=0.7 * float(prices @ alone))
    location, supplier = rng.integers(0, 20, n_lines), rng.integers(0, 200, n_lines)
    rooms = [
        SharedLimit(
            kind=Binding.STORAGE,
            name=str(place),
            use=(location == place).astype(np.float64),
            most=0.9 * float(alone[location == place].sum()),
        )
        for place in range(20)
    ]
    suppliers = [
        SupplierOrder(
            name=str(place),
            lines=np.flatnonzero(supplier == place),
            fixed_cost=50.0,
            minimum_value=float((prices * alone)[supplier == place].sum() * rng.uniform(0.2, 1.0)),
            unit_values=prices[supplier == place],
        )
        for place in range(200)
    ]
    found = {}
    for name, limits, joint in (
        ("budget", [budget], []),
        ("budget_and_rooms", [budget, *rooms], []),
        ("budget_rooms_and_suppliers", [budget, *rooms], suppliers),
    ):
        shared = share_constraints(curves, limits=limits, suppliers=joint, time_limit_seconds=time_limit_seconds)
        found[name] = {"seconds": round(shared.seconds, 2), "gap": shared.gap}
    return found


def draw_curves(n_lines: int) -> tuple[CostCurves, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return curves of 16 quantities and prices as `measure_sharing` describes them."""
    rng = np.random.default_rng(_SEED)
    wanted, multiple = rng.gamma(1.0, 20.0, (n_lines, 1)), rng.choice([1.0, 6.0, 12.0], (n_lines, 1))
    step = np.ceil(wanted * 1.5 / multiple / 15) * multiple
    quantities = step * np.arange(16)
    holding, shortage = rng.uniform(0.1, 1.0, (n_lines, 1)), rng.uniform(1.0, 9.0, (n_lines, 1))
    short = (np.hypot(wanted - quantities, wanted / 3) + wanted - quantities) / 2
    fixed = np.where(quantities > 0, rng.choice([0.0, 2.0, 5.0], (n_lines, 1)), 0.0)
    costs = holding * (quantities - wanted + short) + shortage * short + fixed
    return CostCurves(quantities=quantities, costs=costs), rng.uniform(1.0, 50.0, n_lines).astype(np.float64)
