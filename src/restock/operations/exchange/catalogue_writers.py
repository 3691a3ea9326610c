"""Writers of the catalogue's kinds: what a file leaves out stays as it is, the rest goes through the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from restock.adapters.database.catalogue_tables import LocationRow, ProductRow, SupplierRow, SupplyTermRow
from restock.errors import DataError, RestockError
from restock.ledger.gtin import normalise_gtin
from restock.operations.catalogue.changes import ChangeState, Outcome
from restock.operations.catalogue.fields import read_draft
from restock.operations.catalogue.places import LocationDraft, put_locations
from restock.operations.catalogue.product_drafts import ProductDraft
from restock.operations.catalogue.product_writes import put_products
from restock.operations.catalogue.products import read_products
from restock.operations.catalogue.suppliers import SupplierDraft, put_suppliers, read_supplier
from restock.operations.catalogue.supply_terms import (
    SupplyTermDraft,
    SupplyTermFilter,
    list_supply_terms,
    put_supply_terms,
)
from restock.operations.exchange.records import Fate, Judged, TypedRecord, Values
from restock.operations.exchange.writing import Writing, attempt

Put = Callable[[Sequence[Values]], Sequence[Outcome]]
# Units that are weighed, measured or poured, of which a file says no decimals.
_MEASURED = frozenset({"kg", "g", "kilogram", "kilo", "gram", "l", "litre", "liter", "ml", "m", "metre", "meter", "lb"})
_MEASURED_DECIMALS = 3


def write_products(connection: Connection, records: Sequence[TypedRecord], writing: Writing) -> list[Judged]:
    """Create and change products."""

    def put(rows: Sequence[Values]) -> Sequence[Outcome]:
        known = _read_drafts(connection, [row["sku"] for row in rows])
        drafts = [_product_draft(row, known.get(row["sku"])) for row in rows]
        return put_products(connection, drafts, actor=writing.actor, now=writing.now)

    return _put_all(connection, records, put, key=lambda row: row["sku"])


def write_prices(connection: Connection, records: Sequence[TypedRecord], writing: Writing) -> list[Judged]:
    """Write what products cost and sell for from a day on."""

    def put(rows: Sequence[Values]) -> Sequence[Outcome]:
        known = _read_drafts(connection, [row["sku"] for row in rows])
        drafts = []
        for row in rows:
            if row["sku"] not in known:
                raise DataError(f"sku {row['sku']!r} is not in the catalogue. Import the products first.")
            if "unit_cost" not in row and "unit_price" not in row:
                raise DataError("the row has neither unit_cost nor unit_price, expected one of them or both.")
            amounts = {name: row[name] for name in ("unit_cost", "unit_price", "valid_from") if name in row}
            drafts.append(read_draft(ProductDraft, {**known[row["sku"]], **amounts}))
        return put_products(connection, drafts, actor=writing.actor, now=writing.now)

    return _put_all(connection, records, put, key=lambda row: row["sku"])


def write_locations(connection: Connection, records: Sequence[TypedRecord], writing: Writing) -> list[Judged]:
    """Create and change locations."""
    fields = tuple(LocationDraft.model_fields)

    def put(rows: Sequence[Values]) -> Sequence[Outcome]:
        table = LocationRow.__table__
        names = [row["location"] for row in rows]
        found = connection.execute(select(*(table.c[name] for name in fields)).where(table.c.location.in_(names)))
        known = {each["location"]: dict(each) for each in found.mappings()}
        drafts = [
            read_draft(LocationDraft, {"name": row["location"], **known.get(row["location"], {}), **row})
            for row in rows
        ]
        return put_locations(connection, drafts, actor=writing.actor, now=writing.now)

    return _put_all(connection, records, put, key=lambda row: row["location"])


def write_suppliers(connection: Connection, records: Sequence[TypedRecord], writing: Writing) -> list[Judged]:
    """Create and change suppliers."""

    def put(rows: Sequence[Values]) -> Sequence[Outcome]:
        names = [row["supplier"] for row in rows]
        there = connection.execute(select(SupplierRow.supplier).where(SupplierRow.supplier.in_(names))).scalars().all()
        records_there = {name: read_supplier(connection, name) for name in there}
        known = {
            name: {field: getattr(record, field) for field in SupplierDraft.model_fields}
            for name, record in records_there.items()
        }
        drafts = [read_draft(SupplierDraft, {**known.get(row["supplier"], {}), **row}) for row in rows]
        return put_suppliers(connection, drafts, actor=writing.actor, now=writing.now)

    return _put_all(connection, records, put, key=lambda row: row["supplier"])


def write_supply_terms(connection: Connection, records: Sequence[TypedRecord], writing: Writing) -> list[Judged]:
    """Create and change supply terms."""

    def put(rows: Sequence[Values]) -> Sequence[Outcome]:
        drafts = [read_draft(SupplyTermDraft, {**_known_term(connection, row), **row}) for row in rows]
        return put_supply_terms(connection, drafts, actor=writing.actor, now=writing.now)

    return _put_all(connection, records, put, key=lambda row: (row["sku"], row["location"], row["supplier"]))


def _put_all(
    connection: Connection, records: Sequence[TypedRecord], put: Put, *, key: Callable[[Values], Hashable]
) -> list[Judged]:
    """Return what became of records of one row each, written together as far as nothing is wrong with them.

    Rows about the same thing are written one after the other: the last one counts.
    """
    judged: dict[int, Judged] = {}
    left = list(enumerate(records))
    while left:
        seen: set[Hashable] = set()
        now: list[tuple[int, TypedRecord]] = []
        later: list[tuple[int, TypedRecord]] = []
        for position, record in left:
            (later if key(record.first) in seen else now).append((position, record))
            seen.add(key(record.first))
        for (position, _), each in zip(now, _put_round(connection, [record for _, record in now], put), strict=True):
            judged[position] = each
        left = later
    return [judged[position] for position in range(len(records))]


def _put_round(connection: Connection, records: Sequence[TypedRecord], put: Put) -> list[Judged]:
    try:
        with connection.begin_nested():
            return [_judge(outcome) for outcome in put([record.first for record in records])]
    except RestockError as error:
        if len(records) == 1:
            return [Judged(fate=Fate.REJECTED, reason=str(error))]
    # Something is wrong with one of them, which refuses all: one by one.
    return [_put_one(connection, record, put) for record in records]


def _put_one(connection: Connection, record: TypedRecord, put: Put) -> Judged:
    refused: list[Judged] = []

    def write() -> Fate:
        outcome = _judge(put([record.first])[0])
        if outcome.fate is Fate.REJECTED:
            refused.append(outcome)
        return outcome.fate

    written = attempt(connection, write)
    return refused[0] if refused else written


def _judge(outcome: Outcome) -> Judged:
    if outcome.state is ChangeState.REFUSED:
        return Judged(fate=Fate.REJECTED, reason=str(outcome.error))
    return Judged(fate=Fate.UNCHANGED if outcome.state is ChangeState.UNCHANGED else Fate.WRITTEN)


def _read_drafts(connection: Connection, skus: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what leaves products as they are, by sku, as far as they are there."""
    there = connection.execute(select(ProductRow.sku).where(ProductRow.sku.in_(skus))).scalars().all()
    return {
        sku: record.to_draft().model_dump(exclude={"unit_cost", "unit_price", "valid_from"})
        for sku, record in read_products(connection, there).items()
    }


