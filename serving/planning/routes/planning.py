"""Plans, stored forecasts, and what planners decided otherwise."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from restock.operations.stock.company import read_company
from restock.operations.stock.overrides import OverrideDraft, override_plan, withdraw_override
from restock.operations.stock.reading import list_forecasts, list_overrides, list_plans
from serving.planning.context import Caller, Context, IdempotencyKey
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.routes.stock import in_base_units
from serving.planning.values import Code, Day, Exact, Instant, NonNegativeAmount, PathCode, Reason, Reply, Request
from serving.planning.writes import describe_write

router = APIRouter(tags=["planning"])

NO_PLANS = "replenishment has not planned yet"
NO_FORECASTS = "no forecast of this series has been stored yet"


class PlanReply(Reply):
    """What to order, and why."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Where to.")
    as_of: Day = Field(description="Day of the plan.")
    supplier: str = Field(description="From whom.")
    reorder_point: Exact = Field(description="Order when the inventory position falls to it, base units.")
    order_up_to_level: Exact = Field(description="Order up to this inventory position, base units.")
    order_quantity: Exact = Field(description="What to order now, base units.")
    safety_stock: Exact | None = Field(description="What the level holds beyond expected demand, base units.")
    expected_cost: Exact | None = Field(
        description="Expected holding, shortage, waste and ordering until the order after this one is received, "
        "company's currency."
    )
    unordered_cost: Exact | None = Field(description="The same without the order, company's currency.")
    expected_fill_rate: float = Field(description="Share of demand units that will be served from stock, 0-1.")
    stockout_probability: float | None = Field(
        description="Chance of a stockout until the order after this one is received, with the order, 0-1."
    )
    binding: str | None = Field(
        description="What keeps the order from the quantity that costs alone would choose; none: nothing does.",
        examples=["minimum_order_quantity"],
    )
    reasons: dict[str, Any] = Field(description="Why, in numbers.")
    forecast_version: str = Field(description="The model version whose forecast it stands on.")
    policy_version: str | None = Field(description="The promoted policy; null where none was.")


class PlansReply(ListReply[PlanReply]):
    """Plans, or why there are none."""

    unavailable: str | None = Field(description="Why there are none; null where there are.")


class ForecastReply(Reply):
    """Demand in one period, as it was forecast."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Where.")
    cutoff: Day = Field(description="Last period of the history that was used.")
    date: Day = Field(description="First day of the period.")
    model_version: str = Field(description="The model version.")
    mean_units: float = Field(description="Expected demand, units in the period.")
    quantile_units: dict[str, float] = Field(description="Demand by probability level, units in the period.")


class ForecastsReply(ListReply[ForecastReply]):
    """Stored forecasts, or why there are none."""

    unavailable: str | None = Field(description="Why there are none; null where there are.")


class OverrideRequest(Request):
    """A planner's decision in place of a plan."""

    sku: Code = Field(description="The product.", examples=["SKU-0001"])
    location: Code = Field(description="Where.", examples=["STORE-1"])
    as_of: Day = Field(description="Day of the plan that it stands in place of.")
    order_quantity: NonNegativeAmount = Field(description="What to order, base units.", examples=["24"])
    reason: Reason = Field(description="Why.", examples=["street party on Saturday"])


class OverrideMadeReply(Reply):
    """A decision that was noted or withdrawn."""

    override: str = Field(description="Its identifier.")


class OverrideReply(Reply):
    """A planner's decision."""

    override: str = Field(description="Its identifier.")
    sku: str = Field(description="The product.")
    location: str = Field(description="Where.")
    as_of: Day = Field(description="Day of the plan that it stands in place of.")
    planned_quantity: Exact | None = Field(description="What was planned, base units; null where there was no plan.")
    order_quantity: Exact = Field(description="What was decided, base units.")
    reason: str = Field(description="Why.")
    created_at_utc: Instant = Field(description="When.")
    created_by: str = Field(description="By whom.")
    withdrawn_at_utc: Instant | None = Field(description="When it was withdrawn.")


