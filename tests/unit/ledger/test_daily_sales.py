from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from restock.ledger.daily_sales import LINES_SCHEMA, daily_sales, day_of, midnight_utc
from restock.tables import SALES

BERLIN = "Europe/Berlin"
DAY = date(2024, 3, 30)


def at(hour, *, day=DAY, minute=0):
    """Return an instant by the clock of Berlin."""
    return midnight_utc(day, BERLIN) + timedelta(hours=hour, minutes=minute)


def lines(*rows):
    named = [
        {"sku": "A", "location": "S", "kind": "sale", "occurred_at_utc": when, "quantity": quantity, "unit_price": None}
        | options
        for when, quantity, options in rows
    ]
    return pl.DataFrame(named, schema=LINES_SCHEMA)


def tell(frame, *, last_day=DAY, stores=("S",), **options):
    return daily_sales(frame, time_zone=BERLIN, last_day=last_day, stores=stores, **options)


def opening(quantity=10, *, day=DAY, **options):
    return midnight_utc(day, BERLIN), quantity, {"kind": "receipt"} | options


def test_daily_sales_adds_up_units_and_weighs_the_price():
    frame = tell(
        lines(opening(), (at(9), -1, {"unit_price": 300}), (at(10), -3, {"unit_price": 200}), (at(11), -1, {})),
        money_scale=100,
    )
    assert frame.schema == SALES.polars_schema
    assert frame.rows() == [("A", "S", DAY, 5.0, 2.25, False, 0.0, None)]


def test_daily_sales_days_are_those_of_the_time_zone():
    late, early = at(23, minute=59), at(24)
    frame = tell(lines(opening(), (late, -1, {}), (early, -2, {})), last_day=DAY + timedelta(days=1))
    assert frame["units_sold"].to_list() == [1.0, 2.0]
    assert late.date() == early.date() == DAY


def test_daily_sales_days_without_sales_have_rows_up_to_the_last_day():
    frame = tell(lines(opening(), (at(9), -1, {})), last_day=DAY + timedelta(days=3))
    assert frame["units_sold"].to_list() == [1.0, 0.0, 0.0, 0.0]
    assert frame["unit_price"].to_list() == [None] * 4


def test_daily_sales_reversed_sale_leaves_no_trace_on_its_day():
    taken_back = (at(9), 4, {"unit_price": 300})
    frame = tell(lines(opening(4), (at(9), -4, {"unit_price": 300}), taken_back, (at(20), -1, {"unit_price": 200})))
    assert frame.select("units_sold", "unit_price", "stockout_share").rows() == [(1.0, 200.0, 0.0)]


def test_daily_sales_return_is_no_negative_sale():
    frame = tell(lines(opening(), (at(9), -2, {}), (at(10), 1, {"kind": "return"})))
    assert frame["units_sold"].to_list() == [2.0]


def test_daily_sales_quantities_with_decimals_are_units():
    assert tell(lines(opening(5000), (at(9), -1250, {})), units_scale=1000)["units_sold"].to_list() == [1.25]


def test_daily_sales_stockout_share_is_the_time_without_stock():
    frame = tell(
        lines(opening(2), (at(12), -2, {}), (at(24 + 6), 5, {"kind": "receipt"})),
        last_day=DAY + timedelta(days=2),
    )
    # Berlin's clocks were put forward on 31 March 2024: the day had 23 hours.
    assert frame["stockout_share"].to_list() == pytest.approx([0.5, 6 / 23, 0.0])


def test_daily_sales_stockout_over_many_days_fills_them():
    frame = tell(lines(opening(1), (at(0), -1, {})), last_day=DAY + timedelta(days=4))
    assert frame["stockout_share"].to_list() == [1.0] * 5


def test_daily_sales_several_spells_add_up():
    frame = tell(
        lines(
            opening(1),
            (at(6), -1, {}),
            (at(12), 1, {"kind": "receipt"}),
            (at(18), -1, {}),
            (at(21), 1, {"kind": "receipt"}),
        )
    )
    assert frame["stockout_share"].to_list() == pytest.approx([9 / 24])


def test_daily_sales_lots_are_one_stock():
    frame = tell(lines(opening(1), opening(1), (at(6), -1, {}), (at(6), -1, {})))
    assert frame["stockout_share"].to_list() == pytest.approx([0.75])


def test_daily_sales_balance_below_zero_makes_the_share_unknown():
    frame = tell(
        lines(opening(1), (at(6), -2, {}), (at(24 + 1), 9, {"kind": "receipt"})), last_day=DAY + timedelta(days=2)
    )
    assert frame["stockout_share"].to_list() == [None, None, 0.0]


def test_daily_sales_hours_before_the_books_begin_are_unknown():
    frame = tell(lines((at(9), 5, {"kind": "receipt"})), last_day=DAY + timedelta(days=1))
    assert frame["stockout_share"].to_list() == [None, 0.0]


def test_daily_sales_warehouse_has_rows_from_its_first_sale_of_a_sku():
    there = {"location": "W"}
    frame = tell(
        lines(
            opening(**there),
            opening(sku="B", **there),
            (at(24 + 9), -1, there),
        ),
        last_day=DAY + timedelta(days=2),
    )
    assert frame.select("sku", "date", "units_sold").rows() == [
        ("A", DAY + timedelta(days=1), 1.0),
        ("A", DAY + timedelta(days=2), 0.0),
    ]


def test_daily_sales_of_nothing_is_empty():
    assert tell(lines()).height == 0


def test_day_of_is_the_day_whose_midnight_came_before():
    for instant in (datetime(2024, 3, 30, 22, 59, tzinfo=UTC), datetime(2024, 3, 30, 23, tzinfo=UTC)):
        day = day_of(instant, BERLIN)
        assert midnight_utc(day, BERLIN) <= instant < midnight_utc(day + timedelta(days=1), BERLIN)
