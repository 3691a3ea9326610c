"""The relay and its followers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from restock.adapters.database.engine import open_database, read_transaction, write_transaction
from restock.adapters.database.journal import append_event
from restock.adapters.database.migrate import migrate
from restock.adapters.outbox import read_cursor
from restock.operations.relay import Relay, SinkFollower

NOW = datetime(2024, 5, 1, tzinfo=UTC)


class Broker:
    """A sink that can be out of order."""

    name = "broker"

    def __init__(self):
        self.taken = []
        self.is_down = False

    def take(self, connection, events):
        self.taken += [each.sequence for each in events]
        if self.is_down:
            raise ConnectionError("the broker is down")


@pytest.fixture
def engine(tmp_path):
    made = open_database(f"sqlite:///{tmp_path / 'ledger.db'}")
    migrate(made)
    yield made
    made.dispose()


def write(engine, n):
    for _ in range(n):
        with write_transaction(engine) as connection:
            append_event(connection, topic="t", payload={}, now=NOW)


def test_step_hands_events_over_once_and_keeps_the_cursor(engine):
    broker = Broker()
    relay = Relay(engine, [SinkFollower(engine, broker, now=lambda: NOW)], now=lambda: NOW)
    write(engine, 3)
    assert not relay.step()
    write(engine, 1)
    relay.step()
    relay.step()
    assert broker.taken == [1, 2, 3, 4]
    with read_transaction(engine) as connection:
        assert read_cursor(connection, "broker") == 4


def test_step_sink_that_fails_gets_events_again_and_holds_up_no_other(engine, caplog):
    bad, good = Broker(), Broker()
    bad.is_down, good.name = True, "good"
    sinks = [SinkFollower(engine, sink, now=lambda: NOW) for sink in (bad, good)]
    relay = Relay(engine, sinks, now=lambda: NOW)
    write(engine, 2)
    relay.step()
    assert good.taken == [1, 2]
    assert "broker could not take events, it is tried again" in caplog.text
    bad.is_down = False
    relay.step()
    assert bad.taken == [1, 2, 1, 2]
