"""Seeds of the ledger simulation: some in `make test`, ten thousand in `make test-long`."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import text

from restock.adapters.database.engine import create_triggers, drop_triggers, open_database, write_transaction
from restock.adapters.database.migrate import migrate
from tests.ledger_simulator import simulate

N_OPERATIONS = 100
# Of every three seeds one sends its operations in batches of up to so many.
LARGEST_BATCH = 12
_TABLES = ("outbox", "audit_log", "movement_lines", "movements", "balances", "idempotency", "locations")


@pytest.fixture(scope="module")
def engine():
    """Return a database in memory: what is tested is the order of steps, not the disk."""
    engine = open_database("sqlite:///:memory:")
    migrate(engine)
    yield engine
    engine.dispose()


def empty(engine):
    with write_transaction(engine) as connection:
        drop_triggers(connection)
        for table in _TABLES:
            connection.execute(text(f"DELETE FROM {table}"))
        create_triggers(connection)


def play(engine, seeds):
    """Play seeds and return how much of what happened, those in batches and the others together."""
    tally = Counter()
    for seed in seeds:
        empty(engine)
        try:
            largest = LARGEST_BATCH if seed % 3 == 0 else 1
            tally.update(simulate(engine, seed=seed, n_operations=N_OPERATIONS, largest_batch=largest))
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    return tally


def test_ledger_keeps_its_invariants_under_crashes_and_repeats(engine):
    tally = play(engine, range(40))
    # A game in which nothing goes wrong proves nothing.
    assert min(tally[what] for what in ("answered", "refused", "crashes", "repeated")) > 100


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_ledger_keeps_its_invariants_over_ten_thousand_seeds(engine):
    play(engine, range(1000, 11_000))
