"""The rules by which stock calls for alerts."""

from __future__ import annotations

from datetime import date

import pytest

from restock.ledger.balances import Lot
from restock.ledger.stock_alerts import (
    AlertKind,
    StockPlace,
    judge_balance,
    judge_expiry,
    judge_promise,
    judge_reorder_point,
    name_about,
)

TODAY = date(2024, 5, 1)
PLACE = StockPlace(sku="A", location="S", quantity_decimals=2, base_unit="kg")


@pytest.mark.parametrize(("balance", "location"), [(0, "S"), (5, "S"), (-5, "@supplier")])
def test_judge_balance_at_zero_above_or_virtual_is_none(balance, location):
    assert judge_balance(StockPlace(sku="A", location=location), lot="", balance=balance) is None


def test_judge_balance_below_zero_names_the_lot_and_the_repair():
    draft = judge_balance(PLACE, lot="L1", balance=-125)
    assert draft.about == "negative_stock:A:S:L1"
    assert draft.evidence == {"lot": "L1", "balance": "-1.25"}
    assert draft.repair["action"] == "count"


def test_name_about_parts_with_colons_stay_apart():
    assert name_about("k", "a:b", "c") != name_about("k", "a", "b:c")


@pytest.mark.parametrize(
    ("expires_on", "expected"),
    [
        (date(2024, 4, 30), AlertKind.LOT_EXPIRED),
        (TODAY, AlertKind.LOT_EXPIRING),
        (date(2024, 5, 15), AlertKind.LOT_EXPIRING),
        (date(2024, 5, 16), None),
        (None, None),
    ],
)
def test_judge_expiry_may_still_be_sold_on_its_last_day(expires_on, expected):
    draft = judge_expiry(PLACE, Lot(lot="L", quantity=1, expires_on=expires_on), today=TODAY, expires_soon_days=14)
    assert (None if draft is None else draft.kind) == expected


def test_judge_expiry_without_stock_is_none():
    assert judge_expiry(PLACE, Lot(lot="L", quantity=0, expires_on=TODAY), today=TODAY) is None


def test_judge_reorder_point_at_the_point_is_none():
    assert judge_reorder_point(PLACE, inventory_position=100, reorder_point=100) is None
    assert judge_reorder_point(PLACE, inventory_position=99, reorder_point=100) is not None


def test_judge_promise_on_the_promised_day_is_none():
    assert judge_promise("P", supplier="X", location="S", promised_on=TODAY, today=TODAY) is None
    assert judge_promise("P", supplier="X", location="S", promised_on=None, today=TODAY) is None
