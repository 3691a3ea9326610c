"""Closed forms against published numbers, enumeration and drawn demand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from restock.replenishment.finite_horizon import plan_finite_horizon, wagner_whitin
from restock.replenishment.loss_functions import (
    normal_losses,
    normal_quantile,
    normal_second_loss,
    poisson_losses,
    poisson_probability,
)
from restock.replenishment.newsvendor import (
    conformal_newsvendor,
    critical_ratio,
    discrete_newsvendor,
    normal_newsvendor,
    poisson_newsvendor,
    quantile_newsvendor,
)
from restock.replenishment.order_quantity import (
    all_units_discount_quantity,
    economic_production_quantity,
    incremental_discount_quantity,
)
from restock.replenishment.order_up_to import exact_order_up_to_rule, order_up_to_cost, poisson_order_up_to_rule
from restock.replenishment.reorder_point import NormalReorder, exact_reorder_rule, expected_inventory_rule, reorder_cost
from restock.replenishment.safety_stock import (
    ProtectionDemand,
    fill_rate_of_base_stock,
    fill_rate_of_reorder_point,
    protection_demand,
    safety_stock_for_cycles,
    safety_stock_for_fill_rate,
)
from restock.replenishment.uncertain_supply import disrupted_base_stock


def test_normal_losses_agree_with_numerical_integration():
    x = np.linspace(-60, 160, 400_001)
    density = np.exp(-(((x - 50) / 8) ** 2) / 2) / (8 * math.sqrt(2 * math.pi))
    step = x[1] - x[0]
    for level in (30.0, 50.0, 61.5):
        shortage, leftover = normal_losses(level, mean=50, deviation=8)
        assert shortage == pytest.approx((np.maximum(x - level, 0) * density).sum() * step, abs=1e-8)
        assert leftover == pytest.approx((np.maximum(level - x, 0) * density).sum() * step, abs=1e-8)
        second = (np.maximum(x - level, 0) ** 2 / 2 * density).sum() * step
        assert normal_second_loss(level, mean=50, deviation=8) == pytest.approx(second, abs=1e-6)


def test_losses_without_any_deviation_are_the_plain_difference():
    assert normal_losses(7.0, mean=10.0, deviation=0.0) == (3.0, 0.0)
    assert normal_second_loss(7.0, mean=10.0, deviation=0.0) == 4.5


def test_poisson_losses_agree_with_summing_chances():
    for mean, level in ((0.0, 0), (0.4, 0), (5.0, 3), (5.0, 12), (40.0, 38)):
        chances = [poisson_probability(units, mean=mean) for units in range(200)]
        expected = sum(chance * max(units - level, 0) for units, chance in enumerate(chances))
        assert poisson_losses(level, mean=mean)[0] == pytest.approx(expected, abs=1e-10)
    assert poisson_losses(-2, mean=5.0) == (7.0, 0.0)


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1])
def test_normal_quantile_of_no_probability_is_refused(probability):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        normal_quantile(probability)


def test_critical_ratio_of_a_cost_of_zero_is_refused():
    with pytest.raises(ValueError, match="holding_cost=0"):
        critical_ratio(holding_cost=0, shortage_cost=1)


def test_newsvendor_levels_cost_least_among_their_neighbours():
    found = poisson_newsvendor(holding_cost=1, shortage_cost=9, demand_mean=5, lead_time_periods=4)
    costs = {}
    for level in range(15, 45):
        short, left = poisson_losses(level, mean=25)
        costs[level] = left + 9 * short
    assert found.order_up_to_level == min(costs, key=costs.get)
    assert found.expected_cost == pytest.approx(min(costs.values()))


def test_discrete_newsvendor_whose_chances_sum_to_the_ratio_takes_that_level():
    found = discrete_newsvendor(holding_cost=3, shortage_cost=7, units=np.arange(1, 11), probability=np.full(10, 0.1))
    assert found.order_up_to_level == 7


def test_quantile_newsvendor_outside_the_quantiles_is_refused():
    with pytest.raises(ValueError, match=r"0.9900 lies outside the forecast's quantiles 0.5 to 0.9"):
        quantile_newsvendor(
            np.array([[1.0, 2.0]]), (0.5, 0.9), holding_cost=np.array(1.0), shortage_cost=np.array(99.0)
        )


def test_quantile_newsvendor_of_many_quantiles_nears_the_normal_level():
    levels = np.linspace(0.005, 0.995, 199)
    forecast = np.array([[50 + 8 * normal_quantile(level) for level in levels]])
    found = quantile_newsvendor(forecast, tuple(levels), holding_cost=np.array([0.18]), shortage_cost=np.array([0.7]))
    exact = normal_newsvendor(holding_cost=0.18, shortage_cost=0.7, demand_mean=50, demand_deviation=8)
    assert found[0] == pytest.approx(exact.order_up_to_level, abs=0.01)


def test_conformal_newsvendor_covers_skewed_demand_as_often_as_promised():
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(4000):
        demand = rng.lognormal(3, 1, size=20)
        level = conformal_newsvendor(demand[:-1] - 20, 20.0, holding_cost=1, shortage_cost=9)
        covered += demand[-1] <= level
    # 0.9 to 0.95 is promised with 19 errors; four standard errors of 4,000 draws are 0.019.
    assert 0.9 - 0.019 <= covered / 4000 <= 0.95 + 0.019


def test_conformal_newsvendor_with_too_few_errors_is_refused():
    with pytest.raises(ValueError, match="needs at least 9 errors, got 8"):
        conformal_newsvendor(np.zeros(8), 5.0, holding_cost=1, shortage_cost=9)


def test_production_rate_below_demand_is_refused():
    with pytest.raises(ValueError, match="production_rate must be above demand_rate 10"):
        economic_production_quantity(fixed_order_cost=1, holding_cost=1, demand_rate=10, production_rate=10)


def discounted_cost(units, *, incremental):
    """Cost per time of one quantity at prices 5, 4.5, 4 from 0, 60, 200; K 30, 20 % a year, 500 a year."""
    starts, prices = (0, 60, 200), (5.0, 4.5, 4.0)
    region = max(place for place, start in enumerate(starts) if units >= start)
    if incremental:
        paid = sum(
            (min(units, end) - start) * price
            for start, end, price in zip(starts, (60, 200, math.inf), prices, strict=True)
            if units > start
        )
    else:
        paid = units * prices[region]
    return 500 * paid / units + 30 * 500 / units + 0.2 * paid / units * units / 2


@pytest.mark.parametrize(
    ("solve", "incremental"), [(all_units_discount_quantity, False), (incremental_discount_quantity, True)]
)
def test_discount_quantity_is_the_cheapest_of_all(solve, incremental):
    found = solve(
        fixed_order_cost=30, holding_cost_share=0.2, demand_rate=500, breakpoints=(0, 60, 200), unit_costs=(5, 4.5, 4)
    )
    grid = np.linspace(20, 600, 58_001)
    costs = [discounted_cost(units, incremental=incremental) for units in grid]
    assert found.cost == pytest.approx(min(costs), rel=1e-7)
    assert discounted_cost(found.order_quantity, incremental=incremental) == pytest.approx(found.cost)


def test_exact_reorder_rule_costs_less_than_every_other():
    case = NormalReorder(
        fixed_order_cost=8,
        holding_cost=0.225,
        shortage_cost=7.5,
        demand_mean=1300,
        demand_deviation=150,
        lead_time_periods=1 / 12,
    )
    best = exact_reorder_rule(case)
    for point, quantity in itertools.product(np.linspace(60, 200, 57), np.linspace(200, 450, 51)):
        cost = reorder_cost(case, reorder_point=point, order_quantity=quantity)
        assert cost >= best.cost - 1e-9


def test_expected_inventory_rule_where_no_stockout_chance_pays_is_refused():
    case = NormalReorder(
        fixed_order_cost=100,
        holding_cost=1,
        shortage_cost=0.5,
        demand_mean=10,
        demand_deviation=1,
        lead_time_periods=1,
    )
    with pytest.raises(ValueError, match="Take exact_reorder_rule"):
        expected_inventory_rule(case)


@pytest.mark.parametrize(("mean", "fixed", "shortage"), [(2.0, 3.0, 9.0), (6.0, 5.0, 4.0), (0.5, 20.0, 30.0)])
def test_exact_order_up_to_rule_costs_least_of_all_pairs(mean, fixed, shortage):
    probability = np.array([poisson_probability(units, mean=mean) for units in range(60)])

    def level_cost(level):
        short, left = poisson_losses(level, mean=mean)
        return left + shortage * short

    best_level = min(range(-5, 30), key=level_cost)
    found = exact_order_up_to_rule(level_cost, probability, best_level=best_level, fixed_order_cost=fixed)
    costs = {
        (point, level): order_up_to_cost(
            level_cost, probability, reorder_point=point, order_up_to_level=level, fixed_order_cost=fixed
        )
        for point in range(-6, 15)
        for level in range(point + 1, 30)
    }
    assert found.cost == pytest.approx(min(costs.values()), abs=1e-10)
    assert costs[found.reorder_point, found.order_up_to_level] == pytest.approx(found.cost)


def test_order_up_to_cost_agrees_with_a_long_run():
    rng = np.random.default_rng(1)
    found = poisson_order_up_to_rule(
        fixed_order_cost=5, holding_cost=1, shortage_cost=4, demand_mean=6, lead_time_periods=2, review_periods=3
    )
    position, pipeline, level, costs = found.order_up_to_level, [0, 0], found.order_up_to_level, []
    for period, demand in enumerate(rng.poisson(6, size=150_000)):
        order = 0
        if period % 3 == 0 and position <= found.reorder_point:
            order, position = found.order_up_to_level - position, found.order_up_to_level
        pipeline.append(order)
        level += pipeline.pop(0) - demand
        position -= demand
        costs.append(5 * (order > 0) + max(level, 0) + 4 * max(-level, 0))
    batches = np.array(costs).reshape(100, -1).mean(axis=1)
    assert abs(batches.mean() - found.cost) < 4 * batches.std() / 10


def test_wagner_whitin_costs_least_of_all_sets_of_order_periods():
    rng = np.random.default_rng(8)
    for _ in range(10):
        demand, prices = rng.integers(0, 60, size=7), rng.uniform(1, 3, size=7)
        costs = []
        for chosen in itertools.product((False, True), repeat=6):
            ordered_in = [0, *(place + 1 for place, each in enumerate(chosen) if each)]
            cost = 25.0 * len(ordered_in)
            for first, end in itertools.pairwise([*ordered_in, 7]):
                for period in range(first, end):
                    cost += demand[period] * (prices[first] + 0.4 * (period - first))
            costs.append(cost)
        found = wagner_whitin(demand.tolist(), fixed_order_cost=25, holding_cost=0.4, purchase_costs=prices.tolist())
        assert found.cost == pytest.approx(min(costs))
        assert sum(found.order_quantities) == demand.sum()


def test_long_finite_horizon_reaches_the_infinite_horizons_rule():
    levels = np.arange(-60, 41)
    losses = np.array([poisson_losses(int(level), mean=6.0) for level in levels])
    probability = np.array([poisson_probability(units, mean=6.0) for units in range(40)])
    plan = plan_finite_horizon(
        np.tile(losses @ [4.0, 1.0], (200, 1)),
        np.tile(probability, (200, 1)),
        levels=levels,
        terminal_cost=np.zeros(len(levels)),
        fixed_order_cost=5.0,
    )
    # Snyder and Shen, example 4.7: s = 4, S = 10 at 8.034 a period.
    assert (plan.reorder_points[0], plan.order_up_to_levels[0]) == (4, 10)
    assert (plan.expected_cost[0] - plan.expected_cost[1])[60:].mean() == pytest.approx(8.0341, abs=1e-3)


def test_finite_horizon_that_wants_a_higher_level_is_refused():
    levels = np.arange(-5, 3)
    with pytest.raises(ValueError, match="the best level is the highest looked at, 2"):
        plan_finite_horizon(
            np.tile(np.abs(levels - 9.0), (2, 1)), np.full((2, 2), 0.5), levels=levels, terminal_cost=np.zeros(8)
        )


def test_disrupted_base_stock_agrees_with_a_long_run():
    found = disrupted_base_stock(
        holding_cost=0.25, shortage_cost=3, demand=1, disruption_probability=0.04, recovery_probability=0.25
    )
    rng = np.random.default_rng(3)
    is_down, missed, cost = False, 0, 0.0
    for chance in rng.random(400_000):
        is_down = chance >= 0.25 if is_down else chance < 0.04
        missed = missed + 1 if is_down else 0
        level = found.order_up_to_level - (missed + 1)
        cost += 0.25 * max(level, 0) + 3 * max(-level, 0)
    assert cost / 400_000 == pytest.approx(found.expected_cost, rel=0.02)


def test_protection_demand_agrees_with_drawn_demand_and_lead_times():
    rng = np.random.default_rng(2)
    lead = rng.choice([1, 2, 3, 6], size=200_000)
    drawn = rng.normal(10 * (lead + 1), 3 * np.sqrt(lead + 1))
    found = protection_demand(
        demand_mean=10,
        demand_deviation=3,
        lead_time_periods=float(lead.mean()),
        lead_time_deviation=float(lead.std()),
        review_periods=1,
    )
    assert found.mean == pytest.approx(drawn.mean(), rel=0.005)
    assert found.deviation == pytest.approx(drawn.std(), rel=0.005)


def test_protection_demand_with_a_negative_moment_is_refused():
    with pytest.raises(ValueError, match="lead_time_periods=-1"):
        protection_demand(demand_mean=1, demand_deviation=1, lead_time_periods=-1)


def test_safety_stock_for_cycles_of_a_published_case():
    # Silver, Pyke and Thomas: 58.3 units of lead-time demand, deviation 13.1, one cycle in ten short: k = 1.28.
    demand = ProtectionDemand(mean=58.3, deviation=13.1, protection_periods=1)
    assert safety_stock_for_cycles(demand, cycle_service_level=0.9) == pytest.approx(1.28 * 13.1, abs=0.05)


def test_safety_stock_for_a_fill_rate_that_the_quantity_reaches_alone_is_zero():
    demand = ProtectionDemand(mean=100, deviation=5, protection_periods=1)
    assert safety_stock_for_fill_rate(demand, fill_rate=0.9, order_quantity=500) == 0


def test_fill_rates_agree_with_drawn_demand():
    rng = np.random.default_rng(5)
    demand = rng.normal(50, 10, size=(100_000, 3))
    level = 160.0
    short_before = np.maximum(demand[:, :2].sum(axis=1) - level, 0)
    short_after = np.maximum(demand.sum(axis=1) - level, 0)
    drawn = 1 - (short_after - short_before).mean() / 50
    found = fill_rate_of_base_stock(order_up_to_level=level, demand_mean=50, demand_deviation=10, lead_time_periods=2)
    assert found == pytest.approx(drawn, abs=0.002)
    position = rng.uniform(100, 300, size=400_000)
    short = np.maximum(rng.normal(100, 20, size=400_000) - position, 0)
    # With one unit of demand at a time, the fill rate is the chance that stock is there.
    found = fill_rate_of_reorder_point(
        ProtectionDemand(mean=100, deviation=20, protection_periods=2), reorder_point=100, order_quantity=200
    )
    assert found == pytest.approx(1 - (short > 0).mean(), abs=0.002)
