from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from restock.adapters.contract_documents import BROKEN_RULES
from restock.adapters.quality import check_tables
from restock.adapters.workspace import project_root
from restock.errors import ConfigurationError
from restock.tables import CALENDAR, MOVEMENTS, PURCHASE_ORDERS, SALES

TODAY = date(2024, 6, 1)


def sales(**changes):
    rows = {
        "sku": ["A", "B", "C", "D"],
        "location": ["L"] * 4,
        "date": [date(2024, 1, 1)] * 4,
        "units_sold": [1.0, 2.0, 3.0, 4.0],
        BROKEN_RULES: [0, 0, 0, 0],
    }
    return pl.DataFrame(rows | changes)


def check(frame, table=SALES, *, max_rejected_share=0.0):
    tables = {table.name: table}
    results = check_tables(
        {table.name: frame}, tables, root=project_root(), max_rejected_share=max_rejected_share, today=TODAY
    )
    return results[table.name]


def conformed(**changes):
    frame = sales(**changes)
    return SALES.conform(frame).with_columns(frame[BROKEN_RULES])


def test_check_tables_good_table_meets_every_expectation():
    result = check(conformed())
    assert result.is_success
    assert result.n_rows == 4
    assert not any(expectation.problem for expectation in result.expectations)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"sku": ["A", "A", "C", "D"]}, "sales_key_unique"),
        ({"date": [date(2024, 6, 2)] + [date(2024, 1, 1)] * 3}, "date_not_in_future"),
        ({BROKEN_RULES: [0, 0, 2, 0]}, "rejected_share"),
    ],
)
def test_check_tables_critical_expectation_broken_is_found(changes, rule):
    assert [broken.rule for broken in check(conformed(**changes)).broken_critical] == [rule]


def test_check_tables_today_is_not_in_the_future():
    assert check(conformed(date=[TODAY] * 4)).is_success


@pytest.mark.parametrize(("share", "is_met"), [(0.25, True), (0.24, False)])
def test_check_tables_share_of_rejected_rows_is_judged_at_the_limit(share, is_met):
    result = check(conformed(**{BROKEN_RULES: [0, 0, 1, 0]}), max_rejected_share=share)
    assert result.is_success is is_met


def test_check_tables_warning_is_not_critical_and_has_examples():
    result = check(conformed(units_sold=[1.0, -2.0, 3.0, None]))
    broken = {expectation.rule: expectation for expectation in result.broken}
    assert set(broken) == {"units_sold_present", "units_sold_at_least"}
    assert result.broken_critical == ()
    assert broken["units_sold_at_least"].examples == ("-2.0",)
    assert broken["units_sold_at_least"].n_unexpected == 1


def test_check_tables_missing_key_column_is_critical():
    result = check(conformed().drop("sku"))
    rules = {broken.rule for broken in result.broken_critical}
    assert {"sku_exists", "sales_key_unique"} <= rules


def test_check_tables_rows_without_a_key_are_not_duplicates():
    result = check(conformed(sku=[None, None, "C", "D"]), max_rejected_share=0.5)
    assert result.is_success


def test_check_tables_instants_and_column_orders_are_checked():
    movement = MOVEMENTS.empty().with_columns(pl.lit(0, dtype=pl.Int64).alias(BROKEN_RULES))
    assert check(movement, MOVEMENTS).is_success
    order = PURCHASE_ORDERS.conform(
        pl.DataFrame(
            {
                "order": ["P1"], "line": [1], "sku": ["A"], "location": ["L"], "supplier": ["S"],
                "ordered_on": [date(2024, 5, 2)], "promised_on": [date(2024, 5, 1)], "received_on": [None],
                "quantity_ordered": [1.0], "quantity_received": [0.0], "unit_cost": [1.0],
            }
        )
    )  # fmt: skip
    result = check(order.with_columns(pl.lit(0, dtype=pl.Int64).alias(BROKEN_RULES)), PURCHASE_ORDERS)
    assert [broken.rule for broken in result.broken] == ["promised_on_not_before_ordered_on"]


def test_check_tables_movement_after_today_is_critical():
    instant = pl.Series([f"2024-06-0{day} 23:59:59+00:00" for day in (1, 2)]).str.to_datetime(time_zone="UTC")
    frame = pl.DataFrame(
        {
            "movement": ["1", "2"], "occurred_at_utc": instant, "sku": ["A"] * 2, "location": ["L"] * 2,
            "kind": ["sale"] * 2, "quantity": [-1.0] * 2, "unit_of_measure": ["piece"] * 2, "unit_price": [1.0] * 2,
            "user": ["u"] * 2, "reference": ["r"] * 2,
        }
    )  # fmt: skip
    result = check(MOVEMENTS.conform(frame).with_columns(pl.lit(0, dtype=pl.Int64).alias(BROKEN_RULES)), MOVEMENTS)
    broken = {item.rule: item.n_unexpected for item in result.broken_critical}
    assert broken == {"occurred_at_utc_not_in_future": 1}


def test_check_tables_suite_that_differs_from_its_table_is_refused(tmp_path):
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "calendar.json").write_text("{}", encoding="utf-8")
    frames = {"calendar": CALENDAR.empty()}
    with pytest.raises(ConfigurationError, match=r"calendar.json differs.*restock contract render"):
        check_tables(frames, {"calendar": CALENDAR}, root=tmp_path, max_rejected_share=0.0, today=TODAY)
    (tmp_path / "expectations" / "calendar.json").unlink()
    with pytest.raises(ConfigurationError, match="is missing"):
        check_tables(frames, {"calendar": CALENDAR}, root=tmp_path, max_rejected_share=0.0, today=TODAY)


def test_check_tables_great_expectations_stays_silent(caplog, capfd):
    with caplog.at_level("INFO"):
        check(conformed())
    assert {record.name.split(".")[0] for record in caplog.records} <= {"restock"}
    assert "Calculating" not in "".join(capfd.readouterr())
