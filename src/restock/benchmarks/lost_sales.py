"""`restock benchmark lost-sales`: policies beside the exact optimum of Zipkin's instances, and at a longer lead time.

Poisson demand of 5 a period, holding 1, penalties 4, 9, 19 and 39 per unit lost. At lead time 4 the optimum and every
policy's cost are exact. At the longer lead time, which no exact method reaches, policies are simulated on common random
numbers; the exact optimum of a shorter lead time is a lower bound, as orders can always be placed later. With demand of
1 a period the optimum is exact at the longer lead time too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from restock.adapters.usage import peak_rss_mb
from restock.benchmarks.result import BenchmarkResult
from restock.errors import ConfigurationError
from restock.replenishment.lost_sales import AverageCost, LostSalesCase, Policy, optimal_cost, poisson_case, policy_cost
from restock.replenishment.lost_sales_policies import (
    base_stock,
    capped_base_stock,
    constant_order,
    myopic,
    projected_level,
    projected_stockout,
    tune,
    tune_whole,
    two_period_myopic,
)
from restock.replenishment.lost_sales_runs import SimulatedCost, simulated_cost

Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
Cost = Callable[[Policy], float]

DEMAND_MEAN = 5.0
SLOW_DEMAND_MEAN = 1.0
HOLDING_COST = 1.0
PENALTIES = (4.0, 9.0, 19.0, 39.0)
LEAD_TIME = 4
OURS = "projected_stockout"
# Limits on the stockout chance that are looked at, as multiples of the newsvendor's.
_LIMITS = (1.2, 3.2)
# Runs and periods that parameters are tuned on: policies that project stock cost fifty times as much to simulate.
_PLAIN_TUNING = (1000, 300)
_PROJECTING_TUNING = (600, 150)
_WARM_UP_PERIODS = 80
# Units; a constant order is cut off where stock would be this high.
_MOST_ON_HAND = 300
# Precision of exact costs, currency per period: far below the fourth digit that is shown.
_PRECISION = 1e-6


@dataclass
class _Found:
    """What was found so far: figures by policy, and the parameters behind them by lead time, penalty and policy."""

    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    bounds: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    n_states: int = 0

    def keep(self, policy: str, figures: dict[str, float]) -> None:
        self.figures.setdefault(policy, {}).update(figures)


def run_lost_sales(
    *,
    seed: int,
    penalties: Sequence[float] = PENALTIES,
    lead_time: int = LEAD_TIME,
    long_lead_time: int,
    bound_lead_time: int,
    runs: int,
    run_periods: int,
    progress: Progress,
) -> BenchmarkResult:
    """Return every policy's cost beside the optimum, or beside its bound.

    Args:
        seed: of the demand that parameters are tuned on; the judged demand has a seed of its own, one higher.
        penalties: currency per unit lost.
        lead_time: periods of the lead time whose costs are exact.
        long_lead_time: periods of the lead time without an exact optimum.
        bound_lead_time: periods of the lead time whose exact optimum is the lower bound there.
        runs: simulated runs at the long lead time.
        run_periods: periods of each.
        progress: shows how far each step is.

    Raises:
        ConfigurationError: the bound's lead time is not below the long one.
    """
    if bound_lead_time >= long_lead_time:
        raise ConfigurationError(
            f"--bound-lead-time must be below --long-lead-time {long_lead_time}, got {bound_lead_time}: "
            "the optimum at a shorter lead time bounds the cost at a longer one."
        )
    begun = time.perf_counter()
    found = _Found()
    for penalty in penalties:
        with progress(f"lead time {lead_time}, penalty {penalty:g}") as advance:
            _exact(_case(lead_time, penalty), seed, found, advance)
        with progress(f"lead time {long_lead_time}, penalty {penalty:g}") as advance:
            case = _case(long_lead_time, penalty)
            bound = optimal_cost(_case(bound_lead_time, penalty), tolerance=_PRECISION)
            found.n_states += bound.n_states
            found.bounds[_key(case, "lower_bound")] = bound.low
            _simulated(case, seed, found, advance, runs=runs, periods=run_periods)
            _slow(_case(long_lead_time, penalty, demand_mean=SLOW_DEMAND_MEAN), seed, found)
    worst = max(value for name, value in found.figures[OURS].items() if name.endswith("above_optimum_pct"))
    found.keep(OURS, {"worst_above_optimum_pct": worst})
    return BenchmarkResult(
        benchmark="lost-sales",
        family=OURS,
        seed=seed,
        rows=found.n_states,
        seconds=time.perf_counter() - begun,
        peak_rss_mb=peak_rss_mb(),
        score=found.figures[OURS],
        baselines={name: figures for name, figures in found.figures.items() if name != OURS},
        families={OURS: found.figures[OURS]},
        skipped=found.skipped,
        setting={
            "demand": f"Poisson({DEMAND_MEAN:g})",
            "holding_cost": HOLDING_COST,
            "bound_lead_time": bound_lead_time,
            "runs": runs,
            "run_periods": run_periods,
            "optima": {name: round(value, 5) for name, value in found.bounds.items()},
            "parameters": found.parameters,
        },
    )


def _case(lead_time: int, penalty: float, *, demand_mean: float = DEMAND_MEAN) -> LostSalesCase:
    return poisson_case(demand_mean, lead_time_periods=lead_time, holding_cost=HOLDING_COST, shortage_cost=penalty)


def _place(case: LostSalesCase) -> str:
    """Return the name of a case in keys; the usual demand goes without saying."""
    mean = round(case.demand_mean, 6)
    demand = "" if mean == DEMAND_MEAN else f"demand_{mean:g}_"
    return f"{demand}lead_time_{case.lead_time_periods}_penalty_{case.shortage_cost:g}"


def _key(case: LostSalesCase, figure: str) -> str:
    return f"{_place(case)}_{figure}"


def _beside_optimum(case: LostSalesCase, seed: int, found: _Found) -> AverageCost:
    """Return the exact optimum of a case, and add how far our policy, tuned by simulation, is above it exactly."""
    optimum = optimal_cost(case, tolerance=_PRECISION)
    found.n_states += optimum.n_states
    limit, policy = _tuned_limit(case, seed)
    _keep_parameters(found, case, OURS, {"most_stockout_probability": limit})
    above = 100 * (_exact_cost(case, policy) / optimum.cost - 1)
    found.keep(OURS, {_key(case, "above_optimum_pct"): above})
    return optimum


def _slow(case: LostSalesCase, seed: int, found: _Found) -> None:
    """Add the same where demand is so small that the optimum is exact at the long lead time too."""
    try:
        optimum = _beside_optimum(case, seed, found)
    except ValueError as error:
        found.skipped[f"exact costs, {_place(case)}"] = str(error)
        return
    found.bounds[_key(case, "optimum")] = optimum.cost


def _exact(case: LostSalesCase, seed: int, found: _Found, advance: Callable[[int, int], None]) -> None:
    """Add the exact optimum and every policy's exact cost above it.

    All parameters are tuned by simulation, as at any lead time.
    """
    optimum = optimal_cost(case, tolerance=_PRECISION)
    found.n_states += optimum.n_states
    found.bounds[_key(case, "optimum")] = optimum.cost
    tuned = _tuned(case, seed)
    tuned["myopic"] = (myopic(case), {})
    tuned["two_period_myopic"] = (two_period_myopic(case), {})
    units = max(int(case.demand_mean - 1e-9), 1)
    tuned["constant_order"] = (constant_order(units), {"units": units})
    for done, (name, (policy, parameters)) in enumerate(tuned.items(), start=1):
        cost = _exact_cost(case, policy)
        _keep_parameters(found, case, name, parameters)
        found.keep(
            name,
            {
                _key(case, "cost"): cost,
                _key(case, "above_optimum_pct"): 100 * (cost / optimum.cost - 1),
            },
        )
        advance(done, len(tuned))


def _simulated(
    case: LostSalesCase, seed: int, found: _Found, advance: Callable[[int, int], None], *, runs: int, periods: int
) -> None:
    """Add every policy's simulated cost, half of its 95 % interval, and how far it is above ours on the same demand."""
    tuned = _tuned(case, seed)
    judged: dict[str, SimulatedCost] = {}
    for done, (name, (policy, parameters)) in enumerate(tuned.items(), start=1):
        judged[name] = simulated_cost(case, policy, seed=seed + 1, n_runs=runs, n_periods=periods)
        _keep_parameters(found, case, name, parameters)
        advance(done, len(tuned))
    for name, simulated in judged.items():
        figures = {"cost": simulated.cost, "half_width": simulated.half_width}
        if name != OURS:
            gap, half_width = simulated.gap_to(judged[OURS])
            scale = 100 / judged[OURS].cost
            figures |= {"above_ours_pct": gap * scale, "above_ours_half_width_pct": half_width * scale}
        found.keep(
            name,
            {_key(case, figure): value for figure, value in figures.items()},
        )


