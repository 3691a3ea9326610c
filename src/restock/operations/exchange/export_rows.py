"""What is exported: the rows of each kind as typed values by our columns, read in a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.sql.elements import ColumnElement

from restock.adapters.database.catalogue_tables import (
    CostRow,
    LocationRow,
    LotRow,
    PriceRow,
    ProductRow,
    SupplierRow,
    SupplyTermRow,
)
from restock.adapters.database.ledger_tables import AuditRow, BalanceRow, MovementLineRow, MovementRow, OutboxRow
from restock.adapters.database.order_tables import (
    CustomerOrderLineRow,
    CustomerOrderRow,
    PurchaseOrderLineRow,
    PurchaseOrderRow,
)
from restock.adapters.database.planning_tables import AlertRow, PlanRow
from restock.errors import DataError
from restock.operations.catalogue.prices import read_prices
from restock.operations.catalogue.products import read_products
from restock.operations.exchange.export_documents import (
    AT_A_TIME,
    ExportRow,
    as_units,
    as_values,
    read_alerts,
    read_audit,
    read_customer_orders,
    read_customers,
    read_plans,
    read_purchase_orders,
    stream_rows,
)
from restock.operations.exchange.kinds import ExchangeKind
from restock.operations.stock.company import Company, read_company


@dataclass(frozen=True, kw_only=True)
class ExportFilter:
    """Which rows; None where it does not matter.

    Attributes:
        sku: of this product.
        location: at this location.
        supplier: of this supplier.
        state: in this state.
        since: from this instant on, UTC.
        until: before this instant, UTC.
    """

    sku: str | None = None
    location: str | None = None
    supplier: str | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Where the rows of a kind come from.

    Attributes:
        read: yields the rows.
        filters: columns that a filter compares, by its name; `since` and `until` compare the same one.
    """

    read: Callable[[Connection, Sequence[ColumnElement[bool]], Company, datetime], Iterator[ExportRow]]
    filters: Mapping[str, Any]


def read_rows(
    connection: Connection, kind: ExchangeKind, *, chosen: ExportFilter, now: datetime
) -> Iterator[ExportRow]:
    """Yield the rows of a kind in a fixed order, value by column.

    Args:
        connection: in a read transaction that lasts until the last row.
        kind: what.
        chosen: which.
        now: the time that costs and prices are of, UTC.

    Raises:
        DataError: the kind has nothing that a filter could compare.
    """
    source = _SOURCES[kind]
    return source.read(connection, filter_conditions(kind, chosen), read_company(connection), now)


def filter_conditions(kind: ExchangeKind, chosen: ExportFilter) -> list[ColumnElement[bool]]:
    """Return the conditions that a filter stands for.

    Raises:
        DataError: the kind has nothing that a filter could compare.
    """
    columns = _SOURCES[kind].filters
    conditions: list[ColumnElement[bool]] = []
    for field in fields(chosen):
        value = getattr(chosen, field.name)
        name = "time" if field.name in ("since", "until") else field.name
        if value is None:
            continue
        if name not in columns:
            known = ", ".join(each for each in columns if each != "time") or "nothing"
            raise DataError(f"{kind} can't be chosen by {field.name}; they can by {known}. Leave it out.")
        column = columns[name]
        if field.name == "since":
            conditions.append(column >= value)
        elif field.name == "until":
            conditions.append(column < value)
        else:
            conditions.append(column == value)
    return conditions


def _products(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], company: Company, now: datetime
) -> Iterator[ExportRow]:
    skus = iter(connection.execute(select(ProductRow.sku).where(*conditions).order_by(ProductRow.sku)).scalars().all())
    today = company.day_of(now)
    while chunk := list(islice(skus, AT_A_TIME)):
        products, prices = read_products(connection, chunk), read_prices(connection, chunk, on=today)
        for sku in chunk:
            product = products[sku]
            plain = ("sku", "name", "category_path", "base_unit", "quantity_decimals", "is_lot_tracked", "is_active")
            yield {
                **{name: getattr(product, name) for name in plain},
                "shelf_life_days": product.shelf_life_days,
                "barcodes": [f"{each.gtin}:{each.unit}" if _is_other(each.unit, product.base_unit) else each.gtin
                             for each in product.barcodes],
                "units": [f"{each.unit}={each.factor:f}" for each in product.units],
                "unit_cost": prices[sku].unit_cost,
                "unit_price": prices[sku].unit_price,
            }  # fmt: skip


