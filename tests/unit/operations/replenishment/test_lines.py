"""What may be ordered, from tables that leave things out."""

from datetime import date

import polars as pl
import pytest

from restock.errors import DataError
from restock.operations.replenishment.lines import LINE_TABLES, build_lines, trading_terms
from restock.params import ReplenishmentParams, ServiceTargets
from restock.replenishment.walk_forward import FROM_OUTSIDE
from restock.tables import LOCATIONS, PRODUCTS, STOCK, SUPPLY_TERMS
from restock.timeline import Frequency

DAY = date(2024, 5, 1)
PARAMS = ReplenishmentParams(
    unmet_demand="lost",
    capital_cost_share=0.1,
    storage_cost_share=0.265,
    shortage_margin_multiple=2.0,
    default_margin_share=0.25,
    objective="cost",
    service_targets=ServiceTargets(A=0.98, B=0.95, C=0.9),
    service_floors=ServiceTargets(A=0, B=0, C=0),
    budget=None,
    transport_units={},
    supplier_minimum_values={},
    time_limit_seconds=5,
    shortage_multiples=(1.0,),
    simulated_paths=20,
)


def term(sku, location, supplier, **changes):
    return {
        "sku": sku,
        "location": location,
        "supplier": supplier,
        "unit_cost": 4.0,
        "quoted_lead_time_days": 3,
    } | changes


def tables(terms, *, stock=()):
    products = [
        {"sku": "A", "name": "A", "category_path": "Food", "unit_price": 5.0, "shelf_life_days": 10},
        {"sku": "B", "name": "B", "category_path": "Food"},
    ]
    frames = {
        SUPPLY_TERMS: terms,
        PRODUCTS: products,
        LOCATIONS: [{"location": "S", "kind": "store"}, {"location": "W", "kind": "warehouse", "capacity_units": 50.0}],
        STOCK: list(stock),
    }
    made = {
        table.name: table.conform(pl.DataFrame(rows, infer_schema_length=None)) if rows else table.empty()
        for table, rows in frames.items()
    }
    assert set(made) == {table.name for table in LINE_TABLES}
    return made


def lines_of(terms, *, frequency=Frequency.DAILY, stock=()):
    return build_lines(tables(terms, stock=stock), params=PARAMS, frequency=frequency, as_of=DAY)


def test_build_lines_costs_follow_from_the_params():
    (row,) = lines_of([term("A", "S", "X")]).to_dicts()
    # 36.5 % of 4.00 a year.
    assert row["holding_cost"] == pytest.approx(0.004)
    assert row["shortage_cost"] == pytest.approx(2.0)
    assert row["has_price"]


def test_build_lines_without_a_price_reckons_with_the_default_margin_and_says_so():
    (row,) = lines_of([term("B", "S", "X")]).to_dicts()
    # A quarter of the price is a third of the cost, twice.
    assert row["shortage_cost"] == pytest.approx(2 * 4.0 / 3)
    assert not row["has_price"]


def test_build_lines_sold_below_cost_is_wanted_all_the_same():
    (row,) = lines_of([term("A", "S", "X", unit_cost=6.0)]).to_dicts()
    assert row["shortage_cost"] == pytest.approx(0.06)


def test_build_lines_of_several_suppliers_takes_the_cheapest_then_the_quickest():
    dear, slow, quick = (
        term("A", "S", name, unit_cost=cost, quoted_lead_time_days=days)
        for name, cost, days in (("dear", 5.0, 1), ("slow", 4.0, 9), ("quick", 4.0, 2))
    )
    (row,) = lines_of([dear, slow, quick]).to_dicts()
    assert (row["supplier"], row["n_suppliers"]) == ("quick", 3)


def test_build_lines_knows_the_warehouse_of_a_store_only_where_it_has_terms_of_the_sku():
    lines = lines_of([term("A", "S", "W"), term("A", "W", "X"), term("B", "S", "W")])
    assert lines.select("sku", "location", "source").rows() == [
        ("A", "S", 1),
        ("A", "W", FROM_OUTSIDE),
        ("B", "S", FROM_OUTSIDE),
    ]


def test_build_lines_reads_the_latest_stock_up_to_the_day_and_none_after_it():
    stock = [
        {"sku": "A", "location": "S", "as_of": day, "on_hand": units}
        for day, units in ((date(2024, 4, 1), 1.0), (date(2024, 4, 30), 2.0), (date(2024, 5, 2), 3.0))
    ]
    lines = lines_of([term("A", "S", "X"), term("B", "S", "X")], stock=stock)
    assert lines["on_hand"].to_list() == [2.0, 0.0]
    assert lines["stock_as_of"].to_list() == [date(2024, 4, 30), None]


def test_build_lines_counts_weeks_that_have_begun_and_shelf_lives_that_are_over():
    (row,) = lines_of([term("A", "S", "X", quoted_lead_time_days=8)], frequency=Frequency.WEEKLY).to_dicts()
    assert (row["quoted_lead_time_periods"], row["shelf_life_periods"]) == (2, 1)


def test_build_lines_without_terms_says_what_to_ingest():
    with pytest.raises(DataError, match="supply_terms has no rows"):
        lines_of([])


def test_trading_terms_group_what_is_ordered_together():
    terms = trading_terms(lines_of([term("A", "S", "X"), term("B", "S", "X"), term("A", "W", "X")]))
    assert terms.order_group.tolist() == [0, 1, 0]
