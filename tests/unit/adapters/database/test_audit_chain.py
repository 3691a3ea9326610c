from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, text

from restock.adapters.database.audit_chain import find_broken_seal, seal_audit
from restock.adapters.database.engine import drop_triggers, read_transaction, write_transaction
from restock.adapters.database.ledger_tables import AuditRow
from restock.adapters.database.migrate import migrate

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def sealed(empty_database):
    """Return a database with five audit entries under two seals."""
    migrate(empty_database)
    for actors in ("abc", "de"):
        with write_transaction(empty_database) as connection:
            rows = [
                {"at_utc": NOW, "actor": actor, "action": "post", "subject": actor, "details": {"n": 1}}
                for actor in actors
            ]
            connection.execute(insert(AuditRow), rows)
            assert seal_audit(connection, now=NOW) == len(actors)
    return empty_database


def test_seal_audit_nothing_new_sets_no_seal(sealed):
    with write_transaction(sealed) as connection:
        assert seal_audit(connection, now=NOW) == 0
    with read_transaction(sealed) as connection:
        assert find_broken_seal(connection) is None


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit_log SET actor = 'x' WHERE position = 2", 3),
        ("DELETE FROM audit_log WHERE position = 4", 5),
        ("DELETE FROM audit_log WHERE position = 5", 5),
        ("UPDATE audit_log SET details = '{\"n\": 2}' WHERE position = 5", 5),
    ],
)
def test_find_broken_seal_names_the_first_that_does_not_hold(sealed, statement, broken):
    with write_transaction(sealed) as connection:
        # Whoever may drop a trigger may change a row: the chain still shows it.
        drop_triggers(connection)
        connection.execute(text(statement))
    with read_transaction(sealed) as connection:
        assert find_broken_seal(connection) == broken
