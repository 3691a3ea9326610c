from __future__ import annotations

from datetime import UTC, datetime

import pytest

from restock.adapters.database.engine import open_database, read_transaction, write_transaction
from restock.adapters.database.migrate import NOTHING, migrate


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request, tmp_path):
    """Return an engine for a ledger without content: SQLite, and PostgreSQL where `make test-all` runs."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    engine = open_database(url)
    migrate(engine, to=NOTHING)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def writing(engine):
    """Return a function that calls an operation that writes, in its own transaction, with an actor and the time."""

    def call(operation, *arguments, now=datetime(2024, 5, 1, 12, tzinfo=UTC), **options):
        with write_transaction(engine) as connection:
            return operation(connection, *arguments, actor="test", now=now, **options)

    return call


@pytest.fixture
def reading(engine):
    """Return a function that calls an operation that reads."""

    def call(operation, *arguments, **options):
        with read_transaction(engine) as connection:
            return operation(connection, *arguments, **options)

    return call
