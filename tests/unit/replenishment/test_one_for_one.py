"""(S-1,S) against events followed one by one, and against every other level."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest

from restock.replenishment.one_for_one import best_one_for_one, erlang_loss, one_for_one
from restock.replenishment.simulate import UnmetDemand

CASE = {"demand_mean": 3.0, "lead_time_periods": 2.0, "holding_cost": 1.0, "shortage_cost": 6.0}


def test_erlang_loss_is_the_cut_off_poisson():
    for level, mean in ((0, 2.0), (1, 0.5), (7, 6.0), (30, 25.0)):
        weights = [mean**units / math.factorial(units) for units in range(level + 1)]
        assert erlang_loss(level, mean=mean) == pytest.approx(weights[-1] / sum(weights))


def follow_events(level, unmet, *, n_events=200_000, seed=6):
    """Fill rate and mean stock over demands one by one, with lead times that are uniform and cross."""
    rng = np.random.default_rng(seed)
    gaps, leads = rng.exponential(1 / 3, n_events), rng.uniform(0, 4, n_events)
    time, stock, waiting, due, served, held = 0.0, level, 0, [], 0, 0.0
    for gap, lead in zip(gaps, leads, strict=True):
        until = time + gap
        while due and due[0] <= until:
            arrived = heapq.heappop(due)
            held += stock * (arrived - time)
            time = arrived
            if waiting:
                waiting -= 1
            else:
                stock += 1
        held += stock * (until - time)
        time = until
        if stock:
            stock, served = stock - 1, served + 1
        elif unmet is UnmetDemand.BACKORDERED:
            waiting += 1
        else:
            continue
        heapq.heappush(due, time + lead)
    return served / n_events, held / time


@pytest.mark.parametrize("unmet", list(UnmetDemand))
def test_one_for_one_agrees_with_events_whose_orders_cross(unmet):
    fill_rate, on_hand = follow_events(8, unmet)
    found = one_for_one(8, **CASE, unmet=unmet)
    # 200,000 demands in some 30,000 independent lead times.
    assert found.fill_rate == pytest.approx(fill_rate, abs=0.01)
    assert found.on_hand_mean == pytest.approx(on_hand, abs=0.06)


@pytest.mark.parametrize("unmet", list(UnmetDemand))
@pytest.mark.parametrize("shortage_cost", [0.3, 6.0, 80.0])
def test_best_one_for_one_costs_the_least_of_all_levels(unmet, shortage_cost):
    case = CASE | {"shortage_cost": shortage_cost}
    costs = [one_for_one(level, **case, unmet=unmet).cost for level in range(40)]
    assert best_one_for_one(**case, unmet=unmet).cost == pytest.approx(min(costs))
