"""Lots: when each expires, noted when it first comes."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, insert, select, update

from restock.adapters.database.catalogue_tables import LotRow
from restock.errors import DataError


def note_expiry(connection: Connection, sku: str, lot: str, *, expires_on: date | None) -> None:
    """Note a lot and when it expires.

    Args:
        connection: in a write transaction.
        sku: the product.
        lot: the lot.
        expires_on: last day that it may be sold; None where it is not said.

    Raises:
        DataError: the lot is known with another expiry.
    """
    known = connection.execute(select(LotRow.expires_on).where(LotRow.sku == sku, LotRow.lot == lot)).one_or_none()
    if known is None:
        connection.execute(insert(LotRow), {"sku": sku, "lot": lot, "expires_on": expires_on})
        return
    if expires_on is None or known.expires_on == expires_on:
        return
    if known.expires_on is not None:
        raise DataError(
            f"lot {lot!r} of {sku} expires on {known.expires_on}, got {expires_on}. Check the label; if the catalogue "
            "is wrong, correct the lot there first."
        )
    connection.execute(update(LotRow).where(LotRow.sku == sku, LotRow.lot == lot).values(expires_on=expires_on))
