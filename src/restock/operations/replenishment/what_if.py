"""What if: the lines of a kept plan as they would be under other targets, lead times, prices of money or demand.

Every scenario is planned and run forward on the paths of the plan, so what differs is the scenario's alone. A store
that a warehouse supplies is taken to get what it orders; what the warehouse could not send is told beside it, and
customers are counted once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.errors import DataError
from restock.operations.replenishment.kept_lines import KeptLines, LineChoice
from restock.operations.replenishment.lines import DAYS_OF_YEAR
from restock.replenishment.order_lines import Objective
from restock.replenishment.scenarios import Scenario, ScenarioOutcome, Valuation, evaluate_scenario
from restock.timeline import add_periods

AS_PLANNED = "as planned"
_N_THREADS = 2
_MONEY_DECIMALS, _UNIT_DECIMALS = 2, 3


@dataclass(frozen=True, kw_only=True)
class Question:
    """What differs from today, as people ask it; what is left empty stays as it is.

    Attributes:
        name: what it is called.
        service_target: share of demand to serve from stock with the least that does, 0-1, in place of least cost.
        lead_time_days: days more that every order takes, or fewer.
        price_of_money: share of the stock's value a year.
        demand_factor: multiplies demand, as of a promotion.
        first_day: first day of that demand; None: the first after the plan's.
        last_day: its last; None: to the end of the horizon.
        outage_days: nothing comes from the supplier for so many days after the plan's.
        budget: currency that orders now may cost together.
        lines: which lines demand and outage are about; None: all.
    """

    name: str
    service_target: float | None = None
    lead_time_days: int = 0
    price_of_money: float | None = None
    demand_factor: float = 1.0
    first_day: date | None = None
    last_day: date | None = None
    outage_days: int = 0
    budget: float | None = None
    lines: LineChoice | None = None


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """What is expected of the same lines, as planned and in each scenario.

    Attributes:
        as_of: day of the plan.
        n_lines: how many lines.
        dates: first day of every period of the horizon.
        outcomes: as planned first.
    """

    as_of: date
    n_lines: int
    dates: tuple[date, ...]
    outcomes: tuple[ScenarioOutcome, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it ready for JSON: money to cents."""
        return {
            "as_of": self.as_of.isoformat(),
            "lines": self.n_lines,
            "dates": [day.isoformat() for day in self.dates],
            "scenarios": [summarise_outcome(outcome) for outcome in self.outcomes],
        }


def ask_what_if(
    kept: KeptLines, questions: Sequence[Question], *, on_progress: Callable[[int, int], None] | None = None
) -> WhatIf:
    """Return what is expected of lines as planned and under each question.

    Args:
        kept: the lines.
        questions: what could be different.
        on_progress: called with (done, total), scenarios.

    Raises:
        DataError: a question has a value out of bounds, or names lines that are not there.
        InfeasiblePlanError: service floors cost more than a budget.
    """
    for question in questions:
        _check(question)
    valuation = _valuation(kept)
    outcomes = []
    for done, question in enumerate((Question(name=AS_PLANNED), *questions), start=1):
        outcomes.append(_evaluate(kept, question, valuation))
        if on_progress is not None:
            on_progress(done, len(questions) + 1)
    horizon = kept.order_lines.demand_paths.shape[2]
    return WhatIf(
        as_of=kept.kept.as_of,
        n_lines=kept.lines.height,
        dates=tuple(_first_day(kept, period) for period in range(horizon)),
        outcomes=tuple(outcomes),
    )


def summarise_outcome(outcome: ScenarioOutcome) -> dict[str, Any]:
    """Return an outcome ready for JSON: totals and means, then each period's."""

    def money(values: NDArray[np.float64]) -> list[float]:
        return [round(float(value), _MONEY_DECIMALS) for value in values]

    return {
        "name": outcome.name,
        "order_value": round(outcome.order_value, _MONEY_DECIMALS),
        "ordered_units": round(float(outcome.plan.order_quantity.sum()), _UNIT_DECIMALS),
        "mean_stock_value": round(float(outcome.stock_value.mean()), _MONEY_DECIMALS),
        "lost_units": round(float(outcome.lost_units.sum()), _UNIT_DECIMALS),
        "lost_value": round(float(outcome.lost_value.sum()), _MONEY_DECIMALS),
        "undelivered_units": round(float(outcome.undelivered_units.sum()), _UNIT_DECIMALS),
        "fill_rate": round(outcome.fill_rate, 6),
        "final_cash": round(float(outcome.cash[-1]), _MONEY_DECIMALS),
        "gap": None if outcome.shared is None else outcome.shared.gap,
        "periods": {
            "stock_value": money(outcome.stock_value),
            "lost_units": [round(float(value), _UNIT_DECIMALS) for value in outcome.lost_units],
            "lost_value": money(outcome.lost_value),
            "cash": money(outcome.cash),
        },
    }


