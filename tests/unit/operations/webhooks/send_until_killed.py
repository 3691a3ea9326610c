"""A process that relays and sends until somebody kills it: DATABASE_URL LEASE_SECONDS."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta

from restock.adapters.database.engine import open_database
from restock.adapters.webhook_calls import WebhookCaller
from restock.operations.background_work import BackgroundWork, Job
from restock.operations.relay import Relay
from restock.operations.webhooks.deliveries import WebhookLayout
from restock.operations.webhooks.sender import WebhookSender
from restock.operations.webhooks.signing import SigningKey


def now():
    return datetime.now(UTC)


def main():
    engine = open_database(sys.argv[1])
    relay = Relay(engine, [WebhookLayout(engine, now=now)], now=now)
    sender = WebhookSender(
        engine,
        key=SigningKey(content=bytes(range(32))),
        caller=WebhookCaller(is_local_allowed=True),
        now=now,
        rng=random.Random(1),
        lease=timedelta(seconds=float(sys.argv[2])),
    )
    jobs = [
        Job(name="relay", run=relay.step, pause_seconds=0.05),
        Job(name="webhooks", run=sender.step, pause_seconds=0.05),
    ]
    BackgroundWork(jobs, now=now).start()
    # Until the test kills it, or goes away.
    sys.stdin.read()


if __name__ == "__main__":
    main()
