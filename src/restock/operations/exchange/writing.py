"""What every writer of records works with: who writes, and how one refused record leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, select
from sqlalchemy.exc import DataError as RefusedValueError
from sqlalchemy.exc import IntegrityError

from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.product_facts import ProductFacts
from restock.errors import NotFoundError, RestockError
from restock.operations.exchange.records import Fate, Judged, TypedRecord
from restock.operations.stock.booking_facts import BookingFacts, read_booking_facts
from restock.operations.stock.company import Company


@dataclass(frozen=True, kw_only=True)
class Writing:
    """Whose writing it is.

    Attributes:
        import_id: the import that the records came with.
        filename: its file, for people.
        actor: who.
        now: when, UTC.
    """

    import_id: str
    filename: str
    actor: str
    now: datetime


Writer = Callable[[Connection, Sequence[TypedRecord], Writing], list[Judged]]


def judge_each(
    connection: Connection, records: Sequence[TypedRecord], write: Callable[[TypedRecord], Fate]
) -> list[Judged]:
    """Return what became of records that are written one by one; one that is refused leaves nothing behind."""
    return [attempt(connection, partial(write, record)) for record in records]


def attempt(connection: Connection, write: Callable[[], Fate]) -> Judged:
    """Return what became of one write, all of it taken back where it is refused."""
    try:
        with connection.begin_nested():
            return Judged(fate=write())
    except RestockError as error:
        return Judged(fate=Fate.REJECTED, reason=str(error))
    except (IntegrityError, RefusedValueError) as error:
        # What no rule of ours foresaw; the database's own words go to the person who sent the file.
        return Judged(fate=Fate.REJECTED, reason=f"the database refuses it: {str(error.orig).splitlines()[0]}")


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """What of the catalogue some records need.

    Attributes:
        facts: of the products that are there.
        locations: those that are there.
    """

    facts: BookingFacts
    locations: frozenset[str]

    @property
    def company(self) -> Company:
        """Whose ledger it is."""
        return self.facts.company

    def product(self, sku: str) -> ProductFacts:
        """Return the facts of a product.

        Raises:
            NotFoundError: it is not in the catalogue.
        """
        if sku not in self.facts.products:
            raise NotFoundError(f"sku {sku!r} is not in the catalogue. Import the products first.")
        return self.facts.products[sku]

    def require_location(self, location: str) -> str:
        """Return a location of the company.

        Raises:
            NotFoundError: there is none of that name.
        """
        if location not in self.locations:
            raise NotFoundError(f"location {location!r} is unknown. Import or create the locations first.")
        return location


def look_up(connection: Connection, records: Iterable[TypedRecord]) -> Lookup:
    """Return what of the catalogue some records need."""
    rows = [row for record in records for row in record.rows]
    skus = {row["sku"] for row in rows if "sku" in row}
    places = sorted({row["location"] for row in rows if "location" in row})
    known = connection.execute(select(LocationRow.location).where(LocationRow.location.in_(places))).scalars().all()
    return Lookup(facts=read_booking_facts(connection, skus, must_be_known=False), locations=frozenset(known))