def _exact_cost(case: LostSalesCase, policy: Policy) -> float:
    return policy_cost(case, policy, tolerance=_PRECISION, most_on_hand=_MOST_ON_HAND).cost


def _tuning_cost(case: LostSalesCase, seed: int, size: tuple[int, int]) -> Cost:
    def cost(policy: Policy) -> float:
        runs, periods = size
        return simulated_cost(
            case, policy, seed=seed, n_runs=runs, n_periods=periods, warm_up_periods=_WARM_UP_PERIODS
        ).cost

    return cost


def _tuned(case: LostSalesCase, seed: int) -> dict[str, tuple[Policy, dict[str, float]]]:
    """Return every policy that has parameters, with its best, and these."""
    cost = _tuning_cost(case, seed, _PLAIN_TUNING)
    usual = case.demand_quantile(case.lead_time_periods + 1, case.critical_ratio)
    level, _ = tune_whole(lambda level: cost(base_stock(level)), usual, least=1)
    capped_level, cap = level, case.demand_quantile(1, case.critical_ratio)
    before = (0, 0)
    while before != (capped_level, cap):
        # By turns: the cap for the level, the level for the cap, until neither moves.
        before = (capped_level, cap)
        cap, _ = tune_whole(partial(_capped_cost_of_cap, cost, capped_level), cap, least=1)
        capped_level, _ = tune_whole(partial(_capped_cost_of_level, cost, cap), capped_level, least=1)
    cost = _tuning_cost(case, seed, _PROJECTING_TUNING)
    most = float(case.demand_quantile(2, case.critical_ratio))
    projected, _ = tune(lambda level: cost(projected_level(case, level)), case.demand_mean, most, rounds=3)
    limit, policy = _tuned_limit(case, seed)
    return {
        "base_stock": (base_stock(level), {"level": level}),
        "capped_base_stock": (capped_base_stock(capped_level, cap), {"level": capped_level, "most_units": cap}),
        "projected_level": (projected_level(case, projected), {"level": projected}),
        OURS: (policy, {"most_stockout_probability": limit}),
    }


def _tuned_limit(case: LostSalesCase, seed: int) -> tuple[float, Policy]:
    """Return the best limit of our policy, and the policy with it."""
    cost = _tuning_cost(case, seed, _PROJECTING_TUNING)
    newsvendor = 1 - case.critical_ratio
    multiple, _ = tune(lambda multiple: cost(projected_stockout(case, multiple * newsvendor)), *_LIMITS)
    limit = multiple * newsvendor
    return limit, projected_stockout(case, limit)


def _capped_cost_of_cap(cost: Cost, level: int, cap: int) -> float:
    return cost(capped_base_stock(level, cap))


def _capped_cost_of_level(cost: Cost, cap: int, level: int) -> float:
    return cost(capped_base_stock(level, cap))


def _keep_parameters(found: _Found, case: LostSalesCase, policy: str, parameters: dict[str, float]) -> None:
    found.parameters.setdefault(_place(case), {})[policy] = {
        name: round(value, 5) for name, value in parameters.items()
    }
