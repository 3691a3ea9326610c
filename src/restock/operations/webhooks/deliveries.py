"""Deliveries in the database: laid out for each webhook, led to an end one after another, and asked for again."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Select, and_, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from restock.adapters.database.delivery_tables import WebhookDeliveryRow, WebhookRow
from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.journal import append_audit
from restock.adapters.database.keyset import Page, SortKey, read_page
from restock.adapters.database.ledger_tables import OutboxRow
from restock.adapters.outbox import OutboxEvent, last_sequence, read_event, read_published, select_wanted
from restock.errors import DataError, NotFoundError
from restock.operations.relay import BATCH_EVENTS, Now
from restock.operations.webhooks.subscriptions import lock_webhook, read_webhook

# More are not laid out before some of them have come to an end: a receiver that is down for days fills no disk.
MOST_PENDING = 1_000
MOST_REPLAYED = 10_000
# 5 s, doubled each time, at most 3 h: with 18 pauses the last attempt comes 23.7 hours after the first.
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 3 * 3600.0
MOST_ATTEMPTS = 19
# Receivers that were down together must not be called together.
_JITTER_SHARE = 0.2
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An event that is to be sent to a webhook.

    Attributes:
        identifier: of the delivery; the same at every attempt.
        n_attempts: how often it was tried.
        event: what is sent.
    """

    identifier: int
    n_attempts: int
    event: OutboxEvent


def retry_pause(n_attempts: int, *, rng: random.Random) -> timedelta:
    """Return how long to wait after an attempt that failed.

    Args:
        n_attempts: how many there were, at least 1.
        rng: for the jitter of a fifth.
    """
    pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(n_attempts - 1, 30), _LONGEST_PAUSE_SECONDS)
    return timedelta(seconds=pause * rng.uniform(1 - _JITTER_SHARE, 1 + _JITTER_SHARE))


class WebhookLayout:
    """Follows the published events for all webhooks: lays out a delivery of each event that a webhook wants.

    Args:
        engine: the database.
        now: the time, UTC.
    """

    name = "webhooks"

    def __init__(self, engine: Engine, *, now: Now) -> None:
        self._engine = engine
        self._now = now

    def follow(self) -> int:
        """Lay out what has been published since the last time, and return how many events that were at most."""
        with read_transaction(self._engine) as connection:
            behind = connection.execute(
                select(WebhookRow.webhook)
                .where(WebhookRow.is_active, WebhookRow.outbox_sequence < last_sequence(connection))
                .order_by(WebhookRow.webhook)
            ).scalars()
            webhooks = list(behind)
        return max((self._lay_out(webhook) for webhook in webhooks), default=0)

    def _lay_out(self, webhook: str) -> int:
        with write_transaction(self._engine) as connection:
            try:
                row = lock_webhook(connection, webhook)
            except NotFoundError:
                return 0
            return lay_out(connection, row, now=self._now())


def lay_out(connection: Connection, webhook: RowMapping, *, now: datetime) -> int:
    """Lay out deliveries of the events after a webhook's cursor, move it, and return how many events it passed.

    Args:
        connection: in a write transaction that holds the webhook.
        webhook: its row.
        now: the time, UTC.
    """
    pending = select(func.count()).select_from(WebhookDeliveryRow)
    pending = pending.where(
        WebhookDeliveryRow.webhook == webhook["webhook"], WebhookDeliveryRow.state == DeliveryState.PENDING
    )
    if int(connection.execute(pending).scalar_one()) >= MOST_PENDING:
        return 0
    events = read_published(connection, after=int(webhook["outbox_sequence"]), limit=BATCH_EVENTS)
    if not events:
        return 0
    _insert_pending(connection, webhook, events, now=now)
    connection.execute(
        update(WebhookRow).where(WebhookRow.webhook == webhook["webhook"]).values(outbox_sequence=events[-1].sequence)
    )
    return len(events)


