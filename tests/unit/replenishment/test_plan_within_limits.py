"""Lines planned together: limits kept, suppliers' minimums met or not ordered, and what binds is told by line."""

from __future__ import annotations

import numpy as np
import pytest

from restock.replenishment.feasible_orders import Binding
from restock.replenishment.order_lines import OrderLines, order_terms
from restock.replenishment.order_plan import plan_orders
from restock.replenishment.plan_within_limits import plan_within_limits
from restock.replenishment.shared_constraints import SharedLimit, SupplierOrder


@pytest.fixture(name="lines")
def _lines():
    rng = np.random.default_rng(0)
    return OrderLines(
        demand_paths=rng.poisson(rng.uniform(1, 6, (12, 1, 1)), (12, 60, 20)).astype(np.float32),
        on_hand=rng.integers(0, 12, 12).astype(float),
        backorders=np.zeros(12),
        lead_times=rng.integers(2, 5, (12, 60)),
        review_periods=np.full(12, 4),
    )


TERMS = order_terms(12, holding_cost=0.05, shortage_cost=3.0, order_multiple=2.0)


def test_a_full_truck_leaves_the_least_worth_behind(lines):
    alone = plan_orders(lines, TERMS)
    truck = SharedLimit(
        kind=Binding.TRANSPORT, name="A", use=np.full(12, 0.1), most=0.05 * float(alone.order_quantity.sum())
    )
    plan, shared = plan_within_limits(lines, TERMS, limits=[truck])
    assert 0.1 * plan.order_quantity.sum() <= truck.most + 1e-9
    assert shared.is_optimal
    assert shared.limits[0].is_binding
    moved = plan.order_quantity != alone.order_quantity
    assert all(plan.bindings[i] is Binding.TRANSPORT for i in np.flatnonzero(moved))
    assert plan.expected_missed.sum() > alone.expected_missed.sum()


def test_a_supplier_gets_its_minimum_by_topping_up_or_no_order(lines):
    alone = plan_orders(lines, TERMS)
    value = float(alone.order_quantity.sum())

    def planned(minimum, fixed):
        one = SupplierOrder(
            name="A", lines=np.arange(12), fixed_cost=fixed, minimum_value=minimum, unit_values=np.ones(12)
        )
        return plan_within_limits(lines, TERMS, limits=[], suppliers=[one])

    more, shared = planned(1.1 * value, 1.0)
    assert more.order_quantity.sum() >= 1.1 * value - 1e-9
    assert Binding.SUPPLIER_MINIMUM in more.bindings
    assert shared.limits[0].used == more.order_quantity.sum()
    none, _ = planned(1.0, 1e6)
    assert none.order_quantity.sum() == 0


def test_nothing_shared_is_every_lines_own_plan(lines):
    plan, shared = plan_within_limits(lines, TERMS, limits=[])
    alone = plan_orders(lines, TERMS)
    assert plan.order_quantity.tolist() == alone.order_quantity.tolist()
    assert plan.bindings == alone.bindings
    assert np.allclose(plan.expected_cost, alone.expected_cost)
    assert shared.gap == 0
