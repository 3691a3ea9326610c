"""The frontier of cost and service against every combination of orders."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from restock.replenishment.frontier import ServiceCurves, cost_frontier, orders_at_price, service_curves
from restock.replenishment.order_lines import OrderLines, order_terms
from restock.replenishment.order_plan import plan_orders
from restock.replenishment.simulate import UnmetDemand


def some_lines(seed, unmet=UnmetDemand.LOST):
    rng = np.random.default_rng(seed)
    return OrderLines(
        demand_paths=rng.poisson(2.0, (3, 8, 8)).astype(np.float32),
        on_hand=rng.integers(0, 5, 3).astype(float),
        backorders=np.zeros(3),
        lead_times=rng.integers(0, 3, (3, 8)),
        review_periods=np.array([2, 3, 1]),
        season_periods=3,
        unmet=unmet,
    )


TERMS = order_terms(3, holding_cost=np.array([0.3, 0.1, 0.2]), shortage_cost=4.0)


@pytest.mark.parametrize("unmet", list(UnmetDemand))
@pytest.mark.parametrize("seed", range(3))
def test_no_combination_of_orders_lies_below_the_frontier(seed, unmet):
    lines = some_lines(seed, unmet)
    plan = plan_orders(lines, TERMS)
    curves = service_curves(lines, TERMS, plan)
    found = cost_frontier(curves, ordered=plan.order_quantity)
    distinct = [np.unique(row, return_index=True)[1] for row in curves.quantities]
    combinations = [
        (sum(curves.costs[i, k] for i, k in enumerate(one)), sum(curves.missed[i, k] for i, k in enumerate(one)))
        for one in product(*distinct)
    ]
    # missed falls along the frontier: interpolate the other way round.
    for cost, missed in combinations:
        assert cost >= np.interp(missed, found.missed_units[::-1], found.cost[::-1]) - 1e-5
    corners = {(round(cost, 4), round(missed, 4)) for cost, missed in combinations}
    assert all(
        (round(cost, 4), round(missed, 4)) in corners
        for cost, missed in zip(found.cost, found.missed_units, strict=True)
    )
    assert (np.diff(found.cost) >= 0).all()
    assert (np.diff(found.fill_rate) > 0).all()
    assert (np.diff(found.shortage_price) >= -1e-9).all()
    assert found.current_fill_rate == pytest.approx(
        1 - plan.expected_missed.sum() / plan.window_demand_mean.sum(), abs=1e-6
    )


def test_orders_at_a_price_are_a_corner_and_a_selection_is_its_own_frontier():
    lines = some_lines(5)
    curves = service_curves(lines, TERMS, plan_orders(lines, TERMS))
    found = cost_frontier(curves)
    order = orders_at_price(curves, 2.0)
    place = int(np.searchsorted(found.shortage_price, 2.0)) - 1
    assert order.sum() == found.ordered_units[place]
    one = cost_frontier(curves, selected=np.array([1]))
    assert one.missed_units[0] == pytest.approx(curves.missed[1, 0])
    assert one.fill_rate[-1] == pytest.approx(1.0)


def test_thinned_keeps_corners_and_both_ends():
    rng = np.random.default_rng(0)
    missed = np.sort(rng.uniform(0, 9, (4, 40)))[:, ::-1]
    curves = ServiceCurves(
        quantities=np.tile(np.arange(40.0), (4, 1)), costs=(10 - missed) ** 2, missed=missed, demand=np.full(4, 10.0)
    )
    found = cost_frontier(curves)
    few = found.thinned(12)
    assert len(few.cost) <= 12
    assert set(few.cost) <= set(found.cost)
    assert (few.cost[0], few.cost[-1]) == (found.cost[0], found.cost[-1])
