from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime

import polars as pl
import pytest

from restock.adapters.batch_files import name_batch
from restock.adapters.sources.formats import identify_source, open_source
from restock.adapters.sources.requests import SourceFormat, SourceRequest
from restock.adapters.sources.sql import read_url, spool_query
from restock.adapters.workspace import project_root
from restock.errors import ConfigurationError, DataError
from restock.operations.ingest import examine_source
from restock.params import read_params

PARAMS = read_params(project_root() / "params.yaml")
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
QUERY = "SELECT article AS sku, store AS location, day AS date, sold AS units_sold FROM till"
ROWS = [(f"A{n}", "L", f"2024-05-{n % 28 + 1:02d}", n) for n in range(100)]


@pytest.fixture
def till(tmp_path):
    path = tmp_path / "till.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE till (article TEXT, store TEXT, day TEXT, sold INTEGER)")
        connection.executemany("INSERT INTO till VALUES (?, ?, ?, ?)", ROWS)
    return f"sqlite:///{path}"


def request_for(spooled, table="sales"):
    return SourceRequest(
        format=SourceFormat.SQL,
        files={spooled.name: spooled.folder},
        table=table,
        digests={spooled.name: spooled.digest},
    )


def test_spool_query_rows_become_the_table_part_by_part(till, tmp_path):
    request = request_for(spool_query(till, QUERY, folder=tmp_path / "rows", chunk_rows=15, part_rows=30))
    parts = list(open_source(request, PARAMS).parts)
    assert [part.n_rows for part in parts] == [30, 30, 30, 10]
    assert parts[3].frame["__line"].to_list() == list(range(91, 101))
    examined = examine_source(request, PARAMS, now=NOW)
    assert (examined.n_rows, examined.n_rejected_rows, examined.reasons) == (100, 0, ())


def test_spool_query_same_rows_in_another_order_are_the_same_batch(till, tmp_path):
    digests = {
        spool_query(
            till, f"{QUERY} ORDER BY sold {order}", folder=tmp_path / order, chunk_rows=size, part_rows=size
        ).digest
        for order, size in (("ASC", 30), ("DESC", 1000))
    }
    assert len(digests) == 1
    other = spool_query(till, f"{QUERY} LIMIT 99", folder=tmp_path / "other")
    assert other.digest not in digests
    batches = {name_batch(identify_source(request_for(other, table), PARAMS)) for table in ("sales", "stock")}
    assert len(batches) == 2


def test_spool_query_column_that_begins_with_nulls_takes_the_later_type(till, tmp_path):
    query = "SELECT article AS sku, CASE WHEN sold > 60 THEN sold / 2.0 END AS price FROM till ORDER BY sold"
    spooled = spool_query(till, query, folder=tmp_path / "rows", chunk_rows=20)
    assert pl.read_parquet(spooled.folder)["price"].to_list()[60:62] == [None, 30.5]


def test_spool_query_no_rows_are_told_as_such(till, tmp_path):
    request = request_for(spool_query(till, f"{QUERY} WHERE sold < 0", folder=tmp_path / "rows"))
    with pytest.raises(DataError, match="nothing to ingest"):
        examine_source(request, PARAMS, now=NOW)


@pytest.mark.parametrize(
    ("query", "match"),
    [
        ("SELECT absent FROM till", "did not answer the query: no such column: absent"),
        ("DELETE FROM till", "readonly"),
        ("SELECT sold, sold FROM till", "the column sold more than once. Rename with AS"),
    ],
)
def test_spool_query_bad_query_is_refused_and_changes_nothing(till, tmp_path, query, match):
    with pytest.raises(DataError, match=match):
        spool_query(till, query, folder=tmp_path / "rows")
    assert spool_query(till, QUERY, folder=tmp_path / "again").n_rows == 100


def test_spool_query_colons_and_percent_signs_are_the_querys_own(till, tmp_path):
    query = "SELECT article AS sku FROM till WHERE article LIKE 'A1%' AND ':x' = ':x' AND '12:30' <> ':y'"
    assert spool_query(till, query, folder=tmp_path / "rows").n_rows == 11


def test_spool_query_unreachable_database_never_shows_the_password(tmp_path):
    url = "postgresql+psycopg://me:hunter2-pw@127.0.0.1:1/db"
    with pytest.raises(DataError, match=r"postgresql:127.0.0.1/db did not answer") as caught:
        spool_query(url, "SELECT 1", folder=tmp_path / "rows")
    assert "hunter2-pw" not in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "nodriver://me:hunter2-pw@host/db"])
def test_spool_query_url_that_is_none_is_refused_without_its_password(tmp_path, url):
    with pytest.raises(ConfigurationError, match="no URL of a database") as caught:
        spool_query(url, "SELECT 1", folder=tmp_path / "rows")
    assert "hunter2-pw" not in str(caught.value)


def test_spool_query_missing_sqlite_file_is_not_made(tmp_path):
    with pytest.raises(DataError, match=r"sqlite:/none.db is not there"):
        spool_query(f"sqlite:///{tmp_path}/none.db", "SELECT 1", folder=tmp_path / "rows")
    assert not (tmp_path / "none.db").exists()


def test_read_url_variable_is_read_and_a_missing_one_named(monkeypatch):
    monkeypatch.setenv("TILL_URL", "sqlite:///till.db")
    assert read_url("env:TILL_URL") == "sqlite:///till.db"
    assert read_url("sqlite://") == "sqlite://"
    with pytest.raises(ConfigurationError, match="NO_SUCH_URL, which is not set"):
        read_url("env:NO_SUCH_URL")


@pytest.mark.real
def test_spool_query_postgresql_reads_with_a_server_side_cursor_and_writes_nothing(postgresql_url, tmp_path):
    import sqlalchemy as sa

    engine = sa.create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS till"))
        connection.execute(sa.text("CREATE TABLE till (article text, store text, day date, sold numeric(12, 2))"))
        rows = [{"a": sku, "s": store, "d": date.fromisoformat(day), "n": sold} for sku, store, day, sold in ROWS]
        connection.execute(sa.text("INSERT INTO till VALUES (:a, :s, :d, :n)"), rows)
        connection.execute(sa.text("CREATE SEQUENCE IF NOT EXISTS numbers"))
    engine.dispose()
    spooled = spool_query(postgresql_url, f"{QUERY} WHERE sold::int >= 0", folder=tmp_path / "rows", chunk_rows=40)
    assert "s3cret-pw" not in spooled.name
    examined = examine_source(request_for(spooled), PARAMS, now=NOW)
    assert (examined.n_rows, examined.reasons) == (100, ())
    first = examined.tables[0].first_accepted.row(0, named=True)
    assert (first["sku"], first["date"], first["units_sold"]) == ("A0", date(2024, 5, 1), 0.0)
    with pytest.raises(DataError, match="read-only transaction"):
        spool_query(postgresql_url, "SELECT nextval('numbers')", folder=tmp_path / "changed")
    wrong = postgresql_url.replace("s3cret-pw", "wrong-pw")
    with pytest.raises(DataError, match="password authentication failed") as caught:
        spool_query(wrong, QUERY, folder=tmp_path / "wrong")
    assert "wrong-pw" not in str(caught.value)
    assert pl.read_parquet(tmp_path / "rows").height == 100
