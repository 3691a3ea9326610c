"""Orders that share a budget, room, transport or a supplier's order, chosen together at least cost.

Every line takes one of a few quantities (`CostCurves`); a limit bounds a weighted sum of quantities; a supplier's order
costs something of its own and must be worth a minimum. That is a multiple-choice problem in binary variables, solved by
HiGHS, each connected group of lines on its own. Groups too large for that are bounded by Lagrange multipliers first;
only choices that could be part of a better plan go to HiGHS, so that the answer stays exact, or says by how much it may
not be.

Source: Kellerer, Pferschy and Pisinger (2004), Knapsack Problems, chapter 11 (multiple choice; core and reduced costs);
    Geoffrion (1974), Lagrangean Relaxation for Integer Programming.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.errors import InfeasiblePlanError
from restock.replenishment.cost_curves import CostCurves
from restock.replenishment.feasible_orders import Binding

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

# Groups with at most so many choices go to HiGHS whole.
_SMALL = 6_000


@dataclass(frozen=True, kw_only=True)
class SharedLimit:
    """A limit on a weighted sum of order quantities.

    Attributes:
        kind: what it is: `Binding.BUDGET`, `STORAGE` or `TRANSPORT`.
        name: whose: a location, a supplier, a week.
        use: shape (n_lines,), currency, volume or pallets per unit, >= 0; 0 for lines that don't share it.
        most: in the same units as use x quantity.
    """

    kind: Binding
    name: str
    use: Floats
    most: float


@dataclass(frozen=True, kw_only=True)
class SupplierOrder:
    """What one order of several lines from a supplier costs and must be worth.

    Attributes:
        name: the supplier.
        lines: places of its lines.
        fixed_cost: currency per order, whatever the lines; beside the lines' own fixed costs.
        minimum_value: currency that an order must be worth; 0: any.
        unit_values: shape (len(lines),), currency per unit.
    """

    name: str
    lines: Places
    fixed_cost: float
    minimum_value: float
    unit_values: Floats


@dataclass(frozen=True, kw_only=True)
class LimitUse:
    """What a plan uses of a limit.

    Attributes:
        kind: what it is.
        name: whose.
        used: by the plan; for a supplier's minimum, the value of its order.
        wanted: what every line on its own would use.
        most: the limit; for a supplier's minimum, the minimum.
        shadow_price: currency saved per unit more of it (of less, for a minimum), from the relaxation; 0 where it
            does not bind.
        is_binding: whether the plan differs for it.
    """

    kind: Binding
    name: str
    used: float
    wanted: float
    most: float
    shadow_price: float
    is_binding: bool


@dataclass(frozen=True, kw_only=True)
class SharedPlan:
    """Orders within all shared constraints.

    Attributes:
        order_quantity: shape (n_lines,), units.
        options: shape (n_lines,), place of each quantity in its curve.
        objective: currency, of the curves and suppliers' orders.
        bound: no plan costs less, currency.
        gap: (objective - bound) / the larger of both in size; 0: proven best.
        is_optimal: whether the gap is within 1e-6.
        limits: what is used of every limit and supplier's minimum, and its price.
        binding: shape (n_lines,), what keeps each line from the quantity it would take alone; `NONE` where nothing.
        seconds: time taken.
    """

    order_quantity: Floats
    options: Places
    objective: float
    bound: float
    gap: float
    is_optimal: bool
    limits: tuple[LimitUse, ...]
    binding: tuple[Binding, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class SharedProblem:
    """Curves with all that lines share; `limits` and `suppliers` refer to lines by place."""

    curves: CostCurves
    limits: tuple[SharedLimit, ...]
    suppliers: tuple[SupplierOrder, ...]

    def part(self, lines: Places, limits: Sequence[int], suppliers: Sequence[int]) -> SharedProblem:
        """Return the problem of some lines with the limits and suppliers that are theirs alone."""
        place = np.full(len(self.curves.quantities), -1, dtype=np.int64)
        place[lines] = np.arange(len(lines))
        chosen = [self.suppliers[i] for i in suppliers]
        return SharedProblem(
            curves=CostCurves(quantities=self.curves.quantities[lines], costs=self.curves.costs[lines]),
            limits=tuple(
                SharedLimit(kind=one.kind, name=one.name, use=one.use[lines], most=one.most)
                for one in (self.limits[i] for i in limits)
            ),
            suppliers=tuple(
                SupplierOrder(
                    name=one.name,
                    lines=place[one.lines],
                    fixed_cost=one.fixed_cost,
                    minimum_value=one.minimum_value,
                    unit_values=one.unit_values,
                )
                for one in chosen
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The answer to one group: options by line, cost, bound, and prices of limits and suppliers' minimums."""

    options: Places
    objective: float
    bound: float
    limit_prices: Floats
    minimum_prices: Floats


