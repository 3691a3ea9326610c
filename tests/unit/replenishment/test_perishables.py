"""Perishable stock against lots followed by hand and a closed form; its units are all accounted for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.replenishment.perishables import simulate_perishables
from restock.replenishment.simulate import OrderUpTo, StockTerms


def terms(n_skus, multiple=1.0):
    def all_of(value):
        return np.full(n_skus, value)

    return StockTerms(
        holding_cost=all_of(1.0), shortage_cost=all_of(5.0), fixed_order_cost=all_of(2.0),
        review_periods=all_of(1), minimum_order_quantity=all_of(0.0), order_multiple=all_of(multiple),
    )  # fmt: skip


def up_to(levels):
    levels = np.asarray(levels, dtype=float)
    return OrderUpTo(reorder_point=levels - 1, order_up_to_level=levels)


def test_the_oldest_units_sell_first_and_the_rest_of_them_expires():
    found = simulate_perishables(
        up_to([6]),
        terms(1),
        waste_cost=np.array([3.0]),
        shelf_life_periods=2,
        demand=np.array([[[2.0, 1.0, 9.0]]]),
        lead_times=np.zeros((1, 1, 3), dtype=int),
        on_hand_by_life=np.array([[3.0, 1.0]]),
    )
    # 0: 2 more; 2 of the oldest 3 sold, 1 wasted, 3 left. 1: 3 more; 1 of the old 3 sold, 2 wasted. 2: 3 more, 6 sold.
    assert found.wasted_units[0, 0] == 3
    assert found.sold_units[0, 0] == 9
    assert found.lost_units[0, 0] == 3
    assert found.held_unit_periods[0, 0] == 6
    assert found.total_cost[0, 0] == 6 * 1 + 3 * 5 + 3 * 3 + 3 * 2
    assert found.waste_share[0] == pytest.approx(3 / 8)


def test_a_unit_of_one_period_is_a_newsvendor():
    rng = np.random.default_rng(0)
    demand = rng.poisson(5.0, (1, 400, 50)).astype(float)
    found = simulate_perishables(
        up_to([7]),
        terms(1),
        waste_cost=np.array([3.0]),
        shelf_life_periods=1,
        demand=demand,
        lead_times=np.zeros(demand.shape, dtype=int),
        on_hand_by_life=np.zeros((1, 1)),
    )
    assert found.wasted_units.sum() == np.maximum(7 - demand, 0).sum()
    assert found.lost_units.sum() == np.maximum(demand - 7, 0).sum()


@given(st.integers(0, 10**6), st.integers(1, 6), st.floats(0.5, 4))
@settings(max_examples=40, deadline=None)
def test_every_unit_is_sold_wasted_or_still_there(seed, life, multiple):
    rng = np.random.default_rng(seed)
    demand = rng.gamma(0.5, 8.0, (3, 4, 15))
    start = rng.uniform(0, 5, (3, life))
    found = simulate_perishables(
        up_to(rng.uniform(0, 40, 3)),
        terms(3, multiple),
        waste_cost=np.ones(3),
        shelf_life_periods=life,
        demand=demand,
        lead_times=rng.integers(0, 4, demand.shape),
        on_hand_by_life=start,
    )
    came = start.sum(axis=1)[:, None] + found.received_units
    assert np.allclose(came, found.sold_units + found.wasted_units + found.on_hand_end)
    assert np.allclose(found.ordered_units, found.received_units + found.on_order_end)
    assert np.allclose(found.demand_units, found.sold_units + found.lost_units)
    assert (found.on_hand_end >= -1e-9).all()


def test_on_hand_by_life_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"on_hand_by_life \(1, 3\)"):
        simulate_perishables(
            up_to([1]), terms(1), waste_cost=np.ones(1), shelf_life_periods=3, demand=np.ones((1, 1, 2)),
            lead_times=np.ones((1, 1, 2), dtype=int), on_hand_by_life=np.zeros((1, 2)),
        )  # fmt: skip
