"""What-if on the same paths: stock, lost sales and cash by hand, and each change in its direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from restock.errors import InfeasiblePlanError
from restock.replenishment.forward_run import run_forward
from restock.replenishment.order_lines import Objective, OpenOrders, OrderLines, order_terms
from restock.replenishment.order_plan import plan_orders
from restock.replenishment.scenarios import Scenario, Valuation, evaluate_scenario
from restock.replenishment.simulate import UnmetDemand


@pytest.fixture(name="lines")
def _lines():
    rng = np.random.default_rng(0)
    return OrderLines(
        demand_paths=rng.poisson(4.0, (3, 60, 20)).astype(np.float32),
        on_hand=np.array([10.0, 9, 20]),
        backorders=np.zeros(3),
        lead_times=rng.integers(2, 5, (3, 60)),
        review_periods=np.full(3, 4),
        open_orders=OpenOrders(series=np.array([1]), units=np.array([5.0]), arrival_periods=np.full((1, 60), 2)),
        season_periods=7,
    )


TERMS = order_terms(3, holding_cost=0.05, shortage_cost=3.0)
WORTH = Valuation(
    unit_cost=np.array([2.0, 3, 4]), unit_price=np.array([5.0, 6, 7]), today_price_of_money=0.1, periods_per_year=365
)


def outcome(lines, name="today", **changed):
    objective = changed.pop("objective", Objective.COST)
    terms = changed.pop("terms", TERMS)
    return evaluate_scenario(lines, terms, Scenario(name=name, **changed), valuation=WORTH, objective=objective)


def test_nothing_changed_is_todays_plan_and_every_unit_is_paid_and_sold_once(lines):
    found = outcome(lines)
    plan = plan_orders(lines, TERMS)
    assert found.plan.order_quantity.tolist() == plan.order_quantity.tolist()
    received = sold = 0.0
    for run in run_forward(lines, TERMS, plan, first_orders=plan.order_quantity):
        received = received + run.received.mean(axis=1)
        sold = sold + run.sold.mean(axis=1)
    assert found.cash[-1] == pytest.approx(float(sold @ WORTH.unit_price - received @ WORTH.unit_cost), rel=1e-5)
    assert found.stock_value[-1] == pytest.approx(float((lines.on_hand + received - sold) @ WORTH.unit_cost), rel=1e-5)
    asked = lines.demand_paths.mean(axis=1).sum()
    assert found.lost_units.sum() == pytest.approx(asked - sold.sum(), rel=1e-3)
    assert found.fill_rate == pytest.approx(sold.sum() / asked, rel=1e-5)


def test_known_demand_runs_forward_as_by_hand():
    lines = OrderLines(
        demand_paths=np.array([[[3.0, 4, 5, 2]]]), on_hand=np.array([4.0]), backorders=np.zeros(1),
        lead_times=np.ones((1, 1), dtype=int), review_periods=np.ones(1, dtype=int), unmet=UnmetDemand.BACKORDERED,
        season_periods=1,
    )  # fmt: skip
    plan = plan_orders(lines, TERMS.select(np.array([0])))
    assert plan.order_up_to_level[0] == 7
    runs = list(run_forward(lines, TERMS.select(np.array([0])), plan))
    # Order up to 7 every period: 3, 3, 4, 5.
    assert [float(run.ordered[0, 0]) for run in runs] == [3, 3, 4, 5]
    assert [float(run.on_hand[0, 0]) for run in runs] == [1, 0, 0, 0]
    assert [float(run.backorders[0, 0]) for run in runs] == [0, 0, 2, 0]
    assert [float(run.missed[0, 0]) for run in runs] == [0, 0, 2, 0]


def test_each_scenario_moves_what_it_should(lines):
    today = outcome(lines)
    assert outcome(lines, lead_time_change=3).stock_value[:2].sum() <= today.stock_value[:2].sum()
    assert outcome(lines, lead_time_change=3).lost_units.sum() > today.lost_units.sum()
    assert outcome(lines, demand_factor=1.5).order_value > today.order_value
    assert outcome(lines, yearly_price_of_money=5.0).order_value < today.order_value
    out = outcome(lines, outage_periods=10)
    assert out.lost_units[:10].sum() > today.lost_units[:10].sum()
    assert out.lost_value.sum() > today.lost_value.sum()
    only = outcome(lines, outage_periods=10, outage_lines=np.array([True, False, False]))
    assert today.lost_units.sum() < only.lost_units.sum() < out.lost_units.sum()
    low, high = (outcome(lines, fill_rate=share, objective=Objective.FILL_RATE) for share in (0.8, 0.99))
    assert high.fill_rate > low.fill_rate
    assert high.stock_value.sum() > low.stock_value.sum()


def test_a_promotion_by_period_raises_only_its_periods(lines):
    factor = np.ones((3, 20))
    factor[0, 5:8] = 3.0
    found = outcome(lines, demand_factor=factor)
    assert found.plan.order_quantity[0] > outcome(lines).plan.order_quantity[0]
    assert found.plan.order_quantity[1:].tolist() == outcome(lines).plan.order_quantity[1:].tolist()


def test_a_budget_is_kept_and_named(lines):
    today = outcome(lines)
    found = outcome(lines, budget=0.6 * today.order_value)
    assert found.order_value <= 0.6 * today.order_value + 1e-6
    assert found.shared.is_optimal
    assert found.shared.limits[0].shadow_price > 0
    assert "budget" in found.plan.bindings
    floors = order_terms(3, holding_cost=0.05, shortage_cost=3.0, fill_rate=0.95)
    with pytest.raises(InfeasiblePlanError, match="service floors of 3 lines need"):
        outcome(lines, terms=floors, budget=0.2 * today.order_value)


def test_lines_that_serve_no_customers_neither_lose_nor_earn_and_the_unbought_cost_nothing(lines):
    every = evaluate_scenario(lines, TERMS, Scenario(name="all"), valuation=WORTH)
    parts = [
        evaluate_scenario(
            lines.select(np.array([row])),
            TERMS.select(np.array([row])),
            Scenario(name="one"),
            valuation=Valuation(
                unit_cost=WORTH.unit_cost[[row]],
                unit_price=WORTH.unit_price[[row]],
                today_price_of_money=0.1,
                periods_per_year=365,
            ),
        )
        for row in range(3)
    ]
    inner = replace(WORTH, serves_customers=np.array([True, True, False]), is_bought=np.array([False, True, True]))
    found = evaluate_scenario(lines, TERMS, Scenario(name="inner"), valuation=inner)
    np.testing.assert_allclose(found.stock_value, every.stock_value)
    np.testing.assert_allclose(found.lost_units, parts[0].lost_units + parts[1].lost_units)
    np.testing.assert_allclose(found.undelivered_units, parts[2].lost_units)
    orders = every.plan.order_quantity
    assert found.order_value == pytest.approx(orders[1] * 3 + orders[2] * 4)
    # Sales of the first two, payments of the last two.
    earned = 5 * (lines.demand_paths[0].mean(axis=0) - parts[0].lost_units).sum()
    assert found.cash[-1] == pytest.approx(
        earned + parts[1].cash[-1] + parts[2].cash[-1] - _earned(lines, parts[2]), rel=1e-5
    )


def _earned(lines, last):
    return 7 * (lines.demand_paths[2].mean(axis=0) - last.lost_units).sum()
