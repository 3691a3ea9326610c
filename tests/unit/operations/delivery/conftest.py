"""A migrated database with a product, locations and helpers, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from restock.adapters.database.catalogue_tables import LocationRow, ProductRow, SupplierRow
from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.migrate import NOTHING, migrate

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that a test sets."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now

    def forward(self, **delta):
        self.now += timedelta(**delta)


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request, tmp_path):
    """Return an engine for a migrated database with product A at store S and till TILL, supplier SUP."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    made = open_database(url)
    migrate(made, to=NOTHING)
    migrate(made)
    product = {
        "sku": "A",
        "name": "Milk",
        "category_path": "",
        "base_unit": "kg",
        "quantity_decimals": 1,
        "is_lot_tracked": True,
        "is_active": True,
        "version": 1,
        "changed_at_utc": NOW,
    }
    locations = [
        {
            "location": name,
            "name": name,
            "kind": "store",
            "region": "",
            "may_be_negative": name == "TILL",
            "is_active": True,
            "version": 1,
        }
        for name in ("S", "TILL")
    ]
    supplier = {"supplier": "SUP", "name": "Sup", "is_active": True, "minimum_order_value": 0, "version": 1}
    with write_transaction(made) as connection:
        connection.execute(insert(ProductRow), product)
        connection.execute(insert(LocationRow), locations)
        connection.execute(insert(SupplierRow), supplier)
    yield made
    made.dispose()
