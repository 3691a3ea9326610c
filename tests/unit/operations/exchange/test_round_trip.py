"""What is exported and imported into an empty database is exported the same again."""

from __future__ import annotations

import csv
import io

import pytest

from restock.operations.exchange.kinds import KINDS
from restock.operations.verify_ledger import verify_ledger
from tests.unit.operations.exchange.conftest import empty, fetch, send

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
