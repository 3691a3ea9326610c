"""Reading the ledger and what is under way, a page at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Select, exists, select
from sqlalchemy.orm import DeclarativeBase

from restock.adapters.database.catalogue_tables import LotRow, ProductRow
from restock.adapters.database.keyset import Page, SortKey, read_page
from restock.adapters.database.ledger_tables import AuditRow, BalanceRow, MovementLineRow, MovementRow
from restock.adapters.database.order_tables import (
    CountLineRow,
    CountRow,
    PurchaseOrderLineRow,
    PurchaseOrderRow,
    PurchaseReceiptRow,
    TransferLineRow,
    TransferRow,
)
from restock.adapters.database.planning_tables import ForecastRow, OverrideRow, PlanRow
from restock.errors import NotFoundError

After = Sequence[Any] | None


@dataclass(frozen=True, kw_only=True)
class MovementFilter:
    """Which movements are asked for; None does not narrow them.

    Attributes:
        sku: with a line of this product.
        location: with a line at this location.
        kind: of this kind.
        reference: with this reference.
        occurred_from: that happened at or after it, UTC.
        occurred_before: that happened before it, UTC.
    """

    sku: str | None = None
    location: str | None = None
    kind: str | None = None
    reference: str | None = None
    occurred_from: datetime | None = None
    occurred_before: datetime | None = None


def list_stock(
    connection: Connection,
    *,
    sku: str | None,
    location: str | None,
    below: int | None,
    after: After,
    limit: int,
) -> Page:
    """Return balances by sku and location, with the product's name and the lot's expiry.

    Args:
        connection: in a transaction.
        sku: only of this product.
        location: only at this location; a virtual one too.
        below: only balances below it, scaled base units.
        after: where the page begins.
        limit: rows at most.
    """
    statement = (
        select(
            BalanceRow.sku,
            BalanceRow.location,
            BalanceRow.lot,
            BalanceRow.quantity,
            BalanceRow.version,
            ProductRow.name,
            ProductRow.base_unit,
            ProductRow.quantity_decimals,
            LotRow.expires_on,
        )
        .join(ProductRow, ProductRow.sku == BalanceRow.sku, isouter=True)
        .join(LotRow, (LotRow.sku == BalanceRow.sku) & (LotRow.lot == BalanceRow.lot), isouter=True)
    )
    conditions = [
        *_equals({BalanceRow.sku: sku, BalanceRow.location: location}),
        *([] if below is None else [BalanceRow.quantity < below]),
        *([] if location is not None else [~BalanceRow.location.like("@%")]),
    ]
    keys = [SortKey(column=column) for column in _columns(BalanceRow.sku, BalanceRow.location, BalanceRow.lot)]
    return read_page(connection, statement.where(*conditions), keys=keys, after=after, limit=limit)


def list_movements(
    connection: Connection, wanted: MovementFilter, *, is_newest_first: bool, after: After, limit: int
) -> Page:
    """Return movements by the time they were posted, without their lines.

    Args:
        connection: in a transaction.
        wanted: which.
        is_newest_first: the latest first.
        after: where the page begins.
        limit: rows at most.
    """
    conditions = _equals({MovementRow.kind: wanted.kind, MovementRow.reference: wanted.reference})
    if wanted.occurred_from is not None:
        conditions.append(MovementRow.occurred_at_utc >= wanted.occurred_from)
    if wanted.occurred_before is not None:
        conditions.append(MovementRow.occurred_at_utc < wanted.occurred_before)
    lines = _equals({MovementLineRow.sku: wanted.sku, MovementLineRow.location: wanted.location})
    if lines:
        conditions.append(exists().where(MovementLineRow.movement == MovementRow.movement, *lines))
    keys = [
        SortKey(column=column, is_descending=is_newest_first)
        for column in _columns(MovementRow.posted_at_utc, MovementRow.movement)
    ]
    statement = select(MovementRow.__table__).where(*conditions)
    return read_page(connection, statement, keys=keys, after=after, limit=limit)


def read_movement_row(connection: Connection, movement: str) -> RowMapping:
    """Return a movement without its lines.

    Raises:
        NotFoundError: there is none.
    """
    return _read_one(connection, MovementRow, MovementRow.movement, movement, what="movement")


def read_movement_lines(connection: Connection, movements: Iterable[str]) -> Mapping[str, list[RowMapping]]:
    """Return the lines of movements by movement, with the product's unit."""
    statement = (
        select(MovementLineRow.__table__, ProductRow.base_unit, ProductRow.quantity_decimals)
        .join(ProductRow, ProductRow.sku == MovementLineRow.sku, isouter=True)
        .where(MovementLineRow.movement.in_(list(movements)))
        .order_by(MovementLineRow.movement, MovementLineRow.line)
    )
    return _group(connection, statement, "movement")


