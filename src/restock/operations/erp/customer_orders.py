"""Orders of customers from an ERP or CRM: demand that is known ahead; taken over, read and listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from restock.adapters.database.erp_store import Link
from restock.adapters.database.journal import append_audit, append_event
from restock.adapters.database.keyset import Page, SortKey, read_page
from restock.adapters.database.order_tables import CustomerOrderLineRow, CustomerOrderRow, CustomerRow
from restock.adapters.database.product_facts import read_product_facts
from restock.adapters.erp.interface import ErpCustomerOrder, ErpKind, OrderState
from restock.errors import DataError
from restock.operations.erp.exchange import Exchange, Fate
from restock.operations.erp.masters import Incoming, Taken
from restock.operations.erp.references import require_ours
from restock.operations.stock.company import read_company

TOPIC = "customer_orders"


@dataclass(frozen=True, kw_only=True)
class CustomerOrderFilter:
    """Which orders; None where it does not matter."""

    customer: str | None = None
    location: str | None = None
    state: str | None = None
    sku: str | None = None


def take_customer_order(
    connection: Connection, exchange: Exchange, record: ErpCustomerOrder, incoming: Incoming, link: Link | None
) -> Taken:
    """Bring our copy of a customer's order to theirs; what has ended before it was ever seen is left where it is.

    Raises:
        RestockError: it can't be ours.
    """
    state = _state(record)
    if link is None and state in ("delivered", "cancelled"):
        return Taken(fate=Fate.UNCHANGED, link=None)
    ours = link.ours if link else _free_code(connection, exchange, record)
    row = _read(connection, ours)
    values = _values(connection, exchange, record, state)
    lines = _lines(connection, exchange, incoming, ours)
    version = 1 if row is None else row["version"] + 1
    if row is None:
        connection.execute(insert(CustomerOrderRow), {"customer_order": ours, **values, "version": version})
    else:
        connection.execute(
            update(CustomerOrderRow).where(CustomerOrderRow.customer_order == ours).values(**values, version=version)
        )
        connection.execute(delete(CustomerOrderLineRow).where(CustomerOrderLineRow.customer_order == ours))
    connection.execute(insert(CustomerOrderLineRow), lines)
    now = exchange.clock()
    append_audit(
        connection,
        actor=exchange.actor,
        action="create_customer_order" if row is None else "change_customer_order",
        subject=ours,
        now=now,
        details={"system": exchange.system, "state": state, "lines": len(lines), "version": version},
    )
    append_event(connection, topic=TOPIC, payload={"customer_order": ours, "state": state}, now=now)
    agreed = Link(
        theirs=incoming.theirs,
        ours=ours,
        digest=incoming.digest,
        their_content=incoming.content,
        our_content={"state": state},
    )
    return Taken(fate=Fate.CREATED if row is None else Fate.CHANGED, link=agreed)


def list_customers(
    connection: Connection, *, is_active: bool | None = None, after: Sequence[Any] | None = None, limit: int = 100
) -> Page:
    """Return a page of customers by code."""
    statement = select(CustomerRow.__table__)
    if is_active is not None:
        statement = statement.where(CustomerRow.is_active == is_active)
    keys = [SortKey(column=CustomerRow.__table__.c.customer)]
    return read_page(connection, statement, keys=keys, after=after, limit=limit)


def list_customer_orders(
    connection: Connection,
    *,
    chosen: CustomerOrderFilter | None = None,
    after: Sequence[Any] | None = None,
    limit: int = 100,
) -> Page:
    """Return a page of customers' orders, the latest first."""
    wanted = chosen or CustomerOrderFilter()
    table = CustomerOrderRow.__table__
    statement = select(table)
    for name in ("customer", "location", "state"):
        value = getattr(wanted, name)
        if value is not None:
            statement = statement.where(table.c[name] == value)
    if wanted.sku is not None:
        orders = select(CustomerOrderLineRow.customer_order).where(CustomerOrderLineRow.sku == wanted.sku)
        statement = statement.where(table.c.customer_order.in_(orders))
    keys = [
        SortKey(column=table.c.ordered_on, is_descending=True),
        SortKey(column=table.c.customer_order, is_descending=True),
    ]
    return read_page(connection, statement, keys=keys, after=after, limit=limit)


