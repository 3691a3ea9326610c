"""How suppliers kept their word, how demand came, how long stock was out, what was lost and what was served."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from restock.operations.analytics.ledger_events import read_products
from restock.operations.analytics.supply import (
    report_fill_rate,
    report_losses,
    report_series,
    report_suppliers,
)
from restock.operations.stock.company import read_company
from serving.planning.context import Context
from serving.planning.routes.analytics import Days, PeriodReply
from serving.planning.values import Code, Exact, Reply

router = APIRouter(tags=["analytics"], prefix="/analytics")

NO_LOST_SALES = "lost sales are estimated from forecasts of demand, which no model gives yet"
NO_KNOWN_DEMAND = "no customer orders are known for this period, so demand beyond the shelf is not"
_Sku = Annotated[Code | None, Query(description="Only of this product.")]
_Location = Annotated[Code | None, Query(description="Only at this location.")]


class SupplierRow(Reply):
    """How a supplier kept their word."""

    supplier: str = Field(description="The supplier.")
    n_lines: int = Field(description="Order lines that were sent in the period.")
    n_open: int = Field(description="Lines still expected and not overdue.")
    n_judged: int = Field(description="Lines whose promise was kept, broken, or is overdue.")
    on_time_in_full_share: float | None = Field(description="Of the judged lines, those whole by the promise, 0-1.")
    mean_lateness_days: float | None = Field(description="Days after the promise until whole, of lines that are whole.")
    lead_time_days: dict[str, float | None] = Field(
        description="Quantiles of the days from order to the whole line; lines not yet whole are counted as longer."
    )
    short_share: float | None = Field(description="Of the ended lines, those of which less came, 0-1.")
    price_drift_share: float | None = Field(description="Mean change of cost, first to last order, share of the first.")


class SuppliersReply(PeriodReply):
    """Scorecards of the suppliers."""

    rows: list[SupplierRow] = Field(description="By supplier.")


class DemandRow(Reply):
    """How a sku sold at a location."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Where.")
    days: int = Field(description="Days with records.")
    mean_units: float = Field(description="Mean units sold a day.")
    deviation_units: float = Field(description="Standard deviation of the units sold a day.")
    variation: float | None = Field(description="Standard deviation / mean.")
    interval_periods: float | None = Field(description="Mean days between days with sales (ADI).")
    size_variation: float | None = Field(description="Squared coefficient of variation of days with sales (CV2).")
    shape: str = Field(description="smooth, erratic, intermittent, lumpy, or none.")


class DemandReply(PeriodReply):
    """How demand came."""

    rows: list[DemandRow] = Field(description="By sku and location.")


class StockoutRow(Reply):
    """How long a sku was out of stock."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Where.")
    days: int = Field(description="Days with records.")
    stockout_days: float = Field(description="Days without stock, parts of days added up.")
    unknown_days: int = Field(description="Days on which the books were below zero, so that nothing is known.")


class StockoutsReply(PeriodReply):
    """Days without stock."""

    rows: list[StockoutRow] = Field(description="By sku and location.")
    lost_sales_unavailable: str | None = Field(description="Why lost sales are not estimated.")


class LossRow(Reply):
    """What was lost, found and corrected."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Where.")
    counted: Exact = Field(description="By counts, signed, base units.")
    written_off: Exact = Field(description="By write-offs, base units, at most 0.")
    adjusted: Exact = Field(description="By adjustments, signed, base units.")
    sold: Exact = Field(description="Sold, base units.")
    shrinkage_share: float | None = Field(description="Net loss by counts / units sold; null if nothing was sold.")


class LossesReply(PeriodReply):
    """What was lost, found and corrected."""

    rows: list[LossRow] = Field(description="By sku and location.")


