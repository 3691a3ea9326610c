"""Finance figures: what stock is worth, what changed it, how it turns, what it costs to keep, how old it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from restock.analytics.classes import abc_classes, xyz_class
from restock.analytics.figures import CarryingRates, carrying_cost, days_of_cover, gross_margin_return, turnover
from restock.analytics.valuation import Flow, Method
from restock.operations.analytics.finance import (
    FinanceReport,
    Period,
    ProductFinance,
    report_finance,
    value_by_location,
)
from restock.operations.stock.company import Company, read_company
from serving.planning.context import Context, PlanningContext
from serving.planning.values import Day, Exact, Reply

router = APIRouter(tags=["analytics"], prefix="/analytics")

_DEFAULT_DAYS = 90
_AGE_BUCKETS = ((0, 30), (31, 90), (91, 180), (181, 365), (366, None))
_Share = Annotated[float, Query(ge=0, le=10)]
Category = Annotated[str | None, Query(max_length=500, description="Only products whose category path begins with it.")]
Valuation = Annotated[Method, Query(description="How what goes out is valued.")]


async def get_period(
    context: Context,
    first: Annotated[
        Day | None, Query(alias="from", description="First day; left out: 90 days up to the last one.")
    ] = None,
    last: Annotated[Day | None, Query(alias="to", description="Last day, included; left out: today.")] = None,
) -> Callable[[Company], Period]:
    """Return what makes the period that is asked for, once the company's day is known."""

    def build(company: Company) -> Period:
        end = last or company.day_of(context.now())
        return Period(first=first or end - timedelta(days=_DEFAULT_DAYS - 1), last=end)

    return build


Days = Annotated[Callable[[Company], Period], Depends(get_period)]


class PeriodReply(Reply):
    """What a report is about."""

    currency: str = Field(description="The currency of all amounts.")
    first: Day = Field(description="First day, of the company's time zone.")
    last: Day = Field(description="Last day, included.")


class ValueRow(Reply):
    """What a product's stock at a location is worth."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Where; @transit for goods on their way.")
    on_hand: Exact = Field(description="Stock, base units.")
    value: Exact = Field(description="What it is worth, currency.")


class ValueReply(PeriodReply):
    """What stock is worth at the end of a day."""

    method: Method = Field(description="How what goes out is valued.")
    total: Exact = Field(description="What all of it is worth, currency.")
    rows: list[ValueRow] = Field(description="By sku and location.")


class FinanceRow(Reply):
    """What changed the value of a product's stock; opening + flows = closing, to the cent."""

    sku: str = Field(description="The product; of the totals: empty.")
    opening_value: Exact = Field(description="At the beginning, currency.")
    flows: dict[Flow, Exact] = Field(description="What changed it, currency with its sign.")
    closing_value: Exact = Field(description="At the end, currency.")
    revenue: Exact = Field(description="What customers paid, less what they got back, currency.")
    cost_of_sales: Exact = Field(description="What the goods sold had cost, less those that came back, currency.")


class FinanceReply(PeriodReply):
    """The finance view of a period."""

    method: Method = Field(description="How what goes out is valued.")
    total: FinanceRow = Field(description="All products together.")
    rows: list[FinanceRow] = Field(description="By sku.")


class TurnoverRow(Reply):
    """How a product's stock turned."""

    sku: str = Field(description="The product; of the totals: empty.")
    average_value: Exact = Field(description="Mean value over the days of the period, currency.")
    cost_of_sales: Exact = Field(description="What the goods sold had cost, currency.")
    turnover: float | None = Field(description="Cost of sales / average value, a year; null without stock.")
    days_of_cover: float | None = Field(description="Days that the stock lasts at this pace; null if nothing was sold.")
    gross_margin_return: float | None = Field(
        description="(Revenue - cost of sales) / average value over the period (GMROI); null without stock."
    )


class TurnoverReply(PeriodReply):
    """How stock turned over a period."""

    total: TurnoverRow = Field(description="All products together; days of cover are those of no product: null.")
    rows: list[TurnoverRow] = Field(description="By sku.")


class CarryingReply(PeriodReply):
    """What keeping stock cost over a period."""

    average_value: Exact = Field(description="Mean value over the days of the period, currency.")
    capital: Exact = Field(description="Interest that the money would have earned, currency.")
    storage: Exact = Field(description="Space, handling, energy, currency.")
    risk: Exact = Field(description="Insurance, obsolescence, spoilage, currency.")
    total: Exact = Field(description="All of it, currency.")


