"""Golden orders: a few made-up lines with what the planner ordered under a policy, replayed wherever it is checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from restock.errors import GoldenReplayError
from restock.operations.replenishment.policy import Policy
from restock.replenishment.order_lines import OrderLines, order_terms
from restock.replenishment.order_plan import plan_orders
from restock.replenishment.policy_tuning import LineGroup, line_multiples

_SCHEMA_VERSION = 1
_N_PATHS, _HORIZON = 60, 21
# The same numbers everywhere: Philox is specified, and only whole units are kept.
_SEED = 20240101
_TOLERANCE_UNITS = 1e-6


def make_policy_golden(policy: Policy) -> dict[str, Any]:
    """Return golden inputs and the orders that the planner places on them, ready for JSON: one line a group."""
    groups = [group.value for group in LineGroup]
    rng = np.random.Generator(np.random.Philox(_SEED))
    demand = rng.poisson(np.array([2.0, 5.0, 14.0, 30.0])[:, None, None], (len(groups), _N_PATHS, _HORIZON))
    inputs = {
        "groups": groups,
        "demand_paths": demand.tolist(),
        "lead_times": np.minimum(rng.poisson(2.0, (len(groups), _N_PATHS)), 5).tolist(),
        "review_periods": [1, 1, 3, 2],
        "on_hand": [3.0, 6.0, 40.0, 60.0],
        "holding_cost": [0.01, 0.01, 0.01, 0.01],
        "shortage_cost": [1.0, 2.0, 1.0, 2.0],
        "waste_cost": [2.0, 2.0, 2.0, 2.0],
        "shelf_life_periods": [0, 4, 0, 5],
        "fixed_order_cost": [0.0, 0.0, 2.0, 2.0],
        "order_multiple": [1.0, 2.0, 6.0, 6.0],
    }
    return {
        "schema_version": _SCHEMA_VERSION,
        "absolute_tolerance_units": _TOLERANCE_UNITS,
        "inputs": inputs,
        "outputs": {"order_quantity": _orders(inputs, policy)},
    }


def replay_policy_golden(policy: Policy, golden: Any) -> None:
    """Plan the golden lines again and return if the golden orders come back.

    Raises:
        GoldenReplayError: an order differs, or `golden` is not what `make_policy_golden` writes.
    """
    try:
        expected = [float(units) for units in golden["outputs"]["order_quantity"]]
        tolerance = float(golden["absolute_tolerance_units"])
        found = _orders(golden["inputs"], policy)
    except (KeyError, TypeError, ValueError) as error:
        raise GoldenReplayError(
            f"golden.json is not what promotion writes: {error!r}. Promote the policy anew."
        ) from error
    if len(found) != len(expected) or not np.allclose(found, expected, rtol=0, atol=tolerance):
        raise GoldenReplayError(f"golden replay gave other orders: expected {expected}, got {found}.")


def _orders(inputs: dict[str, Any], policy: Policy) -> list[float]:
    n_lines = len(inputs["groups"])
    lines = OrderLines(
        demand_paths=np.array(inputs["demand_paths"], dtype=np.float32),
        on_hand=np.array(inputs["on_hand"]),
        backorders=np.zeros(n_lines),
        lead_times=np.array(inputs["lead_times"]),
        review_periods=np.array(inputs["review_periods"]),
        season_periods=7,
    )
    multiples = line_multiples(np.array(inputs["groups"]), policy.shortage_multiples)
    terms = order_terms(
        n_lines,
        holding_cost=np.array(inputs["holding_cost"]),
        shortage_cost=np.array(inputs["shortage_cost"]) * multiples,
        waste_cost=np.array(inputs["waste_cost"]),
        shelf_life_periods=np.array(inputs["shelf_life_periods"]),
        fixed_order_cost=np.array(inputs["fixed_order_cost"]),
        order_multiple=np.array(inputs["order_multiple"]),
    )
    found: list[float] = plan_orders(lines, terms).order_quantity.tolist()
    return found
