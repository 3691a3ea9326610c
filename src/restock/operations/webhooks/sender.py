"""The sender: calls receivers, each in the order of its events, several receivers at a time.

All that has to survive is in the database. A sender that is killed between the call and writing down its answer leaves
the delivery pending; once its lease has run out another sender calls again, with the same event and delivery
identifiers.
"""

from __future__ import annotations

import json
import logging
import random
import secrets
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, RowMapping, update

from restock.adapters.database.delivery_tables import WebhookRow
from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.journal import append_audit
from restock.adapters.webhook_calls import CallError, CallReply, WebhookAddressError
from restock.errors import NotFoundError
from restock.ledger.stock_alerts import AlertDraft, AlertKind, Severity
from restock.operations.alerts import ITSELF, raise_alert, resolve_about
from restock.operations.relay import Now
from restock.operations.webhooks.deliveries import (
    MOST_ATTEMPTS,
    Delivery,
    DeliveryState,
    claim,
    find_due,
    next_delivery,
    release,
    retry_pause,
    settle,
)
from restock.operations.webhooks.signing import SIGNATURE_HEADER, SigningKey, sign
from restock.operations.webhooks.subscriptions import about_webhook, lock_webhook

logger = logging.getLogger(__name__)

# A webhook of which nothing was taken for so long is switched off.
OFF_AFTER = timedelta(days=5)
# For so long after a rotation the old secret signs too.
ROTATION_GRACE = timedelta(days=1)
# A receiver gives way to others after so many deliveries.
_DELIVERIES_IN_A_ROW = 200
_GONE = 410
_LONGEST_RETRY_AFTER = timedelta(hours=3)


class OpenChannel(Protocol):
    """Whatever can send a POST to one receiver."""

    def post(self, body: bytes, headers: dict[str, str]) -> CallReply:
        """Return the answer.

        Raises:
            CallError: none came.
        """
        ...


