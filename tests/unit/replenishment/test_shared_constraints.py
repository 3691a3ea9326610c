"""Orders under shared constraints against every combination tried, and the ways out of size and conflict."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from restock.errors import InfeasiblePlanError
from restock.replenishment.cost_curves import CostCurves
from restock.replenishment.feasible_orders import Binding
from restock.replenishment.shared_constraints import (
    SharedLimit,
    SharedProblem,
    SupplierOrder,
    connected_groups,
    share_constraints,
)
from restock.replenishment.shared_mip import plan_cost
from restock.replenishment.shared_relaxation import solve_by_core


def some_curves(rng, n_lines, n_options=4):
    quantities = np.cumsum(rng.integers(1, 9, (n_lines, n_options)), axis=1).astype(float)
    quantities[:, 0] = 0.0
    wanted = rng.uniform(0, 20, (n_lines, 1))
    costs = np.maximum(wanted - quantities, 0) * rng.uniform(1, 9, (n_lines, 1)) + np.maximum(quantities - wanted, 0)
    return CostCurves(quantities=quantities, costs=costs)


def some_problem(seed, n_lines=5):
    rng = np.random.default_rng(seed)
    curves = some_curves(rng, n_lines)
    prices = rng.uniform(1, 5, n_lines)
    alone = curves.quantities[np.arange(n_lines), curves.best]
    here = (np.arange(n_lines) % 2 == 0).astype(float)
    half = n_lines // 2
    limits = (
        SharedLimit(kind=Binding.BUDGET, name="week", use=prices, most=float(prices @ alone) * rng.uniform(0.3, 1.1)),
        SharedLimit(kind=Binding.STORAGE, name="L1", use=here, most=float(here @ alone) * rng.uniform(0.3, 1.1)),
    )
    suppliers = (
        SupplierOrder(
            name="A", lines=np.arange(half), fixed_cost=float(rng.uniform(0, 20)), minimum_value=float(
                rng.uniform(0, 40)
            ), unit_values=prices[:half],
        ),
        SupplierOrder(
            name="B", lines=np.arange(half, n_lines), fixed_cost=3.0, minimum_value=0.0, unit_values=prices[half:]
        ),
    )  # fmt: skip
    return SharedProblem(curves=curves, limits=limits, suppliers=suppliers)


def is_kept(problem, options):
    quantity = problem.curves.quantities[np.arange(len(options)), options]
    if any(one.use @ quantity > one.most + 1e-6 for one in problem.limits):
        return False
    worth = [(float(one.unit_values @ quantity[one.lines]), one) for one in problem.suppliers]
    return all(value == 0 or value >= one.minimum_value - 1e-6 for value, one in worth)


def best_of_all(problem):
    n_lines, n_options = problem.curves.quantities.shape
    every = (np.array(one) for one in product(range(n_options), repeat=n_lines))
    return min(plan_cost(problem, one) for one in every if is_kept(problem, one))


@pytest.mark.parametrize("seed", range(8))
def test_share_constraints_finds_the_best_of_all_combinations(seed):
    problem = some_problem(seed)
    found = share_constraints(problem.curves, limits=problem.limits, suppliers=problem.suppliers)
    assert is_kept(problem, found.options)
    assert found.objective == pytest.approx(best_of_all(problem), abs=1e-6)
    assert found.objective == pytest.approx(plan_cost(problem, found.options), abs=1e-6)
    assert found.is_optimal


@pytest.mark.parametrize("seed", range(3))
def test_solve_by_core_is_as_good_as_the_whole(seed):
    import time

    problem = some_problem(seed, n_lines=400)
    whole = share_constraints(problem.curves, limits=problem.limits, suppliers=problem.suppliers)
    by_core = solve_by_core(problem, time_limit_seconds=20.0, clock=time.monotonic)
    assert is_kept(problem, by_core.options)
    assert by_core.objective == pytest.approx(whole.objective, rel=1e-6, abs=1e-6)
    assert by_core.bound <= whole.objective + 1e-6
    assert plan_cost(problem, by_core.options) == pytest.approx(by_core.objective)


def test_a_large_budget_is_shared_exactly_and_its_price_is_what_a_unit_more_saves():
    rng = np.random.default_rng(1)
    curves = some_curves(rng, 1_200, n_options=8)
    prices = rng.uniform(1, 5, 1_200)
    alone = float(prices @ curves.quantities[np.arange(1_200), curves.best])

    def planned(most):
        return share_constraints(curves, limits=[SharedLimit(kind=Binding.BUDGET, name="week", use=prices, most=most)])

    found, more = planned(0.6 * alone), planned(0.62 * alone)
    assert found.is_optimal
    (use,) = found.limits
    assert use.is_binding
    assert use.used <= 0.6 * alone + 1e-6
    assert use.wanted == pytest.approx(alone)
    assert use.shadow_price == pytest.approx((found.objective - more.objective) / (0.02 * alone), rel=0.1)
    moved = found.options != curves.best
    assert {found.binding[i] for i in np.flatnonzero(moved)} == {Binding.BUDGET}
    assert {found.binding[i] for i in np.flatnonzero(~moved)} == {Binding.NONE}


def test_lines_that_share_nothing_stay_as_they_were():
    curves = some_curves(np.random.default_rng(3), 30)
    free = share_constraints(curves)
    assert free.options.tolist() == curves.best.tolist()
    loose = SharedLimit(kind=Binding.BUDGET, name="week", use=np.ones(30), most=1e9)
    found = share_constraints(curves, limits=[loose])
    assert found.options.tolist() == curves.best.tolist()
    assert not found.limits[0].is_binding
    assert found.limits[0].shadow_price == 0


def test_groups_are_the_lines_that_something_connects():
    curves = some_curves(np.random.default_rng(3), 9)
    uses = np.zeros((2, 9))
    uses[0, :3], uses[1, 4:6] = 1, 1
    limits = tuple(SharedLimit(kind=Binding.STORAGE, name=str(i), use=use, most=1.0) for i, use in enumerate(uses))
    supplier = SupplierOrder(
        name="A", lines=np.array([2, 7]), fixed_cost=1.0, minimum_value=0.0, unit_values=np.ones(2)
    )
    groups = connected_groups(SharedProblem(curves=curves, limits=limits, suppliers=(supplier,)))
    assert [(lines.tolist(), own, joint) for lines, own, joint in groups] == [
        ([0, 1, 2, 7], [0], [0]), ([4, 5], [1], []),
    ]  # fmt: skip


def test_floors_that_cost_more_than_the_budget_are_named():
    curves = CostCurves(quantities=np.array([[0.0, 5, 9]] * 2), costs=np.array([[np.inf, 1.0, 2]] * 2))
    budget = SharedLimit(kind=Binding.BUDGET, name="week 3", use=np.array([2.0, 3.0]), most=20.0)
    with pytest.raises(InfeasiblePlanError, match=r"floors of 2 lines need 25.00 of budget week 3, and there is 20.00"):
        share_constraints(curves, limits=[budget])


def test_a_minimum_that_the_budget_can_not_pay_is_named():
    curves = CostCurves(quantities=np.array([[0.0, 5, 9]] * 2), costs=np.array([[np.inf, 1.0, 2], [0.0, 1.0, 2.0]]))
    budget = SharedLimit(kind=Binding.BUDGET, name="week 3", use=np.ones(2), most=9.0)
    supplier = SupplierOrder(
        name="A", lines=np.array([0, 1]), fixed_cost=0.0, minimum_value=12.0, unit_values=np.ones(2)
    )
    with pytest.raises(InfeasiblePlanError, match=r"minimum of A \(12.00\) by 3.00 must give way while budget"):
        share_constraints(curves, limits=[budget], suppliers=[supplier])


def test_a_line_of_two_suppliers_is_refused():
    curves = some_curves(np.random.default_rng(0), 2)
    one = SupplierOrder(name="A", lines=np.array([0, 1]), fixed_cost=1.0, minimum_value=0, unit_values=np.ones(2))
    with pytest.raises(ValueError, match="one supplier only"):
        share_constraints(curves, suppliers=[one, one])
