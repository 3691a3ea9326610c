"""Expected cost, shortage and service of an order over its window, and the quantities that are best or enough.

All are sums over sample paths of convex or monotone functions of the quantity, so that a bisection over whole steps
finds the exact answer on the paths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.order_windows import OrderWindows
from restock.replenishment.simulate import UnmetDemand

Floats = NDArray[np.floating[Any]]
Quantities = NDArray[np.float64]

# A share of demand or of paths that is missed by less than this is met: float32 paths are no more exact.
_SLACK = 1e-7


@dataclass(frozen=True, kw_only=True)
class WindowCosts:
    """What a window's units cost, each of shape (n_series,), currency.

    Attributes:
        holding_cost: per unit on hand at the end of a period.
        shortage_cost: per unit lost, or per unit that waits at the end of a period.
        waste_cost: per unit that expires.
    """

    holding_cost: Floats
    shortage_cost: Floats
    waste_cost: Floats

    def select(self, rows: NDArray[np.integer[Any]]) -> WindowCosts:
        """Return the costs of some lines."""
        return WindowCosts(
            holding_cost=self.holding_cost[rows],
            shortage_cost=self.shortage_cost[rows],
            waste_cost=self.waste_cost[rows],
        )


@dataclass(frozen=True, kw_only=True)
class WindowOutcome:
    """What is expected of the window with an order, each of shape (n_series,).

    Attributes:
        cost: holding, shortage and waste, currency over the window; without the cost of ordering.
        held: unit-periods on hand.
        short: units lost, or unit-periods that wait.
        missed: units of demand not served at once.
        wasted: units of the order that expire.
        fill_rate: share of the window's demand served at once; 1 without demand.
        stockout_probability: that something is short in the window.
    """

    cost: Quantities
    held: Quantities
    short: Quantities
    missed: Quantities
    wasted: Quantities
    fill_rate: Quantities
    stockout_probability: Quantities


def window_outcome(windows: OrderWindows, quantities: Floats, costs: WindowCosts) -> WindowOutcome:
    """Return what is expected of the window with so many units ordered, shape (n_series,) each."""
    n_paths = windows.worst.shape[1]
    order = np.asarray(quantities, dtype=np.float32)[:, None]
    left = _sum_paths(np.maximum(order - windows.shortfalls, 0))
    after = np.maximum(windows.worst - order, 0)
    wasted = np.zeros(len(left))
    if windows.at_expiry is not None:
        # Stock that was there before is left too where M is below 0; it is no waste of this order.
        wasted = _sum_paths(np.maximum(order - np.maximum(windows.at_expiry, 0), 0)) / n_paths
    if windows.unmet is UnmetDemand.LOST:
        held = left / n_paths + windows.other_held
        short = missed = _sum_paths(after) / n_paths
    else:
        held = left / n_paths
        short = held - quantities * windows.periods + windows.shortfall_sum
        missed = _missed_backorders(windows, order)
    cost = costs.holding_cost * held + costs.shortage_cost * short + costs.waste_cost * wasted
    asked = windows.window_demand
    return WindowOutcome(
        cost=cost,
        held=held,
        short=short,
        missed=missed,
        wasted=wasted,
        fill_rate=1 - np.divide(missed, asked, out=np.zeros_like(missed), where=asked > 0),
        stockout_probability=(after > 0).mean(axis=1),
    )


def cheapest_quantity(windows: OrderWindows, costs: WindowCosts, *, step: Quantities) -> Quantities:
    """Return the least quantity of those at least cost among whole multiples of a step, shape (n_series,), units.

    It may be negative: then stock is that much above what would be ordered up to.

    Args:
        windows: of each line.
        costs: per unit; holding + waste above 0 bounds the quantity.
        step: shape (n_series,), units, > 0.
    """

    def is_enough(quantities: Quantities) -> NDArray[np.bool_]:
        return _cost_of_more(windows, quantities, costs, step=step) >= 0

    return _least_steps(is_enough, windows, step=step)


def quantity_for_cycles(windows: OrderWindows, service: Floats, *, step: Quantities) -> Quantities:
    """Return the least multiple of a step with which the window sees no stockout with the given probability, units."""
    limit = (1 - service + _SLACK) * windows.worst.shape[1]

    def is_enough(quantities: Quantities) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (windows.worst > quantities[:, None].astype(np.float32)).sum(axis=1) <= limit
        return found

    return _least_steps(is_enough, windows, step=step)


def quantity_for_fill_rate(windows: OrderWindows, fill_rate: Floats, *, step: Quantities) -> Quantities:
    """Return the least multiple of a step that serves at least a share of the window's demand at once, units."""
    limit = (1 - fill_rate + _SLACK) * windows.window_demand

    def is_enough(quantities: Quantities) -> NDArray[np.bool_]:
        order = quantities[:, None].astype(np.float32)
        if windows.unmet is UnmetDemand.LOST:
            missed = _sum_paths(np.maximum(windows.worst - order, 0)) / windows.worst.shape[1]
        else:
            missed = _missed_backorders(windows, order)
        found: NDArray[np.bool_] = missed <= limit
        return found

    return _least_steps(is_enough, windows, step=step)


