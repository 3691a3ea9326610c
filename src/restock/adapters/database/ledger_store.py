"""The ledger in a database: a movement with its lines, balances, outbox event and audit entry in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, literal, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.journal import append_audit, append_event
from restock.adapters.database.ledger_tables import BalanceRow, IdempotencyRow, MovementLineRow, MovementRow
from restock.errors import ConflictError, DataError, NotFoundError
from restock.ledger.balances import BalanceKey, Shortage, add_up, find_shortages, require_stock
from restock.ledger.movements import Kind, Line, Movement, checked

TOPIC = "stock.movements"
_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_INSERTS: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class IdempotencyError(DataError):
    """A key that came with one request came again with another."""

    http_status = 422
    title = "The idempotency key was used for another request"


@dataclass(frozen=True, kw_only=True)
class Posting:
    """A movement to be posted.

    Attributes:
        movement: what.
        identifier: unique; rises with time, such as a UUID version 7.
        key: idempotency key that came with the request.
        request: the request, ready for JSON; what the key stands for.
        posted_by: who.
        posted_at: when, UTC.
    """

    movement: Movement
    identifier: str
    key: str
    request: Mapping[str, Any]
    posted_by: str
    posted_at: datetime


@dataclass(frozen=True, kw_only=True)
class Posted:
    """What became of a posting.

    Attributes:
        reply: what is answered, now and whenever the same request comes again with its key.
        is_repeated: whether it was posted before.
        below_zero: balances that fell below zero where that is allowed; an alert is due.
        balances: what it touched, after it; empty where it was posted before.
    """

    reply: dict[str, Any]
    is_repeated: bool
    below_zero: tuple[Shortage, ...] = ()
    balances: Mapping[BalanceKey, int] = field(default_factory=dict)


def post(connection: Connection, posting: Posting) -> Posted:
    """Post a movement in the transaction of `connection`, once for its key, and return the reply.

    Args:
        connection: in a write transaction; the caller commits.
        posting: what to post.

    Raises:
        IdempotencyError: the key was used for another request.
        MovementError: the movement does not keep double entry.
        InsufficientStockError: it would take more from a location than there is.
        NotFoundError: a location is unknown, or the movement that it reverses.
        ConflictError: the movement that it reverses is reversed already.
    """
    reply = claim_key(connection, posting.key, request=posting.request, now=posting.posted_at)
    if reply is not None:
        return Posted(reply=reply, is_repeated=True)
    return post_claimed(connection, posting)


def post_claimed(connection: Connection, posting: Posting) -> Posted:
    """Post a movement whose key has been claimed in this transaction, and return the reply.

    Args:
        connection: in the write transaction in which `claim_key` returned None.
        posting: what to post.

    Raises:
        MovementError: the movement does not keep double entry.
        InsufficientStockError: it would take more from a location than there is.
        NotFoundError: a location is unknown, or the movement that it reverses.
        ConflictError: the movement that it reverses is reversed already.
    """
    posted = write_movement(connection, posting)
    fill_reply(connection, posting.key, posted.reply)
    return posted


def write_movement(connection: Connection, posting: Posting) -> Posted:
    """Write a movement with its lines, balances, event and audit entry, as part of a write that claimed the key.

    Args:
        connection: in a write transaction in which the key of that write was claimed.
        posting: what to post.

    Raises:
        MovementError: the movement does not keep double entry.
        InsufficientStockError: it would take more from a location than there is.
        NotFoundError: a location is unknown, or the movement that it reverses.
        ConflictError: the movement that it reverses is reversed already.
    """
    movement = checked(posting.movement)
    allowed = _read_allowed(connection, movement.lines)
    changes = add_up(movement.lines)
    after = change_balances(connection, changes)
    # Another reversal of the same movement has changed the same balances: it is committed by now, and seen.
    _look_up_reversal(connection, movement)
    before = {key: after[key] - change for key, change in changes.items()}
    below = find_shortages(changes, before, may_be_negative=frozenset())
    require_stock([each for each in below if each.location not in allowed])
    _insert_movement(connection, posting)
    _insert_event(connection, posting)
    _insert_audit(connection, posting)
    return Posted(reply=build_reply(posting), is_repeated=False, below_zero=below, balances=after)


def build_reply(posting: Posting) -> dict[str, Any]:
    """Return what a posting is answered with once it is posted."""
    movement = posting.movement
    return {"movement": posting.identifier, "kind": movement.kind.value, "lines": len(movement.lines)}


def build_event(posting: Posting) -> dict[str, Any]:
    """Return what others are told of a posting."""
    movement = posting.movement
    return {
        "movement": posting.identifier,
        "kind": movement.kind.value,
        "occurred_at_utc": movement.occurred_at.isoformat(),
        "reference": movement.reference,
        "lines": [
            {"sku": line.sku, "location": line.location, "lot": line.lot, "quantity": line.quantity}
            for line in movement.lines
        ],
    }


def digest_request(request: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a request, the same in whatever order its fields come."""
    return hashlib.sha256(_CANONICAL.encode(request).encode()).hexdigest()


