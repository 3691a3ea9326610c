from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime

import pytest
import xlsxwriter

from restock.adapters.sources.formats import build_request, read_source
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import LINE
from restock.adapters.workspace import project_root
from restock.errors import DataError
from restock.operations.ingest import examine_source
from restock.params import read_params

PARAMS = read_params(project_root() / "params.yaml")
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HEADER = ["sku", "location", "date", "units_sold"]


def write(path, rows, *, header=HEADER, top=0, sheet="Export"):
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Cover") if sheet != "Export" else None
        page = book.add_worksheet(sheet)
        form = book.add_format({"num_format": "dd.mm.yyyy"})
        page.write_row(top, 0, header)
        for number, row in enumerate(rows, start=top + 1):
            for column, value in enumerate(row):
                if isinstance(value, date):
                    page.write_datetime(number, column, value, form)
                elif value is not None:
                    page.write(number, column, value)
    return path


def read(path, *, max_unpacked_bytes=1 << 30, **mapping):
    request = build_request([path], mapping=SourceMapping(**mapping), max_unpacked_bytes=max_unpacked_bytes)
    return read_source(request, PARAMS).tables[0]


def test_read_workbook_dates_and_numbers_keep_their_kind_and_row(tmp_path):
    rows = [(101, "L", date(2024, 5, 1), 1.5), (None,) * 4, ("B", "L", date(2024, 5, 2), 2)]
    path = write(tmp_path / "sales.xlsx", rows, top=3)
    assert read(path).frame[LINE].to_list() == [5, 7]
    examined = examine_source(build_request([path]), PARAMS, now=NOW)
    assert examined.reasons == ()
    assert examined.tables[0].first_accepted.select(HEADER).rows() == [
        ("101", "L", date(2024, 5, 1), 1.5),
        ("B", "L", date(2024, 5, 2), 2.0),
    ]


def test_read_workbook_bad_cell_is_rejected_with_its_sheet_row(tmp_path):
    rows = [(f"A{n}", "L", date(2024, 5, 1), "many" if n == 50 else n) for n in range(100)]
    examined = examine_source(build_request([write(tmp_path / "sales.xlsx", rows)]), PARAMS, now=NOW)
    assert examined.tables[0].first_rejected.select("line", "value", "rule").rows() == [(52, "many", "units_sold_type")]


def test_read_workbook_sheet_is_chosen_by_the_mapping(tmp_path):
    path = write(tmp_path / "sales.xlsx", [("A", "L", date(2024, 5, 1), 1)], sheet="Sales")
    assert read(path, sheet="Sales").frame.height == 1
    with pytest.raises(DataError, match=r"has no sheet 'Sale'. It has Cover, Sales; name one in the mapping"):
        read(path, sheet="Sale")
    with pytest.raises(DataError, match=r"sheet Cover, is empty"):
        read(path)


def test_read_workbook_header_alone_has_nothing_to_ingest(tmp_path):
    with pytest.raises(DataError, match="nothing to ingest"):
        examine_source(build_request([write(tmp_path / "sales.xlsx", [])]), PARAMS, now=NOW)


def test_read_workbook_repeated_column_is_refused(tmp_path):
    path = write(tmp_path / "sales.xlsx", [("A", "B", "C", 1)], header=["sku", "sku", "date", "units_sold"])
    with pytest.raises(DataError, match="'sku' more than once"):
        read(path)


def test_read_workbook_text_is_refused(tmp_path):
    (tmp_path / "sales.xlsx").write_text("sku,location\n", encoding="utf-8")
    with pytest.raises(DataError, match="can't be read as a workbook"):
        read(tmp_path / "sales.xlsx")


def test_read_workbook_bomb_is_refused_before_it_is_parsed(tmp_path):
    path = write(tmp_path / "sales.xlsx", [("A", "L", date(2024, 5, 1), 1)])
    with pytest.raises(DataError, match="more than 100 or than 200 times its size"):
        read(path, max_unpacked_bytes=100)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/zeros.bin", b"\0" * 30_000_000)
    with pytest.raises(DataError, match="decompression bombs"):
        read(path)
