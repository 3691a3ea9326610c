"""Why a line's order is what it is: what it stands on, what it was weighed against, what binds, what would change it.

Everything is computed again from the line's own paths, so that the numbers are the plan's and the same later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.feasible_orders import Binding, least_order, real_costs
from restock.replenishment.order_lines import Objective, OrderLines, OrderTerms
from restock.replenishment.order_plan import OrderPlan, plan_orders
from restock.replenishment.order_windows import OrderWindows, project_windows
from restock.replenishment.window_costs import window_outcome

# Shares of paths at or below the quantiles that an explanation shows.
SHOWN_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_CURVE_STEPS = 6


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """What one quantity is expected to do over the order's window.

    Attributes:
        order_quantity: units.
        expected_cost: holding, shortage, waste and ordering, currency.
        fill_rate: share of demand units served at once.
        stockout_probability: that something is short.
    """

    order_quantity: float
    expected_cost: float
    fill_rate: float
    stockout_probability: float


@dataclass(frozen=True, kw_only=True)
class OrderChange:
    """What the order would be if one thing were different, on the same paths.

    Attributes:
        what: the difference, in words.
        order_quantity: units.
        change_units: units more than the order as it is.
        level_change_units: units by which the order-up-to level moves, before minimum and multiple.
    """

    what: str
    order_quantity: float
    change_units: float
    level_change_units: float


@dataclass(frozen=True, kw_only=True)
class OrderExplanation:
    """Everything that an order stands on.

    Attributes:
        on_hand: units.
        on_order: units.
        backorders: units.
        inventory_position: units.
        order_quantity: units.
        wanted_quantity: units, without minimum, multiple and room.
        reorder_point: units.
        order_up_to_level: units.
        safety_stock: units.
        covered_reviews: reviews until the next order is expected.
        review_periods: periods between reviews.
        lead_time_mean: periods.
        lead_time_quantiles: periods by share.
        protection_periods_mean: periods from now to the receipt of the order that follows.
        protection_demand_mean: units over these.
        protection_demand_quantiles: units by share.
        objective: what the order is to reach.
        target: why it aims there, in words.
        fill_rate: expected over the window, with the order.
        stockout_probability: in the window, with the order.
        unordered_stockout_probability: the same without it.
        expected_missed: units not served at once, with the order.
        unordered_missed: the same without it.
        expected_cost: currency over the window, with the order.
        unordered_cost: the same without it.
        binding: what keeps the order from the quantity wanted.
        curve: quantities around the chosen one.
        changes: what would change it.
        forecast_version: of the demand paths.
        data_hash: of the data behind them.
        sentence: the gist.
    """

    on_hand: float
    on_order: float
    backorders: float
    inventory_position: float
    order_quantity: float
    wanted_quantity: float
    reorder_point: float
    order_up_to_level: float
    safety_stock: float
    covered_reviews: int
    review_periods: int
    lead_time_mean: float
    lead_time_quantiles: dict[float, float]
    protection_periods_mean: float
    protection_demand_mean: float
    protection_demand_quantiles: dict[float, float]
    objective: Objective
    target: str
    fill_rate: float
    stockout_probability: float
    unordered_stockout_probability: float
    expected_missed: float
    unordered_missed: float
    expected_cost: float
    unordered_cost: float
    binding: Binding
    curve: tuple[CurvePoint, ...]
    changes: tuple[OrderChange, ...]
    forecast_version: str
    data_hash: str
    sentence: str


def explain_order(
    lines: OrderLines,
    terms: OrderTerms,
    row: int,
    *,
    objective: Objective = Objective.COST,
    most_covered_reviews: int = 8,
    shared: OrderPlan | None = None,
    valued: OrderTerms | None = None,
    period_name: str = "day",
    lead_time_change: int = 2,
    periods_before: int = 0,
    forecast_version: str = "",
    data_hash: str = "",
) -> OrderExplanation:
    """Return why a line's order is what it is.

    Args:
        lines: as planned; only this line's paths are read.
        terms: as planned.
        row: place of the line.
        objective: as planned.
        most_covered_reviews: as planned.
        shared: the plan within shared constraints (`with_orders`), if any; its quantity and binding are explained.
        valued: terms whose costs count, where the plan reckons with tuned ones; None: those planned with.
        period_name: singular, for sentences.
        lead_time_change: periods of lead time, fewer and more, that are tried.
        periods_before: that pass between the order and period 0, which lead times are shown with: 1 where an order of
            tonight with a lead time of a day is received in period 0.
        forecast_version: of the demand paths.
        data_hash: of the data behind them.

    Raises:
        HorizonError: as in `plan_orders`.
    """
    rows = np.array([row])
    line, own = lines.select(rows), terms.select(rows)

    def planned(one: OrderLines, its: OrderTerms) -> OrderPlan:
        return plan_orders(one, its, objective=objective, most_covered_reviews=most_covered_reviews)

    plan = planned(line, own)
    order = float(plan.order_quantity[0] if shared is None else shared.order_quantity[row])
    binding = plan.bindings[0] if shared is None else shared.bindings[row]
    counted = own if valued is None else valued.select(rows)
    windows = project_windows(line, covered_reviews=plan.covered_reviews, shelf_life_periods=own.shelf_life_periods)
    # What is not ordered can be at the next review: until then only is the lack of an order felt.
    felt = windows
    if order <= 0:
        ones = np.ones_like(plan.covered_reviews)
        felt = project_windows(line, covered_reviews=ones, shelf_life_periods=own.shelf_life_periods)
    chosen, nothing = _point(felt, counted, order), _point(felt, counted, 0.0)
    changes = tuple(
        _change(what, planned(*other), plan)
        for what, other in _alternatives(line, own, objective, period_name=period_name, periods=lead_time_change)
    )
    outcome = window_outcome(felt, np.array([order]), real_costs(counted))
    before = window_outcome(felt, np.zeros(1), real_costs(counted))
    found = OrderExplanation(
        **_stock_and_levels(line, plan),
        order_quantity=order,
        lead_time_mean=float(line.lead_times.mean()) + periods_before,
        lead_time_quantiles=_quantiles(line.lead_times[0] + periods_before),
        protection_periods_mean=float(line.lead_times.mean() + plan.window_periods_mean[0]),
        protection_demand_mean=float(plan.protection_demand_mean[0]),
        protection_demand_quantiles=_quantiles(windows.protection_demand[0]),
        objective=objective,
        target=_target(own, objective, period_name=period_name),
        fill_rate=chosen.fill_rate,
        stockout_probability=chosen.stockout_probability,
        unordered_stockout_probability=nothing.stockout_probability,
        expected_missed=float(outcome.missed[0]),
        unordered_missed=float(before.missed[0]),
        expected_cost=chosen.expected_cost,
        unordered_cost=nothing.expected_cost,
        binding=binding,
        curve=tuple(_point(windows, counted, quantity) for quantity in _around(own, order)),
        changes=changes,
        forecast_version=forecast_version,
        data_hash=data_hash,
        sentence="",
    )
    return replace(found, sentence=_sentence(found, period_name=period_name))


def _stock_and_levels(line: OrderLines, plan: OrderPlan) -> dict[str, Any]:
    """Return the fields of an explanation that are the line's and its plan's own."""
    return {
        "on_hand": float(line.on_hand[0]),
        "on_order": float(line.on_order[0]),
        "backorders": float(line.backorders[0]),
        "inventory_position": float(plan.inventory_position[0]),
        "wanted_quantity": float(plan.wanted_quantity[0]),
        "reorder_point": float(plan.reorder_point[0]),
        "order_up_to_level": float(plan.order_up_to_level[0]),
        "safety_stock": float(plan.safety_stock[0]),
        "covered_reviews": int(plan.covered_reviews[0]),
        "review_periods": int(line.review_periods[0]),
    }


def _quantiles(values: NDArray[Any]) -> dict[float, float]:
    """Return values that at least the share of paths does not exceed."""
    found = np.quantile(values, SHOWN_QUANTILES, method="inverted_cdf")
    return {share: float(value) for share, value in zip(SHOWN_QUANTILES, found, strict=True)}


def _point(windows: OrderWindows, terms: OrderTerms, quantity: float) -> CurvePoint:
    found = window_outcome(windows, np.array([quantity]), real_costs(terms))
    return CurvePoint(
        order_quantity=quantity,
        expected_cost=float(found.cost[0] + (terms.fixed_order_cost[0] if quantity > 0 else 0.0)),
        fill_rate=float(found.fill_rate[0]),
        stockout_probability=float(found.stockout_probability[0]),
    )


def _around(terms: OrderTerms, order: float) -> list[float]:
    """Return 0 and quantities that the supplier accepts around the chosen one, which is among them."""
    multiple, least = float(terms.order_multiple[0]), float(least_order(terms)[0])
    step = max(round(max(order, least) / multiple / _CURVE_STEPS / 2), 1) * multiple
    tried = order + step * np.arange(-_CURVE_STEPS, _CURVE_STEPS + 1)
    return [0.0] + [float(one) for one in tried if one >= least - 1e-9 and one > 0]


def _alternatives(
    line: OrderLines, terms: OrderTerms, objective: Objective, *, period_name: str, periods: int
) -> Iterator[tuple[str, tuple[OrderLines, OrderTerms]]]:
    """Yield what could be different, in words, with the line and its terms then."""

    def shifted(by: int) -> OrderLines:
        following = line.next_lead_times
        return replace(
            line,
            lead_times=np.maximum(line.lead_times + by, 0),
            next_lead_times=None if following is None else np.maximum(following + by, 0),
        )

    many = f"{periods} {period_name}s" if periods != 1 else f"1 {period_name}"
    yield f"{many} less lead time", (shifted(-periods), terms)
    yield f"{many} more lead time", (shifted(periods), terms)
    middle = np.round(np.median(line.lead_times)).astype(np.int64)
    sure = np.full_like(line.lead_times, middle)
    yield "a lead time that never varies", (replace(line, lead_times=sure, next_lead_times=None), terms)
    yield "10 % more demand", (replace(line, demand_paths=line.demand_paths * np.float32(1.1)), terms)
    yield "10 more on hand", (replace(line, on_hand=line.on_hand + 10), terms)
    if objective is Objective.COST:
        yield "twice the shortage cost", (line, replace(terms, shortage_cost=terms.shortage_cost * 2))
        yield "twice the holding cost", (line, replace(terms, holding_cost=terms.holding_cost * 2))
    if np.isfinite(terms.fill_rate[0]):
        yield "half the unserved share", (line, replace(terms, fill_rate=(1 + terms.fill_rate) / 2))
    if np.isfinite(terms.cycle_service_level[0]):
        halved = (1 + terms.cycle_service_level) / 2
        yield "half the chance of a stockout", (line, replace(terms, cycle_service_level=halved))
    if terms.minimum_order_quantity[0] > 0:
        yield "no minimum order quantity", (line, replace(terms, minimum_order_quantity=np.zeros(1)))
    if terms.order_multiple[0] > 1:
        yield "single units", (line, replace(terms, order_multiple=np.ones(1)))


def _change(what: str, other: OrderPlan, plan: OrderPlan) -> OrderChange:
    order, now = float(other.order_quantity[0]), float(plan.order_quantity[0])
    return OrderChange(
        what=what,
        order_quantity=order,
        change_units=order - now,
        level_change_units=float(other.order_up_to_level[0] - plan.order_up_to_level[0]),
    )


def _target(terms: OrderTerms, objective: Objective, *, period_name: str) -> str:
    if objective is Objective.FILL_RATE:
        return f"serve {terms.fill_rate[0]:.1%} of demand from stock with the least that does"
    if objective is Objective.CYCLE_SERVICE:
        return f"no stockout with probability {terms.cycle_service_level[0]:.1%} with the least that does it"
    holding, shortage = float(terms.holding_cost[0]), float(terms.shortage_cost[0])
    said = f"least cost: a unit short costs {shortage:.2f}, a unit held {holding:.4g} a {period_name}"
    if terms.stockout_limit_factor[0] != 1:
        said += f", stockouts {terms.stockout_limit_factor[0]:.2f} times as likely as these alone accept (tuned)"
    floors = []
    if np.isfinite(terms.fill_rate[0]):
        floors.append(f"{terms.fill_rate[0]:.1%} of demand served")
    if np.isfinite(terms.cycle_service_level[0]):
        floors.append(f"no stockout with probability {terms.cycle_service_level[0]:.1%}")
    return said + (f"; at least {' and '.join(floors)}" if floors else "")


_BINDING_WORDS: dict[Binding, str] = {
    Binding.MINIMUM_ORDER: "the minimum order quantity",
    Binding.ORDER_MULTIPLE: "the order multiple",
    Binding.STORAGE: "room",
    Binding.SERVICE_FLOOR: "the service floor",
    Binding.SHELF_LIFE: "shelf life",
    Binding.BUDGET: "the budget",
    Binding.SUPPLIER_MINIMUM: "the supplier's minimum",
    Binding.TRANSPORT: "transport",
    Binding.WAREHOUSE: "the warehouse's stock",
}


def _sentence(found: OrderExplanation, *, period_name: str) -> str:
    demand, lead = found.protection_demand_quantiles, found.lead_time_quantiles
    begin = f"Order {found.order_quantity:g} units" if found.order_quantity > 0 else "Order nothing"
    stands = (
        f"{found.on_hand:g} on hand and {found.on_order:g} on order stand against {found.protection_demand_mean:.1f} "
        f"units expected over {found.protection_periods_mean:.1f} {period_name}s ({demand[0.1]:.1f} to "
        f"{demand[0.9]:.1f} in 8 of 10 cases; lead time {lead[0.1]:g} to {lead[0.9]:g} {period_name}s)"
    )
    effect = f"a stockout is {found.unordered_stockout_probability:.0%} likely without an order"
    if found.order_quantity > 0:
        effect += f" and {found.stockout_probability:.0%} with it"
    parts = [f"{begin}: {stands}", effect]
    if found.binding is not Binding.NONE:
        wanted = f"{_BINDING_WORDS[found.binding]} binds"
        if abs(found.wanted_quantity - found.order_quantity) > 1e-6:
            wanted += f" ({found.wanted_quantity:g} would be ordered without it)"
        parts.append(wanted)
    told = next((change for change in found.changes if change.change_units != 0), None)
    if told is not None:
        parts.append(f"{told.what}: {told.change_units:+g} units")
    return "; ".join(parts) + "."
