"""What is exported and imported into an empty database is exported the same again."""

from __future__ import annotations

import csv
import io
import shutil
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.migrate import migrate
from restock.operations.catalogue.places import LocationDraft, put_locations
from restock.operations.catalogue.products import ProductDraft, put_products
from restock.operations.exchange.kinds import KINDS
from restock.operations.verify_ledger import verify_ledger
from tests.unit.operations.exchange.conftest import NOW, empty, fetch, send

# In the order in which one needs the other.
CATALOGUE = ("products", "locations", "suppliers", "supply_terms", "prices", "customers", "customer_orders",
             "purchase_orders")  # fmt: skip


def _rows(content, kind):
    """Return the rows of a CSV export without the columns that are told only."""
    told = {column.name for column in KINDS[kind].columns if column.is_told_only}
    return [
        {name: value for name, value in row.items() if name not in told}
        for row in csv.DictReader(io.StringIO(content.decode(), newline=""))
    ]


def _changes(content):
    """Return where a cost or price differs from the one before."""
    changes, last = [], {}
    for row in _rows(content, "prices"):
        for name in ("unit_cost", "unit_price"):
            if row[name] and last.get((row["sku"], name)) != row[name]:
                last[row["sku"], name] = row[name]
                changes.append((row["sku"], row["valid_from"], name, row[name]))
    return changes


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
@pytest.mark.parametrize("stock_kind", ["stock", "movements"])
def test_export_then_import_into_an_empty_database_exports_the_same(stocked, form, stock_kind):
    kinds = (*CATALOGUE, stock_kind)
    before = {kind: fetch(stocked, kind) for kind in (*kinds, "stock")}
    files = {kind: fetch(stocked, kind, form=form) for kind in kinds}
    assert all(_rows(before[kind], kind) for kind in kinds)
    empty(stocked)
    for kind in kinds:
        done = send(stocked, files[kind], filename=f"{kind}.{form}")
        assert done.record.kind == kind
        assert (done.record.n_rejected, done.record.n_skipped) == (0, 0)
        told = {column.name for column in KINDS[kind].columns if column.is_told_only}
        assert set(done.record.ignored) == told
    for kind in (*kinds, "stock"):
        if kind == "prices":
            # Products came with what they cost that day, which their history says again.
            assert _changes(fetch(stocked, kind)) == _changes(before[kind])
            continue
        assert _rows(fetch(stocked, kind), kind) == _rows(before[kind], kind), kind
    verify_ledger(stocked)


# What people and other systems call things: quotes, separators, formulas, numbers that are none, every script.
_ODD = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]) | st.sampled_from("'\"=+-@,;|\\_x0041_ #0")
_NAMES = st.text(_ODD, min_size=1, max_size=20).map(str.strip).filter(bool)
_SKUS = st.one_of(
    _NAMES,
    st.integers(0, 10**6).map(lambda number: f"{number:09d}"),
    st.sampled_from(["1e5", "-7", "TRUE", "null", "NaN"]),
)


@pytest.fixture(scope="module")
def empty_file(tmp_path_factory):
    """Return a SQLite file with all tables and no rows."""
    path = tmp_path_factory.mktemp("empty") / "ledger.db"
    engine = open_database(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
@given(names=st.dictionaries(_SKUS, _NAMES, min_size=1, max_size=6), places=st.dictionaries(_NAMES, _NAMES, max_size=3),
       price=st.decimals(0, 10**6, places=2))  # fmt: skip
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_export_then_import_keeps_odd_names(empty_file, tmp_path, form, names, places, price):
    engines = []
    for name in ("before", "after"):
        shutil.copyfile(empty_file, tmp_path / f"{name}.db")
        engines.append(open_database(f"sqlite:///{tmp_path / name}.db"))
    products = [
        ProductDraft(sku=sku, name=name, base_unit="kg", quantity_decimals=3, unit_price=Decimal(price))
        for sku, name in names.items()
    ]
    locations = [LocationDraft(location=f"L{location}", name=name, region=name) for location, name in places.items()]
    with write_transaction(engines[0]) as connection:
        put_products(connection, products, actor="ann", now=NOW)
        put_locations(connection, locations, actor="ann", now=NOW)
    for kind in ("products", "locations"):
        done = send(engines[1], fetch(engines[0], kind, form=form), kind=kind)
        assert done.record.n_rejected == 0
        assert fetch(engines[1], kind) == fetch(engines[0], kind)
    for engine in engines:
        engine.dispose()
