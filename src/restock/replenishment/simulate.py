"""Simulated stock of many skus at once, on the same demand and lead times for every policy.

A period: what is due is received and serves those who wait; at a review an order is placed; demand comes; what stock
can't serve waits or is lost; costs fall on what is left and what is short. An order placed in period t is received at
the start of period t + lead time, in the same period where the lead time is 0. Each order draws its own lead time, so
orders may cross.

All arrays lead with (n_skus, n_paths). Give the same draws to two policies and their difference is theirs alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]


class UnmetDemand(StrEnum):
    """What becomes of demand that stock can't serve."""

    BACKORDERED = "backordered"
    LOST = "lost"


class OrderPolicy(Protocol):
    """Says how much to order before any rounding."""

    def __call__(self, inventory_position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return wanted orders, shape (n_skus, n_paths), units; 0 or less is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class OrderUpTo:
    """(s,S): order up to a level where the position is at the reorder point or below; a base stock where s is S - 1.

    Attributes:
        reorder_point: shape (n_skus,), units.
        order_up_to_level: shape (n_skus,), units, above the reorder point.
    """

    reorder_point: Floats
    order_up_to_level: Floats

    def __call__(self, inventory_position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return wanted orders, units."""
        wanted = self.order_up_to_level[:, None] - inventory_position
        found: NDArray[np.float64] = np.where(inventory_position <= self.reorder_point[:, None], wanted, 0.0)
        return found


@dataclass(frozen=True, kw_only=True)
class OrderQuantities:
    """(r,nQ): where the position is at the reorder point or below, order as few quantities as lift it above.

    Attributes:
        reorder_point: shape (n_skus,), units.
        order_quantity: shape (n_skus,), units, > 0.
    """

    reorder_point: Floats
    order_quantity: Floats

    def __call__(self, inventory_position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return wanted orders, units."""
        missing = self.reorder_point[:, None] - inventory_position
        quantity = self.order_quantity[:, None]
        found: NDArray[np.float64] = np.where(missing >= 0, (np.floor(missing / quantity) + 1) * quantity, 0.0)
        return found


@dataclass(frozen=True, kw_only=True)
class StockTerms:
    """Costs of each sku and what its supplier accepts, all of shape (n_skus,).

    Attributes:
        holding_cost: currency per unit on hand at the end of a period.
        shortage_cost: currency per unit lost, or per unit that waits at the end of a period.
        fixed_order_cost: currency per order.
        review_periods: whole periods between two reviews, >= 1; the first period has one.
        minimum_order_quantity: units; a smaller order is raised to it.
        order_multiple: units, > 0; orders are raised to a multiple of it.
    """

    holding_cost: Floats
    shortage_cost: Floats
    fixed_order_cost: Floats
    review_periods: Integers
    minimum_order_quantity: Floats
    order_multiple: Floats


@dataclass(frozen=True, kw_only=True)
class SimulatedStock:
    """What happened, each of shape (n_skus, n_paths).

    Counted periods are those after the warm-up; `end` is the end of all.

    Attributes:
        demand_units: asked for, in counted periods.
        served_at_once_units: of these, served from stock in their period.
        holding_cost: currency, in counted periods.
        shortage_cost: currency, in counted periods.
        ordering_cost: currency, in counted periods.
        on_hand_mean: units at the end of a counted period.
        stockout_share: share of counted periods in which something was short, 0-1.
        orders: number of orders, in counted periods.
        all_demand_units: asked for, in all periods.
        ordered_units: in all periods.
        received_units: in all periods.
        delivered_units: to customers, late ones included, in all periods.
        lost_units: in all periods.
        on_hand_end: units.
        on_order_end: units.
        backorders_end: units.
    """

    demand_units: NDArray[np.float64]
    served_at_once_units: NDArray[np.float64]
    holding_cost: NDArray[np.float64]
    shortage_cost: NDArray[np.float64]
    ordering_cost: NDArray[np.float64]
    on_hand_mean: NDArray[np.float64]
    stockout_share: NDArray[np.float64]
    orders: NDArray[np.float64]
    all_demand_units: NDArray[np.float64]
    ordered_units: NDArray[np.float64]
    received_units: NDArray[np.float64]
    delivered_units: NDArray[np.float64]
    lost_units: NDArray[np.float64]
    on_hand_end: NDArray[np.float64]
    on_order_end: NDArray[np.float64]
    backorders_end: NDArray[np.float64]

    @property
    def total_cost(self) -> NDArray[np.float64]:
        """Holding, shortage and ordering in counted periods, shape (n_skus, n_paths), currency."""
        return self.holding_cost + self.shortage_cost + self.ordering_cost

    @property
    def fill_rate(self) -> NDArray[np.float64]:
        """Share of demand units served from stock over all paths, shape (n_skus,); NaN without demand."""
        asked = self.demand_units.sum(axis=1)
        served = self.served_at_once_units.sum(axis=1)
        share: NDArray[np.float64] = np.divide(served, asked, out=np.full_like(asked, np.nan), where=asked > 0)
        return share


def round_orders(wanted: Floats, *, minimum_order_quantity: Floats, order_multiple: Floats) -> NDArray[np.float64]:
    """Return orders that the supplier accepts: none, or a whole multiple, at least the minimum and what is wanted.

    Args:
        wanted: units; 0 or less is no order.
        minimum_order_quantity: units.
        order_multiple: units, > 0.

    Example:
        >>> wanted = np.array([-2.0, 1.0, 7.0, 13.0])
        >>> round_orders(wanted, minimum_order_quantity=np.array(5.0), order_multiple=np.array(6.0)).tolist()
        [0.0, 6.0, 12.0, 18.0]
    """
    least = np.maximum(wanted, minimum_order_quantity)
    # 1e-9 of a multiple: what is a multiple but for rounding is not raised to the next.
    found: NDArray[np.float64] = np.where(wanted > 0, np.ceil(least / order_multiple - 1e-9) * order_multiple, 0.0)
    return found


def simulate_stock(
    policy: OrderPolicy,
    terms: StockTerms,
    *,
    demand: Floats,
    lead_times: Integers,
    on_hand: Floats,
    unmet: UnmetDemand,
    warm_up_periods: int = 0,
) -> SimulatedStock:
    """Return what a policy does to stock over all periods of the given demand.

    Args:
        policy: how much is wanted at a review.
        terms: costs and what suppliers accept.
        demand: shape (n_skus, n_paths, n_periods), units >= 0.
        lead_times: the same shape, whole periods >= 0, of an order placed in each period.
        on_hand: shape (n_skus,), units at the start; nothing is on order.
        unmet: whether demand waits or is lost.
        warm_up_periods: first periods that do not count.

    Raises:
        ValueError: demand or a lead time is negative, a shape does not fit, or nothing is left to count.
    """
    _check(demand, lead_times, warm_up_periods)
    n_skus, n_paths, n_periods = demand.shape
    state = _Stock.at_start(on_hand, shape=(n_skus, n_paths), slots=int(lead_times.max()) + 1)
    places = np.indices((n_skus, n_paths))
    for period in range(n_periods):
        state.receive(period)
        is_review = (period % terms.review_periods == 0)[:, None]
        position = state.on_hand + state.on_order - state.backorders
        orders = np.where(
            is_review,
            round_orders(
                policy(position),
                minimum_order_quantity=terms.minimum_order_quantity[:, None],
                order_multiple=terms.order_multiple[:, None],
            ),
            0.0,
        )
        lead = lead_times[:, :, period]
        state.due[(period + lead) % len(state.due), places[0], places[1]] += orders
        state.ordered += orders
        state.on_order += orders
        if (lead == 0).any():
            state.receive(period)
        state.sell(demand[:, :, period], unmet)
        if period >= warm_up_periods:
            state.count(terms, orders, demand[:, :, period], unmet)
    return state.summary(terms, n_counted=n_periods - warm_up_periods, all_demand=demand.sum(axis=2))


class _Stock:
    """Stock while it is simulated; what is due lies in a ring of slots, one more than the longest lead time has."""

    def __init__(self, on_hand: NDArray[np.float64], slots: int) -> None:
        shape = on_hand.shape
        self.on_hand = on_hand
        self.due = np.zeros((slots, *shape))
        self.on_order, self.backorders = np.zeros(shape), np.zeros(shape)
        self.ordered, self.received, self.delivered, self.lost = (np.zeros(shape) for _ in range(4))
        self.served, self.short = np.zeros(shape), np.zeros(shape)
        self.counted = {
            name: np.zeros(shape) for name in ("demand", "served", "held", "short", "orders", "stockouts", "ordering")
        }

    @classmethod
    def at_start(cls, on_hand: Floats, *, shape: tuple[int, int], slots: int) -> _Stock:
        """Return stock with nothing on order."""
        return cls(np.repeat(np.asarray(on_hand, dtype=np.float64)[:, None], shape[1], axis=1), slots)

    def receive(self, period: int) -> None:
        """Take in what is due and serve those who wait."""
        slot = period % len(self.due)
        arrived = self.due[slot].copy()
        self.due[slot] = 0.0
        self.on_order = self.on_order - arrived
        self.received += arrived
        stock = self.on_hand + arrived
        late = np.minimum(stock, self.backorders)
        self.on_hand, self.backorders = stock - late, self.backorders - late
        self.delivered += late

    def sell(self, demand: Floats, unmet: UnmetDemand) -> None:
        """Serve demand from stock; what is short waits or is lost."""
        self.served = np.minimum(self.on_hand, demand)
        self.on_hand = self.on_hand - self.served
        self.delivered += self.served
        self.short = demand - self.served
        if unmet is UnmetDemand.LOST:
            self.lost += self.short
        else:
            self.backorders = self.backorders + self.short

    def count(self, terms: StockTerms, orders: NDArray[np.float64], demand: Floats, unmet: UnmetDemand) -> None:
        """Add a period to what counts."""
        counted = self.counted
        counted["demand"] += demand
        counted["served"] += self.served
        counted["held"] += self.on_hand
        counted["short"] += self.short if unmet is UnmetDemand.LOST else self.backorders
        counted["orders"] += orders > 0
        counted["ordering"] += (orders > 0) * terms.fixed_order_cost[:, None]
        counted["stockouts"] += self.short > 0

    def summary(self, terms: StockTerms, *, n_counted: int, all_demand: NDArray[np.float64]) -> SimulatedStock:
        """Return everything that was counted."""
        counted = self.counted
        return SimulatedStock(
            demand_units=counted["demand"],
            served_at_once_units=counted["served"],
            holding_cost=counted["held"] * terms.holding_cost[:, None],
            shortage_cost=counted["short"] * terms.shortage_cost[:, None],
            ordering_cost=counted["ordering"],
            on_hand_mean=counted["held"] / n_counted,
            stockout_share=counted["stockouts"] / n_counted,
            orders=counted["orders"],
            all_demand_units=all_demand,
            ordered_units=self.ordered,
            received_units=self.received,
            delivered_units=self.delivered,
            lost_units=self.lost,
            on_hand_end=self.on_hand,
            on_order_end=self.due.sum(axis=0),
            backorders_end=self.backorders,
        )


def _check(demand: Floats, lead_times: Integers, warm_up_periods: int) -> None:
    if demand.shape != lead_times.shape or demand.ndim != 3:
        raise ValueError(
            f"demand and lead_times must share the shape (n_skus, n_paths, n_periods), got {demand.shape} and "
            f"{lead_times.shape}."
        )
    if demand.min(initial=0) < 0 or lead_times.min(initial=0) < 0:
        raise ValueError("demand and lead_times must be >= 0, got a negative one.")
    if not 0 <= warm_up_periods < demand.shape[2]:
        raise ValueError(f"warm_up_periods must be >= 0 and below {demand.shape[2]}, got {warm_up_periods}.")
