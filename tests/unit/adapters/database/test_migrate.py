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


def test_migrate_again_keeps_the_rows(empty_database):
    migrate(empty_database)
    with write_transaction(empty_database) as connection:
        connection.execute(text("INSERT INTO suppliers VALUES ('s1', 'A supplier', true)"))
    migrate(empty_database)
    with read_transaction(empty_database) as connection:
        assert connection.execute(text("SELECT name FROM suppliers")).scalars().all() == ["A supplier"]


def test_migrate_a_newer_database_is_refused(empty_database):
    migrate(empty_database)
    with write_transaction(empty_database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="at revision 9999, which this version of restock does not know"):
        migrate(empty_database)
    with write_transaction(empty_database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
