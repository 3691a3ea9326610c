"""What `/recommend` reads and answers: what to order of some lines as they are now."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from restock.operations.access import Scope
from restock.operations.replenishment.recommend import AskedLine, Recommendation, Recommendations
from serving.openapi import Endpoint
from serving.planning.values import Code, Day, Reply, Request

MOST_LINES = 200
_LARGEST = 1e12
Amount = Annotated[float, Field(ge=0, le=_LARGEST)]
PositiveUnits = Annotated[float, Field(gt=0, le=_LARGEST)]


class RecommendLine(Request):
    """A line, and what is different about it; left out: as in the plan."""

    sku: Code = Field(description="The product.", examples=["SKU-0001"])
    location: Code = Field(description="Where to.", examples=["STORE-1"])
    on_hand: Amount | None = Field(default=None, description="Units there now.", examples=[12])
    lead_time_days: int | None = Field(default=None, ge=0, le=365, description="What an order takes, days.")
    review_periods: int | None = Field(default=None, ge=1, le=366, description="Periods until the next order.")
    minimum_order_quantity: Amount | None = Field(default=None, description="Units.")
    order_multiple: PositiveUnits | None = Field(default=None, description="Units.")
    fixed_order_cost: Amount | None = Field(default=None, description="Currency per order.")
    service_target: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="Share of demand to serve, 0-1, with the least that does, in place of least cost."
    )

    def to_line(self) -> AskedLine:
        """Return it as the operations take it."""
        return AskedLine(**{name: getattr(self, name) for name in RecommendLine.model_fields})


class RecommendRequest(Request):
    """Lines to recommend orders for, from the kept plan of a day; changed ones are planned anew on its paths."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"lines": [{"sku": "SKU-0001", "location": "STORE-1", "on_hand": 12}]}]}
    )

    lines: tuple[RecommendLine, ...] = Field(min_length=1, max_length=MOST_LINES, description=f"At most {MOST_LINES}.")
    as_of: Day | None = Field(default=None, description="Day of the plan; left out: the latest.")

    @model_validator(mode="after")
    def _check_lines(self) -> Self:
        pairs = [(line.sku, line.location) for line in self.lines]
        if len(set(pairs)) != len(pairs):
            raise ValueError("each line must be asked for once")
        return self


class RecommendationReply(Reply):
    """What to order of one line."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Where to.")
    supplier: str = Field(description="From whom.")
    order_quantity: float = Field(description="What to order now, units.")
    planned_quantity: float = Field(description="What the kept plan orders, units.")
    is_changed: bool = Field(description="Whether it was planned anew.")
    reorder_point: float = Field(description="Position at or below which is ordered, units.")
    order_up_to_level: float = Field(description="Position that an order reaches, units.")
    safety_stock: float = Field(description="Units beyond expected demand.")
    inventory_position: float = Field(description="On hand + on order - backorders, units.")
    protection_demand_mean: float = Field(description="Demand until the order after this one is received, units.")
    expected_cost: float = Field(description="Cost until then with the order, company's currency.")
    unordered_cost: float = Field(description="The same without it.")
    fill_rate: float = Field(description="Share of demand served with the order, 0-1.")
    stockout_probability: float = Field(description="Chance of a stockout with the order, 0-1.")
    unordered_stockout_probability: float = Field(description="The same without it, 0-1.")
    binding: str = Field(description="What keeps the order from the quantity wanted; none: nothing does.")


class RecommendReply(Reply):
    """What to order, with what the recommendations stand on."""

    as_of: date = Field(description="Day of the plan.")
    forecast_version: str = Field(description="The model version of its forecast.")
    policy_version: str | None = Field(description="The promoted policy; null where none was.")
    lines: list[RecommendationReply] = Field(description="In the order asked for.")


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        path="/recommend",
        summary="What to order of some lines as they are now.",
        request=RecommendRequest,
        reply=RecommendReply,
        scope=Scope.PLANNING_READ,
    ),
)


def reply_of_recommendations(found: Recommendations) -> RecommendReply:
    """Return the reply for some recommendations."""
    names = tuple(Recommendation.__dataclass_fields__)
    return RecommendReply(
        as_of=found.as_of,
        forecast_version=found.forecast_version,
        policy_version=found.policy_version,
        lines=[RecommendationReply(**{name: getattr(line, name) for name in names}) for line in found.lines],
    )
