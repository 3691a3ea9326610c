from __future__ import annotations

import pytest

from restock.adapters.database.engine import open_database
from restock.adapters.database.migrate import NOTHING, migrate


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def empty_database(request, tmp_path):
    """Return an engine for an empty database: SQLite, and PostgreSQL where `make test-all` runs."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    engine = open_database(url)
    migrate(engine, to=NOTHING)
    yield engine
    engine.dispose()
