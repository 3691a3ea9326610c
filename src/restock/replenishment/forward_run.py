"""Stock run forward on sample paths with the orders to come: levels held, what is lost, ordered, received and sold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.order_lines import OrderLines, OrderTerms
from restock.replenishment.order_plan import OrderPlan
from restock.replenishment.simulate import UnmetDemand, round_orders

Cells = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ForwardPeriod:
    """What happens in a period, each of shape (n_series, n_paths), units.

    Attributes:
        ordered: at the start of the period.
        received: open orders and new ones.
        sold: delivered to customers, late deliveries included.
        missed: not served in its period.
        on_hand: at the end of the period.
        backorders: at the end of the period.
    """

    ordered: Cells
    received: Cells
    sold: Cells
    missed: Cells
    on_hand: Cells
    backorders: Cells


def run_forward(
    lines: OrderLines, terms: OrderTerms, plan: OrderPlan, *, first_orders: Cells | None = None
) -> Iterator[ForwardPeriod]:
    """Yield the periods of the horizon, with orders up to the planned levels at every review.

    Levels stay as planned today, so a run tells what today's policy does to stock and cash, not what later plans would.

    Args:
        lines: demand paths, stock, lead times (each path keeps its own for all orders to come).
        terms: what suppliers accept.
        plan: reorder points and order-up-to levels.
        first_orders: shape (n_series,), units ordered now; None: as levels say.
    """
    n_series, n_paths, horizon = lines.demand_paths.shape
    lead = np.asarray(lines.lead_times, dtype=np.int64)
    due = _open_arrivals(lines, horizon + int(lead.max(initial=0)))
    on_order = due.sum(axis=0, dtype=np.float64)
    shape = (n_series, n_paths)
    on_hand = np.repeat(np.asarray(lines.on_hand, dtype=np.float64)[:, None], n_paths, axis=1)
    waiting = np.repeat(np.asarray(lines.backorders, dtype=np.float64)[:, None], n_paths, axis=1)
    is_lost = lines.unmet is UnmetDemand.LOST
    places = np.indices(shape)
    for period in range(horizon):
        received = due[period].astype(np.float64)
        on_order -= received
        if period == 0 and first_orders is not None:
            orders = np.repeat(first_orders[:, None], n_paths, axis=1).astype(np.float64)
        else:
            orders = _orders(lines, terms, plan, position=on_hand + received + on_order - waiting, period=period)
        at_once = np.where(lead == 0, orders, 0.0)
        received = received + at_once
        due[period + lead, places[0], places[1]] += (orders - at_once).astype(np.float32)
        on_order += orders - at_once
        on_hand = on_hand + received
        late = np.minimum(on_hand, waiting)
        on_hand, waiting = on_hand - late, waiting - late
        demand = lines.demand_paths[:, :, period]
        served = np.minimum(on_hand, demand)
        missed = demand - served
        on_hand = on_hand - served
        waiting = waiting if is_lost else waiting + missed
        yield ForwardPeriod(
            ordered=orders, received=received, sold=served + late, missed=missed, on_hand=on_hand, backorders=waiting
        )


def _orders(lines: OrderLines, terms: OrderTerms, plan: OrderPlan, *, position: Cells, period: int) -> Cells:
    # 1e-4: positions are sums of float32.
    is_due = ((period % lines.review_periods) == 0)[:, None] & (position <= plan.reorder_point[:, None] + 1e-4)
    most = np.minimum(terms.most_order_quantity, 1e15)
    most = np.floor(most / terms.order_multiple + 1e-9) * terms.order_multiple
    wanted = np.where(is_due, np.minimum(plan.order_up_to_level[:, None] - position, most[:, None]), 0.0)
    found = round_orders(
        np.round(wanted, 4),
        minimum_order_quantity=terms.minimum_order_quantity[:, None],
        order_multiple=terms.order_multiple[:, None],
    )
    return np.where(found <= most[:, None] + 1e-9, found, 0.0)


def _open_arrivals(lines: OrderLines, last_period: int) -> NDArray[np.float32]:
    """Return open orders by period of receipt, shape (n_periods, n_series, n_paths)."""
    orders = lines.open_orders
    if orders is not None:
        last_period = max(last_period, int(orders.arrival_periods.max(initial=0)))
    due = np.zeros((last_period + 1, lines.n_series, lines.n_paths), dtype=np.float32)
    if orders is not None:
        units = np.asarray(orders.units, dtype=np.float32)
        units = np.broadcast_to(units[:, None] if units.ndim == 1 else units, orders.arrival_periods.shape)
        np.add.at(due, (orders.arrival_periods, orders.series[:, None], np.arange(lines.n_paths)), units)
    return due
