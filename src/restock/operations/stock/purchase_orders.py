"""Purchase orders: drafted, sent, received in parts, closed short or cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.journal import append_audit, append_event
from restock.adapters.database.order_tables import PurchaseOrderLineRow, PurchaseOrderRow
from restock.adapters.database.planning_tables import OverrideRow, PlanRow
from restock.adapters.database.product_facts import read_product_facts
from restock.errors import ConflictError, NotFoundError, VersionConflictError
from restock.ledger.movements import Kind, receive
from restock.operations.stock.booking import (
    DraftLine,
    build_entries,
    describe_changes,
    post_part,
    require_past,
)
from restock.operations.stock.company import read_company
from restock.operations.stock.once import Write, write_once
from restock.operations.stock.order_lines import (
    OrderDraft,
    OrderLine,
    ReceivedLine,
    line_rows,
    note_receipts,
    read_lines,
    require_minimum_value,
)
from restock.operations.stock_watch import watch_receipts

TOPIC = "stock.purchase_orders"
_OPEN = ("sent", "partly_received")


def draft_order(connection: Connection, draft: OrderDraft, write: Write) -> dict[str, Any]:
    """Return the reply to a new purchase order, a draft until it is sent.

    Args:
        connection: in a write transaction; the caller commits.
        draft: what.
        write: key, request, who and when.

    Raises:
        NotFoundError: the supplier, the location or a sku is unknown.
        DataError: a line has neither a cost nor supply terms.
    """
    return write_once(connection, write, lambda: _insert_order(connection, draft, write))


def draft_from_plan(
    connection: Connection, write: Write, *, as_of: date | None, location: str | None
) -> dict[str, Any]:
    """Return the reply to drafting an order per supplier and location for what the plans say to order.

    What a planner decided in place of a plan counts. What a warehouse of the company supplies is no purchase: such
    lines are counted, and asked for by a transfer. Where an order of the day was drafted before, it stays, unless it
    was cancelled.

    Args:
        connection: in a write transaction; the caller commits.
        write: key, request, who and when.
        as_of: day of the plans; None for the latest.
        location: only for this one; None for all.

    Raises:
        ConflictError: there are no plans yet.
    """

    def perform() -> dict[str, Any]:
        day = as_of or connection.execute(select(func.max(PlanRow.as_of))).scalar_one_or_none()
        plans = [] if day is None else _planned_orders(connection, day, location=location)
        if not plans:
            raise ConflictError(
                "there is no plan that says to order anything: replenishment has not planned yet. Draft orders by "
                "hand: POST /api/v1/purchase-orders."
            )
        warehouses = set(connection.execute(select(LocationRow.location)).scalars())
        bought = [plan for plan in plans if plan["supplier"] not in warehouses]
        note = f"plan of {day}"
        drafted = select(PurchaseOrderRow.supplier, PurchaseOrderRow.location).where(
            PurchaseOrderRow.note == note, PurchaseOrderRow.state != "cancelled"
        )
        before = {(row.supplier, row.location) for row in connection.execute(drafted)}
        facts = read_product_facts(connection, (plan["sku"] for plan in bought))
        groups: dict[tuple[str, str], list[OrderLine]] = {}
        for plan in bought:
            quantity = facts[plan["sku"]].units.from_scaled(plan["order_quantity"])
            groups.setdefault((plan["supplier"], plan["location"]), []).append(
                OrderLine(sku=plan["sku"], quantity=quantity)
            )
        orders = [
            _insert_order(
                connection,
                OrderDraft(supplier=supplier, location=place, lines=tuple(lines), note=note),
                write,
            )
            for (supplier, place), lines in groups.items()
            if (supplier, place) not in before
        ]
        return {
            "purchase_orders": orders,
            "drafted_before": len(before & groups.keys()),
            "warehouse_lines": len(plans) - len(bought),
        }

    return write_once(connection, write, perform)


def _planned_orders(connection: Connection, day: date, *, location: str | None) -> list[dict[str, Any]]:
    """Return what is to be ordered of a day's plans, with what planners decided in their place."""
    here = [] if location is None else [PlanRow.location == location]
    statement = select(PlanRow.sku, PlanRow.location, PlanRow.supplier, PlanRow.order_quantity)
    plans = connection.execute(
        statement.where(PlanRow.as_of == day, *here).order_by(PlanRow.supplier, PlanRow.location, PlanRow.sku)
    ).mappings()
    decided = {
        (row.sku, row.location): row.order_quantity
        for row in connection.execute(
            select(OverrideRow.sku, OverrideRow.location, OverrideRow.order_quantity)
            .where(OverrideRow.as_of == day, OverrideRow.withdrawn_at_utc.is_(None))
            # The latest of several counts.
            .order_by(OverrideRow.created_at_utc, OverrideRow.override)
        )
    }
    orders = [
        {**plan, "order_quantity": decided.get((plan["sku"], plan["location"]), plan["order_quantity"])}
        for plan in plans
    ]
    return [order for order in orders if order["order_quantity"] > 0]