class Caller(Protocol):
    """Whatever opens channels to receivers."""

    timeout_seconds: float

    def open(self, url: str) -> AbstractContextManager[OpenChannel]:
        """Return a channel.

        Raises:
            CallError: the receiver can't be found.
            WebhookAddressError: it must not be called.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """How an attempt went."""

    status: int | None
    error: str
    retry_after: timedelta = timedelta(0)

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class WebhookSender:
    """Sends what is due.

    Args:
        engine: the database.
        key: the installation's, from which secrets are derived.
        caller: calls receivers.
        now: the time, UTC.
        rng: for the jitter of retries.
        concurrency: receivers that are called at the same time.
        lease: how long a webhook is held without a sign of life; longer than a call may take.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        key: SigningKey,
        caller: Caller,
        now: Now,
        rng: random.Random,
        concurrency: int = 8,
        lease: timedelta | None = None,
    ) -> None:
        self._engine = engine
        self._key = key
        self._caller = caller
        self._now = now
        self._rng = rng
        self._lease = lease or timedelta(seconds=3 * caller.timeout_seconds + 5)
        # Two senders of one machine, or a restarted one with the same process id, are not the same.
        self._holder = secrets.token_hex(8)
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="restock-webhook")
        self._is_stopping = threading.Event()
        self._busy: dict[str, Future[int]] = {}

    def step(self) -> bool:
        """Begin to send to every receiver that something is due for; return whether there may be more at once.

        It does not wait for them: a slow receiver holds up no other.
        """
        self._busy = {webhook: job for webhook, job in self._busy.items() if not job.done()}
        with read_transaction(self._engine) as connection:
            due = find_due(connection, now=self._now())
        for webhook in due:
            if webhook not in self._busy and not self._is_stopping.is_set():
                self._busy[webhook] = self._pool.submit(self._send_safely, webhook)
        return False

    def wait(self) -> int:
        """Wait for the receivers that are being sent to, and return how many deliveries were taken."""
        done, _ = wait(self._busy.values())
        return sum(job.result() for job in done)

    def close(self) -> None:
        """Send nothing more and wait for the calls under way."""
        self._is_stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _send_safely(self, webhook: str) -> int:
        try:
            return self._send_all(webhook)
        except Exception:
            # The edge of the thread: the deliveries stay pending and are tried again.
            logger.exception("sending to webhook %s failed, it is tried again", webhook)
            return 0

    def _send_all(self, webhook: str) -> int:
        """Send to one receiver in order until nothing is due or an attempt fails; return how many were taken."""
        claimed = self._claim(webhook)
        if claimed is None:
            return 0
        row, first = claimed
        n_taken = 0
        try:
            with self._caller.open(row["url"]) as channel:
                n_taken = self._send_in_a_row(row, first, channel)
        except (CallError, WebhookAddressError) as error:
            # It could not even be opened.
            self._settle(row, first, _Outcome(status=None, error=str(error)))
        # What goes wrong unforeseen leaves the lease to run out: it is not tried again at once.
        with write_transaction(self._engine) as connection:
            release(connection, webhook, holder=self._holder)
        return n_taken

    def _send_in_a_row(self, row: RowMapping, first: Delivery, channel: OpenChannel) -> int:
        delivery: Delivery | None = first
        n_taken = 0
        while delivery is not None and not self._is_stopping.is_set():
            outcome = self._attempt(row, delivery, channel)
            is_last = not outcome.is_taken or n_taken + 1 >= _DELIVERIES_IN_A_ROW
            delivery = self._settle(row, delivery, outcome, is_last=is_last)
            n_taken += outcome.is_taken
        return n_taken

    def _claim(self, webhook: str) -> tuple[RowMapping, Delivery] | None:
        now = self._now()
        with write_transaction(self._engine) as connection:
            if not claim(connection, webhook, holder=self._holder, now=now, until=now + self._lease):
                return None
            delivery = next_delivery(connection, webhook, now=now)
            if delivery is None:
                release(connection, webhook, holder=self._holder)
                return None
            return lock_webhook(connection, webhook), delivery

    def _attempt(self, row: RowMapping, delivery: Delivery, channel: OpenChannel) -> _Outcome:
        now = self._now()
        body = encode(delivery)
        try:
            reply = channel.post(body, headers_of(delivery, body, secrets_in_force=self._secrets(row, now=now), at=now))
        except CallError as error:
            return _Outcome(status=None, error=str(error))
        retry_after = min(timedelta(seconds=reply.retry_after_seconds or 0), _LONGEST_RETRY_AFTER)
        error_words = "" if 200 <= reply.status < 300 else f"the receiver answered {reply.status}, expected 2xx."
        return _Outcome(status=reply.status, error=error_words, retry_after=retry_after)

    def _secrets(self, row: RowMapping, *, now: datetime) -> list[str]:
        version, rotated_at = int(row["secret_version"]), row["secret_rotated_at_utc"]
        in_force = [self._key.secret_of(row["webhook"], version=version)]
        if rotated_at is not None and now - rotated_at < ROTATION_GRACE:
            in_force.append(self._key.secret_of(row["webhook"], version=version - 1))
        return in_force

    def _settle(
        self, row: RowMapping, delivery: Delivery, outcome: _Outcome, *, is_last: bool = True
    ) -> Delivery | None:
        """Write down how an attempt went, and return what is sent next, held; None where nothing is."""
        now, webhook = self._now(), row["webhook"]
        with write_transaction(self._engine) as connection:
            try:
                held = lock_webhook(connection, webhook)
            except NotFoundError:
                # Removed while it was called.
                return None
            if outcome.is_taken:
                self._note_taken(connection, held, delivery, outcome, now=now)
            else:
                self._note_failed(connection, held, delivery, outcome, now=now)
            if is_last or not claim(connection, webhook, holder=self._holder, now=now, until=now + self._lease):
                return None
            has_same_target = held["url"] == row["url"] and held["secret_version"] == row["secret_version"]
            return next_delivery(connection, webhook, now=now) if has_same_target else None

    def _note_taken(
        self, connection: Connection, row: RowMapping, delivery: Delivery, outcome: _Outcome, *, now: datetime
    ) -> None:
        values = {
            "state": DeliveryState.DELIVERED.value,
            "n_attempts": delivery.n_attempts + 1,
            "last_status": outcome.status,
            "last_error": "",
            "delivered_at_utc": now,
        }
        settle(connection, delivery, values)
        if row["failing_since_utc"] is not None:
            _change_webhook(connection, row["webhook"], {"failing_since_utc": None})
            note = "The receiver takes deliveries again."
            resolve_about(connection, [about_webhook(row["webhook"])], now=now, note=note)

    def _note_failed(
        self, connection: Connection, row: RowMapping, delivery: Delivery, outcome: _Outcome, *, now: datetime
    ) -> None:
        n_attempts = delivery.n_attempts + 1
        has_ended = n_attempts >= MOST_ATTEMPTS
        pause = max(retry_pause(n_attempts, rng=self._rng), outcome.retry_after)
        values: dict[str, Any] = {
            "state": (DeliveryState.FAILED if has_ended else DeliveryState.PENDING).value,
            "n_attempts": n_attempts,
            "last_status": outcome.status,
            "last_error": outcome.error,
            "next_attempt_at_utc": now + pause,
        }
        if not settle(connection, delivery, values):
            return
        since = row["failing_since_utc"] or now
        _change_webhook(connection, row["webhook"], {"failing_since_utc": since})
        if outcome.status == _GONE:
            _switch_off(connection, row, "the receiver answered 410: it is gone for good.", now=now)
        elif now - since >= OFF_AFTER:
            reason = f"nothing was taken since {since.isoformat(timespec='minutes')}. The last answer: {outcome.error}"
            _switch_off(connection, row, reason, now=now)
        elif has_ended:
            _tell(connection, row, f"event {delivery.event.event} was given up: {outcome.error}", Severity.WARNING, now)


