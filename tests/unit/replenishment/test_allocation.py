"""Who gets what of too little, against every split tried; what stores ask of a warehouse, against one store by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from restock.replenishment.allocation import allocate_shortage, warehouse_demand_paths
from restock.replenishment.feasible_orders import window_costs
from restock.replenishment.order_lines import OpenOrders, OrderLines, order_terms
from restock.replenishment.order_plan import plan_orders
from restock.replenishment.order_windows import project_windows
from restock.replenishment.simulate import UnmetDemand
from restock.replenishment.window_costs import window_outcome


def stores(seed=0, n_series=4, n_paths=30, horizon=6, **changed):
    rng = np.random.default_rng(seed)
    given = {
        "demand_paths": rng.poisson(rng.uniform(1, 4, (n_series, 1, 1)), (n_series, n_paths, horizon)).astype(float),
        "on_hand": rng.integers(0, 4, n_series).astype(float),
        "backorders": np.zeros(n_series),
        "lead_times": rng.integers(0, 3, (n_series, n_paths)),
        "review_periods": np.full(n_series, 2),
    }
    return OrderLines(**(given | changed))


def cost_of(lines, terms, plan, given):
    windows = project_windows(
        lines, covered_reviews=plan.covered_reviews, shelf_life_periods=np.zeros(len(given), dtype=int)
    )
    fixed = terms.fixed_order_cost * (np.asarray(given) > 0)
    return float((window_outcome(windows, np.asarray(given, dtype=float), window_costs(terms)).cost + fixed).sum())


@pytest.mark.parametrize("changed", [{}, {"order_multiple": 2.0}, {"order_multiple": [1.0, 2.0, 3.0, 1.0]}])
@pytest.mark.parametrize("seed", range(3))
def test_allocate_shortage_finds_the_best_of_all_splits(seed, changed):
    lines = stores(seed)
    multiple = np.broadcast_to(changed.get("order_multiple", 1.0), 4)
    terms = order_terms(4, holding_cost=0.3, shortage_cost=np.array([2.0, 3, 5, 4]), order_multiple=multiple)
    plan = plan_orders(lines, terms)
    available = 0.5 * plan.order_quantity.sum()
    found = allocate_shortage(lines, terms, plan, skus=np.zeros(4, dtype=int), available=np.array([available]))
    splits = product(
        *(np.arange(0, most + 1e-9, step) for most, step in zip(plan.order_quantity, multiple, strict=True))
    )
    best = min(cost_of(lines, terms, plan, split) for split in splits if sum(split) <= available)
    assert found.order_quantity.sum() <= available
    assert cost_of(lines, terms, plan, found.order_quantity) == pytest.approx(best, rel=1e-5)
    assert found.is_short.all()
    assert found.saving_per_unit[0] > 0


def test_a_warehouse_with_enough_serves_every_order():
    lines = stores()
    terms = order_terms(4, holding_cost=0.3, shortage_cost=3.0)
    plan = plan_orders(lines, terms)
    found = allocate_shortage(lines, terms, plan, skus=np.array([0, 0, 1, 1]), available=np.array([1e3, 1e3]))
    assert found.order_quantity.tolist() == plan.order_quantity.tolist()
    assert not found.is_short.any()


def test_what_stores_ask_is_what_they_sell_once_they_are_at_their_levels():
    lines = stores(3, unmet=UnmetDemand.BACKORDERED, review_periods=np.ones(4, dtype=int))
    plan = plan_orders(lines, order_terms(4, holding_cost=0.3, shortage_cost=3.0))
    asked = warehouse_demand_paths(
        lines, order_terms(4, holding_cost=0.3, shortage_cost=3.0), plan, skus=np.array([0, 1, 1, 0]), n_skus=2
    )
    demand = lines.demand_paths
    first = np.maximum(plan.order_up_to_level - lines.on_hand, 0)
    assert np.allclose(asked[0, :, 0], first[0] + first[3])
    # One for one from then on.
    assert np.allclose(asked[0, :, 1:], demand[0, :, :-1] + demand[3, :, :-1])
    assert np.allclose(asked[1, :, 1:], demand[1, :, :-1] + demand[2, :, :-1])


def test_orders_on_their_way_to_a_store_are_not_asked_for_again():
    orders = OpenOrders(series=np.array([0]), units=np.array([5.0]), arrival_periods=np.full((1, 30), 1))
    terms = order_terms(4, holding_cost=0.3, shortage_cost=3.0)
    plan = plan_orders(stores(3), terms)
    skus = np.arange(4)
    without = warehouse_demand_paths(stores(3), terms, plan, skus=skus, n_skus=4)
    with_order = warehouse_demand_paths(stores(3, open_orders=orders), terms, plan, skus=skus, n_skus=4)
    assert (without[0, :, 0] - with_order[0, :, 0] == min(5, without[0, 0, 0])).all()
    assert (without[1:] == with_order[1:]).all()
