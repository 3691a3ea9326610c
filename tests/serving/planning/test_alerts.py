from __future__ import annotations

import pytest


@pytest.fixture
def negative(operator):
    """Return the alert of a till that sold what was not booked in."""
    operator.book("sale", "SCREW", 3, location="TILL-1")
    (alert,) = operator.get("/alerts", state="open").json()["items"]
    return alert


def test_sale_below_zero_raises_an_alert_and_a_receipt_resolves_it(operator, negative):
    assert negative["kind"] == "negative_stock"
    assert negative["summary"].startswith("TILL-1 has -3 piece of SCREW by the books")
    assert negative["repair"]["action"] == "count"
    operator.book("sale", "SCREW", 1, location="TILL-1")
    shown = operator.get(f"/alerts/{negative['alert']}")
    assert shown.json()["evidence"]["n_times"] == 2
    operator.book("receipt", "SCREW", 4, location="TILL-1")
    resolved = operator.get(f"/alerts/{negative['alert']}").json()
    assert (resolved["state"], resolved["resolved_by"]) == ("resolved", "restock")


def test_acknowledge_and_resolve_say_who_and_take_an_etag(operator, manager, negative):
    path = f"/alerts/{negative['alert']}"
    etag = operator.get(path).headers["etag"]
    taken = operator.post(f"{path}/acknowledge")
    assert (taken.status_code, taken.json()["acknowledged_by"]) == (200, "the-operator")
    stale = manager.post(f"{path}/resolve", {"note": "x"}, **{"if-match": etag})
    assert stale.status_code == 412
    done = manager.post(f"{path}/resolve", {"note": "counted"}, **{"if-match": taken.headers["etag"]})
    assert (done.json()["state"], done.json()["note"], done.json()["resolved_by"]) == (
        "resolved",
        "counted",
        "the-manager",
    )
    assert operator.post(f"{path}/acknowledge").status_code == 409
    assert operator.post(f"{path}/reopen").json()["state"] == "open"


def test_acknowledge_with_the_same_key_again_gives_the_same_reply(operator, manager, negative):
    path = f"/alerts/{negative['alert']}"
    first = operator.post(f"{path}/acknowledge", key="same-key-1")
    manager.post(f"{path}/resolve", {})
    assert operator.post(f"{path}/acknowledge", key="same-key-1").json() == first.json()


def test_get_alerts_filters(operator, negative):
    assert operator.get("/alerts", sku="SCREW", severity="warning").json()["items"] == [negative]
    assert operator.get("/alerts", sku="MILK").json()["items"] == []
    assert operator.get("/alerts", state=["resolved", "acknowledged"]).json()["items"] == []
    assert operator.get("/alerts", state="shut").status_code == 422


def test_get_alert_unknown_is_404(operator):
    assert operator.get("/alerts/x").status_code == 404


def test_receiving_more_than_ordered_and_closing_short_are_told_of(api, operator):
    buyer = api("supply_chain")
    orders = []
    for _ in range(2):
        body = {"supplier": "SUP-1", "location": "DC-1", "lines": [{"sku": "MILK", "quantity": "24"}]}
        order = buyer.post("/purchase-orders", body).json()["purchase_order"]
        assert buyer.post(f"/purchase-orders/{order}/send", {}).status_code == 200
        orders.append(order)
    for order, quantity in zip(orders, ("30", "12"), strict=True):
        lines = [{"line": 1, "quantity": quantity, "lot": "L1", "expires_on": "2024-09-01"}]
        assert operator.post(f"/purchase-orders/{order}/receipts", {"lines": lines}).status_code == 201
    assert [alert["kind"] for alert in operator.get("/alerts").json()["items"]] == ["receipt_over"]
    buyer.post(f"/purchase-orders/{orders[1]}/close", {"reason": "sold out"})
    found = {alert["kind"]: alert["summary"] for alert in operator.get("/alerts").json()["items"]}
    assert found["receipt_short"] == f"purchase order {orders[1]} line 1: 12 of 24 piece of MILK came."
