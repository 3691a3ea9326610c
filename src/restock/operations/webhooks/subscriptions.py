"""Webhooks: made, changed, given a new secret and removed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, update

from restock.adapters.database.delivery_tables import WebhookDeliveryRow, WebhookRow
from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.journal import append_audit
from restock.adapters.outbox import last_sequence
from restock.adapters.webhook_calls import check_url
from restock.errors import ConflictError, DataError, NotFoundError, VersionConflictError
from restock.ledger.stock_alerts import AlertKind, name_about
from restock.operations.alerts import resolve_about

MOST_WEBHOOKS = 100
_MOST_TOPICS = 50
_TOPIC = re.compile(r"\*|[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63}){0,4}(\.\*)?")


@dataclass(frozen=True, kw_only=True)
class WebhookDraft:
    """A webhook as entered.

    Attributes:
        url: where events go; https.
        topics: which events: stock.movements, stock.* for all below stock, * for all.
        description: whose it is and what for.
        is_active: whether it is sent to.
    """

    url: str
    topics: tuple[str, ...]
    description: str = ""
    is_active: bool = True


def create_webhook(
    connection: Connection, draft: WebhookDraft, *, actor: str, now: datetime, is_local_allowed: bool
) -> RowMapping:
    """Return a new webhook, which is told of what happens from now on.

    Args:
        connection: in a write transaction.
        draft: what was entered.
        actor: who.
        now: the time, UTC.
        is_local_allowed: whether it may go to this machine.

    Raises:
        WebhookAddressError: its address is not one that webhooks go to.
        DataError: a topic is not one.
        ConflictError: there are as many as there may be.
    """
    _check(draft, is_local_allowed=is_local_allowed)
    n_webhooks = int(connection.execute(select(func.count()).select_from(WebhookRow)).scalar_one())
    if n_webhooks >= MOST_WEBHOOKS:
        raise ConflictError(f"there are {n_webhooks} webhooks, at most {MOST_WEBHOOKS} may be. Remove one first.")
    webhook = new_identifier(now)
    values = {
        **_values_of(draft),
        "webhook": webhook,
        "switched_off_reason": "",
        "outbox_sequence": last_sequence(connection),
        "secret_version": 1,
        "created_at_utc": now,
        "created_by": actor,
        "version": 1,
    }
    connection.execute(insert(WebhookRow), values)
    _audit(connection, "create_webhook", webhook, draft, actor=actor, now=now)
    return read_webhook(connection, webhook)


def list_webhooks(connection: Connection) -> list[RowMapping]:
    """Return all webhooks, the oldest first; there are never many."""
    return list(connection.execute(select(WebhookRow.__table__).order_by(WebhookRow.webhook)).mappings())


def read_webhook(connection: Connection, webhook: str) -> RowMapping:
    """Return a webhook.

    Raises:
        NotFoundError: there is none with that identifier.
    """
    return _read(connection, webhook, is_locked=False)


def change_webhook(
    connection: Connection,
    webhook: str,
    draft: WebhookDraft,
    *,
    actor: str,
    now: datetime,
    is_local_allowed: bool,
    expected_version: int | None = None,
) -> RowMapping:
    """Put a webhook's address, topics, description and switch in place of what it had, and return it.

    A webhook that is switched on again, or gets another address, goes on where it stopped, at once.

    Args:
        connection: in a write transaction.
        webhook: which.
        draft: what it is to be.
        actor: who.
        now: the time, UTC.
        is_local_allowed: whether it may go to this machine.
        expected_version: version that the actor has seen; None where it does not matter.

    Raises:
        NotFoundError: there is no such webhook.
        VersionConflictError: it has changed since it was read.
        WebhookAddressError: its address is not one that webhooks go to.
        DataError: a topic is not one.
    """
    _check(draft, is_local_allowed=is_local_allowed)
    row = lock_webhook(connection, webhook, expected_version=expected_version)
    values: dict[str, Any] = {**_values_of(draft), "version": WebhookRow.version + 1}
    is_fresh = draft.is_active and (not row["is_active"] or row["url"] != draft.url)
    if is_fresh:
        values |= {"failing_since_utc": None, "switched_off_reason": ""}
        make_due(connection, webhook, now=now)
        note = "The webhook was switched on again, or goes to another address."
        resolve_about(connection, [about_webhook(webhook)], now=now, note=note, actor=actor)
    connection.execute(update(WebhookRow).where(WebhookRow.webhook == webhook).values(**values))
    _audit(connection, "change_webhook", webhook, draft, actor=actor, now=now)
    return read_webhook(connection, webhook)


def rotate_secret(
    connection: Connection, webhook: str, *, actor: str, now: datetime, expected_version: int | None = None
) -> RowMapping:
    """Give a webhook a new secret and return the webhook; for a day both secrets sign.

    Args:
        connection: in a write transaction.
        webhook: which.
        actor: who.
        now: the time, UTC.
        expected_version: version that the actor has seen; None where it does not matter.

    Raises:
        NotFoundError: there is no such webhook.
        VersionConflictError: it has changed since it was read.
    """
    lock_webhook(connection, webhook, expected_version=expected_version)
    values = {
        "secret_version": WebhookRow.secret_version + 1,
        "secret_rotated_at_utc": now,
        "version": WebhookRow.version + 1,
    }
    connection.execute(update(WebhookRow).where(WebhookRow.webhook == webhook).values(**values))
    append_audit(connection, actor=actor, action="rotate_webhook_secret", subject=webhook, now=now, details={})
    return read_webhook(connection, webhook)


def delete_webhook(
    connection: Connection, webhook: str, *, actor: str, now: datetime, expected_version: int | None = None
) -> None:
    """Remove a webhook with what was laid out for it.

    Args:
        connection: in a write transaction.
        webhook: which.
        actor: who.
        now: the time, UTC.
        expected_version: version that the actor has seen; None where it does not matter.

    Raises:
        NotFoundError: there is no such webhook.
        VersionConflictError: it has changed since it was read.
    """
    row = lock_webhook(connection, webhook, expected_version=expected_version)
    connection.execute(delete(WebhookRow).where(WebhookRow.webhook == webhook))
    resolve_about(connection, [about_webhook(webhook)], now=now, note="The webhook was removed.", actor=actor)
    append_audit(
        connection, actor=actor, action="delete_webhook", subject=webhook, now=now, details={"url": row["url"]}
    )


def about_webhook(webhook: str) -> str:
    """Return what an alert about a failing webhook is about."""
    return name_about(AlertKind.WEBHOOK_FAILING, webhook)


def lock_webhook(connection: Connection, webhook: str, *, expected_version: int | None = None) -> RowMapping:
    """Return a webhook, held until the transaction ends.

    Raises:
        NotFoundError: there is no such webhook.
        VersionConflictError: it has changed since it was read.
    """
    row = _read(connection, webhook, is_locked=True)
    if expected_version is not None and row["version"] != expected_version:
        raise VersionConflictError(
            f"webhook {webhook!r} has version {row['version']}, expected {expected_version}: somebody changed it. Read "
            "it again."
        )
    return row


def make_due(connection: Connection, webhook: str, *, now: datetime) -> None:
    """Let what waits for a webhook be tried at once, with all its attempts."""
    connection.execute(
        update(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.webhook == webhook, WebhookDeliveryRow.state == "pending")
        .values(next_attempt_at_utc=now, n_attempts=0)
    )


def _read(connection: Connection, webhook: str, *, is_locked: bool) -> RowMapping:
    statement: Select[Any] = select(WebhookRow.__table__).where(WebhookRow.webhook == webhook)
    found = connection.execute(statement.with_for_update() if is_locked else statement).mappings().one_or_none()
    if found is None:
        raise NotFoundError(f"there is no webhook {webhook!r}. GET /api/v1/webhooks lists them.")
    return found


def _check(draft: WebhookDraft, *, is_local_allowed: bool) -> None:
    check_url(draft.url, is_local_allowed=is_local_allowed)
    check_topics(draft.topics)


def check_topics(topics: Sequence[str]) -> tuple[str, ...]:
    """Return topics that somebody wants, once each of them is one.

    Raises:
        DataError: there is none, there are too many, or one is not a topic.
    """
    if not 1 <= len(topics) <= _MOST_TOPICS:
        raise DataError(f"topics must be 1 to {_MOST_TOPICS}, got {len(topics)}. Use * for all.")
    for topic in topics:
        if not _TOPIC.fullmatch(topic):
            raise DataError(f"topic {topic[:80]!r} is none, expected one such as stock.movements, stock.* or *.")
    return tuple(topics)


def _values_of(draft: WebhookDraft) -> dict[str, Any]:
    return {
        "url": draft.url,
        "topics": {"topics": list(draft.topics)},
        "description": draft.description,
        "is_active": draft.is_active,
    }


def _audit(
    connection: Connection, action: str, webhook: str, draft: WebhookDraft, *, actor: str, now: datetime
) -> None:
    details = {"url": draft.url, "topics": list(draft.topics), "is_active": draft.is_active}
    append_audit(connection, actor=actor, action=action, subject=webhook, now=now, details=details)
