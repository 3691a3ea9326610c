"""Transfers: goods leave one location, are in transit, and come to another in one part or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select, update

from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.order_tables import TransferLineRow, TransferRow
from restock.errors import ConflictError, DataError, NotFoundError
from restock.ledger.movements import Entry, Kind, Virtual, arrive, dispatch, write_off
from restock.operations.stock.booking import DraftLine, build_entries, describe_changes, post_part, require_past
from restock.operations.stock.once import Write, write_once
from restock.operations.stock.places import require_location
from restock.operations.stock.progress import add_arrived


class Outcome(StrEnum):
    """What became of goods that did not arrive."""

    RETURNED = "returned"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class TransferDraft:
    """A transfer as entered.

    Attributes:
        source: where the goods leave.
        target: where they go.
        lines: what; lots are chosen where they are left out.
        occurred_at: when they left, UTC.
        note: what else is to be known.
    """

    source: str
    target: str
    lines: tuple[DraftLine, ...]
    occurred_at: datetime
    note: str = ""


def dispatch_transfer(connection: Connection, draft: TransferDraft, write: Write) -> dict[str, Any]:
    """Return the reply to a transfer that leaves, posted once for its key.

    Args:
        connection: in a write transaction; the caller commits.
        draft: what.
        write: key, request, who and when.

    Raises:
        DataError: source and target are the same, or a line is not valid.
        NotFoundError: a sku or location is unknown.
        InsufficientStockError: there is not so much.
    """
    return write_once(connection, write, lambda: _dispatch(connection, draft, write))


def receive_transfer(
    connection: Connection, transfer: str, lines: Sequence[DraftLine], write: Write, *, occurred_at: datetime
) -> dict[str, Any]:
    """Return the reply to the arrival of a transfer or a part of it.

    Args:
        connection: in a write transaction; the caller commits.
        transfer: which.
        lines: what arrived; empty where all that is on its way did.
        write: key, request, who and when.
        occurred_at: when it arrived, UTC.

    Raises:
        NotFoundError: there is no such transfer.
        DataError: more arrived than is on its way.
    """

    def perform() -> dict[str, Any]:
        row = _lock(connection, transfer)
        require_past(occurred_at, now=write.now)
        entries = (
            build_entries(connection, lines, location=row["target"], kind=Kind.TRANSFER_IN, occurred_at=occurred_at)
            if lines
            else _left(connection, transfer)
        )
        if not entries:
            raise ConflictError(f"nothing of transfer {transfer!r} is on its way any more; it is {row['state']}.")
        movement = arrive(entries, location=row["target"], occurred_at=occurred_at, reference=transfer)
        posted = post_part(connection, movement, write)
        for entry in entries:
            add_arrived(connection, transfer, sku=entry.sku, lot=entry.lot, quantity=entry.quantity)
        return {
            "transfer": transfer,
            "state": _lock(connection, transfer)["state"],
            "movement": posted.reply["movement"],
            "lines": describe_changes(connection, movement, posted.balances),
        }

    return write_once(connection, write, perform)


def close_transfer(
    connection: Connection, transfer: str, write: Write, *, outcome: Outcome, reason: str
) -> dict[str, Any]:
    """Return the reply to the end of a transfer of which something never arrived.

    Args:
        connection: in a write transaction; the caller commits.
        transfer: which.
        write: key, request, who and when.
        outcome: whether the rest went back to the source or is lost.
        reason: why.

    Raises:
        NotFoundError: there is no such transfer.
        ConflictError: all of it has arrived.
    """

    def perform() -> dict[str, Any]:
        row = _lock(connection, transfer)
        entries = _left(connection, transfer)
        if not entries:
            raise ConflictError(f"all of transfer {transfer!r} has arrived; there is nothing to close.")
        movement = (
            arrive(entries, location=row["source"], occurred_at=write.now, reference=transfer)
            if outcome is Outcome.RETURNED
            else write_off(entries, location=Virtual.TRANSIT, occurred_at=write.now, reason=reason)
        )
        posted = post_part(connection, movement, write)
        connection.execute(
            update(TransferRow)
            .where(TransferRow.transfer == transfer)
            .values(state="closed", note=f"{row['note']}\n{outcome}: {reason}".strip(), version=TransferRow.version + 1)
        )
        return {
            "transfer": transfer,
            "state": "closed",
            "movement": posted.reply["movement"],
            "lines": describe_changes(connection, movement, posted.balances),
        }

    return write_once(connection, write, perform)


def _dispatch(connection: Connection, draft: TransferDraft, write: Write) -> dict[str, Any]:
    require_past(draft.occurred_at, now=write.now)
    if draft.source == draft.target:
        raise DataError(f"a transfer leads from one location to another, got {draft.source!r} twice.")
    require_location(connection, draft.target)
    transfer = f"TR-{new_identifier(write.now)}"
    entries = build_entries(
        connection, draft.lines, location=draft.source, kind=Kind.TRANSFER_OUT, occurred_at=draft.occurred_at
    )
    movement = dispatch(entries, location=draft.source, occurred_at=draft.occurred_at, reference=transfer)
    posted = post_part(connection, movement, write)
    connection.execute(
        insert(TransferRow),
        {
            "transfer": transfer,
            "source": draft.source,
            "target": draft.target,
            "state": "in_transit",
            "dispatched_at_utc": draft.occurred_at,
            "note": draft.note,
            "created_by": write.actor,
            "version": 1,
        },
    )
    rows = [
        {
            "transfer": transfer,
            "line": number,
            "sku": entry.sku,
            "lot": entry.lot,
            "quantity_dispatched": entry.quantity,
            "quantity_arrived": 0,
        }
        for number, entry in enumerate(entries, start=1)
    ]
    connection.execute(insert(TransferLineRow), rows)
    return {
        "transfer": transfer,
        "state": "in_transit",
        "movement": posted.reply["movement"],
        "lines": describe_changes(connection, movement, posted.balances),
    }


def _lock(connection: Connection, transfer: str) -> dict[str, Any]:
    row = (
        connection.execute(select(TransferRow.__table__).where(TransferRow.transfer == transfer).with_for_update())
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFoundError(f"there is no transfer {transfer!r}.")
    if row["state"] == "closed":
        raise ConflictError(f"transfer {transfer!r} is closed.")
    return dict(row)


def _left(connection: Connection, transfer: str) -> list[Entry]:
    """Return what of a transfer is still on its way."""
    rows = connection.execute(
        select(
            TransferLineRow.sku,
            TransferLineRow.lot,
            (TransferLineRow.quantity_dispatched - TransferLineRow.quantity_arrived).label("left"),
        )
        .where(TransferLineRow.transfer == transfer)
        .order_by(TransferLineRow.line)
    ).all()
    return [Entry(sku=row.sku, lot=row.lot, quantity=int(row.left)) for row in rows if row.left > 0]
