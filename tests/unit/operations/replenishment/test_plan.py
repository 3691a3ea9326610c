"""What lines of a plan share: stores and their warehouse are planned one after the other, within the same limits."""

from __future__ import annotations

import polars as pl
import pytest

from restock.adapters.storage import read_table, write_table
from restock.operations.replenishment.daily_plan import write_daily_plan
from restock.params import read_params
from restock.settings import Settings
from restock.tables import LOCATIONS, STOCK
from tests.planned_workspace import PLAN_DAY, WAREHOUSE
from tests.serving.running import ROOT


def plan_with(workspace, **changes):
    """Plan anew with an almost empty warehouse, so that stores and warehouse buy from outside."""
    path = workspace / "data" / "validated" / "stock.parquet"
    stock = read_table(path, STOCK).with_columns(
        on_hand=pl.when(pl.col("location") == WAREHOUSE).then(4.0).otherwise("on_hand")
    )
    write_table(STOCK.conform(stock), STOCK, path)
    params = read_params(ROOT / "params.yaml")
    params = params.model_copy(update={"replenishment": params.replenishment.model_copy(update=changes)})
    return write_daily_plan(Settings(workspace=workspace), params, as_of=PLAN_DAY)


def bought(plan):
    """Return the value of what stores and what the warehouse buy from outside, at 2.0 a unit."""
    table = plan.table.filter(pl.col("supplier") != WAREHOUSE)
    is_warehouse = pl.col("location") == WAREHOUSE
    return tuple(2.0 * table.filter(rows)["order_quantity"].sum() for rows in (~is_warehouse, is_warehouse))


def test_plan_lines_budget_counts_for_stores_and_warehouse_together(planned):
    by_stores, by_warehouse = bought(plan_with(planned))
    assert min(by_stores, by_warehouse) > 0
    budget = max(by_stores, by_warehouse)
    assert sum(bought(plan_with(planned, budget=budget))) <= budget + 1e-6


def test_plan_lines_budget_that_stores_leave_is_the_warehouses(planned):
    by_stores, by_warehouse = bought(plan_with(planned))
    assert bought(plan_with(planned, budget=by_stores + by_warehouse)) == pytest.approx((by_stores, by_warehouse))


def test_plan_lines_room_is_what_all_that_is_held_there_leaves(planned):
    path = planned / "data" / "validated" / "locations.parquet"
    places = read_table(path, LOCATIONS).with_columns(
        capacity_units=pl.when(pl.col("location") == WAREHOUSE).then(40.0).cast(pl.Float64)
    )
    write_table(LOCATIONS.conform(places), LOCATIONS, path)
    table = plan_with(planned).table.filter(pl.col("location") == WAREHOUSE)
    assert "storage" in table["binding"].to_list()
    assert table["order_quantity"].sum() <= 40 - 4 * table.height
