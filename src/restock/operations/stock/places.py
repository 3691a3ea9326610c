"""Whether a location is one of the company's own."""

from __future__ import annotations

from sqlalchemy import Connection, select

from restock.adapters.database.catalogue_tables import LocationRow
from restock.errors import NotFoundError
from restock.ledger.movements import is_virtual


def require_location(connection: Connection, location: str) -> None:
    """Refuse a location that the company does not have.

    Raises:
        NotFoundError: it is unknown or virtual.
    """
    known = connection.execute(
        select(LocationRow.location).where(LocationRow.location == location)
    ).scalar_one_or_none()
    if known is None or is_virtual(location):
        raise NotFoundError(f"location {location!r} is unknown. Add it to the catalogue first.")
