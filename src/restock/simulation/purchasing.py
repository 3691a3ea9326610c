"""Purchasing: order lines sent to suppliers, what is still open and what came of each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from restock.simulation.arrays import Ints
from restock.simulation.catalogue import Catalogue
from restock.simulation.chain import Chain
from restock.simulation.movements import major_units, named, order_ids
from restock.simulation.suppliers import Deliveries, Suppliers, draw_deliveries, join_deliveries
from restock.simulation.trading_days import TradingDays
from restock.tables import PURCHASE_ORDERS

_NEVER = -1


@dataclass(frozen=True, kw_only=True)
class _Lines:
    """Order lines; arrays of shape (n_lines,)."""

    order: Ints
    number: Ints
    sku: Ints
    day: Ints
    units: Ints


@dataclass
class OrderBook:
    """Every order line so far, and what is on its way.

    Invariant: `on_order_units` is the sum over lines of ordered less delivered and cancelled units.

    Attributes:
        terms: the suppliers.
        on_order_units: open units of each article, shape (n_skus,).
        n_lines: lines so far.
        n_orders: orders so far.
    """

    terms: Suppliers
    on_order_units: Ints
    n_lines: int = 0
    n_orders: int = 0
    _lines: list[_Lines] = field(default_factory=list)
    _coming: dict[int, list[Deliveries]] = field(default_factory=dict)
    _arrived: list[Deliveries] = field(default_factory=list)

    def place(self, units: Ints, *, day: int, rng: np.random.Generator) -> None:
        """Order `units` of each article (shape (n_skus,), 0 for none), one order a supplier."""
        sku = np.flatnonzero(units)
        if sku.size == 0:
            return
        supplier = self.terms.of_sku[sku]
        in_order = np.argsort(supplier, kind="stable")
        sku, supplier = sku[in_order], supplier[in_order]
        _, first, place = np.unique(supplier, return_index=True, return_inverse=True)
        order = self.n_orders + 1 + place
        deliveries = draw_deliveries(
            self.n_lines, day=day, order=order, sku=sku, ordered_units=units[sku], terms=self.terms, rng=rng
        )
        for arrival in np.unique(deliveries.day).tolist():
            self._coming.setdefault(arrival, []).append(deliveries.select(np.flatnonzero(deliveries.day == arrival)))
        self._lines.append(
            _Lines(
                order=order,
                number=np.arange(sku.size) - first[place] + 1,
                sku=sku,
                day=np.full(sku.size, day, dtype=np.int64),
                units=units[sku],
            )
        )
        self.on_order_units = self.on_order_units + units
        self.n_lines += int(sku.size)
        self.n_orders += int(first.size)

    def arrive(self, day: int) -> Deliveries:
        """Take in the deliveries of a day; without rows where nothing comes."""
        deliveries = join_deliveries(self._coming.pop(day, []))
        self.on_order_units = self.on_order_units - np.bincount(
            deliveries.sku, weights=deliveries.closed_units, minlength=self.on_order_units.size
        ).astype(np.int64)
        self._arrived.append(deliveries)
        return deliveries

    def column(self, name: str) -> Ints:
        """Return one column of all lines, shape (n_lines,)."""
        if not self._lines:
            return np.empty(0, dtype=np.int64)
        return np.concatenate([getattr(lines, name) for lines in self._lines])

    def delivered(self) -> tuple[Ints, Ints]:
        """Return claimed units of each line, and the day on which it was closed (-1 while open), shape (n_lines,)."""
        claimed = np.zeros(self.n_lines, dtype=np.int64)
        closed = np.zeros(self.n_lines, dtype=np.int64)
        last_day = np.full(self.n_lines, _NEVER, dtype=np.int64)
        for deliveries in self._arrived:
            claimed[deliveries.line] += deliveries.claimed_units
            closed[deliveries.line] += deliveries.closed_units
            last_day[deliveries.line] = deliveries.day
        return claimed, np.where(closed >= self.column("units"), last_day, _NEVER)


def purchase_order_table(book: OrderBook, *, catalogue: Catalogue, chain: Chain, days: TradingDays) -> pl.DataFrame:
    """Return table `purchase_orders`; a line closed short has the day of its last delivery."""
    sku = book.column("sku")
    claimed, closed_on = book.delivered()
    supplier = book.terms.of_sku[sku]
    ordered = pl.Series(book.column("day"))
    promised = pl.Series(book.column("day") + book.terms.quoted_lead_days[supplier])
    closed = pl.Series(closed_on)
    frame = pl.DataFrame(
        {
            "order": order_ids(book.column("order")),
            "line": book.column("number"),
            "sku": named(catalogue.sku, sku),
            "location": named(chain.location, np.full(sku.size, chain.warehouse, dtype=np.int64)),
            "supplier": named(book.terms.name, supplier),
            "ordered_on": ordered,
            "promised_on": promised,
            "received_on": closed.set(closed == _NEVER, None),
            "quantity_ordered": book.column("units"),
            "quantity_received": claimed,
            "unit_cost": major_units(catalogue.unit_cost_minor[sku]),
        }
    )
    dates = [
        (pl.lit(days.first_day) + pl.duration(days=pl.col(name))).alias(name)
        for name in ("ordered_on", "promised_on", "received_on")
    ]
    return PURCHASE_ORDERS.conform(frame.with_columns(dates))
