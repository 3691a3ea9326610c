from __future__ import annotations

import zipfile

import pytest
import xlsxwriter

from restock.adapters.sources.workbook_extent import refuse_extent
from restock.errors import DataError

SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'
)


def _sheet(path, rows):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", SHEET.format(rows))
    return path


def test_refuse_extent_lets_an_ordinary_workbook_through(tmp_path):
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for row in range(100):
            sheet.write_string(row, 0, f"text {row}")
            sheet.write_number(row, 1, row)
    refuse_extent(path, file="a", max_unpacked_bytes=100_000)


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="1"><c r="A1"/></row><row r="1048576"><c r="XFD1048576"/></row>',
        '<row r="1048576"><c r="A1048576"/><c r="ZZ1048576"/></row>',
        '<row><c r="XFD9"/></row><row r="900000"><c/></row>',
    ],
)
def test_refuse_extent_of_cells_far_apart(tmp_path, rows):
    with pytest.raises(DataError, match=r"more than 3,125 cells\. Delete the stray cells"):
        refuse_extent(_sheet(tmp_path / "a.xlsx", rows), file="a", max_unpacked_bytes=100_000)


def test_refuse_extent_of_no_xml(tmp_path):
    with pytest.raises(DataError, match="can't be read as a workbook"):
        refuse_extent(_sheet(tmp_path / "a.xlsx", "<row><c></row>"), file="a", max_unpacked_bytes=100_000)
