"""What is known of lines (sku x location) when their orders are chosen: demand paths, stock, orders open, terms.

A period: what is due is received, an order is placed, demand comes. An order placed now, at the start of period 0, is
received at the start of period L, and serves that period's demand too. All arrays lead with n_series.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.errors import HorizonError
from restock.replenishment.simulate import UnmetDemand

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]


class Objective(StrEnum):
    """What the order quantity is to reach."""

    COST = "cost"
    FILL_RATE = "fill_rate"
    CYCLE_SERVICE = "cycle_service"


@dataclass(frozen=True, kw_only=True)
class OpenOrders:
    """Orders placed before and not yet received, one row an order, in any order.

    Attributes:
        series: shape (n_orders,), the line each is for.
        units: shape (n_orders,) or, where deliveries fall short by chance, (n_orders, n_paths).
        arrival_periods: shape (n_orders, n_paths), period at whose start it is received, >= 0.
    """

    series: Integers
    units: Floats
    arrival_periods: Integers


@dataclass(frozen=True, kw_only=True)
class OrderLines:
    """Lines to order for, with what is drawn for each path.

    Attributes:
        demand_paths: shape (n_series, n_paths, horizon), units per period, >= 0; float32 is enough.
        on_hand: shape (n_series,), units.
        backorders: shape (n_series,), units.
        lead_times: shape (n_series, n_paths), periods, of an order placed now.
        next_lead_times: the same shape, of the order after it; None: the same as this one's.
        review_periods: shape (n_series,), periods from now to the next review, >= 1.
        open_orders: not yet received; None: there are none.
        expiring_units: shape (n_series, horizon), units on hand now that can't be sold after each period, all
            before a new order expires; None: none.
        season_periods: periods beyond the horizon repeat the last so many of the same path; None refuses them.
        unmet: whether demand that stock can't serve waits or is lost.
    """

    demand_paths: Floats
    on_hand: Floats
    backorders: Floats
    lead_times: Integers
    review_periods: Integers
    next_lead_times: Integers | None = None
    open_orders: OpenOrders | None = None
    expiring_units: Floats | None = None
    season_periods: int | None = None
    unmet: UnmetDemand = UnmetDemand.LOST

    @property
    def n_series(self) -> int:
        """Number of lines."""
        return int(self.demand_paths.shape[0])

    @property
    def n_paths(self) -> int:
        """Number of paths of each line."""
        return int(self.demand_paths.shape[1])

    @property
    def on_order(self) -> NDArray[np.float64]:
        """Units on order, short deliveries at their mean, shape (n_series,)."""
        found = np.zeros(self.n_series)
        if self.open_orders is not None:
            units = np.asarray(self.open_orders.units, dtype=np.float64)
            np.add.at(found, self.open_orders.series, units.mean(axis=1) if units.ndim == 2 else units)
        return found

    @property
    def inventory_position(self) -> NDArray[np.float64]:
        """On hand + on order - backorders, shape (n_series,), units."""
        return self.on_hand + self.on_order - self.backorders

    def source_periods(self, n_periods: int) -> NDArray[np.int64]:
        """Return the period of the paths that each of so many periods takes its demand from, shape (n_periods,).

        Raises:
            HorizonError: they reach beyond the horizon and `season_periods` is None.
        """
        horizon = self.demand_paths.shape[2]
        if n_periods > horizon and self.season_periods is None:
            raise HorizonError(
                f"an order covers demand up to period {n_periods}, and the paths end at {horizon}. Forecast further "
                "ahead, review more often, or set season_periods, so that the end of the paths is repeated."
            )
        season = min(self.season_periods or 1, horizon)
        beyond = horizon - season + np.arange(max(n_periods - horizon, 0)) % season
        return np.concatenate([np.arange(min(n_periods, horizon)), beyond]).astype(np.int64)

    def select(self, rows: Integers) -> OrderLines:
        """Return some of the lines, in the order of `rows` (each at most once)."""
        orders = self.open_orders
        if orders is not None:
            place = np.full(self.n_series, -1, dtype=np.int64)
            place[rows] = np.arange(len(rows))
            kept = place[orders.series] >= 0
            orders = OpenOrders(
                series=place[orders.series[kept]],
                units=orders.units[kept],
                arrival_periods=orders.arrival_periods[kept],
            )
        return replace(
            self,
            demand_paths=self.demand_paths[rows],
            on_hand=self.on_hand[rows],
            backorders=self.backorders[rows],
            lead_times=self.lead_times[rows],
            review_periods=self.review_periods[rows],
            next_lead_times=None if self.next_lead_times is None else self.next_lead_times[rows],
            open_orders=orders,
            expiring_units=None if self.expiring_units is None else self.expiring_units[rows],
        )


@dataclass(frozen=True, kw_only=True)
class OrderTerms:
    """What holding, shortage, orders and waste cost, and what suppliers, shelves and service ask for.

    Each of shape (n_series,); `order_terms` fills in the usual ones.

    Attributes:
        holding_cost: currency per unit on hand at the end of a period, the price of money included
            (see `holding_cost_per_period`).
        shortage_cost: currency per unit lost, or per unit that waits at the end of a period.
        fixed_order_cost: currency per order.
        waste_cost: currency per unit that expires.
        shelf_life_periods: whole periods in which a unit can be sold, from the one of its receipt on; 0: it keeps.
        minimum_order_quantity: units.
        order_multiple: units, > 0.
        most_order_quantity: units that there is room for; inf: no limit.
        fill_rate: share of demand units to serve from stock, 0-1; NaN: none. Aim or floor, as the objective says.
        cycle_service_level: probability that an order's window sees no stockout, 0-1; NaN: none.
        stockout_limit_factor: multiplies holding / (holding + shortage), the chance of a stockout that costs alone
            would accept; a promoted policy parameter, tuned by simulation (see `projected_stockout`).
    """

    holding_cost: Floats
    shortage_cost: Floats
    fixed_order_cost: Floats
    waste_cost: Floats
    shelf_life_periods: Integers
    minimum_order_quantity: Floats
    order_multiple: Floats
    most_order_quantity: Floats
    fill_rate: Floats
    cycle_service_level: Floats
    stockout_limit_factor: Floats

    def select(self, rows: Integers) -> OrderTerms:
        """Return the terms of some lines."""
        return OrderTerms(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def chosen_holding_cost(self) -> NDArray[np.float64]:
        """Holding cost at which costs alone accept `stockout_limit_factor` times as many stockouts, (n_series,)."""
        ratio = self.holding_cost / np.maximum(self.holding_cost + self.shortage_cost, 1e-300)
        # 0.999: a limit of 1 or more would never order; the factor then asks for next to nothing.
        limit = np.minimum(ratio * self.stockout_limit_factor, np.maximum(ratio, 0.999))
        scaled = self.shortage_cost * limit / np.maximum(1 - limit, 1e-300)
        found: NDArray[np.float64] = np.where(self.stockout_limit_factor == 1, self.holding_cost, scaled)
        return found


def order_terms(
    n_series: int,
    *,
    holding_cost: Floats | float,
    shortage_cost: Floats | float,
    fixed_order_cost: Floats | float = 0.0,
    waste_cost: Floats | float = 0.0,
    shelf_life_periods: Integers | int = 0,
    minimum_order_quantity: Floats | float = 0.0,
    order_multiple: Floats | float = 1.0,
    most_order_quantity: Floats | float = np.inf,
    fill_rate: Floats | float = np.nan,
    cycle_service_level: Floats | float = np.nan,
    stockout_limit_factor: Floats | float = 1.0,
) -> OrderTerms:
    """Return terms of so many lines; a single number holds for all. The meaning of each is in `OrderTerms`.

    Raises:
        ValueError: a cost or quantity is negative, a multiple or factor is not above 0, or a share is out of 0-1.
    """
    given = {
        "holding_cost": holding_cost,
        "shortage_cost": shortage_cost,
        "fixed_order_cost": fixed_order_cost,
        "waste_cost": waste_cost,
        "shelf_life_periods": shelf_life_periods,
        "minimum_order_quantity": minimum_order_quantity,
        "order_multiple": order_multiple,
        "most_order_quantity": most_order_quantity,
        "fill_rate": fill_rate,
        "cycle_service_level": cycle_service_level,
        "stockout_limit_factor": stockout_limit_factor,
    }
    values: dict[str, NDArray[Any]] = {}
    for name, value in given.items():
        kind = np.int64 if name == "shelf_life_periods" else np.float64
        found = np.broadcast_to(np.asarray(value, dtype=kind), n_series)
        is_share = name in {"fill_rate", "cycle_service_level"}
        is_positive = name in {"order_multiple", "stockout_limit_factor"}
        wrong = (found < 0) | ((found >= 1) if is_share else np.isnan(found)) | ((found <= 0) & is_positive)
        if wrong.any():
            expected = "below 1 and >= 0" if is_share else "> 0" if is_positive else ">= 0"
            row = int(np.argmax(wrong))
            raise ValueError(f"{name} must be {expected}, got {found[row]} in line {row}.")
        values[name] = found
    return OrderTerms(**values)


def holding_cost_per_period(
    unit_cost: Floats, *, yearly_price_of_money: float, periods_per_year: float, storage_cost: Floats | float = 0.0
) -> NDArray[np.float64]:
    """Return what holding a unit for a period costs: the money tied up in it and its storage, currency.

    Args:
        unit_cost: currency per unit.
        yearly_price_of_money: share of the money tied up, 0.12 for 12 % a year.
        periods_per_year: 365 for days, 52 for weeks.
        storage_cost: currency per unit and period.

    Example:
        >>> holding_cost_per_period(
        ...     np.array([52.0]), yearly_price_of_money=0.1, periods_per_year=52, storage_cost=0.05
        ... ).round(3).tolist()
        [0.15]
    """
    capital = np.asarray(unit_cost, dtype=np.float64) * (yearly_price_of_money / periods_per_year)
    found: NDArray[np.float64] = capital + storage_cost
    return found
