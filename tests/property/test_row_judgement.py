"""Whatever a file holds, every row ends up accepted or rejected, exactly once."""

from __future__ import annotations

import csv
import io
from datetime import date

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.adapters.sources.delimited import read_delimited
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import LINE, build_raw_table
from restock.operations.row_judgement import judge_rows
from restock.tables import SALES

TODAY = date(2024, 6, 1)
NAMES = ("sku", "location", "date", "units_sold", "is_promoted")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=6)
values = {
    "sku": st.sampled_from(["A", "B", "", " C "]) | texts,
    "location": st.sampled_from(["L1", "L2"]) | texts,
    "date": st.dates(date(2024, 5, 1), date(2024, 7, 1)).map(str) | texts,
    "units_sold": st.floats(width=16).map(str) | st.integers(-3, 9).map(str) | texts,
    "is_promoted": st.sampled_from(["yes", "0", "maybe", ""]),
}
records = st.tuples(*(values[name] for name in NAMES)) | st.lists(texts, min_size=2, max_size=7).map(tuple)
files = st.lists(records, min_size=1, max_size=30)


def write_csv(rows, quoting):
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\n").writerows([NAMES, *rows])
    return text.getvalue()


def read(folder, text):
    path = folder / "sales.csv"
    path.write_bytes(text.encode())
    return read_delimited(path, SALES, mapping=SourceMapping(separator=","), file="sales.csv")


# No deadline: a busy machine takes longer to open a file, which is not what is tested.
@settings(deadline=None)
@given(rows=files)
def test_every_row_is_accepted_or_rejected_exactly_once(tmp_path_factory, rows):
    raw = read(tmp_path_factory.mktemp("rows"), write_csv(rows, csv.QUOTE_ALL))
    judged = judge_rows(raw, today=TODAY)
    rejected_lines = set(judged.rejected["line"])
    assert raw.n_rows == len(rows)
    assert judged.parsed.height == len(rows)
    assert judged.accepted.height + len(rejected_lines) == len(rows)
    assert judged.n_rejected_rows == len(rejected_lines)
    assert not judged.rejected.select("file", "line", "rule").is_duplicated().any()
    assert not judged.accepted.select(SALES.key).is_duplicated().any()


@settings(deadline=None)
@given(rows=files)
def test_accepted_rows_keep_every_rule_and_are_accepted_again_unchanged(tmp_path_factory, rows):
    raw = read(tmp_path_factory.mktemp("rows"), write_csv(rows, csv.QUOTE_ALL))
    accepted = judge_rows(raw, today=TODAY).accepted
    for rule in SALES.row_rules(today=TODAY):
        assert accepted.select(rule.accepts.all()).item()
    numbered = accepted.with_row_index(LINE, offset=1).cast({LINE: pl.Int64})
    again = judge_rows(build_raw_table(numbered, SALES, mapping=SourceMapping(), file="again"), today=TODAY)
    assert again.accepted.equals(accepted)
    assert again.rejected.is_empty()


plain = st.text("abc019-. ", min_size=1, max_size=5)


@settings(deadline=None)
@given(rows=st.lists(st.lists(plain, min_size=2, max_size=7), min_size=1, max_size=20))
def test_fast_and_exact_reading_agree_where_nothing_is_quoted(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("rows")
    text = write_csv(rows, csv.QUOTE_NONE)
    fast = read(folder, text)
    exact = read(folder, text.replace("is_promoted", '"is_promoted"', 1))
    assert fast.frame.rows() == exact.frame.rows()
    assert fast.frame[LINE].to_list() == exact.frame[LINE].to_list()
    assert fast.broken_lines.rows() == exact.broken_lines.rows()
