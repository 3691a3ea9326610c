"""Suppliers: who delivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, RowMapping, select

from restock.adapters.database.catalogue_tables import SupplierRow
from restock.adapters.database.keyset import SortKey, read_page
from restock.errors import NotFoundError
from restock.operations.catalogue.changes import Outcome, Subject, put_rows, require_outcome
from restock.operations.catalogue.fields import Amount, CatalogueDraft, CatalogueError, Code, Name
from restock.operations.stock.company import Company, read_company

SUPPLIER = Subject(noun="supplier", topic="catalogue.suppliers", key="supplier")


class SupplierDraft(CatalogueDraft):
    """What a supplier is to be."""

    supplier: Code = Field(description="Its short name.")
    name: Name = Field(description="Name shown to people.")
    is_active: bool = Field(default=True, description="Whether orders go to it.")
    minimum_order_value: Amount = Field(
        default=Decimal(0), description="Below it, an order is not accepted; currency; 0 where there is none."
    )


@dataclass(frozen=True, kw_only=True)
class SupplierRecord:
    """A supplier as it is.

    Attributes:
        supplier: its short name.
        name: name shown to people.
        is_active: whether orders go to it.
        minimum_order_value: below it, an order is not accepted; currency.
        version: rises with every change.
    """

    supplier: str
    name: str
    is_active: bool
    minimum_order_value: Decimal
    version: int


def put_supplier(
    connection: Connection, draft: SupplierDraft, *, actor: str, now: datetime, expected_version: int | None = None
) -> SupplierRecord:
    """Create or change a supplier and return it; the same content again writes nothing.

    Args:
        connection: in a write transaction; the caller commits.
        draft: what it is to be.
        actor: who writes.
        now: the time, UTC.
        expected_version: version that the author saw, 0 for none; None where it does not matter.

    Raises:
        VersionConflictError: it has changed since.
        QuantityError: its minimum order value has more decimal places than the company keeps.
    """
    expected = None if expected_version is None else {draft.supplier: expected_version}
    for outcome in put_suppliers(connection, [draft], actor=actor, now=now, expected_versions=expected):
        require_outcome(outcome)
    return read_supplier(connection, draft.supplier)


def put_suppliers(
    connection: Connection,
    drafts: Sequence[SupplierDraft],
    *,
    actor: str,
    now: datetime,
    expected_versions: Mapping[str, int] | None = None,
) -> tuple[Outcome, ...]:
    """Create or change many suppliers and return what became of each, in their order.

    Raises:
        CatalogueError: one comes twice.
        QuantityError: an amount has more decimal places than the company keeps.
    """
    company = read_company(connection)
    contents = {
        draft.supplier: {
            "name": draft.name,
            "is_active": draft.is_active,
            "minimum_order_value": company.to_minor(draft.minimum_order_value),
        }
        for draft in drafts
    }
    if len(contents) != len(drafts):
        raise CatalogueError("a supplier comes twice in one batch. Send each of them once.")
    return put_rows(
        connection,
        SupplierRow,
        contents,
        subject=SUPPLIER,
        actor=actor,
        now=now,
        expected_versions=expected_versions,
    )


def read_supplier(connection: Connection, supplier: str) -> SupplierRecord:
    """Return a supplier.

    Raises:
        NotFoundError: there is none of that name.
    """
    found = (
        connection.execute(select(SupplierRow.__table__).where(SupplierRow.supplier == supplier))
        .mappings()
        .one_or_none()
    )
    if found is None:
        raise NotFoundError(f"supplier {supplier!r} is unknown. GET /api/v1/suppliers lists all.")
    return _record(found, read_company(connection))


def list_suppliers(
    connection: Connection,
    *,
    is_active: bool | None = None,
    after: Sequence[Any] | None = None,
    limit: int = 100,
) -> tuple[list[SupplierRecord], tuple[Any, ...] | None]:
    """Return a page of suppliers by short name, and where the next one begins; None where it was the last."""
    statement = select(SupplierRow.__table__)
    if is_active is not None:
        statement = statement.where(SupplierRow.is_active == is_active)
    keys = [SortKey(column=SupplierRow.__table__.c.supplier)]
    page = read_page(connection, statement, keys=keys, after=after, limit=limit)
    company = read_company(connection)
    return [_record(row, company) for row in page.rows], page.after


def _record(row: RowMapping, company: Company) -> SupplierRecord:
    return SupplierRecord(
        supplier=row["supplier"],
        name=row["name"],
        is_active=row["is_active"],
        minimum_order_value=company.from_minor(row["minimum_order_value"]) or Decimal(0),
        version=row["version"],
    )
