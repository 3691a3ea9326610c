"""Shared constraints as a mixed-integer programme for HiGHS, and what is in conflict where it has no answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from restock.errors import InfeasiblePlanError
from restock.replenishment.shared_constraints import Floats, Places, SharedProblem, Solution

# A plan this near the bound, in shares of its cost, counts as proven best.
_RELATIVE_GAP = 1e-7


@dataclass(frozen=True, kw_only=True)
class Programme:
    """min cost z, matrix z <= most, choice z = 1: one column a choice kept, then one a supplier.

    Attributes:
        cost: shape (n_columns,).
        matrix: sparse, rows of limits, then of suppliers' minimums, then of lines that need their supplier's order.
        most: shape (n_rows,).
        choice: sparse, one row a line.
        lines: shape (n_choices,), the line of each column.
        options: shape (n_choices,), the option of each column.
        n_lines: lines.
    """

    cost: Floats
    matrix: Any
    most: Floats
    choice: Any
    lines: Places
    options: Places
    n_lines: int


class NoPlanInTimeError(InfeasiblePlanError):
    """No plan was found before time was up; there may be one."""


def solve_whole(
    problem: SharedProblem,
    *,
    time_limit_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    say_why: Callable[[SharedProblem, Programme], str] | None = None,
) -> Solution:
    """Return the best plan, with prices from the relaxation to fractions.

    Args:
        problem: one group, or the core of one.
        time_limit_seconds: for the search.
        clock: seconds.
        say_why: what tells which constraints are in conflict; None: `conflict`.

    Raises:
        InfeasiblePlanError: no choice keeps all constraints.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]  # scipy ships no types

    begun = clock()
    programme = build_programme(problem)
    told = conflict if say_why is None else say_why
    n_columns = len(programme.cost)
    least, prices = _relaxed(programme, time_limit_seconds=time_limit_seconds)
    if least == np.inf:
        raise InfeasiblePlanError(told(problem, programme))
    constraints = [LinearConstraint(programme.choice, 1, 1)]
    if programme.matrix.shape[0]:
        constraints.append(LinearConstraint(programme.matrix, -np.inf, programme.most))
    found = milp(
        programme.cost,
        constraints=constraints,
        integrality=np.ones(n_columns),
        bounds=Bounds(0, 1),
        options={
            "time_limit": max(time_limit_seconds - (clock() - begun), 0.1),
            "mip_rel_gap": _RELATIVE_GAP,
        },
    )
    if found.status == 2:
        raise InfeasiblePlanError(told(problem, programme))
    if found.x is None:
        raise NoPlanInTimeError(
            f"no plan that keeps all constraints was found within {time_limit_seconds:.0f} s. Allow more time, or "
            f"loosen one of them, such as {_names(problem)[0]}."
        )
    options = np.zeros(programme.n_lines, dtype=np.int64)
    taken = np.flatnonzero(found.x[: len(programme.lines)] > 0.5)
    options[programme.lines[taken]] = programme.options[taken]
    n_limits, n_suppliers = len(problem.limits), len(problem.suppliers)
    bound = found.mip_dual_bound if found.mip_dual_bound is not None else least
    return Solution(
        options=options,
        objective=plan_cost(problem, options),
        bound=float(max(bound, least)),
        limit_prices=prices[:n_limits],
        minimum_prices=prices[n_limits : n_limits + n_suppliers],
    )


def _relaxed(programme: Programme, *, time_limit_seconds: float) -> tuple[float, Floats]:
    """Return the least cost with fractions of choices, and the price of each row of the matrix, currency per unit.

    The cost is inf where not even fractions keep all constraints, and -inf, without prices, where time was up.
    """
    from scipy.optimize import linprog

    has_rows = programme.matrix.shape[0] > 0
    found = linprog(
        programme.cost,
        A_ub=programme.matrix if has_rows else None,
        b_ub=programme.most if has_rows else None,
        A_eq=programme.choice,
        b_eq=np.ones(programme.n_lines),
        bounds=(0, 1),
        method="highs",
        options={"time_limit": max(time_limit_seconds, 0.1)},
    )
    none = np.zeros(programme.matrix.shape[0])
    if found.status != 0:
        return (np.inf if found.status == 2 else -np.inf), none
    return float(found.fun), np.maximum(-found.ineqlin.marginals, 0) if has_rows else none


def plan_cost(problem: SharedProblem, options: Places) -> float:
    """Return what a choice costs, suppliers' orders included, currency."""
    curves = problem.curves
    rows = np.arange(len(options))
    ordered = curves.quantities[rows, options] > 0
    joint = sum(one.fixed_cost for one in problem.suppliers if ordered[one.lines].any())
    return float(curves.costs[rows, options].sum()) + joint


