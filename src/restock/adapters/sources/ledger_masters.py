"""The master data and orders of a ledger as source tables: products, locations, supply terms, purchase orders."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import Connection, func, select

from restock.adapters.database.catalogue_tables import (
    BarcodeRow,
    CostRow,
    LocationRow,
    PriceRow,
    ProductRow,
    ProductUnitRow,
    SupplyTermRow,
)
from restock.adapters.database.order_tables import PurchaseOrderLineRow, PurchaseOrderRow, PurchaseReceiptRow
from restock.schema import Table
from restock.tables import LOCATIONS, PRODUCTS, PURCHASE_ORDERS, SUPPLY_TERMS

# Category of a product that has none.
UNCATEGORISED = "uncategorised"
# `ProductUnitRow.factor` counts base units times a million.
_FACTOR_SCALE = 1_000_000
_OVER = ("received", "closed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Scales:
    """How scaled integers become numbers.

    Attributes:
        money: minor units of money in one.
        decimals: decimal places of quantities, by sku; a sku that the catalogue lacks has 0.
    """

    money: int
    decimals: dict[str, int]

    def units_of(self, sku: str) -> int:
        """Return the scaled base units in one."""
        return int(10 ** self.decimals.get(sku, 0))


def read_scales(connection: Connection, *, currency_decimals: int) -> Scales:
    """Return how this ledger's integers become numbers."""
    rows = connection.execute(select(ProductRow.sku, ProductRow.quantity_decimals))
    return Scales(money=10**currency_decimals, decimals={row.sku: row.quantity_decimals for row in rows})


def read_products(connection: Connection, *, scales: Scales, as_of: date) -> pl.DataFrame:
    """Return table `products`, with the cost and price in force on a day."""
    barcodes: dict[str, list[str]] = defaultdict(list)
    for sku, gtin in connection.execute(select(BarcodeRow.sku, BarcodeRow.gtin).order_by(BarcodeRow.gtin)):
        barcodes[sku].append(gtin)
    packs: dict[str, list[int]] = defaultdict(list)
    for sku, factor in connection.execute(select(ProductUnitRow.sku, ProductUnitRow.factor)):
        if factor > _FACTOR_SCALE and factor % _FACTOR_SCALE == 0:
            packs[sku].append(factor // _FACTOR_SCALE)
    costs = _in_force(connection, CostRow.sku, CostRow.valid_from, CostRow.unit_cost, as_of=as_of)
    prices = _in_force(connection, PriceRow.sku, PriceRow.valid_from, PriceRow.unit_price, as_of=as_of)
    rows = [
        {
            "sku": row.sku,
            "name": row.name or row.sku,
            "category_path": row.category_path or UNCATEGORISED,
            "barcodes": barcodes.get(row.sku),
            "unit_cost": _money(costs.get(row.sku), scales),
            "unit_price": _money(prices.get(row.sku), scales),
            # The smallest pack: a pallet is no case.
            "pack_units": min(packs.get(row.sku, [1])),
            "shelf_life_days": row.shelf_life_days,
            "unit_of_measure": row.base_unit,
        }
        for row in connection.execute(select(ProductRow.__table__).order_by(ProductRow.sku))
    ]
    return as_table(PRODUCTS, rows)


def read_locations(connection: Connection) -> pl.DataFrame:
    """Return table `locations`."""
    rows = [
        {
            "location": row.location,
            "kind": row.kind,
            "region": row.region or None,
            "capacity_units": None if row.capacity is None else float(row.capacity),
        }
        for row in connection.execute(select(LocationRow.__table__).order_by(LocationRow.location))
    ]
    return as_table(LOCATIONS, rows)


def read_supply_terms(connection: Connection, *, scales: Scales) -> pl.DataFrame:
    """Return table `supply_terms`; a quantity that is not whole is rounded up."""
    rows = [
        {
            "sku": row.sku,
            "location": row.location,
            "supplier": row.supplier,
            "unit_cost": _money(row.unit_cost, scales),
            "minimum_order_quantity": max(1, math.ceil(row.minimum_order_quantity / scales.units_of(row.sku))),
            "order_multiple": max(1, math.ceil(row.order_multiple / scales.units_of(row.sku))),
            "fixed_order_cost": _money(row.fixed_order_cost, scales),
            "review_periods": max(1, row.review_periods),
            "quoted_lead_time_days": row.quoted_lead_time_days,
        }
        for row in connection.execute(
            select(SupplyTermRow.__table__).order_by(SupplyTermRow.sku, SupplyTermRow.location, SupplyTermRow.supplier)
        )
    ]
    return as_table(SUPPLY_TERMS, rows)


def read_purchase_orders(connection: Connection, *, scales: Scales, as_of: date) -> pl.DataFrame:
    """Return table `purchase_orders`: what was sent by the end of a day, and what of it had come by then.

    Lines of which nothing came and nothing will, closed or cancelled, are left out.
    """
    order, line, receipt = PurchaseOrderRow, PurchaseOrderLineRow, PurchaseReceiptRow
    came = (
        select(
            receipt.purchase_order,
            receipt.line,
            func.sum(receipt.quantity).label("quantity"),
            func.max(receipt.received_on).label("last_on"),
        )
        .where(receipt.received_on <= as_of)
        .group_by(receipt.purchase_order, receipt.line)
        .subquery()
    )
    statement = (
        select(
            line.purchase_order,
            line.line,
            line.sku,
            order.location,
            order.supplier,
            order.state,
            order.ordered_on,
            order.promised_on,
            came.c.last_on,
            line.quantity_ordered,
            func.coalesce(came.c.quantity, 0).label("received"),
            line.unit_cost,
        )
        .join(order, order.purchase_order == line.purchase_order)
        .outerjoin(came, (came.c.purchase_order == line.purchase_order) & (came.c.line == line.line))
        .where(order.ordered_on <= as_of, order.state != "draft")
        .order_by(line.purchase_order, line.line)
    )
    rows = []
    for row in connection.execute(statement):
        units, received = scales.units_of(row.sku), int(row.received)
        is_over = row.state in _OVER
        if is_over and received <= 0:
            continue
        is_complete = is_over or received >= row.quantity_ordered
        rows.append(
            {
                "order": row.purchase_order,
                "line": row.line,
                "sku": row.sku,
                "location": row.location,
                "supplier": row.supplier,
                "ordered_on": row.ordered_on,
                "promised_on": row.promised_on,
                "received_on": row.last_on if is_complete else None,
                "quantity_ordered": row.quantity_ordered / units,
                "quantity_received": received / units,
                "unit_cost": _money(row.unit_cost, scales),
            }
        )
    return as_table(PURCHASE_ORDERS, rows)


def as_table(table: Table, rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Return rows as a table."""
    return pl.DataFrame(list(rows), schema=table.polars_schema)


def _in_force(connection: Connection, sku: Any, valid_from: Any, amount: Any, *, as_of: date) -> dict[str, int]:
    """Return by sku the amount that is in force on a day: the newest that had begun."""
    statement = select(sku, amount).where(valid_from <= as_of).order_by(sku, valid_from)
    return {row[0]: row[1] for row in connection.execute(statement)}


def _money(amount: int | None, scales: Scales) -> float | None:
    return None if amount is None else amount / scales.money
