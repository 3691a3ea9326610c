"""Writers of purchase orders, customers and their orders: kept as the file tells them, and audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from restock.adapters.database.base import Base
from restock.adapters.database.catalogue_tables import SupplierRow
from restock.adapters.database.journal import append_audit, append_event
from restock.adapters.database.order_tables import (
    CustomerOrderLineRow,
    CustomerOrderRow,
    CustomerRow,
    PurchaseOrderLineRow,
    PurchaseOrderRow,
)
from restock.errors import DataError, NotFoundError
from restock.operations.exchange.records import Fate, Judged, TypedRecord, Values
from restock.operations.exchange.writing import Lookup, Writing, judge_each, look_up
from restock.operations.stock.purchase_orders import TOPIC as PURCHASE_ORDERS_TOPIC

CUSTOMERS_TOPIC, CUSTOMER_ORDERS_TOPIC = "crm.customers", "crm.customer_orders"
_ORDER_STATES = ("draft", "sent", "partly_received", "received", "closed", "cancelled")
_CUSTOMER_STATES = ("open", "partly_delivered", "delivered", "cancelled")


def write_purchase_orders(connection: Connection, records: Sequence[TypedRecord], writing: Writing) -> list[Judged]:
    """Write orders that are not there yet; one that is there must say the same."""
    lookup = look_up(connection, records)

    def write(record: TypedRecord) -> Fate:
        first = record.first
        name = first["purchase_order"]
        _require_known(connection, SupplierRow, "supplier", first["supplier"])
        lines = _lines(record, lookup, money="unit_cost", done="quantity_received")
        order = _shared(record, ("supplier", "location", "ordered_on", "promised_on", "note"))
        order = {
            "supplier": order["supplier"],
            "location": lookup.require_location(order["location"]),
            "state": _order_state(record, lines),
            "ordered_on": order["ordered_on"],
            "promised_on": order["promised_on"],
            "note": order["note"] or "",
        }
        known = _read_document(connection, PurchaseOrderRow, PurchaseOrderLineRow, "purchase_order", name)
        if known is not None:
            if known == (order, lines):
                return Fate.UNCHANGED
            difference = _first_difference(known, order, lines)
            raise DataError(
                f"purchase order {name!r} is there already and says something else ({difference}). "
                "Change it here, or give the other one another number."
            )
        entered = {"entered_unit": "", "entered_quantity": ""}
        row = {**order, "created_at_utc": writing.now, "created_by": writing.actor, "version": 1}
        connection.execute(insert(PurchaseOrderRow), {"purchase_order": name, **row})
        connection.execute(
            insert(PurchaseOrderLineRow),
            [{"purchase_order": name, **entered, **line} for line in lines],
        )
        _tell(connection, writing, noun="purchase_order", topic=PURCHASE_ORDERS_TOPIC, name=name, state=order["state"])
        return Fate.WRITTEN

    return judge_each(connection, records, write)


def write_customers(connection: Connection, records: Sequence[TypedRecord], writing: Writing) -> list[Judged]:
    """Create and change customers."""

    def write(record: TypedRecord) -> Fate:
        row = record.first
        table = CustomerRow.__table__
        found = connection.execute(select(table).where(table.c.customer == row["customer"])).mappings().one_or_none()
        known = {"region": "", "is_active": True} if found is None else dict(found)
        content = {**known, **row}
        if found is not None:
            if content == known:
                return Fate.UNCHANGED
            values = {name: content[name] for name in ("name", "region", "is_active")}
            connection.execute(
                update(CustomerRow)
                .where(CustomerRow.customer == row["customer"])
                .values(**values, version=CustomerRow.version + 1)
            )
        else:
            connection.execute(insert(CustomerRow), {**content, "version": 1})
        _tell(connection, writing, noun="customer", topic=CUSTOMERS_TOPIC, name=row["customer"])
        return Fate.WRITTEN

    return judge_each(connection, records, write)


def write_customer_orders(connection: Connection, records: Sequence[TypedRecord], writing: Writing) -> list[Judged]:
    """Create customers' orders, and bring those that are there to what the file says."""
    lookup = look_up(connection, records)

    def write(record: TypedRecord) -> Fate:
        name = record.first["customer_order"]
        order = _shared(record, ("customer", "location", "ordered_on", "requested_on"))
        _require_known(connection, CustomerRow, "customer", order["customer"])
        lookup.require_location(order["location"])
        lines = _lines(record, lookup, money="unit_price", done="quantity_delivered")
        order["state"] = _customer_state(record, lines)
        known = _read_document(connection, CustomerOrderRow, CustomerOrderLineRow, "customer_order", name)
        if known == (order, lines):
            return Fate.UNCHANGED
        if known is None:
            connection.execute(insert(CustomerOrderRow), {"customer_order": name, **order, "version": 1})
        else:
            connection.execute(delete(CustomerOrderLineRow).where(CustomerOrderLineRow.customer_order == name))
            connection.execute(
                update(CustomerOrderRow)
                .where(CustomerOrderRow.customer_order == name)
                .values(**order, version=CustomerOrderRow.version + 1)
            )
        connection.execute(insert(CustomerOrderLineRow), [{"customer_order": name, **line} for line in lines])
        _tell(connection, writing, noun="customer_order", topic=CUSTOMER_ORDERS_TOPIC, name=name, state=order["state"])
        return Fate.WRITTEN

    return judge_each(connection, records, write)


