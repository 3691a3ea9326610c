"""Locations: where stock is. The ends of movements outside the company, "@supplier" and the like, are no locations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from sqlalchemy import Connection, RowMapping, select

from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.keyset import Page, SortKey, read_page
from restock.errors import NotFoundError
from restock.ledger.movements import is_virtual
from restock.operations.catalogue.changes import Outcome, Subject, put_rows, require_outcome
from restock.operations.catalogue.fields import CatalogueDraft, CatalogueError, Code, Name, OptionalCode

LOCATION = Subject(noun="location", topic="catalogue.locations", key="location")


class LocationKind(StrEnum):
    """What a location is."""

    STORE = "store"
    WAREHOUSE = "warehouse"


def _require_own(location: str) -> str:
    if is_virtual(location):
        raise ValueError("names that begin with @ are the ledger's own, such as @supplier; choose another name")
    return location


class LocationDraft(CatalogueDraft):
    """What a location is to be."""

    location: Annotated[Code, AfterValidator(_require_own)] = Field(description="Its name in the ledger.")
    name: Name = Field(description="Name shown to people.")
    kind: LocationKind = Field(default=LocationKind.STORE, description="What it is.")
    region: OptionalCode = Field(default="", description="Region or city.")
    capacity: Decimal | None = Field(
        default=None,
        ge=0,
        le=Decimal(10) ** 11,
        decimal_places=3,
        allow_inf_nan=False,
        description="Units it can hold; null where no limit is known.",
    )
    may_be_negative: bool = Field(
        default=False, description="Whether its stock may go below zero, as a till that must not stop needs."
    )
    is_active: bool = Field(default=True, description="Whether it is in use.")


@dataclass(frozen=True, kw_only=True)
class LocationRecord:
    """A location as it is.

    Attributes:
        location: its name in the ledger.
        name: name shown to people.
        kind: what it is.
        region: region or city.
        capacity: units it can hold; None where no limit is known.
        may_be_negative: whether its stock may go below zero.
        is_active: whether it is in use.
        version: rises with every change.
    """

    location: str
    name: str
    kind: str
    region: str
    capacity: Decimal | None
    may_be_negative: bool
    is_active: bool
    version: int


@dataclass(frozen=True, kw_only=True)
class LocationFilter:
    """Which locations; None where it does not matter."""

    kind: LocationKind | None = None
    region: str | None = None
    is_active: bool | None = None


def put_location(
    connection: Connection, draft: LocationDraft, *, actor: str, now: datetime, expected_version: int | None = None
) -> LocationRecord:
    """Create or change a location and return it; the same content again writes nothing.

    Args:
        connection: in a write transaction; the caller commits.
        draft: what it is to be.
        actor: who writes.
        now: the time, UTC.
        expected_version: version that the author saw, 0 for none; None where it does not matter.

    Raises:
        VersionConflictError: it has changed since.
    """
    expected = None if expected_version is None else {draft.location: expected_version}
    for outcome in put_locations(connection, [draft], actor=actor, now=now, expected_versions=expected):
        require_outcome(outcome)
    return read_location(connection, draft.location)


def put_locations(
    connection: Connection,
    drafts: Sequence[LocationDraft],
    *,
    actor: str,
    now: datetime,
    expected_versions: Mapping[str, int] | None = None,
) -> tuple[Outcome, ...]:
    """Create or change many locations and return what became of each, in their order.

    Raises:
        CatalogueError: one comes twice.
    """
    contents = {draft.location: _content(draft) for draft in drafts}
    if len(contents) != len(drafts):
        raise CatalogueError("a location comes twice in one batch. Send each of them once.")
    return put_rows(
        connection,
        LocationRow,
        contents,
        subject=LOCATION,
        actor=actor,
        now=now,
        expected_versions=expected_versions,
    )


def read_location(connection: Connection, location: str) -> LocationRecord:
    """Return a location.

    Raises:
        NotFoundError: there is none of that name.
    """
    found = (
        connection.execute(select(LocationRow.__table__).where(LocationRow.location == location))
        .mappings()
        .one_or_none()
    )
    if found is None:
        raise NotFoundError(f"location {location!r} is unknown. GET /api/v1/locations lists all.")
    return _record(found)


def list_locations(
    connection: Connection,
    *,
    chosen: LocationFilter | None = None,
    after: Sequence[Any] | None = None,
    limit: int = 100,
) -> tuple[list[LocationRecord], tuple[Any, ...] | None]:
    """Return a page of locations by name, and where the next one begins; None where it was the last."""
    wanted = chosen or LocationFilter()
    statement = select(LocationRow.__table__)
    if wanted.kind is not None:
        statement = statement.where(LocationRow.kind == wanted.kind.value)
    if wanted.region is not None:
        statement = statement.where(LocationRow.region == wanted.region)
    if wanted.is_active is not None:
        statement = statement.where(LocationRow.is_active == wanted.is_active)
    page: Page = read_page(
        connection, statement, keys=[SortKey(column=LocationRow.__table__.c.location)], after=after, limit=limit
    )
    return [_record(row) for row in page.rows], page.after


def _content(draft: LocationDraft) -> dict[str, Any]:
    return {**draft.model_dump(exclude={"location", "kind"}), "kind": draft.kind.value}


def _record(row: RowMapping) -> LocationRecord:
    return LocationRecord(**{name: row[name] for name in LocationRecord.__dataclass_fields__})
