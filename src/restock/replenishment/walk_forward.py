"""A policy judged by money: it trades period after period through a history whose end it does not know.

Rows are skus at locations. A row is supplied from outside, or by another row: a warehouse. A period: what is due is
received; customers are served, oldest stock first, and what can't be served is lost; what has expired is thrown away;
costs fall on what is left. At its end the rule orders, knowing the period; an order placed at the end of period t with
a lead time of L periods is received at the start of period t + max(L, 1). A warehouse sends what it has: where stores
want more of it, each gets the same share of what it wants, and asks again the next period.

Only the simulator knows demand, lead times and what comes short: the rule sees stock and the age of its open orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.simulate import round_orders

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

FROM_OUTSIDE = -1


@dataclass(frozen=True, kw_only=True)
class TradingTerms:
    """Who supplies each row, on what terms, and what stock and its lack cost; arrays of shape (n_rows,).

    Attributes:
        source: row of the warehouse that supplies it, FROM_OUTSIDE for a supplier.
        unit_cost: currency per unit.
        holding_cost: currency per unit on hand at the end of a period.
        shortage_cost: currency per unit of customers' demand that is lost.
        order_group: whole numbers from 0; rows of one group are ordered together and share its fixed cost.
        fixed_order_cost: currency per order of a group in a period, the same in all of its rows.
        review_periods: periods between two reviews, >= 1.
        review_offset: period of the first review, 0 to review_periods - 1.
        minimum_order_quantity: units.
        order_multiple: units, > 0.
        shelf_life_periods: periods that a unit can be sold from the period of its receipt from outside; 0 is for ever.
    """

    source: Integers
    unit_cost: Floats
    holding_cost: Floats
    shortage_cost: Floats
    order_group: Integers
    fixed_order_cost: Floats
    review_periods: Integers
    review_offset: Integers
    minimum_order_quantity: Floats
    order_multiple: Floats
    shelf_life_periods: Integers

    def __len__(self) -> int:
        return len(self.source)

    def is_review(self, period: int) -> NDArray[np.bool_]:
        """Return which rows may order at the end of a period, shape (n_rows,)."""
        found: NDArray[np.bool_] = (period - self.review_offset) % self.review_periods == 0
        return found


@dataclass(frozen=True, kw_only=True)
class Market:
    """What happens, whatever is ordered; shape (n_rows, n_periods).

    Attributes:
        demand: of customers, units >= 0; 0 at a warehouse.
        lead_times: whole periods of an order that is placed on a period.
        received_share: of an order that is placed on a period: how much of it comes, 0-1.
    """

    demand: Floats
    lead_times: Integers
    received_share: Floats


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a rule knows at the end of a period.

    Attributes:
        period: 0 for the first.
        lots: shape (n_rows, longest shelf life + 1), units on hand by the periods left to sell them, from 1 on;
            the last is for ever.
        open_orders: shape (n_rows, n_ages), units ordered and not received, by periods since the order, from 0 on (the
            orders of the period's end are not yet placed, so the first is empty).
        is_review: shape (n_rows,), which rows may order now.
    """

    period: int
    lots: NDArray[np.float64]
    open_orders: NDArray[np.float64]
    is_review: NDArray[np.bool_]

    @property
    def on_hand(self) -> NDArray[np.float64]:
        """Units on hand, shape (n_rows,)."""
        total: NDArray[np.float64] = self.lots.sum(axis=1)
        return total

    @property
    def inventory_position(self) -> NDArray[np.float64]:
        """On hand and on order, units, shape (n_rows,)."""
        total: NDArray[np.float64] = self.on_hand + self.open_orders.sum(axis=1)
        return total


class OrderRule(Protocol):
    """Says what to order at the end of a period."""

    def __call__(self, situation: Situation) -> NDArray[np.float64]:
        """Return wanted orders, shape (n_rows,), units; only those of rows under review count."""
        ...


