"""How far orders and transfers have come: quantities that arrived, and the state that follows from them."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from restock.adapters.database.order_tables import (
    PurchaseOrderLineRow,
    PurchaseOrderRow,
    TransferLineRow,
    TransferRow,
)
from restock.errors import DataError


def add_received(connection: Connection, purchase_order: str, line: int, *, quantity: int) -> None:
    """Add to what of an order's line has come, and bring the order's state up to date.

    Args:
        connection: in a write transaction.
        purchase_order: the order.
        line: number of its line.
        quantity: scaled base units; below 0 where a receipt is taken back.
    """
    connection.execute(
        update(PurchaseOrderLineRow)
        .where(PurchaseOrderLineRow.purchase_order == purchase_order, PurchaseOrderLineRow.line == line)
        .values(quantity_received=PurchaseOrderLineRow.quantity_received + quantity)
    )
    lines = connection.execute(
        select(PurchaseOrderLineRow.quantity_ordered, PurchaseOrderLineRow.quantity_received).where(
            PurchaseOrderLineRow.purchase_order == purchase_order
        )
    ).all()
    state = _state_of([(int(row[0]), int(row[1])) for row in lines], names=("sent", "partly_received", "received"))
    connection.execute(
        update(PurchaseOrderRow)
        .where(PurchaseOrderRow.purchase_order == purchase_order)
        .values(state=state, version=PurchaseOrderRow.version + 1)
    )


def add_arrived(connection: Connection, transfer: str, *, sku: str, lot: str, quantity: int) -> None:
    """Add to what of a transfer has arrived, and bring its state up to date.

    Args:
        connection: in a write transaction.
        transfer: the transfer.
        sku: the product.
        lot: its lot.
        quantity: scaled base units; below 0 where an arrival is taken back.

    Raises:
        DataError: more would have arrived than is on its way, or nothing of it was sent.
    """
    rows = connection.execute(
        select(TransferLineRow.line, TransferLineRow.quantity_dispatched, TransferLineRow.quantity_arrived)
        .where(TransferLineRow.transfer == transfer, TransferLineRow.sku == sku, TransferLineRow.lot == lot)
        .order_by(TransferLineRow.line)
        .with_for_update()
    ).all()
    left = quantity
    for row in rows if quantity > 0 else reversed(rows):
        room = row.quantity_dispatched - row.quantity_arrived if quantity > 0 else -row.quantity_arrived
        step = min(left, room) if quantity > 0 else max(left, room)
        left -= step
        if step:
            connection.execute(
                update(TransferLineRow)
                .where(TransferLineRow.transfer == transfer, TransferLineRow.line == row.line)
                .values(quantity_arrived=TransferLineRow.quantity_arrived + step)
            )
    if left:
        raise DataError(
            f"of {sku}{f' lot {lot}' if lot else ''} {left} more (scaled units) would have arrived with transfer "
            f"{transfer!r} than is on its way. Book what is really there as a count or an adjustment."
        )
    lines = connection.execute(
        select(TransferLineRow.quantity_dispatched, TransferLineRow.quantity_arrived).where(
            TransferLineRow.transfer == transfer
        )
    ).all()
    state = _state_of([(int(row[0]), int(row[1])) for row in lines], names=("in_transit", "partly_arrived", "arrived"))
    connection.execute(
        update(TransferRow).where(TransferRow.transfer == transfer).values(state=state, version=TransferRow.version + 1)
    )


def _state_of(lines: list[tuple[int, int]], *, names: tuple[str, str, str]) -> str:
    """Return the state that follows from (expected, come) of all lines: nothing, part or all of it has come."""
    if all(come >= expected for expected, come in lines):
        return names[2]
    return names[1] if any(come > 0 for _, come in lines) else names[0]
