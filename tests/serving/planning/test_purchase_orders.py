from __future__ import annotations

import pytest
from sqlalchemy import insert

from restock.adapters.database.engine import write_transaction
from restock.adapters.database.planning_tables import PlanRow
from tests.serving.planning.conftest import NOW

ORDER = {
    "supplier": "SUP-1",
    "location": "DC-1",
    "promised_on": "2024-05-04",
    "lines": [
        {"sku": "MILK", "quantity": "2", "unit": "case"},
        {"sku": "SCREW", "quantity": "100", "unit_cost": "0.05"},
    ],
}


@pytest.fixture
def order(manager):
    """Return the identifier of an order that was sent."""
    drafted = manager.post("/purchase-orders", ORDER)
    assert drafted.status_code == 201, drafted.text
    identifier = drafted.json()["purchase_order"]
    sent = manager.post(f"/purchase-orders/{identifier}/send", {})
    assert sent.json()["state"] == "sent", sent.text
    return identifier


def receive(client, order, *lines, **more):
    return client.post(f"/purchase-orders/{order}/receipts", {"lines": list(lines), **more})


def test_order_is_received_in_parts_and_lots(operator, clock, order):
    first = receive(
        operator, order, {"line": 1, "quantity": "1", "unit": "case", "lot": "A", "expires_on": "2024-06-01"}
    )
    assert first.status_code == 201, first.text
    assert first.json()["state"] == "partly_received"
    clock.forward(minutes=1)
    rest = receive(
        operator,
        order,
        {"line": 1, "quantity": "6", "lot": "A"},
        {"line": 1, "quantity": "6", "lot": "B", "expires_on": "2024-07-01"},
        {"line": 2, "quantity": "100"},
        reference="DN-7",
    )
    assert rest.json()["state"] == "received"
    assert operator.on_hand("MILK", "DC-1") == {"A": "18", "B": "6"}
    shown = operator.get(f"/purchase-orders/{order}").json()
    assert [line["quantity_received"] for line in shown["lines"]] == ["24", "100"]
    assert [receipt["quantity"] for receipt in shown["receipts"]] == ["12", "6", "6", "100"]
    # Booked at what was agreed: of the terms, and of the line.
    lines = operator.get(f"/movements/{rest.json()['movement']}").json()["lines"]
    assert {(line["sku"], line["unit_cost"]) for line in lines} == {("MILK", "0.55"), ("SCREW", "0.05")}


def test_receipt_of_more_than_was_ordered_is_booked_as_it_came(operator, order):
    reply = receive(operator, order, {"line": 2, "quantity": "120"})
    assert reply.status_code == 201
    assert operator.on_hand("SCREW", "DC-1") == {"": "120"}


def test_reversal_of_a_receipt_opens_the_order_again(operator, clock, order):
    booked = receive(operator, order, {"line": 2, "quantity": "100"}).json()
    clock.forward(minutes=1)
    operator.post(f"/movements/{booked['movement']}/reversal", {"reason": "wrong pallet"})
    shown = operator.get(f"/purchase-orders/{order}").json()
    assert shown["state"] == "sent"
    assert shown["lines"][1]["quantity_received"] == "0"
    assert [receipt["quantity"] for receipt in shown["receipts"]] == ["100", "-100"]


def test_receipt_of_an_order_that_was_not_sent_is_refused(operator, manager):
    order = manager.post("/purchase-orders", ORDER).json()["purchase_order"]
    assert receive(operator, order, {"line": 2, "quantity": "1"}).status_code == 409


def test_receipt_of_an_unknown_line_is_refused(operator, order):
    assert receive(operator, order, {"line": 9, "quantity": "1"}).status_code == 404


def test_draft_is_replaced_only_as_it_was_seen(manager):
    drafted = manager.post("/purchase-orders", ORDER).json()
    path = f"/purchase-orders/{drafted['purchase_order']}"
    changed = ORDER | {"note": "urgent"}
    assert manager.send("PUT", path, changed, **{"if-match": '"1"'}).json()["version"] == 2
    assert manager.send("PUT", path, ORDER, **{"if-match": '"1"'}).status_code == 412
    assert manager.get(path).json()["note"] == "urgent"
    assert manager.get(path).headers["etag"] == '"2"'