def build_programme(problem: SharedProblem) -> Programme:
    """Return the programme of one group."""
    from scipy.sparse import csr_array  # type: ignore[import-untyped]  # scipy ships no types

    curves = problem.curves
    n_lines = len(curves.quantities)
    usable = np.isfinite(curves.costs)
    lines, options = np.nonzero(usable)
    quantity = curves.quantities[lines, options]
    n_choices, n_suppliers = len(lines), len(problem.suppliers)
    n_columns = n_choices + n_suppliers
    rows: list[Any] = []
    columns: list[Any] = []
    values: list[Any] = []
    most: list[float] = []
    for limit in problem.limits:
        used = limit.use[lines] * quantity
        places = np.flatnonzero(used)
        _append(rows, columns, values, row=len(most), columns_of=places, values_of=used[places])
        most.append(limit.most)
    supplier_of = np.full(n_lines, -1, dtype=np.int64)
    for place, supplier in enumerate(problem.suppliers):
        supplier_of[supplier.lines] = place
        value = np.zeros(n_lines)
        value[supplier.lines] = supplier.unit_values
        places = np.flatnonzero(value[lines] * quantity)
        own = np.append(places, n_choices + place)
        worth = np.append(-(value[lines] * quantity)[places], supplier.minimum_value)
        _append(rows, columns, values, row=len(most), columns_of=own, values_of=worth)
        most.append(0.0)
    for line in np.flatnonzero(supplier_of >= 0):
        first, last = np.searchsorted(lines, [line, line + 1])
        places = first + np.flatnonzero(quantity[first:last] > 0)
        own = np.append(places, n_choices + supplier_of[line])
        _append(rows, columns, values, row=len(most), columns_of=own, values_of=np.append(np.ones(len(places)), -1.0))
        most.append(0.0)
    matrix = csr_array(
        (_joined(values), (_joined(rows).astype(np.int64), _joined(columns).astype(np.int64))),
        shape=(len(most), n_columns),
    )
    choice = csr_array((np.ones(n_choices), (lines, np.arange(n_choices))), shape=(n_lines, n_columns))
    cost = np.concatenate([curves.costs[lines, options], [one.fixed_cost for one in problem.suppliers]])
    return Programme(
        cost=cost, matrix=matrix, most=np.array(most), choice=choice, lines=lines, options=options, n_lines=n_lines
    )


def _append(
    rows: list[Any], columns: list[Any], values: list[Any], *, row: int, columns_of: Places, values_of: Floats
) -> None:
    rows.append(np.full(len(columns_of), row))
    columns.append(columns_of)
    values.append(values_of)


def _joined(parts: list[Any]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)


def conflict(problem: SharedProblem, programme: Programme) -> str:
    """Return which constraints have to give way, by the least breach in shares of each."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array, hstack

    n_soft = len(problem.limits) + len(problem.suppliers)
    scale = [max(abs(one.most), 1e-9) for one in problem.limits]
    scale += [max(one.minimum_value, 1e-9) for one in problem.suppliers]
    n_columns, n_rows = len(programme.cost), len(programme.most)
    soft = coo_array((-np.array(scale), (np.arange(n_soft), np.arange(n_soft))), shape=(n_rows, n_soft))
    matrix = hstack([programme.matrix, soft], format="csr")
    choice = hstack([programme.choice, coo_array((programme.n_lines, n_soft))], format="csr")
    found = milp(
        np.concatenate([np.zeros(n_columns), np.ones(n_soft)]),
        constraints=[LinearConstraint(choice, 1, 1), LinearConstraint(matrix, -np.inf, programme.most)],
        integrality=np.concatenate([np.ones(n_columns), np.zeros(n_soft)]),
        bounds=Bounds(0, np.concatenate([np.ones(n_columns), np.full(n_soft, np.inf)])),
        options={"time_limit": 10.0},
    )
    names = _names(problem)
    if found.x is None:
        return "constraints can't all be kept: " + ", ".join(names) + ". Loosen one of them."
    breach = found.x[n_columns:] * np.array(scale)
    broken = [f"{names[i]} by {breach[i]:.2f}" for i in np.flatnonzero(breach > 1e-6)]
    kept = [names[i] for i in range(n_soft) if breach[i] <= 1e-6]
    beside = f" while {', '.join(kept)} and all service floors are kept" if kept else " while service floors are kept"
    return f"constraints can't all be kept: {', '.join(broken) or ', '.join(names)} must give way{beside}."


def _names(problem: SharedProblem) -> list[str]:
    found = [f"{one.kind} {one.name} (at most {one.most:.2f})" for one in problem.limits]
    return found + [f"supplier minimum of {one.name} ({one.minimum_value:.2f})" for one in problem.suppliers]
