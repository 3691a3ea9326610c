from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from restock.adapters.database.engine import open_database, read_transaction, write_transaction
from restock.adapters.database.ledger_tables import AuditRow
from restock.adapters.database.migrate import NOTHING, migrate
from restock.operations.access import Role
from restock.operations.identity.tokens import TokenDraft, create_token


class Clock:
    """A time that tests move, as an instant and as seconds."""

    def __init__(self):
        self.now = datetime(2024, 5, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.now

    def seconds(self):
        return self.now.timestamp()

    def forward(self, **parts):
        self.now += timedelta(**parts)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request, tmp_path):
    """Return a migrated database: SQLite, and PostgreSQL where `make test-all` runs."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    engine = open_database(url)
    migrate(engine, to=NOTHING)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def make_token(engine, clock):
    """Return a function that makes a token and returns what its owner sends."""

    def make(name="me", *, role=Role.SERVICE, **draft):
        with write_transaction(engine) as connection:
            return create_token(
                connection, TokenDraft(name=name, role=role, **draft), actor="test", now=clock.now
            ).secret

    return make


@pytest.fixture
def read_audit(engine):
    """Return a function that returns actor, action, subject and details of all audit entries."""

    def read():
        columns = (AuditRow.actor, AuditRow.action, AuditRow.subject, AuditRow.details)
        with read_transaction(engine) as connection:
            return [tuple(row) for row in connection.execute(select(*columns).order_by(AuditRow.position))]

    return read