def change_order(
    connection: Connection, purchase_order: str, draft: OrderDraft, write: Write, *, expected_version: int | None
) -> dict[str, Any]:
    """Return the reply to a draft that is replaced by another.

    Raises:
        NotFoundError: the order, supplier, location or a sku is unknown.
        ConflictError: it has been sent.
        VersionConflictError: it has changed since it was read.
    """

    def perform() -> dict[str, Any]:
        row = _lock(connection, purchase_order, states=("draft",))
        if expected_version is not None and row["version"] != expected_version:
            raise VersionConflictError(
                f"order {purchase_order!r} is at version {row['version']}, expected {expected_version}. Read it again."
            )
        rows = line_rows(connection, draft, purchase_order=purchase_order)
        connection.execute(delete(PurchaseOrderLineRow).where(PurchaseOrderLineRow.purchase_order == purchase_order))
        connection.execute(insert(PurchaseOrderLineRow), rows)
        values = {
            "supplier": draft.supplier,
            "location": draft.location,
            "promised_on": draft.promised_on,
            "note": draft.note,
        }
        return _moved(connection, purchase_order, write, action="change_purchase_order", values=values)

    return write_once(connection, write, perform)


def send_order(
    connection: Connection, purchase_order: str, write: Write, *, promised_on: date | None
) -> dict[str, Any]:
    """Return the reply to an order that goes to its supplier.

    Args:
        connection: in a write transaction; the caller commits.
        purchase_order: which.
        write: key, request, who and when.
        promised_on: when the supplier will deliver; None: as in the draft.

    Raises:
        NotFoundError: there is no such order.
        ConflictError: it was sent already.
        DataError: it is worth less than the supplier accepts.
    """

    def perform() -> dict[str, Any]:
        row = _lock(connection, purchase_order, states=("draft",))
        require_minimum_value(connection, row)
        values = {
            "state": "sent",
            "ordered_on": read_company(connection).day_of(write.now),
            "promised_on": promised_on or row["promised_on"],
        }
        return _moved(connection, purchase_order, write, action="send_purchase_order", values=values)

    return write_once(connection, write, perform)


def receive_order(
    connection: Connection,
    purchase_order: str,
    lines: Sequence[ReceivedLine],
    write: Write,
    *,
    occurred_at: datetime,
    reference: str = "",
) -> dict[str, Any]:
    """Return the reply to a delivery, whole or in part: posted to the ledger and counted on the order's lines.

    More than was ordered is booked as it came: the goods are there.

    Args:
        connection: in a write transaction; the caller commits.
        purchase_order: which.
        lines: what came.
        write: key, request, who and when.
        occurred_at: when it came, UTC.
        reference: delivery note.

    Raises:
        NotFoundError: there is no such order or line.
        ConflictError: it is not on its way.
        DataError: a line is not valid.
    """

    def perform() -> dict[str, Any]:
        row = _lock(connection, purchase_order, states=(*_OPEN, "received"))
        require_past(occurred_at, now=write.now)
        ordered = read_lines(connection, purchase_order)
        unknown = [line.line for line in lines if line.line not in ordered]
        if unknown:
            raise NotFoundError(f"order {purchase_order!r} has no line {unknown[0]}, expected {sorted(ordered)}.")
        company = read_company(connection)
        drafts = [
            DraftLine(
                sku=ordered[line.line]["sku"],
                quantity=line.quantity,
                unit=line.unit,
                lot=line.lot,
                expires_on=line.expires_on,
                unit_cost=company.from_minor(ordered[line.line]["unit_cost"]),
            )
            for line in lines
        ]
        entries = build_entries(
            connection, drafts, location=row["location"], kind=Kind.RECEIPT, occurred_at=occurred_at
        )
        movement = receive(
            entries, location=row["location"], occurred_at=occurred_at, reference=reference or purchase_order
        )
        posted = post_part(connection, movement, write)
        identifier = str(posted.reply["movement"])
        note_receipts(connection, purchase_order, lines, movement, identifier, received_on=company.day_of(occurred_at))
        state = _lock(connection, purchase_order, states=(*_OPEN, "received"))["state"]
        _publish(connection, purchase_order, write, state=state)
        watch_receipts(connection, purchase_order, now=write.now)
        return {
            "purchase_order": purchase_order,
            "state": state,
            "movement": identifier,
            "lines": describe_changes(connection, movement, posted.balances),
        }

    return write_once(connection, write, perform)


