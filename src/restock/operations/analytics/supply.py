"""How suppliers, demand and stock did: scorecards, shapes of demand, days without stock, what was lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl
from sqlalchemy import Connection, func, select
from sqlalchemy.orm import aliased

from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.ledger_tables import MovementLineRow, MovementRow
from restock.adapters.database.order_tables import (
    CustomerOrderLineRow,
    CustomerOrderRow,
    PurchaseOrderLineRow,
    PurchaseOrderRow,
    PurchaseReceiptRow,
)
from restock.analytics.classes import DemandShape, demand_shape
from restock.analytics.suppliers import OrderedLine, Scorecard, score_supplier
from restock.ledger.daily_sales import LINES_SCHEMA, daily_sales, midnight_utc
from restock.ledger.movements import Kind
from restock.operations.analytics.finance import Period
from restock.operations.stock.company import read_company

_ENDED = ("received", "closed")
_LOSSES = (Kind.COUNT.value, Kind.WRITE_OFF.value, Kind.ADJUSTMENT.value)


@dataclass(frozen=True, kw_only=True)
class SeriesReport:
    """How a sku sold at a location over a period.

    Attributes:
        sku: the product.
        location: where.
        days: days with records.
        shape: how its demand came, units by day.
        stockout_days: days without stock, parts of days added up; days on which nothing is known are left out.
        unknown_days: days on which the books were below zero.
    """

    sku: str
    location: str
    days: int
    shape: DemandShape
    stockout_days: float
    unknown_days: int


@dataclass(frozen=True, kw_only=True)
class LossReport:
    """What of a sku was lost, found and corrected at a location over a period.

    Attributes:
        sku: the product.
        location: where.
        counted: by counts, signed, scaled base units.
        written_off: by write-offs, at most 0.
        adjusted: by adjustments, signed.
        sold: sold, at least 0 in most cases.
    """

    sku: str
    location: str
    counted: int
    written_off: int
    adjusted: int
    sold: int


@dataclass(frozen=True, kw_only=True)
class FillRate:
    """What of the demand that is known was served.

    Attributes:
        ordered: base units that customers ordered for the period, by sku and location.
        delivered: of them, base units that were delivered.
    """

    ordered: Mapping[tuple[str, str], int]
    delivered: Mapping[tuple[str, str], int]


def report_suppliers(connection: Connection, period: Period, *, today: date) -> dict[str, Scorecard]:
    """Return the scorecard of each supplier over the orders that were sent in a period.

    Args:
        connection: in a transaction.
        period: days of sending.
        today: up to when something is known.
    """
    receipts: dict[tuple[str, int], dict[date, int]] = defaultdict(lambda: defaultdict(int))
    rows = connection.execute(
        select(
            PurchaseReceiptRow.purchase_order,
            PurchaseReceiptRow.line,
            PurchaseReceiptRow.received_on,
            PurchaseReceiptRow.quantity,
        )
        .where(PurchaseReceiptRow.received_on <= today)
        .order_by(PurchaseReceiptRow.received_on)
    )
    for row in rows:
        receipts[row.purchase_order, row.line][row.received_on] += int(row.quantity)
    statement = (
        select(
            PurchaseOrderRow.supplier,
            PurchaseOrderRow.purchase_order,
            PurchaseOrderRow.state,
            PurchaseOrderRow.ordered_on,
            PurchaseOrderRow.promised_on,
            PurchaseOrderLineRow.line,
            PurchaseOrderLineRow.sku,
            PurchaseOrderLineRow.quantity_ordered,
            PurchaseOrderLineRow.unit_cost,
        )
        .join(PurchaseOrderLineRow, PurchaseOrderLineRow.purchase_order == PurchaseOrderRow.purchase_order)
        .where(PurchaseOrderRow.ordered_on.between(period.first, period.last), PurchaseOrderRow.state != "cancelled")
        .order_by(PurchaseOrderRow.supplier, PurchaseOrderRow.ordered_on)
    )
    lines: dict[str, list[OrderedLine]] = defaultdict(list)
    for sent in connection.execute(statement).mappings():
        came = receipts[sent["purchase_order"], sent["line"]]
        lines[sent["supplier"]].append(
            OrderedLine(
                sku=sent["sku"],
                ordered_on=sent["ordered_on"],
                promised_on=sent["promised_on"],
                quantity_ordered=float(sent["quantity_ordered"]),
                receipts=tuple((day, float(quantity)) for day, quantity in sorted(came.items()) if quantity),
                is_ended=sent["state"] in _ENDED,
                unit_cost=float(sent["unit_cost"]),
            )
        )
    return {supplier: score_supplier(found, today=today) for supplier, found in lines.items()}


def report_series(
    connection: Connection, period: Period, *, sku: str | None = None, location: str | None = None
) -> list[SeriesReport]:
    """Return how each sku sold at each store, and how long it was out of stock, by days of the company.

    Args:
        connection: in a transaction.
        period: which days.
        sku: only this product.
        location: only this location.
    """
    company = read_company(connection)
    lines = _read_lines(connection, period, time_zone=company.time_zone, sku=sku, location=location)
    if lines.is_empty():
        return []
    stores = list(connection.execute(select(LocationRow.location).where(LocationRow.kind == "store")).scalars())
    sales = daily_sales(lines, time_zone=company.time_zone, last_day=period.last, stores=stores)
    sales = sales.filter(pl.col("date") >= period.first).sort("sku", "location", "date")
    return [
        SeriesReport(
            sku=str(keys[0]),
            location=str(keys[1]),
            days=group.height,
            shape=demand_shape(group["units_sold"].to_list()),
            stockout_days=float(group["stockout_share"].fill_null(0.0).sum()),
            unknown_days=int(group["stockout_share"].null_count()),
        )
        for keys, group in sales.group_by(["sku", "location"], maintain_order=True)
    ]


def report_losses(connection: Connection, period: Period) -> list[LossReport]:
    """Return what was lost, found and corrected by sku and location; reversals count with what they undo."""
    company = read_company(connection)
    original = aliased(MovementRow)
    kind = func.coalesce(original.kind, MovementRow.kind).label("kind")
    statement = (
        select(
            MovementLineRow.sku, MovementLineRow.location, kind, func.sum(MovementLineRow.quantity).label("quantity")
        )
        .join(MovementRow, MovementRow.movement == MovementLineRow.movement)
        .join(original, original.movement == MovementRow.reverses, isouter=True)
        .where(
            MovementRow.occurred_at_utc >= midnight_utc(period.first, company.time_zone),
            MovementRow.occurred_at_utc < midnight_utc(period.last + timedelta(days=1), company.time_zone),
            ~MovementLineRow.location.like("@%"),
            kind.in_((*_LOSSES, Kind.SALE.value)),
        )
        .group_by(MovementLineRow.sku, MovementLineRow.location, kind)
    )
    totals: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in connection.execute(statement):
        totals[row.sku, row.location][row.kind] = int(row.quantity)
    return [
        LossReport(
            sku=key[0],
            location=key[1],
            counted=kinds.get(Kind.COUNT.value, 0),
            written_off=kinds.get(Kind.WRITE_OFF.value, 0),
            adjusted=kinds.get(Kind.ADJUSTMENT.value, 0),
            sold=-kinds.get(Kind.SALE.value, 0),
        )
        for key, kinds in sorted(totals.items())
    ]


def report_fill_rate(connection: Connection, period: Period) -> FillRate:
    """Return what of the customers' orders for a period was delivered; walk-in demand beyond the shelf is not known."""
    due = func.coalesce(CustomerOrderRow.requested_on, CustomerOrderRow.ordered_on)
    statement = (
        select(
            CustomerOrderLineRow.sku,
            CustomerOrderRow.location,
            func.sum(CustomerOrderLineRow.quantity_ordered).label("ordered"),
            func.sum(CustomerOrderLineRow.quantity_delivered).label("delivered"),
        )
        .join(CustomerOrderRow, CustomerOrderRow.customer_order == CustomerOrderLineRow.customer_order)
        .where(due.between(period.first, period.last), CustomerOrderRow.state != "cancelled")
        .group_by(CustomerOrderLineRow.sku, CustomerOrderRow.location)
    )
    rows = connection.execute(statement).all()
    return FillRate(
        ordered={(row.sku, row.location): int(row.ordered) for row in rows},
        delivered={(row.sku, row.location): min(int(row.delivered), int(row.ordered)) for row in rows},
    )


