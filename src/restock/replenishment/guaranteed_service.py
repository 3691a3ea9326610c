"""Where in a network to hold safety stock: guaranteed service times of least holding cost, exactly, on trees.

Every stage promises its customers a service time and is promised one by its suppliers. It holds the stock that covers
the demand of its net replenishment time, what it is promised + its own processing - what it promises, up to a bound on
demand. Times are whole periods.

Source: Graves and Willems (2000), Optimizing Strategic Safety Stock Placement in Supply Chains, with the erratum of
2003; Snyder and Shen (2019), section 6.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One location that may hold stock of one sku.

    Attributes:
        name: unique.
        processing_periods: from having everything to having it ready, whole periods >= 0.
        holding_cost: currency per unit and period.
        demand_deviation: standard deviation of its own customers' demand, units per period; demand is independent
            between stages and periods.
        safety_factor: how many deviations of demand are covered.
        supplier_service_periods: what suppliers outside the network promise, whole periods >= 0.
        most_service_periods: the longest that it may promise; none: as long as it likes.
    """

    name: str
    processing_periods: int
    holding_cost: float
    demand_deviation: float = 0.0
    safety_factor: float = 1.0
    supplier_service_periods: int = 0
    most_service_periods: int | None = None


@dataclass(frozen=True, kw_only=True)
class StockPlacement:
    """What every stage promises and holds.

    Attributes:
        service_periods: promised to customers, by stage.
        inbound_periods: promised by suppliers at worst, by stage.
        safety_stock: units, by stage.
        cost: holding cost of all safety stock, currency per period.
    """

    service_periods: dict[str, int]
    inbound_periods: dict[str, int]
    safety_stock: dict[str, float]
    cost: float


def place_safety_stock(stages: Sequence[Stage], arcs: Iterable[tuple[str, str]]) -> StockPlacement:
    """Return the service times of least holding cost.

    Args:
        stages: of the network.
        arcs: supplier and customer of each link; as undirected links they form a tree.

    Raises:
        ValueError: the links form no tree or name no stage, or a time is negative.

    Example:
        >>> stages = (
        ...     Stage(name="raw", processing_periods=2, holding_cost=1, supplier_service_periods=1),
        ...     Stage(name="build", processing_periods=1, holding_cost=2),
        ...     Stage(name="ship", processing_periods=1, holding_cost=3, demand_deviation=1, most_service_periods=0),
        ...     Stage(name="store", processing_periods=1, holding_cost=3, demand_deviation=1, most_service_periods=1),
        ... )
        >>> found = place_safety_stock(stages, (("raw", "build"), ("build", "ship"), ("build", "store")))
        >>> round(found.cost, 3)  # Snyder and Shen, example 6.5
        8.278
    """
    tree = _Tree(stages, arcs)
    for name in tree.order:
        tree.solve(name)
    service, inbound = tree.backtrack()
    stock, cost = {}, 0.0
    for stage in stages:
        net = inbound[stage.name] + stage.processing_periods - service[stage.name]
        stock[stage.name] = stage.safety_factor * tree.deviation[stage.name] * math.sqrt(net)
        cost += stage.holding_cost * stock[stage.name]
    return StockPlacement(service_periods=service, inbound_periods=inbound, safety_stock=stock, cost=cost)


