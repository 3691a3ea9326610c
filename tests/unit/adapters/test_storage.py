from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from restock.adapters.storage import (
    TableWriter,
    checksums_of,
    read_json,
    read_table,
    sha256_of,
    write_bytes,
    write_json,
    write_table,
    write_text,
)
from restock.errors import DataError, NotFoundError
from restock.tables import LOCATIONS, SALES


def test_write_bytes_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "deep" / "file"
    write_bytes(path, b"one")
    write_bytes(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_write_bytes_that_fails_keeps_the_old_content(tmp_path):
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(TypeError, match="bytes-like"):
        write_bytes(path, "text")
    assert path.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_write_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "x.json", float("nan"))


def test_read_json_of_a_missing_or_broken_file_says_so(tmp_path):
    with pytest.raises(NotFoundError, match="is missing"):
        read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="is not valid JSON"):
        read_json(tmp_path / "x.json")


def test_write_table_then_read_table_gives_the_same_rows_and_bytes(tmp_path):
    frame = SALES.conform(
        pl.DataFrame({"sku": ["A"], "location": ["L"], "date": [date(2024, 1, 1)], "units_sold": [1.0]})
    )
    write_table(frame, SALES, tmp_path / "a.parquet")
    write_table(frame, SALES, tmp_path / "b.parquet")
    assert read_table(tmp_path / "a.parquet", SALES).equals(frame)
    assert sha256_of(tmp_path / "a.parquet") == sha256_of(tmp_path / "b.parquet")


def test_read_table_of_another_table_is_refused(tmp_path):
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="does not hold table sales"):
        read_table(tmp_path / "a.parquet", SALES)
    with pytest.raises(NotFoundError, match="Run the stage that writes it"):
        read_table(tmp_path / "b.parquet", SALES)


def test_checksums_of_lists_files_by_relative_path(tmp_path):
    write_text(tmp_path / "b" / "c", "x")
    write_text(tmp_path / "a", "")
    assert list(checksums_of(tmp_path)) == ["a", "b/c"]
    assert checksums_of(tmp_path)["a"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_table_writer_parts_come_to_the_rows_and_the_same_bytes(tmp_path):
    frame = LOCATIONS.conform(pl.DataFrame({"location": [f"L{n}" for n in range(9)]}))
    for name in ("a", "b"):
        writer = TableWriter(LOCATIONS, tmp_path / name / "locations.parquet")
        for start in range(0, 9, 3):
            writer.append(frame.slice(start, 3))
        assert not (tmp_path / name / "locations.parquet").exists()
        writer.finish()
    assert read_table(tmp_path / "a" / "locations.parquet", LOCATIONS).equals(frame)
    assert sha256_of(tmp_path / "a" / "locations.parquet") == sha256_of(tmp_path / "b" / "locations.parquet")


def test_table_writer_frame_of_another_table_is_refused(tmp_path):
    writer = TableWriter(LOCATIONS, tmp_path / "locations.parquet")
    with pytest.raises(ValueError, match=r"columns .* are missing"):
        writer.append(pl.DataFrame({"x": [1]}))
