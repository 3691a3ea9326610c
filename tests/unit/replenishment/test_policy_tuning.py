"""Tuning against costs whose least point is known."""

from __future__ import annotations

import numpy as np

from restock.replenishment.policy_tuning import LineGroup, group_lines, line_multiples, tune_policy

GROUPS = group_lines(
    is_warehouse=np.array([False, False, True, True]), is_perishable=np.array([False, True, False, True])
)
BEST = {
    LineGroup.STORE: 0.5,
    LineGroup.FRESH_STORE: 2.0,
    LineGroup.WAREHOUSE: 1.0,
    LineGroup.FRESH_WAREHOUSE: 0.25,
}


def cost(multiples: np.ndarray) -> np.ndarray:
    return (np.log(multiples) - np.log(line_multiples(GROUPS, BEST))) ** 2 + 1.0


def test_tune_policy_finds_each_groups_own_least_cost() -> None:
    found, attempts = tune_policy(cost, GROUPS, grid=(0.25, 0.5, 1.0, 2.0))
    assert found == BEST
    # A first one, three other values for the stores, and four for the warehouses of the best stores.
    assert len(attempts) == 8
    assert min(attempt.costs["fresh"] for attempt in attempts) == 2.0


def test_tune_policy_where_nothing_is_better_keeps_the_shortage_cost() -> None:
    found, _ = tune_policy(lambda multiples: np.ones(len(multiples)), GROUPS, grid=(0.5, 1.0, 2.0))
    assert set(found.values()) == {1.0}


def test_tune_policy_without_warehouses_or_perishables_searches_the_stores_alone() -> None:
    groups = group_lines(is_warehouse=np.zeros(3, dtype=bool), is_perishable=np.zeros(3, dtype=bool))
    seen: list[tuple[int, int]] = []
    found, attempts = tune_policy(
        lambda multiples: multiples, groups, grid=(0.5, 1.0), on_progress=lambda done, total: seen.append((done, total))
    )
    assert found == {LineGroup.STORE: 0.5}
    assert len(attempts) == 2
    assert seen == [(1, 3), (2, 3)]


def test_line_multiples_of_a_group_that_was_not_tuned_is_one() -> None:
    assert line_multiples(GROUPS, {LineGroup.WAREHOUSE: 0.5}).tolist() == [1.0, 1.0, 0.5, 1.0]
