"""Why a plan orders what it orders, what if, what more service costs, and whether planners were right."""

from __future__ import annotations

from typing import Annotated, Any, Self

from fastapi import APIRouter, Query
from pydantic import Field, model_validator

from restock.operations.replenishment.explain_plan import explain_plan_line
from restock.operations.replenishment.frontier import draw_frontier
from restock.operations.replenishment.judge_overrides import judge_decisions, summarise_decisions
from restock.operations.replenishment.kept_lines import LineChoice, read_kept_lines
from restock.operations.replenishment.what_if import Question, ask_what_if
from restock.operations.stock.overrides import read_decisions
from serving.planning.context import Context
from serving.planning.turns import computing
from serving.planning.values import Code, Day, Instant, PathCode, Reply, Request

router = APIRouter(tags=["planning"])

MOST_LINES = 2_000
MOST_SCENARIOS = 6
_MOST_SKUS = 200

Share = Annotated[float, Field(gt=0, lt=1)]


class CurvePointReply(Reply):
    """What one order quantity is expected to do."""

    order_quantity: float = Field(description="Units.")
    expected_cost: float = Field(description="Holding, shortage, waste and ordering, company's currency.")
    fill_rate: float = Field(description="Share of demand units served from stock, 0-1.")
    stockout_probability: float = Field(description="Chance that something is short, 0-1.")


class OrderChangeReply(Reply):
    """What the order would be if one thing were different."""

    what: str = Field(description="The difference.", examples=["2 days less lead time"])
    order_quantity: float = Field(description="The order then, units.")
    change_units: float = Field(description="Units more than the order as it is.", examples=[-24])
    level_change_units: float = Field(description="Units by which the order-up-to level moves.")


