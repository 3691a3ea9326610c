"""The lines of purchase orders: what is ordered, at which cost, and what of it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, insert, select

from restock.adapters.database.catalogue_tables import SupplierRow, SupplyTermRow
from restock.adapters.database.order_tables import PurchaseOrderLineRow, PurchaseReceiptRow
from restock.adapters.database.product_facts import read_product_facts
from restock.errors import DataError, NotFoundError
from restock.ledger.movements import Movement
from restock.operations.stock.company import read_company
from restock.operations.stock.places import require_location
from restock.operations.stock.progress import add_received


@dataclass(frozen=True, kw_only=True)
class OrderLine:
    """What is ordered.

    Attributes:
        sku: the product.
        quantity: in `unit`, above 0.
        unit: unit of measure; None for the base unit.
        unit_cost: cost of one base unit, major units of money; None: as in the supply terms.
    """

    sku: str
    quantity: Decimal
    unit: str | None = None
    unit_cost: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class OrderDraft:
    """A purchase order as entered.

    Attributes:
        supplier: who delivers.
        location: where to.
        lines: what.
        promised_on: when the supplier will deliver; None where it is not known.
        note: what else is to be known.
    """

    supplier: str
    location: str
    lines: tuple[OrderLine, ...]
    promised_on: date | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ReceivedLine:
    """What came of a line of an order.

    Attributes:
        line: number of the order's line.
        quantity: in `unit`, above 0.
        unit: unit of measure; None for the base unit.
        lot: its lot, where lots are kept.
        expires_on: last day that the lot may be sold.
    """

    line: int
    quantity: Decimal
    unit: str | None = None
    lot: str | None = None
    expires_on: date | None = None


def line_rows(connection: Connection, draft: OrderDraft, *, purchase_order: str) -> list[dict[str, Any]]:
    """Return the rows of an order's lines, once supplier, location and products are known.

    Raises:
        NotFoundError: the supplier, the location or a sku is unknown.
        DataError: a line has neither a cost nor supply terms.
    """
    _require_known(connection, draft)
    facts = read_product_facts(connection, (line.sku for line in draft.lines))
    company = read_company(connection)
    terms = {
        row.sku: int(row.unit_cost)
        for row in connection.execute(
            select(SupplyTermRow.sku, SupplyTermRow.unit_cost).where(
                SupplyTermRow.supplier == draft.supplier,
                SupplyTermRow.location == draft.location,
                SupplyTermRow.sku.in_(sorted(facts)),
            )
        )
    }
    rows = []
    for number, line in enumerate(draft.lines, start=1):
        units = facts[line.sku].units
        cost = terms.get(line.sku) if line.unit_cost is None else company.to_minor(line.unit_cost)
        if cost is None:
            raise DataError(
                f"line {number}: {draft.supplier} has no supply terms for {line.sku} at {draft.location}, so its cost "
                "is not known. Give unit_cost, or add the terms."
            )
        rows.append(
            {
                "purchase_order": purchase_order,
                "line": number,
                "sku": line.sku,
                "quantity_ordered": units.to_scaled(line.quantity, line.unit or units.base_unit),
                "quantity_received": 0,
                "unit_cost": cost,
                "entered_quantity": f"{line.quantity:f}",
                "entered_unit": line.unit or units.base_unit,
            }
        )
    return rows


def _require_known(connection: Connection, draft: OrderDraft) -> None:
    require_location(connection, draft.location)
    known = connection.execute(
        select(SupplierRow.supplier).where(SupplierRow.supplier == draft.supplier)
    ).scalar_one_or_none()
    if known is None:
        raise NotFoundError(f"supplier {draft.supplier!r} is unknown. Add it to the catalogue first.")


def require_minimum_value(connection: Connection, order: dict[str, Any]) -> None:
    """Refuse an order that is worth less than its supplier accepts.

    Raises:
        DataError: it is.
    """
    company = read_company(connection)
    lines = read_lines(connection, order["purchase_order"]).values()
    facts = read_product_facts(connection, (line["sku"] for line in lines))
    value = sum(
        facts[line["sku"]].units.from_scaled(line["quantity_ordered"]) * (company.from_minor(line["unit_cost"]) or 0)
        for line in lines
    )
    minimum = company.from_minor(
        connection.execute(
            select(SupplierRow.minimum_order_value).where(SupplierRow.supplier == order["supplier"])
        ).scalar_one()
    )
    if minimum is not None and value < minimum:
        raise DataError(
            f"order {order['purchase_order']!r} is worth {value:.2f} {company.currency}, {order['supplier']} accepts "
            f"{minimum} or more. Add lines, or lower minimum_order_value of the supplier."
        )


def note_receipts(
    connection: Connection,
    purchase_order: str,
    lines: Sequence[ReceivedLine],
    movement: Movement,
    identifier: str,
    *,
    received_on: date,
) -> None:
    """Keep which line of the movement brought what of which line of the order."""
    # A receipt has two lines for each that came: out of the supplier's, into the location's, in this order.
    arrivals = [(number, line) for number, line in enumerate(movement.lines, start=1) if line.quantity > 0]
    rows: list[dict[str, Any]] = [
        {
            "movement": identifier,
            "movement_line": number,
            "purchase_order": purchase_order,
            "line": received.line,
            "quantity": line.quantity,
            "received_on": received_on,
        }
        for received, (number, line) in zip(lines, arrivals, strict=True)
    ]
    connection.execute(insert(PurchaseReceiptRow), rows)
    for row in rows:
        add_received(connection, purchase_order, row["line"], quantity=row["quantity"])


def read_lines(connection: Connection, purchase_order: str) -> dict[int, dict[str, Any]]:
    """Return the lines of an order by number."""
    rows = connection.execute(
        select(PurchaseOrderLineRow.__table__)
        .where(PurchaseOrderLineRow.purchase_order == purchase_order)
        .order_by(PurchaseOrderLineRow.line)
    ).mappings()
    return {int(row["line"]): dict(row) for row in rows}
