"""The loop closes: what is posted to the ledger is in the next training batch."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import insert

from restock.adapters.database.catalogue_tables import LocationRow, ProductRow
from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.ledger_store import Posting, post
from restock.adapters.database.migrate import migrate
from restock.adapters.sources.formats import build_request
from restock.adapters.sources.ledger import spool_ledger
from restock.adapters.sources.requests import SourceFormat, SourceRequest
from restock.adapters.storage import read_table
from restock.ledger.movements import Entry, receive, sell
from restock.operations.ingest import BatchStatus, ingest_source
from restock.params import read_params
from restock.pipeline.ingest import run_ingest
from restock.pipeline.validate import run_validate
from restock.tables import SALES

ROOT = Path(__file__).resolve().parents[2]
PARAMS = read_params(ROOT / "params.yaml")
NOW = datetime(2024, 5, 3, 12, tzinfo=UTC)
KEY = ["sku", "location", "date"]


@pytest.fixture
def ledger(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'ledger.db'}")
    migrate(engine)
    location = {"location": "S", "name": "S", "kind": "store", "region": "", "may_be_negative": False}
    product = {"sku": "A", "name": "Milk", "category_path": "Food", "base_unit": "piece", "quantity_decimals": 0}
    product |= {"is_lot_tracked": False, "shelf_life_days": None, "is_active": True, "version": 1}
    with write_transaction(engine) as connection:
        connection.execute(insert(LocationRow), location | {"is_active": True, "version": 1})
        connection.execute(insert(ProductRow), product | {"changed_at_utc": NOW})
    stock = Entry(sku="A", quantity=100, unit_cost=150)
    book(engine, receive([stock], location="S", occurred_at=datetime(2024, 5, 1, tzinfo=UTC)), "r1")
    yield engine
    engine.dispose()


def book(engine, movement, name):
    posting = Posting(
        movement=movement, identifier=name, key=name, request={"name": name}, posted_by="ann", posted_at=NOW
    )
    with write_transaction(engine) as connection:
        post(connection, posting)


def scan(engine, name, *, day, quantity=1):
    entry = Entry(sku="A", quantity=quantity, unit_price=299, entered_quantity=str(quantity), entered_unit="piece")
    book(engine, sell([entry], location="S", occurred_at=datetime(2024, 5, day, 10, tzinfo=UTC)), name)


def ingest(engine, tmp_path):
    """Ingest the ledger as the command does, and return what became of it."""
    folder = tmp_path / "spooled"
    request = SourceRequest(format=SourceFormat.LEDGER, files=spool_ledger(engine, folder=folder, now=NOW))
    return ingest_source(request, PARAMS, data_dir=tmp_path / "data", now=NOW)


def validated_sales(tmp_path):
    data = tmp_path / "data"
    run_ingest(data, PARAMS, now=NOW)
    run_validate(data, PARAMS, today=NOW.date())
    return read_table(data / "validated" / "sales.parquet", SALES)


def test_ingest_ledger_a_posted_sale_changes_the_validated_sales_by_itself(ledger, tmp_path):
    scan(ledger, "m1", day=1, quantity=2)
    scan(ledger, "m2", day=2, quantity=3)
    first = ingest(ledger, tmp_path)
    before = validated_sales(tmp_path)
    assert ingest(ledger, tmp_path).status is BatchStatus.UNCHANGED
    scan(ledger, "m3", day=2)
    second = ingest(ledger, tmp_path)
    assert (first.status, second.status) == (BatchStatus.ACCEPTED, BatchStatus.ACCEPTED)
    assert second.batch != first.batch
    after = validated_sales(tmp_path)
    # The later batch supersedes the first by key: nothing is doubled.
    assert after.height == before.height == 2
    changed = before.join(after, on=KEY).filter(pl.col("units_sold") != pl.col("units_sold_right"))
    assert changed.select(*KEY, "units_sold", "units_sold_right").rows() == [("A", "S", date(2024, 5, 2), 3.0, 4.0)]


def test_ingest_ledger_sale_of_today_waits_for_tomorrow(ledger, tmp_path):
    scan(ledger, "m1", day=1)
    ingest(ledger, tmp_path)
    scan(ledger, "m2", day=3)
    assert ingest(ledger, tmp_path).status is BatchStatus.UNCHANGED


def test_ingest_ledger_beside_earlier_files_takes_the_place_of_their_rows(ledger, tmp_path):
    (tmp_path / "sales.csv").write_text(
        "sku,location,date,units_sold\nA,S,2024-04-30,7\nA,S,2024-05-01,9\nB,S,2024-05-01,1\n", encoding="utf-8"
    )
    ingest_source(build_request([tmp_path / "sales.csv"]), PARAMS, data_dir=tmp_path / "data", now=NOW)
    scan(ledger, "m1", day=1, quantity=2)
    ingest(ledger, tmp_path)
    assert validated_sales(tmp_path).select(*KEY, "units_sold").rows() == [
        ("A", "S", date(2024, 4, 30), 7.0),
        ("A", "S", date(2024, 5, 1), 2.0),
        ("B", "S", date(2024, 5, 1), 1.0),
    ]
