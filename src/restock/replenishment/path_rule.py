"""The planner as a rule for the walk-forward simulation: at every review it orders from the forecast of its day.

Stores are planned first. Their warehouse is asked for what they order, and from then on for what their customers take:
a store's order replaces what it sold.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.order_lines import Objective, OpenOrders, OrderLines, OrderTerms
from restock.replenishment.order_plan import plan_orders
from restock.replenishment.simulate import UnmetDemand
from restock.replenishment.walk_forward import FROM_OUTSIDE, Situation, TradingTerms

Integers = NDArray[np.integer[Any]]
Quantities = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PathRule:
    """Orders by `plan_orders`, from the latest forecast that is known.

    Attributes:
        paths: one a forecast, shape (n_rows, n_paths, horizon), units; of a warehouse the sum of those it supplies.
        forecast_from: shape (n_forecasts,), increasing: from the end of this period on a forecast is known; its paths
            begin in the period after.
        lead_times: shape (n_rows, n_paths), periods, drawn for an order of any period.
        trading: who supplies whom.
        terms: costs and what suppliers accept, as the planner sees them.
        season_periods: what repeats beyond the horizon.
        unmet: what becomes of demand that stock can't serve.
        objective: what orders aim at.
    """

    paths: tuple[NDArray[np.float32], ...]
    forecast_from: NDArray[np.intp]
    lead_times: Integers
    trading: TradingTerms
    terms: OrderTerms
    season_periods: int
    unmet: UnmetDemand = UnmetDemand.LOST
    objective: Objective = Objective.COST
    _arrivals: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    @cached_property
    def _is_warehouse(self) -> NDArray[np.bool_]:
        found = np.zeros(len(self.trading), dtype=np.bool_)
        found[self.trading.source[self.trading.source != FROM_OUTSIDE]] = True
        return found

    def __call__(self, situation: Situation) -> Quantities:
        """Return what to order at the end of a period, shape (n_rows,), units."""
        orders = np.zeros(len(self.trading))
        stores = np.flatnonzero(situation.is_review & ~self._is_warehouse)
        orders[stores] = self._plan(stores, situation, asked=orders)
        warehouses = np.flatnonzero(situation.is_review & self._is_warehouse)
        if warehouses.size:
            source = self.trading.source
            inside = source != FROM_OUTSIDE
            asked = np.bincount(source[inside], weights=orders[inside], minlength=len(orders)).astype(np.float64)
            orders[warehouses] = self._plan(warehouses, situation, asked=asked)
        return orders

    def _plan(self, rows: NDArray[np.intp], situation: Situation, *, asked: Quantities) -> Quantities:
        """Return the orders of some rows, of which `asked` leaves at once."""
        if not rows.size:
            return np.zeros(0)
        latest = int(np.searchsorted(self.forecast_from, situation.period, side="right")) - 1
        passed = situation.period - int(self.forecast_from[max(latest, 0)])
        left = situation.on_hand[rows] - asked[rows]
        expiring = situation.lots[rows, :-1]
        lead_times = np.maximum(self.lead_times[rows], 1) - 1
        backlog = np.where(self.trading.shelf_life_periods[rows] > 0, 0.0, np.maximum(-left, 0.0))
        lines = OrderLines(
            demand_paths=with_backlog(
                self._paths_after(max(latest, 0), passed, rows), backlog=backlog, lead_times=lead_times
            ),
            on_hand=np.maximum(left, 0.0),
            backorders=np.zeros(len(rows)),
            lead_times=lead_times,
            review_periods=self.trading.review_periods[rows],
            open_orders=self._open_orders(rows, situation),
            expiring_units=expiring if expiring.any() else None,
            season_periods=self.season_periods,
            unmet=self.unmet,
        )
        terms = replace(self.terms.select(rows), shelf_life_periods=self._shelf_life(rows, situation))
        return plan_orders(lines, terms, objective=self.objective).order_quantity

    def _shelf_life(self, rows: NDArray[np.intp], situation: Situation) -> NDArray[np.int64]:
        """Return in how many periods what is ordered now can be sold, shape (n_rows,); 0 is for ever.

        A store gets what its warehouse has, the oldest first; what a warehouse keeps to the last day no store can sell.
        """
        full = self.trading.shelf_life_periods
        source = self.trading.source[rows]
        is_perishable = full[rows] > 0
        found = np.where(self._is_warehouse[rows], np.maximum(full[rows] - 1, 1), full[rows])
        inside = np.flatnonzero((source != FROM_OUTSIDE) & is_perishable)
        if inside.size:
            lots = situation.lots[source[inside]]
            reach = np.minimum(np.cumsum(lots, axis=1), self._daily_demand[source[inside], None])
            taken = np.diff(reach, axis=1, prepend=0.0)
            units = taken.sum(axis=1)
            lives = taken @ np.arange(1.0, lots.shape[1] + 1)
            mean_life = np.divide(lives, units, out=full[rows][inside].astype(np.float64), where=units > 0)
            on_the_way = np.maximum(self.lead_times[rows[inside]].min(axis=1), 1) - 1
            found[inside] = np.maximum(np.floor(mean_life) - on_the_way, 1)
        return np.where(is_perishable, found, 0)

    @cached_property
    def _daily_demand(self) -> Quantities:
        """Mean demand of a period by row, as first forecast, units."""
        mean: Quantities = self.paths[0].mean(axis=(1, 2), dtype=np.float64)
        return mean

    def _paths_after(self, forecast: int, passed: int, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return what is left of a forecast some periods after it was made; beyond its end the season repeats."""
        paths = self.paths[forecast]
        horizon = paths.shape[2]
        if passed <= 0:
            return paths[rows]
        season = min(self.season_periods, horizon)
        beyond = horizon - season + (np.arange(passed) % season)
        periods = np.concatenate([np.arange(passed, horizon), beyond])[-horizon:]
        return paths[rows][:, :, periods]

    def _open_orders(self, rows: NDArray[np.intp], situation: Situation) -> OpenOrders | None:
        """Return orders on their way, each with draws of when it comes given that it has not come yet."""
        units = situation.open_orders[rows]
        lines, ages = np.nonzero(units > 1e-9)
        if not lines.size:
            return None
        arrivals = np.stack([self._arrival(int(age))[rows[line]] for line, age in zip(lines, ages, strict=True)])
        return OpenOrders(series=lines, units=units[lines, ages], arrival_periods=arrivals)

    def _arrival(self, age: int) -> NDArray[np.int64]:
        """Return draws of the period in which an order of some age is received, shape (n_rows, n_paths)."""
        if age not in self._arrivals:
            self._arrivals[age] = remaining_periods(self.lead_times, age=age) - 1
        return self._arrivals[age]


