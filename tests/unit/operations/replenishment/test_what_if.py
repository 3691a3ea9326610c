"""Scenarios and the frontier on the lines of a kept plan."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from restock.errors import DataError
from restock.operations.replenishment.frontier import draw_frontier
from restock.operations.replenishment.kept_lines import LineChoice, read_kept_lines
from restock.operations.replenishment.what_if import Question, ask_what_if
from restock.settings import Settings
from tests.planned_workspace import KEPT, PLAN_DAY, WAREHOUSE
from tests.serving.running import HORIZON, STORES


@pytest.fixture(scope="module")
def kept(planned_template):
    return read_kept_lines(Settings(workspace=planned_template), LineChoice())


@pytest.fixture(scope="module")
def store(planned_template):
    return read_kept_lines(Settings(workspace=planned_template), LineChoice(location=STORES[1]))


def ask(kept, **changes):
    told = ask_what_if(kept, [Question(name="other", **changes)]).to_json()
    assert [one["name"] for one in told["scenarios"]] == ["as planned", "other"]
    return told["scenarios"]


def test_ask_what_if_as_planned_orders_what_the_plan_orders(kept):
    told = ask_what_if(kept, []).to_json()
    (planned,) = told["scenarios"]
    bought = kept.table.filter(supplier="SUP-1")
    assert kept.table.filter(supplier="SUP-2")["order_quantity"].sum() == 0
    assert planned["order_value"] == pytest.approx(2.0 * bought["order_quantity"].sum())
    assert planned["ordered_units"] == kept.table["order_quantity"].sum()
    assert len(told["dates"]) == len(planned["periods"]["cash"]) == HORIZON
    assert told["dates"][0] == (PLAN_DAY + timedelta(days=1)).isoformat()


def test_ask_what_if_counts_customers_of_stores_once(kept):
    (planned,) = ask_what_if(kept, []).outcomes
    stores = kept.order_lines.demand_paths[~kept.is_warehouse].mean(axis=1, dtype=np.float64).sum()
    assert planned.lost_units.sum() == pytest.approx((1 - planned.fill_rate) * stores)


def test_ask_what_if_a_higher_target_keeps_more_and_loses_less(store):
    low, high = (ask(store, service_target=target)[1] for target in (0.7, 0.99))
    assert high["mean_stock_value"] > low["mean_stock_value"]
    assert high["lost_units"] < low["lost_units"]
    assert high["order_value"] > low["order_value"]


def test_ask_what_if_dearer_money_holds_no_more(store):
    planned, dearer = ask(store, price_of_money=1.5)
    assert dearer["mean_stock_value"] < planned["mean_stock_value"]


def test_ask_what_if_longer_lead_times_order_more(store):
    planned, longer = ask(store, lead_time_days=4)
    assert longer["order_value"] > planned["order_value"]


def test_ask_what_if_promotion_of_some_days_sells_more_then_only(store):
    days = {"first_day": PLAN_DAY + timedelta(days=8), "last_day": PLAN_DAY + timedelta(days=10)}
    planned, promoted = ask(store, demand_factor=3.0, **days)
    # What is sold before is the same; what is bought for it may come sooner.
    lost = [one["periods"]["lost_units"][:7] for one in (planned, promoted)]
    assert sum(lost[1]) <= sum(lost[0])
    assert promoted["lost_units"] > planned["lost_units"]
    with pytest.raises(DataError, match="and the plan looks from"):
        ask(store, demand_factor=3.0, first_day=PLAN_DAY + timedelta(days=80))


def test_ask_what_if_outage_of_one_supplier_leaves_the_others_lines(kept):
    planned, out = ask(kept, outage_days=9, lines=LineChoice(supplier="SUP-2"))
    assert out["lost_units"] == planned["lost_units"]
    assert out["undelivered_units"] >= planned["undelivered_units"]
    _, all_out = ask(kept, outage_days=9)
    assert all_out["lost_units"] > planned["lost_units"]


def test_ask_what_if_budget_is_kept_and_says_how_exactly(store):
    planned, tight = ask(store, budget=60.0)
    assert planned["order_value"] > 60 >= tight["order_value"]
    assert tight["gap"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"service_target": 1.0}, "service_target must lie above 0 and below 1"),
        ({"demand_factor": -1.0}, "demand_factor"),
        ({"budget": 0.0}, "budget must be above 0"),
        ({"outage_days": -1}, "outage_days"),
        ({"price_of_money": 3.0}, "price_of_money"),
        ({"outage_days": 3, "lines": LineChoice(supplier="nobody")}, "names lines that are not among those chosen"),
    ],
)
def test_ask_what_if_senseless_values_are_refused(store, changes, words):
    with pytest.raises(DataError, match=words):
        ask(store, **changes)


def test_draw_frontier_serves_more_for_more_and_holds_the_plan_above_it(kept):
    drawn = draw_frontier(kept, most_points=12)
    points = drawn.to_json()["points"]
    assert drawn.n_lines == 15
    assert 2 <= len(points) <= 12
    rates, costs = ([point[name] for point in points] for name in ("fill_rate", "cost"))
    assert rates == sorted(rates)
    assert costs == sorted(costs)
    every = draw_frontier(kept, most_points=10_000).frontier
    least = np.interp(every.current_fill_rate, every.fill_rate, every.cost)
    assert every.current_cost >= least - 1e-6
    with pytest.raises(DataError, match="at least 2 points"):
        draw_frontier(kept, most_points=1)


def test_draw_frontier_of_a_warehouse_alone_is_its_own(planned_template):
    kept = read_kept_lines(Settings(workspace=planned_template), LineChoice(location=WAREHOUSE, skus=KEPT[:2]))
    assert draw_frontier(kept).n_lines == 2
