"""Server-sent events: what is published, to browsers and programs that listen, each at its own pace and for a while.

Nothing is queued for a client. The broker keeps the latest events once, in a ring that all clients share; a client has
only its position, and reads from the ring, or from the database where it is further behind. So a client that resumes
after a break misses nothing, and one that does not read costs no memory: sending to it takes too long, and it is let
go.

The broker follows the published events by their numbers, in the database: whichever process published them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from restock.adapters.database.engine import read_transaction
from restock.adapters.outbox import OutboxEvent, is_wanted, last_sequence, read_published
from restock.errors import RestockError

logger = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
_BATCH_EVENTS = 500
_RETRY_MILLISECONDS = 1_000


class TooManyListenersError(RestockError):
    """As many listen as may."""

    http_status = 503
    title = "Too many listen to events"


@dataclass(frozen=True, kw_only=True)
class EventLimits:
    """What listening is bounded by.

    Attributes:
        most_clients: connections at a time.
        most_per_caller: of them, of one caller.
        kept_events: the latest events that are kept in memory, once for all clients.
        heartbeat_seconds: a sign of life comes after so long without an event.
        slow_seconds: a client that has not taken a part for so long is let go.
        longest_seconds: a connection ends after so long; the client comes again, and its token is looked at again.
    """

    most_clients: int = 100
    most_per_caller: int = 20
    kept_events: int = 2_000
    heartbeat_seconds: float = 15.0
    slow_seconds: float = 20.0
    longest_seconds: float = 900.0


@dataclass(frozen=True, kw_only=True)
class Interest:
    """What a client wants to hear of.

    Attributes:
        topics: as webhooks have them.
        sku: only events that concern it; None for all.
        location: only events that concern it; None for all.
    """

    topics: tuple[str, ...]
    sku: str | None = None
    location: str | None = None

    def includes(self, event: OutboxEvent) -> bool:
        """Return whether an event is wanted: with one line, of a movement, for the sku and the location."""
        if not is_wanted(event.topic, self.topics):
            return False
        wanted = {"sku": self.sku, "location": self.location}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        lines = event.payload.get("lines")
        parts = lines if isinstance(lines, list) else [event.payload]
        return any(all(part.get(name) == value for name, value in wanted.items()) for part in parts)


class EventBroker:
    """Follows the published events and wakes those who listen.

    Args:
        engine: the database.
        limits: what listening is bounded by.
    """

    name = "events"

    def __init__(self, engine: Engine, *, limits: EventLimits | None = None) -> None:
        self.limits = limits or EventLimits()
        self._engine = engine
        self._ring: deque[OutboxEvent] = deque(maxlen=self.limits.kept_events)
        self._cursor: int | None = None
        self._lock = threading.Lock()
        self._wakers: dict[object, Callable[[], None]] = {}
        self._callers: Counter[str] = Counter()

    @property
    def n_clients(self) -> int:
        """How many listen."""
        return len(self._wakers)

    def follow(self) -> int:
        """Take what was published since the last call, wake those who listen, and return how many events it was."""
        with read_transaction(self._engine) as connection:
            if self._cursor is None:
                self._cursor = last_sequence(connection)
            events = read_published(connection, after=self._cursor, limit=_BATCH_EVENTS)
        if events:
            with self._lock:
                self._ring.extend(events)
                self._cursor = events[-1].sequence
                wakers = list(self._wakers.values())
            for wake in wakers:
                wake()
        return len(events)

    def latest(self) -> int:
        """Return the number of the last published event."""
        with read_transaction(self._engine) as connection:
            return last_sequence(connection)

    def kept_after(self, cursor: int) -> list[OutboxEvent] | None:
        """Return the events in memory that come after a number; None where it is too far back for them."""
        with self._lock:
            if self._cursor is not None and cursor >= self._cursor:
                return []
            if not self._ring or cursor < self._ring[0].sequence - 1:
                return None
            return [each for each in self._ring if each.sequence > cursor][:_BATCH_EVENTS]

    def stored_after(self, cursor: int) -> list[OutboxEvent]:
        """Return the events in the database that come after a number, some of them."""
        with read_transaction(self._engine) as connection:
            return read_published(connection, after=cursor, limit=_BATCH_EVENTS)

    @contextmanager
    def listening(self, caller: str, wake: Callable[[], None]) -> Iterator[None]:
        """Count a client and wake it at every event while it listens.

        Args:
            caller: whose it is.
            wake: called from another thread.

        Raises:
            TooManyListenersError: there are as many as may be.
        """
        key = object()
        with self._lock:
            self._require_room(caller)
            self._wakers[key] = wake
            self._callers[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                del self._wakers[key]
                self._callers[caller] -= 1
                # What is 0 is left out of a sum.
                self._callers = +self._callers

    def require_room(self, caller: str) -> None:
        """Refuse a caller for whom there is no room.

        Raises:
            TooManyListenersError: there are as many as may be.
        """
        with self._lock:
            self._require_room(caller)

    def _require_room(self, caller: str) -> None:
        if len(self._wakers) >= self.limits.most_clients or self._callers[caller] >= self.limits.most_per_caller:
            raise TooManyListenersError(
                f"{len(self._wakers)} connections listen to events, {self._callers[caller]} of them of {caller!r}; at "
                f"most {self.limits.most_clients} and {self.limits.most_per_caller} may. Close one, or use a webhook."
            )


class EventStream(Response):
    """A reply that goes on: events as they come, signs of life between them.

    Args:
        broker: knows the events.
        interest: which of them.
        caller: who listens.
        after: number of the last event that the client knows; None for what comes from now on.
    """

    media_type = EVENT_STREAM

    def __init__(self, broker: EventBroker, interest: Interest, *, caller: str, after: int | None) -> None:
        # Not `super().__init__`: it would announce a body of no length.
        self.status_code = 200
        self.background = None
        self.init_headers({"x-accel-buffering": "no"})
        self._broker = broker
        self._interest = interest
        self._caller = caller
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send events until the client goes, is too slow, or has listened for long enough."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        streaming = asyncio.ensure_future(self._stream(send))
        leaving = asyncio.ensure_future(_wait_until_gone(receive))
        try:
            await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if streaming.done():
                streaming.result()
        finally:
            for task in (streaming, leaving):
                task.cancel()
            await asyncio.gather(streaming, leaving, return_exceptions=True)

    async def _stream(self, send: Send) -> None:
        limits = self._broker.limits
        try:
            async for part in self._parts():
                body = {"type": "http.response.body", "body": part, "more_body": True}
                await asyncio.wait_for(send(body), limits.slow_seconds)
            await asyncio.wait_for(send({"type": "http.response.body", "body": b""}), limits.slow_seconds)
        except TimeoutError:
            # The server closes a connection whose reply was left unfinished.
            logger.info("a client of %s did not read events for %g s and was let go", self._caller, limits.slow_seconds)

    async def _parts(self) -> AsyncIterator[bytes]:
        """Yield what is sent, as it comes."""
        loop = asyncio.get_running_loop()
        limits, fresh = self._broker.limits, asyncio.Event()
        ends_at = loop.time() + limits.longest_seconds

        def wake() -> None:
            # A loop that is closed has nobody who listens any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(fresh.set)

        with self._broker.listening(self._caller, wake):
            latest = await run_in_threadpool(self._broker.latest)
            # One that is ahead has seen another database than this one, or made its number up.
            cursor = latest if self._after is None else min(self._after, latest)
            yield f"retry: {_RETRY_MILLISECONDS}\n{_mark(cursor)}".encode()
            while loop.time() < ends_at:
                fresh.clear()
                events = self._broker.kept_after(cursor)
                if events is None:
                    events = await run_in_threadpool(self._broker.stored_after, cursor)
                if events:
                    cursor = events[-1].sequence
                    wanted = [each for each in events if self._interest.includes(each)]
                    if wanted:
                        yield "".join(map(format_event, wanted)).encode()
                    continue
                try:
                    pause = min(limits.heartbeat_seconds, max(ends_at - loop.time(), 0))
                    await asyncio.wait_for(fresh.wait(), pause)
                except TimeoutError:
                    # The number goes along: what a filter left out is not looked through again after a break.
                    yield _mark(cursor).encode()


def format_event(event: OutboxEvent) -> str:
    """Return an event as it is sent.

    Example:
        >>> from datetime import UTC, datetime
        >>> at = datetime(2024, 1, 1, tzinfo=UTC)
        >>> event = OutboxEvent(sequence=7, event="e", topic="t", payload={}, created_at=at)
        >>> print(format_event(event).split("data")[0])
        id: 7
        event: t
        <BLANKLINE>
    """
    return f"id: {event.sequence}\nevent: {event.topic}\ndata: {json.dumps(event.envelope(), allow_nan=False)}\n\n"


def _mark(cursor: int) -> str:
    """Return a sign of life that tells a client where it stands, and of no event."""
    return f": alive\nid: {cursor}\n\n"


async def _wait_until_gone(receive: Receive) -> None:
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            return
