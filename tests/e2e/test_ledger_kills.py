"""`kill -9` of a writer at random moments: the ledger equals its balances, and every acknowledged movement is there."""

from __future__ import annotations

import multiprocessing
import random

import pytest
from sqlalchemy import func, insert, select

from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.engine import open_database, read_transaction, write_transaction
from restock.adapters.database.ledger_store import read_balance
from restock.adapters.database.ledger_tables import IdempotencyRow, MovementRow
from restock.adapters.database.migrate import NOTHING, migrate
from restock.operations.verify_ledger import verify_ledger
from tests.ledger_writer import LOCATION, RECEIVED, SOLD, write_until_killed

N_KILLS = 20
N_KILLS_LONG = 1_000
BATCHES = (1, 1, 4)
MOST_ANSWERS = 25
LONGEST_WAIT_SECONDS = 0.008


@pytest.fixture(scope="module")
def processes():
    """Return what starts writers within milliseconds: forked from a server that has imported all they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.ledger_writer"])
    return context


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def url(request, tmp_path):
    """Return the address of a fresh ledger with one location."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    engine = open_database(url)
    migrate(engine, to=NOTHING)
    migrate(engine)
    row = {"location": LOCATION, "name": "S", "kind": "store", "region": "", "may_be_negative": False}
    with write_transaction(engine) as connection:
        connection.execute(insert(LocationRow), row | {"is_active": True, "version": 1})
    engine.dispose()
    return url


def kill_a_writer(processes, url, *, rng, first, name):
    """Start a writer, kill it at a random moment and return what it acknowledged: movement by number of operation."""
    receiver, sender = processes.Pipe(duplex=False)
    batch = rng.choice(BATCHES)
    writer = processes.Process(target=write_until_killed, args=(url, sender, first, name, batch), daemon=True)
    writer.start()
    sender.close()
    answered = {}
    for _ in range(rng.randint(1, MOST_ANSWERS)):
        answered.update(receiver.recv())
    # Somewhere within the next postings.
    receiver.poll(rng.random() * LONGEST_WAIT_SECONDS)
    writer.kill()
    writer.join()
    while True:
        try:
            answered.update(receiver.recv())
        except (EOFError, OSError):
            # The last answer may have been cut off.
            return answered


def play(processes, url, *, n_kills, seed):
    rng, acknowledged = random.Random(seed), {}
    engine = open_database(url)
    for kill in range(n_kills):
        found = kill_a_writer(processes, url, rng=rng, first=len(acknowledged), name=f"w{kill}")
        assert not found.keys() & acknowledged.keys()
        acknowledged |= found
        assert sorted(acknowledged) == list(range(len(acknowledged)))
        verify_ledger(engine)
        with read_transaction(engine) as connection:
            posted = set(
                connection.execute(select(MovementRow.movement).where(MovementRow.movement >= f"{min(found):07d}"))
                .scalars()
                .all()
            )
        assert set(found.values()) <= posted, f"kill {kill}"
    with read_transaction(engine) as connection:
        movements = set(connection.execute(select(MovementRow.movement)).scalars())
        n_keys = connection.execute(select(func.count()).select_from(IdempotencyRow)).scalar_one()
        balance = read_balance(connection, "A", LOCATION)
    engine.dispose()
    assert set(acknowledged.values()) <= movements
    # Beside what was acknowledged, only what the last writer had no time to acknowledge; nothing is there twice.
    numbers = sorted(int(movement.split("-")[0]) for movement in movements)
    assert numbers == list(range(len(numbers)))
    assert n_keys == len(numbers) <= len(acknowledged) + max(BATCHES)
    assert balance == sum(-SOLD if number % 2 else RECEIVED for number in numbers)
    return acknowledged


def test_ledger_survives_kills_of_its_writer(processes, url):
    assert len(play(processes, url, n_kills=N_KILLS, seed=1)) > N_KILLS


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_ledger_survives_a_thousand_kills_of_its_writer(processes, url):
    assert len(play(processes, url, n_kills=N_KILLS_LONG, seed=2)) > N_KILLS_LONG
