"""The product page: everything about a product in one call and one state of the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select

from restock.adapters.database.catalogue_tables import LotRow
from restock.adapters.database.ledger_tables import BalanceRow, MovementLineRow, MovementRow
from restock.adapters.database.order_tables import (
    CustomerOrderLineRow,
    CustomerOrderRow,
    PurchaseOrderLineRow,
    PurchaseOrderRow,
    TransferLineRow,
    TransferRow,
)
from restock.adapters.database.planning_tables import ForecastRow, PlanRow
from restock.operations.catalogue.page_parts import (
    CustomerDemand,
    ForecastPeriod,
    ForecastSeries,
    InTransit,
    LastMovement,
    LocationPlan,
    LocationStock,
    LotStock,
    OnOrder,
    PageBarcode,
    PageForecast,
    PagePlan,
    PagePrices,
    PageProduct,
    PageUnit,
    ProductPage,
)
from restock.operations.catalogue.prices import ProductPrices, read_prices
from restock.operations.catalogue.product_drafts import ProductRecord
from restock.operations.catalogue.products import read_product
from restock.operations.stock.company import read_company
from restock.operations.stock.places import require_location

NO_FORECAST = "no forecast of this product has been stored yet"
NO_PLAN = "replenishment has not planned this product yet"
LAST_MOVEMENTS = 20
# Lines of orders, transfers and customers that are shown; the totals count all of them.
MOST_LINES = 200
# Locations whose forecast is shown, and their periods; the others are asked for by name.
MOST_SERIES, MOST_PERIODS = 10, 400
# The ledger's own locations begin with @.
_VIRTUAL = "@%"
ToUnits = Callable[[int], Decimal]


def read_product_page(connection: Connection, sku: str, *, today: date, location: str | None = None) -> ProductPage:
    """Return everything about a product.

    Args:
        connection: in a transaction that sees one state of the database.
        sku: the product.
        today: the company's day.
        location: only what is about this location; None: all of them.

    Raises:
        NotFoundError: the product or the location is unknown.
    """
    if location is not None:
        require_location(connection, location)
    product = read_product(connection, sku)

    def to_units(scaled: int) -> Decimal:
        return Decimal(scaled).scaleb(-product.quantity_decimals)

    stock = _read_stock(connection, sku, to_units, location=location, today=today)
    on_order = _read_on_order(connection, sku, to_units, location=location, today=today)
    in_transit = _read_in_transit(connection, sku, to_units, location=location)
    demand = _read_customer_demand(connection, sku, to_units, location=location)
    prices = read_prices(connection, [sku], on=today)[sku]
    return ProductPage(
        product=describe_product(product),
        as_of=today,
        on_hand=_total(to_units, (each.on_hand for each in stock)),
        stock=stock,
        on_order_total=_total(to_units, (each.quantity for each in on_order)),
        on_order=on_order[:MOST_LINES],
        in_transit_total=_total(to_units, (each.quantity for each in in_transit)),
        in_transit=in_transit[:MOST_LINES],
        customer_demand_total=_total(to_units, (each.quantity for each in demand)),
        customer_demand=demand[:MOST_LINES],
        prices=_describe_prices(prices, currency=read_company(connection).currency),
        forecast=_read_forecast(connection, sku, location=location),
        plan=_read_plan(connection, sku, to_units, location=location),
        last_movements=_read_last_movements(connection, sku, to_units, location=location),
    )


def _total(to_units: ToUnits, quantities: Iterable[Decimal]) -> Decimal:
    return sum(quantities, to_units(0))


def describe_product(product: ProductRecord) -> PageProduct:
    """Return a product as a page shows it."""
    names = set(PageProduct.model_fields) - {"barcodes", "units", "changed_at_utc"}
    return PageProduct(
        changed_at_utc=product.changed_at,
        **{name: getattr(product, name) for name in names},
        barcodes=[PageBarcode(gtin=each.gtin, unit=each.unit) for each in product.barcodes],
        units=[PageUnit(unit=each.unit, factor=each.factor) for each in product.units],
    )


def _describe_prices(prices: ProductPrices, *, currency: str) -> PagePrices:
    return PagePrices.model_validate(
        {
            "currency": currency,
            "unit_cost": prices.unit_cost,
            "unit_price": prices.unit_price,
            "costs": prices.costs,
            "prices": prices.prices,
        }
    )


def _read_stock(
    connection: Connection, sku: str, to_units: ToUnits, *, location: str | None, today: date
) -> list[LocationStock]:
    statement = (
        select(BalanceRow.location, BalanceRow.lot, BalanceRow.quantity, BalanceRow.version, LotRow.expires_on)
        .join(LotRow, (LotRow.sku == BalanceRow.sku) & (LotRow.lot == BalanceRow.lot), isouter=True)
        .where(BalanceRow.sku == sku, BalanceRow.quantity != 0, BalanceRow.location.not_like(_VIRTUAL))
    )
    lots: dict[str, list[LotStock]] = defaultdict(list)
    for row in _rows(connection, statement, BalanceRow.location, location):
        lots[row["location"]].append(
            LotStock(
                lot=row["lot"],
                expires_on=row["expires_on"],
                is_expired=row["expires_on"] is not None and row["expires_on"] < today,
                on_hand=to_units(row["quantity"]),
                version=row["version"],
            )
        )
    return [
        LocationStock(
            location=name,
            on_hand=_total(to_units, (each.on_hand for each in found)),
            lots=sorted(found, key=lambda each: (each.expires_on or date.max, each.lot)),
        )
        for name, found in sorted(lots.items())
    ]


def _read_on_order(
    connection: Connection, sku: str, to_units: ToUnits, *, location: str | None, today: date
) -> list[OnOrder]:
    statement = (
        select(
            PurchaseOrderRow.purchase_order,
            PurchaseOrderLineRow.line,
            PurchaseOrderRow.supplier,
            PurchaseOrderRow.location,
            PurchaseOrderRow.ordered_on,
            PurchaseOrderRow.promised_on,
            (PurchaseOrderLineRow.quantity_ordered - PurchaseOrderLineRow.quantity_received).label("open"),
        )
        .join(PurchaseOrderRow, PurchaseOrderRow.purchase_order == PurchaseOrderLineRow.purchase_order)
        .where(
            PurchaseOrderLineRow.sku == sku,
            PurchaseOrderRow.state.in_(("sent", "partly_received")),
            PurchaseOrderLineRow.quantity_ordered > PurchaseOrderLineRow.quantity_received,
        )
    )
    found = [
        OnOrder(
            **{name: row[name] for name in ("purchase_order", "line", "supplier", "location")},
            ordered_on=row["ordered_on"],
            promised_on=row["promised_on"],
            is_late=row["promised_on"] is not None and row["promised_on"] < today,
            quantity=to_units(row["open"]),
        )
        for row in _rows(connection, statement, PurchaseOrderRow.location, location)
    ]
    return sorted(found, key=lambda each: (each.promised_on or date.max, each.purchase_order, each.line))


def _read_in_transit(connection: Connection, sku: str, to_units: ToUnits, *, location: str | None) -> list[InTransit]:
    statement = (
        select(
            TransferRow.transfer,
            TransferRow.source,
            TransferRow.target,
            TransferRow.dispatched_at_utc,
            TransferLineRow.lot,
            (TransferLineRow.quantity_dispatched - TransferLineRow.quantity_arrived).label("open"),
        )
        .join(TransferRow, TransferRow.transfer == TransferLineRow.transfer)
        .where(
            TransferLineRow.sku == sku,
            TransferRow.state.in_(("in_transit", "partly_arrived")),
            TransferLineRow.quantity_dispatched > TransferLineRow.quantity_arrived,
        )
        .order_by(TransferRow.dispatched_at_utc, TransferRow.transfer, TransferLineRow.line)
    )
    return [
        InTransit(
            **{name: row[name] for name in ("transfer", "source", "target", "lot")},
            dispatched_at_utc=row["dispatched_at_utc"],
            quantity=to_units(row["open"]),
        )
        for row in _rows(connection, statement, TransferRow.target, location)
    ]


def _read_customer_demand(
    connection: Connection, sku: str, to_units: ToUnits, *, location: str | None
) -> list[CustomerDemand]:
    statement = (
        select(
            CustomerOrderRow.customer_order,
            CustomerOrderLineRow.line,
            CustomerOrderRow.customer,
            CustomerOrderRow.location,
            CustomerOrderRow.requested_on,
            (CustomerOrderLineRow.quantity_ordered - CustomerOrderLineRow.quantity_delivered).label("open"),
        )
        .join(CustomerOrderRow, CustomerOrderRow.customer_order == CustomerOrderLineRow.customer_order)
        .where(
            CustomerOrderLineRow.sku == sku,
            CustomerOrderRow.state.in_(("open", "partly_delivered")),
            CustomerOrderLineRow.quantity_ordered > CustomerOrderLineRow.quantity_delivered,
        )
    )
    found = [
        CustomerDemand(
            **{name: row[name] for name in ("customer_order", "line", "customer", "location", "requested_on")},
            quantity=to_units(row["open"]),
        )
        for row in _rows(connection, statement, CustomerOrderRow.location, location)
    ]
    return sorted(found, key=lambda each: (each.requested_on or date.max, each.customer_order, each.line))


def _read_forecast(connection: Connection, sku: str, *, location: str | None) -> PageForecast:
    """Return the forecasts of the latest cutoff of each location."""
    latest = (
        select(ForecastRow.location, func.max(ForecastRow.cutoff).label("cutoff"))
        .where(ForecastRow.sku == sku)
        .group_by(ForecastRow.location)
        .order_by(ForecastRow.location)
        .limit(MOST_SERIES)
    )
    series = []
    for found in _rows(connection, latest, ForecastRow.location, location):
        periods = connection.execute(
            select(ForecastRow.__table__)
            .where(
                ForecastRow.sku == sku,
                ForecastRow.location == found["location"],
                ForecastRow.cutoff == found["cutoff"],
            )
            .order_by(ForecastRow.date)
            .limit(MOST_PERIODS)
        ).mappings()
        series.append(_describe_series(list(periods)))
    if not series:
        return PageForecast(available=False, reason=NO_FORECAST, series=[])
    return PageForecast(available=True, reason=None, series=series)


def _describe_series(rows: list[RowMapping]) -> ForecastSeries:
    """Return a forecast; where several versions made one for the same cutoff, the latest version's."""
    version = max((row["model_version"] for row in rows), key=lambda name: (len(name), name))
    periods = [row for row in rows if row["model_version"] == version]
    return ForecastSeries(
        location=rows[0]["location"],
        cutoff=rows[0]["cutoff"],
        model_version=version,
        periods=[
            ForecastPeriod(date=row["date"], mean_units=row["mean_units"], quantile_units=row["quantile_units"])
            for row in periods
        ],
    )


