"""Products: created, changed, read and listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from restock.adapters.database.catalogue_tables import BarcodeRow, ProductRow
from restock.adapters.database.keyset import SortKey, read_page
from restock.adapters.database.product_facts import FACTOR_SCALE, read_product_facts
from restock.errors import NotFoundError, RestockError, VersionConflictError
from restock.ledger.quantities import UnitsOfMeasure
from restock.operations.catalogue.changes import in_chunks, require_outcome
from restock.operations.catalogue.product_drafts import Barcode, ProductDraft, ProductRecord, ProductUnit
from restock.operations.catalogue.product_writes import (
    COLUMNS,
    BarcodeConflictError,
    put_products,
    read_contents,
)

__all__ = [
    "Barcode",
    "BarcodeConflictError",
    "ProductDraft",
    "ProductExistsError",
    "ProductFilter",
    "ProductRecord",
    "ProductSort",
    "ProductUnit",
    "create_product",
    "list_products",
    "put_product",
    "put_products",
    "read_product",
    "read_products",
    "read_units",
]


class ProductExistsError(RestockError):
    """A product was to be new, but the sku is taken."""

    http_status = 409
    title = "The sku is taken"


class ProductSort(StrEnum):
    """What products are sorted by; the sku makes the order unique."""

    SKU = "sku"
    NAME = "name"
    CATEGORY_PATH = "category_path"
    CHANGED_AT = "changed_at_utc"


@dataclass(frozen=True, kw_only=True)
class ProductFilter:
    """Which products; None where it does not matter.

    Attributes:
        category: a category path; products in it and below it.
        is_active: whether they are still bought or sold.
        is_lot_tracked: whether their stock is kept by lots.
        gtin: a barcode, 14 digits.
        changed_since: changed at or after this instant, UTC.
    """

    category: str | None = None
    is_active: bool | None = None
    is_lot_tracked: bool | None = None
    gtin: str | None = None
    changed_since: datetime | None = None


def create_product(connection: Connection, draft: ProductDraft, *, actor: str, now: datetime) -> ProductRecord:
    """Create a product and return it.

    Args:
        connection: in a write transaction; the caller commits.
        draft: what it is to be.
        actor: who writes.
        now: the time, UTC.

    Raises:
        ProductExistsError: there is one with the sku.
        BarcodeConflictError: a barcode belongs to another product.
        QuantityError: the cost or price has more decimal places than the company keeps.
    """
    try:
        return put_product(connection, draft, actor=actor, now=now, expected_version=0)
    except VersionConflictError as error:
        raise ProductExistsError(
            f"sku {draft.sku!r} is in the catalogue already. Change it with PUT or PATCH, or take another sku."
        ) from error


def put_product(
    connection: Connection, draft: ProductDraft, *, actor: str, now: datetime, expected_version: int | None = None
) -> ProductRecord:
    """Create or change a product and return it; the same content again writes nothing and keeps its version.

    Args:
        connection: in a write transaction; the caller commits.
        draft: what it is to be.
        actor: who writes.
        now: the time, UTC.
        expected_version: version that the author saw, 0 for none; None where it does not matter.

    Raises:
        VersionConflictError: it has changed since.
        BarcodeConflictError: a barcode belongs to another product.
        CatalogueError: its base unit or decimals would change though movements are booked in them.
        QuantityError: the cost or price has more decimal places than the company keeps.
    """
    expected = None if expected_version is None else {draft.sku: expected_version}
    for outcome in put_products(connection, [draft], actor=actor, now=now, expected_versions=expected):
        require_outcome(outcome)
    return read_product(connection, draft.sku)


def read_product(connection: Connection, sku: str) -> ProductRecord:
    """Return a product.

    Raises:
        NotFoundError: the sku is not in the catalogue.
    """
    return read_products(connection, [sku])[sku]


def read_products(connection: Connection, skus: Iterable[str]) -> Mapping[str, ProductRecord]:
    """Return products by sku.

    Raises:
        NotFoundError: a sku is not in the catalogue.
    """
    wanted = sorted(set(skus))
    found: dict[str, ProductRecord] = {}
    for chunk in in_chunks(wanted):
        known = read_contents(connection, chunk)
        changed = connection.execute(select(ProductRow.sku, ProductRow.changed_at_utc).where(ProductRow.sku.in_(chunk)))
        instants: dict[str, datetime] = {row.sku: row.changed_at_utc for row in changed}
        found |= {
            sku: _record(sku, each.content, version=each.version, changed_at=instants[sku])
            for sku, each in known.items()
        }
    missing = [sku for sku in wanted if sku not in found]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise NotFoundError(f"sku {missing[0]!r} is not in the catalogue{more}. GET /api/v1/search finds near ones.")
    return found


def read_units(connection: Connection, skus: Iterable[str]) -> Mapping[str, UnitsOfMeasure]:
    """Return how products are counted, by sku.

    Raises:
        NotFoundError: a sku is not in the catalogue.
    """
    return {sku: facts.units for sku, facts in read_product_facts(connection, skus).items()}


def list_products(
    connection: Connection,
    *,
    chosen: ProductFilter | None = None,
    sort: ProductSort = ProductSort.SKU,
    is_descending: bool = False,
    after: Sequence[Any] | None = None,
    limit: int = 100,
) -> tuple[list[ProductRecord], tuple[Any, ...] | None]:
    """Return a page of products, and where the next one begins; None where it was the last.

    Args:
        connection: in a transaction.
        chosen: which products.
        sort: what they are sorted by, then by sku.
        is_descending: from the highest down.
        after: where the page begins, as the page before said; None for the first.
        limit: products at most.
    """
    table = ProductRow.__table__
    keys = [SortKey(column=table.c[sort.value], is_descending=is_descending)]
    if sort is not ProductSort.SKU:
        keys.append(SortKey(column=table.c.sku, is_descending=is_descending))
    page = read_page(connection, _choose(chosen or ProductFilter()), keys=keys, after=after, limit=limit)
    skus = [row["sku"] for row in page.rows]
    records = read_products(connection, skus)
    return [records[sku] for sku in skus], page.after


def _choose(chosen: ProductFilter) -> Select[Any]:
    table = ProductRow.__table__
    statement = select(table)
    if chosen.category is not None:
        below = f"{chosen.category} > "
        statement = statement.where(
            or_(
                table.c.category_path == chosen.category,
                # LIKE would ignore case on SQLite alone.
                func.substr(table.c.category_path, 1, len(below)) == below,
            )
        )
    if chosen.is_active is not None:
        statement = statement.where(table.c.is_active == chosen.is_active)
    if chosen.is_lot_tracked is not None:
        statement = statement.where(table.c.is_lot_tracked == chosen.is_lot_tracked)
    if chosen.gtin is not None:
        owners = select(BarcodeRow.sku).where(BarcodeRow.gtin == chosen.gtin)
        statement = statement.where(table.c.sku.in_(owners))
    if chosen.changed_since is not None:
        statement = statement.where(table.c.changed_at_utc >= chosen.changed_since)
    return statement


def _record(sku: str, content: Mapping[str, Any], *, version: int, changed_at: datetime) -> ProductRecord:
    return ProductRecord(
        sku=sku,
        version=version,
        changed_at=changed_at,
        barcodes=tuple(Barcode(gtin, unit) for gtin, unit in content["barcodes"]),
        units=tuple(ProductUnit(unit, Decimal(factor) / FACTOR_SCALE) for unit, factor in content["units"]),
        **{name: content[name] for name in COLUMNS},
    )
