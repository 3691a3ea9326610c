"""Every table that crosses a module border, declared once; schemas, rules, suites and the data dictionary follow."""

from __future__ import annotations

from restock.schema import Table
from restock.tables.decisions import ALERTS, PLAN, REJECTED
from restock.tables.forecasts import DEMAND_COMOVEMENT, DEMAND_DEPENDENCE, QUANTILE_FORECAST, TOTAL_FORECAST
from restock.tables.masters import CALENDAR, LOCATIONS, PRODUCTS, SUPPLY_TERMS
from restock.tables.records import MOVEMENTS, PURCHASE_ORDERS, SALES, STOCK

__all__ = [
    "ALERTS",
    "CALENDAR",
    "DEMAND_COMOVEMENT",
    "DEMAND_DEPENDENCE",
    "LOCATIONS",
    "MOVEMENTS",
    "PLAN",
    "PRODUCTS",
    "PURCHASE_ORDERS",
    "QUANTILE_FORECAST",
    "REJECTED",
    "SALES",
    "SOURCE_TABLES",
    "STOCK",
    "SUPPLY_TERMS",
    "TABLES",
    "TOTAL_FORECAST",
]

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        SALES,
        CALENDAR,
        PRODUCTS,
        LOCATIONS,
        SUPPLY_TERMS,
        PURCHASE_ORDERS,
        MOVEMENTS,
        STOCK,
        QUANTILE_FORECAST,
        DEMAND_DEPENDENCE,
        DEMAND_COMOVEMENT,
        TOTAL_FORECAST,
        PLAN,
        ALERTS,
        REJECTED,
    )
}

# What a company brings and ingestion reads; the other tables are made here.
SOURCE_TABLES: tuple[str, ...] = (
    "sales",
    "calendar",
    "products",
    "locations",
    "supply_terms",
    "purchase_orders",
    "movements",
    "stock",
)