def _shared(record: TypedRecord, names: Sequence[str]) -> dict[str, Any]:
    """Return what all rows of a document say alike; a later row may leave it out.

    Raises:
        DataError: they differ.
    """
    shared: dict[str, Any] = {}
    for name in names:
        values = list(dict.fromkeys(row[name] for row in record.rows if row.get(name) is not None))
        if len(values) > 1 and name == "promised_on":
            # An order has one promise: the latest of its lines' keeps it.
            values = [max(values)]
        if len(values) > 1:
            raise DataError(f"{name} differs between the lines: {values[0]} and {values[1]}, expected one of both.")
        shared[name] = values[0] if values else None
    return shared


def _lines(record: TypedRecord, lookup: Lookup, *, money: str, done: str) -> list[dict[str, Any]]:
    """Return the lines of a document in base units and minor units of money, by number."""
    lines: dict[int, dict[str, Any]] = {}
    for position, row in enumerate(record.rows, start=1):
        number = row.get("line", position)
        units = lookup.product(row["sku"]).units
        unit = row.get("unit", units.base_unit)
        ordered = units.to_scaled(row["quantity_ordered"], unit)
        come = units.to_scaled(row[done], unit) if done in row else 0
        if number < 1 or number in lines:
            raise DataError(f"line {number} is there twice or below 1, expected each number from 1 once.")
        if ordered <= 0 or come < 0:
            raise DataError(
                f"line {number} orders {row['quantity_ordered']}, expected more than 0, and no {done} below 0."
            )
        amount = lookup.company.to_minor(row.get(money))
        if amount is None or amount < 0:
            raise DataError(f"line {number} has {money} {row.get(money, '(none)')}, expected 0 or more.")
        lines[number] = {"line": number, "sku": row["sku"], "quantity_ordered": ordered, done: come, money: amount}
    return [lines[number] for number in sorted(lines)]


def _order_state(record: TypedRecord, lines: Sequence[Mapping[str, Any]]) -> str:
    """Return an order's state; where it is left out or still open, what has come says it."""
    state = record.first.get("state")
    if state is not None and state not in _ORDER_STATES:
        raise DataError(f"state is {state!r}, expected one of {', '.join(_ORDER_STATES)}.")
    if state in ("draft", "closed", "cancelled"):
        return str(state)
    if state is None and "ordered_on" not in record.first:
        return "draft"
    if all(line["quantity_received"] >= line["quantity_ordered"] for line in lines):
        return "received"
    if state == "received":
        # What other systems call done although not all came.
        return "closed"
    return "partly_received" if any(line["quantity_received"] for line in lines) else "sent"


def _customer_state(record: TypedRecord, lines: Sequence[Mapping[str, Any]]) -> str:
    state = record.first.get("state")
    if state is not None:
        if state not in _CUSTOMER_STATES:
            raise DataError(f"state is {state!r}, expected one of {', '.join(_CUSTOMER_STATES)}.")
        return str(state)
    if all(line["quantity_delivered"] >= line["quantity_ordered"] for line in lines):
        return "delivered"
    return "partly_delivered" if any(line["quantity_delivered"] for line in lines) else "open"


def _require_known(connection: Connection, row: type[Base], key: str, value: str) -> None:
    column = row.__table__.c[key]
    if connection.execute(select(column).where(column == value)).scalar_one_or_none() is None:
        raise NotFoundError(f"{key} {value!r} is unknown. Import the {key}s first.")


def _read_document(
    connection: Connection, head: type[Base], line: type[Base], key: str, name: str
) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """Return what a file could have said of a document that is there: its head and its lines."""
    table, lines = head.__table__, line.__table__
    found = connection.execute(select(table).where(table.c[key] == name).with_for_update()).mappings().one_or_none()
    if found is None:
        return None
    left_out = {key, "version", "created_at_utc", "created_by", "entered_quantity", "entered_unit"}
    rows = connection.execute(select(lines).where(lines.c[key] == name).order_by(lines.c.line)).mappings()
    return (
        {column: value for column, value in found.items() if column not in left_out},
        [{column: value for column, value in row.items() if column not in left_out} for row in rows],
    )


def _first_difference(
    known: tuple[dict[str, Any], list[dict[str, Any]]], order: Values, lines: Sequence[Values]
) -> str:
    for name, value in order.items():
        if known[0][name] != value:
            return f"{name}: {known[0][name]} here, {value} in the file"
    if len(known[1]) != len(lines):
        return f"{len(known[1])} lines here, {len(lines)} in the file"
    for before, after in zip(known[1], lines, strict=True):
        for name, value in after.items():
            if before[name] != value:
                return f"line {before['line']}, {name}: {before[name]} here, {value} in the file"
    return "nothing"


def _tell(connection: Connection, writing: Writing, *, noun: str, topic: str, name: str, **also: str) -> None:
    details = {"import": writing.import_id, **also}
    append_audit(
        connection, actor=writing.actor, action=f"import_{noun}", subject=name, now=writing.now, details=details
    )
    append_event(connection, topic=topic, payload={noun: name, **also}, now=writing.now)