def close_order(connection: Connection, purchase_order: str, write: Write, *, reason: str) -> dict[str, Any]:
    """Return the reply to an order of which nothing more is expected, though less came than was ordered.

    Raises:
        NotFoundError: there is no such order.
        ConflictError: it is not on its way.
    """

    def perform() -> dict[str, Any]:
        _lock(connection, purchase_order, states=(*_OPEN, "received"))
        reply = _moved(
            connection, purchase_order, write, action="close_purchase_order", values={"state": "closed"}, reason=reason
        )
        watch_receipts(connection, purchase_order, now=write.now)
        return reply

    return write_once(connection, write, perform)


def cancel_order(connection: Connection, purchase_order: str, write: Write, *, reason: str) -> dict[str, Any]:
    """Return the reply to an order that is taken back before anything came.

    Raises:
        NotFoundError: there is no such order.
        ConflictError: something has come, or it has ended.
    """

    def perform() -> dict[str, Any]:
        _lock(connection, purchase_order, states=("draft", "sent"))
        return _moved(
            connection,
            purchase_order,
            write,
            action="cancel_purchase_order",
            values={"state": "cancelled"},
            reason=reason,
        )

    return write_once(connection, write, perform)


def _insert_order(connection: Connection, draft: OrderDraft, write: Write) -> dict[str, Any]:
    purchase_order = f"PO-{new_identifier(write.now)}"
    rows = line_rows(connection, draft, purchase_order=purchase_order)
    connection.execute(
        insert(PurchaseOrderRow),
        {
            "purchase_order": purchase_order,
            "supplier": draft.supplier,
            "location": draft.location,
            "state": "draft",
            "ordered_on": None,
            "promised_on": draft.promised_on,
            "note": draft.note,
            "created_at_utc": write.now,
            "created_by": write.actor,
            "version": 1,
        },
    )
    connection.execute(insert(PurchaseOrderLineRow), rows)
    append_audit(
        connection,
        actor=write.actor,
        action="draft_purchase_order",
        subject=purchase_order,
        now=write.now,
        details={"supplier": draft.supplier, "location": draft.location, "lines": len(rows)},
    )
    _publish(connection, purchase_order, write, state="draft")
    return {"purchase_order": purchase_order, "state": "draft", "version": 1}


def _moved(
    connection: Connection,
    purchase_order: str,
    write: Write,
    *,
    action: str,
    values: dict[str, Any],
    reason: str = "",
) -> dict[str, Any]:
    """Change an order and return the reply."""
    connection.execute(
        update(PurchaseOrderRow)
        .where(PurchaseOrderRow.purchase_order == purchase_order)
        .values(**values, version=PurchaseOrderRow.version + 1)
    )
    row = connection.execute(
        select(PurchaseOrderRow.state, PurchaseOrderRow.version).where(
            PurchaseOrderRow.purchase_order == purchase_order
        )
    ).one()
    append_audit(
        connection,
        actor=write.actor,
        action=action,
        subject=purchase_order,
        now=write.now,
        details={"state": row.state, "reason": reason},
    )
    _publish(connection, purchase_order, write, state=row.state)
    return {"purchase_order": purchase_order, "state": row.state, "version": row.version}


def _publish(connection: Connection, purchase_order: str, write: Write, *, state: str) -> None:
    append_event(connection, topic=TOPIC, payload={"purchase_order": purchase_order, "state": state}, now=write.now)


def _lock(connection: Connection, purchase_order: str, *, states: tuple[str, ...]) -> dict[str, Any]:
    row = (
        connection.execute(
            select(PurchaseOrderRow.__table__)
            .where(PurchaseOrderRow.purchase_order == purchase_order)
            .with_for_update()
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFoundError(f"there is no purchase order {purchase_order!r}.")
    if row["state"] not in states:
        raise ConflictError(f"purchase order {purchase_order!r} is {row['state']}, expected {' or '.join(states)}.")
    return dict(row)