def find_due(connection: Connection, *, now: datetime) -> list[str]:
    """Return the active webhooks whose first pending delivery is due and that no sender holds.

    Args:
        connection: in a transaction.
        now: the time, UTC.
    """
    first = (
        select(WebhookDeliveryRow.webhook, func.min(WebhookDeliveryRow.outbox_sequence).label("sequence"))
        .where(WebhookDeliveryRow.state == DeliveryState.PENDING)
        .group_by(WebhookDeliveryRow.webhook)
        .subquery()
    )
    statement = (
        select(WebhookRow.webhook)
        .join(first, first.c.webhook == WebhookRow.webhook)
        .join(
            WebhookDeliveryRow,
            and_(
                WebhookDeliveryRow.webhook == first.c.webhook,
                WebhookDeliveryRow.outbox_sequence == first.c.sequence,
            ),
        )
        .where(WebhookRow.is_active, WebhookDeliveryRow.next_attempt_at_utc <= now)
        .where(or_(WebhookRow.leased_until_utc.is_(None), WebhookRow.leased_until_utc <= now))
        .order_by(WebhookDeliveryRow.next_attempt_at_utc)
    )
    return list(connection.execute(statement).scalars())


def claim(connection: Connection, webhook: str, *, holder: str, now: datetime, until: datetime) -> bool:
    """Hold a webhook, so that nobody else sends to it, and return whether that was possible.

    Args:
        connection: in a write transaction.
        webhook: which.
        holder: who sends; one that holds it already goes on holding it.
        now: the time, UTC.
        until: when it is free again if the holder is gone, UTC.
    """
    is_free = or_(
        WebhookRow.leased_until_utc.is_(None), WebhookRow.leased_until_utc <= now, WebhookRow.leased_by == holder
    )
    done = connection.execute(
        update(WebhookRow)
        .where(WebhookRow.webhook == webhook, WebhookRow.is_active, is_free)
        .values(leased_by=holder, leased_until_utc=until)
    )
    return bool(done.rowcount)


def release(connection: Connection, webhook: str, *, holder: str) -> None:
    """Let go of a webhook."""
    connection.execute(
        update(WebhookRow)
        .where(WebhookRow.webhook == webhook, WebhookRow.leased_by == holder)
        .values(leased_by=None, leased_until_utc=None)
    )


def next_delivery(connection: Connection, webhook: str, *, now: datetime) -> Delivery | None:
    """Return the first delivery that waits for a webhook; None where there is none or it is not due.

    The ones behind it wait for it, so that events come in their order.
    """
    row = (
        connection.execute(
            select(WebhookDeliveryRow.__table__)
            .where(WebhookDeliveryRow.webhook == webhook, WebhookDeliveryRow.state == DeliveryState.PENDING)
            .order_by(WebhookDeliveryRow.outbox_sequence)
            .limit(1)
        )
        .mappings()
        .one_or_none()
    )
    if row is None or row["next_attempt_at_utc"] > now:
        return None
    event = connection.execute(
        select(OutboxRow.__table__).where(OutboxRow.sequence == row["outbox_sequence"])
    ).mappings()
    return Delivery(identifier=row["delivery"], n_attempts=row["n_attempts"], event=read_event(event.one()))


def settle(connection: Connection, delivery: Delivery, values: Mapping[str, Any]) -> bool:
    """Write down how an attempt went and return whether the delivery still waited for it."""
    done = connection.execute(
        update(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.delivery == delivery.identifier, WebhookDeliveryRow.state == DeliveryState.PENDING)
        .values(**values)
    )
    return bool(done.rowcount)


def list_deliveries(
    connection: Connection, webhook: str, *, state: str | None, after: Sequence[Any] | None, limit: int
) -> Page:
    """Return the deliveries of a webhook with event and topic, the newest event first, some at a time.

    Args:
        connection: in a transaction.
        webhook: which.
        state: only those; None for all.
        after: `Page.after` of the page before; None for the first.
        limit: at most so many.

    Raises:
        NotFoundError: there is no such webhook.
    """
    read_webhook(connection, webhook)
    table = WebhookDeliveryRow.__table__
    statement: Select[Any] = (
        select(table, OutboxRow.event, OutboxRow.topic)
        .join(OutboxRow, OutboxRow.sequence == WebhookDeliveryRow.outbox_sequence)
        .where(WebhookDeliveryRow.webhook == webhook)
    )
    if state is not None:
        statement = statement.where(WebhookDeliveryRow.state == state)
    key = SortKey(column=table.c.outbox_sequence, is_descending=True)
    return read_page(connection, statement, keys=[key], after=after, limit=limit)