def _read_lines(
    connection: Connection, period: Period, *, time_zone: str, sku: str | None, location: str | None
) -> pl.DataFrame:
    """Return the lines up to the end of a period for `daily_sales`; a reversal lies where its original does."""
    original = aliased(MovementRow)
    occurred = func.coalesce(original.occurred_at_utc, MovementRow.occurred_at_utc)
    columns = (
        MovementLineRow.sku,
        MovementLineRow.location,
        func.coalesce(original.kind, MovementRow.kind).label("kind"),
        occurred.label("occurred_at_utc"),
        MovementLineRow.quantity,
        MovementLineRow.unit_price,
    )
    statement = (
        select(*columns)
        .join(MovementRow, MovementRow.movement == MovementLineRow.movement)
        .join(original, original.movement == MovementRow.reverses, isouter=True)
        .where(
            occurred < midnight_utc(period.last + timedelta(days=1), time_zone), ~MovementLineRow.location.like("@%")
        )
        .order_by(MovementLineRow.sku, MovementLineRow.location, occurred)
    )
    if sku is not None:
        statement = statement.where(MovementLineRow.sku == sku)
    if location is not None:
        statement = statement.where(MovementLineRow.location == location)
    rows = [tuple(row) for row in connection.execute(statement)]
    return pl.DataFrame(rows, schema=LINES_SCHEMA, orient="row")
