"""The product page, on SQLite and on PostgreSQL where `make test-all` runs it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import insert

from restock.adapters.database.engine import write_transaction
from restock.adapters.database.order_tables import (
    CustomerOrderLineRow,
    CustomerOrderRow,
    CustomerRow,
    PurchaseOrderLineRow,
    PurchaseOrderRow,
    TransferLineRow,
    TransferRow,
)
from restock.adapters.database.planning_tables import ForecastRow, PlanRow
from restock.errors import NotFoundError
from restock.operations.catalogue.places import LocationDraft, put_location
from restock.operations.catalogue.product_page import read_product_page
from restock.operations.catalogue.products import ProductDraft, put_product
from restock.operations.catalogue.suppliers import SupplierDraft, put_supplier

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
TODAY = date(2024, 5, 1)
SHARED = {"note": "", "created_by": "test", "version": 1}


@pytest.fixture
def page(engine, writing, reading):
    """Return a function that reads the page of OIL (l, 3 decimals) at locations S and T."""
    writing(put_product, ProductDraft(sku="OIL", name="Oil", base_unit="l", quantity_decimals=3))
    for location in "ST":
        writing(put_location, LocationDraft(location=location, name=location))
    writing(put_supplier, SupplierDraft(supplier="ACME", name="Acme"))
    return lambda **options: reading(read_product_page, "OIL", **{"today": TODAY, **options})


def insert_rows(engine, *parts):
    with write_transaction(engine) as connection:
        for row, values in parts:
            connection.execute(insert(row), values)


def test_read_product_page_of_a_new_product_is_empty_with_reasons(page):
    found = page()
    assert (found.on_hand, found.on_order_total, found.in_transit_total) == (0, 0, 0)
    assert (found.stock, found.last_movements) == ([], [])
    assert (found.forecast.available, found.plan.available) == (False, False)
    assert "no forecast" in found.forecast.reason
    assert "not planned" in found.plan.reason


def test_read_product_page_shows_what_open_orders_still_bring(engine, page):
    def order(name, state, promised_on, location="S"):
        return {
            "purchase_order": name,
            "supplier": "ACME",
            "location": location,
            "state": state,
            "ordered_on": date(2024, 4, 1),
            "promised_on": promised_on,
            "created_at_utc": NOW,
            **SHARED,
        }

    def line(name, ordered, received):
        entered = {"entered_quantity": "", "entered_unit": "", "unit_cost": 1, "line": 1, "sku": "OIL"}
        return {"purchase_order": name, "quantity_ordered": ordered, "quantity_received": received, **entered}

    orders = [
        order("P1", "sent", date(2024, 5, 9)),
        order("P2", "partly_received", date(2024, 4, 30), location="T"),
        order("P3", "draft", None),
        order("P4", "closed", None),
    ]
    lines = [line("P1", 5000, 0), line("P2", 4000, 1500), line("P3", 9000, 0), line("P4", 9000, 1)]
    insert_rows(engine, (PurchaseOrderRow, orders), (PurchaseOrderLineRow, lines))
    found = page()
    assert [(each.purchase_order, each.quantity, each.is_late) for each in found.on_order] == [
        ("P2", Decimal("2.5"), True),
        ("P1", Decimal(5), False),
    ]
    assert found.on_order_total == Decimal("7.5")
    assert page(location="S").on_order_total == Decimal(5)


def test_read_product_page_shows_what_is_in_transit(engine, page):
    transfer = {
        "transfer": "T1",
        "source": "S",
        "target": "T",
        "state": "partly_arrived",
        "dispatched_at_utc": NOW,
        **SHARED,
    }
    line = {"transfer": "T1", "sku": "OIL", "lot": ""}
    lines = [
        {**line, "line": 1, "quantity_dispatched": 3000, "quantity_arrived": 3000},
        {**line, "line": 2, "quantity_dispatched": 3000, "quantity_arrived": 500},
    ]
    insert_rows(engine, (TransferRow, transfer), (TransferLineRow, lines))
    assert page().in_transit_total == Decimal("2.5")
    assert page(location="S").in_transit == []
    assert page(location="T").in_transit[0].source == "S"


def test_read_product_page_shows_what_customers_wait_for(engine, page):
    customer = {"customer": "C", "name": "C", "region": "", "is_active": True, "version": 1}
    order = {"customer_order": "O1", "customer": "C", "location": "S", "ordered_on": TODAY, "version": 1}
    line = {"customer_order": "O1", "line": 1, "sku": "OIL", "unit_price": 100}
    insert_rows(
        engine,
        (CustomerRow, customer),
        (CustomerOrderRow, {**order, "state": "open", "requested_on": None}),
        (CustomerOrderLineRow, {**line, "quantity_ordered": 2000, "quantity_delivered": 750}),
    )
    assert page().customer_demand_total == Decimal("1.25")
    assert page(location="T").customer_demand == []


def test_read_product_page_shows_the_latest_forecast_and_plan_of_each_location(engine, page):
    def forecast(location, cutoff, version, mean):
        return {
            "sku": "OIL",
            "location": location,
            "cutoff": cutoff,
            "date": date(2024, 5, 2),
            "model_version": version,
            "mean_units": mean,
            "quantile_units": {"0.5": mean},
        }

    def plan(as_of, order_quantity):
        return {
            "sku": "OIL",
            "location": "S",
            "as_of": as_of,
            "supplier": "ACME",
            "reorder_point": 1000,
            "order_up_to_level": 5000,
            "order_quantity": order_quantity,
            "expected_cost": 100,
            "expected_fill_rate": 0.97,
            "reasons": {},
            "forecast_version": "9",
            "created_at_utc": NOW,
        }

    old, new = date(2024, 4, 1), date(2024, 5, 1)
    forecasts = [
        forecast("S", old, "9", 1.0),
        forecast("S", new, "9", 2.0),
        forecast("S", new, "10", 3.0),
        forecast("T", old, "9", 4.0),
    ]
    insert_rows(engine, (ForecastRow, forecasts), (PlanRow, [plan(old, 1), plan(new, 2500)]))
    found = page()
    assert [(each.location, each.model_version, each.periods[0].mean_units) for each in found.forecast.series] == [
        ("S", "10", 3.0),
        ("T", "9", 4.0),
    ]
    assert [(each.as_of, each.order_quantity) for each in found.plan.plans] == [(new, Decimal("2.5"))]
    assert (found.plan.available, found.plan.reason) == (True, None)
    assert not page(location="T").plan.available


def test_read_product_page_of_something_unknown_is_refused(page, reading):
    with pytest.raises(NotFoundError, match="'NONE' is not in the catalogue"):
        reading(read_product_page, "NONE", today=TODAY)
    with pytest.raises(NotFoundError, match="location '@supplier' is unknown"):
        page(location="@supplier")