def test_order_below_the_minimum_value_is_not_sent(manager):
    small = ORDER | {"lines": [{"sku": "SCREW", "quantity": "10", "unit_cost": "0.05"}]}
    order = manager.post("/purchase-orders", small).json()["purchase_order"]
    reply = manager.post(f"/purchase-orders/{order}/send", {})
    assert reply.status_code == 422
    assert "worth 0.50 EUR, SUP-1 accepts 5.00 or more" in reply.json()["detail"]


def test_order_without_a_cost_is_refused(manager):
    body = ORDER | {"lines": [{"sku": "SCREW", "quantity": "10"}]}
    reply = manager.post("/purchase-orders", body)
    assert reply.status_code == 422
    assert "no supply terms for SCREW at DC-1" in reply.json()["detail"]


@pytest.mark.parametrize(("field", "value"), [("supplier", "NOBODY"), ("location", "NOWHERE")])
def test_order_to_or_from_the_unknown_is_refused(manager, field, value):
    assert manager.post("/purchase-orders", ORDER | {field: value}).status_code == 404


def test_order_is_closed_short_or_cancelled(operator, manager, order):
    receive(operator, order, {"line": 2, "quantity": "90"})
    assert manager.post(f"/purchase-orders/{order}/cancel", {"reason": "late"}).status_code == 409
    assert manager.post(f"/purchase-orders/{order}/close", {"reason": "no more"}).json()["state"] == "closed"
    other = manager.post("/purchase-orders", ORDER).json()["purchase_order"]
    assert manager.post(f"/purchase-orders/{other}/cancel", {"reason": "late"}).json()["state"] == "cancelled"
    assert manager.post(f"/purchase-orders/{other}/send", {}).status_code == 409


def test_orders_from_plans_say_why_there_are_none(manager):
    assert manager.get("/plans").json() == {
        "items": [],
        "next_cursor": None,
        "unavailable": "replenishment has not planned yet",
    }
    reply = manager.post("/purchase-orders/from-plan", {})
    assert reply.status_code == 409
    assert "replenishment has not planned yet" in reply.json()["detail"]


def test_orders_from_plans_are_drafted_a_supplier_and_location(engine, manager):
    plan = {
        "sku": "MILK",
        "location": "DC-1",
        "as_of": NOW.date(),
        "supplier": "SUP-1",
        "reorder_point": 10,
        "order_up_to_level": 40,
        "order_quantity": 36,
        "expected_cost": 1234,
        "expected_fill_rate": 0.98,
        "reasons": {"lead_time": "3 days"},
        "forecast_version": "model_version_1",
        "created_at_utc": NOW,
    }
    with write_transaction(engine) as connection:
        connection.execute(insert(PlanRow), plan)
    shown = manager.get("/plans").json()["items"][0]
    assert (shown["order_quantity"], shown["expected_cost"]) == ("36", "12.34")
    orders = manager.post("/purchase-orders/from-plan", {}).json()["purchase_orders"]
    assert len(orders) == 1
    line = manager.get(f"/purchase-orders/{orders[0]['purchase_order']}").json()["lines"][0]
    assert (line["sku"], line["quantity_ordered"], line["unit_cost"]) == ("MILK", "36", "0.55")


def test_override_is_kept_with_its_reason_and_can_be_withdrawn(manager):
    body = {"sku": "MILK", "location": "STORE-1", "as_of": "2024-05-01", "order_quantity": "24", "reason": "party"}
    override = manager.post("/overrides", body).json()["override"]
    shown = manager.get("/overrides", sku="MILK").json()["items"][0]
    assert (shown["planned_quantity"], shown["order_quantity"], shown["reason"]) == (None, "24", "party")
    assert manager.post(f"/overrides/{override}/withdraw").status_code == 200
    assert manager.post(f"/overrides/{override}/withdraw").status_code == 409
