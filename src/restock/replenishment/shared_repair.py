"""A plan within all shared constraints without a search: prices raised until limits hold, small orders topped up.

It is what a large group falls back on when time is up, and the first plan that others have to beat.
"""

from __future__ import annotations

import numpy as np

from restock.replenishment.shared_constraints import Floats, Places, SharedProblem, SupplierOrder
from restock.replenishment.shared_mip import plan_cost

# Each round raises the prices of limits to so many times what the relaxation says.
_FACTORS = (1.0, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1e4, 1e8)


def repaired_plan(problem: SharedProblem, prices: Floats) -> Places | None:
    """Return the cheapest plan found that keeps all constraints, the option of each line; None where none was found.

    Args:
        problem: one group.
        prices: shape (n_limits + n_suppliers,), of the relaxation, currency per unit.
    """
    best, least = None, np.inf
    # A limit without a price may be broken by what tops up an order: let it bite too, in cost per line's own units.
    spread = float(np.ptp(np.where(np.isfinite(problem.curves.costs), problem.curves.costs, 0), axis=1).mean())
    for factor in _FACTORS:
        per_unit = np.zeros(len(problem.curves.quantities))
        for limit, price in zip(problem.limits, prices, strict=False):
            floor = spread / max(abs(limit.most), 1e-9) * (factor - 1)
            per_unit += max(price * factor, floor) * limit.use
        options = _priced_plan(problem, per_unit)
        if not _keeps_limits(problem, options):
            continue
        cost = plan_cost(problem, options)
        if cost < least:
            best, least = options, cost
        elif best is not None:
            break
    return best


def _priced_plan(problem: SharedProblem, per_unit: Floats) -> Places:
    """Return each line's best at prices, suppliers' orders topped up to their minimum or not placed at all."""
    curves = problem.curves
    priced = curves.costs + per_unit[:, None] * curves.quantities
    options: Places = np.argmin(priced, axis=1).astype(np.int64)
    for supplier in problem.suppliers:
        own = supplier.lines
        topped = _topped_up(supplier, priced[own], curves.quantities[own], options[own])
        none = np.zeros(len(own), dtype=np.int64)
        placed = np.inf
        if topped is not None:
            placed = supplier.fixed_cost + float(priced[own, topped].sum())
        options[own] = none if float(priced[own, 0].sum()) <= placed or topped is None else topped
    return options


def _topped_up(supplier: SupplierOrder, priced: Floats, quantities: Floats, options: Places) -> Places | None:
    """Return choices worth the supplier's minimum, raised where a unit of value costs least; None: impossible."""
    rows = np.arange(len(options))
    options = options.copy()
    value = supplier.unit_values[:, None] * quantities
    missing = supplier.minimum_value - float(value[rows, options].sum())
    while missing > 1e-9:
        more = value - value[rows, options][:, None]
        gained = np.minimum(more, missing)
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = np.where(gained > 1e-12, (priced - priced[rows, options][:, None]) / gained, np.inf)
        line, option = np.unravel_index(np.argmin(rate), rate.shape)
        if not np.isfinite(rate[line, option]):
            return None
        missing -= float(more[line, option])
        options[line] = option
    return options


def _keeps_limits(problem: SharedProblem, options: Places) -> bool:
    rows = np.arange(len(options))
    if not np.isfinite(problem.curves.costs[rows, options]).all():
        return False
    chosen = problem.curves.quantities[rows, options]
    return all(float(one.use @ chosen) <= one.most * (1 + 1e-12) + 1e-9 for one in problem.limits)