_Sku = Annotated[Code | None, Query(description="Only of this product.")]
_Location = Annotated[Code | None, Query(description="Only at this location.")]


@router.get("/plans", summary="What to order, and why.")
def get_plans(
    context: Context,
    pages: Pages,
    sku: _Sku = None,
    location: _Location = None,
    as_of: Annotated[Day | None, Query(description="Only of this day.")] = None,
) -> PlansReply:
    """Plans, the latest day first."""
    with context.reading() as connection:
        after = check_cursor(pages.after, date, str, str)
        page = list_plans(connection, sku=sku, location=location, as_of=as_of, after=after, limit=pages.limit)
        company = read_company(connection)
    levels = ("reorder_point", "order_up_to_level", "order_quantity", "safety_stock")
    items = [
        PlanReply(
            **{
                **row,
                **{name: None if row[name] is None else in_base_units(row[name], row) for name in levels},
                **{name: company.from_minor(row[name]) for name in ("expected_cost", "unordered_cost")},
            }
        )
        for row in page.rows
    ]
    reason = None if items or pages.after else NO_PLANS
    return PlansReply(items=items, next_cursor=encode_cursor(page.after), unavailable=reason)


@router.get("/forecasts", summary="Stored forecasts of a series.")
def get_forecasts(
    context: Context,
    pages: Pages,
    sku: Annotated[Code, Query(description="The product.")],
    location: Annotated[Code, Query(description="Where.")],
) -> ForecastsReply:
    """Stored forecasts, the latest cutoff first; live ones come from the forecast service."""
    with context.reading() as connection:
        after = check_cursor(pages.after, date, date, str)
        page = list_forecasts(connection, sku=sku, location=location, after=after, limit=pages.limit)
    items = [ForecastReply(**row) for row in page.rows]
    reason = None if items or pages.after else NO_FORECASTS
    return ForecastsReply(items=items, next_cursor=encode_cursor(page.after), unavailable=reason)


@router.get("/overrides", summary="What planners decided otherwise.")
def get_overrides(
    context: Context, pages: Pages, sku: _Sku = None, location: _Location = None
) -> ListReply[OverrideReply]:
    """Planners' decisions, the latest first."""
    with context.reading() as connection:
        after = check_cursor(pages.after, datetime, str)
        page = list_overrides(connection, sku=sku, location=location, after=after, limit=pages.limit)
    items = [
        OverrideReply(
            **{
                **row,
                "order_quantity": in_base_units(row["order_quantity"], row),
                "planned_quantity": None
                if row["planned_quantity"] is None
                else in_base_units(row["planned_quantity"], row),
            }
        )
        for row in page.rows
    ]
    return ListReply(items=items, next_cursor=encode_cursor(page.after))


@router.post("/overrides", status_code=201, summary="Decide otherwise than a plan.")
def post_override(context: Context, caller: Caller, key: IdempotencyKey, request: OverrideRequest) -> OverrideMadeReply:
    """Note a planner's decision with its reason."""
    write = describe_write("POST /overrides", request, key=key, caller=caller, now=context.now())
    draft = OverrideDraft(**{name: getattr(request, name) for name in OverrideRequest.model_fields})
    with context.writing() as connection:
        return OverrideMadeReply.model_validate(override_plan(connection, draft, write))


@router.post("/overrides/{override}/withdraw", summary="Take a decision back.")
def post_override_withdrawn(
    context: Context, caller: Caller, key: IdempotencyKey, override: PathCode
) -> OverrideMadeReply:
    """Mark a decision as withdrawn; it stays in the history."""
    route = f"POST /overrides/{override}/withdraw"
    write = describe_write(route, None, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        return OverrideMadeReply.model_validate(withdraw_override(connection, override, write))
