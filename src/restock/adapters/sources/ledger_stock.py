"""Lines of a ledger as table `stock`: what there is at the end of a day, what is on its way, and what is owed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl
from sqlalchemy import Connection, func, or_, select

from restock.adapters.database.order_tables import (
    CountLineRow,
    CountRow,
    CustomerOrderLineRow,
    CustomerOrderRow,
    PurchaseOrderLineRow,
    PurchaseOrderRow,
    TransferLineRow,
    TransferRow,
)
from restock.ledger.movements import Kind
from restock.tables import STOCK

# More than quantities have in the ledger.
_DECIMALS = 8

_Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class OpenOrders:
    """What is under way, by sku and location.

    Attributes:
        on_order: ordered from suppliers or sent from elsewhere and not here yet, scaled base units.
        backorders: owed to customers, scaled base units.
        counted_at: when it was last counted, approved counts only, UTC.
    """

    on_order: dict[_Pair, int]
    backorders: dict[_Pair, int]
    counted_at: dict[_Pair, datetime]


def read_open_orders(connection: Connection, *, as_of: date) -> OpenOrders:
    """Return what is under way of what was begun by the end of a day."""
    on_order: dict[_Pair, int] = defaultdict(int)
    order, line = PurchaseOrderRow, PurchaseOrderLineRow
    bought = (
        select(line.sku, order.location, line.quantity_ordered - line.quantity_received)
        .join(order, order.purchase_order == line.purchase_order)
        .where(order.state.in_(("sent", "partly_received")), order.ordered_on <= as_of)
    )
    transfer, moved = TransferRow, TransferLineRow
    sent = (
        select(moved.sku, transfer.target, moved.quantity_dispatched - moved.quantity_arrived)
        .join(transfer, transfer.transfer == moved.transfer)
        .where(transfer.state.in_(("in_transit", "partly_arrived")))
    )
    for statement in (bought, sent):
        for sku, location, quantity in connection.execute(statement):
            # More may come than was ordered.
            on_order[sku, location] += max(quantity, 0)
    backorders: dict[_Pair, int] = defaultdict(int)
    wish, wanted = CustomerOrderRow, CustomerOrderLineRow
    owed = (
        select(wanted.sku, wish.location, wanted.quantity_ordered - wanted.quantity_delivered)
        .join(wish, wish.customer_order == wanted.customer_order)
        .where(wish.state.in_(("open", "partly_delivered")), wish.ordered_on <= as_of)
        .where(or_(wish.requested_on.is_(None), wish.requested_on <= as_of))
    )
    for sku, location, quantity in connection.execute(owed):
        backorders[sku, location] += max(quantity, 0)
    return OpenOrders(on_order=dict(on_order), backorders=dict(backorders), counted_at=_read_counted(connection))


def _read_counted(connection: Connection) -> dict[_Pair, datetime]:
    last = func.max(func.coalesce(CountLineRow.recounted_at_utc, CountLineRow.counted_at_utc))
    statement = (
        select(CountLineRow.sku, CountRow.location, last)
        .join(CountRow, CountRow.count == CountLineRow.count)
        .where(CountRow.state == "approved")
        .group_by(CountLineRow.sku, CountRow.location)
    )
    return {(sku, location): at for sku, location, at in connection.execute(statement) if at is not None}


def tell_stock(lines: pl.DataFrame, *, as_of: date, orders: OpenOrders, units_scale: int) -> pl.DataFrame:
    """Return table `stock` of some skus.

    Args:
        lines: all lines of these skus up to the end of the day; see `restock.adapters.sources.ledger`.
        as_of: the day.
        orders: what is under way.
        units_scale: scaled base units in one.
    """
    is_count = pl.col("kind") == Kind.COUNT.value
    found = lines.group_by("sku", "location").agg(
        pl.col("quantity").sum(), booked_count=pl.col("booked_at_utc").filter(is_count).max()
    )
    pairs = list(zip(found["sku"], found["location"], strict=True))
    counted = pl.Series([orders.counted_at.get(pair) for pair in pairs], dtype=pl.Datetime("us", "UTC"))
    frame = found.select(
        "sku",
        "location",
        as_of=pl.lit(as_of),
        on_hand=(pl.col("quantity") / units_scale).round(_DECIMALS),
        on_order=pl.Series([orders.on_order.get(pair, 0) / units_scale for pair in pairs], dtype=pl.Float64),
        backorders=pl.Series([orders.backorders.get(pair, 0) / units_scale for pair in pairs], dtype=pl.Float64),
        counted_at=pl.max_horizontal(counted, "booked_count"),
    )
    return STOCK.conform(frame.sort("sku", "location"))
