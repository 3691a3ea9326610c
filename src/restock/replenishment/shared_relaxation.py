"""Large groups of shared constraints: Lagrange multipliers bound the cost and pick the core that HiGHS solves.

With a price on each limit, lines choose on their own, so that a bound costs one pass over all choices. Any plan that
makes a choice whose reduced cost is r costs at least the bound + r: choices beyond the best plan found are left out
without loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.errors import InfeasiblePlanError
from restock.replenishment.cost_curves import CostCurves
from restock.replenishment.shared_constraints import (
    Floats,
    Places,
    SharedLimit,
    SharedProblem,
    Solution,
    SupplierOrder,
)
from restock.replenishment.shared_mip import NoPlanInTimeError, Programme, plan_cost, solve_whole
from restock.replenishment.shared_repair import repaired_plan

# Choices in the first core, and how much larger each next one is.
_CORE, _GROWTH = 3_000, 4
_HALVINGS = 50
_POLISHING_STEPS = 150


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """The cheapest choices at some prices.

    Attributes:
        bound: no plan costs less, currency.
        reduced: shape (n_lines, n_options), what each choice costs beyond the bound at least; inf where not usable.
        options: shape (n_lines,), the choices.
        excess: shape (n_prices,), use of each limit beyond it, then what each supplier's order lacks of its minimum.
    """

    bound: float
    reduced: Floats
    options: Places
    excess: Floats


def solve_by_core(
    problem: SharedProblem, *, time_limit_seconds: float, clock: Callable[[], float] = time.monotonic
) -> Solution:
    """Return the best plan of a large group, proven or with the gap that is left when time is up.

    Raises:
        InfeasiblePlanError: no choice keeps all constraints.
    """
    begun = clock()
    prices, relaxed = best_prices(problem, until=begun + 0.3 * time_limit_seconds, clock=clock)
    options = repaired_plan(problem, prices)
    objective = np.inf if options is None else plan_cost(problem, options)
    bound = relaxed.bound
    size, n_all = _CORE, int(np.isfinite(problem.curves.costs).sum())
    while objective - bound > 1e-7 * max(abs(objective), abs(bound)) or options is None:
        left = time_limit_seconds - (clock() - begun)
        if options is not None and left < 0.1 * time_limit_seconds:
            break
        kept, threshold = _core(relaxed.reduced, size, beyond=objective - relaxed.bound)
        if options is not None:
            # So that every core holds a plan.
            kept[np.arange(len(options)), options] = True
        # Half of the time for each core but the last, so that a larger one still has some.
        allowed = max(left / 2, 1.0) if size < n_all else max(left, 1.0)
        try:
            found = _solve_kept(problem, kept, time_limit_seconds=allowed, clock=clock)
        except NoPlanInTimeError:
            if options is None and size >= n_all:
                raise
        except InfeasiblePlanError:
            if size >= n_all and options is None:
                raise
            # Every plan makes a choice that was left out.
            bound = max(bound, relaxed.bound + threshold) if size < n_all else bound
        else:
            bound = max(bound, min(found.bound, relaxed.bound + threshold))
            if found.objective < objective:
                objective, options = found.objective, found.options
        if size >= n_all:
            break
        size *= _GROWTH
    if options is None:
        raise InfeasiblePlanError("no plan keeps all constraints.")
    n_limits = len(problem.limits)
    return Solution(
        options=options,
        objective=objective,
        bound=min(bound, objective),
        limit_prices=prices[:n_limits],
        minimum_prices=prices[n_limits:],
    )


def unpriced_plan(problem: SharedProblem) -> Solution | None:
    """Return the plan of lines and suppliers on their own where it keeps all constraints; None where it does not."""
    n_limits = len(problem.limits)
    free = relax(problem, np.zeros(n_limits + len(problem.suppliers)))
    if (free.excess > 0).any():
        return None
    return Solution(
        options=free.options,
        objective=free.bound,
        bound=free.bound,
        limit_prices=np.zeros(n_limits),
        minimum_prices=np.zeros(len(problem.suppliers)),
    )


def _core(reduced: Floats, size: int, *, beyond: float) -> tuple[NDArray[np.bool_], float]:
    """Return the choices of least reduced cost, none `beyond` which no plan gets better, and the least left out."""
    usable = reduced[np.isfinite(reduced)]
    if not np.isfinite(beyond):
        beyond = float(usable.max())
    # Lines' own best take one place each, whatever the size.
    n_kept = min(len(reduced) + size, len(usable))
    threshold = float(np.partition(usable, n_kept - 1)[n_kept - 1])
    kept: NDArray[np.bool_] = reduced <= min(threshold, beyond * (1 + 1e-9))
    left_out = reduced[~kept & np.isfinite(reduced)]
    return kept, float(left_out.min()) if len(left_out) else np.inf


def _solve_kept(
    problem: SharedProblem, kept: NDArray[np.bool_], *, time_limit_seconds: float, clock: Callable[[], float]
) -> Solution:
    """Return the best plan of the choices kept: lines with one choice are settled before HiGHS sees the rest."""
    curves = problem.curves
    options = np.argmax(kept, axis=1).astype(np.int64)
    is_open = kept.sum(axis=1) > 1
    rows = np.arange(len(options))
    chosen = np.where(is_open, 0.0, curves.quantities[rows, options])
    suppliers = []
    settled_cost = 0.0
    for one in problem.suppliers:
        # One settled line keeps the supplier's order placed.
        ordered = one.lines[chosen[one.lines] > 0]
        if len(ordered):
            is_open[ordered[0]], chosen[ordered[0]] = True, 0.0
        own = is_open[one.lines]
        worth = float(one.unit_values @ chosen[one.lines])
        suppliers.append((one, own, worth))
    lines = np.flatnonzero(is_open)
    settled_cost += float(curves.costs[rows, options][~is_open].sum())
    place = np.full(len(options), -1, dtype=np.int64)
    place[lines] = np.arange(len(lines))
    part = SharedProblem(
        curves=CostCurves(
            quantities=curves.quantities[lines], costs=np.where(kept[lines], curves.costs[lines], np.inf)
        ),
        limits=tuple(
            SharedLimit(kind=one.kind, name=one.name, use=one.use[lines], most=one.most - float(one.use @ chosen))
            for one in problem.limits
        ),
        suppliers=tuple(
            SupplierOrder(
                name=one.name,
                lines=place[one.lines[own]],
                fixed_cost=one.fixed_cost,
                minimum_value=one.minimum_value - worth,
                unit_values=one.unit_values[own],
            )
            for one, own, worth in suppliers
            if own.any()
        ),
    )
    if not len(lines):
        if any(one.most < -1e-9 for one in part.limits):
            raise InfeasiblePlanError("no choice left keeps all constraints.")
        return _settled(problem, options)
    # Which constraints are in conflict is told once nothing is left out: it is a search of its own.
    say_why = None if kept.sum() == np.isfinite(curves.costs).sum() else _left_out
    found = solve_whole(part, time_limit_seconds=time_limit_seconds, clock=clock, say_why=say_why)
    options = options.copy()
    options[lines] = found.options
    return Solution(
        options=options,
        objective=plan_cost(problem, options),
        bound=found.bound + settled_cost,
        limit_prices=found.limit_prices,
        minimum_prices=np.zeros(len(problem.suppliers)),
    )


def _left_out(problem: SharedProblem, programme: Programme) -> str:
    return f"none of {len(programme.lines)} choices of {len(problem.limits)} limits' core keeps all constraints."


def _settled(problem: SharedProblem, options: Places) -> Solution:
    cost = plan_cost(problem, options)
    return Solution(
        options=options,
        objective=cost,
        bound=cost,
        limit_prices=np.zeros(len(problem.limits)),
        minimum_prices=np.zeros(len(problem.suppliers)),
    )


def relax(problem: SharedProblem, prices: Floats) -> Relaxed:
    """Return the cheapest choices where limits and supplier minimums have prices instead.

    Args:
        problem: one group.
        prices: shape (n_limits + n_suppliers,), currency per unit of each, >= 0.
    """
    curves, n_limits = problem.curves, len(problem.limits)
    n_lines = len(curves.quantities)
    per_unit = np.zeros(n_lines)
    bound = 0.0
    for one, price in zip(problem.limits, prices[:n_limits], strict=True):
        if price:
            per_unit += price * one.use
        # Not 0 x inf where there is no limit.
        bound -= float(price * one.most) if price else 0.0
    for supplier, price in zip(problem.suppliers, prices[n_limits:], strict=True):
        per_unit[supplier.lines] -= price * supplier.unit_values
    priced = curves.costs + per_unit[:, None] * curves.quantities
    place = np.argmin(priced, axis=1)
    rows = np.arange(n_lines)
    least = priced[rows, place]
    reduced = priced - least[:, None]
    chosen = curves.quantities[rows, place]
    missing = np.zeros(len(problem.suppliers))
    bound += float(least.sum())
    for i, (supplier, price) in enumerate(zip(problem.suppliers, prices[n_limits:], strict=True)):
        own = supplier.lines
        placed = supplier.fixed_cost + price * supplier.minimum_value
        saved = float((curves.costs[own, 0] - least[own]).sum()) - placed
        if saved > 0:
            bound += placed
            missing[i] = supplier.minimum_value - float(supplier.unit_values @ chosen[own])
            reduced[own, 0] = np.minimum(reduced[own, 0], saved)
        else:
            bound += placed + saved
            chosen[own], place[own] = 0.0, 0
            reduced[own, 1:] -= saved
            reduced[own, 0] = 0.0
    # Not by @: threads of a linear algebra library cost more than these sums.
    excess = np.array([float((one.use * chosen).sum()) - one.most for one in problem.limits])
    return Relaxed(bound=bound, reduced=reduced, options=place, excess=np.concatenate([excess, missing]))


def best_prices(problem: SharedProblem, *, until: float, clock: Callable[[], float]) -> tuple[Floats, Relaxed]:
    """Return prices with a high bound: limits that share no line are searched together, then all are polished.

    Args:
        problem: one group.
        until: when to stop, by `clock`.
        clock: seconds.
    """
    n_prices = len(problem.limits) + len(problem.suppliers)
    prices = np.zeros(n_prices)
    best = relax(problem, prices)
    blocks = _disjoint_blocks(problem)
    for _ in range(1 if len(blocks) == 1 else 3):
        before = best.bound
        for block in blocks:
            tried = _search_block(problem, prices, block, until=until, clock=clock)
            found = relax(problem, tried)
            if found.bound > best.bound:
                best, prices = found, tried
        if best.bound - before <= 1e-6 * abs(best.bound):
            break
    if n_prices == 1:
        return prices, best
    # Subgradient steps; the gap that is left is not known, so a small share of the bound stands for it.
    step_share, current, at = 0.01, prices, best
    for _ in range(_POLISHING_STEPS):
        direction = np.where((current <= 0) & (at.excess < 0), 0.0, at.excess)
        size = float(direction @ direction)
        if size <= 0 or clock() > until:
            break
        step = step_share * max(abs(best.bound), 1e-9) / size
        current = np.maximum(current + step * direction, 0)
        at = relax(problem, current)
        if at.bound > best.bound:
            best, prices = at, current
        else:
            step_share *= 0.93
    return prices, best


def _disjoint_blocks(problem: SharedProblem) -> list[Places]:
    """Return limits and suppliers' minimums (after them) in blocks in which no two share a line."""
    uses = [one.use > 0 for one in problem.limits]
    for supplier in problem.suppliers:
        own = np.zeros(len(problem.curves.quantities), dtype=bool)
        own[supplier.lines] = True
        uses.append(own)
    blocks: list[tuple[list[int], NDArray[np.bool_]]] = []
    for place, use in enumerate(uses):
        is_minimum = place >= len(problem.limits)
        for members, taken in blocks:
            same_kind = (members[0] >= len(problem.limits)) == is_minimum
            if same_kind and not (taken & use).any():
                members.append(place)
                taken[use] = True
                break
        else:
            blocks.append(([place], use.copy()))
    return [np.array(members) for members, _ in blocks]


def _search_block(
    problem: SharedProblem, prices: Floats, block: Places, *, until: float, clock: Callable[[], float]
) -> Floats:
    """Return prices with those of one block halved in on where use crosses the limit."""
    low, high = np.zeros(len(block)), np.zeros(len(block))
    high[:] = 1e-6 + np.maximum(prices[block], 0)
    tried = prices.copy()
    for _ in range(40):
        tried[block] = high
        is_over = relax(problem, tried).excess[block] > 0
        if not is_over.any() or clock() > until:
            break
        low, high = np.where(is_over, high, low), np.where(is_over, high * 4, high)
    tried[block] = 0.0
    needs = relax(problem, tried).excess[block] > 0
    high = np.where(needs, high, 0.0)
    for _ in range(_HALVINGS):
        if clock() > until or (high - low <= 1e-9 * high).all():
            break
        middle = (low + high) / 2
        tried[block] = middle
        is_over = relax(problem, tried).excess[block] > 0
        low, high = np.where(is_over, middle, low), np.where(is_over, high, middle)
    tried[block] = high
    return tried
