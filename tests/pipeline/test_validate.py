"""Batches together become the validated tables; what breaks them leaves the validated ones as they were."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from restock.adapters.batch_files import read_batches
from restock.adapters.sources.formats import build_request
from restock.adapters.storage import checksums_of, read_json, read_table
from restock.errors import BatchRefusedError, DataError, NotFoundError
from restock.operations.ingest import ingest_source
from restock.params import read_params
from restock.pipeline.ingest import run_ingest
from restock.pipeline.validate import UNCATEGORISED, run_validate
from restock.tables import LOCATIONS, PRODUCTS, SALES, SOURCE_TABLES, TABLES

ROOT = Path(__file__).resolve().parents[2]
PARAMS = read_params(ROOT / "params.yaml")
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
TODAY = date(2024, 6, 1)


def bring(data_dir, folder, **texts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    ingest_source(build_request([folder]), PARAMS, data_dir=data_dir, now=NOW)
    run_ingest(data_dir, PARAMS, now=NOW)


def sales(*rows):
    return "sku,location,date,units_sold\n" + "\n".join(rows) + "\n"


def validated(data_dir, table):
    return read_table(data_dir / "validated" / f"{table.name}.parquet", table)


def test_run_validate_one_batch_of_sales_writes_every_source_table(tmp_path, caplog):
    data = tmp_path / "data"
    bring(data, tmp_path / "one", sales=sales("B,L2,2024-05-01,1", "A,L1,2024-05-01,2"))
    figures = run_validate(data, PARAMS, today=TODAY)
    assert {path.stem for path in (data / "validated").iterdir()} == set(SOURCE_TABLES)
    for name in SOURCE_TABLES:
        assert read_table(data / "validated" / f"{name}.parquet", TABLES[name]).height == figures["rows"][name]
    assert validated(data, SALES)["sku"].to_list() == ["A", "B"]
    assert validated(data, PRODUCTS).select("sku", "category_path").rows() == [
        ("A", UNCATEGORISED),
        ("B", UNCATEGORISED),
    ]
    assert validated(data, LOCATIONS)["location"].to_list() == ["L1", "L2"]
    assert "No batch brought table products" in caplog.text


def test_run_validate_later_batch_supersedes_by_key(tmp_path):
    data = tmp_path / "data"
    bring(data, tmp_path / "one", sales=sales("A,L,2024-05-01,1", "A,L,2024-05-02,1"))
    bring(data, tmp_path / "two", sales=sales("A,L,2024-05-02,9", "A,L,2024-05-03,1"))
    figures = run_validate(data, PARAMS, today=TODAY)
    assert validated(data, SALES)["units_sold"].to_list() == [1, 9, 1]
    assert figures["superseded_rows"] == 1


def test_run_validate_corrected_and_late_rows_count_and_the_old_ones_are_kept(tmp_path):
    data = tmp_path / "data"
    bring(data, tmp_path / "one", sales=sales("A,L,2024-05-01,1", "A,L,2024-05-03,3"))
    (first,) = read_batches(data)
    before = checksums_of(data / "raw" / first["id"])
    # A correction of the 3rd, and the 2nd, which comes late.
    bring(data, tmp_path / "two", sales=sales("A,L,2024-05-03,30", "A,L,2024-05-02,2"))
    figures = run_validate(data, PARAMS, today=TODAY)
    assert validated(data, SALES).select("date", "units_sold").rows() == [
        (date(2024, 5, 1), 1.0),
        (date(2024, 5, 2), 2.0),
        (date(2024, 5, 3), 30.0),
    ]
    assert (figures["superseded_rows"], figures["rows"]["sales"]) == (1, 3)
    assert read_json(data / "reports" / "validation.json")["superseded_rows"] == 1
    assert checksums_of(data / "raw" / first["id"]) == before
    old = read_table(data / "raw" / first["id"] / "sales.parquet", SALES)
    assert old.filter(date=date(2024, 5, 3))["units_sold"].to_list() == [3.0]
    # The same correction again is the same batch: nothing is superseded twice.
    bring(data, tmp_path / "three", sales=sales("A,L,2024-05-03,30", "A,L,2024-05-02,2"))
    assert run_validate(data, PARAMS, today=TODAY) == figures


def test_run_validate_unknown_sku_is_a_warning_and_a_figure(tmp_path, caplog):
    data = tmp_path / "data"
    bring(
        data,
        tmp_path / "one",
        sales=sales("A,L,2024-05-01,1", "Z,L,2024-05-01,1"),
        products="sku,name,category_path\nA,a,x\n",
    )
    figures = run_validate(data, PARAMS, today=TODAY)
    assert figures["unknown"] == {"sku": 1, "location": 0}
    assert validated(data, SALES).height == 2
    assert "1 values of sku are not in table products, such as Z" in caplog.text
    assert "such as Z" in (data / "reports" / "validation" / "report.html").read_text(encoding="utf-8")


def test_run_validate_twice_writes_the_same_bytes(tmp_path):
    data = tmp_path / "data"
    bring(data, tmp_path / "one", sales=sales("A,L,2024-05-01,1"))
    run_validate(data, PARAMS, today=TODAY)
    first = checksums_of(data)
    run_validate(data, PARAMS, today=date(2025, 1, 1))
    assert checksums_of(data) == first
    assert read_json(data / "reports" / "validation.json")["broken_expectations"] == 0


def test_run_validate_critical_expectation_broken_leaves_the_validated_tables(tmp_path):
    data = tmp_path / "data"
    bring(data, tmp_path / "one", sales=sales("A,L,2024-05-01,1"))
    run_validate(data, PARAMS, today=TODAY)
    kept = checksums_of(data / "validated")
    bring(data, tmp_path / "two", sales=sales("A,L,2024-05-30,1"))
    with pytest.raises(BatchRefusedError, match=r"date_not_in_future is broken by 1 rows, such as 2024-05-30"):
        run_validate(data, PARAMS, today=date(2024, 5, 15))
    assert checksums_of(data / "validated") == kept


def test_run_validate_changed_batch_is_refused(tmp_path):
    data = tmp_path / "data"
    bring(data, tmp_path / "one", sales=sales("A,L,2024-05-01,1"))
    (path,) = (data / "raw").glob("*/sales.parquet")
    SALES.empty().write_parquet(path)
    with pytest.raises(DataError, match="is not what was accepted"):
        run_validate(data, PARAMS, today=TODAY)


def test_run_validate_without_sales_says_what_to_do(tmp_path):
    data = tmp_path / "data"
    bring(data, tmp_path / "one", products="sku,name,category_path\nA,a,x\n")
    with pytest.raises(DataError, match="no ingested batch holds table sales"):
        run_validate(data, PARAMS, today=TODAY)


def test_run_validate_without_manifest_says_it_is_missing(tmp_path):
    with pytest.raises(NotFoundError, match=r"manifest.json is missing"):
        run_validate(tmp_path, PARAMS, today=TODAY)


def test_run_validate_movements_stay_in_order_of_time(tmp_path):
    data = tmp_path / "data"
    header = "movement,occurred_at_utc,sku,location,kind,quantity,unit_of_measure,unit_price,user,reference"
    rows = [f"{name},2024-05-0{day}T10:00:00Z,A,L,sale,-1,piece,1,u,r" for name, day in (("10", 1), ("9", 2))]
    bring(data, tmp_path / "one", sales=sales("A,L,2024-05-01,1"), movements="\n".join([header, *rows[::-1]]) + "\n")
    run_validate(data, PARAMS, today=TODAY)
    assert pl.read_parquet(data / "validated" / "movements.parquet")["movement"].to_list() == ["10", "9"]


def test_run_validate_refused_after_a_crash_between_the_renames_keeps_the_last_good_tables(tmp_path, monkeypatch):
    data = tmp_path / "data"
    bring(data, tmp_path / "one", sales=sales("A,L,2024-05-01,1"))
    run_validate(data, PARAMS, today=TODAY)
    before = checksums_of(data / "validated")
    # As the crash leaves it: the old tables moved away, the new ones not yet in place.
    (data / "validated").rename(data / ".validated-old.tmp")

    def stop(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("restock.pipeline.validate.write_table", stop)
    with pytest.raises(OSError, match="disk full"):
        run_validate(data, PARAMS, today=TODAY)
    assert checksums_of(data / "validated") == before
