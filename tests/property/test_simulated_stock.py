"""What holds for any stock that is simulated: units conserve, constraints are kept, costs order levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.replenishment.simulate import OrderQuantities, OrderUpTo, StockTerms, UnmetDemand, simulate_stock

seeds = st.integers(0, 2**32 - 1)
N_SKUS, N_PATHS, N_PERIODS = 3, 4, 40


def draw(seed, *, longest=6):
    rng = np.random.default_rng(seed)
    shape = (N_SKUS, N_PATHS, N_PERIODS)
    demand = rng.poisson(rng.uniform(0, 8, size=(N_SKUS, 1, 1)), size=shape).astype(float)
    lead_times = rng.integers(0, longest + 1, size=shape)
    terms = StockTerms(
        holding_cost=rng.uniform(0.1, 2, N_SKUS),
        shortage_cost=rng.uniform(1, 20, N_SKUS),
        fixed_order_cost=rng.uniform(0, 5, N_SKUS),
        review_periods=rng.integers(1, 5, N_SKUS),
        minimum_order_quantity=rng.integers(0, 15, N_SKUS).astype(float),
        order_multiple=rng.choice([1.0, 6.0, 12.0], N_SKUS),
    )
    point = rng.integers(0, 40, N_SKUS).astype(float)
    more = rng.integers(1, 30, N_SKUS).astype(float)
    policy = (
        OrderUpTo(reorder_point=point, order_up_to_level=point + more)
        if rng.random() < 0.5
        else OrderQuantities(reorder_point=point, order_quantity=more)
    )
    return policy, terms, {"demand": demand, "lead_times": lead_times, "on_hand": rng.integers(0, 50, N_SKUS)}


@given(seeds, st.sampled_from(list(UnmetDemand)))
def test_units_conserve(seed, unmet):
    policy, terms, draws = draw(seed)
    found = simulate_stock(policy, terms, **draws, unmet=unmet)
    start = draws["on_hand"][:, None]
    assert start + found.received_units == pytest.approx(found.delivered_units + found.on_hand_end)
    assert found.ordered_units == pytest.approx(found.received_units + found.on_order_end)
    assert found.all_demand_units == pytest.approx(found.delivered_units + found.lost_units + found.backorders_end)
    assert (found.on_hand_end * found.backorders_end == 0).all()
    if unmet is UnmetDemand.LOST:
        assert (found.backorders_end == 0).all()
    else:
        assert (found.lost_units == 0).all()
    assert ((found.fill_rate >= 0) & (found.fill_rate <= 1) | (found.demand_units.sum(axis=1) == 0)).all()


@given(seeds)
def test_orders_keep_minimum_multiple_and_reviews(seed):
    policy, terms, draws = draw(seed)
    asked = []

    def watched(position):
        asked.append(position.copy())
        return policy(position)

    found = simulate_stock(watched, terms, **draws, unmet=UnmetDemand.LOST)
    assert len(asked) == N_PERIODS
    multiple = terms.order_multiple[:, None]
    assert (found.ordered_units % multiple == 0).all()
    assert (found.ordered_units >= found.orders * terms.minimum_order_quantity[:, None]).all()
    reviews = -(-N_PERIODS // terms.review_periods)
    assert (found.orders <= reviews[:, None]).all()


@given(seeds, st.floats(1.0, 20.0), st.floats(0.0, 50.0))
@settings(max_examples=25)
def test_a_higher_shortage_cost_never_lowers_the_best_base_stock(seed, shortage, extra):
    _, terms, draws = draw(seed)
    costs = {}
    for level in range(0, 60, 4):
        levels = np.full(N_SKUS, float(level))
        found = simulate_stock(
            OrderUpTo(reorder_point=levels - 1, order_up_to_level=levels),
            terms,
            **draws,
            unmet=UnmetDemand.BACKORDERED,
        )
        costs[level] = (found.holding_cost.sum(axis=1), found.shortage_cost.sum(axis=1) / terms.shortage_cost)

    def best(penalty):
        # The lowest of equals.
        total = np.array([held + penalty * short for held, short in costs.values()])
        return np.argmin(total, axis=0)

    assert (best(shortage + extra) >= best(shortage)).all()


@given(seeds, st.sampled_from(list(UnmetDemand)), st.integers(1, N_PERIODS - 1))
def test_nothing_in_a_period_depends_on_later_demand(seed, unmet, cut):
    policy, terms, draws = draw(seed)
    seen = {}
    for name, factor in (("as is", 1.0), ("changed", 3.0)):
        changed = draws["demand"].copy()
        changed[:, :, cut:] = changed[:, :, cut:] * factor + (factor > 1)
        positions = []

        def watched(position, kept=positions):
            kept.append(position.copy())
            return policy(position)

        simulate_stock(watched, terms, **draws | {"demand": changed}, unmet=unmet)
        seen[name] = np.array(positions[: cut + 1])
    assert (seen["as is"] == seen["changed"]).all()
