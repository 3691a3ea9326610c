"""Files that are broken, hostile or odd: refused by name, or read as what they are."""

from __future__ import annotations

import gzip
import io
import zipfile
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restock.errors import DataError
from restock.operations.exchange.exporting import write_csv
from restock.operations.exchange.reading import ReadingLimits, read_file

CSV = b"sku,name\n007,Tea\n"


def _rows(content, **options):
    return [cells for _, cells in read_file(content, filename="f", **options).rows]


def _zipped(files):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def _workbook(rows):
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for (row, column), value in rows.items():
            sheet.write(row, column, value)
    return target.getvalue()


def _parquet(frame):
    target = io.BytesIO()
    frame.write_parquet(target)
    return target.getvalue()


@pytest.mark.parametrize("content", [CSV, gzip.compress(CSV), _zipped({"a.csv": CSV}), b"\xef\xbb\xbf" + CSV])
def test_read_file_tells_packed_text_by_its_bytes(content):
    assert _rows(content) == [("007", "Tea")]


def test_read_file_keeps_zeros_and_types_of_a_workbook():
    content = _workbook({(0, 0): "sku", (0, 1): "n", (0, 2): "t", (1, 0): "007", (1, 1): 2.5, (1, 2): True,
                         (2, 0): "8", (2, 1): 101.0})  # fmt: skip
    table = read_file(content, filename="f")
    assert [cells for _, cells in table.rows] == [("007", "2.5", "true"), ("8", "101", "")]
    assert [line for line, _ in table.rows] == [2, 3]


def test_read_file_reads_every_parquet_type():
    frame = pl.DataFrame(
        {
            "a": ["007"], "b": [Decimal("1.500000")], "c": [date(2024, 1, 2)], "d": [datetime(2024, 1, 2, 3)],  # noqa: DTZ001  (parquet has such)

            "e": [["x", "y"]], "f": [None], "g": [1e20], "h": [float("nan")], "i": [b"\xff\x00"],
        }
    )  # fmt: skip
    (row,) = _rows(_parquet(frame))
    assert row[:7] == ("007", "1.5", "2024-01-02", "2024-01-02T03:00:00Z", "x|y", "", "100000000000000000000")
    assert "\x00" not in "".join(row)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty, expected a header line"),
        (b"\n\n  \n", "is empty, expected a header line"),
        (b"sku,name\n\xff\xfe\xfd,x\n", "are not utf-8"),
        (
            (
                "sku,name\n" + "K\u00e4se und Br\u00f6tchen f\u00fcr M\u00fcller,Gr\u00f6\u00dfe: s\u00fc\u00df\n" * 5
            ).encode("cp1252"),
            "not utf-8; it is likely cp1252",
        ),
        (b"sku,name\na\x00b,x\n", "holds NUL characters"),
        (b'sku,name\n"a,x\n', "unexpected end of data"),
        (b'sku,name\n"a"b,x\n', "A quote opens a field"),
        (b"sku,sku\na,b\n", "has the column 'sku' more than once"),
        (b"sku,name\n" + b'"' + b"x" * 200_000 + b'",y\n', "field larger than field limit"),
        (b"PK\x03\x04 not really", "can't be read as a zip archive or workbook"),
        (b"PAR1 not really", "can't be read as parquet"),
        (b"\x1f\x8b not really", "can't be read"),
        (gzip.compress(CSV)[:-6], "can't be read"),
        (_zipped({"a.exe": CSV}), "expected only .csv"),
        (_zipped({"a.csv": CSV, "b.csv": CSV}), "holds several files"),
        (_zipped({"a.zip": CSV}), "archives within archives are refused"),
        (_zipped({"[Content_Types].xml": "<x/>"}), "can't be read as a workbook"),
        (_workbook({}), "is empty, expected a header row"),
        (_workbook({(0, 0): "sku", (1_048_575, 16_383): "x"}), "spans 1,048,576 rows by 16,384 columns"),
        (gzip.compress(b"sku,name\n" + b"0,0\n" * 20_000_000), "decompression bombs"),
        (_parquet(pl.DataFrame({"a": pl.zeros(600_000, eager=True)})), "has more than 200,000 rows"),
        (_parquet(pl.DataFrame({f"c{n}": [1] for n in range(501)})), "has 501 columns, expected at most 500"),
        (",".join(f"c{n}" for n in range(501)).encode() + b"\n", "has 501 columns, expected at most 500"),
    ],
)
def test_read_file_that_is_broken_or_hostile_is_refused(content, message):
    with pytest.raises(DataError, match=message):
        read_file(content, filename="f")