def share_constraints(
    curves: CostCurves,
    *,
    limits: Sequence[SharedLimit] = (),
    suppliers: Sequence[SupplierOrder] = (),
    time_limit_seconds: float = 30.0,
    clock: Callable[[], float] = time.monotonic,
) -> SharedPlan:
    """Return the quantities at least cost that keep every limit and supplier's terms.

    Args:
        curves: quantities and costs of each line, from `order_cost_curves`.
        limits: on budget, room and transport.
        suppliers: joint orders; a line belongs to at most one.
        time_limit_seconds: for all groups together; what is found by then is returned with its gap.
        clock: seconds, for the limit.

    Raises:
        InfeasiblePlanError: no choice keeps all constraints; the message names those in conflict.
        ValueError: a limit's use does not fit the lines, or is negative.
    """
    begun = clock()
    problem = SharedProblem(curves=curves, limits=tuple(limits), suppliers=tuple(suppliers))
    _check(problem)
    n_lines = len(curves.quantities)
    options = curves.best.astype(np.int64)
    prices, minimum_prices = np.zeros(len(limits)), np.zeros(len(suppliers))
    free = np.ones(n_lines, dtype=bool)
    objective = bound = 0.0
    groups = connected_groups(problem)
    for done, (lines, own_limits, own_suppliers) in enumerate(groups):
        part = problem.part(lines, own_limits, own_suppliers)
        left = max(time_limit_seconds - (clock() - begun), 0.1)
        # No group may take the time of those after it: a share by what is left to do.
        allowed = max(left / (len(groups) - done), min(left, 1.0))
        found = solve_group(part, time_limit_seconds=allowed, clock=clock)
        options[lines], free[lines] = found.options, False
        prices[own_limits], minimum_prices[own_suppliers] = found.limit_prices, found.minimum_prices
        objective += found.objective
        bound += found.bound
    alone = float(curves.costs[np.flatnonzero(free), options[free]].sum())
    objective, bound = objective + alone, bound + alone
    gap = (objective - bound) / max(abs(objective), abs(bound), 1e-12)
    return SharedPlan(
        order_quantity=curves.quantities[np.arange(n_lines), options],
        options=options,
        objective=objective,
        bound=bound,
        gap=max(gap, 0.0),
        is_optimal=gap <= 1e-6,
        limits=_uses(problem, options, prices, minimum_prices),
        binding=_line_bindings(problem, options, prices),
        seconds=clock() - begun,
    )


def solve_group(problem: SharedProblem, *, time_limit_seconds: float, clock: Callable[[], float]) -> Solution:
    """Return the answer to one group, by HiGHS alone or with Lagrange multipliers before it."""
    from restock.replenishment.shared_mip import NoPlanInTimeError, solve_whole
    from restock.replenishment.shared_relaxation import solve_by_core, unpriced_plan

    found = unpriced_plan(problem)
    if found is not None:
        return found
    if problem.curves.quantities.size > _SMALL:
        return solve_by_core(problem, time_limit_seconds=time_limit_seconds, clock=clock)
    try:
        return solve_whole(problem, time_limit_seconds=time_limit_seconds, clock=clock)
    except NoPlanInTimeError:
        return solve_by_core(problem, time_limit_seconds=0.0, clock=clock)


