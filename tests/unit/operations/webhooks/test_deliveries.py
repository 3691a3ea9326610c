"""Laying out and replaying deliveries, and the webhooks they are for."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.ledger_tables import AuditRow
from restock.adapters.webhook_calls import WebhookAddressError
from restock.errors import ConflictError, DataError, NotFoundError, VersionConflictError
from restock.operations.webhooks import deliveries as deliveries_module
from restock.operations.webhooks import subscriptions
from restock.operations.webhooks.deliveries import list_deliveries, replay_delivery, replay_range
from restock.operations.webhooks.subscriptions import (
    WebhookDraft,
    change_webhook,
    create_webhook,
    delete_webhook,
    list_webhooks,
)
from tests.unit.operations.webhooks.working import deliveries, make_webhook, read, relay, send, write_events
from tests.webhook_receiver import WebhookReceiver

URL = "https://hooks.example.com/restock"


def replay(engine, webhook, first, last, *, now):
    with write_transaction(engine) as connection:
        return replay_range(connection, webhook, first=first, last=last, actor="ann", now=now)


def test_lay_out_stops_where_much_is_pending_and_goes_on_later(engine, clock, monkeypatch):
    monkeypatch.setattr(deliveries_module, "MOST_PENDING", 3)
    monkeypatch.setattr(deliveries_module, "BATCH_EVENTS", 2)
    webhook = make_webhook(engine, URL, now=clock())
    write_events(engine, 9, now=clock())
    for _ in range(5):
        relay(engine, clock)
    assert len(deliveries(engine, webhook)) == 4
    assert read(engine, webhook)["outbox_sequence"] == 4


def test_replay_delivery_is_sent_again_under_the_same_identifiers(engine, clock):
    with WebhookReceiver() as receiver:
        webhook = make_webhook(engine, receiver.url, now=clock())
        write_events(engine, 3, now=clock())
        send(engine, clock)
        with write_transaction(engine) as connection:
            second = deliveries(engine, webhook)[1]["delivery"]
            replay_delivery(connection, webhook, second, actor="ann", now=clock())
        assert send(engine, clock) == 1
        assert receiver.sequences() == [1, 2, 3, 2]
        again, before = receiver.received[3], receiver.received[1]
        assert again.body == before.body
        assert again.headers["restock-delivery"] == before.headers["restock-delivery"]


def test_replay_delivery_of_another_webhook_is_refused(engine, clock):
    webhook = make_webhook(engine, URL, now=clock())
    with write_transaction(engine) as connection, pytest.raises(NotFoundError, match="has no delivery 77"):
        replay_delivery(connection, webhook, 77, actor="ann", now=clock())


def test_replay_range_sends_what_was_sent_and_what_was_before_the_webhook(engine, clock):
    with WebhookReceiver() as receiver:
        write_events(engine, 2, now=clock())
        relay(engine, clock)
        webhook = make_webhook(engine, receiver.url, now=clock(), topics=["stock.movements"])
        write_events(engine, 1, now=clock(), topic="stock.alerts")
        write_events(engine, 2, now=clock())
        send(engine, clock)
        assert receiver.sequences() == [4, 5]
        assert replay(engine, webhook, 2, 4, now=clock()) == 2
        assert send(engine, clock) == 2
        assert receiver.sequences() == [4, 5, 2, 4]
        # What is not laid out yet is not counted.
        assert replay(engine, webhook, 5, 99, now=clock()) == 1


@pytest.mark.parametrize(("first", "last"), [(0, 5), (3, 2), (1, 10_001)])
def test_replay_range_empty_or_too_long_is_refused(engine, clock, first, last):
    webhook = make_webhook(engine, URL, now=clock())
    with pytest.raises(DataError, match=f"a range of 1 to 10000 events was expected, got {first} to {last}"):
        replay(engine, webhook, first, last, now=clock())


def test_list_deliveries_filters_by_state_and_pages(engine, clock):
    webhook = make_webhook(engine, URL, now=clock())
    write_events(engine, 3, now=clock())
    relay(engine, clock)
    with read_transaction(engine) as connection:
        first = list_deliveries(connection, webhook, state="pending", after=None, limit=2)
        second = list_deliveries(connection, webhook, state="pending", after=first.after, limit=2)
        none = list_deliveries(connection, webhook, state="failed", after=None, limit=2)
        with pytest.raises(NotFoundError, match="there is no webhook 'x'"):
            list_deliveries(connection, "x", state=None, after=None, limit=2)
    assert [row["outbox_sequence"] for row in (*first.rows, *second.rows)] == [3, 2, 1]
    assert first.rows[0]["topic"] == "stock.movements"
    assert none.rows == []


def test_create_webhook_beyond_the_most_is_refused(engine, clock, monkeypatch):
    monkeypatch.setattr(subscriptions, "MOST_WEBHOOKS", 1)
    make_webhook(engine, URL, now=clock())
    with pytest.raises(ConflictError, match="there are 1 webhooks, at most 1 may be"):
        make_webhook(engine, URL, now=clock())


@pytest.mark.parametrize(
    ("draft", "match"),
    [
        (WebhookDraft(url=URL, topics=()), "topics must be 1 to 50, got 0"),
        (WebhookDraft(url=URL, topics=("Stock",)), "topic 'Stock' is none"),
        (WebhookDraft(url=URL, topics=("stock.*.x",)), "topic 'stock.*.x' is none"),
    ],
)
def test_create_webhook_topics_that_are_none_are_refused(engine, clock, draft, match):
    with write_transaction(engine) as connection, pytest.raises(DataError, match=match.replace("*", r"\*")):
        create_webhook(connection, draft, actor="ann", now=clock(), is_local_allowed=False)


def test_create_webhook_on_this_machine_is_refused_unless_allowed(engine, clock):
    draft = WebhookDraft(url="http://127.0.0.1/x", topics=("*",))
    with write_transaction(engine) as connection, pytest.raises(WebhookAddressError, match="url must be https"):
        create_webhook(connection, draft, actor="ann", now=clock(), is_local_allowed=False)


def test_change_webhook_that_has_changed_is_refused_and_each_change_is_audited(engine, clock):
    webhook = make_webhook(engine, URL, now=clock())
    draft = WebhookDraft(url=URL, topics=("stock.*",), is_active=False)
    options = {"actor": "bob", "now": clock(), "is_local_allowed": False, "expected_version": 1}
    with write_transaction(engine) as connection:
        row = change_webhook(connection, webhook, draft, **options)
    assert (row["version"], row["is_active"], row["topics"]) == (2, False, {"topics": ["stock.*"]})
    with (
        write_transaction(engine) as connection,
        pytest.raises(VersionConflictError, match="has version 2, expected 1"),
    ):
        change_webhook(connection, webhook, draft, **options)
    with write_transaction(engine) as connection:
        delete_webhook(connection, webhook, actor="bob", now=clock(), expected_version=2)
        assert list_webhooks(connection) == []
        actions = connection.execute(select(AuditRow.actor, AuditRow.action).order_by(AuditRow.position)).all()
    assert [tuple(row) for row in actions] == [
        ("ann", "create_webhook"),
        ("bob", "change_webhook"),
        ("bob", "delete_webhook"),
    ]
