"""Lots: which a product has, when each expires, and correcting it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, select, update

from restock.adapters.database.catalogue_tables import LotRow
from restock.adapters.database.keyset import SortKey, read_page
from restock.adapters.database.product_facts import read_product_facts
from restock.operations.catalogue.changes import Change, ChangeState, Subject, lock_catalogue, record_changes
from restock.operations.catalogue.fields import CatalogueDraft, CatalogueError, Code
from restock.operations.stock.lots import note_expiry

LOT = Subject(noun="lot", topic="catalogue.lots", key="sku")


class LotDraft(CatalogueDraft):
    """What a lot is to be."""

    sku: Code = Field(description="The product.")
    lot: Code = Field(description="Lot number as printed on it.")
    expires_on: date | None = Field(default=None, description="Last day it may be sold; null: does not expire.")


@dataclass(frozen=True, kw_only=True)
class LotRecord:
    """A lot as it is.

    Attributes:
        sku: the product.
        lot: lot number.
        expires_on: last day it may be sold; None where it does not expire or is not known.
    """

    sku: str
    lot: str
    expires_on: date | None


def put_lot(connection: Connection, draft: LotDraft, *, actor: str, now: datetime) -> LotRecord:
    """Create a lot or correct its expiry, and return it; the same content again writes nothing.

    Args:
        connection: in a write transaction; the caller commits.
        draft: what it is to be.
        actor: who writes.
        now: the time, UTC.

    Raises:
        NotFoundError: the product is unknown.
        CatalogueError: it is not kept by lots.
    """
    lock_catalogue(connection)
    facts = read_product_facts(connection, [draft.sku])[draft.sku]
    if not facts.is_lot_tracked:
        raise CatalogueError(f"sku {draft.sku!r} is not kept by lots. Set is_lot_tracked first.")
    record = LotRecord(sku=draft.sku, lot=draft.lot, expires_on=draft.expires_on)
    known = connection.execute(
        select(LotRow.expires_on).where(LotRow.sku == draft.sku, LotRow.lot == draft.lot)
    ).one_or_none()
    if known is None:
        note_expiry(connection, draft.sku, draft.lot, expires_on=draft.expires_on)
    elif known.expires_on == draft.expires_on:
        return record
    else:
        connection.execute(
            update(LotRow).where(LotRow.sku == draft.sku, LotRow.lot == draft.lot).values(expires_on=draft.expires_on)
        )
    change = Change(
        key=draft.sku,
        state=ChangeState.CREATED if known is None else ChangeState.CHANGED,
        version=1,
        fields={
            "expires_on": {
                "from": None if known is None else _text(known.expires_on),
                "to": _text(draft.expires_on),
            }
        },
        also={"lot": draft.lot},
    )
    record_changes(connection, [change], subject=LOT, actor=actor, now=now)
    return record


def list_lots(
    connection: Connection, sku: str, *, after: Sequence[Any] | None = None, limit: int = 100
) -> tuple[list[LotRecord], tuple[Any, ...] | None]:
    """Return a page of a product's lots by number, and where the next one begins; None where it was the last.

    Raises:
        NotFoundError: the product is unknown.
    """
    read_product_facts(connection, [sku])
    statement = select(LotRow.__table__).where(LotRow.sku == sku)
    page = read_page(connection, statement, keys=[SortKey(column=LotRow.__table__.c.lot)], after=after, limit=limit)
    return [LotRecord(sku=sku, lot=row["lot"], expires_on=row["expires_on"]) for row in page.rows], page.after


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