def least_quantity_costing_less(
    windows: OrderWindows, costs: WindowCosts, *, limit: Quantities, most: Quantities, step: Quantities
) -> Quantities:
    """Return the least multiple of a step up to `most` at which the window costs less than a limit, units.

    Args:
        windows: of each line.
        costs: per unit.
        limit: shape (n_series,), currency over the window.
        most: shape (n_series,), the cheapest quantity, from which on costs rise; also the answer where none is below.
        step: shape (n_series,), units.
    """

    def is_enough(quantities: Quantities) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (window_outcome(windows, quantities, costs).cost < limit) | (quantities >= most)
        return found

    # Where an order costs much and waiting little, it pays to let many wait: look well below any shortfall.
    return _least_steps(is_enough, windows, step=step, spans_below=4)


def _cost_of_more(windows: OrderWindows, quantities: Quantities, costs: WindowCosts, *, step: Quantities) -> Quantities:
    """Return what one step more costs, currency times n_paths; it never falls with the quantity."""
    after = (quantities + step).astype(np.float32)[:, None]
    most = step.astype(np.float32)[:, None]
    # np.clip with arrays makes copies that two in-place passes avoid.
    kept = after - windows.shortfalls
    np.maximum(kept, 0, out=kept)
    np.minimum(kept, most, out=kept)
    held = _sum_paths(kept)
    if windows.unmet is UnmetDemand.LOST:
        saved = _sum_paths(np.minimum(np.maximum(windows.worst - (after - most), 0), most))
    else:
        saved = step * windows.periods * windows.worst.shape[1] - held
    found = costs.holding_cost * held - costs.shortage_cost * saved
    if windows.at_expiry is not None:
        found += costs.waste_cost * _sum_paths(
            np.minimum(np.maximum(after - np.maximum(windows.at_expiry, 0), 0), most)
        )
    return found


def _missed_backorders(windows: OrderWindows, order: NDArray[np.float32]) -> Quantities:
    """Return units not served in their own period, mean over paths."""
    if windows.demand is None:
        raise ValueError("windows of lost demand carry no demand by period.")
    late: NDArray[np.float32] = np.clip(windows.shortfalls - order, 0, windows.demand)
    found: Quantities = _sum_paths(late) / windows.worst.shape[1]
    return found


def _sum_paths(values: NDArray[np.float32]) -> Quantities:
    """Return sums by line over paths, and periods where there are any."""
    by_line: NDArray[np.float32] = np.atleast_2d(np.asarray(values.sum(axis=-1)))
    found: Quantities = np.asarray(by_line.sum(axis=0, dtype=np.float64))
    return found


def _least_steps(
    is_enough: Callable[[Quantities], NDArray[np.bool_]],
    windows: OrderWindows,
    *,
    step: Quantities,
    spans_below: int = 0,
) -> Quantities:
    """Return the least multiple of a step that is enough, where more always is; the largest shortfall always is."""
    finite = np.where(np.isfinite(windows.shortfalls), windows.shortfalls, -np.inf)
    high = np.ceil(finite.max(axis=(0, 2)) / step).astype(np.int64)
    low = np.floor(windows.shortfalls.min(axis=(0, 2)) / step).astype(np.int64) - 1
    low -= spans_below * (high - low + 1)
    # low is not looked at: it stands for less than any stock.
    while (high - low > 1).any():
        middle = (low + high) // 2
        enough = is_enough(middle * step)
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    found: Quantities = high * step
    return found
