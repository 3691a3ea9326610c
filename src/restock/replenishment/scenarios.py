"""What-if: lines as they would be under another price of money, lead time, demand or target, on the same paths.

Scenarios share every draw, so their difference is the scenario's alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.feasible_orders import Binding
from restock.replenishment.forward_run import run_forward
from restock.replenishment.order_lines import Floats, Objective, OpenOrders, OrderLines, OrderTerms
from restock.replenishment.order_plan import OrderPlan, plan_orders
from restock.replenishment.plan_within_limits import plan_within_limits
from restock.replenishment.shared_constraints import SharedLimit, SharedPlan

Cells = NDArray[np.float64]
_CHUNK = 256


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What differs from today; the defaults change nothing.

    Attributes:
        name: what people call it.
        demand_factor: multiplies demand: a number, or one a line, or (n_series, horizon), for a promotion.
        lead_time_change: periods added to lead times of new orders, never below 0.
        fill_rate: target of every line in place of its own, 0-1.
        cycle_service_level: target of every line in place of its own, 0-1.
        yearly_price_of_money: share, in place of `today_price_of_money`.
        outage_periods: nothing is received from the suppliers of `outage_lines` before this period.
        outage_lines: shape (n_series,), whether a line's supplier is out; None: all are.
        budget: currency that orders now may cost together.
    """

    name: str
    demand_factor: float | Floats = 1.0
    lead_time_change: int = 0
    fill_rate: float | None = None
    cycle_service_level: float | None = None
    yearly_price_of_money: float | None = None
    outage_periods: int = 0
    outage_lines: NDArray[np.bool_] | None = None
    budget: float | None = None


@dataclass(frozen=True, kw_only=True)
class Valuation:
    """What units are worth, each of shape (n_series,) but the price of money.

    Attributes:
        unit_cost: currency paid per unit, when it is received.
        unit_price: currency earned per unit sold.
        today_price_of_money: yearly share in today's holding cost.
        periods_per_year: 365 for days.
        serves_customers: which lines' demand is that of customers; None: all. Others, such as a warehouse whose stores
            are lines too, neither lose nor earn.
        is_bought: which lines are paid for, and count for the budget; None: all. Others are supplied from within.
    """

    unit_cost: Floats
    unit_price: Floats
    today_price_of_money: float
    periods_per_year: float
    serves_customers: NDArray[np.bool_] | None = None
    is_bought: NDArray[np.bool_] | None = None

    @property
    def paid_cost(self) -> Cells:
        """Currency paid to suppliers per unit, shape (n_series,)."""
        cost = np.asarray(self.unit_cost, dtype=np.float64)
        return cost if self.is_bought is None else np.where(self.is_bought, cost, 0.0)

    def of_customers(self, values: Floats) -> Cells:
        """Return values of each line, those of lines that serve no customers as 0."""
        found = np.asarray(values, dtype=np.float64)
        return found if self.serves_customers is None else np.where(self.serves_customers, found, 0.0)


@dataclass(frozen=True, kw_only=True)
class ScenarioOutcome:
    """What is expected of all lines together, over the horizon; arrays of shape (horizon,).

    Attributes:
        name: of the scenario.
        plan: orders of each line now, within the budget.
        shared: the choice within the budget; None without one.
        stock_value: at the end of each period, currency at cost.
        lost_units: demand not served in its period.
        lost_value: the same at selling prices, currency.
        undelivered_units: what lines that serve no customers could not send in the period it was asked for.
        fill_rate: share of demand units served in their period, over the horizon.
        cash: cumulated sales less what is received, currency.
        wasted_units: expected of the orders now.
        order_value: currency of the orders now.
        expected_cost: of the lines' windows with the orders now: holding, shortage, waste and ordering, currency.
    """

    name: str
    plan: OrderPlan
    shared: SharedPlan | None
    stock_value: Cells
    lost_units: Cells
    lost_value: Cells
    undelivered_units: Cells
    fill_rate: float
    cash: Cells
    wasted_units: float
    order_value: float
    expected_cost: float


def changed_lines(lines: OrderLines, scenario: Scenario) -> OrderLines:
    """Return lines as a scenario has them, on the same draws."""
    factor = np.asarray(scenario.demand_factor, dtype=np.float32)
    factor = factor.reshape(factor.shape + (1,) * (3 - factor.ndim)) if factor.ndim == 1 else factor
    factor = factor[:, None, :] if factor.ndim == 2 else factor
    out = np.ones(lines.n_series, dtype=bool) if scenario.outage_lines is None else scenario.outage_lines
    first = np.where(out, scenario.outage_periods, 0)[:, None]
    orders = lines.open_orders
    if orders is not None:
        orders = OpenOrders(
            series=orders.series,
            units=orders.units,
            arrival_periods=np.maximum(orders.arrival_periods, first[orders.series]),
        )
    lead = np.maximum(lines.lead_times + scenario.lead_time_change, 0)
    following = lines.next_lead_times
    if following is None and scenario.outage_periods:
        # The order after this one is placed a review later and finds less of the outage left.
        following = np.maximum(lead, first - lines.review_periods[:, None])
    elif following is not None:
        following = np.maximum(following + scenario.lead_time_change, 0)
    return replace(
        lines,
        demand_paths=lines.demand_paths if scenario.demand_factor is Scenario.demand_factor
        else lines.demand_paths * factor,
        lead_times=np.maximum(lead, first),
        next_lead_times=following,
        open_orders=orders,
    )  # fmt: skip


