"""Writing products: many in few statements, each one judged by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select

from restock.adapters.database.base import Base
from restock.adapters.database.catalogue_tables import (
    BarcodeRow,
    CostRow,
    PriceRow,
    ProductRow,
    ProductUnitRow,
    SupplyTermRow,
)
from restock.adapters.database.ledger_tables import BalanceRow, MovementLineRow
from restock.adapters.database.order_tables import CountLineRow, CustomerOrderLineRow, PurchaseOrderLineRow
from restock.adapters.database.planning_tables import OverrideRow, PlanRow
from restock.adapters.database.product_facts import FACTOR_SCALE
from restock.errors import RestockError
from restock.ledger.gtin import shorten_gtin
from restock.ledger.movements import NO_LOT, Virtual
from restock.operations.catalogue.changes import (
    Change,
    ChangeState,
    Known,
    Outcome,
    Subject,
    in_chunks,
    judge,
    lock_catalogue,
    read_known,
    record_changes,
    write_rows,
)
from restock.operations.catalogue.fields import CatalogueError
from restock.operations.catalogue.prices import History, find_valid, read_history, write_amounts
from restock.operations.catalogue.product_drafts import ProductDraft
from restock.operations.stock.company import Company, read_company

PRODUCT = Subject(noun="product", topic="catalogue.products", key="sku")
# Columns of the products' own table that a draft sets.
COLUMNS = (
    "name",
    "category_path",
    "base_unit",
    "quantity_decimals",
    "is_lot_tracked",
    "shelf_life_days",
    "is_active",
)
# What holds quantities in scaled base units.
_SCALED: tuple[type[Base], ...] = (
    MovementLineRow,
    PurchaseOrderLineRow,
    CustomerOrderLineRow,
    CountLineRow,
    SupplyTermRow,
    PlanRow,
    OverrideRow,
)
_FIXED_ONCE_BOOKED = ("base_unit", "quantity_decimals")
_AMOUNTS: dict[str, type[CostRow] | type[PriceRow]] = {"unit_cost": CostRow, "unit_price": PriceRow}


class BarcodeConflictError(CatalogueError):
    """A barcode belongs to another product."""

    http_status = 409
    title = "The barcode belongs to another product"


@dataclass(frozen=True, kw_only=True)
class _Present:
    """What the database holds of a chunk of products.

    Attributes:
        known: version and content by sku.
        owners: sku by GTIN; brought up to date with each draft that is accepted.
        booked: skus with quantities somewhere, of those whose unit is to change.
        in_lots: skus with stock in lots, of those that are not to be kept by lots any more.
        amounts: costs and prices by field and sku.
        company: the currency.
        today: the company's day.
    """

    known: Mapping[str, Known]
    owners: dict[str, str]
    booked: frozenset[str]
    in_lots: frozenset[str]
    amounts: Mapping[str, Mapping[str, History]]
    company: Company
    today: date


@dataclass(frozen=True, kw_only=True)
class _Accepted:
    """Drafts that change something, with their changes."""

    drafts: list[ProductDraft] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    amounts: dict[str, dict[tuple[str, date], int]] = field(default_factory=lambda: {name: {} for name in _AMOUNTS})


def put_products(
    connection: Connection,
    drafts: Sequence[ProductDraft],
    *,
    actor: str,
    now: datetime,
    expected_versions: Mapping[str, int] | None = None,
) -> tuple[Outcome, ...]:
    """Create or change many products and return what became of each, in their order; one refused leaves the others.

    A cost or price that is valid on its day anyway is not written again.

    Args:
        connection: in a write transaction; the caller commits.
        drafts: what they are to be.
        actor: who writes.
        now: the time, UTC.
        expected_versions: version that the author saw, by sku, 0 for none; where it matters.
    """
    lock_catalogue(connection)
    company = read_company(connection)
    stamp = _next_instant(connection, now)
    seen: set[str] = set()
    outcomes: list[Outcome] = []
    for chunk in in_chunks(drafts):
        present = _read_present(connection, chunk, company=company, today=company.day_of(now))
        accepted = _Accepted()
        for draft in chunk:
            expected = (expected_versions or {}).get(draft.sku)
            try:
                outcomes.append(_accept(draft, present, accepted, seen=seen, expected_version=expected))
            except RestockError as error:
                outcomes.append(Outcome(key=draft.sku, state=ChangeState.REFUSED, error=error))
        _write(connection, accepted, present.known, now=stamp)
        record_changes(connection, accepted.changes, subject=PRODUCT, actor=actor, now=now)
    return tuple(outcomes)


def content_of(draft: ProductDraft) -> dict[str, Any]:
    """Return the content of a product by field, as it is compared and kept."""
    return {
        **{name: getattr(draft, name) for name in COLUMNS},
        "barcodes": sorted([barcode.gtin, barcode.unit or draft.base_unit] for barcode in draft.barcodes),
        "units": sorted([unit.unit, int(unit.factor * FACTOR_SCALE)] for unit in draft.units),
    }


def read_contents(connection: Connection, skus: Sequence[str]) -> dict[str, Known]:
    """Return version and content of products by sku; one that is not there is left out."""
    known = read_known(connection, ProductRow, skus, key="sku", fields=COLUMNS)
    barcodes, units = defaultdict(list), defaultdict(list)
    found = select(BarcodeRow.sku, BarcodeRow.gtin, BarcodeRow.unit).where(BarcodeRow.sku.in_(skus))
    for sku, gtin, unit in connection.execute(found.order_by(BarcodeRow.gtin)):
        barcodes[sku].append([gtin, unit])
    factors = select(ProductUnitRow.sku, ProductUnitRow.unit, ProductUnitRow.factor)
    for sku, unit, factor in connection.execute(factors.where(ProductUnitRow.sku.in_(skus))):
        units[sku].append([unit, int(factor)])
    return {
        sku: Known(
            version=each.version,
            content={**each.content, "barcodes": sorted(barcodes[sku]), "units": sorted(units[sku])},
        )
        for sku, each in known.items()
    }


def _next_instant(connection: Connection, now: datetime) -> datetime:
    """Return the instant of a change: later than all before, so that who follows the catalogue misses none.

    Writers wait for one another, so that no earlier instant is committed later.
    """
    latest = connection.execute(select(func.max(ProductRow.changed_at_utc))).scalar_one()
    return now if latest is None or latest < now else latest + timedelta(microseconds=1)


def _read_present(connection: Connection, drafts: Sequence[ProductDraft], *, company: Company, today: date) -> _Present:
    skus = [draft.sku for draft in drafts]
    known = read_contents(connection, skus)
    gtins = [barcode.gtin for draft in drafts for barcode in draft.barcodes]
    owners: dict[str, str] = {}
    for some in in_chunks(gtins):
        rows = connection.execute(select(BarcodeRow.gtin, BarcodeRow.sku).where(BarcodeRow.gtin.in_(some)))
        owners.update((row.gtin, row.sku) for row in rows)
    restated = [
        draft.sku
        for draft in drafts
        if draft.sku in known
        and any(known[draft.sku].content[name] != getattr(draft, name) for name in _FIXED_ONCE_BOOKED)
    ]
    loosened = [
        draft.sku
        for draft in drafts
        if draft.sku in known and known[draft.sku].content["is_lot_tracked"] and not draft.is_lot_tracked
    ]
    return _Present(
        known=known,
        owners=owners,
        booked=_find_booked(connection, restated),
        in_lots=_find_in_lots(connection, loosened),
        amounts={
            name: read_history(connection, row, [draft.sku for draft in drafts if getattr(draft, name) is not None])
            for name, row in _AMOUNTS.items()
        },
        company=company,
        today=today,
    )


def _find_booked(connection: Connection, skus: Sequence[str]) -> frozenset[str]:
    """Return which of some products have quantities in the books or in orders, terms and plans.

    The products are held, so that nobody books them meanwhile.
    """
    if not skus:
        return frozenset()
    _hold(connection, skus)
    found: set[str] = set()
    for row in _SCALED:
        column = row.__table__.c.sku
        found.update(connection.execute(select(column).where(column.in_(skus)).distinct()).scalars())
    return frozenset(found)


def _find_in_lots(connection: Connection, skus: Sequence[str]) -> frozenset[str]:
    """Return which of some products have stock in lots; they are held, so that nobody books them meanwhile."""
    if not skus:
        return frozenset()
    _hold(connection, skus)
    stock = select(BalanceRow.sku).where(
        BalanceRow.sku.in_(skus),
        BalanceRow.lot != NO_LOT,
        BalanceRow.quantity != 0,
        or_(BalanceRow.location.not_like("@%"), BalanceRow.location == Virtual.TRANSIT.value),
    )
    return frozenset(connection.execute(stock.distinct()).scalars())


def _hold(connection: Connection, skus: Sequence[str]) -> None:
    held = select(ProductRow.sku).where(ProductRow.sku.in_(skus)).order_by(ProductRow.sku)
    connection.execute(held.with_for_update())


def _accept(
    draft: ProductDraft, present: _Present, accepted: _Accepted, *, seen: set[str], expected_version: int | None
) -> Outcome:
    """Return what becomes of a draft, and add it to the accepted ones where it changes something."""
    if draft.sku in seen:
        raise CatalogueError(f"sku {draft.sku!r} comes twice in one batch. Send each product once.")
    seen.add(draft.sku)
    known = present.known.get(draft.sku)
    content = content_of(draft)
    _require_free_barcodes(draft, present.owners)
    _require_same_unit(draft, known, booked=present.booked)
    if draft.sku in present.in_lots:
        raise CatalogueError(
            f"sku {draft.sku!r} has stock in lots, so it must go on being kept by lots. Sell or write off that stock "
            "first."
        )
    amounts = _new_amounts(draft, present)
    stated = {name: _state_amount(key[1], value) for name, (key, value) in amounts.items()}
    change = judge(draft.sku, content | stated, known, noun=PRODUCT.noun, expected_version=expected_version)
    if change is None:
        return Outcome(key=draft.sku, state=ChangeState.UNCHANGED, version=0 if known is None else known.version)
    for gtin, _ in () if known is None else known.content["barcodes"]:
        present.owners.pop(gtin, None)
    present.owners.update({barcode.gtin: draft.sku for barcode in draft.barcodes})
    accepted.drafts.append(draft)
    accepted.changes.append(change)
    for name, (key, value) in amounts.items():
        accepted.amounts[name][key] = value
    return Outcome(key=draft.sku, state=change.state, version=change.version)


def _require_free_barcodes(draft: ProductDraft, owners: Mapping[str, str]) -> None:
    for barcode in draft.barcodes:
        owner = owners.get(barcode.gtin, draft.sku)
        if owner != draft.sku:
            raise BarcodeConflictError(
                f"barcode {shorten_gtin(barcode.gtin)} belongs to sku {owner!r}, so {draft.sku!r} can't have it. Take "
                "it from that product first."
            )


def _require_same_unit(draft: ProductDraft, known: Known | None, *, booked: frozenset[str]) -> None:
    if known is None or draft.sku not in booked:
        return
    for name in _FIXED_ONCE_BOOKED:
        if known.content[name] != getattr(draft, name):
            raise CatalogueError(
                f"{name} of sku {draft.sku!r} is {known.content[name]!r} and can't become {getattr(draft, name)!r}: "
                "movements, orders, terms or plans are kept in it. Make a new sku, and book the stock over."
            )


def _new_amounts(draft: ProductDraft, present: _Present) -> dict[str, tuple[tuple[str, date], int]]:
    """Return the cost and price of a draft that are not valid on their day anyway, minor units."""
    day = draft.valid_from or present.today
    new = {}
    for name in _AMOUNTS:
        value = present.company.to_minor(getattr(draft, name))
        if value is not None and find_valid(present.amounts[name].get(draft.sku, {}), day) != value:
            new[name] = ((draft.sku, day), value)
    return new


def _state_amount(valid_from: date, amount: int) -> dict[str, Any]:
    return {"valid_from": valid_from, "minor_units": amount}


def _write(connection: Connection, accepted: _Accepted, known: Mapping[str, Known], *, now: datetime) -> None:
    """Write the accepted drafts: products, barcodes, units, costs and prices."""
    if not accepted.drafts:
        return
    values = [
        {
            "sku": draft.sku,
            "version": change.version,
            "changed_at_utc": now,
            **{name: getattr(draft, name) for name in COLUMNS},
        }
        for draft, change in zip(accepted.drafts, accepted.changes, strict=True)
    ]
    write_rows(connection, ProductRow, values, key="sku")
    _write_parts(connection, BarcodeRow, accepted.drafts, known, field_name="barcodes", names=("gtin", "unit"))
    _write_parts(connection, ProductUnitRow, accepted.drafts, known, field_name="units", names=("unit", "factor"))
    for name, row in _AMOUNTS.items():
        write_amounts(connection, row, accepted.amounts[name])


def _write_parts(
    connection: Connection,
    row: type[BarcodeRow] | type[ProductUnitRow],
    drafts: Sequence[ProductDraft],
    known: Mapping[str, Known],
    *,
    field_name: str,
    names: tuple[str, str],
) -> None:
    """Write the barcodes or units of products whose set of them differs; all leave before any comes."""
    contents = {draft.sku: content_of(draft)[field_name] for draft in drafts}
    before = {sku: [] if sku not in known else known[sku].content[field_name] for sku in contents}
    changed = [sku for sku in contents if contents[sku] != before[sku]]
    emptied = [sku for sku in changed if before[sku]]
    if emptied:
        connection.execute(delete(row).where(row.sku.in_(emptied)))
    parts = [{"sku": sku, names[0]: part[0], names[1]: part[1]} for sku in changed for part in contents[sku]]
    if parts:
        connection.execute(insert(row), parts)
