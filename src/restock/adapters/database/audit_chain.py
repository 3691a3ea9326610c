"""The chain over the audit log: sealed by one process at a time, and checked the same way.

Entries are written without a hash, in the transaction of the deed, so that writers don't wait for one another. A sealer
follows and lays the chain over what has been committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, text

from restock.adapters.database.ledger_tables import AuditRow, AuditSealRow
from restock.ledger.chain import GENESIS, hash_entry

_AT_A_TIME = 10_000


def seal_audit(connection: Connection, *, now: datetime) -> int:
    """Lay the chain over the entries after the last seal and return how many there were.

    Args:
        connection: in a write transaction.
        now: the time, UTC.
    """
    if connection.dialect.name == "postgresql":
        # Numbers are given before a transaction commits: an entry with a lower one may still be under way. The lock
        # waits for the writers of this moment and holds off the next ones, and other sealers, until the seal is set.
        connection.execute(text("LOCK TABLE audit_log IN SHARE ROW EXCLUSIVE MODE"))
    last = connection.execute(
        select(AuditSealRow.position, AuditSealRow.digest).order_by(AuditSealRow.position.desc()).limit(1)
    ).one_or_none()
    position, digest = (0, GENESIS) if last is None else (int(last[0]), bytes(last[1]).hex())
    n_sealed = 0
    for row in _read_entries(connection, after=position):
        position, digest = int(row["position"]), hash_entry(digest, _content(row))
        n_sealed += 1
    if n_sealed:
        seal = {"position": position, "sealed_at_utc": now, "digest": bytes.fromhex(digest)}
        connection.execute(insert(AuditSealRow), seal)
    return n_sealed


def find_broken_seal(connection: Connection) -> int | None:
    """Return the position of the first seal that the entries up to it no longer give; None where all hold."""
    rows = connection.execute(select(AuditSealRow.position, AuditSealRow.digest).order_by(AuditSealRow.position))
    seals = {int(position): bytes(recorded).hex() for position, recorded in rows}
    digest, last = GENESIS, max(seals, default=0)
    for row in _read_entries(connection, after=0) if seals else ():
        position = int(row["position"])
        if position > last:
            # Nothing vouches for what no seal covers yet.
            break
        digest = hash_entry(digest, _content(row))
        recorded = seals.pop(position, None)
        if recorded is not None and recorded != digest:
            return position
    # A seal whose entry is gone.
    return min(seals, default=None)


def _read_entries(connection: Connection, *, after: int) -> Iterator[RowMapping]:
    """Yield the entries after a position, in order, some at a time."""
    while True:
        rows = (
            connection.execute(
                select(AuditRow.__table__)
                .where(AuditRow.position > after)
                .order_by(AuditRow.position)
                .limit(_AT_A_TIME)
            )
            .mappings()
            .all()
        )
        yield from rows
        if len(rows) < _AT_A_TIME:
            return
        after = int(rows[-1]["position"])


def _content(row: RowMapping) -> dict[str, Any]:
    return {
        "position": int(row["position"]),
        "at_utc": row["at_utc"].isoformat(),
        "actor": row["actor"],
        "action": row["action"],
        "subject": row["subject"],
        "details": row["details"],
    }