def with_backlog(paths: NDArray[np.float32], *, backlog: Quantities, lead_times: Integers) -> NDArray[np.float32]:
    """Return demand paths with what stores asked for in vain, in the period in which an order of now is received.

    Until then they ask again and again. It is meant for goods that keep: fresh ones are no longer wanted.

    Args:
        paths: shape (n_rows, n_paths, horizon), units.
        backlog: shape (n_rows,), units.
        lead_times: shape (n_rows, n_paths), periods from now to the receipt.
    """
    rows = np.flatnonzero(backlog > 0)
    if not rows.size:
        return paths
    found = paths.copy()
    periods = np.minimum(lead_times[rows], paths.shape[2] - 1)
    found[rows[:, None], np.arange(paths.shape[1]), periods] += backlog[rows, None].astype(np.float32)
    return found


def remaining_periods(lead_times: Integers, *, age: int) -> NDArray[np.int64]:
    """Return draws of the periods until an order comes that has not come yet, >= 1; the next one where it is overdue.

    Args:
        lead_times: shape (n_rows, n_paths), periods, draws for a new order.
        age: whole periods since the order, >= 0.

    Example:
        >>> remaining_periods(np.array([[2, 3, 5, 9]]), age=3).tolist()
        [[2, 2, 6, 6]]
    """
    n_paths = lead_times.shape[1]
    ordered = np.sort(np.maximum(lead_times, 1), axis=1)
    is_past = (ordered <= age).sum(axis=1)
    # Each path keeps its rank: what was drawn late for a new order is drawn late for this one.
    ranks = np.argsort(np.argsort(lead_times, axis=1, kind="stable"), axis=1, kind="stable")
    place = is_past[:, None] + ranks * (n_paths - is_past)[:, None] // n_paths
    found = np.take_along_axis(ordered, np.minimum(place, n_paths - 1), axis=1)
    remaining: NDArray[np.int64] = np.maximum(found - age, 1).astype(np.int64)
    return remaining