class _Tree:
    """The network hung up at its last stage, and the least cost of every part of it."""

    def __init__(self, stages: Sequence[Stage], arcs: Iterable[tuple[str, str]]) -> None:
        self.stages = {stage.name: stage for stage in stages}
        self.suppliers: dict[str, list[str]] = {name: [] for name in self.stages}
        self.customers: dict[str, list[str]] = {name: [] for name in self.stages}
        n_arcs = 0
        for supplier, customer in arcs:
            if supplier not in self.stages or customer not in self.stages:
                raise ValueError(f"link {supplier} to {customer} names a stage that is none of {sorted(self.stages)}.")
            self.customers[supplier].append(customer)
            self.suppliers[customer].append(supplier)
            n_arcs += 1
        for stage in stages:
            if min(stage.processing_periods, stage.supplier_service_periods, stage.most_service_periods or 0) < 0:
                raise ValueError(f"times of stage {stage.name} must be >= 0, got {stage}.")
        self.parent: dict[str, str] = {}
        self.order = self._hang_up(stages[-1].name)
        if len(self.stages) != len(stages) or n_arcs != len(stages) - 1 or len(self.order) != len(stages):
            raise ValueError(
                f"{len(stages)} stages of unique names need {len(stages) - 1} links that connect all, got {n_arcs} "
                f"that reach {len(self.order)}. Guaranteed service is exact on trees only."
            )
        self.deviation = {name: math.sqrt(self._variance(name)) for name in self.stages}
        self.longest = {name: self._longest(name) for name in self.stages}
        # Least cost of the part below a stage: given what it promises to a parent that is its customer, or given what
        # it is promised at worst by a parent that is its supplier; and the choice behind it.
        self.cost: dict[str, Floats] = {}
        self.choice: dict[str, NDArray[np.int64]] = {}

    def _hang_up(self, root: str) -> list[str]:
        """Return the stages, each after all that hang below it."""
        order, waiting, seen = [], [root], {root}
        while waiting:
            name = waiting.pop()
            order.append(name)
            for other in (*self.suppliers[name], *self.customers[name]):
                if other not in seen:
                    seen.add(other)
                    self.parent[other] = name
                    waiting.append(other)
        return order[::-1]

    def _variance(self, name: str) -> float:
        return self.stages[name].demand_deviation ** 2 + sum(self._variance(each) for each in self.customers[name])

    def _longest(self, name: str) -> int:
        """Return the longest time that a stage can need, from the start of its supply chain."""
        stage = self.stages[name]
        before = (stage.supplier_service_periods, *(self._longest(each) for each in self.suppliers[name]))
        return stage.processing_periods + max(before)

    def pair_costs(self, name: str) -> Floats:
        """Return the cost of a stage and all below it, shape (promised by it, promised to it)."""
        stage, longest = self.stages[name], self.longest[name]
        service = np.arange(longest + 1)[:, None]
        inbound = np.arange(longest - stage.processing_periods + 1)[None, :]
        net = inbound + stage.processing_periods - service
        most = longest if stage.most_service_periods is None else stage.most_service_periods
        is_possible = (net >= 0) & (inbound >= stage.supplier_service_periods) & (service <= most)
        held = stage.holding_cost * stage.safety_factor * self.deviation[name] * np.sqrt(np.maximum(net, 0))
        cost = np.where(is_possible, held, np.inf)
        for below in self._below(name):
            if below in self.suppliers[name]:
                cost = cost + self._cheapest_service(below, inbound.shape[1])[None, :]
            else:
                cost = cost + self._cheapest_inbound(below, len(service))[:, None]
        return cost

    def solve(self, name: str) -> None:
        """Keep the least cost of a stage and all below it for every promise to or from its parent."""
        cost = self.pair_costs(name)
        axis = 1 if self.parent.get(name) in self.customers[name] else 0
        self.cost[name], self.choice[name] = cost.min(axis=axis), cost.argmin(axis=axis)

    def backtrack(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return what each stage promises and is promised, from the top down."""
        service: dict[str, int] = {}
        inbound: dict[str, int] = {}
        for name in reversed(self.order):
            parent = self.parent.get(name)
            if parent is None:
                inbound[name] = int(np.argmin(self.cost[name]))
                service[name] = int(self.choice[name][inbound[name]])
            elif parent in self.customers[name]:
                most = min(inbound[parent], len(self.cost[name]) - 1)
                service[name] = int(np.argmin(self.cost[name][: most + 1]))
                inbound[name] = int(self.choice[name][service[name]])
            else:
                least = service[parent]
                inbound[name] = least + int(np.argmin(self.cost[name][least:]))
                service[name] = int(self.choice[name][inbound[name]])
        return service, inbound

    def _below(self, name: str) -> list[str]:
        return [each for each in (*self.suppliers[name], *self.customers[name]) if self.parent.get(each) == name]

    def _cheapest_service(self, supplier: str, n_inbound: int) -> Floats:
        """Return the least cost of a supplier below that promises at most 0, 1, … periods, shape (n_inbound,)."""
        least = np.minimum.accumulate(self.cost[supplier])
        return least[np.minimum(np.arange(n_inbound), len(least) - 1)]

    def _cheapest_inbound(self, customer: str, n_service: int) -> Floats:
        """Return the least cost of a customer below that is promised at least 0, 1, … periods, shape (n_service,)."""
        least = np.minimum.accumulate(self.cost[customer][::-1])[::-1]
        found = np.full(n_service, np.inf)
        found[: len(least)] = least[:n_service]
        return found
