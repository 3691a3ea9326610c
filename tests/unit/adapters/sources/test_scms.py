"""The SCMS delivery history: its date trap, and files that are not what they should be."""

from __future__ import annotations

import gzip
from datetime import date

import pytest

from restock.adapters.sources.scms import FILE, parse_scms_date, read_scms_lines
from restock.errors import DataError

HEAD = "ID,Scheduled Delivery Date,Delivered to Client Date,PO Sent to Vendor Date,Vendor,Weight (Kilograms)\n"


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("02-Jun-06", date(2006, 6, 2)),
        ("11/21/11", date(2011, 11, 21)),
        ("2010-09-14", date(2014, 10, 9)),
        ("2002-10-10", date(2010, 2, 10)),
        ("2013-09-14", None),
        ("Date Not Captured", None),
        ("N/A - From RDC", None),
        (None, None),
    ],
)
def test_parse_scms_date_reads_what_is_meant(text, day):
    assert parse_scms_date(text) == day


def test_read_scms_lines_packed_file_gives_days_numbers_and_nulls(tmp_path):
    text = (
        HEAD + "7,02-Jun-06,04-Jun-06,2010-09-14,Acme,12.5\n8,03-Jun-06,03-Jun-06,Date Not Captured,,Weight Captured\n"
    )
    (tmp_path / FILE).write_bytes(gzip.compress(text.encode()))
    lines = read_scms_lines(tmp_path, has_delivery=True)
    assert lines["ID"].to_list() == ["7", "8"]
    assert lines["delivered_on"].to_list() == [date(2006, 6, 4), date(2006, 6, 3)]
    assert lines["ordered_on"].to_list() == [date(2014, 10, 9), None]
    assert lines["weight_kg"].to_list() == [12.5, None]
    assert lines["country"].to_list() == [None, None]


def test_read_scms_lines_new_lines_never_read_the_delivery(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(HEAD + "7,02-Jun-06,04-Jun-06,,Acme,1\n")
    assert read_scms_lines(path, has_delivery=False)["delivered_on"].to_list() == [None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ID,Vendor\n1,Acme\n", "lines.csv lacks column 'Scheduled Delivery Date'; expected the columns"),
        (HEAD, "lines.csv holds no line, expected one or more"),
        (HEAD + "7,soon,04-Jun-06,,A,1\n", "lines.csv line 2: 'Scheduled Delivery Date' is 'soon', expected a date"),
        (HEAD + "7,02-Jun-06,,,A,1\n", "lines.csv line 2: 'Delivered to Client Date' is None, expected a date"),
        (HEAD + "7,02-Jun-06,04-Jun-06,,A,1\n" * 2, "lines.csv holds ID 7 more than once"),
    ],
)
def test_read_scms_lines_unreadable_files_say_what_is_wrong(tmp_path, text, message):
    (tmp_path / "lines.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_scms_lines(tmp_path, has_delivery=True)


def test_read_scms_lines_without_a_file_say_so(tmp_path):
    with pytest.raises(DataError, match="holds 0 CSV files, expected scms_scheduled"):
        read_scms_lines(tmp_path, has_delivery=True)
    with pytest.raises(DataError, match="absent does not exist, expected a CSV file"):
        read_scms_lines(tmp_path / "absent", has_delivery=True)