@dataclass(frozen=True, kw_only=True)
class Trading:
    """What happened, each of shape (n_rows, n_periods), units.

    Attributes:
        demand: of customers.
        lost: of it, not served.
        on_hand: at the end of the period, before anything is sent to a store.
        wasted: expired.
        ordered: at the end of the period; of a row with a warehouse, what that sent.
        received: at the start of the period.
    """

    demand: NDArray[np.float64]
    lost: NDArray[np.float64]
    on_hand: NDArray[np.float64]
    wasted: NDArray[np.float64]
    ordered: NDArray[np.float64]
    received: NDArray[np.float64]

    def costs(self, terms: TradingTerms, *, first_period: int = 0) -> dict[str, NDArray[np.float64]]:
        """Return holding, shortage, ordering and waste from a period on, each of shape (n_rows,), currency."""
        periods = slice(first_period, None)
        return {
            "holding": self.on_hand[:, periods].sum(axis=1) * terms.holding_cost,
            "shortage": self.lost[:, periods].sum(axis=1) * terms.shortage_cost,
            "ordering": self._order_shares(terms, periods).sum(axis=1) * terms.fixed_order_cost,
            "waste": self.wasted[:, periods].sum(axis=1) * terms.unit_cost,
        }

    def _order_shares(self, terms: TradingTerms, periods: slice) -> NDArray[np.float64]:
        """Return each row's part of the orders of its group, which add up to 1 an order; shape (n_rows, n_periods)."""
        is_line = self.ordered[:, periods] > 0
        lines = np.zeros((int(terms.order_group.max(initial=-1)) + 1, is_line.shape[1]))
        np.add.at(lines, terms.order_group, is_line)
        together = lines[terms.order_group]
        shares: NDArray[np.float64] = np.divide(is_line, together, out=np.zeros_like(together), where=is_line)
        return shares

    def total_cost(self, terms: TradingTerms, *, first_period: int = 0) -> NDArray[np.float64]:
        """Return all costs from a period on, shape (n_rows,), currency."""
        total: NDArray[np.float64] = np.sum(list(self.costs(terms, first_period=first_period).values()), axis=0)
        return total

    def fill_rate(self, *, first_period: int = 0) -> float:
        """Return the share of customers' demand that was served from a period on, 0-1; NaN without demand."""
        asked = float(self.demand[:, first_period:].sum())
        return 1 - float(self.lost[:, first_period:].sum()) / asked if asked else float("nan")


def trade(rule: OrderRule, market: Market, terms: TradingTerms, *, on_hand: Floats) -> Trading:
    """Return what a rule does to stock over all periods of a market.

    Args:
        rule: what to order.
        market: what happens.
        terms: costs and what suppliers accept.
        on_hand: shape (n_rows,), units at the start, as fresh as can be; nothing is on order.

    Raises:
        ValueError: a shape does not fit, or demand is negative.
    """
    _check(market, terms)
    n_rows, n_periods = market.demand.shape
    state = _Shelves(on_hand, terms, market=market)
    kept = {name: np.zeros((n_rows, n_periods)) for name in ("lost", "on_hand", "wasted", "ordered", "received")}
    for period in range(n_periods):
        kept["received"][:, period] = state.receive(period)
        kept["lost"][:, period] = market.demand[:, period] - state.take(market.demand[:, period])[0]
        kept["wasted"][:, period] = state.expire()
        is_review = terms.is_review(period)
        wanted = np.where(is_review, rule(state.seen(period, is_review)), 0.0)
        orders = round_orders(
            wanted, minimum_order_quantity=terms.minimum_order_quantity, order_multiple=terms.order_multiple
        )
        kept["on_hand"][:, period] = state.lots.sum(axis=1)
        kept["ordered"][:, period] = state.place(period, orders)
    return Trading(demand=np.asarray(market.demand, dtype=np.float64), **kept)


