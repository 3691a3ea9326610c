"""Simulated stock against closed forms, exact costs and a period followed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from restock.replenishment.lost_sales import poisson_case, policy_cost
from restock.replenishment.lost_sales_policies import base_stock
from restock.replenishment.newsvendor import poisson_newsvendor
from restock.replenishment.order_up_to import poisson_order_up_to_rule
from restock.replenishment.safety_stock import fill_rate_of_base_stock
from restock.replenishment.simulate import (
    OrderQuantities,
    OrderUpTo,
    StockTerms,
    UnmetDemand,
    round_orders,
    simulate_stock,
)


def terms(n_skus=1, **changed):
    values = {
        "holding_cost": 1.0, "shortage_cost": 9.0, "fixed_order_cost": 0.0, "review_periods": 1,
        "minimum_order_quantity": 0.0, "order_multiple": 1.0,
    } | changed  # fmt: skip
    return StockTerms(**{name: np.broadcast_to(value, n_skus) for name, value in values.items()})


def up_to(*levels, points=None):
    levels = np.array(levels, dtype=float)
    return OrderUpTo(reorder_point=levels - 1 if points is None else np.array(points), order_up_to_level=levels)


def test_every_step_of_a_period_is_as_by_hand():
    found = simulate_stock(
        up_to(5),
        terms(fixed_order_cost=2.0),
        demand=np.array([[[3.0, 4.0, 0.0]]]),
        lead_times=np.array([[[1, 1, 1]]]),
        on_hand=np.array([5.0]),
        unmet=UnmetDemand.BACKORDERED,
    )
    # Period 0: no order at 5; 2 left. 1: order 3; 2 served, 2 wait. 2: 3 arrive, 2 serve those, order 4 to 5; 1 left.
    assert found.on_hand_end[0, 0] == 1
    assert found.holding_cost[0, 0] == 2 + 0 + 1
    assert found.shortage_cost[0, 0] == 9 * 2
    assert (found.orders[0, 0], found.ordering_cost[0, 0]) == (2, 4)
    assert (found.served_at_once_units[0, 0], found.delivered_units[0, 0]) == (5, 7)
    assert found.on_order_end[0, 0] == 4


def test_orders_that_cross_arrive_in_their_own_time():
    found = simulate_stock(
        up_to(4),
        terms(),
        demand=np.array([[[4.0, 2.0, 1.0, 0.0]]]),
        lead_times=np.array([[[3, 2, 0, 0]]]),
        on_hand=np.array([4.0]),
        unmet=UnmetDemand.LOST,
    )
    # The 4 ordered in period 1 come in period 3; nothing is ordered in 2, as the position is 4 again; 3 are lost.
    assert found.lost_units[0, 0] == 3
    assert found.received_units[0, 0] == 4
    assert found.on_hand_end[0, 0] == 4


def test_an_order_without_lead_time_serves_its_own_period():
    found = simulate_stock(
        up_to(6),
        terms(),
        demand=np.full((1, 1, 3), 6.0),
        lead_times=np.zeros((1, 1, 3), dtype=int),
        on_hand=np.array([0.0]),
        unmet=UnmetDemand.LOST,
    )
    assert found.lost_units[0, 0] == 0
    assert found.fill_rate[0] == 1


def test_quantities_lift_the_position_above_the_reorder_point():
    policy = OrderQuantities(reorder_point=np.array([10.0]), order_quantity=np.array([4.0]))
    assert policy(np.array([[11.0, 10.0, 7.0, 3.0]])).tolist() == [[0, 4, 4, 8]]


def test_round_orders_keeps_what_is_a_multiple_but_for_rounding():
    found = round_orders(
        np.array([0.1 * 3, 1.2, 0.0]), minimum_order_quantity=np.array(0.0), order_multiple=np.array(0.1)
    )
    assert found == pytest.approx([0.3, 1.2, 0.0])


def test_backordered_base_stock_costs_what_the_closed_form_says():
    rng = np.random.default_rng(7)
    best = poisson_newsvendor(holding_cost=1, shortage_cost=9, demand_mean=5, lead_time_periods=3)
    found = simulate_stock(
        up_to(best.order_up_to_level),
        terms(),
        demand=rng.poisson(5, size=(1, 400, 600)).astype(float),
        lead_times=np.full((1, 400, 600), 3),
        on_hand=np.array([float(best.order_up_to_level)]),
        unmet=UnmetDemand.BACKORDERED,
        warm_up_periods=100,
    )
    costs = found.total_cost[0] / 500
    # Four standard errors of 400 independent paths.
    assert abs(costs.mean() - best.expected_cost) < 4 * costs.std() / 20


def test_backordered_order_up_to_rule_with_reviews_costs_what_the_exact_form_says():
    rng = np.random.default_rng(17)
    rule = poisson_order_up_to_rule(
        fixed_order_cost=20, holding_cost=1, shortage_cost=9, demand_mean=5, lead_time_periods=2, review_periods=2
    )
    found = simulate_stock(
        up_to(rule.order_up_to_level, points=[rule.reorder_point]),
        terms(fixed_order_cost=20.0, review_periods=2),
        demand=rng.poisson(5, size=(1, 400, 700)).astype(float),
        lead_times=np.full((1, 400, 700), 2),
        on_hand=np.array([float(rule.order_up_to_level)]),
        unmet=UnmetDemand.BACKORDERED,
        warm_up_periods=100,
    )
    costs = found.total_cost[0] / 600
    assert abs(costs.mean() - rule.cost) < 4 * costs.std() / 20


def test_lost_sales_base_stock_costs_what_the_exact_form_says():
    rng = np.random.default_rng(8)
    found = simulate_stock(
        up_to(28),
        terms(),
        demand=rng.poisson(5, size=(1, 400, 600)).astype(float),
        lead_times=np.full((1, 400, 600), 4),
        on_hand=np.array([28.0]),
        unmet=UnmetDemand.LOST,
        warm_up_periods=100,
    )
    exact = policy_cost(poisson_case(5.0, lead_time_periods=4, holding_cost=1, shortage_cost=9), base_stock(28)).cost
    costs = found.total_cost[0] / 500
    assert abs(costs.mean() - exact) < 4 * costs.std() / 20


def test_fill_rate_agrees_with_the_closed_form_for_normal_demand():
    rng = np.random.default_rng(9)
    levels = np.array([150.0, 165.0, 180.0])
    shape = (3, 300, 600)
    # A negative draw has a chance of 3e-7; the closed form takes them as they come.
    demand = np.maximum(rng.normal(50, 10, size=shape), 0)
    found = simulate_stock(
        up_to(*levels),
        terms(3, order_multiple=1e-6),
        demand=demand,
        lead_times=np.full(shape, 2),
        on_hand=levels,
        unmet=UnmetDemand.BACKORDERED,
        warm_up_periods=50,
    )
    exact = [
        fill_rate_of_base_stock(order_up_to_level=level, demand_mean=50, demand_deviation=10, lead_time_periods=2)
        for level in levels
    ]
    # 165,000 periods: two thousandths is four standard errors at the lowest level.
    assert found.fill_rate == pytest.approx(exact, abs=0.002)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"lead_times": np.zeros((1, 1, 2), dtype=int)}, "share the shape"),
        ({"demand": np.full((1, 1, 3), -1.0)}, "must be >= 0"),
        ({"warm_up_periods": 3}, "below 3, got 3"),
    ],
)
def test_draws_that_do_not_fit_are_refused(changed, complaint):
    values = {
        "demand": np.ones((1, 1, 3)), "lead_times": np.zeros((1, 1, 3), dtype=int), "on_hand": np.zeros(1),
        "unmet": UnmetDemand.LOST,
    } | changed  # fmt: skip
    with pytest.raises(ValueError, match=complaint):
        simulate_stock(up_to(5), terms(), **values)