def read_customer_order_lines(
    connection: Connection, customer_orders: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of orders: quantities in base units, prices in the company's currency."""
    rows = connection.execute(
        select(CustomerOrderLineRow.__table__)
        .where(CustomerOrderLineRow.customer_order.in_(customer_orders))
        .order_by(CustomerOrderLineRow.customer_order, CustomerOrderLineRow.line)
    ).mappings()
    found = [dict(row) for row in rows]
    facts = read_product_facts(connection, {row["sku"] for row in found})
    company = read_company(connection)
    lines: dict[str, list[dict[str, Any]]] = {order: [] for order in customer_orders}
    for row in found:
        units = facts[row["sku"]].units
        lines[row["customer_order"]].append(
            {
                "line": row["line"],
                "sku": row["sku"],
                "unit": units.base_unit,
                "quantity_ordered": units.from_scaled(row["quantity_ordered"]),
                "quantity_delivered": units.from_scaled(row["quantity_delivered"]),
                "unit_price": company.from_minor(row["unit_price"]),
            }
        )
    return lines


def _state(record: ErpCustomerOrder) -> str:
    has_delivered = any(line.done > 0 for line in record.lines)
    if record.state is OrderState.COMPLETED:
        return "delivered"
    if record.state in (OrderState.CLOSED, OrderState.CANCELLED, OrderState.DRAFT):
        # Closed short: what came is delivered, and nothing more is wanted.
        return "delivered" if has_delivered and record.state is OrderState.CLOSED else "cancelled"
    return "partly_delivered" if has_delivered else "open"


def _free_code(connection: Connection, exchange: Exchange, record: ErpCustomerOrder) -> str:
    return record.code if _read(connection, record.code) is None else f"{exchange.system}-{record.code}"


def _read(connection: Connection, customer_order: str) -> dict[str, Any] | None:
    row = (
        connection.execute(select(CustomerOrderRow.__table__).where(CustomerOrderRow.customer_order == customer_order))
        .mappings()
        .one_or_none()
    )
    return None if row is None else dict(row)


def _values(connection: Connection, exchange: Exchange, record: ErpCustomerOrder, state: str) -> dict[str, Any]:
    system = exchange.system
    requested_on: date | None = record.requested_on
    return {
        "customer": require_ours(connection, system, ErpKind.CUSTOMER, [record.customer])[record.customer],
        "location": require_ours(connection, system, ErpKind.LOCATION, [record.location])[record.location],
        "state": state,
        "ordered_on": record.ordered_on,
        "requested_on": requested_on,
    }


def _lines(connection: Connection, exchange: Exchange, incoming: Incoming, ours: str) -> list[dict[str, Any]]:
    wanted = [line for line in incoming.content["lines"] if Decimal(line["quantity"]) > 0]
    if not wanted:
        raise DataError(f"order {incoming.code} orders no goods.")
    products = require_ours(connection, exchange.system, ErpKind.PRODUCT, [line["product"] for line in wanted])
    facts = read_product_facts(connection, products.values())
    company = read_company(connection)
    rows = []
    for number, line in enumerate(wanted, start=1):
        sku = products[line["product"]]
        units = facts[sku].units
        rows.append(
            {
                "customer_order": ours,
                "line": number,
                "sku": sku,
                "quantity_ordered": units.to_scaled(Decimal(line["quantity"]), units.base_unit),
                "quantity_delivered": units.to_scaled(Decimal(line["done"]), units.base_unit),
                "unit_price": company.to_minor(Decimal(line["unit_amount"])),
            }
        )
    return rows
