"""Guaranteed-service placement against stockpyl's trees and against trying everything."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from restock.replenishment.guaranteed_service import Stage, place_safety_stock

KEPT = json.loads((Path(__file__).parent / "stockpyl_instances.json").read_text(encoding="utf-8"))["guaranteed_service"]
ENDLESS = 1e6


def network_of(data):
    stages = [
        Stage(
            name=name,
            processing_periods=each["processing_time"],
            holding_cost=each["holding_cost"],
            demand_deviation=each["demand_sd"] or 0.0,
            safety_factor=each["demand_bound_constant"],
            supplier_service_periods=each["external_inbound_cst"],
            most_service_periods=None if each["external_outbound_cst"] > ENDLESS else each["external_outbound_cst"],
        )
        for name, each in data.items()
    ]
    return stages, [(name, str(other)) for name, each in data.items() for other in each["successors"]]


def check_placement(stages, arcs, found):
    """The service times are allowed and cost what is said."""
    by_name = {stage.name: stage for stage in stages}
    cost = 0.0
    for stage in stages:
        service, inbound = found.service_periods[stage.name], found.inbound_periods[stage.name]
        net = inbound + stage.processing_periods - service
        assert min(service, net) >= 0
        assert inbound >= stage.supplier_service_periods
        assert stage.most_service_periods is None or service <= stage.most_service_periods
        cost += by_name[stage.name].holding_cost * found.safety_stock[stage.name]
    for supplier, customer in arcs:
        assert found.inbound_periods[customer] >= found.service_periods[supplier]
    assert cost == pytest.approx(found.cost)


@pytest.mark.parametrize("name", KEPT)
def test_named_tree_costs_what_stockpyl_says(name):
    stages, arcs = network_of(KEPT[name]["data"])
    found = place_safety_stock(stages, arcs)
    check_placement(stages, arcs, found)
    assert found.cost == pytest.approx(KEPT[name]["answer"]["cost"], rel=1e-9)


def least_cost_by_trying(stages, arcs):
    customers = {stage.name: [b for a, b in arcs if a == stage.name] for stage in stages}
    suppliers = {stage.name: [a for a, b in arcs if b == stage.name] for stage in stages}
    by_name = {stage.name: stage for stage in stages}

    def variance(name):
        return by_name[name].demand_deviation ** 2 + sum(variance(each) for each in customers[name])

    most = sum(stage.processing_periods for stage in stages) + max(stage.supplier_service_periods for stage in stages)
    best = math.inf
    limits = [most if stage.most_service_periods is None else stage.most_service_periods for stage in stages]
    for times in itertools.product(*(range(limit + 1) for limit in limits)):
        service = dict(zip(by_name, times, strict=True))
        cost = 0.0
        for name, stage in by_name.items():
            inbound = max([stage.supplier_service_periods, *(service[each] for each in suppliers[name])])
            net = inbound + stage.processing_periods - service[name]
            if net < 0:
                break
            cost += stage.holding_cost * stage.safety_factor * math.sqrt(variance(name) * net)
        else:
            best = min(best, cost)
    return best


@pytest.mark.parametrize("seed", range(12))
def test_random_tree_costs_the_least_of_all_service_times(seed):
    rng = np.random.default_rng(seed)
    names = [f"s{place}" for place in range(4)]
    arcs = []
    for place in range(1, 4):
        other = int(rng.integers(0, place))
        arcs.append((names[place], names[other]) if rng.random() < 0.5 else (names[other], names[place]))
    sells = {name for name in names if name not in {a for a, _ in arcs}}
    stages = [
        Stage(
            name=name,
            processing_periods=int(rng.integers(0, 4)),
            holding_cost=float(rng.uniform(0.5, 4)),
            demand_deviation=float(rng.uniform(1, 5)) if name in sells else 0.0,
            safety_factor=1.6,
            supplier_service_periods=int(rng.integers(0, 2)),
            most_service_periods=int(rng.integers(0, 3)) if name in sells else None,
        )
        for name in names
    ]
    found = place_safety_stock(stages, arcs)
    check_placement(stages, arcs, found)
    assert found.cost == pytest.approx(least_cost_by_trying(stages, arcs))


def stage(name):
    return Stage(name=name, processing_periods=1, holding_cost=1.0)


@pytest.mark.parametrize(
    ("arcs", "complaint"),
    [
        ([("a", "b"), ("b", "c"), ("a", "c")], "need 2 links that connect all, got 3"),
        ([("a", "b")], "got 1 that reach 1"),
        ([("a", "b"), ("b", "d")], "names a stage that is none of"),
    ],
)
def test_network_that_is_no_tree_is_refused(arcs, complaint):
    with pytest.raises(ValueError, match=complaint):
        place_safety_stock([stage("a"), stage("b"), stage("c")], arcs)
