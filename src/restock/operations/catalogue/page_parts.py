"""What a product page is made of; quantities in base units, money in the company's currency."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer


def _as_text(number: Decimal) -> str:
    return f"{number:f}"


# A JSON number would be a float on its way.
Exact = Annotated[Decimal, PlainSerializer(_as_text, return_type=str, when_used="json")]


# A field named date would hide the type.
Day = date


class Part(BaseModel):
    """A part of the page."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class PageBarcode(Part):
    """Under what it is scanned."""

    gtin: str = Field(description="GTIN, 14 digits.")
    unit: str = Field(description="Unit of measure that it stands on.")


class PageUnit(Part):
    """Another unit that it is counted in."""

    unit: str = Field(description="Its name.")
    factor: Exact = Field(description="Base units in one of it.")


class PageProduct(Part):
    """The product itself."""

    sku: str = Field(description="Its number here.")
    name: str = Field(description="Name shown to people.")
    category_path: str = Field(description="Categories from broad to narrow, joined by ' > '.")
    base_unit: str = Field(description="Unit that the ledger counts in.")
    quantity_decimals: int = Field(description="Decimal places of the base unit that are kept.")
    is_lot_tracked: bool = Field(description="Whether its stock is kept by lots.")
    shelf_life_days: int | None = Field(description="Days from receipt until it can't be sold; null: does not expire.")
    barcodes: list[PageBarcode] = Field(description="Under what it is scanned.")
    units: list[PageUnit] = Field(description="Other units it is counted in.")
    is_active: bool = Field(description="Whether it is still bought or sold.")
    version: int = Field(description="Rises with every change; the ETag of the product.")
    changed_at_utc: datetime = Field(description="When it was changed last.")


class LotStock(Part):
    """What there is of a lot."""

    lot: str = Field(description="Lot; empty where lots are not kept.")
    expires_on: date | None = Field(description="Last day it may be sold; null where it is not known.")
    is_expired: bool = Field(description="Whether that day is over.")
    on_hand: Exact = Field(description="The balance.")
    version: int = Field(description="Rises with every change of the balance.")


class LocationStock(Part):
    """What there is at a location."""

    location: str = Field(description="Where.")
    on_hand: Exact = Field(description="The balance over all lots.")
    lots: list[LotStock] = Field(description="By lot, the first to expire first.")


class OnOrder(Part):
    """What a purchase order still brings."""

    purchase_order: str = Field(description="The order.")
    line: int = Field(description="Number of its line.")
    supplier: str = Field(description="Who delivers.")
    location: str = Field(description="Where to.")
    ordered_on: date | None = Field(description="When it was sent.")
    promised_on: date | None = Field(description="When it is promised.")
    is_late: bool = Field(description="Whether that day is over.")
    quantity: Exact = Field(description="What has not come yet.")


class InTransit(Part):
    """What a transfer still brings."""

    transfer: str = Field(description="The transfer.")
    source: str = Field(description="Where from.")
    target: str = Field(description="Where to.")
    lot: str = Field(description="Lot; empty where lots are not kept.")
    dispatched_at_utc: datetime = Field(description="When it left.")
    quantity: Exact = Field(description="What has not arrived yet.")


class CustomerDemand(Part):
    """What customers have ordered and do not have yet."""

    customer_order: str = Field(description="The order.")
    line: int = Field(description="Number of its line.")
    customer: str = Field(description="Who ordered.")
    location: str = Field(description="Who delivers.")
    requested_on: date | None = Field(description="When it is wanted.")
    quantity: Exact = Field(description="What has not been delivered yet.")


class AmountFrom(Part):
    """An amount from a day on."""

    valid_from: date = Field(description="First day.")
    amount: Exact = Field(description="Of one base unit.")


class PagePrices(Part):
    """What it costs and sells for."""

    currency: str = Field(description="The company's currency.")
    unit_cost: Exact | None = Field(description="Cost of one base unit today; null where none is known.")
    unit_price: Exact | None = Field(description="Price of one base unit today; null where none is known.")
    costs: list[AmountFrom] = Field(description="All costs, the oldest first; those of later days are planned.")
    prices: list[AmountFrom] = Field(description="All prices, the oldest first; those of later days are planned.")


class ForecastPeriod(Part):
    """Demand in one period."""

    date: Day = Field(description="First day of the period.")
    mean_units: float = Field(description="Expected demand, units in the period.")
    quantile_units: dict[str, float] = Field(description="Demand by probability level, units in the period.")


class ForecastSeries(Part):
    """The latest forecast of a location."""

    location: str = Field(description="Where.")
    cutoff: date = Field(description="Last period of the history that was used.")
    model_version: str = Field(description="The model version.")
    periods: list[ForecastPeriod] = Field(description="One a period, in order.")


class PageForecast(Part):
    """The latest forecasts, or why there are none."""

    available: bool = Field(description="Whether there are any.")
    reason: str | None = Field(description="Why there are none; null where there are.")
    series: list[ForecastSeries] = Field(description="One a location.")


class LocationPlan(Part):
    """The latest plan of a location."""

    location: str = Field(description="Where to.")
    as_of: date = Field(description="Day of the plan.")
    supplier: str = Field(description="From whom.")
    reorder_point: Exact = Field(description="Order when the inventory position falls to it.")
    order_up_to_level: Exact = Field(description="Order up to this inventory position.")
    order_quantity: Exact = Field(description="What to order now.")
    expected_fill_rate: float = Field(description="Share of demand units that will be served from stock, 0-1.")


class PagePlan(Part):
    """The latest plans, or why there are none."""

    available: bool = Field(description="Whether there are any.")
    reason: str | None = Field(description="Why there are none; null where there are.")
    plans: list[LocationPlan] = Field(description="One a location.")


class LastMovement(Part):
    """A line that changed its stock lately."""

    movement: str = Field(description="The movement.")
    kind: str = Field(description="What happened.")
    occurred_at_utc: datetime = Field(description="When it happened.")
    posted_by: str = Field(description="Who posted it.")
    reference: str = Field(description="Invoice, order, count or transfer it belongs to.")
    location: str = Field(description="Where.")
    lot: str = Field(description="Lot; empty where lots are not kept.")
    quantity: Exact = Field(description="Signed change.")


class ProductPage(Part):
    """Everything about a product in one state of the database."""

    product: PageProduct = Field(description="The product itself.")
    as_of: date = Field(description="The company's day of the page.")
    on_hand: Exact = Field(description="Stock at all the company's locations.")
    stock: list[LocationStock] = Field(description="Stock by location; those with nothing are left out.")
    on_order_total: Exact = Field(description="What open purchase orders still bring.")
    on_order: list[OnOrder] = Field(description="Open purchase orders, the first promised first.")
    in_transit_total: Exact = Field(description="What is on its way between locations.")
    in_transit: list[InTransit] = Field(description="Open transfers, the oldest first.")
    customer_demand_total: Exact = Field(description="What customers still wait for.")
    customer_demand: list[CustomerDemand] = Field(description="Open customer orders, the first wanted first.")
    prices: PagePrices = Field(description="What it costs and sells for.")
    forecast: PageForecast = Field(description="Forecast demand.")
    plan: PagePlan = Field(description="What to order.")
    last_movements: list[LastMovement] = Field(description="What changed its stock lately, the latest first.")
