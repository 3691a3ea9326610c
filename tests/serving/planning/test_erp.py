from __future__ import annotations

import pytest

from tests.erp_servers import serve
from tests.erpnext_server import KEY, SECRET, ErpNextServer


@pytest.fixture
def erpnext(monkeypatch):
    """Return a small ERPNext with a shop in it, which the settings name."""
    server = ErpNextServer()
    server.put_item("COLA", item_name="Cola")
    server.put_warehouse("WH")
    server.put("Customer", "ANN", customer_name="Ann", territory="North")
    for number in range(3):
        lines = [{"item_code": "COLA", "qty": number + 1, "warehouse": "WH", "base_rate": 2.5}]
        server.put_order("Sales Order", f"SAL-{number}", lines, customer="ANN", delivery_date="2024-05-20")
    with serve(server):
        monkeypatch.setenv("RESTOCK_ERPNEXT_URL", server.url)
        monkeypatch.setenv("RESTOCK_ERPNEXT_KEY", KEY)
        monkeypatch.setenv("RESTOCK_ERPNEXT_SECRET", SECRET)
        yield server


@pytest.fixture
def admin(erpnext, api):  # the settings are read when the service is built
    return api("admin")


def test_post_erp_sync_takes_over_and_tells_what_it_did(admin):
    reply = admin.post("/erp/erpnext/sync", {"direction": "in"})
    assert reply.status_code == 200, reply.text
    counts = {each["kind"]: each["created"] for each in reply.json()["kinds"]}
    assert (counts["product"], counts["customer"], counts["customer_order"]) == (1, 1, 3)
    again = admin.post("/erp/erpnext/sync", {"direction": "in"}).json()
    assert sum(each["created"] + each["changed"] + each["rejected"] for each in again["kinds"]) == 0


def test_get_erp_tells_how_it_stands_without_secrets(admin):
    admin.post("/erp/erpnext/sync", {"direction": "in"})
    reply = admin.get("/erp")
    states = {each["system"]: each for each in reply.json()["systems"]}
    assert (states["erpnext"]["is_configured"], states["odoo"]["is_configured"]) == (True, False)
    assert states["erpnext"]["last_run"]["state"] == "finished"
    assert {each["kind"]: each["links"] for each in states["erpnext"]["kinds"]}["customer_order"] == 3
    assert states["odoo"]["last_run"] is None
    assert SECRET not in reply.text


def test_get_customer_orders_are_paged_with_their_lines(admin):
    admin.post("/erp/erpnext/sync", {"direction": "in"})
    first = admin.get("/customer-orders", limit=2, sku="COLA", state="open").json()
    rest = admin.get("/customer-orders", limit=2, sku="COLA", state="open", cursor=first["next_cursor"]).json()
    assert [each["customer_order"] for each in first["items"] + rest["items"]] == ["SAL-2", "SAL-1", "SAL-0"]
    assert rest["next_cursor"] is None
    [line] = first["items"][0]["lines"]
    assert (line["sku"], line["quantity_ordered"], line["unit_price"]) == ("COLA", "3", "2.50")
    assert first["items"][0]["requested_on"] == "2024-05-20"


def test_get_customers_lists_them(admin):
    admin.post("/erp/erpnext/sync", {"direction": "in"})
    [customer] = admin.get("/customers").json()["items"]
    assert (customer["customer"], customer["name"], customer["region"]) == ("ANN", "Ann", "North")


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/erp/odoo/sync", {}, 409, "RESTOCK_ODOO_URL"),
        ("/erp/sap/sync", {}, 422, "system"),
        ("/erp/erpnext/sync", {"is_adjusting": True}, 422, "--kinds stock --direction in --adjust"),
        ("/erp/erpnext/sync", {"kinds": []}, 422, "kinds"),
    ],
)
def test_post_erp_sync_that_cannot_be_is_refused(admin, path, body, status, words):
    reply = admin.post(path, body)
    assert (reply.status_code, words in reply.text) == (status, True)


def test_post_erp_sync_is_for_administrators(erpnext, manager):
    assert manager.post("/erp/erpnext/sync", {}).status_code == 403
    assert erpnext.asked == []


def test_post_erp_sync_erp_that_refuses_the_credentials_is_told_as_such(admin, erpnext, monkeypatch):
    monkeypatch.setattr("tests.erpnext_server.KEY", "another-key")
    reply = admin.post("/erp/erpnext/sync", {})
    assert (reply.status_code, "Check RESTOCK_ERPNEXT_KEY" in reply.json()["detail"]) == (502, True)
    assert SECRET not in reply.text
