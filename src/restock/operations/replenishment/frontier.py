"""What more service costs: the exact trade between cost and fill rate for any lines of a kept plan together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from restock.errors import DataError
from restock.operations.replenishment.kept_lines import KeptLines
from restock.replenishment.frontier import CostFrontier, cost_frontier, service_curves
from restock.replenishment.order_plan import plan_orders

_N_THREADS = 2


@dataclass(frozen=True, kw_only=True)
class ServiceFrontier:
    """The frontier of some lines of a plan.

    Attributes:
        as_of: day of the plan.
        n_lines: lines that serve customers; their warehouses are left aside.
        frontier: its corners, from the cheapest on, and where the plan stands.
    """

    as_of: date
    n_lines: int
    frontier: CostFrontier

    def to_json(self) -> dict[str, Any]:
        """Return it ready for JSON: money to the fourth decimal, shares to the sixth."""
        found = self.frontier
        names = {"shortage_price": 4, "cost": 4, "missed_units": 4, "fill_rate": 6, "ordered_units": 4}
        columns = {name: np.round(getattr(found, name), digits).tolist() for name, digits in names.items()}
        return {
            "as_of": self.as_of.isoformat(),
            "lines": self.n_lines,
            "current": {"cost": round(found.current_cost, 4), "fill_rate": round(found.current_fill_rate, 6)},
            "points": [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)],
        }


def draw_frontier(kept: KeptLines, *, most_points: int = 50) -> ServiceFrontier:
    """Return what each fill rate of some lines together costs at least, in holding and waste until the next order.

    Args:
        kept: the lines; a warehouse serves no customers and is left aside, unless there are only warehouses.
        most_points: corners that are shown, spread over the fill rates.

    Raises:
        DataError: fewer than two points are asked for.
    """
    if most_points < 2:
        raise DataError(f"a frontier has at least 2 points, got {most_points}.")
    rows = np.flatnonzero(~kept.is_warehouse)
    if not rows.size:
        rows = np.arange(kept.lines.height)
    order_lines, terms = kept.order_lines.select(rows), kept.real_terms.select(rows)
    plan = plan_orders(order_lines, kept.terms.select(rows), objective=kept.objective, n_threads=_N_THREADS)
    curves = service_curves(order_lines, terms, plan, n_threads=_N_THREADS)
    ordered = kept.table["order_quantity"].to_numpy()[rows]
    frontier = cost_frontier(curves, ordered=ordered).thinned(most_points)
    return ServiceFrontier(as_of=kept.kept.as_of, n_lines=len(rows), frontier=frontier)
