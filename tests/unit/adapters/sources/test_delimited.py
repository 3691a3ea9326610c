from __future__ import annotations

import gzip
import json

import polars as pl
import pytest

from restock.adapters.sources.delimited import read_delimited, read_delimited_parts
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import LINE, join_raw_tables
from restock.errors import DataError
from restock.tables import PRODUCTS, SALES

HEADER = "sku,location,date,units_sold"


def read(tmp_path, content, *, table=SALES, name="sales.csv", **mapping):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_delimited(path, table, mapping=SourceMapping(**mapping), file=name)


def test_read_delimited_plain_file_returns_text_and_lines(tmp_path):
    raw = read(tmp_path, f"{HEADER}\n007,L,2024-01-01,1\nB,L,2024-01-01,2\n")
    assert raw.frame["sku"].to_list() == ["007", "B"]
    assert raw.frame[LINE].to_list() == [2, 3]
    assert raw.frame["units_sold"].dtype == pl.String


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_read_delimited_blank_lines_are_skipped_and_counted(tmp_path, end):
    raw = read(tmp_path, end.join(["", HEADER, "A,L,2024-01-01,1", "", "B,L,2024-01-01,2", ""]))
    assert raw.frame[LINE].to_list() == [3, 5]
    assert raw.frame["units_sold"].to_list() == ["1", "2"]


def test_read_delimited_line_with_other_fields_becomes_a_broken_line(tmp_path):
    raw = read(tmp_path, f"{HEADER}\nA,L,2024-01-01\nB,L,2024-01-01,2\nC,L,2024-01-01,2,9\n")
    assert raw.frame["sku"].to_list() == ["B"]
    assert raw.broken_lines["line"].to_list() == [2, 4]
    assert raw.broken_lines["value"].to_list() == ["3 fields", "5 fields"]
    assert json.loads(raw.broken_lines["row"][1]) == ["C", "L", "2024-01-01", "2", "9"]


def test_read_delimited_quoted_line_end_keeps_the_line_where_the_record_begins(tmp_path):
    raw = read(
        tmp_path,
        'sku,name,category_path\nA,"two\nlines","x, y"\nB,"5"" pipe",z\nC\n',
        table=PRODUCTS,
        name="products.csv",
    )
    assert raw.frame["name"].to_list() == ["two\nlines", '5" pipe']
    assert raw.frame[LINE].to_list() == [2, 4]
    assert raw.broken_lines["line"].to_list() == [5]


@pytest.mark.parametrize("text", ['sku,name,category_path\nA,"open,z\n', 'sku,name,category_path\nA,"x"y,z\n'])
def test_read_delimited_quote_that_does_not_close_names_the_line(tmp_path, text):
    with pytest.raises(DataError, match=r"products.csv, line 2 .*quote"):
        read(tmp_path, text, table=PRODUCTS, name="products.csv")


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_read_delimited_separator_is_told_by_the_header(tmp_path, mark):
    raw = read(tmp_path, f"{HEADER}\nA,L,2024-01-01,1\n".replace(",", mark))
    assert raw.frame["location"].to_list() == ["L"]


def test_read_delimited_encoding_and_byte_order_mark_are_understood(tmp_path):
    content = f"{HEADER}\nK\u00e4se,L,2024-01-01,1\n"
    assert read(tmp_path, content.encode("cp1252"), encoding="cp1252").frame["sku"].to_list() == ["K\u00e4se"]
    assert read(tmp_path, content.encode("utf-8-sig")).frame["sku"].to_list() == ["K\u00e4se"]
    assert read(tmp_path, content.encode("utf-16"), encoding="utf-16").frame["sku"].to_list() == ["K\u00e4se"]


def test_read_delimited_wrong_encoding_names_line_and_remedy(tmp_path):
    with pytest.raises(DataError, match=r"sales.csv, line 2: the bytes .*not utf-8.*encoding"):
        read(tmp_path, f"{HEADER}\nK\u00e4se,L,2024-01-01,1\n".encode("cp1252"))