class ExplanationReply(Reply):
    """Everything that an order stands on; the same numbers later."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Where to.")
    as_of: Day = Field(description="Day of the plan.")
    supplier: str = Field(description="From whom.")
    sentence: str = Field(description="The gist, in one sentence.")
    order_quantity: float = Field(description="What to order, units.")
    wanted_quantity: float = Field(description="The same without minimum, multiple and room, units.")
    on_hand: float = Field(description="Units; of a warehouse what its stores order now has left.")
    on_order: float = Field(description="Units on their way.")
    backorders: float = Field(description="Units that customers wait for.")
    inventory_position: float = Field(description="On hand + on order - backorders, units.")
    reorder_point: float = Field(description="Position at or below which is ordered, units.")
    order_up_to_level: float = Field(description="Position that an order reaches, units.")
    safety_stock: float = Field(description="Units beyond expected demand.")
    covered_reviews: int = Field(description="Reviews until the next order is expected.")
    review_periods: int = Field(description="Periods between reviews.")
    lead_time_mean: float = Field(description="Periods from order to receipt.")
    lead_time_quantiles: dict[str, float] = Field(description="The same by probability level.")
    protection_periods_mean: float = Field(description="Periods until the order after this one is received.")
    protection_demand_mean: float = Field(description="Expected demand until then, units.")
    protection_demand_quantiles: dict[str, float] = Field(description="The same by probability level, units.")
    objective: str = Field(description="cost, fill_rate or cycle_service.")
    target: str = Field(description="What the order aims at, and why.")
    fill_rate: float = Field(description="Share of demand served with the order, 0-1.")
    stockout_probability: float = Field(description="Chance of a stockout with the order, 0-1.")
    unordered_stockout_probability: float = Field(description="The same without it, 0-1.")
    expected_missed: float = Field(description="Units lost with the order.")
    unordered_missed: float = Field(description="The same without it.")
    expected_cost: float = Field(description="Cost until the next order is received, company's currency.")
    unordered_cost: float = Field(description="The same without the order.")
    binding: str = Field(description="What keeps the order from the quantity wanted; none: nothing does.")
    curve: list[CurvePointReply] = Field(description="Quantities around the chosen one.")
    changes: list[OrderChangeReply] = Field(description="What would change it, on the same sample paths.")
    shortage_cost: float = Field(description="What a unit short costs, company's currency.")
    shortage_multiple: float = Field(description="Of it that the promoted policy reckons with.")
    segment: str = Field(description="Of its demand.", examples=["A-smooth"])
    is_reproduced: bool = Field(description="Whether today's code would plan the same order.")
    stock_as_of: Day = Field(description="Day of the stock that was known.")
    forecast_version: str = Field(description="The model version whose forecast it stands on.")
    policy_version: str | None = Field(description="The promoted policy; null where none was.")
    data_hash: str = Field(description="SHA-256 of all tables behind it.")
    data_hashes: dict[str, str] = Field(description="SHA-256 of each of them.")


class LinesRequest(Request):
    """Which lines of a plan; what is left out chooses all."""

    skus: tuple[Code, ...] = Field(default=(), max_length=_MOST_SKUS, description="Any of these products.")
    location: Code | None = Field(default=None, description="There.", examples=["STORE-1"])
    supplier: Code | None = Field(default=None, description="From this supplier or warehouse.")
    category: Code | None = Field(default=None, description="Categories whose path begins so.", examples=["Food"])

    def to_choice(self) -> LineChoice:
        """Return it as the operations take it."""
        return LineChoice(skus=self.skus, location=self.location, supplier=self.supplier, category=self.category)


class ScenarioRequest(Request):
    """What differs from the plan; what is left out stays."""

    name: Code = Field(description="What it is called.", examples=["serve 98 %"])
    service_target: Share | None = Field(default=None, description="Share of demand to serve with the least that does.")
    lead_time_days: int = Field(default=0, ge=-90, le=90, description="Days that orders take longer; below 0: less.")
    price_of_money: float | None = Field(default=None, ge=0, le=2, description="Share of the stock's value a year.")
    demand_factor: float = Field(default=1.0, ge=0, le=100, description="Multiplies demand, as a promotion does.")
    first_day: Day | None = Field(default=None, description="First day of that demand.")
    last_day: Day | None = Field(default=None, description="Its last day.")
    outage_days: int = Field(default=0, ge=0, le=365, description="Nothing is delivered for so many days.")
    budget: float | None = Field(default=None, gt=0, le=1e12, description="Most that orders now may cost together.")
    lines: LinesRequest | None = Field(default=None, description="Which lines demand and outage are about.")

    def to_question(self) -> Question:
        """Return it as the operations take it."""
        plain = {name: getattr(self, name) for name in ScenarioRequest.model_fields if name != "lines"}
        return Question(**plain, lines=None if self.lines is None else self.lines.to_choice())


class WhatIfRequest(Request):
    """Scenarios for some lines of a plan."""

    as_of: Day | None = Field(default=None, description="Day of the plan; left out: the latest.")
    lines: LinesRequest = Field(default=LinesRequest(), description="Which lines; left out: all.")
    scenarios: tuple[ScenarioRequest, ...] = Field(
        min_length=1, max_length=MOST_SCENARIOS, description=f"At most {MOST_SCENARIOS}."
    )

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [scenario.name for scenario in self.scenarios]
        if len(set(names)) != len(names):
            raise ValueError("scenarios must have different names")
        return self


class ScenarioPeriods(Reply):
    """A scenario over time, one value a period."""

    stock_value: list[float] = Field(description="Stock at cost at the end of the period, company's currency.")
    lost_units: list[float] = Field(description="Demand not served in its period, units.")
    lost_value: list[float] = Field(description="The same at selling prices.")
    cash: list[float] = Field(description="Sales less what was received, since the plan, company's currency.")


class ScenarioReply(Reply):
    """What is expected of all lines together."""

    name: str = Field(description="The scenario; `as planned` comes first.")
    order_value: float = Field(description="Orders now, company's currency.")
    ordered_units: float = Field(description="Orders now, units.")
    mean_stock_value: float = Field(description="Stock at cost, mean over the horizon.")
    lost_units: float = Field(description="Demand not served, units over the horizon.")
    lost_value: float = Field(description="The same at selling prices.")
    undelivered_units: float = Field(description="What warehouses could not send when asked, units.")
    fill_rate: float = Field(description="Share of demand served, 0-1.")
    final_cash: float = Field(description="Sales less what was received, over the horizon.")
    gap: float | None = Field(description="How far the choice within the budget may be from the best; null: no budget.")
    periods: ScenarioPeriods = Field(description="The same over time.")


class WhatIfReply(Reply):
    """The plan's lines as planned and in each scenario, on the same sample paths."""

    as_of: Day = Field(description="Day of the plan.")
    lines: int = Field(description="How many lines.")
    dates: list[Day] = Field(description="First day of every period.")
    scenarios: list[ScenarioReply] = Field(description="As planned, then as asked for.")


class FrontierPoint(Reply):
    """A corner of the frontier."""

    shortage_price: float = Field(description="Currency per unit missed at which orders move on to it.")
    cost: float = Field(description="Holding and waste until the next order, company's currency.")
    missed_units: float = Field(description="Units not served.")
    fill_rate: float = Field(description="Share of demand served, 0-1.")
    ordered_units: float = Field(description="Units ordered.")


class FrontierPlace(Reply):
    """Where the plan stands."""

    cost: float = Field(description="Holding and waste, company's currency.")
    fill_rate: float = Field(description="Share of demand served, 0-1.")


class FrontierReply(Reply):
    """The least cost of every fill rate of some lines together."""

    as_of: Day = Field(description="Day of the plan.")
    lines: int = Field(description="Lines that serve customers.")
    current: FrontierPlace = Field(description="The plan.")
    points: list[FrontierPoint] = Field(description="From the cheapest on.")