class FillRow(Reply):
    """What of the known demand was served."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Where.")
    ordered: Exact = Field(description="What customers ordered for the period, base units.")
    delivered: Exact = Field(description="Of it, what was delivered, base units.")
    fill_rate: float = Field(description="Delivered / ordered, 0-1.")


class FillRateReply(PeriodReply):
    """What of the known demand was served."""

    rows: list[FillRow] = Field(description="By sku and location.")
    unavailable: str | None = Field(description="Why there is none; null where there is.")


@router.get("/suppliers", summary="How suppliers keep their word.")
def get_suppliers_report(context: Context, period: Days) -> SuppliersReply:
    """Scorecards over the orders sent in a period."""
    with context.reading() as connection:
        company = read_company(connection)
        days = period(company)
        cards = report_suppliers(connection, days, today=company.day_of(context.now()))
    rows = [SupplierRow(supplier=supplier, **vars(card)) for supplier, card in cards.items()]
    return SuppliersReply(currency=company.currency, first=days.first, last=days.last, rows=rows)


@router.get("/demand", summary="How demand comes.")
def get_demand_report(context: Context, period: Days, sku: _Sku = None, location: _Location = None) -> DemandReply:
    """Mean, variation and shape of the daily sales by sku and location."""
    with context.reading() as connection:
        company = read_company(connection)
        days = period(company)
        series = report_series(connection, days, sku=sku, location=location)
    rows = [DemandRow(sku=one.sku, location=one.location, days=one.days, **vars(one.shape)) for one in series]
    return DemandReply(currency=company.currency, first=days.first, last=days.last, rows=rows)


@router.get("/stockouts", summary="How long stock was out.")
def get_stockouts_report(
    context: Context, period: Days, sku: _Sku = None, location: _Location = None
) -> StockoutsReply:
    """Days without stock by sku and location; lost sales follow with the forecasts of demand."""
    with context.reading() as connection:
        company = read_company(connection)
        days = period(company)
        series = report_series(connection, days, sku=sku, location=location)
    rows = [
        StockoutRow(
            sku=one.sku,
            location=one.location,
            days=one.days,
            stockout_days=round(one.stockout_days, 4),
            unknown_days=one.unknown_days,
        )
        for one in series
    ]
    return StockoutsReply(
        currency=company.currency,
        first=days.first,
        last=days.last,
        rows=rows,
        lost_sales_unavailable=NO_LOST_SALES,
    )


@router.get("/shrinkage", summary="What was lost, found and corrected.")
def get_shrinkage_report(context: Context, period: Days) -> LossesReply:
    """Units by counts, write-offs and adjustments; their value is in /analytics/finance."""
    with context.reading() as connection:
        company = read_company(connection)
        days = period(company)
        losses = report_losses(connection, days)
        scales = {sku: facts.scale for sku, facts in read_products(connection).items()}
    rows = [
        LossRow(
            sku=one.sku,
            location=one.location,
            counted=Decimal(one.counted) / scales[one.sku],
            written_off=Decimal(one.written_off) / scales[one.sku],
            adjusted=Decimal(one.adjusted) / scales[one.sku],
            sold=Decimal(one.sold) / scales[one.sku],
            shrinkage_share=-one.counted / one.sold if one.sold > 0 else None,
        )
        for one in losses
    ]
    return LossesReply(currency=company.currency, first=days.first, last=days.last, rows=rows)


@router.get("/fill-rate", summary="What of the known demand was served.")
def get_fill_rate_report(context: Context, period: Days) -> FillRateReply:
    """Share of the units that customers ordered which were delivered."""
    with context.reading() as connection:
        company = read_company(connection)
        days = period(company)
        found = report_fill_rate(connection, days)
        scales = {sku: facts.scale for sku, facts in read_products(connection).items()}
    rows = [
        FillRow(
            sku=sku,
            location=location,
            ordered=Decimal(ordered) / scales[sku],
            delivered=Decimal(found.delivered[sku, location]) / scales[sku],
            fill_rate=found.delivered[sku, location] / ordered,
        )
        for (sku, location), ordered in sorted(found.ordered.items())
    ]
    reason = None if rows else NO_KNOWN_DEMAND
    return FillRateReply(currency=company.currency, first=days.first, last=days.last, rows=rows, unavailable=reason)
