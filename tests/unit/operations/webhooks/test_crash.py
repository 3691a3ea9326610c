"""Killed in the middle of a call: everything arrives at least once, in order, signed."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from tests.unit.operations.webhooks.working import deliveries, make_webhook, secret_of, write_events
from tests.webhook_receiver import WebhookReceiver

WORKER = "tests.unit.operations.webhooks.send_until_killed"
LEASE_SECONDS = "1.0"


def start(engine):
    url = engine.url.render_as_string(hide_password=False)
    return subprocess.Popen([sys.executable, "-m", WORKER, url, LEASE_SECONDS], stdin=subprocess.PIPE)


def first_of_each(numbers):
    return list(dict.fromkeys(numbers))


def test_sender_killed_while_it_calls_sends_everything_again_in_order(engine):
    now = datetime.now(UTC)
    with WebhookReceiver() as receiver:
        port = receiver.port
        webhook = make_webhook(engine, receiver.url, now=now)
        receiver.secrets = [secret_of(webhook)]
        write_events(engine, 20, now=now)
        receiver.hang()
        worker = start(engine)
        try:
            receiver.wait_for(lambda it: it.n_hanging == 1)
        finally:
            # In the middle of the call: SIGKILL, nothing is tidied up.
            worker.kill()
            worker.wait()
    assert {row["state"] for row in deliveries(engine, webhook)} == {"pending"}
    # The receiver is down for a while, and events go on.
    write_events(engine, 5, now=now, start=20)
    worker = start(engine)
    try:
        with WebhookReceiver([secret_of(webhook)], port=port) as receiver:
            receiver.wait_for(lambda it: len(it.received) >= 10)
            worker.kill()
            worker.wait()
            worker = start(engine)
            receiver.wait_for(lambda it: len(first_of_each(it.sequences())) == 25)
            assert first_of_each(receiver.sequences()) == list(range(1, 26))
            assert all(each.is_signed for each in receiver.received)
            by_sequence = {}
            for each in receiver.received:
                by_sequence.setdefault(each.sequence, set()).add(each.body["event"])
            assert {len(events) for events in by_sequence.values()} == {1}
    finally:
        worker.kill()
        worker.wait()