def _read_plan(connection: Connection, sku: str, to_units: ToUnits, *, location: str | None) -> PagePlan:
    """Return the latest plan of each location."""
    latest = (
        select(PlanRow.location, func.max(PlanRow.as_of).label("as_of"))
        .where(PlanRow.sku == sku)
        .group_by(PlanRow.location)
        .subquery()
    )
    statement = (
        select(PlanRow.__table__)
        .join(latest, (latest.c.location == PlanRow.location) & (latest.c.as_of == PlanRow.as_of))
        .where(PlanRow.sku == sku)
        .order_by(PlanRow.location)
        .limit(MOST_LINES)
    )
    levels = ("reorder_point", "order_up_to_level", "order_quantity")
    plans = [
        LocationPlan(
            **{name: row[name] for name in ("location", "as_of", "supplier", "expected_fill_rate")},
            **{name: to_units(row[name]) for name in levels},
        )
        for row in _rows(connection, statement, PlanRow.location, location)
    ]
    return PagePlan(available=bool(plans), reason=None if plans else NO_PLAN, plans=plans)


def _read_last_movements(
    connection: Connection, sku: str, to_units: ToUnits, *, location: str | None
) -> list[LastMovement]:
    statement = (
        select(
            MovementRow.movement,
            MovementRow.kind,
            MovementRow.occurred_at_utc,
            MovementRow.posted_by,
            MovementRow.reference,
            MovementLineRow.location,
            MovementLineRow.lot,
            MovementLineRow.quantity,
        )
        .join(MovementRow, MovementRow.movement == MovementLineRow.movement)
        .where(MovementLineRow.sku == sku, MovementLineRow.location.not_like(_VIRTUAL))
        .order_by(MovementRow.posted_at_utc.desc(), MovementRow.movement.desc(), MovementLineRow.line)
        .limit(LAST_MOVEMENTS)
    )
    return [
        LastMovement(
            **{name: row[name] for name in ("movement", "kind", "posted_by", "reference", "location", "lot")},
            occurred_at_utc=row["occurred_at_utc"],
            quantity=to_units(row["quantity"]),
        )
        for row in _rows(connection, statement, MovementLineRow.location, location)
    ]


def _rows(
    connection: Connection, statement: Select[*tuple[Any, ...]], column: Any, location: str | None
) -> list[RowMapping]:
    """Return the rows of a statement; where a location is named, only its own."""
    if location is not None:
        statement = statement.where(column == location)
    return list(connection.execute(statement).mappings())