def test_read_file_of_an_unknown_encoding_is_refused():
    for encoding in ("zlib", "klingon", "rot13", "\x00", "base64", "idna", "unicode_escape", "undefined"):
        with pytest.raises(DataError, match="is no text encoding known here"):
            read_file(CSV, filename="f", encoding=encoding)


def test_read_file_holds_no_more_than_it_may():
    with pytest.raises(DataError, match="has more than 2 rows"):
        read_file(b"a\n1\n2\n3\n", filename="f", limits=ReadingLimits(max_rows=2))
    content = _parquet(pl.DataFrame({"a": ["x" * 100] * 100}))
    with pytest.raises(DataError, match="unpacks to more than 1,000 bytes"):
        read_file(content, filename="f", limits=ReadingLimits(max_unpacked_bytes=1000))


def test_read_file_parquet_that_shows_one_long_text_often_is_refused():
    content = _parquet(pl.DataFrame({"a": ["x" * 1_000_000] * 300}))
    assert len(content) < 200_000
    with pytest.raises(DataError, match="unpacks to more than 268,435,456 bytes"):
        read_file(content, filename="f")
    lists = _parquet(pl.DataFrame({"a": [["x" * 1_000_000]] * 300}))
    with pytest.raises(DataError, match="unpacks to more than 268,435,456 bytes"):
        read_file(lists, filename="f")


def test_read_file_of_too_many_cells_is_refused():
    header = ",".join(f"c{n}" for n in range(400))
    content = gzip.compress(f"{header}\n".encode() + b"," * 399 + b"\n" + (b"," * 399 + b"\n") * 20_000)
    with pytest.raises(DataError, match="has more than 5,000,000 cells in 400 columns"):
        read_file(content, filename="f")


def test_read_file_workbook_that_shows_one_long_text_often_is_refused():
    content = _workbook({(0, 0): "a"} | {(row, 0): "x" * 30_000 for row in range(1, 400)})
    assert len(content) < 50_000
    with pytest.raises(DataError, match=r"shows .* bytes of text, more than 9,000,000"):
        read_file(content, filename="f", limits=ReadingLimits(max_unpacked_bytes=9_000_000))


def test_read_file_broken_lines_are_kept_beside_the_others():
    table = read_file(b"a,b\n1,2\n3\n4,5,6\n7,8\n", filename="f")
    assert [line for line, _ in table.rows] == [2, 5]
    assert [(each.line, each.reason) for each in table.broken] == [
        (3, "the line has 1 fields, expected 2 fields, as in the header"),
        (4, "the line has 3 fields, expected 2 fields, as in the header"),
    ]


def test_read_file_unguards_formulas_of_text_but_not_of_workbooks():
    assert _rows(b"a\n'=1\n'x\n-5\n") == [("=1",), ("'x",), ("-5",)]
    assert _rows(_workbook({(0, 0): "a", (1, 0): "'=1"})) == [("'=1",)]


_NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("'\"=+-@,;|"), min_size=1, max_size=12
)


@given(st.lists(st.tuples(_NAMES, _NAMES | st.just("a\nb")), min_size=1, max_size=5))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_read_file_gives_back_what_write_csv_wrote(rows):
    rows = [tuple(cell.strip() for cell in row) for row in rows]
    rows = [row for row in rows if row[0]]
    content = b"".join(write_csv(["sku", "name"], rows))
    assert _rows(content) == rows


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: b"sku,name\n" + tail))
@settings(max_examples=150, deadline=None)
def test_read_file_of_any_bytes_reads_or_refuses(content):
    with suppress(DataError):
        read_file(content, filename="f")
