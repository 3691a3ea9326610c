"""The demo company's catalogue and orders as rows of the ledger's database."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection, update
from sqlalchemy.dialects import postgresql, sqlite

from restock.adapters.database.base import Base
from restock.adapters.database.catalogue_tables import (
    BarcodeRow,
    CostRow,
    LocationRow,
    PriceRow,
    ProductRow,
    ProductUnitRow,
    SupplierRow,
    SupplyTermRow,
)
from restock.adapters.database.company_table import CompanyRow
from restock.adapters.database.order_tables import PurchaseOrderLineRow, PurchaseOrderRow, PurchaseReceiptRow

CURRENCY, CURRENCY_DECIMALS, TIME_ZONE = "EUR", 2, "UTC"
_MINOR_UNITS: int = 10**CURRENCY_DECIMALS
_FACTOR_SCALE = 1_000_000
_PLANNER = "planner"

Tables = dict[str, pl.DataFrame]


def pack_unit(units: int) -> str:
    """Return the name of the unit that holds so many pieces."""
    return "piece" if units == 1 else f"pack of {units}"


def minor_units(amount: float) -> int:
    """Return money in minor units; the simulator's amounts are whole cents."""
    return round(amount * _MINOR_UNITS)


def set_company(connection: Connection) -> None:
    """Make the currency and the day of an empty ledger those of the demo company."""
    row = {"currency": CURRENCY, "currency_decimals": CURRENCY_DECIMALS, "time_zone": TIME_ZONE}
    _insert(connection, CompanyRow, [{"singleton": 1, **row}])
    connection.execute(update(CompanyRow).values(**row))


def insert_catalogue(connection: Connection, tables: Tables, *, now: datetime) -> None:
    """Insert the company's products, locations, suppliers and terms; what is there stays."""
    products, terms = tables["products"].to_dicts(), tables["supply_terms"].to_dicts()
    first_day = tables["movements"]["occurred_at_utc"].min()
    if not isinstance(first_day, datetime):
        raise TypeError("the demo company has no movements")
    start = first_day.date()
    _insert(connection, ProductRow, [_product(row, now=now) for row in products])
    _insert(
        connection,
        BarcodeRow,
        [{"gtin": gtin, "sku": row["sku"], "unit": "piece"} for row in products for gtin in row["barcodes"]],
    )
    packs = {(row["sku"], int(row["pack_units"])) for row in products if row["pack_units"] > 1}
    units = [{"sku": sku, "unit": pack_unit(size), "factor": size * _FACTOR_SCALE} for sku, size in sorted(packs)]
    _insert(connection, ProductUnitRow, units)
    costs = [{"sku": r["sku"], "valid_from": start, "unit_cost": minor_units(r["unit_cost"])} for r in products]
    _insert(connection, CostRow, costs)
    _insert(connection, PriceRow, _price_history(tables["sales"]))
    _insert(connection, LocationRow, [_location(row) for row in tables["locations"].to_dicts()])
    suppliers = [
        {"supplier": name, "name": name, "is_active": True, "minimum_order_value": 0, "version": 1}
        for name in sorted({row["supplier"] for row in terms})
    ]
    _insert(connection, SupplierRow, suppliers)
    money = ("unit_cost", "fixed_order_cost")
    _insert(connection, SupplyTermRow, [row | {name: minor_units(row[name]) for name in money} for row in terms])


