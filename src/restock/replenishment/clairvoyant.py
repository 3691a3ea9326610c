"""What the best orders would have cost, had all demand and lead times been known: a bound for every policy.

Lost sales: stock that is there or on its way serves demand as it comes, which no plan beats, as a unit kept for later
saves no more than one ordered for it. What is left is served from the last chosen receipt before it, or is lost where
that is cheaper. Without a cost per order all receipts are chosen; with one, the best are a shortest path over periods,
as in Wagner and Whitin (1958), eq. 2, with demand that may be lost (Sandbothe and Thompson 1990). Backorders: a linear
programme, with binary variables where orders have a cost. Minimums, multiples and shared constraints are left out, so
that it is a bound for plans that keep them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.simulate import UnmetDemand

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Cells = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class KnownFuture:
    """One line with all that is to come.

    Attributes:
        demand: shape (n_periods,), units.
        lead_times: shape (n_periods,), whole periods, of an order placed in each.
        can_order: shape (n_periods,), whether the period has a review.
        arrivals: shape (n_periods,), units of open orders received at the start of each.
        on_hand: units at the start.
        holding_cost: currency per unit on hand at the end of a period.
        shortage_cost: currency per unit lost, or per unit that waits at the end of a period.
        fixed_order_cost: currency per order.
    """

    demand: Floats
    lead_times: Integers
    can_order: NDArray[np.bool_]
    arrivals: Floats
    on_hand: float
    holding_cost: float
    shortage_cost: float
    fixed_order_cost: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ClairvoyantOrders:
    """The best orders for one line whose future is known.

    Attributes:
        order_quantity: shape (n_periods,), units ordered in each.
        cost: holding, shortage and ordering over all periods, currency.
        holding_cost: of it.
        shortage_cost: of it.
        ordering_cost: of it.
    """

    order_quantity: Cells
    cost: float
    holding_cost: float
    shortage_cost: float
    ordering_cost: float


def clairvoyant_orders(future: KnownFuture, *, unmet: UnmetDemand) -> ClairvoyantOrders:
    """Return the cheapest orders of one line for known demand and lead times.

    Args:
        future: all that is to come.
        unmet: whether demand that stock can't serve waits or is lost.

    Example:
        >>> future = KnownFuture(
        ...     demand=np.array([2.0, 3, 4]), lead_times=np.array([1, 1, 1]), can_order=np.ones(3, dtype=bool),
        ...     arrivals=np.zeros(3), on_hand=0.0, holding_cost=1.0, shortage_cost=5.0,
        ... )
        >>> found = clairvoyant_orders(future, unmet=UnmetDemand.LOST)
        >>> found.order_quantity.tolist(), found.cost  # 2 are lost before anything can come
        ([3.0, 4.0, 0.0], 10.0)
    """
    return _lost(future) if unmet is UnmetDemand.LOST else _backordered(future)


def _lost(future: KnownFuture) -> ClairvoyantOrders:
    """Return the best orders where unmet demand is lost."""
    residual, held = _after_known_supply(future)
    n_periods = len(residual)
    receipts, placed = _receipts(future)
    # What a unit costs that is served from each receipt, shape (n_receipts, n_periods).
    waits = np.arange(n_periods) - receipts[:, None]
    serving = np.where(waits >= 0, future.holding_cost * waits, np.inf)
    cheapest = np.minimum(serving, future.shortage_cost) * residual
    chosen = _shortest_path(cheapest, receipts, future.shortage_cost * residual, future.fixed_order_cost)
    order = np.zeros(n_periods)
    holding, shortage = future.holding_cost * held, 0.0
    source = np.searchsorted(receipts[chosen], np.arange(n_periods), side="right") - 1
    for period in np.flatnonzero(residual > 0):
        units, place = float(residual[period]), int(source[period])
        unit_cost = serving[chosen[place], period] if place >= 0 else np.inf
        if unit_cost < future.shortage_cost:
            order[placed[chosen[place]]] += units
            holding += float(unit_cost) * units
        else:
            shortage += future.shortage_cost * units
    ordering = future.fixed_order_cost * int((order > 0).sum())
    return ClairvoyantOrders(
        order_quantity=order,
        cost=holding + shortage + ordering,
        holding_cost=holding,
        shortage_cost=shortage,
        ordering_cost=ordering,
    )


def _after_known_supply(future: KnownFuture) -> tuple[Cells, float]:
    """Return demand that stock and open orders leave, shape (n_periods,), and the unit-periods that they are held."""
    stock, held = float(future.on_hand), 0.0
    residual = np.zeros(len(future.demand))
    for period, (arrived, asked) in enumerate(zip(future.arrivals.tolist(), future.demand.tolist(), strict=True)):
        stock += arrived
        served = min(stock, asked)
        stock, residual[period] = stock - served, asked - served
        held += stock
    return residual, held


def _receipts(future: KnownFuture) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the periods in which an order can be received, rising, and the last period to place it for each."""
    placed = np.flatnonzero(future.can_order)
    due = placed + np.asarray(future.lead_times)[placed]
    inside = due < len(future.demand)
    last = {int(period): int(order) for period, order in zip(due[inside], placed[inside], strict=True)}
    receipts = np.array(sorted(last), dtype=np.int64)
    return receipts, np.array([last[period] for period in receipts.tolist()], dtype=np.int64)


