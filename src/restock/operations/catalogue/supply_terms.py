"""Supply terms: at what cost, in what quantities and how fast a supplier delivers a product to a location."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, RowMapping, delete, insert, select

from restock.adapters.database.base import Base
from restock.adapters.database.catalogue_tables import LocationRow, ProductRow, SupplierRow, SupplyTermRow
from restock.adapters.database.keyset import SortKey, read_page
from restock.errors import NotFoundError, RestockError
from restock.ledger.quantities import UnitsOfMeasure
from restock.operations.catalogue.changes import (
    Change,
    ChangeState,
    Known,
    Outcome,
    Subject,
    in_chunks,
    judge,
    lock_catalogue,
    record_changes,
    require_outcome,
)
from restock.operations.catalogue.fields import Amount, CatalogueDraft, CatalogueError, Code
from restock.operations.catalogue.products import read_units
from restock.operations.stock.company import Company, read_company

SUPPLY_TERM = Subject(noun="supply_term", topic="catalogue.supply_terms", key="sku")
_KEY = ("sku", "location", "supplier")
_COLUMNS = (
    "unit_cost",
    "minimum_order_quantity",
    "order_multiple",
    "fixed_order_cost",
    "review_periods",
    "quoted_lead_time_days",
)
_OWNERS: dict[str, type[Base]] = {"sku": ProductRow, "location": LocationRow, "supplier": SupplierRow}
TermKey = tuple[str, str, str]


class SupplyTermDraft(CatalogueDraft):
    """On what terms a supplier is to deliver a product to a location."""

    sku: Code = Field(description="The product.")
    location: Code = Field(description="Where it is delivered.")
    supplier: Code = Field(description="Who delivers.")
    unit_cost: Amount = Field(description="Agreed cost of one base unit, currency.")
    minimum_order_quantity: Amount = Field(default=Decimal(1), description="Least of an order line, base units.")
    order_multiple: Amount = Field(
        default=Decimal(1), gt=0, description="Order quantities are whole multiples of this; base units."
    )
    fixed_order_cost: Amount = Field(default=Decimal(0), description="Cost of placing one order, currency.")
    review_periods: int = Field(default=1, ge=1, le=1000, description="Periods between two chances to order.")
    quoted_lead_time_days: int = Field(ge=0, le=3650, description="Days from order to delivery that are promised.")

    @property
    def key(self) -> TermKey:
        """Sku, location and supplier."""
        return self.sku, self.location, self.supplier


@dataclass(frozen=True, kw_only=True)
class SupplyTermRecord:
    """On what terms a supplier delivers a product to a location; money in the currency, quantities in base units.

    Attributes:
        sku: the product.
        location: where it is delivered.
        supplier: who delivers.
        unit_cost: agreed cost of one base unit.
        minimum_order_quantity: least of an order line.
        order_multiple: order quantities are whole multiples of this.
        fixed_order_cost: cost of placing one order.
        review_periods: periods between two chances to order.
        quoted_lead_time_days: days from order to delivery that are promised.
        base_unit: unit of the quantities.
    """

    sku: str
    location: str
    supplier: str
    unit_cost: Decimal
    minimum_order_quantity: Decimal
    order_multiple: Decimal
    fixed_order_cost: Decimal
    review_periods: int
    quoted_lead_time_days: int
    base_unit: str


@dataclass(frozen=True, kw_only=True)
class SupplyTermFilter:
    """Which supply terms; None where it does not matter."""

    sku: str | None = None
    location: str | None = None
    supplier: str | None = None


def put_supply_term(connection: Connection, draft: SupplyTermDraft, *, actor: str, now: datetime) -> SupplyTermRecord:
    """Create or change a supply term and return it; the same content again writes nothing.

    Args:
        connection: in a write transaction; the caller commits.
        draft: what it is to be.
        actor: who writes.
        now: the time, UTC.

    Raises:
        NotFoundError: the product, the location or the supplier is unknown.
        QuantityError: a quantity is not exact in the base unit, or money has too many decimal places.
    """
    for outcome in put_supply_terms(connection, [draft], actor=actor, now=now):
        require_outcome(outcome)
    found, _ = list_supply_terms(
        connection, chosen=SupplyTermFilter(sku=draft.sku, location=draft.location, supplier=draft.supplier), limit=1
    )
    return found[0]


def put_supply_terms(
    connection: Connection, drafts: Sequence[SupplyTermDraft], *, actor: str, now: datetime
) -> tuple[Outcome, ...]:
    """Create or change many supply terms and return what became of each, in their order; one refused leaves the others.

    The outcomes' key is the sku; their version is 1, since terms have none.

    Args:
        connection: in a write transaction; the caller commits.
        drafts: what they are to be.
        actor: who writes.
        now: the time, UTC.
    """
    lock_catalogue(connection)
    company = read_company(connection)
    seen: set[TermKey] = set()
    outcomes: list[Outcome] = []
    for chunk in in_chunks(drafts):
        there = {name: _find_there(connection, name, {getattr(draft, name) for draft in chunk}) for name in _OWNERS}
        units = read_units(connection, there["sku"])
        known = _read_known(connection, chunk)
        accepted: list[tuple[SupplyTermDraft, dict[str, Any], Change]] = []
        for draft in chunk:
            try:
                _require_there(draft, there, seen=seen)
                content = _content(draft, units[draft.sku], company)
                change = judge(draft.sku, content, known.get(draft.key), noun=SUPPLY_TERM.noun, expected_version=None)
            except RestockError as error:
                outcomes.append(Outcome(key=draft.sku, state=ChangeState.REFUSED, error=error))
                continue
            state = ChangeState.UNCHANGED if change is None else change.state
            outcomes.append(Outcome(key=draft.sku, state=state, version=1))
            if change is not None:
                accepted.append((draft, content, change))
        _write(connection, accepted, actor=actor, now=now)
    return tuple(outcomes)


def list_supply_terms(
    connection: Connection,
    *,
    chosen: SupplyTermFilter | None = None,
    after: Sequence[Any] | None = None,
    limit: int = 100,
) -> tuple[list[SupplyTermRecord], tuple[Any, ...] | None]:
    """Return a page of supply terms by sku, location and supplier, and where the next one begins."""
    table = SupplyTermRow.__table__
    statement = select(table)
    for name in _KEY:
        value = getattr(chosen or SupplyTermFilter(), name)
        if value is not None:
            statement = statement.where(table.c[name] == value)
    page = read_page(
        connection, statement, keys=[SortKey(column=table.c[name]) for name in _KEY], after=after, limit=limit
    )
    units, company = read_units(connection, {row["sku"] for row in page.rows}), read_company(connection)
    return [_record(row, units[row["sku"]], company) for row in page.rows], page.after


def _find_there(connection: Connection, name: str, keys: set[str]) -> set[str]:
    """Return which skus, locations or suppliers are in the catalogue."""
    column = _OWNERS[name].__table__.c[name]
    return set(connection.execute(select(column).where(column.in_(sorted(keys)))).scalars())


def _require_there(draft: SupplyTermDraft, there: dict[str, set[str]], *, seen: set[TermKey]) -> None:
    for name, known in there.items():
        if getattr(draft, name) not in known:
            raise NotFoundError(f"{name} {getattr(draft, name)!r} is not in the catalogue. Add it first.")
    if draft.key in seen:
        raise CatalogueError(f"the supply term of {' / '.join(draft.key)} comes twice in one batch. Send it once.")
    seen.add(draft.key)


def _content(draft: SupplyTermDraft, units: UnitsOfMeasure, company: Company) -> dict[str, Any]:
    return {
        "unit_cost": company.to_minor(draft.unit_cost),
        "minimum_order_quantity": units.to_scaled(draft.minimum_order_quantity, units.base_unit),
        "order_multiple": units.to_scaled(draft.order_multiple, units.base_unit),
        "fixed_order_cost": company.to_minor(draft.fixed_order_cost),
        "review_periods": draft.review_periods,
        "quoted_lead_time_days": draft.quoted_lead_time_days,
    }


def _read_known(connection: Connection, drafts: Sequence[SupplyTermDraft]) -> dict[TermKey, Known]:
    skus = sorted({draft.sku for draft in drafts})
    rows = connection.execute(select(SupplyTermRow.__table__).where(SupplyTermRow.sku.in_(skus))).mappings()
    return {
        (row["sku"], row["location"], row["supplier"]): Known(version=1, content={name: row[name] for name in _COLUMNS})
        for row in rows
    }


def _write(
    connection: Connection,
    accepted: Sequence[tuple[SupplyTermDraft, dict[str, Any], Change]],
    *,
    actor: str,
    now: datetime,
) -> None:
    if not accepted:
        return
    for draft, _, change in accepted:
        if change.state is ChangeState.CHANGED:
            connection.execute(
                delete(SupplyTermRow).where(
                    SupplyTermRow.sku == draft.sku,
                    SupplyTermRow.location == draft.location,
                    SupplyTermRow.supplier == draft.supplier,
                )
            )
    rows = [{**dict(zip(_KEY, draft.key, strict=True)), **content} for draft, content, _ in accepted]
    connection.execute(insert(SupplyTermRow), rows)
    changes = [
        Change(
            key=change.key,
            state=change.state,
            version=1,
            fields=change.fields,
            also={"location": draft.location, "supplier": draft.supplier},
        )
        for draft, _, change in accepted
    ]
    record_changes(connection, changes, subject=SUPPLY_TERM, actor=actor, now=now)


def _record(row: RowMapping, units: UnitsOfMeasure, company: Company) -> SupplyTermRecord:
    def money(amount: int) -> Decimal:
        return Decimal(amount).scaleb(-company.currency_decimals)

    return SupplyTermRecord(
        sku=row["sku"],
        location=row["location"],
        supplier=row["supplier"],
        unit_cost=money(row["unit_cost"]),
        minimum_order_quantity=units.from_scaled(row["minimum_order_quantity"]),
        order_multiple=units.from_scaled(row["order_multiple"]),
        fixed_order_cost=money(row["fixed_order_cost"]),
        review_periods=row["review_periods"],
        quoted_lead_time_days=row["quoted_lead_time_days"],
        base_unit=units.base_unit,
    )
