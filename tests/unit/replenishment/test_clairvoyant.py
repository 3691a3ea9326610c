"""The bound of a known future against all orders tried, Wagner and Whitin, and policies that don't know it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from restock.replenishment.clairvoyant import KnownFuture, clairvoyant_orders
from restock.replenishment.classical_policies import base_stock_with_normal_safety, min_max_from_averages
from restock.replenishment.finite_horizon import wagner_whitin
from restock.replenishment.safety_stock import protection_demand, safety_stock_for_cycles
from restock.replenishment.simulate import StockTerms, UnmetDemand, simulate_stock
from tests.followed_stock import follow


def some_future(seed, n_periods=5, fixed=0.0):
    rng = np.random.default_rng(seed)
    return KnownFuture(
        demand=rng.integers(0, 4, n_periods).astype(float),
        lead_times=rng.integers(0, 3, n_periods),
        can_order=np.arange(n_periods) % 2 == 0,
        arrivals=np.where(rng.random(n_periods) < 0.3, 2.0, 0.0),
        on_hand=float(rng.integers(0, 4)),
        holding_cost=1.0,
        shortage_cost=float(rng.integers(1, 6)),
        fixed_order_cost=fixed,
    )


def cost_of(future, orders, unmet):
    arrivals = list(enumerate(future.arrivals.tolist()))
    arrivals += [(t + int(future.lead_times[t]), q) for t, q in enumerate(orders)]
    found = follow(
        future.demand.tolist(), on_hand=future.on_hand, order=0.0, lead=0, is_lost=unmet is UnmetDemand.LOST,
        arrivals=arrivals,
    )  # fmt: skip
    held, short, _ = found.sums(0, len(future.demand))
    placed = sum(1 for one in orders if one)
    return future.holding_cost * held + future.shortage_cost * short + future.fixed_order_cost * placed


@pytest.mark.parametrize("unmet", list(UnmetDemand))
@pytest.mark.parametrize("fixed", [0.0, 2.5])
@pytest.mark.parametrize("seed", range(5))
def test_no_orders_cost_less_than_the_clairvoyants(seed, fixed, unmet):
    future = some_future(seed, fixed=fixed)
    found = clairvoyant_orders(future, unmet=unmet)
    choices = [range(15) if can else [0] for can in future.can_order]
    best = min(cost_of(future, orders, unmet) for orders in product(*choices))
    assert found.cost == pytest.approx(best)
    assert cost_of(future, found.order_quantity.tolist(), unmet) == pytest.approx(best)
    assert found.cost == pytest.approx(found.holding_cost + found.shortage_cost + found.ordering_cost)


@pytest.mark.parametrize("unmet", list(UnmetDemand))
def test_dear_shortage_gives_wagner_and_whitins_plan(unmet):
    demand = np.array([90.0, 120, 80, 70])
    future = KnownFuture(
        demand=demand, lead_times=np.zeros(4, dtype=int), can_order=np.ones(4, dtype=bool), arrivals=np.zeros(4),
        on_hand=0.0, holding_cost=2.0, shortage_cost=1e4, fixed_order_cost=500.0,
    )  # fmt: skip
    exact = wagner_whitin(demand.tolist(), fixed_order_cost=500, holding_cost=2)
    found = clairvoyant_orders(future, unmet=unmet)
    assert found.cost == pytest.approx(exact.cost)
    assert found.order_quantity.tolist() == list(exact.order_quantities)


def test_a_future_that_nothing_can_reach_is_lost():
    future = replace(some_future(0), lead_times=np.full(5, 9), on_hand=0.0, arrivals=np.zeros(5))
    found = clairvoyant_orders(future, unmet=UnmetDemand.LOST)
    assert found.order_quantity.sum() == 0
    assert found.cost == future.shortage_cost * future.demand.sum()


@pytest.mark.parametrize("unmet", list(UnmetDemand))
def test_classical_policies_cost_more_than_the_clairvoyant_on_the_same_demand(unmet):
    rng = np.random.default_rng(1)
    demand, lead = rng.poisson(4.0, (1, 1, 60)).astype(float), rng.integers(1, 4, (1, 1, 60))
    one = np.ones(1)
    terms = StockTerms(
        holding_cost=one, shortage_cost=6 * one, fixed_order_cost=5 * one, review_periods=np.array([2]),
        minimum_order_quantity=0 * one, order_multiple=one,
    )  # fmt: skip
    future = KnownFuture(
        demand=demand[0, 0], lead_times=lead[0, 0], can_order=np.arange(60) % 2 == 0, arrivals=np.zeros(60),
        on_hand=15.0, holding_cost=1.0, shortage_cost=6.0, fixed_order_cost=5.0,
    )  # fmt: skip
    bound = clairvoyant_orders(future, unmet=unmet).cost
    policies = [
        min_max_from_averages(
            4 * one, lead_time_periods=2 * one, review_periods=2 * one, safety_periods=1, cover_periods=3
        ),
        base_stock_with_normal_safety(
            4 * one, 2 * one, lead_time_periods=2 * one, lead_time_deviation=0.8 * one, review_periods=2 * one,
            cycle_service_level=0.9,
        ),
    ]  # fmt: skip
    for policy in policies:
        cost = simulate_stock(policy, terms, demand=demand, lead_times=lead, on_hand=15 * one, unmet=unmet).total_cost
        assert cost[0, 0] > bound


def test_base_stock_with_normal_safety_is_the_scalar_formula():
    found = base_stock_with_normal_safety(
        np.array([7.0]), np.array([3.0]), lead_time_periods=np.array([5.0]), lead_time_deviation=np.array([1.2]),
        review_periods=np.array([2.0]), cycle_service_level=0.97,
    )  # fmt: skip
    demand = protection_demand(
        demand_mean=7, demand_deviation=3, lead_time_periods=5, lead_time_deviation=1.2, review_periods=2
    )
    exact = demand.mean + safety_stock_for_cycles(demand, cycle_service_level=0.97)
    assert found.order_up_to_level[0] == np.ceil(exact)
    assert found.reorder_point[0] == np.ceil(exact) - 1