def _shortest_path(cheapest: Cells, receipts: Integers, lost: Cells, fixed_order_cost: float) -> NDArray[np.int64]:
    """Return the receipts to use, places in `receipts`."""
    n_receipts, n_periods = cheapest.shape
    if fixed_order_cost == 0 or n_receipts == 0:
        return np.arange(n_receipts)
    until = np.concatenate([np.zeros((n_receipts, 1)), np.cumsum(np.nan_to_num(cheapest), axis=1)], axis=1)
    ends = np.append(receipts, n_periods)
    # Cost from each receipt on, if it is used; the last entry: none is.
    cost, following = np.zeros(n_receipts + 1), np.full(n_receipts + 1, n_receipts)
    for place in reversed(range(n_receipts)):
        reached = until[place, ends[place + 1 :]] - until[place, ends[place]] + cost[place + 1 :]
        best = int(np.argmin(reached))
        cost[place], following[place] = fixed_order_cost + reached[best], place + 1 + best
    before = np.concatenate([[0.0], np.cumsum(lost)])[ends]
    place = int(np.argmin(before + cost))
    chosen = []
    while place < n_receipts:
        chosen.append(place)
        place = int(following[place])
    return np.array(chosen, dtype=np.int64)


def _backordered(future: KnownFuture) -> ClairvoyantOrders:
    """Return the best orders where unmet demand waits: on hand - waiting = supply so far - demand so far."""
    from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]  # scipy ships no types
    from scipy.sparse import csr_array, eye_array, hstack, vstack  # type: ignore[import-untyped]

    n_periods = len(future.demand)
    receipts, placed = _receipts(future)
    n_orders = len(receipts)
    known = future.on_hand + np.cumsum(future.arrivals) - np.cumsum(future.demand)
    supply = csr_array((np.arange(n_periods)[:, None] >= receipts[None, :]).astype(float))
    none = csr_array((n_periods, n_orders))
    identity = eye_array(n_periods, format="csr")
    balance = hstack([supply, none, -identity, identity], format="csr")
    constraints = [LinearConstraint(balance, -known, -known)]
    most = float(np.maximum(-known, 0).max(initial=0.0))
    if n_orders:
        link = hstack([eye_array(n_orders), -most * eye_array(n_orders), csr_array((n_orders, 2 * n_periods))])
        constraints.append(LinearConstraint(vstack([link], format="csr"), -np.inf, 0))
    has_fixed = future.fixed_order_cost > 0
    cost = np.concatenate(
        [
            np.zeros(n_orders),
            np.full(n_orders, future.fixed_order_cost),
            np.full(n_periods, future.holding_cost),
            np.full(n_periods, future.shortage_cost),
        ]
    )
    integral = np.concatenate([np.zeros(n_orders), np.full(n_orders, float(has_fixed)), np.zeros(2 * n_periods)])
    upper = np.concatenate([np.full(n_orders, np.inf), np.ones(n_orders), np.full(2 * n_periods, np.inf)])
    found = milp(
        cost, constraints=constraints, integrality=integral, bounds=Bounds(0, upper), options={"mip_rel_gap": 0.0}
    )
    order = np.zeros(n_periods)
    order[placed] = np.round(found.x[:n_orders], 9)
    stock = found.x[2 * n_orders :]
    holding = future.holding_cost * float(stock[:n_periods].sum())
    shortage = future.shortage_cost * float(stock[n_periods:].sum())
    ordering = future.fixed_order_cost * int((order > 1e-9).sum())
    return ClairvoyantOrders(
        order_quantity=order,
        cost=holding + shortage + ordering,
        holding_cost=holding,
        shortage_cost=shortage,
        ordering_cost=ordering,
    )
