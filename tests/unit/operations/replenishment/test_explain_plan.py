"""A line of a kept plan explained: the plan's own numbers, again and again, whatever else is asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest

from restock.adapters.storage import write_json
from restock.errors import DataError, NotFoundError
from restock.operations.daily_forecast import partition_folder
from restock.operations.replenishment.daily_plan import read_daily_plan, replay_plan
from restock.operations.replenishment.explain_plan import explain_plan_line
from restock.operations.replenishment.kept_lines import LineChoice, read_kept_lines
from restock.settings import Settings
from tests.planned_workspace import KEPT, PLAN_DAY, UNKNOWN, WAREHOUSE
from tests.serving.running import SKUS, STORES


@pytest.fixture
def settings(planned_template):
    return Settings(workspace=planned_template)


@pytest.mark.parametrize("line", [(SKUS[5], STORES[0]), (KEPT[0], STORES[0]), (KEPT[0], WAREHOUSE)])
def test_explain_plan_line_says_what_the_kept_plan_says(settings, line):
    sku, location = line
    told = explain_plan_line(settings, sku=sku, location=location).explanation
    table = read_daily_plan(settings.data_dir, as_of=PLAN_DAY).table
    row = table.filter(sku=sku, location=location).row(0, named=True)
    reasons = json.loads(row["reasons"])
    for name in ("order_quantity", "reorder_point", "order_up_to_level", "expected_cost", "unordered_cost"):
        assert getattr(told, name) == pytest.approx(row[name], rel=1e-6), name
    assert told.stockout_probability == pytest.approx(row["stockout_probability"])
    assert told.fill_rate == pytest.approx(row["expected_fill_rate"])
    assert told.safety_stock == pytest.approx(row["safety_stock"])
    assert told.unordered_stockout_probability == pytest.approx(reasons["stockout_probability_without"], abs=1e-4)
    assert told.expected_missed == pytest.approx(reasons["expected_lost_units_with"], abs=1e-4)
    assert told.lead_time_mean == pytest.approx(max(1, reasons["lead_time_mean_periods"]), abs=1e-4)
    assert told.binding.value == row["binding"]
    chosen = [point for point in told.curve if point.order_quantity == told.order_quantity]
    assert len(chosen) == 1


def test_explain_plan_line_again_gives_the_same_json(settings):
    first, second = (explain_plan_line(settings, sku=SKUS[5], location=STORES[0]).to_json() for _ in range(2))
    assert first == second
    assert first["sentence"].startswith("Order ")
    assert first["is_reproduced"]
    assert {change["what"] for change in first["changes"]} >= {"2 days less lead time", "2 days more lead time"}
    assert first["data_hashes"].keys() >= {"sales", "stock", "supply_terms", "purchase_orders"}
    assert first["forecast_version"] == "model_version_1"


def test_read_kept_lines_of_one_line_has_the_paths_of_the_whole_plan(settings):
    every = replay_plan(settings, as_of=PLAN_DAY).inputs
    for sku, location in ((KEPT[1], WAREHOUSE), (KEPT[1], STORES[0])):
        one = read_kept_lines(settings, LineChoice(pairs=((sku, location),)))
        row = every.lines.with_row_index("row").filter(sku=sku, location=location)["row"][0]
        np.testing.assert_array_equal(one.order_lines.demand_paths[0], every.demand_paths[row])
        np.testing.assert_array_equal(one.order_lines.lead_times[0], np.maximum(every.lead_times[row], 1) - 1)


def test_read_kept_lines_of_a_warehouse_leaves_what_its_stores_order(settings):
    kept = read_kept_lines(settings, LineChoice(location=WAREHOUSE, skus=(KEPT[0],)))
    table = read_daily_plan(settings.data_dir, as_of=PLAN_DAY).table
    ordered = table.filter(sku=KEPT[0], location=STORES[0])["order_quantity"][0]
    assert kept.order_lines.on_hand.tolist() == [200.0 - ordered]
    assert ordered > 0


@pytest.mark.parametrize(
    ("choice", "n_lines"),
    [
        (LineChoice(), 19),
        (LineChoice(location=STORES[0]), 8),
        (LineChoice(supplier="SUP-2"), 4),
        (LineChoice(category="Food > Dairy", location=STORES[1]), 4),
        (LineChoice(skus=(SKUS[0], SKUS[6])), 5),
    ],
)
def test_read_kept_lines_chooses(settings, choice, n_lines):
    kept = read_kept_lines(settings, choice)
    assert kept.lines.height == kept.table.height == kept.order_lines.n_series == n_lines
    assert kept.lines.select("sku", "location").equals(kept.table.select("sku", "location"))


def test_read_kept_lines_too_many_are_refused(settings):
    with pytest.raises(DataError, match="19 lines are chosen, expected at most 5"):
        read_kept_lines(settings, LineChoice(), most_lines=5)


def test_explain_plan_line_of_a_line_that_was_left_out_says_why(settings):
    with pytest.raises(NotFoundError, match="It was left out: its stock is not known"):
        explain_plan_line(settings, sku=UNKNOWN[0], location=UNKNOWN[1])


def test_explain_plan_line_without_a_plan_says_how_to_make_one(tmp_path):
    with pytest.raises(NotFoundError, match="restock replenish plan"):
        explain_plan_line(Settings(workspace=tmp_path), sku="A", location="B")


def test_explain_plan_line_on_a_replaced_forecast_is_refused(planned):
    settings = Settings(workspace=planned)
    path = partition_folder(settings.data_dir, PLAN_DAY) / "forecast.json"
    described = json.loads(path.read_text())
    write_json(path, described | {"sha256": "0" * 64})
    with pytest.raises(DataError, match="was replaced by another"):
        explain_plan_line(settings, sku=SKUS[5], location=STORES[0])
