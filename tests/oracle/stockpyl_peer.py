"""Run by an interpreter of its own that holds stockpyl: its answers to its named instances, as JSON on stdout.

stockpyl brings old documentation tools with it and stays out of restock's environment. `stockpyl_instances.json` keeps
what this file printed; the test `real` runs it again.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

VERSION = "1.0.2"
# From kind to (stockpyl's module, its function, instances). Guaranteed-service networks are handled by themselves. Left
# out: figure_6_12, a drawing without figures, and example_9_3 (newsvendor with disruptions), on which stockpyl 1.0.2
# raises a TypeError; its published answer is tested.
SINGLE_ECHELON = {
    "economic_order_quantity": ("eoq", "economic_order_quantity", ["example_3_1", "problem_3_1"]),
    "economic_order_quantity_with_backorders": (
        "eoq", "economic_order_quantity_with_backorders", ["example_3_8", "problem_3_2b"],
    ),
    "economic_production_quantity": ("eoq", "economic_production_quantity", ["problem_3_22"]),
    "all_units_discount": (
        "eoq", "economic_order_quantity_with_all_units_discounts", ["example_3_5", "problem_3_12"],
    ),
    "incremental_discount": (
        "eoq", "economic_order_quantity_with_incremental_discounts", ["example_3_5", "problem_3_12"],
    ),
    "joint_replenishment": (
        "eoq", "joint_replenishment_problem_silver_heuristic",
        ["scmo_jrp_ex", "spp_jrp", "silver_jrp", "scmo_jrp_hw_1", "scmo_jrp_hw_2", "scmo_jrp_hw_3"],
    ),
    "wagner_whitin": (
        "wagner_whitin", "wagner_whitin", ["example_3_9", "problem_3_27", "problem_3_29", "scmo_ww_hw_c"],
    ),
    "newsvendor_normal": (
        "newsvendor", "newsvendor_normal", ["example_4_1", "example_4_3", "problem_4_1", "example_4_4"],
    ),
    "newsvendor_normal_explicit": ("newsvendor", "newsvendor_normal_explicit", ["example_4_2", "problem_4_3b"]),
    "newsvendor_poisson": ("newsvendor", "newsvendor_poisson", ["problem_4_8a"]),
    "newsvendor_discrete": ("newsvendor", "newsvendor_discrete", ["problem_4_7b"]),
    "newsvendor_lognormal": ("newsvendor", "newsvendor_continuous", ["problem_4_8b"]),
    "s_s_poisson": ("ss", "s_s_discrete_exact", ["example_4_7", "problem_4_31"]),
    "s_s_power": ("ss", "s_s_power_approximation", ["example_4_8", "problem_4_32"]),
    "finite_horizon": ("finite_horizon", "finite_horizon_dp", ["problem_4_29", "problem_4_30"]),
    "r_q_normal": ("rq", "r_q_cost", ["example_5_1", "problem_5_1", "problem_5_3"]),
    "r_q_expected_inventory": ("rq", "r_q_eil_approximation", ["example_5_1", "problem_5_1", "problem_5_3"]),
    "r_q_backorder_quantity": ("rq", "r_q_eoqb_approximation", ["example_5_1", "problem_5_1", "problem_5_3"]),
    "r_q_quantity_and_safety_stock": ("rq", "r_q_eoqss_approximation", ["example_5_1", "problem_5_1", "problem_5_3"]),
    "r_q_loss_function": ("rq", "r_q_loss_function_approximation", ["example_5_1", "problem_5_1", "problem_5_3"]),
    "r_q_poisson": ("rq", "r_q_poisson_exact", ["problem_5_2", "example_5_8"]),
    "eoq_with_disruptions": ("supply_uncertainty", "eoq_with_disruptions", ["example_9_1", "problem_9_8"]),
    "eoq_with_additive_yield": (
        "supply_uncertainty", "eoq_with_additive_yield_uncertainty", ["example_9_4", "problem_9_4a"],
    ),
    "eoq_with_multiplicative_yield": (
        "supply_uncertainty", "eoq_with_multiplicative_yield_uncertainty", ["example_9_5", "problem_9_4b"],
    ),
    "newsvendor_with_additive_yield": (
        "supply_uncertainty", "newsvendor_with_additive_yield_uncertainty", ["example_9_6", "problem_9_5"],
    ),
}  # fmt: skip
GUARANTEED_SERVICE = [
    "example_6_3", "problem_6_7", "problem_6_8", "problem_6_9", "example_6_5", "figure_6_14",
]  # fmt: skip


def main() -> None:
    """Print one JSON object: by kind and instance, the data and what stockpyl finds."""
    warnings.simplefilter("ignore")
    from importlib import import_module

    from stockpyl.instances import load_instance

    found: dict[str, dict[str, Any]] = {}
    for kind, (module, function, names) in SINGLE_ECHELON.items():
        solve = getattr(import_module(f"stockpyl.{module}"), function)
        found[kind] = {}
        for name in names:
            data = load_instance(name)
            found[kind][name] = {"data": plain(data), "answer": plain(answer(kind, solve, data))}
    found["guaranteed_service"] = {name: guaranteed_service(load_instance(name)) for name in GUARANTEED_SERVICE}
    print(json.dumps(found, indent=1, sort_keys=True))


def answer(  # noqa: PLR0911 - one return per kind that asks for something of its own
    kind: str, solve: Any, data: dict[str, Any]
) -> Any:
    """Return what stockpyl's function says, the parts of it that are figures."""
    if kind == "newsvendor_lognormal":
        from math import exp

        from scipy.stats import lognorm

        distribution = lognorm(s=data["sigma"], scale=exp(data["mu"]))
        return solve(data["holding_cost"], data["stockout_cost"], demand_distrib=distribution)
    if kind == "s_s_poisson":
        return solve(**data, use_poisson=True)
    if kind == "r_q_normal":
        from stockpyl.rq import r_q_optimal_r_for_q

        quantity = 300.0
        rest = {name: value for name, value in data.items() if name != "fixed_cost"}
        reorder_point = r_q_optimal_r_for_q(quantity, **rest, tol=1e-12)
        return reorder_point, quantity, solve(reorder_point, quantity, **data)
    if kind == "r_q_backorder_quantity":
        from stockpyl.rq import r_q_optimal_r_for_q

        # The same by hand: its own search for the reorder point stops at 1e-6 of the cost.
        _, order_quantity = solve(**data)
        rest = {name: value for name, value in data.items() if name != "fixed_cost"}
        return r_q_optimal_r_for_q(order_quantity, **rest, tol=1e-11), order_quantity
    if kind in ("r_q_expected_inventory", "r_q_loss_function"):
        return solve(**data, tol=1e-10)
    if kind == "finite_horizon":
        reorder_points, levels, cost, *_ = solve(**data)
        return reorder_points[1:], levels[1:], cost
    if kind == "newsvendor_with_additive_yield":
        from scipy.stats import uniform
        from stockpyl.loss_functions import uniform_loss

        low, high = data["yield_lo"], data["yield_hi"]
        rest = {name: data[name] for name in ("holding_cost", "stockout_cost", "demand")}
        return solve(
            **rest, yield_distribution=uniform(low, high - low), loss_function=lambda x: uniform_loss(x, low, high)
        )
    return solve(**data)


def guaranteed_service(network: Any) -> dict[str, Any]:
    """Return a network's stages and arcs and stockpyl's service times and cost."""
    from stockpyl.gsm_tree import optimize_committed_service_times, preprocess_tree

    for node in network.sink_nodes:
        # The serial instances name no mean; the cost needs none.
        node.demand_source.mean = node.demand_source.mean or 0
    times, cost = optimize_committed_service_times(network)
    stages = {}
    for node in preprocess_tree(network).nodes:
        stages[str(node.index)] = {
            "processing_time": node.processing_time,
            "holding_cost": node.holding_cost,
            "external_inbound_cst": node.external_inbound_cst,
            "external_outbound_cst": node.external_outbound_cst,
            "demand_bound_constant": node.demand_bound_constant,
            "demand_sd": node.demand_source.standard_deviation,
            "successors": [each.index for each in node.successors()],
        }
    return {"data": plain(stages), "answer": plain({"service_times": times, "cost": cost})}


def plain(value: Any) -> Any:
    """Return a value as JSON knows it."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.tolist() if hasattr(value, "tolist") else value


if __name__ == "__main__":
    main()