def list_orders(
    connection: Connection,
    *,
    state: str | None,
    supplier: str | None,
    location: str | None,
    sku: str | None,
    after: After,
    limit: int,
) -> Page:
    """Return purchase orders, the latest first, without their lines."""
    conditions = _equals(
        {
            PurchaseOrderRow.state: state,
            PurchaseOrderRow.supplier: supplier,
            PurchaseOrderRow.location: location,
        }
    )
    if sku is not None:
        conditions.append(
            exists().where(
                PurchaseOrderLineRow.purchase_order == PurchaseOrderRow.purchase_order,
                PurchaseOrderLineRow.sku == sku,
            )
        )
    return _list_latest(
        connection,
        PurchaseOrderRow,
        (PurchaseOrderRow.created_at_utc, PurchaseOrderRow.purchase_order),
        conditions,
        after=after,
        limit=limit,
    )


def read_order(connection: Connection, purchase_order: str) -> RowMapping:
    """Return a purchase order without its lines.

    Raises:
        NotFoundError: there is none.
    """
    return _read_one(
        connection, PurchaseOrderRow, PurchaseOrderRow.purchase_order, purchase_order, what="purchase order"
    )


def read_order_lines(connection: Connection, orders: Iterable[str]) -> Mapping[str, list[RowMapping]]:
    """Return the lines of purchase orders by order."""
    return _lines_with_units(connection, PurchaseOrderLineRow, "purchase_order", orders)


def read_order_receipts(connection: Connection, purchase_order: str) -> list[RowMapping]:
    """Return what came of an order, with the unit, in the order in which it came."""
    statement = (
        select(PurchaseReceiptRow.__table__, PurchaseOrderLineRow.sku, ProductRow.quantity_decimals)
        .join(
            PurchaseOrderLineRow,
            (PurchaseOrderLineRow.purchase_order == PurchaseReceiptRow.purchase_order)
            & (PurchaseOrderLineRow.line == PurchaseReceiptRow.line),
        )
        .join(ProductRow, ProductRow.sku == PurchaseOrderLineRow.sku)
        .where(PurchaseReceiptRow.purchase_order == purchase_order)
        .order_by(PurchaseReceiptRow.received_on, PurchaseReceiptRow.movement, PurchaseReceiptRow.movement_line)
    )
    return list(connection.execute(statement).mappings())


def list_transfers(
    connection: Connection, *, state: str | None, location: str | None, after: After, limit: int
) -> Page:
    """Return transfers, the latest first, without their lines."""
    conditions = _equals({TransferRow.state: state})
    if location is not None:
        conditions.append((TransferRow.source == location) | (TransferRow.target == location))
    return _list_latest(
        connection,
        TransferRow,
        (TransferRow.dispatched_at_utc, TransferRow.transfer),
        conditions,
        after=after,
        limit=limit,
    )


def read_transfer(connection: Connection, transfer: str) -> RowMapping:
    """Return a transfer without its lines.

    Raises:
        NotFoundError: there is none.
    """
    return _read_one(connection, TransferRow, TransferRow.transfer, transfer, what="transfer")


def read_transfer_lines(connection: Connection, transfers: Iterable[str]) -> Mapping[str, list[RowMapping]]:
    """Return the lines of transfers by transfer."""
    return _lines_with_units(connection, TransferLineRow, "transfer", transfers)


def list_counts(connection: Connection, *, state: str | None, location: str | None, after: After, limit: int) -> Page:
    """Return counts, the latest first, without their lines."""
    conditions = _equals({CountRow.state: state, CountRow.location: location})
    return _list_latest(
        connection, CountRow, (CountRow.created_at_utc, CountRow.count), conditions, after=after, limit=limit
    )


def read_count(connection: Connection, count: str) -> RowMapping:
    """Return a count without its lines.

    Raises:
        NotFoundError: there is none.
    """
    return _read_one(connection, CountRow, CountRow.count, count, what="count")