def _product_draft(row: Values, known: Mapping[str, Any] | None) -> ProductDraft:
    values = dict(row)
    if "units" in values:
        values["units"] = [_split_unit(text) for text in values["units"]]
    if "barcodes" in values:
        values["barcodes"] = [_split_barcode(text) for text in values["barcodes"]]
    if known is None:
        is_measured = str(values.get("base_unit", "")).lower() in _MEASURED
        return read_draft(ProductDraft, {"quantity_decimals": _MEASURED_DECIMALS if is_measured else 0, **values})
    if "barcodes" in values:
        values["barcodes"] = _merged(known["barcodes"], values["barcodes"])
    return read_draft(ProductDraft, {**known, **values})


def _merged(known: Sequence[tuple[str, str]], given: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the barcodes that are there and those of a file: most other systems tell of one only."""
    gtins = {_normalised(gtin) for gtin, _ in given}
    return [*given, *(each for each in known if each[0] not in gtins)]


def _normalised(gtin: str) -> str:
    try:
        return normalise_gtin(gtin)
    except RestockError:
        return gtin


def _split_barcode(text: str) -> tuple[str, str]:
    gtin, _, unit = text.partition(":")
    return gtin.strip(), unit.strip()


def _split_unit(text: str) -> tuple[str, Decimal]:
    unit, _, factor = text.rpartition("=")
    try:
        return unit.strip(), Decimal(factor.strip())
    except ArithmeticError as error:
        raise DataError(f"units has {text!r}, expected such as case=12.") from error


def _known_term(connection: Connection, row: Values) -> dict[str, Any]:
    chosen = SupplyTermFilter(sku=row["sku"], location=row["location"], supplier=row["supplier"])
    found, _ = list_supply_terms(connection, chosen=chosen, limit=1)
    names = [name for name in SupplyTermDraft.model_fields if name in SupplyTermRow.__table__.c]
    return {name: getattr(found[0], name) for name in names} if found else {}
