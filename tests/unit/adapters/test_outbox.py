"""Publishing: commit order, cursors, on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from restock.adapters.database.engine import open_database, read_transaction, write_transaction
from restock.adapters.database.journal import append_event
from restock.adapters.database.migrate import NOTHING, migrate
from restock.adapters.outbox import (
    has_unpublished,
    is_wanted,
    last_sequence,
    lock_cursor,
    move_cursor,
    publish,
    read_cursor,
    read_published,
)

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request, tmp_path):
    """Return an engine for a migrated database."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    made = open_database(url)
    migrate(made, to=NOTHING)
    migrate(made)
    yield made
    made.dispose()


def write(connection, event, *, topic="stock.movements"):
    append_event(connection, topic=topic, payload={"n": event}, now=NOW, event=event)


def write_all(engine, *events):
    for event in events:
        with write_transaction(engine) as connection:
            write(connection, event)


def publish_all(engine, *, limit=100):
    with write_transaction(engine) as connection:
        return publish(connection, now=NOW, limit=limit)


def published(engine, *, after=0, limit=100):
    with read_transaction(engine) as connection:
        return [(each.sequence, each.event) for each in read_published(connection, after=after, limit=limit)]


def test_publish_numbers_events_in_their_order_once(engine):
    write_all(engine, "a", "b", "c")
    assert publish_all(engine, limit=2) == 2
    assert publish_all(engine, limit=2) == 1
    assert publish_all(engine, limit=2) == 0
    assert published(engine) == [(1, "a"), (2, "b"), (3, "c")]
    assert published(engine, after=1, limit=1) == [(2, "b")]


def test_has_unpublished_until_all_are_published(engine):
    write_all(engine, "a")
    with read_transaction(engine) as connection:
        assert has_unpublished(connection)
    publish_all(engine)
    with read_transaction(engine) as connection:
        assert not has_unpublished(connection)
        assert last_sequence(connection) == 1


@pytest.mark.real
def test_publish_event_that_commits_late_comes_after_what_was_followed(postgresql_url):
    engine = open_database(postgresql_url)
    migrate(engine, to=NOTHING)
    migrate(engine)
    slow = engine.connect()
    transaction = slow.begin()
    write(slow, "drawn-first")
    write_all(engine, "drawn-second")
    assert publish_all(engine) == 1
    assert published(engine) == [(1, "drawn-second")]
    # A cursor over positions stands past it now.
    transaction.commit()
    slow.close()
    assert publish_all(engine) == 1
    assert published(engine, after=1) == [(2, "drawn-first")]
    engine.dispose()


@pytest.mark.real
def test_publish_while_another_publishes_leaves_it_to_that_one(postgresql_url):
    engine = open_database(postgresql_url)
    migrate(engine, to=NOTHING)
    migrate(engine)
    write_all(engine, "a")
    with write_transaction(engine) as first:
        assert publish(first, now=NOW, limit=10) == 1
        assert publish_all(engine) == 0
    assert published(engine) == [(1, "a")]
    engine.dispose()


def test_publish_beside_many_writers_loses_and_doubles_none(engine):
    names = [f"{writer}-{n}" for writer in range(4) for n in range(25)]

    def work(writer):
        write_all(engine, *(name for name in names if name.startswith(f"{writer}-")))

    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(work, writer) for writer in range(4)]
        publishers = [pool.submit(lambda: [publish_all(engine, limit=7) for _ in range(20)]) for _ in range(2)]
        for job in (*jobs, *publishers):
            job.result()
    while publish_all(engine):
        pass
    found = published(engine, limit=1000)
    assert [sequence for sequence, _ in found] == list(range(1, 101))
    assert sorted(event for _, event in found) == sorted(names)
    for writer in range(4):
        own = [event for _, event in found if event.startswith(f"{writer}-")]
        assert own == [f"{writer}-{n}" for n in range(25)]


def test_move_cursor_is_read_back(engine):
    with write_transaction(engine) as connection:
        assert lock_cursor(connection, "kafka", now=NOW) == 0
        move_cursor(connection, "kafka", to=7, now=NOW)
    with write_transaction(engine) as connection:
        assert lock_cursor(connection, "kafka", now=NOW) == 7
        assert read_cursor(connection, "other") == 0


@pytest.mark.parametrize(
    ("topic", "wanted", "expected"),
    [
        ("stock.alerts", ["*"], True),
        ("stock.alerts", ["stock.alerts"], True),
        ("stock.alerts", ["stock.*"], True),
        ("stockings.alerts", ["stock.*"], False),
        ("stock.alerts", [], False),
    ],
)
def test_is_wanted_by_name_by_family_and_all(topic, wanted, expected):
    assert is_wanted(topic, wanted) is expected