def repeat_reply(key: str, digest: str, *, recorded: str, reply: dict[str, Any]) -> dict[str, Any]:
    """Return the reply that a key got before.

    Raises:
        IdempotencyError: it came with another request then.
    """
    if recorded != digest:
        raise IdempotencyError(
            f"idempotency key {key!r} came with another request before. Send a new key with a new request."
        )
    return reply


def require_reversible(movement: str, *, is_posted: bool, reversed_by: str | None) -> None:
    """Refuse to reverse what is not there, or is reversed already.

    Raises:
        NotFoundError: the movement is not there.
        ConflictError: another one has reversed it.
    """
    if not is_posted:
        raise NotFoundError(f"there is no movement {movement!r}.")
    if reversed_by is not None:
        raise ConflictError(f"movement {movement!r} is reversed already, by {reversed_by!r}.")


def change_balances(connection: Connection, changes: Mapping[BalanceKey, int]) -> dict[BalanceKey, int]:
    """Add changes to balances and return what they are then, locked in one order, so that writers don't deadlock.

    Args:
        connection: in a write transaction.
        changes: change by (sku, location, lot).
    """
    build = _INSERTS[connection.dialect.name]
    statement = build(BalanceRow)
    statement = statement.on_conflict_do_update(
        index_elements=[BalanceRow.sku, BalanceRow.location, BalanceRow.lot],
        set_={
            "quantity": BalanceRow.quantity + statement.excluded.quantity,
            "version": BalanceRow.version + 1,
        },
    ).returning(BalanceRow.quantity)
    after = {}
    for key in sorted(changes):
        sku, location, lot = key
        row = {"sku": sku, "location": location, "lot": lot, "quantity": changes[key], "version": 1}
        after[key] = int(connection.execute(statement, row).scalar_one())
    return after


def read_movement(connection: Connection, identifier: str) -> Movement:
    """Return a posted movement.

    Raises:
        NotFoundError: there is none with that identifier.
    """
    found = (
        connection.execute(select(MovementRow.__table__).where(MovementRow.movement == identifier))
        .mappings()
        .one_or_none()
    )
    if found is None:
        raise NotFoundError(f"there is no movement {identifier!r}.")
    lines = connection.execute(
        select(MovementLineRow.__table__).where(MovementLineRow.movement == identifier).order_by(MovementLineRow.line)
    ).mappings()
    return Movement(
        kind=Kind(found["kind"]),
        occurred_at=found["occurred_at_utc"],
        lines=tuple(_read_line(row) for row in lines),
        reference=found["reference"],
        reason=found["reason"],
        reverses=found["reverses"],
    )


def read_balance(connection: Connection, sku: str, location: str) -> int:
    """Return the balance of a sku at a location over all lots, scaled base units."""
    total = select(func.coalesce(func.sum(BalanceRow.quantity), 0)).where(
        BalanceRow.sku == sku, BalanceRow.location == location
    )
    return int(connection.execute(total).scalar_one())


def find_differences(connection: Connection) -> Iterator[tuple[BalanceKey, int, int]]:
    """Yield every balance that is not what its lines add up to: key, recorded, recomputed; sorted by key."""
    keys = ("sku", "location", "lot")
    sides = union_all(
        select(
            *(getattr(BalanceRow, key) for key in keys),
            BalanceRow.quantity.label("recorded"),
            literal(0).label("total"),
        ),
        select(*(getattr(MovementLineRow, key) for key in keys), literal(0), MovementLineRow.quantity),
    ).subquery()
    recorded, total = func.sum(sides.c.recorded), func.sum(sides.c.total)
    columns = [sides.c[key] for key in keys]
    found = select(*columns, recorded, total).group_by(*columns).having(recorded != total).order_by(*columns)
    for row in connection.execute(found):
        yield (row[0], row[1], row[2]), int(row[3]), int(row[4])


def find_unbalanced(connection: Connection) -> tuple[str, str, str, int] | None:
    """Return the first movement whose lines don't sum to zero per sku and lot, with what they sum to; None if none."""
    total = func.sum(MovementLineRow.quantity)
    found = connection.execute(
        select(MovementLineRow.movement, MovementLineRow.sku, MovementLineRow.lot, total)
        .group_by(MovementLineRow.movement, MovementLineRow.sku, MovementLineRow.lot)
        .having(total != 0)
        .order_by(MovementLineRow.movement)
        .limit(1)
    ).one_or_none()
    return None if found is None else (found[0], found[1], found[2], int(found[3]))


