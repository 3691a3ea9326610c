"""What a posting may tell of at once: balances below zero raise an alert, and end it when they are mended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from restock.ledger.balances import BalanceKey


def watch_balances(connection: Connection, balances: Mapping[BalanceKey, int], *, now: datetime) -> None:
    """Raise or end the alerts that balances call for.

    Args:
        connection: in the transaction of the posting.
        balances: what was touched, after it; scaled base units.
        now: the time, UTC.
    """
