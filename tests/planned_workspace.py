"""A small workspace with a kept plan: two stores, one of them supplied by a warehouse for half of the skus."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl

from restock.adapters.storage import write_table
from restock.operations.daily_forecast import write_daily_forecast
from restock.operations.replenishment.daily_plan import write_daily_plan
from restock.params import read_params
from restock.settings import Settings
from restock.tables import LOCATIONS, PRODUCTS, PURCHASE_ORDERS, STOCK, SUPPLY_TERMS
from tests.serving.running import FIRST, ROOT, SKUS, STORES, promote_version, serve_version, write_history

PLAN_DAY = FIRST + timedelta(days=119)
WAREHOUSE = "WH-1"
# What the warehouse keeps, for the first store.
KEPT = SKUS[:4]
# Its stock of it is unknown, so it can't be planned.
UNKNOWN = (SKUS[7], STORES[1])
N_PATHS = 60


def write_supply(workspace: Path) -> None:
    """Write who supplies what, stock of the plan's day and orders of the past, beside a history."""
    terms = [
        {
            "sku": sku,
            "location": place,
            "supplier": supplier,
            "unit_cost": 2.0,
            "minimum_order_quantity": 6 if place == WAREHOUSE else 1,
            "order_multiple": 6 if place == WAREHOUSE else 1,
            "fixed_order_cost": 0.0,
            "review_periods": 1,
            "quoted_lead_time_days": 1 if supplier == WAREHOUSE else 3,
        }
        for sku in SKUS
        for place, supplier in _routes(sku)
    ]
    stock = [
        {"sku": term["sku"], "location": term["location"], "as_of": PLAN_DAY, "on_hand": on_hand, "on_order": 0.0}
        for number, term in enumerate(terms)
        for on_hand in [200.0 if term["location"] == WAREHOUSE else 5.0 + number % 3 * 10]
        if (term["sku"], term["location"]) != UNKNOWN
    ]
    orders = [
        {
            "order": f"PO-{number}",
            "line": 1,
            "supplier": "SUP-1",
            "sku": SKUS[5],
            "location": STORES[0],
            "ordered_on": PLAN_DAY - timedelta(days=10 + number),
            "promised_on": PLAN_DAY - timedelta(days=7 + number),
            "received_on": PLAN_DAY - timedelta(days=10 + number - days),
            "quantity_ordered": 10.0,
            "quantity_received": 10.0,
            "unit_cost": 2.0,
        }
        for number, days in enumerate((2, 3, 3, 5))
    ]
    # One is on its way.
    orders.append(
        orders[0] | {"order": "PO-9", "ordered_on": PLAN_DAY - timedelta(days=1), "received_on": None}
        | {"quantity_received": 0.0, "promised_on": PLAN_DAY + timedelta(days=2)}
    )  # fmt: skip
    folder = workspace / "data" / "validated"
    products = {
        "sku": SKUS,
        "name": SKUS,
        "category_path": [f"Food > {'Dairy' if sku in KEPT else 'Bread'}" for sku in SKUS],
        "unit_price": [3.5] * len(SKUS),
    }
    places = {
        "location": [*STORES, WAREHOUSE],
        "kind": ["store", "store", "warehouse"],
        "region": ["north"] * 3,
    }
    for frame, table in (
        (pl.DataFrame(terms), SUPPLY_TERMS),
        (pl.DataFrame(stock), STOCK),
        (pl.DataFrame(orders, infer_schema_length=None), PURCHASE_ORDERS),
        (pl.DataFrame(products), PRODUCTS),
        (pl.DataFrame(places), LOCATIONS),
    ):
        write_table(table.conform(frame), table, folder / f"{table.name}.parquet")


def _routes(sku: str) -> list[tuple[str, str]]:
    """Return where a sku goes, and from whom."""
    if sku in KEPT:
        return [(STORES[0], WAREHOUSE), (STORES[1], "SUP-1"), (WAREHOUSE, "SUP-2")]
    return [(STORES[0], "SUP-1"), (STORES[1], "SUP-1")]


def build_planned_workspace(workspace: Path) -> Path:
    """Write history, supply, a served version, the day's forecast and its plan, and return the workspace."""
    write_history(workspace)
    write_supply(workspace)
    shutil.copyfile(ROOT / "params.yaml", workspace / "params.yaml")
    serve_version(workspace, promote_version(workspace, n_paths=N_PATHS))
    settings = Settings(workspace=workspace)
    write_daily_forecast(settings, as_of=PLAN_DAY)
    write_daily_plan(settings, read_params(ROOT / "params.yaml"), as_of=PLAN_DAY)
    return workspace