class _Shelves:
    """Stock by the periods that it can still be sold, and orders by the period that they are due."""

    def __init__(self, on_hand: Floats, terms: TradingTerms, *, market: Market) -> None:
        n_rows, n_periods = market.demand.shape
        self.terms, self.market = terms, market
        self.longest = int(terms.shelf_life_periods.max(initial=0))
        # A slot for each period that is left, and the last for what never expires.
        self.fresh = np.where(terms.shelf_life_periods > 0, terms.shelf_life_periods - 1, self.longest)
        self.rows = np.arange(n_rows)
        self.lots = np.zeros((n_rows, self.longest + 1))
        self.lots[self.rows, self.fresh] = on_hand
        self.slots = int(market.lead_times.max(initial=1)) + 1
        self.due = np.zeros((self.slots, *self.lots.shape))
        # Open units by period of the order, to tell their ages; what is due is taken off by its own period.
        self.open = np.zeros((n_rows, n_periods))
        self.due_from: list[list[tuple[int, NDArray[np.intp], NDArray[np.float64]]]] = [[] for _ in range(self.slots)]

    def receive(self, period: int) -> NDArray[np.float64]:
        """Take in what is due; units, shape (n_rows,)."""
        slot = period % self.slots
        arrived = self.due[slot]
        units: NDArray[np.float64] = arrived.sum(axis=1)
        self.lots += arrived
        self.due[slot] = 0.0
        for ordered_on, rows, ordered in self.due_from[slot]:
            self.open[rows, ordered_on] -= ordered
        self.due_from[slot] = []
        return units

    def take(self, units: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Take units off, first expired first; return what was there, shape (n_rows,), and from which lots."""
        until = np.minimum(np.cumsum(self.lots, axis=1), np.asarray(units, dtype=np.float64)[:, None])
        taken = np.diff(until, axis=1, prepend=0.0)
        self.lots = self.lots - taken
        return until[:, -1], taken

    def expire(self) -> NDArray[np.float64]:
        """End the period: throw away what can't be sold tomorrow; units, shape (n_rows,)."""
        if not self.longest:
            return np.zeros(len(self.lots))
        wasted = self.lots[:, 0].copy()
        self.lots[:, :-2] = self.lots[:, 1:-1]
        self.lots[:, -2] = 0.0
        return wasted

    def seen(self, period: int, is_review: NDArray[np.bool_]) -> Situation:
        """Return what a rule may know at the end of the period."""
        ages = self.open[:, max(0, period - self.slots + 1) : period + 1][:, ::-1]
        return Situation(period=period, lots=self.lots.copy(), open_orders=ages.copy(), is_review=is_review)

    def place(self, period: int, orders: NDArray[np.float64]) -> NDArray[np.float64]:
        """Send orders on their way and return what is on its way, units, shape (n_rows,)."""
        source = self.terms.source
        is_inside = (source != FROM_OUTSIDE) & (orders > 0)
        sent = np.where(is_inside, 0.0, orders)
        parcels = np.zeros_like(self.lots)
        outside = np.flatnonzero(sent > 0)
        parcels[outside, self.fresh[outside]] = (sent * self.market.received_share[:, period])[outside]
        if is_inside.any():
            sent = sent + self._send_inside(orders, is_inside, parcels=parcels)
        placed = np.flatnonzero(sent > 0)
        self.open[placed, period] += sent[placed]
        periods = np.maximum(self.market.lead_times[:, period], 1)
        self._age(parcels, periods=np.where(is_inside, periods - 1, 0))
        slots = (period + periods[placed]) % self.slots
        self.due[slots, placed] += parcels[placed]
        for slot in np.unique(slots):
            rows = placed[slots == slot]
            self.due_from[slot].append((period, rows, sent[rows]))
        return sent

    def _age(self, parcels: NDArray[np.float64], *, periods: NDArray[np.integer[Any]]) -> None:
        """Let what a warehouse sends grow old on its way; what would come dead has its last period then."""
        for passed in np.unique(periods[periods > 0]):
            rows = np.flatnonzero(periods == passed)
            perishable = parcels[rows, : self.longest]
            parcels[rows, : self.longest] = 0.0
            for left in range(self.longest):
                parcels[rows, max(left - passed, 0)] += perishable[:, left]

    def _send_inside(
        self, orders: NDArray[np.float64], is_inside: NDArray[np.bool_], *, parcels: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Take what stores want from their warehouses' lots into `parcels`; return units sent, shape (n_rows,)."""
        rows = np.flatnonzero(is_inside)
        source = self.terms.source[rows]
        wanted = np.bincount(source, weights=orders[rows], minlength=len(orders))
        there = self.lots.sum(axis=1)
        share = np.divide(np.minimum(there, wanted), wanted, out=np.zeros_like(wanted), where=wanted > 0)
        # Whole multiples only: the rest of a share stays in the warehouse.
        multiple = self.terms.order_multiple[rows]
        sent = np.floor(orders[rows] * share[source] / multiple + 1e-9) * multiple
        total = np.bincount(source, weights=sent, minlength=len(orders)).astype(np.float64)
        _, taken = self.take(total)
        part = np.divide(sent, total[source], out=np.zeros_like(sent), where=total[source] > 0)
        parcels[rows] = taken[source] * part[:, None]
        units = np.zeros_like(orders)
        units[rows] = sent
        return units


def _check(market: Market, terms: TradingTerms) -> None:
    shape = market.demand.shape
    if market.demand.ndim != 2 or market.lead_times.shape != shape or market.received_share.shape != shape:
        raise ValueError(
            "demand, lead_times and received_share must share the shape (n_rows, n_periods), got "
            f"{shape}, {market.lead_times.shape} and {market.received_share.shape}."
        )
    if shape[0] != len(terms):
        raise ValueError(f"terms must be of the {shape[0]} rows of the market, got {len(terms)}.")
    if market.demand.min(initial=0) < 0:
        raise ValueError("demand must be >= 0, got a negative one.")
    inside = terms.source[terms.source != FROM_OUTSIDE]
    if len(inside) and (terms.source[inside] != FROM_OUTSIDE).any():
        raise ValueError("a warehouse must be supplied from outside: two levels of stock, not more.")
