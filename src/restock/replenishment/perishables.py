"""Simulated stock of skus that expire: lots by age, first-expired-first-out, with every unit accounted for.

A period: what is due is received, fresh; at a review an order is placed; demand takes the oldest units first; what is
left of the oldest age expires; costs fall on what is left and what is short.

Source: Nahmias (1982), Perishable Inventory Theory: A Review; the order of issue: Pierskalla and Roach (1972).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.simulate import Floats, Integers, OrderPolicy, StockTerms, round_orders

Cells = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PerishableStock:
    """What happened over all periods, each of shape (n_skus, n_paths); demand that stock can't serve is lost.

    Attributes:
        demand_units: asked for.
        sold_units: served.
        lost_units: not served.
        wasted_units: expired.
        ordered_units: by the policy.
        received_units: what was on order at the start included.
        on_hand_end: units.
        on_order_end: units.
        held_unit_periods: units on hand at the end of each period, after expiry, summed.
        total_cost: holding, shortage, waste and ordering, currency.
    """

    demand_units: Cells
    sold_units: Cells
    lost_units: Cells
    wasted_units: Cells
    ordered_units: Cells
    received_units: Cells
    on_hand_end: Cells
    on_order_end: Cells
    held_unit_periods: Cells
    total_cost: Cells

    @property
    def waste_share(self) -> Cells:
        """Share of received units that expired, shape (n_skus,); NaN where nothing was received."""
        received = self.received_units.sum(axis=1)
        share: Cells = np.divide(
            self.wasted_units.sum(axis=1), received, out=np.full(len(received), np.nan), where=received > 0
        )
        return share


def simulate_perishables(
    policy: OrderPolicy,
    terms: StockTerms,
    *,
    waste_cost: Floats,
    shelf_life_periods: int,
    demand: Floats,
    lead_times: Integers,
    on_hand_by_life: Floats,
) -> PerishableStock:
    """Return what a policy does to stock that can be sold for so many periods, the one of its receipt included.

    Args:
        policy: how much is wanted at a review.
        terms: costs and what suppliers accept.
        waste_cost: shape (n_skus,), currency per unit that expires.
        shelf_life_periods: whole periods >= 1, of units received fresh.
        demand: shape (n_skus, n_paths, n_periods), units.
        lead_times: the same shape, whole periods, of an order placed in each.
        on_hand_by_life: shape (n_skus, shelf_life_periods), units that can be sold for 1, 2, ... periods from now.

    Raises:
        ValueError: shapes do not fit.
    """
    n_skus, n_paths, n_periods = demand.shape
    if lead_times.shape != demand.shape or on_hand_by_life.shape != (n_skus, shelf_life_periods):
        raise ValueError(
            f"lead_times must be {demand.shape} and on_hand_by_life {(n_skus, shelf_life_periods)}, got "
            f"{lead_times.shape} and {on_hand_by_life.shape}."
        )
    # Units by periods left to sell them in: [0] expires at the end of this period.
    lots = np.repeat(np.asarray(on_hand_by_life, dtype=np.float64)[:, None, :], n_paths, axis=1)
    due = np.zeros((n_periods + int(lead_times.max(initial=0)) + 1, n_skus, n_paths))
    places = np.indices((n_skus, n_paths))
    totals = {name: np.zeros((n_skus, n_paths)) for name in ("sold", "wasted", "ordered", "received", "held", "cost")}
    on_order = np.zeros((n_skus, n_paths))
    for period in range(n_periods):
        on_order -= due[period]
        totals["received"] += due[period]
        lots[:, :, -1] += due[period]
        orders = _orders(policy, terms, position=lots.sum(axis=2) + on_order, period=period)
        lead = lead_times[:, :, period]
        at_once = np.where(lead == 0, orders, 0.0)
        lots[:, :, -1] += at_once
        totals["received"] += at_once
        due[period + lead, places[0], places[1]] += orders - at_once
        on_order += orders - at_once
        lots, sold = _sold_oldest_first(lots, demand[:, :, period])
        wasted = lots[:, :, 0].copy()
        lots = np.concatenate([lots[:, :, 1:], np.zeros((n_skus, n_paths, 1))], axis=2)
        held, short = lots.sum(axis=2), demand[:, :, period] - sold
        cost = terms.holding_cost[:, None] * held + terms.shortage_cost[:, None] * short
        cost += waste_cost[:, None] * wasted + terms.fixed_order_cost[:, None] * (orders > 0)
        for name, value in (("sold", sold), ("wasted", wasted), ("ordered", orders), ("held", held), ("cost", cost)):
            totals[name] += value
    asked = demand.sum(axis=2, dtype=np.float64)
    return PerishableStock(
        demand_units=asked,
        sold_units=totals["sold"],
        lost_units=asked - totals["sold"],
        wasted_units=totals["wasted"],
        ordered_units=totals["ordered"],
        received_units=totals["received"],
        on_hand_end=lots.sum(axis=2),
        on_order_end=on_order,
        held_unit_periods=totals["held"],
        total_cost=totals["cost"],
    )


def _orders(policy: OrderPolicy, terms: StockTerms, *, position: Cells, period: int) -> Cells:
    wanted = round_orders(
        policy(position),
        minimum_order_quantity=terms.minimum_order_quantity[:, None],
        order_multiple=terms.order_multiple[:, None],
    )
    found: Cells = np.where((period % terms.review_periods == 0)[:, None], wanted, 0.0)
    return found


def _sold_oldest_first(lots: Cells, demand: NDArray[Any]) -> tuple[Cells, Cells]:
    """Return lots after demand took those that expire first, and what was sold."""
    until = np.cumsum(lots, axis=2)
    sold_until = np.minimum(until, demand[:, :, None])
    sold = np.diff(sold_until, axis=2, prepend=0.0)
    return lots - sold, sold_until[:, :, -1]
