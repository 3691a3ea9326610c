"""Long simulated runs of lost-sales policies on common random numbers, for lead times that exact costs can't reach."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from restock.replenishment.lost_sales import LostSalesCase, Policy

# Two-sided 95 % of a normal distribution; the means of hundreds of independent runs are near one.
_NORMAL_95 = 1.96


@dataclass(frozen=True, kw_only=True)
class SimulatedCost:
    """An average cost per period with what chance leaves open.

    Attributes:
        cost: mean over all runs, currency per period.
        half_width: half of the 95 % confidence interval, currency per period.
        run_costs: the mean of each run; the same seed makes runs of two policies pairs.
    """

    cost: float
    half_width: float
    run_costs: np.ndarray[tuple[int], np.dtype[np.float64]]

    def gap_to(self, other: SimulatedCost) -> tuple[float, float]:
        """Return how much more this costs than another policy on the same demand, and half of its 95 % interval."""
        gap = self.run_costs - other.run_costs
        return float(gap.mean()), _half_width(gap)


def simulated_cost(
    case: LostSalesCase,
    policy: Policy,
    *,
    seed: int,
    n_runs: int = 1000,
    n_periods: int = 1000,
    warm_up_periods: int = 100,
    on_progress: Callable[[int, int], None] | None = None,
) -> SimulatedCost:
    """Return the average cost of a policy over independent runs; each period counts at its expectation given its stock.

    Args:
        case: demand, lead time and costs.
        policy: whole orders >= 0 for each state.
        seed: the same demand follows from the same seed, whatever the policy.
        n_runs: runs side by side.
        n_periods: periods that count in each.
        warm_up_periods: periods before them, from a pipeline of expected demand.
        on_progress: called with periods done and all, now and then.
    """
    rng = np.random.default_rng(seed)
    cumulated = np.cumsum(case.probability)
    usual = round(case.demand_mean)
    states = np.full((n_runs, case.lead_time_periods), usual, dtype=np.int64)
    costs = case.level_costs(2 * len(case.probability))
    total = np.zeros(n_runs)
    periods = warm_up_periods + n_periods
    for period in range(periods):
        if period >= warm_up_periods:
            if (most := int(states[:, 0].max())) >= len(costs):
                costs = case.level_costs(most + 1)
            total += costs[states[:, 0]]
        orders = policy(states)
        demand = np.searchsorted(cumulated[:-1], rng.random(n_runs), side="right")
        left = np.maximum(states[:, 0] - demand, 0)
        on_its_way = np.concatenate([states[:, 1:], orders[:, None]], axis=1)
        on_its_way[:, 0] += left
        states = on_its_way
        if on_progress is not None and period % 100 == 0:
            on_progress(period, periods)
    run_costs = total / n_periods
    return SimulatedCost(cost=float(run_costs.mean()), half_width=_half_width(run_costs), run_costs=run_costs)


def _half_width(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return _NORMAL_95 * float(values.std(ddof=1)) / math.sqrt(len(values))