class JudgedOverrideReply(Reply):
    """A planner's decision and what became of it."""

    override: str = Field(description="Its identifier.")
    sku: str = Field(description="The product.")
    location: str = Field(description="Where.")
    as_of: Day = Field(description="Day of the plan.")
    order_quantity: float = Field(description="What was decided, units.")
    reason: str = Field(description="Why.")
    created_by: str = Field(description="By whom.")
    created_at_utc: Instant = Field(description="When.")
    waits_for: str | None = Field(description="Why it can't be judged yet; null where it is judged.")
    window_end: Day | None = Field(description="Last day that counts.")
    planned_quantity: float | None = Field(description="What was planned, units.")
    planned_cost: float | None = Field(description="What the plan would have cost on the demand that came.")
    decided_cost: float | None = Field(description="What the decision cost.")
    value_added: float | None = Field(description="What it saved, company's currency; below 0: it cost more.")
    demand_units: float | None = Field(description="Demand that came, units.")
    estimated_share: float | None = Field(description="Share of it that a stockout hid, 0-1.")


class PlannerReply(Reply):
    """A planner's decisions together."""

    decisions: int = Field(description="How many.")
    judged: int = Field(description="How many could be judged.")
    cheaper_than_plan: int = Field(description="How many cost less than the plan.")
    value_added: float = Field(description="What they saved together, company's currency.")


class JudgedOverridesReply(Reply):
    """Planners' decisions against what came."""

    items: list[JudgedOverrideReply] = Field(description="The latest first.")
    planners: dict[str, PlannerReply] = Field(description="By who decided.")


_AsOf = Annotated[Day | None, Query(description="Day of the plan; left out: the latest.")]


@router.get("/plans/{sku}/{location}/explanation", summary="Why a plan orders what it orders.")
def get_explanation(context: Context, sku: PathCode, location: PathCode, as_of: _AsOf = None) -> ExplanationReply:
    """Explain one line of a kept plan; the numbers are the plan's, now and later."""
    with computing():
        explained = explain_plan_line(context.settings, sku=sku, location=location, as_of=as_of)
    return ExplanationReply.model_validate(explained.to_json())


@router.post("/plans/what-if", summary="The plan under other targets, lead times, prices or demand.")
def post_what_if(context: Context, request: WhatIfRequest) -> WhatIfReply:
    """Plan some lines anew under each scenario and run them forward; nothing is written."""
    with computing():
        kept = read_kept_lines(context.settings, request.lines.to_choice(), as_of=request.as_of, most_lines=MOST_LINES)
        asked = ask_what_if(kept, [scenario.to_question() for scenario in request.scenarios])
    return WhatIfReply.model_validate(asked.to_json())


@router.get("/plans/frontier", summary="What more service costs.")
def get_frontier(
    context: Context,
    as_of: _AsOf = None,
    sku: Annotated[
        list[Code] | None, Query(max_length=_MOST_SKUS, description="Only this product; may come several times.")
    ] = None,
    location: Annotated[Code | None, Query(description="Only at this location.")] = None,
    supplier: Annotated[Code | None, Query(description="Only from this supplier or warehouse.")] = None,
    category: Annotated[Code | None, Query(description="Only categories whose path begins so.")] = None,
    points: Annotated[int, Query(ge=2, le=500, description="Corners at most.")] = 50,
) -> FrontierReply:
    """Return the exact trade between cost and fill rate of any lines together."""
    choice = LineChoice(skus=tuple(sku or ()), location=location, supplier=supplier, category=category)
    with computing():
        kept = read_kept_lines(context.settings, choice, as_of=as_of, most_lines=MOST_LINES)
        drawn = draw_frontier(kept, most_points=points)
    return FrontierReply.model_validate(drawn.to_json())


@router.get("/overrides/judged", summary="Whether planners were right.")
def get_overrides_judged(
    context: Context,
    as_of: Annotated[Day | None, Query(description="Only of plans of this day.")] = None,
    sku: Annotated[Code | None, Query(description="Only of this product.")] = None,
    location: Annotated[Code | None, Query(description="Only at this location.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Decisions at most, the latest first.")] = 100,
) -> JudgedOverridesReply:
    """Judge decisions that were not withdrawn on the demand that came since."""
    with context.reading() as connection:
        decisions = read_decisions(connection, as_of=as_of, sku=sku, location=location, limit=limit)
    with computing():
        judged = judge_decisions(context.settings, decisions)
    items: list[dict[str, Any]] = [each.to_json() for each in judged]
    return JudgedOverridesReply.model_validate({"items": items, "planners": summarise_decisions(judged)})
