"""Steps of the tests of webhooks."""

from __future__ import annotations

import random

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.journal import append_event
from restock.adapters.webhook_calls import WebhookCaller
from restock.operations.relay import Relay
from restock.operations.webhooks.deliveries import WebhookLayout, list_deliveries
from restock.operations.webhooks.sender import WebhookSender
from restock.operations.webhooks.signing import SigningKey
from restock.operations.webhooks.subscriptions import WebhookDraft, create_webhook, read_webhook

KEY = SigningKey(content=bytes(range(32)))


def make_webhook(engine, url, *, topics=("*",), now, **options):
    with write_transaction(engine) as connection:
        draft = WebhookDraft(url=url, topics=tuple(topics), **options)
        row = create_webhook(connection, draft, actor="ann", now=now, is_local_allowed=True)
        return row["webhook"]


def secret_of(webhook, *, version=1):
    return KEY.secret_of(webhook, version=version)


def write_events(engine, n, *, now, topic="stock.movements", start=0):
    for number in range(start, start + n):
        with write_transaction(engine) as connection:
            append_event(connection, topic=topic, payload={"n": number}, now=now)


def relay(engine, clock):
    worker = Relay(engine, [WebhookLayout(engine, now=clock)], now=clock)
    while worker.step():
        pass


def make_sender(engine, clock, **options):
    caller = WebhookCaller(is_local_allowed=True, timeout_seconds=options.pop("timeout_seconds", 5))
    return WebhookSender(engine, key=KEY, caller=caller, now=clock, rng=random.Random(1), **options)


def send(engine, clock, **options):
    """Lay out and send what is due, and return how many deliveries were taken."""
    relay(engine, clock)
    sender = make_sender(engine, clock, **options)
    try:
        sender.step()
        return sender.wait()
    finally:
        sender.close()


def deliveries(engine, webhook):
    """Return the deliveries of a webhook, the oldest event first."""
    with read_transaction(engine) as connection:
        return list_deliveries(connection, webhook, state=None, after=None, limit=500).rows[::-1]


def read(engine, webhook):
    with read_transaction(engine) as connection:
        return read_webhook(connection, webhook)