def changed_terms(terms: OrderTerms, scenario: Scenario, valuation: Valuation) -> OrderTerms:
    """Return terms as a scenario has them."""
    values: dict[str, NDArray[Any]] = {field.name: getattr(terms, field.name) for field in fields(OrderTerms)}
    for name in ("fill_rate", "cycle_service_level"):
        target = getattr(scenario, name)
        if target is not None:
            values[name] = np.full(len(terms.holding_cost), float(target))
    if scenario.yearly_price_of_money is not None:
        dearer = scenario.yearly_price_of_money - valuation.today_price_of_money
        changed = values["holding_cost"] + valuation.unit_cost * dearer / valuation.periods_per_year
        values["holding_cost"] = np.maximum(changed, 0.0)
    return OrderTerms(**values)


def evaluate_scenario(
    lines: OrderLines,
    terms: OrderTerms,
    scenario: Scenario,
    *,
    valuation: Valuation,
    objective: Objective = Objective.COST,
    time_limit_seconds: float = 30.0,
    n_threads: int = 1,
) -> ScenarioOutcome:
    """Return what orders, stock, lost sales and cash would be; stock is run forward with the scenario's levels.

    Args:
        lines: as they are today.
        terms: as they are today.
        scenario: what differs.
        valuation: what units cost and earn.
        objective: as in `plan_orders`.
        time_limit_seconds: for sharing the budget.
        n_threads: threads that plan side by side.

    Raises:
        HorizonError: the scenario's windows reach beyond the paths.
        InfeasiblePlanError: service floors cost more than the budget.
    """
    lines, terms = changed_lines(lines, scenario), changed_terms(terms, scenario, valuation)
    if scenario.budget is None:
        plan, shared = plan_orders(lines, terms, objective=objective, n_threads=n_threads), None
    else:
        limit = SharedLimit(kind=Binding.BUDGET, name=scenario.name, use=valuation.paid_cost, most=scenario.budget)
        plan, shared = plan_within_limits(
            lines,
            terms,
            limits=[limit],
            objective=objective,
            time_limit_seconds=time_limit_seconds,
            n_threads=n_threads,
        )
    totals = _run_totals(lines, terms, plan, valuation)
    demand = float(valuation.of_customers(lines.demand_paths.mean(axis=1, dtype=np.float64).sum(axis=1)).sum())
    return ScenarioOutcome(
        name=scenario.name,
        plan=plan,
        shared=shared,
        stock_value=totals["stock_value"],
        lost_units=totals["lost_units"],
        lost_value=totals["lost_value"],
        undelivered_units=totals["undelivered_units"],
        fill_rate=1 - float(totals["lost_units"].sum()) / demand if demand > 0 else 1.0,
        cash=np.cumsum(totals["earned"] - totals["paid"]),
        wasted_units=float(plan.expected_waste.sum()),
        order_value=float(plan.order_quantity @ valuation.paid_cost),
        expected_cost=float(plan.expected_cost.sum()),
    )


def _run_totals(lines: OrderLines, terms: OrderTerms, plan: OrderPlan, valuation: Valuation) -> dict[str, Cells]:
    """Return sums over lines by period of what the forward run expects."""
    horizon = lines.demand_paths.shape[2]
    names = ("stock_value", "lost_units", "lost_value", "undelivered_units", "earned", "paid")
    totals = {name: np.zeros(horizon) for name in names}
    for first in range(0, lines.n_series, _CHUNK):
        rows = np.arange(first, min(first + _CHUNK, lines.n_series))
        part = OrderPlan(**{field.name: getattr(plan, field.name)[rows] for field in fields(OrderPlan)})
        cost, paid = np.asarray(valuation.unit_cost)[rows], valuation.paid_cost[rows]
        price = valuation.of_customers(valuation.unit_price)[rows]
        serves = valuation.of_customers(np.ones(lines.n_series))[rows]
        periods = run_forward(lines.select(rows), terms.select(rows), part, first_orders=part.order_quantity)
        for period, run in enumerate(periods):
            missed = run.missed.mean(axis=1)
            totals["stock_value"][period] += run.on_hand.mean(axis=1) @ cost
            totals["lost_units"][period] += missed @ serves
            totals["undelivered_units"][period] += missed @ (1 - serves)
            totals["lost_value"][period] += missed @ price
            totals["earned"][period] += run.sold.mean(axis=1) @ price
            totals["paid"][period] += run.received.mean(axis=1) @ paid
    return totals
