"""What is exported of documents: orders, alerts, plans and the audit log, and what reading any kind shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.sql.elements import ColumnElement

from restock.adapters.database.catalogue_tables import ProductRow
from restock.adapters.database.ledger_tables import AuditRow
from restock.adapters.database.order_tables import (
    CustomerOrderLineRow,
    CustomerOrderRow,
    CustomerRow,
    PurchaseOrderLineRow,
    PurchaseOrderRow,
)
from restock.adapters.database.planning_tables import AlertRow, PlanRow
from restock.operations.stock.company import Company

AT_A_TIME = 1_000
ExportRow = Mapping[str, Any]


def stream_rows(connection: Connection, statement: Any) -> Iterator[Row[Any]]:
    """Yield the rows of a statement, some at a time."""
    yield from connection.execute(statement, execution_options={"yield_per": AT_A_TIME})


def as_units(quantity: int, decimals: int) -> Decimal:
    """Return scaled base units as a number of base units."""
    return Decimal(quantity).scaleb(-decimals)


def as_values(row: Row[Any]) -> dict[str, Any]:
    """Return a row by the names of its columns."""
    return row._asdict()


def read_purchase_orders(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], company: Company, _: datetime
) -> Iterator[ExportRow]:
    """Yield the lines of purchase orders, by order and number."""
    line = PurchaseOrderLineRow
    statement = (
        select(
            PurchaseOrderRow.__table__,
            *(each for each in line.__table__.c if each.key != "purchase_order"),
            ProductRow.base_unit,
            ProductRow.quantity_decimals,
        )
        .join(line, line.purchase_order == PurchaseOrderRow.purchase_order)
        .join(ProductRow, ProductRow.sku == line.sku)
        .where(*conditions)
        .order_by(PurchaseOrderRow.purchase_order, line.line)
    )
    for row in stream_rows(connection, statement):
        yield {
            **as_values(row),
            "note": row.note or None,
            "quantity_ordered": as_units(row.quantity_ordered, row.quantity_decimals),
            "quantity_received": as_units(row.quantity_received, row.quantity_decimals),
            "unit": row.base_unit,
            "unit_cost": company.from_minor(row.unit_cost),
        }


def read_customers(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], _: Company, __: datetime
) -> Iterator[ExportRow]:
    """Yield customers."""
    for row in stream_rows(connection, select(CustomerRow.__table__).where(*conditions).order_by(CustomerRow.customer)):
        yield as_values(row)


def read_customer_orders(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], company: Company, _: datetime
) -> Iterator[ExportRow]:
    """Yield the lines of customers' orders, by order and number."""
    line = CustomerOrderLineRow
    statement = (
        select(
            CustomerOrderRow.__table__,
            *(each for each in line.__table__.c if each.key != "customer_order"),
            ProductRow.base_unit,
            ProductRow.quantity_decimals,
        )
        .join(line, line.customer_order == CustomerOrderRow.customer_order)
        .join(ProductRow, ProductRow.sku == line.sku)
        .where(*conditions)
        .order_by(CustomerOrderRow.customer_order, line.line)
    )
    for row in stream_rows(connection, statement):
        yield {
            **as_values(row),
            "quantity_ordered": as_units(row.quantity_ordered, row.quantity_decimals),
            "quantity_delivered": as_units(row.quantity_delivered, row.quantity_decimals),
            "unit": row.base_unit,
            "unit_price": company.from_minor(row.unit_price),
        }


def read_alerts(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], _: Company, __: datetime
) -> Iterator[ExportRow]:
    """Yield alerts, the oldest first."""
    statement = select(AlertRow.__table__).where(*conditions).order_by(AlertRow.created_at_utc, AlertRow.alert)
    for row in stream_rows(connection, statement):
        yield as_values(row)


def read_plans(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], company: Company, _: datetime
) -> Iterator[ExportRow]:
    """Yield plans by day."""
    statement = (
        select(PlanRow.__table__, ProductRow.quantity_decimals)
        .join(ProductRow, ProductRow.sku == PlanRow.sku)
        .where(*conditions)
        .order_by(PlanRow.as_of, PlanRow.sku, PlanRow.location)
    )
    for row in stream_rows(connection, statement):
        quantities = ("reorder_point", "order_up_to_level", "order_quantity")
        chance, safety_stock = row.stockout_probability, row.safety_stock
        yield {
            **as_values(row),
            **{name: as_units(getattr(row, name), row.quantity_decimals) for name in quantities},
            "safety_stock": None if safety_stock is None else as_units(safety_stock, row.quantity_decimals),
            "expected_cost": company.from_minor(row.expected_cost),
            "unordered_cost": company.from_minor(row.unordered_cost),
            "expected_fill_rate": Decimal(f"{row.expected_fill_rate:.6f}"),
            "stockout_probability": None if chance is None else Decimal(f"{chance:.6f}"),
        }


def read_audit(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], _: Company, __: datetime
) -> Iterator[ExportRow]:
    """Yield the audit log in its order."""
    for row in stream_rows(connection, select(AuditRow.__table__).where(*conditions).order_by(AuditRow.position)):
        yield as_values(row)
