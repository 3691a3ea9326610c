"""Sending to a real receiver on loopback: order, signatures, failures, retries, switching off."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from sqlalchemy import select

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.planning_tables import AlertRow
from restock.operations.webhooks.deliveries import MOST_ATTEMPTS, claim, retry_pause
from restock.operations.webhooks.sender import OFF_AFTER
from restock.operations.webhooks.subscriptions import WebhookDraft, change_webhook, delete_webhook, rotate_secret
from tests.unit.operations.webhooks.working import (
    deliveries,
    make_sender,
    make_webhook,
    read,
    relay,
    secret_of,
    send,
    write_events,
)
from tests.webhook_receiver import WebhookReceiver


@pytest.fixture
def receiver():
    with WebhookReceiver() as made:
        yield made


def alerts(engine):
    with read_transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(select(AlertRow.severity, AlertRow.state))]


def test_send_events_come_in_order_signed_and_once(engine, clock, receiver):
    webhook = make_webhook(engine, receiver.url, now=clock())
    receiver.secrets = [secret_of(webhook)]
    write_events(engine, 5, now=clock())
    assert send(engine, clock) == 5
    assert send(engine, clock) == 0
    assert receiver.sequences() == [1, 2, 3, 4, 5]
    assert all(each.is_signed for each in receiver.received)
    first = receiver.received[0]
    assert first.headers["restock-event"] == first.body["event"]
    assert first.headers["restock-topic"] == "stock.movements"
    assert first.headers["restock-delivery"] == str(deliveries(engine, webhook)[0]["delivery"])
    assert first.body["payload"] == {"n": 0}


def test_send_another_secret_does_not_verify(engine, clock, receiver):
    make_webhook(engine, receiver.url, now=clock())
    receiver.secrets = ["rws_other"]
    write_events(engine, 1, now=clock())
    send(engine, clock)
    assert not receiver.received[0].is_signed


def test_send_only_topics_that_are_wanted_and_only_what_came_after_it_was_made(engine, clock, receiver):
    write_events(engine, 2, now=clock())
    relay(engine, clock)
    make_webhook(engine, receiver.url, topics=["stock.alerts"], now=clock())
    write_events(engine, 2, now=clock())
    write_events(engine, 1, now=clock(), topic="stock.alerts")
    assert send(engine, clock) == 1
    assert receiver.sequences() == [5]


def test_send_failed_attempt_holds_up_what_is_behind_it_until_it_is_taken(engine, clock, receiver):
    webhook = make_webhook(engine, receiver.url, now=clock())
    receiver.answer = lambda body: 500 if body["sequence"] == 2 else 200
    write_events(engine, 3, now=clock())
    assert send(engine, clock) == 1
    second = deliveries(engine, webhook)[1]
    assert (second["state"], second["n_attempts"], second["last_status"]) == ("pending", 1, 500)
    assert second["last_error"] == "the receiver answered 500, expected 2xx."
    assert read(engine, webhook)["failing_since_utc"] == clock()
    # Before its time nothing is tried.
    assert send(engine, clock) == 0
    assert len(receiver.received) == 2
    receiver.answer = lambda body: 200
    clock.forward(seconds=7)
    assert send(engine, clock) == 2
    assert receiver.sequences() == [1, 2, 3]
    assert receiver.received[-2].headers["restock-attempt"] == "2"
    assert read(engine, webhook)["failing_since_utc"] is None


def test_send_redirect_is_a_failure_and_is_not_followed(engine, clock, receiver):
    webhook = make_webhook(engine, receiver.url, now=clock())
    receiver.answer = lambda body: 307
    receiver.reply_headers = {"location": "/elsewhere"}
    write_events(engine, 1, now=clock())
    assert send(engine, clock) == 0
    assert [each.path for each in receiver.received] == ["/hooks"]
    assert deliveries(engine, webhook)[0]["last_status"] == 307


def test_send_receiver_that_asks_for_time_gets_it(engine, clock, receiver):
    webhook = make_webhook(engine, receiver.url, now=clock())
    receiver.answer = lambda body: 503
    receiver.reply_headers = {"retry-after": "3600"}
    write_events(engine, 1, now=clock())
    send(engine, clock)
    assert deliveries(engine, webhook)[0]["next_attempt_at_utc"] == clock() + timedelta(hours=1)


def test_send_nobody_listens_says_so(engine, clock):
    with WebhookReceiver() as gone:
        url = gone.url
    webhook = make_webhook(engine, url, now=clock())
    write_events(engine, 1, now=clock())
    assert send(engine, clock) == 0
    row = deliveries(engine, webhook)[0]
    assert row["last_status"] is None
    assert "127.0.0.1 could not be called" in row["last_error"]


def test_send_receiver_that_never_answers_is_given_up_in_time(engine, clock, receiver):
    webhook = make_webhook(engine, receiver.url, now=clock())
    receiver.hang()
    write_events(engine, 1, now=clock())
    assert send(engine, clock, timeout_seconds=0.2) == 0
    assert deliveries(engine, webhook)[0]["last_error"] == "127.0.0.1 did not answer within 0.2 s."


def test_send_one_receiver_that_hangs_holds_up_no_other(engine, clock, receiver):
    receiver.hang()
    make_webhook(engine, receiver.url, now=clock())
    with WebhookReceiver() as other:
        make_webhook(engine, other.url, now=clock())
        write_events(engine, 2, now=clock())
        relay(engine, clock)
        sender = make_sender(engine, clock, timeout_seconds=3)
        sender.step()
        other.wait_for(lambda it: len(it.received) == 2, seconds=2.5)
        sender.close()


def test_send_last_attempt_failed_is_told_and_the_next_event_goes_on(engine, clock, receiver):
    webhook = make_webhook(engine, receiver.url, now=clock())
    receiver.answer = lambda body: 422 if body["sequence"] == 1 else 200
    write_events(engine, 2, now=clock())
    began = clock()
    for _ in range(MOST_ATTEMPTS):
        send(engine, clock)
        ended = clock()
        clock.now = deliveries(engine, webhook)[0]["next_attempt_at_utc"]
    assert timedelta(hours=20) < ended - began < timedelta(hours=27)
    first = deliveries(engine, webhook)[0]
    assert (first["state"], first["n_attempts"]) == ("failed", MOST_ATTEMPTS)
    assert alerts(engine) == [("warning", "open")]
    send(engine, clock)
    assert receiver.sequences()[-1] >= 2
    assert alerts(engine) == [("warning", "resolved")]


def test_send_receiver_that_is_gone_is_switched_off_with_an_alert(engine, clock, receiver):
    webhook = make_webhook(engine, receiver.url, now=clock())
    receiver.answer = lambda body: 410
    write_events(engine, 2, now=clock())
    send(engine, clock)
    row = read(engine, webhook)
    assert not row["is_active"]
    assert row["switched_off_reason"] == "the receiver answered 410: it is gone for good."
    assert ("critical", "open") in alerts(engine)


def test_send_receiver_that_fails_for_days_is_switched_off_and_goes_on_when_switched_on(engine, clock, receiver):
    webhook = make_webhook(engine, receiver.url, now=clock(), topics=["stock.movements"])
    receiver.answer = lambda body: 500
    write_events(engine, 2, now=clock())
    send(engine, clock)
    clock.forward(seconds=OFF_AFTER.total_seconds() + 1)
    send(engine, clock)
    assert read(engine, webhook)["switched_off_reason"].startswith("nothing was taken since 2024-05-01T12:00+00:00.")
    receiver.answer = lambda body: 200
    write_events(engine, 1, now=clock(), start=2)
    clock.forward(days=1)
    assert send(engine, clock) == 0
    draft = WebhookDraft(url=receiver.url, topics=("stock.movements",))
    with write_transaction(engine) as connection:
        change_webhook(connection, webhook, draft, actor="ann", now=clock(), is_local_allowed=True)
    assert send(engine, clock) == 3
    assert [each.body["payload"]["n"] for each in receiver.received if each.answered == 200] == [0, 1, 2]
    assert alerts(engine) == [("critical", "resolved")]


def test_send_after_rotation_both_secrets_sign_for_a_day(engine, clock, receiver):
    webhook = make_webhook(engine, receiver.url, now=clock())
    with write_transaction(engine) as connection:
        assert rotate_secret(connection, webhook, actor="ann", now=clock())["secret_version"] == 2
    outcomes = []
    for version in (1, 2):
        receiver.secrets = [secret_of(webhook, version=version)]
        write_events(engine, 1, now=clock())
        send(engine, clock)
        outcomes.append(receiver.received[-1].is_signed)
    clock.forward(days=1)
    receiver.secrets = [secret_of(webhook)]
    write_events(engine, 1, now=clock())
    send(engine, clock)
    assert [*outcomes, receiver.received[-1].is_signed] == [True, True, False]


def test_send_webhook_that_another_sender_holds_is_left_until_its_lease_runs_out(engine, clock, receiver):
    webhook = make_webhook(engine, receiver.url, now=clock())
    write_events(engine, 1, now=clock())
    with write_transaction(engine) as connection:
        assert claim(connection, webhook, holder="other", now=clock(), until=clock() + timedelta(seconds=30))
    assert send(engine, clock) == 0
    clock.forward(seconds=30)
    assert send(engine, clock) == 1


def test_send_webhook_removed_before_it_is_sent_to_is_let_be(engine, clock, receiver):
    webhook = make_webhook(engine, receiver.url, now=clock())
    write_events(engine, 1, now=clock())
    relay(engine, clock)
    with write_transaction(engine) as connection:
        delete_webhook(connection, webhook, actor="ann", now=clock())
    assert send(engine, clock) == 0


def test_retry_pause_doubles_up_to_three_hours_and_jitters():
    rng = random.Random(7)
    pauses = [retry_pause(n, rng=rng).total_seconds() for n in range(1, 30)]
    assert 4 <= pauses[0] <= 6
    assert 8 <= pauses[1] <= 12
    assert max(pauses) <= 3 * 3600 * 1.2
    assert len(set(pauses[20:])) == 9
