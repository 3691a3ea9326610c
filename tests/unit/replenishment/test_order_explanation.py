"""Explanations say the plan's own numbers, and what would change them is what planning that says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from restock.replenishment.feasible_orders import Binding
from restock.replenishment.order_explanation import explain_order
from restock.replenishment.order_lines import Objective, OpenOrders, OrderLines, order_terms
from restock.replenishment.order_plan import plan_orders, with_orders
from restock.replenishment.simulate import UnmetDemand


@pytest.fixture(name="lines")
def _lines():
    rng = np.random.default_rng(0)
    return OrderLines(
        demand_paths=rng.poisson(4.0, (3, 100, 20)).astype(np.float32),
        on_hand=np.array([3.0, 9, 80]),
        backorders=np.zeros(3),
        lead_times=rng.integers(3, 8, (3, 100)),
        review_periods=np.full(3, 7),
        open_orders=OpenOrders(
            series=np.array([1]), units=np.array([5.0]), arrival_periods=np.full((1, 100), 2)
        ),
    )  # fmt: skip


TERMS = order_terms(3, holding_cost=0.05, shortage_cost=3.0, order_multiple=6.0)


def test_explanation_gives_the_plan_of_its_line(lines):
    plan = plan_orders(lines, TERMS)
    for row in range(3):
        found = explain_order(lines, TERMS, row, forecast_version="7", data_hash="ab12")
        assert found.order_quantity == plan.order_quantity[row]
        assert found.order_up_to_level == plan.order_up_to_level[row]
        assert found.reorder_point == plan.reorder_point[row]
        assert found.stockout_probability == plan.stockout_probability[row]
        assert found.unordered_stockout_probability == plan.unordered_stockout_probability[row]
        assert found.expected_cost == pytest.approx(plan.expected_cost[row])
        assert found.binding is plan.bindings[row]
        assert (found.forecast_version, found.data_hash) == ("7", "ab12")
    assert explain_order(lines, TERMS, 1).on_order == 5


def test_changes_are_what_planning_the_changed_line_says(lines):
    found = explain_order(lines, TERMS, 0)
    by_what = {change.what: change for change in found.changes}
    sooner = plan_orders(replace(lines, lead_times=lines.lead_times - 2), TERMS)
    change = by_what["2 days less lead time"]
    assert change.order_quantity == sooner.order_quantity[0]
    assert change.change_units == sooner.order_quantity[0] - found.order_quantity
    assert change.level_change_units < 0
    assert by_what["twice the shortage cost"].level_change_units > 0
    assert by_what["a lead time that never varies"].level_change_units <= 0
    assert by_what["10 more on hand"].level_change_units == pytest.approx(0, abs=3)
    assert "single units" in by_what
    assert "no minimum order quantity" not in by_what


def test_the_cost_curve_has_the_chosen_quantity_as_its_lowest_point(lines):
    found = explain_order(lines, TERMS, 0)
    quantities = [point.order_quantity for point in found.curve]
    assert quantities[0] == 0
    assert found.order_quantity in quantities
    cheapest = min(found.curve, key=lambda point: point.expected_cost)
    assert cheapest.order_quantity == found.order_quantity
    assert cheapest.expected_cost == found.expected_cost


def test_the_sentence_tells_stock_demand_effect_binding_and_a_change(lines):
    found = explain_order(replace(lines, unmet=UnmetDemand.BACKORDERED), TERMS, 0)
    assert found.sentence.startswith(f"Order {found.order_quantity:g} units: 3 on hand and 0 on order stand against ")
    assert f"lead time {found.lead_time_quantiles[0.1]:g} to {found.lead_time_quantiles[0.9]:g} days" in found.sentence
    assert "2 days less lead time: -" in found.sentence
    assert f"{found.unordered_stockout_probability:.0%} likely without an order" in found.sentence
    assert explain_order(lines, TERMS, 2).sentence.startswith("Order nothing: 80 on hand")


def test_a_shared_plan_is_explained_with_its_quantity_and_what_binds(lines):
    plan = plan_orders(lines, TERMS)
    shared = with_orders(
        plan,
        lines,
        TERMS,
        order_quantity=np.array([6.0, 0, 0]),
        bindings=[Binding.BUDGET, Binding.BUDGET, Binding.NONE],
    )
    found = explain_order(lines, TERMS, 0, shared=shared)
    assert found.order_quantity == 6
    assert found.binding is Binding.BUDGET
    assert "the budget binds" in found.sentence
    assert found.stockout_probability == shared.stockout_probability[0]
    assert shared.expected_missed[0] > plan.expected_missed[0]


def test_targets_are_told_in_words(lines):
    terms = order_terms(3, holding_cost=0.05, shortage_cost=3.0, fill_rate=0.95)
    by_share = explain_order(lines, terms, 0, objective=Objective.FILL_RATE)
    assert "serve 95.0% of demand" in by_share.target
    assert "half the unserved share" in {change.what for change in by_share.changes}
    assert "at least 95.0% of demand served" in explain_order(lines, terms, 0).target


def test_explanation_of_a_tuned_plan_counts_what_a_shortage_really_costs(lines):
    tuned = replace(TERMS, shortage_cost=TERMS.shortage_cost * 0.05)
    found = explain_order(lines, tuned, 1, valued=TERMS)
    plan = plan_orders(lines, tuned)
    assert found.order_quantity == plan.order_quantity[1] > 0
    held = plan.expected_cost[1] - tuned.shortage_cost[1] * plan.expected_missed[1]
    assert found.expected_missed > 0
    assert found.expected_cost == pytest.approx(held + 3.0 * plan.expected_missed[1], rel=1e-5)


def test_explanation_shows_lead_times_from_the_order_on(lines):
    plain, shifted = (explain_order(lines, TERMS, 1, periods_before=before) for before in (0, 1))
    assert shifted.lead_time_mean == plain.lead_time_mean + 1
    assert shifted.lead_time_quantiles == {share: value + 1 for share, value in plain.lead_time_quantiles.items()}
    assert shifted.order_quantity == plain.order_quantity


def test_explanation_of_no_order_looks_to_the_next_review_only(lines):
    lines, terms = replace(lines, season_periods=7), replace(TERMS, fixed_order_cost=np.full(3, 20.0))
    found, plan = explain_order(lines, terms, 2), plan_orders(lines, terms)
    assert found.order_quantity == 0
    assert plan.covered_reviews[2] > 1
    once = plan_orders(lines, terms, most_covered_reviews=1)
    assert found.unordered_cost == found.expected_cost == pytest.approx(once.unordered_cost[2])
