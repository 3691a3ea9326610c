from __future__ import annotations

import json
from datetime import date

import polars as pl
import pytest

from restock.adapters.contract_documents import BROKEN_RULES
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import LINE, build_raw_table
from restock.operations.row_judgement import judge_rows
from restock.tables import CALENDAR, SALES

TODAY = date(2024, 6, 1)


def judge(rows, *, table=SALES, columns=("sku", "location", "date", "units_sold"), broken_lines=None):
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row").with_row_index(LINE, offset=2)
    frame = frame.with_columns(pl.col(LINE).cast(pl.Int64))
    raw = build_raw_table(frame, table, mapping=SourceMapping(), file="sales.csv", broken_lines=broken_lines)
    return judge_rows(raw, today=TODAY)


def rules(judged):
    return judged.rejected.select("line", "rule").rows()


def test_judge_rows_good_rows_are_accepted_typed_and_filled():
    judged = judge([("007", "L", "2024-01-01", "1")])
    assert judged.accepted.rows() == [("007", "L", date(2024, 1, 1), 1.0, None, False, None, None)]
    assert judged.rejected.is_empty()
    assert judged.n_rejected_rows == 0


@pytest.mark.parametrize(
    ("row", "rule", "column", "value"),
    [
        (("", "L", "2024-01-01", "1"), "sku_present", "sku", ""),
        (("A", "L", "1.1.2024", "1"), "date_type", "date", "1.1.2024"),
        (("A", "L", "2024-01-01", "x"), "units_sold_type", "units_sold", "x"),
        (("A", "L", "2024-01-01", "inf"), "units_sold_finite", "units_sold", "inf"),
        (("A", "L", "2024-01-01", "-1"), "units_sold_at_least", "units_sold", "-1"),
        (("A", "L", "2024-06-02", "1"), "date_not_in_future", "date", "2024-06-02"),
    ],
)
def test_judge_rows_bad_value_is_rejected_with_where_and_why(row, rule, column, value):
    judged = judge([("B", "L", "2024-01-01", "1"), row])
    found = judged.rejected.row(0, named=True)
    assert judged.rejected.height == judged.n_rejected_rows == 1
    assert (found["file"], found["line"], found["rule"]) == ("sales.csv", 3, rule)
    assert (found["column"], found["value"], found["table"]) == (column, value, "sales")
    assert found["reason"]
    assert json.loads(found["row"]) == dict(zip(("sku", "location", "date", "units_sold"), row, strict=True))


def test_judge_rows_several_faults_are_one_rejected_row_each_but_one_row():
    judged = judge([("", "L", "2024-13-01", "-1")])
    assert rules(judged) == [(2, "date_type"), (2, "sku_present"), (2, "units_sold_at_least")]
    assert judged.n_rejected_rows == 1
    assert judged.parsed[BROKEN_RULES].to_list() == [3]


def test_judge_rows_repeated_key_rejects_all_but_the_first():
    row = ("A", "L", "2024-01-01", "1")
    judged = judge([row, row, ("B", "L", "2024-01-01", "1"), row])
    assert rules(judged) == [(3, "sales_key_unique"), (5, "sales_key_unique")]
    assert judged.accepted["sku"].to_list() == ["A", "B"]


def test_judge_rows_missing_required_column_accepts_nothing():
    judged = judge([("A", "L", "2024-01-01")], columns=("sku", "location", "date"))
    assert judged.accepted.is_empty()
    assert "units_sold" not in judged.parsed.columns


def test_judge_rows_broken_line_counts_as_a_rejected_row():
    lines = pl.DataFrame({"file": ["sales.csv"], "line": [9], "value": ["3 fields"], "reason": ["4"], "row": ["[]"]})
    judged = judge([("A", "L", "2024-01-01", "1")], broken_lines=lines)
    assert rules(judged) == [(9, "line_fields")]
    assert judged.parsed.height == 2
    assert judged.n_rejected_rows == 1


def test_judge_rows_empty_key_with_a_default_is_filled():
    judged = judge([("2024-01-01", "", "yes")], table=CALENDAR, columns=("date", "location", "is_holiday"))
    assert judged.accepted.rows() == [(date(2024, 1, 1), "", True, None)]


def test_judge_rows_rejected_by_rule_counts_most_first():
    judged = judge([("A", "L", f"2024-01-0{day}", value) for day, value in ((1, "x"), (2, "-1"), (3, "-2"))])
    assert judged.rejected_by_rule == {"units_sold_at_least": 2, "units_sold_type": 1}