def claim_key(connection: Connection, key: str, *, request: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
    """Claim an idempotency key and return None, or return the reply that it got before.

    On PostgreSQL a second request with the key waits here until the first has committed or failed.

    Args:
        connection: in a write transaction; the claim is part of it.
        key: as the client sent it.
        request: what the key stands for, ready for JSON: who, what, with which content.
        now: the time, UTC.

    Raises:
        IdempotencyError: the key came with another request before.
    """
    digest = digest_request(request)
    build = _INSERTS[connection.dialect.name]
    row = {"key": key, "request_sha256": digest, "reply": {}, "created_at_utc": now}
    claimed = connection.execute(
        build(IdempotencyRow).on_conflict_do_nothing(index_elements=[IdempotencyRow.key]).returning(IdempotencyRow.key),
        row,
    ).one_or_none()
    if claimed is not None:
        return None
    known = connection.execute(
        select(IdempotencyRow.request_sha256, IdempotencyRow.reply).where(IdempotencyRow.key == key)
    ).one()
    return repeat_reply(key, digest, recorded=known.request_sha256, reply=known.reply)


def fill_reply(connection: Connection, key: str, reply: Mapping[str, Any]) -> None:
    """Keep the reply under a key that was claimed in this transaction."""
    table = IdempotencyRow.__table__
    connection.execute(table.update().where(IdempotencyRow.key == key).values(reply=dict(reply)))  # type: ignore[attr-defined]


def _look_up_reversal(connection: Connection, movement: Movement) -> None:
    """Refuse to reverse what is not there, or is reversed already."""
    if movement.reverses is None:
        return
    posted = connection.execute(select(MovementRow.movement).where(MovementRow.movement == movement.reverses))
    earlier = connection.execute(select(MovementRow.movement).where(MovementRow.reverses == movement.reverses))
    require_reversible(
        movement.reverses, is_posted=posted.first() is not None, reversed_by=earlier.scalar_one_or_none()
    )


def _read_allowed(connection: Connection, lines: Sequence[Line]) -> frozenset[str]:
    """Return the locations among the lines that may go below zero; every physical one must be known.

    Raises:
        NotFoundError: a location is unknown.
    """
    physical = {line.location for line in lines if not line.location.startswith("@")}
    rows = connection.execute(
        select(LocationRow.location, LocationRow.may_be_negative).where(LocationRow.location.in_(sorted(physical)))
    ).all()
    unknown = sorted(physical - {row.location for row in rows})
    if unknown:
        raise NotFoundError(f"location {unknown[0]!r} is unknown. Add it to the catalogue first.")
    return frozenset(row.location for row in rows if row.may_be_negative)


def _insert_movement(connection: Connection, posting: Posting) -> None:
    movement = posting.movement
    connection.execute(
        insert(MovementRow),
        {
            "movement": posting.identifier,
            "kind": movement.kind.value,
            "occurred_at_utc": movement.occurred_at,
            "posted_at_utc": posting.posted_at,
            "posted_by": posting.posted_by,
            "reference": movement.reference,
            "reason": movement.reason,
            "reverses": movement.reverses,
        },
    )
    rows = [
        {
            "movement": posting.identifier,
            "line": number,
            "sku": line.sku,
            "location": line.location,
            "lot": line.lot,
            "quantity": line.quantity,
            "unit_cost": line.unit_cost,
            "unit_price": line.unit_price,
            "entered_quantity": line.entered_quantity,
            "entered_unit": line.entered_unit,
        }
        for number, line in enumerate(movement.lines, start=1)
    ]
    connection.execute(insert(MovementLineRow), rows)


def _insert_event(connection: Connection, posting: Posting) -> None:
    append_event(
        connection,
        topic=TOPIC,
        payload=build_event(posting),
        now=posting.posted_at,
        event=posting.identifier,
    )


def _insert_audit(connection: Connection, posting: Posting) -> None:
    append_audit(
        connection,
        actor=posting.posted_by,
        action=f"post_{posting.movement.kind.value}",
        subject=posting.identifier,
        now=posting.posted_at,
        details={"key": posting.key, "request_sha256": digest_request(posting.request)},
    )


def _read_line(row: RowMapping) -> Line:
    names = ("sku", "location", "quantity", "lot", "unit_cost", "unit_price", "entered_quantity", "entered_unit")
    return Line(**{name: row[name] for name in names})
