from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from restock.schema import Column, ColumnOrder, ColumnType, Table
from restock.tables import LOCATIONS, MOVEMENTS, PURCHASE_ORDERS, SALES, TABLES

TODAY = date(2024, 6, 30)


def sales(**columns):
    row = {"sku": "A", "location": "L", "date": TODAY, "units_sold": 1.0, "unit_price": 2.0, "stockout_share": None}
    return SALES.conform(pl.DataFrame([row | columns], schema_overrides={"stockout_share": pl.Float64}))


def broken_rules(table, frame):
    rules = table.row_rules(today=TODAY)
    accepted = frame.select(rule.accepts.alias(rule.name) for rule in rules)
    assert accepted.null_count().sum_horizontal()[0] == 0
    return [name for name in accepted.columns if not accepted[name].all()]


def test_row_rules_accept_a_good_row():
    assert broken_rules(SALES, sales()) == []


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("sku", "", "sku_present"),
        ("sku", None, "sku_present"),
        ("date", date(2024, 7, 1), "date_not_in_future"),
        ("units_sold", -1.0, "units_sold_at_least"),
        ("units_sold", float("inf"), "units_sold_finite"),
        ("stockout_share", 1.5, "stockout_share_at_most"),
    ],
)
def test_row_rules_name_what_a_bad_value_breaks(column, value, rule):
    assert broken_rules(SALES, sales(**{column: value})) == [rule]


def test_row_rules_refuse_an_unknown_choice():
    frame = LOCATIONS.conform(pl.DataFrame({"location": ["L"], "kind": ["shop"]}))
    assert broken_rules(LOCATIONS, frame) == ["kind_known"]


def test_row_rules_refuse_a_receipt_before_the_order():
    row = {
        "order": "1", "line": 1, "sku": "A", "location": "L", "supplier": "S", "ordered_on": TODAY,
        "promised_on": None, "received_on": date(2024, 6, 1), "quantity_ordered": 1, "quantity_received": 1,
        "unit_cost": 1,
    }  # fmt: skip
    frame = PURCHASE_ORDERS.conform(pl.DataFrame([row], schema_overrides={"promised_on": pl.Date}))
    assert broken_rules(PURCHASE_ORDERS, frame) == ["received_on_not_before_ordered_on"]


def test_row_rules_on_timestamps_reach_to_the_end_of_today():
    rules = {rule.name: rule for rule in MOVEMENTS.row_rules(today=TODAY)}
    times = pl.DataFrame(
        {"occurred_at_utc": [datetime(2024, 6, 30, 23, 59, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC)]},
        schema={"occurred_at_utc": ColumnType.TIMESTAMP_UTC.polars},
    )
    accepted = times.select(rules["occurred_at_utc_not_in_future"].accepts)["occurred_at_utc"].to_list()
    assert accepted == [True, False]


def test_conform_fills_optional_columns_and_orders_them():
    frame = SALES.conform(pl.DataFrame({"units_sold": [1], "date": [TODAY], "location": ["L"], "sku": ["A"]}))
    assert frame.schema == SALES.polars_schema
    assert frame["is_promoted"].to_list() == [False]


def test_conform_without_a_required_column_names_it():
    with pytest.raises(ValueError, match=r"columns \['units_sold'\] are missing"):
        SALES.conform(pl.DataFrame({"sku": ["A"], "location": ["L"], "date": [TODAY]}))


def test_conform_with_a_value_of_another_type_is_refused():
    with pytest.raises(ValueError, match="table sales: conversion"):
        SALES.conform(pl.DataFrame({"sku": ["A"], "location": ["L"], "date": [TODAY], "units_sold": ["many"]}))


def test_table_with_a_key_that_is_no_column_is_refused():
    column = Column(name="a", type=ColumnType.TEXT, description="A.")
    with pytest.raises(ValueError, match=r"\['b'\] are used but not declared"):
        Table(name="t", description="T.", key=("b",), columns=(column,))
    with pytest.raises(ValueError, match="declared twice"):
        Table(name="t", description="T.", key=("a",), columns=(column, column))
    with pytest.raises(ValueError, match=r"\['c'\] are used"):
        Table(name="t", description="T.", key=("a",), columns=(column,), orders=(ColumnOrder(earlier="a", later="c"),))


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_every_table_says_what_it_holds(table):
    assert table.description.endswith(".")
    assert all(column.description.endswith(".") for column in table.columns)
    assert table.empty().schema == table.polars_schema
    with pytest.raises(KeyError, match="has no column"):
        table.column("nothing")