def connected_groups(problem: SharedProblem) -> list[tuple[Places, list[int], list[int]]]:
    """Return groups of lines that share something that may matter: lines, their limits, their suppliers.

    Limits that no choice can exceed, and suppliers without terms, join nothing.
    """
    from scipy.sparse import coo_array  # type: ignore[import-untyped]  # scipy ships no types
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    curves = problem.curves
    n_lines = len(curves.quantities)
    top = np.where(np.isfinite(curves.costs), curves.quantities, 0).max(axis=1)
    limits = [i for i, one in enumerate(problem.limits) if float(one.use @ top) > one.most]
    suppliers = [i for i, one in enumerate(problem.suppliers) if one.fixed_cost > 0 or one.minimum_value > 0]
    members = [np.flatnonzero(problem.limits[i].use > 0) for i in limits]
    members += [problem.suppliers[i].lines for i in suppliers]
    if not members:
        return []
    rows = np.concatenate(members)
    nodes = np.repeat(n_lines + np.arange(len(members)), [len(one) for one in members])
    size = n_lines + len(members)
    graph = coo_array((np.ones(len(rows)), (rows, nodes)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    found = []
    for group in np.unique(label[n_lines:]):
        of_group = np.flatnonzero(label[n_lines:] == group)
        found.append(
            (
                np.flatnonzero(label[:n_lines] == group),
                [limits[i] for i in of_group if i < len(limits)],
                [suppliers[i - len(limits)] for i in of_group if i >= len(limits)],
            )
        )
    return [one for one in found if len(one[0])]


def _uses(problem: SharedProblem, options: Places, prices: Floats, minimum_prices: Floats) -> tuple[LimitUse, ...]:
    curves = problem.curves
    rows = np.arange(len(options))
    chosen, alone = curves.quantities[rows, options], curves.quantities[rows, curves.best]
    found = []
    for one, price in zip(problem.limits, prices.tolist(), strict=True):
        wanted = float(one.use @ alone)
        is_binding = wanted > one.most * (1 + 1e-9) + 1e-9 or price > 1e-9
        found.append(
            LimitUse(
                kind=one.kind, name=one.name, used=float(one.use @ chosen), wanted=wanted, most=one.most,
                shadow_price=price if is_binding else 0.0, is_binding=is_binding,
            )
        )  # fmt: skip
    for supplier, price in zip(problem.suppliers, minimum_prices.tolist(), strict=True):
        used = float(supplier.unit_values @ chosen[supplier.lines])
        wanted = float(supplier.unit_values @ alone[supplier.lines])
        is_binding = not np.array_equal(chosen[supplier.lines], alone[supplier.lines])
        found.append(
            LimitUse(
                kind=Binding.SUPPLIER_MINIMUM, name=supplier.name, used=used, wanted=wanted,
                most=supplier.minimum_value, shadow_price=price if is_binding else 0.0, is_binding=is_binding,
            )
        )  # fmt: skip
    return tuple(found)


def _line_bindings(problem: SharedProblem, options: Places, prices: Floats) -> tuple[Binding, ...]:
    """Return for each line moved from its own best the limit that is worth most to it, or its supplier's order."""
    curves = problem.curves
    moved = options != curves.best
    found = np.full(len(options), Binding.NONE, dtype=object)
    for supplier in problem.suppliers:
        found[supplier.lines] = np.where(moved[supplier.lines], Binding.SUPPLIER_MINIMUM, Binding.NONE)
    weight = np.zeros(len(options))
    for one, price in zip(problem.limits, prices.tolist(), strict=True):
        worth = one.use * price
        is_it = moved & (worth > weight)
        found[is_it], weight = one.kind, np.maximum(weight, worth)
    return tuple(found.tolist())


def _check(problem: SharedProblem) -> None:
    n_lines = len(problem.curves.quantities)
    for one in problem.limits:
        if one.use.shape != (n_lines,) or one.use.min(initial=0) < 0:
            raise ValueError(f"use of {one.kind} {one.name} must be >= 0 and one for each of {n_lines} lines.")
    taken = np.concatenate([one.lines for one in problem.suppliers] or [np.zeros(0, dtype=np.int64)])
    if len(np.unique(taken)) != len(taken):
        raise ValueError("a line may belong to one supplier only.")
    usable = np.isfinite(problem.curves.costs)
    if not usable.any(axis=1).all():
        row = int(np.argmin(usable.any(axis=1)))
        raise ValueError(f"line {row} has no quantity to choose.")
    least = np.where(usable, problem.curves.quantities, np.inf).min(axis=1)
    for one in problem.limits:
        needed = float(one.use @ least)
        if needed > one.most * (1 + 1e-9):
            count = int(((least > 0) & (one.use > 0)).sum())
            raise InfeasiblePlanError(
                f"the service floors of {count} lines need {needed:.2f} of {one.kind} {one.name}, and there is "
                f"{one.most:.2f}. Lower the floors or raise the limit by {needed - one.most:.2f}."
            )