def replay_delivery(connection: Connection, webhook: str, delivery: int, *, actor: str, now: datetime) -> None:
    """Send a delivery again, whatever became of it, under the same identifiers.

    Args:
        connection: in a write transaction.
        webhook: which.
        delivery: its delivery.
        actor: who asks for it.
        now: the time, UTC.

    Raises:
        NotFoundError: there is no such webhook, or it has no such delivery.
    """
    lock_webhook(connection, webhook)
    done = connection.execute(
        update(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.webhook == webhook, WebhookDeliveryRow.delivery == delivery)
        .values(**_waiting(now))
    )
    if not done.rowcount:
        raise NotFoundError(
            f"webhook {webhook!r} has no delivery {delivery}. GET /api/v1/webhooks/{webhook}/deliveries lists them."
        )
    append_audit(
        connection,
        actor=actor,
        action="replay_webhook_delivery",
        subject=webhook,
        now=now,
        details={"delivery": delivery},
    )


def replay_range(connection: Connection, webhook: str, *, first: int, last: int, actor: str, now: datetime) -> int:
    """Send the events of a range again, and return how many those are.

    Events that the webhook wants and never got count too: those before it was made, or of topics it did not want then.

    Args:
        connection: in a write transaction.
        webhook: which.
        first: sequence of the first event.
        last: sequence of the last event; what is not laid out yet comes anyway, and is not counted.
        actor: who asks for it.
        now: the time, UTC.

    Raises:
        NotFoundError: there is no such webhook.
        DataError: the range is empty or too long.
    """
    if not 1 <= first <= last or last - first >= MOST_REPLAYED:
        raise DataError(
            f"a range of 1 to {MOST_REPLAYED} events was expected, got {first} to {last}. Ask for more in parts."
        )
    row = lock_webhook(connection, webhook)
    end = min(last, int(row["outbox_sequence"]))
    n_events, position = 0, first - 1
    while position < end:
        events = read_published(connection, after=position, limit=min(BATCH_EVENTS, end - position))
        if not events:
            break
        n_events += _insert_pending(connection, row, events, now=now)
        position = events[-1].sequence
    append_audit(
        connection,
        actor=actor,
        action="replay_webhook_events",
        subject=webhook,
        now=now,
        details={"first": first, "last": last, "events": n_events},
    )
    return n_events


def prune_deliveries(connection: Connection, *, before: datetime) -> int:
    """Remove what was delivered long ago and return how many deliveries those were; a replay lays them out again.

    Args:
        connection: in a write transaction.
        before: what was delivered earlier goes, UTC.
    """
    done = connection.execute(
        delete(WebhookDeliveryRow).where(
            WebhookDeliveryRow.state == DeliveryState.DELIVERED, WebhookDeliveryRow.delivered_at_utc < before
        )
    )
    return int(done.rowcount)


def _insert_pending(
    connection: Connection, webhook: RowMapping, events: Sequence[OutboxEvent], *, now: datetime
) -> int:
    """Let events wait for a webhook that wants them, those it had already too, and return how many those are."""
    wanted = select_wanted(events, webhook["topics"]["topics"])
    if not wanted:
        return 0
    rows = [{"webhook": webhook["webhook"], "outbox_sequence": each.sequence, **_waiting(now)} for each in wanted]
    statement = _INSERTS[connection.dialect.name](WebhookDeliveryRow).on_conflict_do_update(
        index_elements=[WebhookDeliveryRow.webhook, WebhookDeliveryRow.outbox_sequence], set_=_waiting(now)
    )
    connection.execute(statement, rows)
    return len(wanted)


def _waiting(now: datetime) -> dict[str, Any]:
    return {
        "state": DeliveryState.PENDING.value,
        "n_attempts": 0,
        "next_attempt_at_utc": now,
        "last_status": None,
        "last_error": "",
        "delivered_at_utc": None,
    }
