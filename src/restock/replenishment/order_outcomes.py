"""What is expected of orders, whoever chose them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.feasible_orders import real_costs
from restock.replenishment.order_cycles import map_chunks
from restock.replenishment.order_lines import Integers, OrderLines, OrderTerms
from restock.replenishment.order_windows import project_windows
from restock.replenishment.window_costs import window_outcome

Quantities = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class OrderOutcomes:
    """What is expected until the order after this one is received, each of shape (n_series,).

    Attributes:
        cost: holding, shortage, waste and ordering, currency.
        missed: units not served at once.
        wasted: units of the order that expire.
        fill_rate: 0-1.
        stockout_probability: 0-1.
    """

    cost: Quantities
    missed: Quantities
    wasted: Quantities
    fill_rate: Quantities
    stockout_probability: Quantities


def order_outcomes(
    lines: OrderLines,
    terms: OrderTerms,
    *,
    covered_reviews: Integers,
    order_quantity: Quantities,
    n_threads: int = 1,
) -> OrderOutcomes:
    """Return what is expected of orders over the reviews that they cover.

    Args:
        lines: as planned.
        terms: as planned; their shortage cost is what counts.
        covered_reviews: shape (n_series,), reviews until the order that follows.
        order_quantity: shape (n_series,), units.
        n_threads: threads that work on lines side by side.
    """
    costs = real_costs(terms)

    def expect(rows: Integers) -> OrderOutcomes:
        windows = project_windows(
            lines.select(rows),
            covered_reviews=covered_reviews[rows],
            shelf_life_periods=terms.shelf_life_periods[rows],
        )
        found = window_outcome(windows, order_quantity[rows], costs.select(rows))
        return OrderOutcomes(**{field.name: getattr(found, field.name) for field in fields(OrderOutcomes)})

    parts, order = map_chunks(expect, lines, covered_reviews, n_threads=n_threads)
    back = np.argsort(order)
    together = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])[back]
        for field in fields(OrderOutcomes)
    }
    together["cost"] = together["cost"] + np.where(order_quantity > 0, terms.fixed_order_cost, 0.0)
    return OrderOutcomes(**together)
