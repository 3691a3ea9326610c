"""What a planner expects of orders on sample paths, for any demand."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.replenishment.cost_curves import order_cost_curves
from restock.replenishment.feasible_orders import Binding
from restock.replenishment.order_lines import Objective, OrderLines, order_terms
from restock.replenishment.order_plan import plan_orders, with_orders
from restock.replenishment.path_safety import path_safety_stock
from restock.replenishment.shared_constraints import SharedLimit, share_constraints
from restock.replenishment.simulate import UnmetDemand

seeds = st.integers(0, 2**31)
unmet_demand = st.sampled_from(list(UnmetDemand))


def any_lines(seed, unmet, n_series=5, n_paths=12, horizon=8):
    rng = np.random.default_rng(seed)
    return OrderLines(
        demand_paths=rng.gamma(0.7, 4.0, (n_series, n_paths, horizon)).round(int(rng.integers(0, 2))),
        on_hand=rng.integers(0, 30, n_series).astype(float),
        backorders=np.zeros(n_series),
        lead_times=rng.integers(0, 6, (n_series, n_paths)),
        review_periods=rng.integers(1, 4, n_series),
        season_periods=4,
        unmet=unmet,
    )


@given(seeds, unmet_demand, st.floats(0.05, 5), st.floats(0.1, 50), st.floats(0, 50), st.floats(0, 20))
@settings(max_examples=60, deadline=None)
def test_a_higher_shortage_cost_never_lowers_the_order_up_to_level(seed, unmet, holding, shortage, extra, fixed):
    lines = any_lines(seed, unmet)

    def level(cost):
        terms = order_terms(
            5, holding_cost=holding, shortage_cost=cost, fixed_order_cost=fixed, minimum_order_quantity=fixed,
            shelf_life_periods=np.array([0, 0, 3, 9, 5]), waste_cost=holding, stockout_limit_factor=1.5,
        )  # fmt: skip
        return plan_orders(lines, terms).order_up_to_level

    assert (level(shortage + extra) >= level(shortage)).all()


# A target of 0 asks for nothing, and every level reaches it.
@given(seeds, unmet_demand, st.floats(0.001, 0.99), st.floats(0.001, 0.99), st.floats(0, 20))
@settings(max_examples=60, deadline=None)
def test_a_higher_target_never_lowers_the_order_up_to_level(seed, unmet, one, other, fixed):
    lines = any_lines(seed, unmet)
    for objective in Objective:
        low, high = (
            plan_orders(
                lines,
                order_terms(
                    5, holding_cost=1.0, shortage_cost=2.0, fixed_order_cost=fixed, fill_rate=share,
                    cycle_service_level=share,
                ),
                objective=objective,
            )
            for share in sorted((one, other))
        )  # fmt: skip
        assert (high.order_up_to_level >= low.order_up_to_level).all()
        assert (high.safety_stock >= low.safety_stock - 1e-9).all()


@given(seeds, unmet_demand, st.sampled_from(list(Objective)), st.floats(0, 30), st.floats(0.2, 9), st.floats(0, 40))
@settings(max_examples=60, deadline=None)
def test_no_order_breaks_the_terms_it_keeps(seed, unmet, objective, minimum, multiple, room):
    lines = any_lines(seed, unmet)
    terms = order_terms(
        5, holding_cost=0.3, shortage_cost=5.0, fixed_order_cost=np.arange(5.0), minimum_order_quantity=minimum,
        order_multiple=multiple, most_order_quantity=room, fill_rate=0.9, cycle_service_level=0.9,
    )  # fmt: skip
    plan = plan_orders(lines, terms, objective=objective)
    ordered = plan.order_quantity[plan.order_quantity > 0]
    assert (plan.order_quantity >= 0).all()
    assert (ordered >= minimum - 1e-6).all()
    assert (ordered <= room + 1e-6).all()
    assert np.allclose(ordered / multiple, np.round(ordered / multiple), atol=1e-6)
    is_due = plan.inventory_position <= plan.reorder_point + 1e-6
    assert (is_due | (plan.order_quantity == 0)).all()
    # What keeps an order from the quantity wanted has a name.
    differs = np.abs(plan.order_quantity - plan.wanted_quantity) > 1e-6 * multiple
    assert all(binding != "none" for binding in np.array(plan.bindings)[differs])


def exact_protection(values, leads, horizon):
    """Return demand over each lead time for every sequence of equally likely demands: exactly independent."""
    cumulated = np.cumsum(np.array(list(product(values, repeat=horizon)), dtype=float), axis=1)
    return np.concatenate([cumulated[:, lead] for lead in leads])[None, :]


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=3),
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(0, 1),
    st.floats(0, 3),
)
@settings(max_examples=80, deadline=None)
def test_longer_or_more_variable_lead_times_never_lower_path_safety_stock(values, lead, longer, spread, allowed):
    def stock(leads):
        demand = exact_protection(values, leads, horizon=6)
        return path_safety_stock(demand, allowed_short_units=np.array([allowed]))[0]

    usual = stock([lead + 1, lead + 1])
    assert stock([lead + 1 + longer, lead + 1 + longer]) >= usual - 1e-9
    assert stock([lead + 1 - spread, lead + 1 + spread]) >= usual - 1e-9
    assert stock([lead + 1 - spread, lead + 1 + spread + longer]) >= usual - 1e-9


@given(seeds, unmet_demand, st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_longer_lead_times_of_all_orders_never_lower_the_level(seed, unmet, longer):
    rng = np.random.default_rng(seed)
    usual = any_lines(seed, unmet)
    later = usual.select(np.arange(5))
    object.__setattr__(later, "lead_times", usual.lead_times + rng.integers(0, longer + 1, usual.lead_times.shape))
    terms = order_terms(5, holding_cost=1.0, shortage_cost=2.0, cycle_service_level=0.9)
    before, after = (plan_orders(one, terms, objective=Objective.CYCLE_SERVICE) for one in (usual, later))
    assert (after.order_up_to_level >= before.order_up_to_level).all()


@given(seeds, unmet_demand, st.sampled_from(list(Objective)), st.floats(0, 20), st.floats(0.2, 1.0))
@settings(max_examples=40, deadline=None)
def test_curves_choose_the_plan_and_a_shared_budget_keeps_all_terms(seed, unmet, objective, minimum, share):
    lines = any_lines(seed, unmet)
    terms = order_terms(
        5, holding_cost=0.3, shortage_cost=5.0, fixed_order_cost=np.arange(5.0), minimum_order_quantity=minimum,
        order_multiple=np.array([1.0, 2, 0.5, 6, 1]), most_order_quantity=np.array([50.0, 50, 20, 50, 3]),
        fill_rate=0.5 if objective is Objective.FILL_RATE else np.nan,
        cycle_service_level=0.5 if objective is Objective.CYCLE_SERVICE else np.nan,
    )  # fmt: skip
    plan = plan_orders(lines, terms, objective=objective)
    curves = order_cost_curves(lines, terms, plan, objective=objective)
    rows = np.arange(5)
    planned = np.argmin(np.abs(curves.quantities - plan.order_quantity[:, None]), axis=1)
    assert np.allclose(curves.quantities[rows, planned], plan.order_quantity)
    assert np.allclose(curves.costs[rows, planned], curves.costs.min(axis=1), rtol=1e-4, atol=1e-4)
    prices = np.arange(1.0, 6.0)
    floor = np.where(np.isfinite(curves.costs), curves.quantities, np.inf).min(axis=1)
    least, alone = float(prices @ floor), float(prices @ plan.order_quantity)
    most = max(least, share * alone)
    limit = SharedLimit(kind=Binding.BUDGET, name="today", use=prices, most=most)
    shared = share_constraints(curves, limits=[limit])
    assert prices @ shared.order_quantity <= most * (1 + 1e-9) + 1e-6
    ordered = shared.order_quantity > 0
    assert (shared.order_quantity[ordered] >= minimum - 1e-6).all()
    assert (shared.order_quantity <= terms.most_order_quantity + 1e-6).all()
    steps = shared.order_quantity / terms.order_multiple
    assert np.allclose(steps, np.round(steps), atol=1e-6)
    final = with_orders(plan, lines, terms, order_quantity=shared.order_quantity, bindings=shared.binding)
    assert final.order_quantity.tolist() == shared.order_quantity.tolist()
