"""What is written with every deed: an entry of the audit log, and an event for those who want to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.ledger_tables import AuditRow, OutboxRow


def append_audit(
    connection: Connection, *, actor: str, action: str, subject: str, now: datetime, details: Mapping[str, Any]
) -> None:
    """Write who did what.

    Args:
        connection: in the transaction of the deed.
        actor: who.
        action: a verb and what it was done to, such as send_purchase_order.
        subject: identifier of what it was done to.
        now: the time, UTC.
        details: what else is worth knowing, ready for JSON; never a secret.
    """
    row = {"at_utc": now, "actor": actor, "action": action, "subject": subject, "details": dict(details)}
    connection.execute(insert(AuditRow), row)


def append_event(
    connection: Connection, *, topic: str, payload: Mapping[str, Any], now: datetime, event: str | None = None
) -> None:
    """Write an event that is delivered at least once.

    Args:
        connection: in the transaction of the deed.
        topic: what it is about, such as stock.movements.
        payload: what happened, ready for JSON.
        now: the time, UTC.
        event: its identifier, by which receivers know repeats; a new one where it is left out.
    """
    row = {
        "event": event or new_identifier(now),
        "topic": topic,
        "payload": dict(payload),
        "created_at_utc": now,
    }
    connection.execute(insert(OutboxRow), row)