def test_read_delimited_gzip_is_unpacked(tmp_path):
    content = gzip.compress(f"{HEADER}\nA,L,2024-01-01,1\n".encode())
    assert read(tmp_path, content, name="sales.csv.gz").frame.height == 1


def test_read_delimited_torn_gzip_is_refused(tmp_path):
    with pytest.raises(DataError, match="can't be read"):
        read(tmp_path, gzip.compress(b"a,b\n" * 100)[:20], name="sales.csv.gz")


def test_read_delimited_empty_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="is empty"):
        read(tmp_path, "\n \n")


def test_read_delimited_repeated_column_is_refused(tmp_path):
    with pytest.raises(DataError, match="'sku' more than once"):
        read(tmp_path, "sku,sku\nA,B\n")


def test_read_delimited_mapped_column_missing_hints_at_a_near_one(tmp_path):
    with pytest.raises(DataError, match=r"no column 'Artikl', .*did you mean 'Artikel'"):
        read(tmp_path, "Artikel,location\nA,L\n", columns={"sku": "Artikl"})


def test_read_delimited_unmapped_columns_are_ignored_and_constants_added(tmp_path):
    raw = read(tmp_path, f"{HEADER},till\nA,L,2024-01-01,1,T9\n", constants={"is_promoted": True})
    assert raw.ignored == ("till",)
    assert raw.origins["is_promoted"] == "= True"
    assert raw.frame["is_promoted"].to_list() == [True]


LONG_ROWS = [f"K\u00e4se {n % 1000},L,2024-01-01,{n}" for n in range(80_000)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_read_delimited_parts_blocks_keep_characters_and_lines(tmp_path, encoding):
    rows = [*LONG_ROWS]
    rows[70_000] = ""
    path = tmp_path / "sales.csv"
    path.write_bytes("\n".join([HEADER, *rows]).encode(encoding))
    parts = list(
        read_delimited_parts(path, SALES, mapping=SourceMapping(encoding=encoding), file="sales.csv", block_bytes=1)
    )
    assert len(parts) > 1
    assert [part.bytes_read for part in parts] == sorted(part.bytes_read for part in parts)
    raw = join_raw_tables(parts)
    assert raw.frame["units_sold"].to_list() == [str(n) for n in range(80_000) if n != 70_000]
    assert raw.frame[LINE].to_list() == [n + 2 for n in range(80_000) if n != 70_000]
    assert set(raw.frame["sku"]) == {f"K\u00e4se {n}" for n in range(1000)}


def test_read_delimited_parts_quotes_in_a_later_block_keep_the_lines(tmp_path):
    rows = [*LONG_ROWS]
    rows[60_000] = '"two\nlines, one sku",L,2024-01-01,60000'
    rows[70_000] = "A,L"
    path = tmp_path / "sales.csv"
    path.write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    raw = join_raw_tables(
        list(read_delimited_parts(path, SALES, mapping=SourceMapping(), file="sales.csv", block_bytes=1))
    )
    lines = dict(raw.frame.select("units_sold", LINE).iter_rows())
    assert (lines["59999"], lines["60000"], lines["60001"], lines["79999"]) == (60_001, 60_002, 60_004, 80_002)
    assert raw.frame["sku"].to_list()[60_000] == "two\nlines, one sku"
    assert raw.broken_lines["line"].to_list() == [70_003]


def test_read_delimited_wrong_encoding_far_down_names_its_line(tmp_path):
    content = "\n".join([HEADER, *LONG_ROWS]).encode() + b"\nK\xe4se,L,2024-01-01,1\n"
    with pytest.raises(DataError, match=r"sales.csv, line 80002: the bytes b'\\xe4' are not utf-8"):
        read(tmp_path, content)


def test_read_delimited_line_without_end_is_no_text(tmp_path):
    with pytest.raises(DataError, match="the line has no end"):
        read(tmp_path, HEADER.encode() + b"x" * (90 << 20))