def _is_other(unit: str, base_unit: str) -> bool:
    return unit not in ("", base_unit)


def _locations(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], _: Company, __: datetime
) -> Iterator[ExportRow]:
    for row in stream_rows(connection, select(LocationRow.__table__).where(*conditions).order_by(LocationRow.location)):
        values = as_values(row)
        yield {**values, "capacity": None if row.capacity is None else Decimal(f"{row.capacity.normalize():f}")}


def _suppliers(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], company: Company, _: datetime
) -> Iterator[ExportRow]:
    for row in stream_rows(connection, select(SupplierRow.__table__).where(*conditions).order_by(SupplierRow.supplier)):
        yield {**as_values(row), "minimum_order_value": company.from_minor(row.minimum_order_value)}


def _supply_terms(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], company: Company, _: datetime
) -> Iterator[ExportRow]:
    table = SupplyTermRow
    statement = (
        select(table.__table__, ProductRow.quantity_decimals)
        .join(ProductRow, ProductRow.sku == table.sku)
        .where(*conditions)
        .order_by(table.sku, table.location, table.supplier)
    )
    for row in stream_rows(connection, statement):
        yield {
            **as_values(row),
            "unit_cost": company.from_minor(row.unit_cost),
            "fixed_order_cost": company.from_minor(row.fixed_order_cost),
            "minimum_order_quantity": as_units(row.minimum_order_quantity, row.quantity_decimals),
            "order_multiple": as_units(row.order_multiple, row.quantity_decimals),
        }


def _prices(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], company: Company, _: datetime
) -> Iterator[ExportRow]:
    both = select(CostRow.sku, CostRow.valid_from).union(select(PriceRow.sku, PriceRow.valid_from)).subquery()
    statement = (
        select(both.c.sku, both.c.valid_from, CostRow.unit_cost, PriceRow.unit_price)
        .join(ProductRow, ProductRow.sku == both.c.sku)
        .outerjoin(CostRow, (CostRow.sku == both.c.sku) & (CostRow.valid_from == both.c.valid_from))
        .outerjoin(PriceRow, (PriceRow.sku == both.c.sku) & (PriceRow.valid_from == both.c.valid_from))
        .where(*conditions)
        .order_by(both.c.sku, both.c.valid_from)
    )
    for row in stream_rows(connection, statement):
        yield {
            "sku": row.sku,
            "valid_from": row.valid_from,
            "unit_cost": company.from_minor(row.unit_cost),
            "unit_price": company.from_minor(row.unit_price),
        }


def _stock(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], _: Company, __: datetime
) -> Iterator[ExportRow]:
    statement = (
        select(
            BalanceRow.sku,
            BalanceRow.location,
            BalanceRow.lot,
            BalanceRow.quantity,
            LotRow.expires_on,
            ProductRow.name,
            ProductRow.base_unit,
            ProductRow.quantity_decimals,
        )
        .join(ProductRow, ProductRow.sku == BalanceRow.sku)
        .join(LocationRow, LocationRow.location == BalanceRow.location)
        .outerjoin(LotRow, (LotRow.sku == BalanceRow.sku) & (LotRow.lot == BalanceRow.lot))
        .where(BalanceRow.quantity != 0, *conditions)
        .order_by(BalanceRow.sku, BalanceRow.location, BalanceRow.lot)
    )
    for row in stream_rows(connection, statement):
        yield {
            "sku": row.sku,
            "location": row.location,
            "lot": row.lot or None,
            "expires_on": row.expires_on,
            "on_hand": as_units(row.quantity, row.quantity_decimals),
            "unit": row.base_unit,
            "name": row.name,
        }


