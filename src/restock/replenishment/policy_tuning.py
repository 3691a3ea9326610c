"""Tuning of a planner's policy by simulated money: one number a group of lines, searched one group after the other.

The number multiplies the shortage cost that the planner reckons with. Where costs and forecasts were exact and nothing
carried over from one order to the next, 1 would be best; what lost sales, stale stock and a warehouse between supplier
and shop do to that is left to simulation, on the same demand and lead times for every try.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]


class LineGroup(StrEnum):
    """Lines that share a policy parameter."""

    STORE = "store"
    FRESH_STORE = "fresh_store"
    WAREHOUSE = "warehouse"
    FRESH_WAREHOUSE = "fresh_warehouse"


# In this order: what stores ask for is what their warehouse is tuned on.
TUNING_ORDER = (
    (LineGroup.STORE, LineGroup.FRESH_STORE),
    (LineGroup.WAREHOUSE, LineGroup.FRESH_WAREHOUSE),
)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One simulated try.

    Attributes:
        multiples: of the shortage cost, by group.
        costs: of perishable lines and of the others, currency.
    """

    multiples: Mapping[LineGroup, float]
    costs: Mapping[str, float]


def group_lines(*, is_warehouse: NDArray[np.bool_], is_perishable: NDArray[np.bool_]) -> NDArray[np.str_]:
    """Return the group of every line, shape (n_lines,).

    Example:
        >>> group_lines(is_warehouse=np.array([False, True]), is_perishable=np.array([True, False])).tolist()
        ['fresh_store', 'warehouse']
    """
    kinds = np.where(is_warehouse, LineGroup.WAREHOUSE.value, LineGroup.STORE.value)
    found: NDArray[np.str_] = np.where(is_perishable, np.char.add("fresh_", kinds), kinds)
    return found


def line_multiples(groups: NDArray[np.str_], multiples: Mapping[LineGroup, float]) -> NDArray[np.float64]:
    """Return the multiple of every line, shape (n_lines,); 1 for a group that has none."""
    return np.array([multiples.get(LineGroup(group), 1.0) for group in groups.tolist()])


def tune_policy(
    simulate: Callable[[NDArray[np.float64]], Costs],
    groups: NDArray[np.str_],
    *,
    grid: Sequence[float],
    n_rounds: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[LineGroup, float], list[Attempt]]:
    """Return the multiples of least simulated cost by group, and every attempt.

    Perishable lines and the others don't share stock, so one simulation tries a value for both.

    Args:
        simulate: returns the cost of every line, shape (n_lines,), currency, for multiples of the same shape.
        groups: of `group_lines`.
        grid: values to try, the more usual ones first where two cost the same.
        n_rounds: how often all groups are searched in turn.
        on_progress: called with (done, total), simulations at most.
    """
    present = {LineGroup(group) for group in np.unique(groups).tolist()}
    best = dict.fromkeys(sorted(present), 1.0)
    is_fresh = np.array([group.startswith("fresh_") for group in groups.tolist()], dtype=bool)
    sides = {"fresh": is_fresh, "durable": ~is_fresh}
    known: dict[tuple[tuple[LineGroup, float], ...], dict[str, float]] = {}
    attempts: list[Attempt] = []

    def cost_of(multiples: dict[LineGroup, float]) -> dict[str, float]:
        key = tuple(sorted(multiples.items()))
        if key not in known:
            costs = simulate(line_multiples(groups, multiples))
            known[key] = {side: float(costs[rows].sum()) for side, rows in sides.items()}
            attempts.append(Attempt(multiples=dict(multiples), costs=known[key]))
            if on_progress is not None:
                on_progress(min(len(attempts), total), total)
        return known[key]

    searched = [[group for group in pair if group in present] for pair in TUNING_ORDER]
    total = 1 + n_rounds * sum(len(set(grid)) for pair in searched if pair)
    least = dict(cost_of(best))
    for _ in range(n_rounds):
        for pair in searched:
            tries = {value: cost_of(best | dict.fromkeys(pair, value)) for value in grid if pair}
            for group in pair:
                side = "fresh" if group.startswith("fresh_") else "durable"
                for value, costs in tries.items():
                    if costs[side] < least[side]:
                        least[side], best = costs[side], best | {group: value}
    return best, attempts