def _evaluate(kept: KeptLines, question: Question, valuation: Valuation) -> ScenarioOutcome:
    days = kept.frequency.days
    chosen = None if question.lines is None else question.lines.matches(kept.lines)
    if chosen is not None and not chosen.any():
        raise DataError(f"scenario {question.name!r} names lines that are not among those chosen.")
    scenario = Scenario(
        name=question.name,
        demand_factor=_demand_factor(kept, question, chosen),
        # Away from zero: a day more is felt in weekly periods too.
        lead_time_change=int(np.sign(question.lead_time_days)) * -(-abs(question.lead_time_days) // days),
        yearly_price_of_money=question.price_of_money,
        outage_periods=-(-question.outage_days // days),
        outage_lines=(kept.is_bought if chosen is None else chosen) if question.outage_days else None,
        budget=question.budget,
    )
    terms, objective = kept.terms, kept.objective
    if question.service_target is not None:
        objective = Objective.FILL_RATE
        target = np.full(kept.lines.height, question.service_target)
        terms = replace(terms, fill_rate=target, cycle_service_level=np.full(kept.lines.height, np.nan))
    return evaluate_scenario(
        kept.order_lines,
        terms,
        scenario,
        valuation=valuation,
        objective=objective,
        time_limit_seconds=kept.params.time_limit_seconds,
        n_threads=_N_THREADS,
    )


def _demand_factor(kept: KeptLines, question: Question, chosen: NDArray[np.bool_] | None) -> Any:
    """Return what demand is multiplied by: a number, or by line and period."""
    if question.demand_factor == Scenario.demand_factor:
        return Scenario.demand_factor
    horizon = kept.order_lines.demand_paths.shape[2]
    first_days = [_first_day(kept, period) for period in range(horizon)]
    begins, ends = question.first_day or first_days[0], question.last_day or date.max
    last_days = [day + timedelta(days=kept.frequency.days - 1) for day in first_days]
    is_then = np.array([last >= begins and first <= ends for first, last in zip(first_days, last_days, strict=True)])
    if not is_then.any():
        raise DataError(
            f"scenario {question.name!r} changes demand from {begins} to {ends}, and the plan looks from "
            f"{first_days[0]} to {last_days[-1]}."
        )
    lines = np.ones(kept.lines.height, dtype=np.bool_) if chosen is None else chosen
    # What a warehouse is asked for follows its stores, so far as these are meant.
    if chosen is not None:
        supplies = kept.lines.filter(lines)["sku"].unique().to_list()
        lines = lines | (kept.is_warehouse & kept.lines["sku"].is_in(supplies).to_numpy())
    return np.where(lines[:, None] & is_then, np.float32(question.demand_factor), np.float32(1)).astype(np.float32)


def _valuation(kept: KeptLines) -> Valuation:
    lines, params = kept.lines, kept.params
    cost = lines["unit_cost"].to_numpy()
    # Without a price: the one that the default margin share makes of the cost, as planning reckons.
    assumed = cost / (1 - params.default_margin_share)
    price = np.where(lines["has_price"].to_numpy(), lines["unit_price"].fill_null(0.0).to_numpy(), assumed)
    in_lines = _has_stores(kept)
    return Valuation(
        unit_cost=cost,
        unit_price=price,
        today_price_of_money=params.capital_cost_share,
        periods_per_year=DAYS_OF_YEAR / kept.frequency.days,
        serves_customers=~in_lines,
        # A store's warehouse that is not among the lines is a supplier like any other.
        is_bought=kept.is_bought | (lines["source"] < 0).to_numpy(),
    )


def _has_stores(kept: KeptLines) -> NDArray[np.bool_]:
    """Return which lines supply others that are among the lines, shape (n_lines,)."""
    return kept.is_warehouse & np.array(
        [
            (sku, location) in asked
            for asked in [set(kept.lines.select("sku", "supplier").iter_rows())]
            for sku, location in kept.lines.select("sku", "location").iter_rows()
        ],
        dtype=np.bool_,
    )


def _first_day(kept: KeptLines, period: int) -> date:
    """Return the first day of a period; period 0 begins on the day after the plan's."""
    return add_periods(kept.kept.as_of + timedelta(days=1), period, frequency=kept.frequency)


def _check(question: Question) -> None:
    """Refuse values that no business has.

    Raises:
        DataError: there are any.
    """
    target, budget, money = question.service_target, question.budget, question.price_of_money
    wrong = []
    if target is not None and not 0 < target < 1:
        wrong.append(f"service_target must lie above 0 and below 1, got {target}")
    if not 0 <= question.demand_factor <= 100:
        wrong.append(f"demand_factor must lie between 0 and 100, got {question.demand_factor}")
    if money is not None and not 0 <= money <= 2:
        wrong.append(f"price_of_money must lie between 0 and 2 (a share a year), got {money}")
    if budget is not None and not budget > 0:
        wrong.append(f"budget must be above 0, got {budget}")
    if question.outage_days < 0:
        wrong.append(f"outage_days must be 0 or more, got {question.outage_days}")
    if wrong:
        raise DataError(f"scenario {question.name!r}: {'; '.join(wrong)}.")
