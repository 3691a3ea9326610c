"""Plans and decisions judged on what came, on days that a person can reckon by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from restock.adapters.storage import read_table, write_table
from restock.operations.replenishment.daily_plan import read_daily_plan
from restock.operations.replenishment.judge_overrides import (
    judge_decisions,
    judge_plan,
    summarise_decisions,
    summarise_judged,
)
from restock.operations.replenishment.kept_lines import LineChoice, read_kept_lines
from restock.operations.stock.overrides import Decision
from restock.settings import Settings
from restock.tables import SALES
from tests.planned_workspace import KEPT, PLAN_DAY, WAREHOUSE
from tests.serving.running import SKUS, STORES

LINE = (SKUS[6], STORES[1])


def sell(workspace, *, units=6.0, n_days=12, stockout_share=None):
    """Sell so much of everything on every day after the plan."""
    path = workspace / "data" / "validated" / "sales.parquet"
    before = read_table(path, SALES)
    days = [PLAN_DAY + timedelta(days=day) for day in range(1, n_days + 1)]
    after = before.select("sku", "location").unique(maintain_order=True).join(pl.DataFrame({"date": days}), how="cross")
    after = after.with_columns(
        units_sold=pl.lit(units), unit_price=3.49, stockout_share=pl.lit(stockout_share, pl.Float64)
    )
    write_table(SALES.conform(pl.concat([before, SALES.conform(after)])), SALES, path)
    return Settings(workspace=workspace)


def decide(quantity, *, line=LINE, override="OV-1", by="ann"):
    return Decision(
        override=override,
        sku=line[0],
        location=line[1],
        as_of=PLAN_DAY,
        order_quantity=quantity,
        reason="because",
        created_by=by,
        created_at_utc=datetime(2024, 4, 30, tzinfo=UTC),
    )


def reckon(settings, line, quantity, demand):
    """Return the cost by hand and the periods of the window."""
    kept = read_kept_lines(settings, LineChoice(pairs=(line,)))
    row, terms = kept.lines.row(0, named=True), kept.real_terms
    assert (row["on_order"], row["review_periods"]) == (0, 1)
    received = int(np.rint(np.median(kept.order_lines.lead_times[0])))
    assert received >= 1
    covered = int(kept.table["reasons"].str.json_path_match("$.covered_reviews").cast(pl.Int64)[0])
    stock, cost = row["on_hand"], 0.0
    for period in range(received + covered):
        stock += quantity if period == received else 0.0
        lost = max(0.0, demand - stock)
        stock = max(0.0, stock - demand)
        if period >= received:
            cost += lost * terms.shortage_cost[0] + stock * terms.holding_cost[0]
    return cost, received + covered


def test_judge_decisions_prices_plan_and_decision_as_by_hand(planned):
    settings = sell(planned, units=9.0)
    planned_quantity = read_daily_plan(settings.data_dir, as_of=PLAN_DAY).table.filter(sku=LINE[0], location=LINE[1])[
        "order_quantity"
    ][0]
    (judged,) = judge_decisions(settings, [decide(planned_quantity + 20)])
    assert judged.waits_for is None
    before, periods = reckon(settings, LINE, planned_quantity, 9.0)
    after, _ = reckon(settings, LINE, planned_quantity + 20, 9.0)
    assert judged.planned_cost == pytest.approx(before, rel=1e-5)
    assert judged.decided_cost == pytest.approx(after, rel=1e-5)
    assert judged.value_added == pytest.approx(before - after, rel=1e-4)
    assert judged.demand_units == 9.0 * periods
    assert judged.window_end == PLAN_DAY + timedelta(days=periods)


def test_judge_decisions_ordering_nothing_before_many_customers_costs_sales(planned):
    settings = sell(planned, units=30.0)
    low, high = judge_decisions(settings, [decide(0), decide(60, override="OV-2", by="bob")])
    assert low.value_added < 0 < high.value_added
    summary = summarise_decisions([low, high])
    assert (summary["ann"]["cheaper_than_plan"], summary["bob"]["cheaper_than_plan"]) == (0, 1)
    assert summary["bob"]["value_added"] == pytest.approx(high.value_added, abs=1e-4)


def test_judge_decisions_waits_while_the_window_is_open_and_says_for_what(planned):
    settings = sell(planned, n_days=1)
    others = [decide(5, line=(KEPT[0], WAREHOUSE), override="OV-2"), decide(5, line=("X", "Y"), override="OV-3")]
    waiting, warehouse, unknown = judge_decisions(settings, [decide(5), *others])
    assert "are not stored yet" in waiting.waits_for
    assert "its stores" in warehouse.waits_for
    assert "has no such line" in unknown.waits_for
    assert waiting.value_added is None
    assert waiting.to_json()["planned_cost"] is None


def test_judge_plan_on_steady_demand_gives_every_figure(planned):
    settings = sell(planned, units=6.0)
    judged = judge_plan(settings, as_of=PLAN_DAY)
    assert judged.height == 15
    assert judged["estimated_share"].to_list() == [0.0] * 15
    row = judged.filter(sku=LINE[0], location=LINE[1]).row(0, named=True)
    assert row["planned_cost"] == pytest.approx(reckon(settings, LINE, row["planned_quantity"], 6.0)[0], rel=1e-5)
    before = read_table(settings.data_dir / "validated" / "sales.parquet", SALES).filter(
        pl.col("date") <= PLAN_DAY, pl.col("date") > PLAN_DAY - timedelta(days=56), sku=LINE[0], location=LINE[1]
    )["units_sold"]
    periods = reckon(settings, LINE, 0, 0)[1]
    assert row["average_error_units"] == pytest.approx(abs(6.0 * periods - before.mean() * periods))
    kept = read_kept_lines(settings, LineChoice(pairs=(LINE,)))
    lead, mean = kept.order_lines.lead_times[0], before.mean()
    # On the day of its receipt an order serves customers.
    periods = lead.mean() + 1
    spread = np.sqrt(periods * before.to_numpy().var() + (mean * lead.std()) ** 2)
    level = np.ceil(mean * periods + 2.054 * spread)
    assert row["average_rule_quantity"] == max(0.0, level - kept.lines["on_hand"][0])
    summary = summarise_judged(judged)
    assert summary["plan_value_added"] == pytest.approx(
        judged["average_rule_cost"].sum() - judged["planned_cost"].sum(), abs=0.01
    )


def test_judge_plan_demand_that_a_stockout_hid_is_at_least_what_was_expected(planned):
    settings = sell(planned, units=0.0, stockout_share=0.5)
    row = judge_plan(settings, as_of=PLAN_DAY, choice=LineChoice(pairs=(LINE,))).row(0, named=True)
    assert row["estimated_share"] == pytest.approx(1.0)
    assert row["demand_units"] > 5


def test_judge_decisions_line_that_sold_nothing_while_others_did_is_judged_on_no_demand(planned):
    settings = sell(planned)
    path = settings.data_dir / "validated" / "sales.parquet"
    sales = read_table(path, SALES)
    is_line = (pl.col("sku") == LINE[0]) & (pl.col("location") == LINE[1])
    write_table(sales.filter(~(is_line & (pl.col("date") > PLAN_DAY))), SALES, path)
    (judged,) = judge_decisions(settings, [decide(5)])
    assert judged.waits_for is None
    assert judged.demand_units == 0


def test_judge_plan_before_anything_was_sold_judges_nothing(planned_template):
    judged = judge_plan(Settings(workspace=planned_template), as_of=PLAN_DAY)
    assert judged.is_empty()
    assert summarise_judged(judged)["plan_value_added"] is None
