"""Lots: when each expires, noted when it first comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from restock.adapters.database.catalogue_tables import LotRow
from restock.errors import DataError

_INSERTS: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


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
    chosen = select(LotRow.expires_on).where(LotRow.sku == sku, LotRow.lot == lot)
    known = connection.execute(chosen).one_or_none()
    if known is None:
        # Two receipts may bring a lot at once: the second one waits here, and then knows it from the first.
        noted = connection.execute(
            _INSERTS[connection.dialect.name](LotRow)
            .on_conflict_do_nothing(index_elements=[LotRow.sku, LotRow.lot])
            .returning(LotRow.lot),
            {"sku": sku, "lot": lot, "expires_on": expires_on},
        ).one_or_none()
        if noted is not None:
            return
        known = connection.execute(chosen).one()
    if expires_on is None or known.expires_on == expires_on:
        return
    if known.expires_on is not None:
        raise DataError(
            f"lot {lot!r} of {sku} expires on {known.expires_on}, got {expires_on}. Check the label; if the catalogue "
            "is wrong, correct the lot there first."
        )
    connection.execute(update(LotRow).where(LotRow.sku == sku, LotRow.lot == lot).values(expires_on=expires_on))