def encode(delivery: Delivery) -> bytes:
    """Return the body of a delivery: the same bytes at every attempt."""
    return json.dumps(delivery.event.envelope(), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def headers_of(delivery: Delivery, body: bytes, *, secrets_in_force: list[str], at: datetime) -> dict[str, str]:
    """Return the headers of a delivery."""
    return {
        "content-type": "application/json",
        "user-agent": "restock-webhooks/1",
        "restock-event": delivery.event.event,
        "restock-topic": delivery.event.topic,
        "restock-delivery": str(delivery.identifier),
        "restock-attempt": str(delivery.n_attempts + 1),
        SIGNATURE_HEADER.lower(): sign(body, secrets_in_force=secrets_in_force, at=at),
    }


def _switch_off(connection: Connection, row: RowMapping, reason: str, *, now: datetime) -> None:
    _change_webhook(
        connection,
        row["webhook"],
        {"is_active": False, "switched_off_reason": reason, "version": WebhookRow.version + 1},
    )
    append_audit(
        connection,
        actor=ITSELF,
        action="switch_off_webhook",
        subject=row["webhook"],
        now=now,
        details={"reason": reason},
    )
    _tell(connection, row, f"it was switched off: {reason}", Severity.CRITICAL, now)


def _tell(connection: Connection, row: RowMapping, what: str, severity: Severity, now: datetime) -> None:
    draft = AlertDraft(
        kind=AlertKind.WEBHOOK_FAILING,
        severity=severity,
        about=about_webhook(row["webhook"]),
        summary=f"webhook {row['webhook']} ({row['url']}): {what}",
        evidence={"webhook": row["webhook"], "url": row["url"]},
        repair={"action": "check_receiver", "webhook": row["webhook"]},
    )
    raise_alert(connection, draft, now=now)


def _change_webhook(connection: Connection, webhook: str, values: dict[str, Any]) -> None:
    connection.execute(update(WebhookRow).where(WebhookRow.webhook == webhook).values(**values))