class ClassRow(Reply):
    """The classes of a product."""

    sku: str = Field(description="The product.")
    abc: Literal["A", "B", "C"] = Field(description="By its share of the revenue.")
    xyz: Literal["X", "Y", "Z"] = Field(description="By the coefficient of variation of its weekly sales.")
    revenue: Exact = Field(description="Over the period, currency.")


class ClassesReply(PeriodReply):
    """ABC and XYZ classes."""

    rows: list[ClassRow] = Field(description="The largest revenue first.")


class AgeRow(Reply):
    """How old a product's stock is."""

    sku: str = Field(description="The product.")
    buckets: dict[str, Exact] = Field(description="Value by age in days, first in, first out, currency.")
    value: Exact = Field(description="All of it, currency.")
    last_sold_on: Day | None = Field(description="When it was sold last; null if never.")
    is_dead: bool = Field(description="There is stock, and nothing was sold for the days asked for.")


class AgeingReply(PeriodReply):
    """How old stock is."""

    dead_value: Exact = Field(description="Value of dead stock, currency.")
    rows: list[AgeRow] = Field(description="Products with stock, by sku.")


@router.get("/inventory-value", summary="What stock is worth.")
def get_inventory_value(
    context: Context, period: Days, method: Valuation = Method.MOVING_AVERAGE, category: Category = None
) -> ValueReply:
    """Value by sku and location at the end of the last day; the locations of a product add up to its value."""
    with context.reading() as connection:
        report = _report(context, period, method=method, category=category)
        places = value_by_location(connection, report)
    scales = {product.sku: product.facts.scale for product in report.products}
    rows = [
        ValueRow(
            sku=sku,
            location=location,
            on_hand=Decimal(quantity) / scales[sku],
            value=_money(value, report.company),
        )
        for sku, held in places.items()
        for location, (quantity, value) in held.items()
    ]
    total = _money(report.total("closing_value"), report.company)
    return ValueReply(**_about(report), method=method, total=total, rows=rows)


@router.get("/finance", summary="What changed the value of stock.")
def get_finance(
    context: Context, period: Days, method: Valuation = Method.MOVING_AVERAGE, category: Category = None
) -> FinanceReply:
    """Opening value, flows and closing value by sku; reconciled to the ledger to the cent."""
    report = _report(context, period, method=method, category=category)
    company = report.company
    names = ("opening_value", "closing_value", "revenue", "cost_of_sales")
    total = FinanceRow(
        sku="",
        flows={flow: _money(report.flow(flow), company) for flow in Flow},
        **{name: _money(report.total(name), company) for name in names},
    )
    rows = [
        FinanceRow(
            sku=product.sku,
            flows={flow: _money(value, company) for flow, value in product.flows.items()},
            **{name: _money(getattr(product, name), company) for name in names},
        )
        for product in report.products
    ]
    return FinanceReply(**_about(report), method=method, total=total, rows=rows)


@router.get("/turnover", summary="How stock turns.")
def get_turnover(
    context: Context, period: Days, method: Valuation = Method.MOVING_AVERAGE, category: Category = None
) -> TurnoverReply:
    """Turnover, days of cover and gross margin return on investment."""
    report = _report(context, period, method=method, category=category)
    days, company = report.period.days, report.company

    def row(sku: str, average: int, cost: int, revenue: int, cover: float | None) -> TurnoverRow:
        return TurnoverRow(
            sku=sku,
            average_value=_money(average, company),
            cost_of_sales=_money(cost, company),
            turnover=turnover(cost, average, days=days),
            days_of_cover=cover,
            gross_margin_return=gross_margin_return(revenue, cost, average),
        )

    rows = [
        row(
            product.sku,
            product.average_value,
            product.cost_of_sales,
            product.revenue,
            days_of_cover(product.closing_quantity, product.sold_quantity, days=days),
        )
        for product in report.products
    ]
    names = ("average_value", "cost_of_sales", "revenue")
    average, cost, revenue = (report.total(name) for name in names)
    return TurnoverReply(**_about(report), total=row("", average, cost, revenue, None), rows=rows)


