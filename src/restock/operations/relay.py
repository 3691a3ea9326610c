"""The relay: publishes committed events, and hands them to whoever follows them, each from a cursor of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, Engine

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.outbox import (
    OutboxEvent,
    has_unpublished,
    last_sequence,
    lock_cursor,
    move_cursor,
    publish,
    read_cursor,
    read_published,
)

logger = logging.getLogger(__name__)

# So many events are published or handed over in one transaction.
BATCH_EVENTS = 500
Now = Callable[[], datetime]


class Follower(Protocol):
    """Somebody who follows the published events and knows how far they have come: in a table, or in memory."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    def follow(self) -> int:
        """Take what has been published since the last call, some at a time, and return how many events that were."""
        ...


class Sink(Protocol):
    """Where events go: a table, a broker. An event may come twice: after a crash it is handed over again."""

    @property
    def name(self) -> str:
        """Under which its cursor is kept."""
        ...

    def take(self, connection: Connection, events: Sequence[OutboxEvent]) -> None:
        """Take events, in order; once it returns and the transaction has committed, they are not handed over again.

        Args:
            connection: in a write transaction, which also moves the cursor.
            events: at least one, consecutive.
        """
        ...


class SinkFollower:
    """Hands events to a sink and keeps its cursor in the database, moved in the transaction in which it took them.

    Args:
        engine: the database.
        sink: where the events go.
        now: the time, UTC.
    """

    def __init__(self, engine: Engine, sink: Sink, *, now: Now) -> None:
        self._engine = engine
        self._sink = sink
        self._now = now

    @property
    def name(self) -> str:
        """The sink's name."""
        return self._sink.name

    def follow(self) -> int:
        """Hand over what has been published since the last time, and return how many events that were."""
        with read_transaction(self._engine) as connection:
            if read_cursor(connection, self.name) >= last_sequence(connection):
                return 0
        with write_transaction(self._engine) as connection:
            cursor = lock_cursor(connection, self.name, now=self._now())
            events = read_published(connection, after=cursor, limit=BATCH_EVENTS)
            if events:
                self._sink.take(connection, events)
                move_cursor(connection, self.name, to=events[-1].sequence, now=self._now())
        return len(events)


class Relay:
    """Publishes events and lets everybody who follows them take them; one that fails holds up no other.

    Args:
        engine: the database.
        followers: who follows.
        now: the time, UTC.
    """

    def __init__(self, engine: Engine, followers: Sequence[Follower] = (), *, now: Now) -> None:
        self._engine = engine
        self._followers = tuple(followers)
        self._now = now

    def step(self) -> bool:
        """Publish and hand over one batch, and return whether there may be more at once."""
        n_published = self.publish()
        n_followed = [self._follow(each) for each in self._followers]
        return n_published == BATCH_EVENTS or any(n >= BATCH_EVENTS for n in n_followed)

    def publish(self) -> int:
        """Number one batch of committed events and return how many there were."""
        # Mostly there is nothing, and a look takes no lock.
        with read_transaction(self._engine) as connection:
            if not has_unpublished(connection):
                return 0
        with write_transaction(self._engine) as connection:
            return publish(connection, now=self._now(), limit=BATCH_EVENTS)

    def _follow(self, follower: Follower) -> int:
        try:
            return follower.follow()
        except Exception:
            # The edge between followers: one that fails is tried again, and the others go on.
            logger.exception("%s could not take events, it is tried again", follower.name)
            return 0