def _movements(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], company: Company, _: datetime
) -> Iterator[ExportRow]:
    """Yield lines in the order in which they were posted, so that no import finds a sale before its receipt."""
    line = MovementLineRow
    statement = (
        select(
            MovementRow.__table__,
            *(each for each in line.__table__.c if each.key != "movement"),
            LotRow.expires_on,
            ProductRow.base_unit,
            ProductRow.quantity_decimals,
        )
        .join(line, line.movement == MovementRow.movement)
        .join(ProductRow, ProductRow.sku == line.sku)
        .outerjoin(LotRow, (LotRow.sku == line.sku) & (LotRow.lot == line.lot))
        .outerjoin(OutboxRow, OutboxRow.event == MovementRow.movement)
        .where(*conditions)
        .order_by(func.coalesce(OutboxRow.position, 0), MovementRow.posted_at_utc, MovementRow.movement, line.line)
    )
    for row in stream_rows(connection, statement):
        values = as_values(row)
        yield {
            **{name: value if value != "" else None for name, value in values.items()},
            "quantity": as_units(row.quantity, row.quantity_decimals),
            "unit": row.base_unit,
            "unit_cost": company.from_minor(row.unit_cost),
            "unit_price": company.from_minor(row.unit_price),
        }


_SOURCES: dict[ExchangeKind, _Source] = {
    ExchangeKind.PRODUCTS: _Source(read=_products, filters={"sku": ProductRow.sku, "time": ProductRow.changed_at_utc}),
    ExchangeKind.LOCATIONS: _Source(read=_locations, filters={"location": LocationRow.location}),
    ExchangeKind.SUPPLIERS: _Source(read=_suppliers, filters={"supplier": SupplierRow.supplier}),
    ExchangeKind.SUPPLY_TERMS: _Source(
        read=_supply_terms,
        filters={"sku": SupplyTermRow.sku, "location": SupplyTermRow.location, "supplier": SupplyTermRow.supplier},
    ),
    ExchangeKind.PRICES: _Source(read=_prices, filters={"sku": ProductRow.sku}),
    ExchangeKind.STOCK: _Source(read=_stock, filters={"sku": BalanceRow.sku, "location": BalanceRow.location}),
    ExchangeKind.MOVEMENTS: _Source(
        read=_movements,
        filters={
            "sku": MovementLineRow.sku,
            "location": MovementLineRow.location,
            "time": MovementRow.occurred_at_utc,
        },
    ),
    ExchangeKind.PURCHASE_ORDERS: _Source(
        read=read_purchase_orders,
        filters={
            "sku": PurchaseOrderLineRow.sku,
            "location": PurchaseOrderRow.location,
            "supplier": PurchaseOrderRow.supplier,
            "state": PurchaseOrderRow.state,
            "time": PurchaseOrderRow.created_at_utc,
        },
    ),
    ExchangeKind.CUSTOMERS: _Source(read=read_customers, filters={}),
    ExchangeKind.CUSTOMER_ORDERS: _Source(
        read=read_customer_orders,
        filters={
            "sku": CustomerOrderLineRow.sku,
            "location": CustomerOrderRow.location,
            "state": CustomerOrderRow.state,
        },
    ),
    ExchangeKind.ALERTS: _Source(
        read=read_alerts,
        filters={
            "sku": AlertRow.sku,
            "location": AlertRow.location,
            "state": AlertRow.state,
            "time": AlertRow.created_at_utc,
        },
    ),
    ExchangeKind.PLANS: _Source(
        read=read_plans, filters={"sku": PlanRow.sku, "location": PlanRow.location, "supplier": PlanRow.supplier}
    ),
    ExchangeKind.AUDIT: _Source(read=read_audit, filters={"time": AuditRow.at_utc}),
}
