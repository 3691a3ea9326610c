"""Exact lost-sales costs against published figures, and policies against slow references."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from restock.replenishment.lost_sales import (
    LostSalesCase,
    expected_next,
    optimal_cost,
    poisson_case,
    policy_cost,
    projected_leftovers,
)
from restock.replenishment.lost_sales_policies import (
    base_stock,
    capped_base_stock,
    constant_order,
    myopic,
    projected_level,
    projected_stockout,
    tune,
    two_period_myopic,
)
from restock.replenishment.lost_sales_runs import simulated_cost
from restock.replenishment.newsvendor import poisson_newsvendor


def zipkin(lead_time, penalty):
    return poisson_case(5.0, lead_time_periods=lead_time, holding_cost=1.0, shortage_cost=penalty)


def small_case(lead_time=2, shortage_cost=5.0):
    return LostSalesCase(
        probability=(0.3, 0.4, 0.2, 0.1), lead_time_periods=lead_time, holding_cost=1.0, shortage_cost=shortage_cost
    )


@pytest.mark.parametrize(
    ("lead_time", "penalty", "published"),
    [
        (1, 4.0, 4.04), (2, 4.0, 4.40), (3, 4.0, 4.60), (1, 9.0, 5.44), (2, 9.0, 6.09), (3, 9.0, 6.53),
        (4, 4.0, 4.7285), (4, 9.0, 6.8359), (4, 19.0, 8.8872), (4, 39.0, 10.7944),
    ],
)  # fmt: skip
def test_optimal_cost_is_zipkins(lead_time, penalty, published):
    found = optimal_cost(zipkin(lead_time, penalty))
    assert found.high - found.low < 1e-7
    assert found.cost == pytest.approx(published, abs=5e-5 if lead_time == 4 else 0.005)


def reference_optimum(case, *, most_stock, most_order, rounds=400):
    """The same by dictionaries over a box wider than the bounds allow, the slow way."""
    states = list(itertools.product(range(most_stock + 1), range(most_order + 1)))
    value = dict.fromkeys(states, 0.0)
    for _ in range(rounds):
        following = {}
        for on_hand, coming in states:
            cost = sum(
                chance * (case.holding_cost * max(on_hand - units, 0) + case.shortage_cost * max(units - on_hand, 0))
                for units, chance in enumerate(case.probability)
            )
            following[on_hand, coming] = cost + min(
                sum(
                    chance * value[min(max(on_hand - units, 0) + coming, most_stock), order]
                    for units, chance in enumerate(case.probability)
                )
                for order in range(most_order + 1)
            )
        change = following[0, 0] - value[0, 0]
        value = following
    return change


def test_optimal_cost_within_the_bounds_is_that_of_a_wider_box():
    case = small_case()
    assert optimal_cost(case).cost == pytest.approx(reference_optimum(case, most_stock=12, most_order=6), abs=1e-6)


def test_optimal_cost_never_falls_with_the_lead_time():
    costs = [optimal_cost(zipkin(lead_time, 9.0)).cost for lead_time in (1, 2, 3, 4)]
    assert costs == sorted(costs)


def test_optimal_cost_is_at_most_that_of_backorders_at_the_same_penalty():
    # Janakiraman, Seshadri and Shanthikumar (2007), theorem 1.
    for penalty in (4.0, 19.0):
        waiting = poisson_newsvendor(holding_cost=1, shortage_cost=penalty, demand_mean=5, lead_time_periods=3)
        assert optimal_cost(zipkin(3, penalty)).cost <= waiting.expected_cost


def test_optimal_cost_with_too_many_states_is_refused():
    with pytest.raises(ValueError, match="Take a policy and a bound"):
        optimal_cost(zipkin(10, 39.0))


@pytest.mark.parametrize(
    ("penalty", "level", "published_pct"), [(4.0, 25, 9.9), (9.0, 28, 6.4), (19.0, 31, 3.9), (39.0, 33, 2.5)]
)
def test_best_base_stock_is_as_far_above_the_optimum_as_published(penalty, level, published_pct):
    case = zipkin(4, penalty)
    costs = [policy_cost(case, base_stock(each)).cost for each in (level - 1, level, level + 1)]
    assert min(costs) == costs[1]
    assert 100 * (costs[1] / optimal_cost(case).cost - 1) == pytest.approx(published_pct, abs=0.05)


@pytest.mark.parametrize("penalty", [4.0, 9.0, 19.0, 39.0])
def test_projected_stockout_is_within_a_third_of_a_percent_of_the_optimum(penalty):
    case = zipkin(4, penalty)
    least = optimal_cost(case).cost
    cost = policy_cost(case, projected_stockout(case, 1.55 / (1 + penalty))).cost
    assert least - 1e-6 <= cost <= 1.003 * least


def test_no_policy_costs_less_than_the_optimum():
    case = zipkin(3, 9.0)
    least = optimal_cost(case).cost
    for policy in (
        base_stock(23), capped_base_stock(24, 7), constant_order(4), projected_level(case, 9.0), myopic(case),
        two_period_myopic(case), projected_stockout(case, 0.15),
    ):  # fmt: skip
        assert policy_cost(case, policy, most_on_hand=300).cost >= least - 1e-6


def test_constant_order_of_zipkins_table_costs_the_same_at_every_lead_time():
    # Zipkin (2008), table 3, penalty 4: 5.27.
    costs = [policy_cost(zipkin(each, 4.0), constant_order(4), most_on_hand=300).cost for each in (1, 3)]
    assert costs == pytest.approx([5.27, 5.27], abs=0.005)


def test_policy_cost_of_an_order_every_second_period_settles():
    case = small_case(lead_time=1)

    def every_second(states):
        return np.where(states[:, 0] == 0, 2, 0)

    exact, long = policy_cost(case, every_second), simulated_cost(case, every_second, seed=3, n_periods=2000)
    assert abs(exact.cost - long.cost) < 2 * long.half_width


def test_policy_cost_of_stock_that_grows_is_refused():
    with pytest.raises(ValueError, match="Cut it off with most_on_hand"):
        policy_cost(small_case(lead_time=8), constant_order(100))


def test_simulated_cost_agrees_with_the_exact_cost():
    case = zipkin(4, 9.0)
    for policy in (base_stock(28), projected_stockout(case, 0.16)):
        exact, long = policy_cost(case, policy).cost, simulated_cost(case, policy, seed=11, n_runs=400, n_periods=400)
        # Twice the 95 % interval: wrong once in 10,000.
        assert abs(long.cost - exact) < 2 * long.half_width
    assert long.half_width < 0.05


def test_simulated_costs_of_one_seed_are_pairs():
    case = zipkin(4, 9.0)
    one, other = (simulated_cost(case, base_stock(level), seed=2, n_runs=200, n_periods=200) for level in (28, 29))
    gap, half_width = other.gap_to(one)
    assert gap == pytest.approx(other.cost - one.cost)
    assert half_width < one.half_width / 2


def test_projected_leftovers_are_those_of_following_every_demand():
    case, state = small_case(lead_time=3), (2, 1, 3)
    chances = np.zeros(7)
    for demand in itertools.product(range(4), repeat=3):
        left = state[0]
        for coming, units in zip((*state[1:], 0), demand, strict=True):
            left = max(left - units, 0) + coming
        chances[left] += np.prod([case.probability[units] for units in demand])
    found = projected_leftovers(case, np.array([state, (0, 0, 0)]))
    assert found[0] == pytest.approx(chances, abs=1e-12)
    assert found[1] == pytest.approx([1, 0, 0, 0, 0, 0, 0], abs=1e-12)


def test_projected_leftovers_of_plenty_count_as_enough():
    case = zipkin(10, 39.0)
    states = np.full((2, 10), 5)
    states[0, 0], states[1, 4] = 500, 500
    found = projected_leftovers(case, states)
    assert found.sum(axis=1) == pytest.approx([1, 1])
    # Enough for this order's period and the next: nothing is ordered.
    assert found[:, :10].sum(axis=1).max() < 1e-4
    assert projected_stockout(case, 0.04)(states).tolist() == [0, 0]


def test_projected_stockout_orders_the_first_quantity_within_its_limit():
    case = small_case(lead_time=2)
    for state in itertools.product(range(5), range(4)):
        left = projected_leftovers(case, np.array([state]))[0]
        limit, order = 0.2, 0
        while sum(left[level] * sum(case.probability[level + order + 1 :]) for level in range(len(left))) > limit:
            order += 1
        assert projected_stockout(case, limit)(np.array([state]))[0] == order


def test_two_period_myopic_is_the_best_pair_of_periods():
    case = small_case(lead_time=1)
    policy = two_period_myopic(case)
    costs = case.level_costs(30)
    left = case.leftover_chances(30)

    def first(on_hand, order):
        return left[on_hand] @ np.append(costs[order:], [0] * order)[:30]

    for on_hand in range(4):
        totals = []
        for order in range(3):
            later = sum(
                left[on_hand, rest] * min(first(rest + order, following) for following in range(3))
                for rest in range(on_hand + 1)
            )
            totals.append(first(on_hand, order) + later)
        assert policy(np.array([[on_hand]]))[0] == int(np.argmin(totals))


def test_expected_next_of_an_order_is_what_arrives_and_what_is_left():
    case = small_case(lead_time=2)
    value = np.arange(24.0).reshape(6, 4)
    found = expected_next(case, value, order=2)
    by_hand = sum(chance * value[min(max(3 - units, 0) + 1, 5), 2] for units, chance in enumerate(case.probability))
    assert found[3, 1] == pytest.approx(by_hand)


def test_tune_finds_the_least_of_a_stepped_cost():
    value, cost = tune(lambda x: round((x - 1.7) ** 2, 2), 0.0, 5.0, rounds=12)
    assert cost == 0
    assert value == pytest.approx(1.7, abs=0.08)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"lead_time_periods": 0}, "lead_time_periods must be >= 1, got 0"),
        ({"probability": (0.5, 0.4)}, "sum to 1"),
        ({"shortage_cost": 0.0}, "costs must be > 0"),
    ],
)
def test_case_that_is_none_is_refused(changed, complaint):
    values = {"probability": (0.5, 0.5), "lead_time_periods": 2, "holding_cost": 1.0, "shortage_cost": 2.0}
    with pytest.raises(ValueError, match=complaint):
        LostSalesCase(**values | changed)
