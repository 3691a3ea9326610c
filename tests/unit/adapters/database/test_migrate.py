from __future__ import annotations

import pytest
from sqlalchemy import inspect, text

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.migrate import NOTHING, find_drift, migrate
from restock.errors import ConfigurationError


def test_migrate_makes_the_mapped_tables_and_takes_them_away(empty_database):
    assert migrate(empty_database) is not None
    with read_transaction(empty_database) as connection:
        assert find_drift(connection) == []
    assert migrate(empty_database, to=NOTHING) is None
    assert set(inspect(empty_database).get_table_names()) <= {"alembic_version"}


# Rows as an installation of the first revision may hold them, children beside their parents.
_FIRST_ROWS = (
    "INSERT INTO suppliers VALUES ('s1', 'A supplier', true)",
    "INSERT INTO locations VALUES ('L', 'A store', 'store', 'North', NULL, false)",
    "INSERT INTO products VALUES ('A', 'Milk', '', 'piece', 0, false, NULL, true, 1, '2024-01-01')",
    "INSERT INTO supply_terms VALUES ('A', 'L', 's1', 100, 1, 1, 0, 7, 3)",
    "INSERT INTO movements VALUES ('m', 'receipt', '2024-01-01', '2024-01-01', 'x', '', '', NULL)",
    "INSERT INTO movement_lines VALUES ('m', 1, 'A', 'L', '', 5, NULL, NULL, '', '')",
)


def test_migrate_keeps_the_rows_up_and_down(empty_database):
    migrate(empty_database, to="0001")
    with write_transaction(empty_database) as connection:
        for statement in _FIRST_ROWS:
            connection.execute(text(statement))
    for revision in ("head", "0001", "head", "head"):
        migrate(empty_database, to=revision)
        with read_transaction(empty_database) as connection:
            assert connection.execute(text("SELECT name FROM suppliers")).scalars().all() == ["A supplier"]
            assert connection.execute(text("SELECT supplier FROM supply_terms")).scalars().all() == ["s1"]
            assert connection.execute(text("SELECT quantity FROM movement_lines")).scalars().all() == [5]
    with read_transaction(empty_database) as connection:
        assert find_drift(connection) == []
        assert connection.execute(text("SELECT version, minimum_order_value FROM suppliers")).one() == (1, 0)
        assert connection.execute(text("SELECT is_active FROM locations")).scalar_one()


def test_migrate_a_newer_database_is_refused(empty_database):
    latest = migrate(empty_database)
    with write_transaction(empty_database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="at revision 9999, which this version of restock does not know"):
        migrate(empty_database)
    with write_transaction(empty_database) as connection:
        # As it was, for those who use the server next.
        connection.execute(text("UPDATE alembic_version SET version_num = :latest"), {"latest": latest})