@router.get("/carrying-cost", summary="What keeping stock costs.")
def get_carrying_cost(
    context: Context,
    period: Days,
    method: Valuation = Method.MOVING_AVERAGE,
    category: Category = None,
    capital: Annotated[_Share, Query(description="Interest a year, share of the value.")] = 0.08,
    storage: Annotated[_Share, Query(description="Storage a year, share of the value.")] = 0.05,
    risk: Annotated[_Share, Query(description="Risk a year, share of the value.")] = 0.02,
) -> CarryingReply:
    """Average value times yearly rates, for the days of the period."""
    report = _report(context, period, method=method, category=category)
    average = _money(report.total("average_value"), report.company)
    rates = CarryingRates(capital=capital, storage=storage, risk=risk)
    cost = carrying_cost(float(average), rates, days=report.period.days)
    smallest = Decimal(1).scaleb(-report.company.currency_decimals)
    parts = {name: Decimal(str(amount)).quantize(smallest) for name, amount in cost.items()}
    return CarryingReply(**_about(report), average_value=average, **parts)


@router.get("/abc-xyz", summary="Classes of products.")
def get_classes(
    context: Context,
    period: Days,
    category: Category = None,
    a_share: Annotated[float, Query(gt=0, lt=1, description="Share of the revenue that A makes.")] = 0.8,
    b_share: Annotated[float, Query(gt=0, le=1, description="Share that A and B make together.")] = 0.95,
    x_cv: Annotated[float, Query(ge=0, le=100, description="Up to this variation, demand is even (X).")] = 0.5,
    y_cv: Annotated[float, Query(ge=0, le=100, description="Up to this variation, it varies (Y).")] = 1.0,
) -> ClassesReply:
    """ABC by revenue, XYZ by the variation of weekly sales."""
    report = _report(context, period, method=Method.MOVING_AVERAGE, category=category)
    revenues = {product.sku: float(max(product.revenue, 0)) for product in report.products}
    abc = abc_classes(revenues, a_share=a_share, b_share=b_share)
    rows = [
        ClassRow.model_validate(
            {
                "sku": product.sku,
                "abc": abc[product.sku],
                "xyz": xyz_class(product.sold_by_week, x_cv=x_cv, y_cv=y_cv),
                "revenue": _money(product.revenue, report.company),
            }
        )
        for product in sorted(report.products, key=lambda one: (-one.revenue, one.sku))
    ]
    return ClassesReply(**_about(report), rows=rows)


@router.get("/ageing", summary="How old stock is.")
def get_ageing(
    context: Context,
    period: Days,
    category: Category = None,
    dead_days: Annotated[int, Query(ge=1, le=3_650, description="Without a sale for so long, stock is dead.")] = 180,
) -> AgeingReply:
    """Value by age at the end of the last day, first in, first out; what is dead."""
    report = _report(context, period, method=Method.FIFO, category=category)
    held = [product for product in report.products if product.closing_quantity > 0]
    rows = [_age(product, report=report, dead_days=dead_days) for product in held]
    dead = sum((row.value for row in rows if row.is_dead), start=Decimal(0))
    return AgeingReply(**_about(report), dead_value=dead, rows=rows)


def _age(product: ProductFinance, *, report: FinanceReport, dead_days: int) -> AgeRow:
    company, last = report.company, report.period.last
    values = dict.fromkeys((_bucket(low, high) for low, high in _AGE_BUCKETS), 0)
    for layer in product.layers:
        age = (last - company.day_of(layer.since)).days
        low, high = next((low, high) for low, high in _AGE_BUCKETS if high is None or age <= high)
        values[_bucket(low, high)] += layer.value
    sold = product.last_sold_at
    last_sold_on = None if sold is None else company.day_of(sold)
    since = _oldest(product, company) if last_sold_on is None else last_sold_on
    return AgeRow(
        sku=product.sku,
        buckets={name: _money(value, company) for name, value in values.items()},
        value=_money(product.closing_value, company),
        last_sold_on=last_sold_on,
        is_dead=(last - since).days >= dead_days,
    )


def _oldest(product: ProductFinance, company: Company) -> date:
    oldest: datetime = min(layer.since for layer in product.layers)
    return company.day_of(oldest)


def _bucket(low: int, high: int | None) -> str:
    return f"{low}+" if high is None else f"{low}-{high}"


def _report(
    context: PlanningContext, period: Callable[[Company], Period], *, method: Method, category: str | None
) -> FinanceReport:
    with context.reading() as connection:
        days = period(read_company(connection))
        return report_finance(connection, days, method=method, category=category)


def _about(report: FinanceReport) -> dict[str, object]:
    return {"currency": report.company.currency, "first": report.period.first, "last": report.period.last}


def _money(amount: int, company: Company) -> Decimal:
    return Decimal(amount).scaleb(-company.currency_decimals)
