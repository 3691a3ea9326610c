"""Purchase orders of an ERP, taken over into ours: what is on its way is known, whoever ordered it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from restock.adapters.database.erp_store import Link
from restock.adapters.database.journal import append_audit, append_event
from restock.adapters.database.order_tables import PurchaseOrderLineRow, PurchaseOrderRow
from restock.adapters.erp.interface import ErpKind, ErpPurchaseOrder, OrderState
from restock.errors import ConflictError
from restock.operations.erp.exchange import Exchange, Fate
from restock.operations.erp.masters import Incoming, Taken
from restock.operations.erp.references import ours_of, require_ours
from restock.operations.stock.once import Write
from restock.operations.stock.order_lines import OrderDraft, OrderLine, line_rows
from restock.operations.stock.purchase_orders import TOPIC, cancel_order, close_order

_OPEN = ("sent", "partly_received", "received")


def take_purchase_order(
    connection: Connection, exchange: Exchange, record: ErpPurchaseOrder, incoming: Incoming, link: Link | None
) -> Taken:
    """Bring our side of a purchase order to theirs: new, moved to another day, changed, closed or cancelled.

    What of it has come is what was received here: the ledger's movements say so, not the ERP.

    Raises:
        RestockError: it can't be ours, or it has come in part already.
    """
    ours = link.ours if link else _find_own(connection, record)
    if ours is None:
        if record.state is not OrderState.CONFIRMED:
            # History: nothing more is to come of it.
            return Taken(fate=Fate.UNCHANGED, link=None)
        ours = _insert(connection, exchange, record, incoming)
        return Taken(fate=Fate.CREATED, link=_agreed(incoming, ours, "sent"))
    if link is None:
        # Written by us, and the reply was lost.
        return Taken(fate=Fate.UNCHANGED, link=_agreed(incoming, ours, _state_there(record)))
    row = _read(connection, ours)
    is_changed = _end(connection, exchange, record, row)
    if not is_changed and row["state"] in _OPEN and record.state is OrderState.CONFIRMED:
        is_changed = _change(connection, exchange, record, incoming, link=link, row=row)
    if record.state is OrderState.COMPLETED and row["state"] in ("sent", "partly_received"):
        exchange.summary.note(f"purchase_order {ours} is received there but not here: book the receipt")
    fate = Fate.CHANGED if is_changed else Fate.UNCHANGED
    return Taken(fate=fate, link=_agreed(incoming, ours, _state_there(record)))


def _state_there(record: ErpPurchaseOrder) -> str:
    """Return what they believe of it: where ours is cancelled and theirs is not, that is still to go out."""
    return "cancelled" if record.state is OrderState.CANCELLED else "sent"


def _agreed(incoming: Incoming, ours: str, state: str) -> Link:
    return Link(
        theirs=incoming.theirs,
        ours=ours,
        digest=incoming.digest,
        their_content=incoming.content,
        our_content={"state": state},
    )


def _find_own(connection: Connection, record: ErpPurchaseOrder) -> str | None:
    """Return which of ours it is that was written under its reference."""
    ours = ours_of(record.reference, ErpKind.PURCHASE_ORDER)
    if ours is None:
        return None
    found: str | None = connection.execute(
        select(PurchaseOrderRow.purchase_order).where(PurchaseOrderRow.purchase_order == ours)
    ).scalar_one_or_none()
    return found


def _read(connection: Connection, purchase_order: str) -> dict[str, Any]:
    row = connection.execute(
        select(PurchaseOrderRow.__table__).where(PurchaseOrderRow.purchase_order == purchase_order)
    ).mappings()
    return dict(row.one())


def _draft(connection: Connection, exchange: Exchange, record: ErpPurchaseOrder, incoming: Incoming) -> OrderDraft:
    system = exchange.system
    products = require_ours(connection, system, ErpKind.PRODUCT, [line.product for line in record.lines])
    return OrderDraft(
        supplier=require_ours(connection, system, ErpKind.SUPPLIER, [record.supplier])[record.supplier],
        location=require_ours(connection, system, ErpKind.LOCATION, [record.location])[record.location],
        lines=tuple(
            OrderLine(
                sku=products[line["product"]],
                quantity=Decimal(line["quantity"]),
                unit_cost=Decimal(line["unit_amount"]),
            )
            for line in incoming.content["lines"]
            if Decimal(line["quantity"]) > 0
        ),
        promised_on=record.promised_on,
        note=f"{exchange.system} {record.code}",
    )


def _insert(connection: Connection, exchange: Exchange, record: ErpPurchaseOrder, incoming: Incoming) -> str:
    draft = _draft(connection, exchange, record, incoming)
    if not draft.lines:
        raise ConflictError(f"order {record.code} orders no goods.")
    taken = connection.execute(
        select(PurchaseOrderRow.purchase_order).where(PurchaseOrderRow.purchase_order == record.code)
    ).scalar_one_or_none()
    ours = record.code if taken is None else f"{exchange.system}-{record.code}"
    now = exchange.clock()
    rows = line_rows(connection, draft, purchase_order=ours)
    connection.execute(
        insert(PurchaseOrderRow),
        {
            "purchase_order": ours,
            "supplier": draft.supplier,
            "location": draft.location,
            "state": "sent",
            "ordered_on": record.ordered_on,
            "promised_on": draft.promised_on,
            "note": draft.note,
            "created_at_utc": now,
            "created_by": exchange.actor,
            "version": 1,
        },
    )
    connection.execute(insert(PurchaseOrderLineRow), rows)
    _tell(connection, exchange, ours, action="create_purchase_order", state="sent", details={"lines": len(rows)})
    return ours


def _end(connection: Connection, exchange: Exchange, record: ErpPurchaseOrder, row: dict[str, Any]) -> bool:
    """Cancel or close ours where theirs has ended, and return whether that changed it."""
    ours, reason = row["purchase_order"], f"{record.state} in {exchange.system}"
    write = Write(
        key=f"erp:{exchange.run}:{ours}"[:128],
        request={"purchase_order": ours, "state": record.state.value},
        actor=exchange.actor,
        now=exchange.clock(),
    )
    if record.state is OrderState.CANCELLED and row["state"] not in ("cancelled", "closed"):
        if row["state"] in ("partly_received", "received"):
            close_order(connection, ours, write, reason=reason)
        else:
            cancel_order(connection, ours, write, reason=reason)
        return True
    if record.state is OrderState.CLOSED and row["state"] in _OPEN:
        close_order(connection, ours, write, reason=reason)
        return True
    return False


def _change(
    connection: Connection,
    exchange: Exchange,
    record: ErpPurchaseOrder,
    incoming: Incoming,
    *,
    link: Link,
    row: dict[str, Any],
) -> bool:
    """Take over another promise or other lines, and return whether that changed anything."""
    ours = row["purchase_order"]
    values: dict[str, Any] = {}
    was_promised = link.their_content.get("promised_on")
    if incoming.content["promised_on"] != was_promised and record.promised_on != row["promised_on"]:
        values["promised_on"] = record.promised_on
    if _ordered(incoming.content) != _ordered(link.their_content):
        if row["state"] != "sent":
            raise ConflictError(
                f"order {ours!r} was changed in the ERP, but is {row['state']} here. Close it and order the rest anew."
            )
        rows = line_rows(connection, _draft(connection, exchange, record, incoming), purchase_order=ours)
        connection.execute(delete(PurchaseOrderLineRow).where(PurchaseOrderLineRow.purchase_order == ours))
        connection.execute(insert(PurchaseOrderLineRow), rows)
        values["version"] = row["version"] + 1
    if not values:
        return False
    connection.execute(
        update(PurchaseOrderRow)
        .where(PurchaseOrderRow.purchase_order == ours)
        .values(**{"version": row["version"] + 1, **values})
    )
    details = {name: value.isoformat() for name, value in values.items() if isinstance(value, date)}
    _tell(connection, exchange, ours, action="change_purchase_order", state=row["state"], details=details)
    return True


def _ordered(content: Any) -> list[tuple[str, str, str]]:
    """Return what is ordered, without what has come of it."""
    return [(line["product"], line["quantity"], line["unit_amount"]) for line in content.get("lines", ())]


def _tell(
    connection: Connection, exchange: Exchange, ours: str, *, action: str, state: str, details: dict[str, Any]
) -> None:
    now = exchange.clock()
    append_audit(
        connection,
        actor=exchange.actor,
        action=action,
        subject=ours,
        now=now,
        details={"system": exchange.system, "state": state, **details},
    )
    append_event(connection, topic=TOPIC, payload={"purchase_order": ours, "state": state}, now=now)
