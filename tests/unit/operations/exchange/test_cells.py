from __future__ import annotations

import csv
import io
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.operations.exchange.cells import (
    CellError,
    CellType,
    clean_cell,
    guard_formula,
    read_cell,
    unguard_formula,
    write_cell,
)
from restock.operations.exchange.exporting import write_csv

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", " =1", "'=1", "''=1", "\uff1d1", "\n=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_guard_formula_puts_an_apostrophe_before_what_a_spreadsheet_would_run(text):
    assert guard_formula(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+4.50", "-1e3", "tea", "'tea", "", "0042", "O'Neill", "a=b"])
def test_guard_formula_leaves_numbers_and_words_alone(text):
    assert guard_formula(text) == text


@given(st.text(st.sampled_from("'=+-@\t\r\n 1a.\uff0b"), max_size=6) | st.text())
def test_unguard_formula_gives_back_what_was_guarded(text):
    assert unguard_formula(guard_formula(text)) == text


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2)))
def test_write_csv_no_cell_begins_like_a_formula_and_all_come_back(rows):
    content = b"".join(write_csv(["a", "b"], rows)).decode()
    found = list(csv.reader(io.StringIO(content, newline=""), strict=True))[1:]
    assert [[unguard_formula(cell) for cell in row] for row in found] == rows
    for cell in (cell for row in found for cell in row):
        assert cell[:1] not in tuple("=@\t\r") or cell == ""


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=6))
def test_read_cell_gives_back_numbers(number):
    assert read_cell(write_cell(number), CellType.NUMBER, column="n") == number


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2999, 12, 31)))
def test_read_cell_gives_back_days(day):
    assert read_cell(write_cell(day), CellType.DATE, column="d") == day
    assert read_cell(f"{day}T00:00:00Z", CellType.DATE, column="d") == day


_FIRST, _LAST = (datetime(year, 1, 1) for year in (1970, 2900))  # noqa: DTZ001  (hypothesis adds the zone)


@given(st.datetimes(min_value=_FIRST, max_value=_LAST, timezones=st.just(UTC)))
def test_read_cell_gives_back_instants(instant):
    assert read_cell(write_cell(instant), CellType.INSTANT, column="t") == instant


@pytest.mark.parametrize(
    ("text", "cell_type", "reason"),
    [
        ("1,234.5", CellType.NUMBER, "n is '1,234.5', expected a number with '.' as decimal mark and nothing between"),
        ("nan", CellType.NUMBER, "expected a number"),
        ("Infinity", CellType.NUMBER, "expected a number"),
        ("1e99", CellType.NUMBER, "expected at most"),
        ("9" * 40, CellType.NUMBER, "expected at most"),
        ("0.0000001", CellType.NUMBER, "expected at most 6 decimal places"),
        ("\u0661", CellType.NUMBER, None),
        ("2.5", CellType.INTEGER, "expected a whole number"),
        ("99999999999", CellType.INTEGER, "expected a whole number"),
        ("maybe", CellType.BOOLEAN, "expected true or false"),
        ("31.12.2024", CellType.DATE, "expected a day written 2024-12-31"),
        ("2024-12-31T10:00:00Z", CellType.DATE, "expected a day"),
        ("0024-12-31", CellType.DATE, "expected a day"),
        ("yesterday", CellType.INSTANT, "expected an instant"),
        ("0001-01-01T00:00:00+14:00", CellType.INSTANT, "expected an instant"),
        ("x" * 129, CellType.CODE, "at most 128 characters, got 129"),
        ("a\nb", CellType.CODE, "no line ends"),
        ("x" * 10_001, CellType.TEXT, "at most 10,000 characters"),
        ("[1]", CellType.JSON, "expected a JSON object"),
    ],
)
def test_read_cell_of_the_wrong_kind_says_what_was_expected(text, cell_type, reason):
    if reason is None:
        assert read_cell(text, cell_type, column="n") == Decimal(1)
        return
    with pytest.raises(CellError, match=reason.replace("(", r"\(").replace(".", r"\.")):
        read_cell(text, cell_type, column="n")


@given(st.text(), st.sampled_from(CellType))
def test_read_cell_of_any_text_reads_or_refuses(text, cell_type):
    with suppress(CellError):
        read_cell(clean_cell(text), cell_type, column="c")