def read_count_lines(connection: Connection, count: str) -> list[RowMapping]:
    """Return the lines of a count."""
    statement = (
        select(CountLineRow.__table__, ProductRow.name, ProductRow.base_unit, ProductRow.quantity_decimals)
        .join(ProductRow, ProductRow.sku == CountLineRow.sku)
        .where(CountLineRow.count == count)
        .order_by(CountLineRow.sku, CountLineRow.lot)
    )
    return list(connection.execute(statement).mappings())


def list_plans(
    connection: Connection, *, sku: str | None, location: str | None, as_of: date | None, after: After, limit: int
) -> Page:
    """Return plans by day, sku and location."""
    statement = (
        select(PlanRow.__table__, ProductRow.quantity_decimals)
        .join(ProductRow, ProductRow.sku == PlanRow.sku)
        .where(*_equals({PlanRow.sku: sku, PlanRow.location: location, PlanRow.as_of: as_of}))
    )
    keys = [
        SortKey(column=PlanRow.__table__.c.as_of, is_descending=True),
        *(SortKey(column=column) for column in _columns(PlanRow.sku, PlanRow.location)),
    ]
    return read_page(connection, statement, keys=keys, after=after, limit=limit)


def list_forecasts(connection: Connection, *, sku: str, location: str, after: After, limit: int) -> Page:
    """Return the stored forecasts of a series, the latest cutoff first."""
    statement = select(ForecastRow.__table__).where(ForecastRow.sku == sku, ForecastRow.location == location)
    keys = [
        SortKey(column=ForecastRow.__table__.c.cutoff, is_descending=True),
        *(SortKey(column=column) for column in _columns(ForecastRow.date, ForecastRow.model_version)),
    ]
    return read_page(connection, statement, keys=keys, after=after, limit=limit)


def list_overrides(connection: Connection, *, sku: str | None, location: str | None, after: After, limit: int) -> Page:
    """Return what planners decided otherwise, the latest first."""
    statement = (
        select(OverrideRow.__table__, ProductRow.quantity_decimals)
        .join(ProductRow, ProductRow.sku == OverrideRow.sku)
        .where(*_equals({OverrideRow.sku: sku, OverrideRow.location: location}))
    )
    keys = [
        SortKey(column=column, is_descending=True)
        for column in _columns(OverrideRow.created_at_utc, OverrideRow.override)
    ]
    return read_page(connection, statement, keys=keys, after=after, limit=limit)


def list_audit(
    connection: Connection, *, actor: str | None, subject: str | None, action: str | None, after: After, limit: int
) -> Page:
    """Return entries of the audit log, the latest first."""
    conditions = _equals({AuditRow.actor: actor, AuditRow.subject: subject, AuditRow.action: action})
    return _list_latest(connection, AuditRow, (AuditRow.position,), conditions, after=after, limit=limit)


def _list_latest(
    connection: Connection,
    table: type[DeclarativeBase],
    columns: Sequence[Any],
    conditions: Sequence[ColumnElement[bool]],
    *,
    after: After,
    limit: int,
) -> Page:
    keys = [SortKey(column=column, is_descending=True) for column in _columns(*columns)]
    return read_page(connection, select(table.__table__).where(*conditions), keys=keys, after=after, limit=limit)


def _lines_with_units(
    connection: Connection, table: type[Any], document: str, identifiers: Iterable[str]
) -> Mapping[str, list[RowMapping]]:
    column = getattr(table, document)
    statement = (
        select(table.__table__, ProductRow.base_unit, ProductRow.quantity_decimals)
        .join(ProductRow, ProductRow.sku == table.sku)
        .where(column.in_(list(identifiers)))
        .order_by(column, table.line)
    )
    return _group(connection, statement, document)


def _group(connection: Connection, statement: Select[*tuple[Any, ...]], name: str) -> Mapping[str, list[RowMapping]]:
    groups: dict[str, list[RowMapping]] = defaultdict(list)
    for row in connection.execute(statement).mappings():
        groups[row[name]].append(row)
    return groups


def _read_one(
    connection: Connection, table: type[DeclarativeBase], column: Any, value: str, *, what: str
) -> RowMapping:
    row = connection.execute(select(table.__table__).where(column == value)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"there is no {what} {value!r}.")
    return row


def _equals(wanted: Mapping[Any, Any]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in wanted.items() if value is not None]


def _columns(*attributes: Any) -> list[Column[Any]]:
    return [attribute.property.columns[0] for attribute in attributes]
