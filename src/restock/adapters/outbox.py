"""The outbox as a log: committed events get consecutive numbers, so that whoever follows the numbers misses none.

A row's `position` does not serve for that. PostgreSQL draws it before the transaction commits, so a row with a lower
position may appear after one with a higher position was read; a cursor over positions would step past it. Waiting until
every older transaction is over (`pg_snapshot_xmin`) would let one long import hold up all events, and a lock on the
table would let events hold up the writers. So nobody follows positions. One publisher at a time takes the rows that it
can see, which are committed, and gives each the next `sequence` in the order of their positions. A row that appears
late gets a later number; nothing is numbered below what has been published. Publishing holds an advisory lock on
PostgreSQL, and the database's one write lock on SQLite, until it has committed: numbers become visible in their order,
without gaps.

The order is the one in which effects depend on one another: a writer that waited for another one's balance draws its
position after that one has committed, so the two are numbered in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from restock.adapters.database.delivery_tables import OutboxCursorRow
from restock.adapters.database.ledger_tables import OutboxRow

# Any number that nothing else in this database locks.
_PUBLISHER_LOCK = 7_305_114_020
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
EVERY_TOPIC = "*"
_SUBTOPICS = ".*"


@dataclass(frozen=True, kw_only=True)
class OutboxEvent:
    """A published event.

    Attributes:
        sequence: its number; consecutive, from 1.
        event: its identifier, by which receivers know repeats.
        topic: what it is about, such as stock.movements.
        payload: what happened.
        created_at: when, UTC.
    """

    sequence: int
    event: str
    topic: str
    payload: Mapping[str, Any]
    created_at: datetime

    def envelope(self) -> dict[str, Any]:
        """Return what a receiver gets, ready for JSON."""
        return {
            "event": self.event,
            "topic": self.topic,
            "sequence": self.sequence,
            "created_at_utc": self.created_at.isoformat(),
            "payload": dict(self.payload),
        }


def has_unpublished(connection: Connection) -> bool:
    """Return whether an event waits to be published."""
    waiting = select(OutboxRow.position).where(OutboxRow.delivered_at_utc.is_(None)).limit(1)
    return connection.execute(waiting).one_or_none() is not None


def publish(connection: Connection, *, now: datetime, limit: int) -> int:
    """Number the committed events that have no number yet, and return how many there were.

    Args:
        connection: in a write transaction; the numbers are seen once it has committed.
        now: the time, UTC.
        limit: at most so many; the oldest positions first.

    Returns:
        how many; 0 also where another publisher is at work.
    """
    if connection.dialect.name == "postgresql":
        is_ours = connection.execute(select(func.pg_try_advisory_xact_lock(_PUBLISHER_LOCK))).scalar_one()
        if not is_ours:
            return 0
    waiting = (
        select(OutboxRow.position)
        .where(OutboxRow.delivered_at_utc.is_(None))
        .order_by(OutboxRow.position)
        .limit(limit)
        .subquery()
    )
    rank = func.row_number().over(order_by=waiting.c.position)
    ranked = select(waiting.c.position, rank.label("rank")).subquery()
    last = last_sequence(connection)
    statement = (
        update(OutboxRow)
        .where(OutboxRow.position == ranked.c.position)
        .values(sequence=last + ranked.c.rank, delivered_at_utc=now)
    )
    return int(connection.execute(statement).rowcount)


def last_sequence(connection: Connection) -> int:
    """Return the number of the last published event; 0 before the first."""
    return int(connection.execute(select(func.max(OutboxRow.sequence))).scalar_one() or 0)


def read_published(connection: Connection, *, after: int, limit: int) -> list[OutboxEvent]:
    """Return the published events that come after a number, in order.

    Args:
        connection: in a transaction.
        after: number of the last event that is known already; 0 for all.
        limit: at most so many.
    """
    found = connection.execute(
        select(OutboxRow.__table__).where(OutboxRow.sequence > after).order_by(OutboxRow.sequence).limit(limit)
    ).mappings()
    return [read_event(row) for row in found]


def read_event(row: RowMapping) -> OutboxEvent:
    """Return the event of a row that has a number."""
    return OutboxEvent(
        sequence=int(row["sequence"]),
        event=row["event"],
        topic=row["topic"],
        payload=row["payload"],
        created_at=row["created_at_utc"],
    )


def read_cursor(connection: Connection, follower: str) -> int:
    """Return the number of the last event that a follower took; 0 where it took none yet."""
    found = connection.execute(
        select(OutboxCursorRow.outbox_sequence).where(OutboxCursorRow.follower == follower)
    ).scalar_one_or_none()
    return 0 if found is None else int(found)


def lock_cursor(connection: Connection, follower: str, *, now: datetime) -> int:
    """Return a follower's cursor, held against other processes of the same follower until the transaction ends.

    Args:
        connection: in a write transaction.
        follower: its name.
        now: the time, UTC.
    """
    row = {"follower": follower, "outbox_sequence": 0, "changed_at_utc": now}
    build = _INSERTS[connection.dialect.name]
    connection.execute(build(OutboxCursorRow).on_conflict_do_nothing(index_elements=[OutboxCursorRow.follower]), row)
    held = select(OutboxCursorRow.outbox_sequence).where(OutboxCursorRow.follower == follower).with_for_update()
    return int(connection.execute(held).scalar_one())


def move_cursor(connection: Connection, follower: str, *, to: int, now: datetime) -> None:
    """Note the last event that a follower took; `lock_cursor` has been called in this transaction."""
    connection.execute(
        update(OutboxCursorRow)
        .where(OutboxCursorRow.follower == follower)
        .values(outbox_sequence=to, changed_at_utc=now)
    )


def is_wanted(topic: str, wanted: Iterable[str]) -> bool:
    """Return whether a topic is among those that somebody wants.

    Args:
        topic: of an event.
        wanted: topics, `stock.*` for all below one, or `*` for all.

    Example:
        >>> is_wanted("stock.alerts", ["stock.*"]), is_wanted("stock.alerts", ["stock.movements"])
        (True, False)
    """
    return any(
        each in (EVERY_TOPIC, topic) or (each.endswith(_SUBTOPICS) and topic.startswith(each.removesuffix("*")))
        for each in wanted
    )


def select_wanted(events: Sequence[OutboxEvent], topics: Iterable[str]) -> list[OutboxEvent]:
    """Return the events of the topics that somebody wants, in order."""
    wanted = tuple(topics)
    return [each for each in events if is_wanted(each.topic, wanted)]
