"""What a reversal takes back besides the stock: received quantities of orders, and transfers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select

from restock.adapters.database.order_tables import PurchaseOrderRow, PurchaseReceiptRow, TransferRow
from restock.errors import ConflictError
from restock.ledger.movements import Kind, Movement
from restock.operations.stock.company import read_company
from restock.operations.stock.progress import add_arrived, add_received


def undo_receipts(connection: Connection, movement: str, *, reversal: str, now: datetime) -> None:
    """Take back what a movement had received of purchase orders; the receipts stay, with their opposite beside them."""
    receipts = connection.execute(
        select(PurchaseReceiptRow.__table__)
        .where(PurchaseReceiptRow.movement == movement)
        .order_by(PurchaseReceiptRow.movement_line)
    ).mappings()
    rows = [
        {**row, "movement": reversal, "quantity": -row["quantity"], "received_on": read_company(connection).day_of(now)}
        for row in receipts
    ]
    if not rows:
        return
    connection.execute(insert(PurchaseReceiptRow), rows)
    for row in rows:
        add_received(connection, row["purchase_order"], row["line"], quantity=row["quantity"])
    orders = connection.execute(
        select(PurchaseOrderRow.state).where(PurchaseOrderRow.purchase_order == rows[0]["purchase_order"])
    ).scalars()
    if "cancelled" in set(orders):
        raise ConflictError("the purchase order is cancelled; nothing of it can be taken back.")


def undo_transfers(connection: Connection, movement: Movement) -> None:
    """Take back the arrival of a transfer; a dispatch is taken back by letting the goods arrive where they came from.

    Raises:
        ConflictError: it is the dispatch of a transfer.
    """
    if movement.kind not in (Kind.TRANSFER_IN, Kind.TRANSFER_OUT):
        return
    known = connection.execute(
        select(TransferRow.transfer).where(TransferRow.transfer == movement.reference)
    ).scalar_one_or_none()
    if known is None:
        return
    if movement.kind is Kind.TRANSFER_OUT:
        raise ConflictError(
            f"transfer {known!r} is on its way; its dispatch is not reversed. Close the transfer: what is left goes "
            "back to where it came from."
        )
    for line in movement.lines:
        if line.quantity > 0:
            add_arrived(connection, known, sku=line.sku, lot=line.lot, quantity=-line.quantity)
