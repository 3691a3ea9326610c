"""The background work as the planning service runs it: from a posted event to a receiver, sealed and tidied."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.journal import append_audit
from restock.adapters.database.ledger_tables import AuditRow, AuditSealRow
from restock.operations.planning_work import planning_work, prune, seal
from restock.operations.webhooks.signing import read_signing_key, signing_key_file
from restock.settings import Settings
from tests.unit.operations.webhooks.working import deliveries, make_webhook, send, write_events
from tests.webhook_receiver import WebhookReceiver


def now():
    return datetime.now(UTC)


def n_seals(engine):
    with read_transaction(engine) as connection:
        return connection.execute(select(func.count()).select_from(AuditSealRow)).scalar_one()


def test_planning_work_brings_an_event_to_a_receiver_and_stops(engine, tmp_path):
    settings = Settings(workspace=tmp_path, webhooks_allow_local=True)
    work = planning_work(engine, settings, now=now, rng=random.Random(1))
    with WebhookReceiver() as receiver:
        webhook = make_webhook(engine, receiver.url, now=now())
        receiver.secrets = [read_signing_key(signing_key_file(tmp_path)).secret_of(webhook, version=1)]
        work.start()
        try:
            write_events(engine, 3, now=now())
            receiver.wait_for(lambda it: it.sequences() == [1, 2, 3])
        finally:
            work.stop()
        assert all(each.is_signed for each in receiver.received)
    assert {name: each.problem for name, each in work.health.items()} == dict.fromkeys(
        ("relay", "webhooks", "seal", "prune", "watch"), ""
    )


def test_seal_seals_what_was_added(engine):
    with write_transaction(engine) as connection:
        append_audit(connection, actor="a", action="b", subject="c", now=now(), details={})
    seal(engine, now=now)
    assert n_seals(engine) == 1


@pytest.mark.parametrize("engine", [pytest.param("postgresql", marks=pytest.mark.real)], indirect=True)
def test_seal_does_not_wait_for_a_long_write(engine):
    row = {"at_utc": now(), "actor": "a", "action": "b", "subject": "c", "details": {}}
    with write_transaction(engine) as long:
        long.execute(insert(AuditRow), row)
        seal(engine, now=now)
        assert n_seals(engine) == 0
        # Nobody queues behind a sealer that waits.
        with write_transaction(engine) as other:
            other.execute(insert(AuditRow), row)
    seal(engine, now=now)
    assert n_seals(engine) == 1


def test_prune_removes_what_was_taken_long_ago_only(engine, clock):
    with WebhookReceiver() as receiver:
        webhook = make_webhook(engine, receiver.url, now=clock())
        write_events(engine, 1, now=clock())
        send(engine, clock)
        clock.forward(days=29)
        receiver.answer = lambda body: 500
        write_events(engine, 1, now=clock())
        send(engine, clock)
    prune(engine, now=clock)
    assert [row["state"] for row in deliveries(engine, webhook)] == ["delivered", "pending"]
    prune(engine, now=lambda: clock() + timedelta(days=31))
    assert [row["state"] for row in deliveries(engine, webhook)] == ["pending"]
