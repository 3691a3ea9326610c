from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest
from sqlalchemy import func, insert, select

from restock.adapters.database.catalogue_tables import LocationRow, ProductRow
from restock.adapters.database.engine import open_database, read_transaction, write_transaction
from restock.adapters.database.ledger_store import Posting, post
from restock.adapters.database.ledger_tables import AuditRow, BalanceRow, MovementRow, OutboxRow
from restock.adapters.database.migrate import NOTHING, migrate
from restock.adapters.sources.ledger import spool_ledger
from restock.errors import DataError
from restock.ledger.movements import Entry, receive
from restock.operations import demo_ledger
from restock.operations.demo_ledger import post_demo_company
from restock.operations.verify_ledger import verify_ledger
from restock.params import SimulationParams
from restock.simulation.company import simulate_demo_company

NOW = datetime(2024, 12, 1, tzinfo=UTC)
PARAMS = SimulationParams(n_skus=12, n_stores=2, n_days=120, first_day=date(2024, 1, 1))


@pytest.fixture(scope="module")
def tables():
    return simulate_demo_company(PARAMS, seed=3).tables


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    engine = open_database(url)
    migrate(engine, to=NOTHING)
    migrate(engine)
    yield engine
    engine.dispose()


def count(engine, table, *conditions):
    with read_transaction(engine) as connection:
        return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()


def test_post_demo_company_posts_every_booking_and_the_ledger_balances(engine, tables):
    posted = post_demo_company(engine, tables, now=NOW, actor="test")
    booked = tables["movements"].filter(pl.col("quantity") != 0)
    assert posted.n_posted == verify_ledger(engine).n_movements == booked.height
    with read_transaction(engine) as connection:
        rows = connection.execute(select(BalanceRow.sku, BalanceRow.location, BalanceRow.quantity)).all()
    found = {(sku, location): quantity for sku, location, quantity in rows}
    for row in tables["stock"].to_dicts():
        assert found.get((row["sku"], row["location"]), 0) == row["on_hand"]
    # What happened long ago is no news.
    assert count(engine, OutboxRow, OutboxRow.delivered_at_utc.is_(None)) == 0


def test_post_demo_company_a_second_time_posts_nothing(engine, tables):
    first = post_demo_company(engine, tables, now=NOW, actor="test")
    n_entries = count(engine, AuditRow)
    again = post_demo_company(engine, tables, now=NOW, actor="test")
    assert (again.n_posted, again.n_known) == (0, first.n_posted)
    assert count(engine, AuditRow) == n_entries
    assert again.n_orders == first.n_orders == tables["purchase_orders"]["order"].n_unique()


def test_post_demo_company_goes_on_where_it_was_cut_off(engine, tables, monkeypatch):
    monkeypatch.setattr(demo_ledger, "_BATCH", 500)
    done = []

    def stop(now_done, _total):
        done.append(now_done)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        post_demo_company(engine, tables, now=NOW, actor="test", on_progress=stop)
    rest = post_demo_company(engine, tables, now=NOW, actor="test")
    assert rest.n_known == 1_000
    assert verify_ledger(engine).n_movements == rest.n_known + rest.n_posted


def test_post_demo_company_is_read_back_as_it_was_brought(engine, tables, tmp_path):
    post_demo_company(engine, tables, now=NOW, actor="test")
    files = spool_ledger(engine, folder=tmp_path / "x", now=NOW)
    read = {name.removeprefix("ledger/"): pl.read_parquet(path) for name, path in files.items()}
    booked = tables["movements"].filter(pl.col("quantity") != 0).drop("quantity_expected")
    assert read["movements"].drop("quantity_expected").sort("movement").equals(booked.sort("movement"))
    assert read["locations"].equals(tables["locations"].sort("location"))
    terms = tables["supply_terms"].sort("sku", "location", "supplier")
    assert read["supply_terms"].equals(terms)
    on_hand = ["sku", "location", "as_of", "on_hand"]
    joined = read["stock"].select(on_hand).join(tables["stock"].select(on_hand), on=on_hand, how="semi")
    assert joined.height == read["stock"].height
    both = read["sales"].join(tables["sales"], on=["sku", "location", "date"], how="inner")
    # The tills are right; where clerks booked a sale wrongly, the ledger is not.
    assert both.height > 0.99 * tables["sales"].height
    assert both.filter(pl.col("units_sold") != pl.col("units_sold_right")).height < 0.01 * both.height


def test_post_demo_company_into_the_ledger_of_another_company_is_refused(engine, tables):
    row = {"location": "S", "name": "S", "kind": "store", "region": "", "may_be_negative": False, "is_active": True}
    posting = Posting(
        movement=receive([Entry(sku="A", quantity=1)], location="S", occurred_at=NOW),
        identifier="m1",
        key="k",
        request={},
        posted_by="ann",
        posted_at=NOW,
    )
    with write_transaction(engine) as connection:
        connection.execute(insert(LocationRow), row | {"version": 1})
        post(connection, posting)
    with pytest.raises(DataError, match="holds movements of another company, such as 'm1'"):
        post_demo_company(engine, tables, now=NOW, actor="test")
    assert count(engine, ProductRow) == 0
    assert count(engine, MovementRow) == 1


def test_post_demo_company_of_another_seed_is_refused(engine, tables):
    post_demo_company(engine, tables, now=NOW, actor="test")
    other = simulate_demo_company(PARAMS, seed=4).tables
    with pytest.raises(DataError, match="another size or seed"):
        post_demo_company(engine, other, now=NOW, actor="test")
    verify_ledger(engine)
