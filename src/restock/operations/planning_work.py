"""The background work of the planning service: relaying events, sending webhooks, sealing the audit, watching stock."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from restock.adapters.database.audit_chain import seal_audit
from restock.adapters.database.engine import write_transaction
from restock.adapters.webhook_calls import WebhookCaller
from restock.operations.background_work import BackgroundWork, Job
from restock.operations.relay import Follower, Now, Relay
from restock.operations.stock_watch import sweep_stock
from restock.operations.webhooks.deliveries import WebhookLayout, prune_deliveries
from restock.operations.webhooks.sender import WebhookSender
from restock.operations.webhooks.signing import read_signing_key, signing_key_file
from restock.settings import Settings

logger = logging.getLogger(__name__)

# An event is on its way to whoever listens within about two of these.
_RELAY_SECONDS = 0.2
_SENDER_SECONDS = 0.5
_SEAL_SECONDS = 60.0
_SWEEP_SECONDS = 60.0
_PRUNE_SECONDS = 3600.0
# So long it can be seen what was sent to a webhook.
_DELIVERIES_KEPT = timedelta(days=30)
_LONGEST_WAIT_MILLISECONDS = 500
# PostgreSQL's code for a lock that was waited for in vain.
_LOCK_NOT_AVAILABLE = "55P03"


def planning_work(
    engine: Engine, settings: Settings, *, now: Now, rng: random.Random, followers: Sequence[Follower] = ()
) -> BackgroundWork:
    """Return the work that a planning service starts and stops with itself.

    Several services may run it on one database: relays and senders share the work, the rest is done again in vain.

    Args:
        engine: the database.
        settings: where things run.
        now: the time, UTC.
        rng: for the jitter of retries.
        followers: who else follows the published events, such as a broker.

    Raises:
        ConfigurationError: the signing key can't be used.
    """
    relay = Relay(engine, [WebhookLayout(engine, now=now), *followers], now=now)
    sender = WebhookSender(
        engine,
        key=read_signing_key(signing_key_file(settings.home)),
        caller=WebhookCaller(is_local_allowed=settings.webhooks_allow_local),
        now=now,
        rng=rng,
    )
    jobs = (
        Job(name="relay", run=relay.step, pause_seconds=_RELAY_SECONDS),
        Job(name="webhooks", run=sender.step, pause_seconds=_SENDER_SECONDS, close=sender.close),
        Job(name="seal", run=lambda: seal(engine, now=now), pause_seconds=_SEAL_SECONDS),
        Job(name="prune", run=lambda: prune(engine, now=now), pause_seconds=_PRUNE_SECONDS),
        Job(name="watch", run=lambda: sweep(engine, now=now), pause_seconds=_SWEEP_SECONDS),
    )
    return BackgroundWork(jobs, now=now)


def seal(engine: Engine, *, now: Now) -> bool:
    """Seal what was added to the audit log, unless a long write is under way; there is nothing left to do then.

    On PostgreSQL sealing waits for the writers of the moment, and later ones wait for it. A wait is given up soon, so
    that one long import holds up nobody else; the next minute tries again.
    """
    try:
        with write_transaction(engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL lock_timeout = '{_LONGEST_WAIT_MILLISECONDS}ms'"))
            seal_audit(connection, now=now())
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        logger.info("a long write is under way, the audit log is sealed later")
    return False


def sweep(engine: Engine, *, now: Now) -> bool:
    """Raise and end the alerts that plans, lots and orders call for; there is nothing left to do then."""
    with write_transaction(engine) as connection:
        sweep_stock(connection, now=now())
    return False


def prune(engine: Engine, *, now: Now) -> bool:
    """Remove deliveries of webhooks that were taken long ago; there is nothing left to do then."""
    with write_transaction(engine) as connection:
        prune_deliveries(connection, before=now() - _DELIVERIES_KEPT)
    return False