def _product(row: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    return {
        "sku": row["sku"],
        "name": row["name"],
        "category_path": row["category_path"],
        "base_unit": row["unit_of_measure"],
        "quantity_decimals": 0,
        "is_lot_tracked": False,
        "shelf_life_days": row["shelf_life_days"],
        "is_active": True,
        "version": 1,
        "changed_at_utc": now,
    }


def _location(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "location": row["location"],
        "name": row["location"],
        "kind": row["kind"],
        "region": row["region"] or "",
        "capacity": row["capacity_units"],
        # Its clerks make mistakes, and nobody stops them.
        "may_be_negative": True,
        "is_active": True,
        "version": 1,
    }


def _price_history(sales: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the days on which a price changed; all stores ask the same."""
    prices = sales.group_by("sku", "date").agg(pl.col("unit_price").max()).sort("sku", "date")
    is_new = (pl.col("unit_price") != pl.col("unit_price").shift(1).over("sku")).fill_null(value=True)
    return [
        {"sku": row["sku"], "valid_from": row["date"], "unit_price": minor_units(row["unit_price"])}
        for row in prices.filter(is_new).to_dicts()
    ]


def insert_orders(connection: Connection, tables: Tables) -> int:
    """Insert the purchase orders with what came of them, and return how many there are; their receipts are posted.

    A receipt belongs to the line of its order that has its sku. One that was booked under another sku, or with the
    wrong sign, belongs to none.
    """
    orders = tables["purchase_orders"]
    receipts = _match_receipts(tables["movements"], orders)
    came = receipts.group_by("order", "line").agg(received=pl.col("units").sum())
    lines = orders.join(came, on=["order", "line"], how="left").with_columns(pl.col("received").fill_null(0))
    heads = lines.group_by("order", maintain_order=True).agg(
        pl.col("supplier", "location", "ordered_on", "promised_on").first(),
        is_over=pl.col("received_on").is_not_null().all(),
        is_whole=(pl.col("received") >= pl.col("quantity_ordered")).all(),
        has_come=(pl.col("received") > 0).any(),
    )
    _insert(connection, PurchaseOrderRow, [_head(row) for row in heads.to_dicts()])
    _insert(
        connection,
        PurchaseOrderLineRow,
        [
            {
                "purchase_order": row["order"],
                "line": row["line"],
                "sku": row["sku"],
                "quantity_ordered": int(row["quantity_ordered"]),
                "quantity_received": int(row["received"]),
                "unit_cost": minor_units(row["unit_cost"]),
                "entered_quantity": str(int(row["quantity_ordered"])),
                "entered_unit": "piece",
            }
            for row in lines.to_dicts()
        ],
    )
    _insert(
        connection,
        PurchaseReceiptRow,
        [
            {
                "movement": row["movement"],
                # The first line leaves the supplier, the second puts it on stock.
                "movement_line": 2,
                "purchase_order": row["order"],
                "line": row["line"],
                "quantity": int(row["units"]),
                "received_on": row["received_on"],
            }
            for row in receipts.to_dicts()
        ],
    )
    return heads.height


def _match_receipts(movements: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    """Return the receipts with the order line they belong to."""
    return (
        movements.filter((pl.col("kind") == "receipt") & (pl.col("quantity") > 0))
        .select(
            "movement",
            "sku",
            order=pl.col("reference"),
            units=booked_units(),
            received_on=pl.col("occurred_at_utc").dt.date(),
        )
        .join(orders.select("order", "line", "sku"), on=["order", "sku"])
    )


def booked_units() -> pl.Expr:
    """Return the signed change of a booking in pieces."""
    pack = pl.col("unit_of_measure").str.extract(r"(\d+)$").cast(pl.Int64).fill_null(1)
    return (pl.col("quantity") * pack).cast(pl.Int64)


def _head(row: dict[str, Any]) -> dict[str, Any]:
    state = "sent"
    if row["is_over"]:
        state = "received" if row["is_whole"] else "closed"
    elif row["has_come"]:
        state = "partly_received"
    ordered_on: date = row["ordered_on"]
    return {
        "purchase_order": row["order"],
        "supplier": row["supplier"],
        "location": row["location"],
        "state": state,
        "ordered_on": ordered_on,
        "promised_on": row["promised_on"],
        "note": "",
        "created_at_utc": datetime.fromisoformat(f"{ordered_on}T00:00:00+00:00"),
        "created_by": _PLANNER,
        "version": 1,
    }


def _insert(connection: Connection, table: type[Base], rows: list[dict[str, Any]]) -> None:
    """Insert rows whose key is free."""
    if rows:
        build: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(build(table).on_conflict_do_nothing(), rows)
