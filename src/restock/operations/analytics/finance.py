"""The finance view: what stock was worth, what changed it, what it earned; equal to the ledger to the cent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from restock.analytics.valuation import Flow, Layer, Method, Pool, divide_half_even, share_out
from restock.errors import DataError
from restock.ledger.daily_sales import midnight_utc
from restock.operations.analytics.ledger_events import (
    ProductFacts,
    Trade,
    read_positions,
    read_products,
    read_trades,
)
from restock.operations.stock.company import Company, read_company

# Samples of the value for its average over a period.
_MOST_SAMPLES = 366


@dataclass(frozen=True, kw_only=True)
class Period:
    """Days of the company, both ends included.

    Attributes:
        first: the first day.
        last: the last day.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise DataError(f"a period must begin before it ends, got {self.first} to {self.last}.")

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, kw_only=True)
class ProductFinance:
    """What a product's stock was worth over a period, and what changed it.

    Attributes:
        sku: the product.
        facts: what reports say of it.
        opening_quantity: at the beginning, scaled base units.
        closing_quantity: at the end, scaled base units.
        opening_value: at the beginning, minor units of money.
        flows: what changed the value, minor units of money; opening + flows = closing.
        closing_value: at the end, minor units of money.
        average_value: mean over the days of the period, minor units of money.
        revenue: what customers paid, less what they got back, minor units of money.
        sold_quantity: sold less returned, scaled base units.
        sold_by_week: sold by week of the period, scaled base units.
        layers: what is there at the end by when it came.
        last_sold_at: when it was sold last, UTC; None where it never was.
    """

    sku: str
    facts: ProductFacts
    opening_quantity: int
    closing_quantity: int
    opening_value: int
    flows: Mapping[Flow, int]
    closing_value: int
    average_value: int
    revenue: int
    sold_quantity: int
    sold_by_week: tuple[int, ...]
    layers: tuple[Layer, ...]
    last_sold_at: datetime | None

    @property
    def cost_of_sales(self) -> int:
        """What the goods sold had cost, less those that came back, minor units of money; above 0 where sold."""
        return -(self.flows.get(Flow.COST_OF_SALES, 0) + self.flows.get(Flow.RETURNS, 0))


@dataclass(frozen=True, kw_only=True)
class FinanceReport:
    """The finance view of a period.

    Attributes:
        company: currency and day.
        period: the days.
        method: how what goes out is valued.
        products: those that had stock or movements, by sku.
    """

    company: Company
    period: Period
    method: Method
    products: list[ProductFinance]

    def total(self, name: str) -> int:
        """Return the sum of a figure over all products."""
        return sum(int(getattr(product, name)) for product in self.products)

    def flow(self, flow: Flow) -> int:
        """Return what a flow changed over all products, minor units of money."""
        return sum(product.flows.get(flow, 0) for product in self.products)


def report_finance(
    connection: Connection, period: Period, *, method: Method, category: str | None = None
) -> FinanceReport:
    """Return the finance view of a period, computed from every movement up to its end.

    Args:
        connection: in a transaction.
        period: which days.
        method: how what goes out is valued.
        category: only products whose category path begins with it; None for all.
    """
    company = read_company(connection)
    products = read_products(connection, category=category)
    begin = midnight_utc(period.first, company.time_zone)
    end = midnight_utc(period.last + timedelta(days=1), company.time_zone)
    reports = [
        _report_product(sku, products[sku], trades, method=method, period=period, begin=begin, end=end)
        for sku, trades in read_trades(connection, products, before=end)
    ]
    return FinanceReport(company=company, period=period, method=method, products=reports)


def value_by_location(connection: Connection, report: FinanceReport) -> dict[str, dict[str, tuple[int, int]]]:
    """Return quantity (scaled base units) and value (minor units) by sku and location at the end of a report's period.

    A product costs the same wherever it is; the values of its locations add up to its value.
    """
    end = midnight_utc(report.period.last + timedelta(days=1), report.company.time_zone)
    positions = read_positions(connection, before=end)
    values: dict[str, dict[str, tuple[int, int]]] = {}
    for product in report.products:
        held = positions.get(product.sku, {})
        parts = share_out(product.closing_value, list(held.values()))
        values[product.sku] = {
            location: (quantity, part) for (location, quantity), part in zip(held.items(), parts, strict=True)
        }
    return values


@dataclass
class _Tally:
    """What is counted while a product's trades are valued."""

    flows: dict[Flow, int] = field(default_factory=lambda: defaultdict(int))
    weeks: list[int] = field(default_factory=list)
    revenue: int = 0
    sold: int = 0
    # Quantity and value when the period began; None until its first trade.
    opening: tuple[int, int] | None = None
    last_sold_at: datetime | None = None


def _report_product(
    sku: str,
    facts: ProductFacts,
    trades: list[Trade],
    *,
    method: Method,
    period: Period,
    begin: datetime,
    end: datetime,
) -> ProductFinance:
    pool, tally = Pool(method), _Tally(weeks=[0] * (-(-period.days // 7)))
    samples = _sample_times(begin, end)
    value_sum, position = 0, 0
    for trade in trades:
        event = trade.event
        # What it was worth at each sample before this event.
        while position < len(samples) and samples[position] <= event.occurred_at:
            value_sum += pool.value
            position += 1
        if tally.opening is None and event.occurred_at >= begin:
            tally.opening = (pool.quantity, pool.value)
        _apply(pool, tally, trade, begin=begin)
    value_sum += pool.value * (len(samples) - position)
    opening = tally.opening or (pool.quantity, pool.value)
    return ProductFinance(
        sku=sku,
        facts=facts,
        opening_quantity=opening[0],
        closing_quantity=pool.quantity,
        opening_value=opening[1],
        flows=dict(tally.flows),
        closing_value=pool.value,
        average_value=divide_half_even(value_sum, len(samples)),
        revenue=divide_half_even(tally.revenue, facts.scale),
        sold_quantity=tally.sold,
        sold_by_week=tuple(tally.weeks),
        layers=pool.layers,
        last_sold_at=tally.last_sold_at,
    )


def _apply(pool: Pool, tally: _Tally, trade: Trade, *, begin: datetime) -> None:
    """Bring stock and tally forward by a trade."""
    event = trade.event
    is_within = event.occurred_at >= begin
    for flow in pool.apply(event):
        if is_within:
            tally.flows[flow.flow] += flow.value
    if event.flow is Flow.COST_OF_SALES and event.quantity < 0:
        tally.last_sold_at = event.occurred_at
    if is_within and event.flow in (Flow.COST_OF_SALES, Flow.RETURNS):
        tally.revenue += trade.revenue
        tally.sold -= event.quantity
        tally.weeks[min((event.occurred_at - begin).days // 7, len(tally.weeks) - 1)] -= event.quantity


def _sample_times(begin: datetime, end: datetime) -> list[datetime]:
    """Return the ends of the days of a period, or of as many equal parts as are sampled at most."""
    n_samples = min(max((end - begin).days, 1), _MOST_SAMPLES)
    return [begin + (end - begin) * (number + 1) / n_samples for number in range(n_samples)]
