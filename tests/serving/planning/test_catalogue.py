from __future__ import annotations

import pytest

EAN = "4006381333931"
PEN = {"sku": "PEN", "name": "Ball pen", "barcodes": [{"gtin": "9506000134352"}], "unit_price": "1.20"}


def test_post_product_is_read_back_with_its_etag(manager, operator):
    created = manager.post("/products", PEN)
    assert created.status_code == 201, created.text
    read = operator.get("/products/PEN")
    assert read.json() == created.json()
    assert read.headers["etag"] == created.headers["etag"] == '"1"'
    assert read.json()["barcodes"] == [{"gtin": "09506000134352", "unit": "piece"}]
    assert (read.json()["unit_price"], read.json()["unit_cost"]) == ("1.20", None)


def test_post_product_once_for_its_key_and_once_for_its_sku(manager):
    first = manager.post("/products", PEN, key="product-1")
    assert manager.post("/products", PEN, key="product-1").json() == first.json()
    reply = manager.post("/products", PEN)
    assert reply.status_code == 409
    assert "sku 'PEN' is in the catalogue already" in reply.json()["detail"]


def test_put_product_seen_at_another_version_is_refused(manager):
    body = {"name": "Whole milk", "is_lot_tracked": True}
    assert manager.send("PUT", "/products/MILK", body, **{"if-match": '"7"'}).status_code == 412
    reply = manager.send("PUT", "/products/MILK", body, **{"if-match": '"1"'})
    assert reply.status_code == 200
    assert reply.headers["etag"] == '"2"'
    # All of it: what is left out is gone.
    assert reply.json()["barcodes"] == reply.json()["units"] == []


def test_patch_product_changes_only_what_is_sent(manager):
    before = manager.get("/products/MILK").json()
    reply = manager.send("PATCH", "/products/MILK", {"name": "Milk", "shelf_life_days": 12})
    assert reply.status_code == 200
    changed = {"name": "Milk", "shelf_life_days": 12, "version": 2, "changed_at_utc": reply.json()["changed_at_utc"]}
    assert reply.json() == before | changed
    assert manager.send("PATCH", "/products/MILK", {}).json() == reply.json()
    reply = manager.send("PATCH", "/products/MILK", {"shelf_life_days": None, "unit_price": "1.09"})
    assert (reply.json()["shelf_life_days"], reply.json()["unit_price"]) == (None, "1.09")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"barcodes": [{"gtin": "4006381333932"}]}, 422, "check digit would be 1"),
        ({"barcodes": [{"gtin": EAN}]}, 409, "belongs to sku 'MILK'"),
        ({"units": [{"unit": "piece", "factor": "2"}]}, 422, "not as the base unit"),
        ({"unit_price": "1.999"}, 422, "more than 2 decimal places"),
        ({"name": ""}, 422, "name"),
        ({"colour": "red"}, 422, "Extra inputs"),
        ({"sku": "a\u0000"}, 422, "control characters"),
    ],
)
def test_post_product_that_can_t_be_is_refused_with_the_reason(manager, body, status, words):
    reply = manager.post("/products", {"sku": "NEW", "name": "New", **body})
    assert reply.status_code == status, reply.text
    assert words in reply.json()["detail"]


def test_patch_product_base_unit_is_refused_once_booked(manager):
    manager.book("receipt", "SCREW", 5)
    reply = manager.send("PATCH", "/products/SCREW", {"base_unit": "kg"})
    assert reply.status_code == 422
    assert "terms or plans are kept in it" in reply.json()["detail"]


def test_patch_product_without_lots_is_refused_while_stock_is_in_lots(manager):
    manager.book("receipt", "MILK", 5, lot="A")
    reply = manager.send("PATCH", "/products/MILK", {"is_lot_tracked": False})
    assert reply.status_code == 422
    assert "has stock in lots" in reply.json()["detail"]
    manager.book("sale", "MILK", 5)
    assert manager.send("PATCH", "/products/MILK", {"is_lot_tracked": False}).status_code == 200


def test_get_products_pages_filters_and_sorts(operator):
    def skus(**query):
        return [item["sku"] for item in operator.get("/products", **query).json()["items"]]

    assert skus() == ["FLOUR", "MILK", "SCREW"]
    assert skus(sort="name", order="descending") == ["MILK", "FLOUR", "SCREW"]
    assert skus(category="Food") == ["MILK"]
    assert skus(barcode=EAN) == ["MILK"]
    assert skus(is_active=False) == []
    assert skus(changed_since="2024-06-01T00:00:00Z") == []
    found, cursor = [], None
    while True:
        query = {"cursor": cursor} if cursor else {}
        page = operator.get("/products", limit=1, sort="changed_at", **query).json()
        found += [item["sku"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == ["FLOUR", "MILK", "SCREW"]
    first = operator.get("/products", limit=1).json()["next_cursor"]
    assert operator.get("/products", sort="name", cursor=first).status_code == 422


def test_get_product_unknown_is_not_found(operator):
    reply = operator.get("/products/NONE")
    assert reply.status_code == 404
    assert "'NONE' is not in the catalogue" in reply.json()["detail"]


def test_get_search_forgives_mistakes_and_follows_changes(operator, manager):
    def found(query, **more):
        return [(item["sku"], item["match"]) for item in operator.get("/search", q=query, **more).json()["items"]]

    assert found("wheta flour") == [("FLOUR", "fuzzy")]
    assert found(EAN)[0] == ("MILK", "barcode")
    assert found("milk") == [("MILK", "sku")]
    manager.post("/products", PEN)
    assert found("bal pen")[0][0] == "PEN"
    assert found("pen", is_active=False) == []
    assert operator.get("/search", q="x" * 201).status_code == 422
    assert operator.get("/search", q=" ").status_code == 422


def test_get_product_page_tells_everything_in_one_call(operator, clock):
    operator.book("receipt", "MILK", 10, lot="A", expires_on="2024-05-03")
    clock.forward(seconds=1)
    operator.book("receipt", "MILK", 5, lot="B", expires_on="2024-04-30")
    clock.forward(seconds=1)
    operator.book("receipt", "MILK", 7, lot="A", location="DC-1")
    reply = operator.get("/products/MILK/page")
    assert reply.status_code == 200, reply.text
    page = reply.json()
    assert page["on_hand"] == "22"
    stock = {(place["location"], lot["lot"]): lot for place in page["stock"] for lot in place["lots"]}
    assert {key: (lot["on_hand"], lot["is_expired"]) for key, lot in stock.items()} == {
        ("STORE-1", "A"): ("10", False),
        ("STORE-1", "B"): ("5", True),
        ("DC-1", "A"): ("7", False),
    }
    assert (page["prices"]["unit_cost"], page["prices"]["unit_price"]) == ("0.60", "0.99")
    assert page["prices"]["costs"] == [{"valid_from": "2024-01-01", "amount": "0.60"}]
    assert [(line["kind"], line["quantity"]) for line in page["last_movements"]] == [
        ("receipt", "7"),
        ("receipt", "5"),
        ("receipt", "10"),
    ]
    assert page["forecast"] == {
        "available": False,
        "reason": "no forecast of this product has been stored yet",
        "series": [],
    }
    assert page["plan"]["available"] is False
    only = operator.get("/products/MILK/page", location="DC-1").json()
    assert only["on_hand"] == "7"
    assert operator.get("/products/MILK/page", location="NONE").status_code == 404


def test_put_lot_corrects_its_expiry(operator, manager):
    operator.book("receipt", "MILK", 10, lot="A", expires_on="2024-05-03")
    reply = manager.send("PUT", "/products/MILK/lots/A", {"expires_on": "2024-06-03"})
    assert reply.json() == {"sku": "MILK", "lot": "A", "expires_on": "2024-06-03"}
    assert operator.get("/products/MILK/lots").json()["items"] == [reply.json()]
    assert manager.send("PUT", "/products/SCREW/lots/A", {"expires_on": None}).status_code == 422


def test_put_location_creates_changes_and_books(manager):
    body = {"name": "North", "kind": "warehouse", "capacity": "100.5"}
    reply = manager.send("PUT", "/locations/DC-2", body)
    assert reply.status_code == 200, reply.text
    assert manager.get("/locations/DC-2").json() == reply.json()
    assert manager.send("PUT", "/locations/DC-2", body | {"region": "north"}, **{"if-match": '"1"'}).status_code == 200
    assert manager.send("PUT", "/locations/DC-2", body, **{"if-match": '"1"'}).status_code == 412
    assert manager.send("PUT", "/locations/@supplier", body).status_code == 422
    assert manager.send("PUT", "/locations/DC-3", body | {"kind": "virtual"}).status_code == 422
    listed = manager.get("/locations", kind="warehouse", region="north").json()["items"]
    assert [item["location"] for item in listed] == ["DC-1", "DC-2"]
    manager.book("receipt", "SCREW", 5, location="DC-2")


def test_put_supplier_and_supply_term(manager, operator):
    reply = manager.send("PUT", "/suppliers/SUP-2", {"name": "Mill", "minimum_order_value": "50"})
    assert reply.status_code == 200, reply.text
    assert operator.get("/suppliers/SUP-2").json() == reply.json()
    assert [item["supplier"] for item in operator.get("/suppliers").json()["items"]] == ["SUP-1", "SUP-2"]
    body = {"unit_cost": "0.50", "quoted_lead_time_days": 2, "order_multiple": "0.5"}
    term = manager.send("PUT", "/supply-terms/FLOUR/DC-1/SUP-2", body)
    assert term.status_code == 200, term.text
    assert (term.json()["order_multiple"], term.json()["minimum_order_quantity"]) == ("0.500", "1.000")
    assert operator.get("/supply-terms", supplier="SUP-2").json()["items"] == [term.json()]
    assert manager.send("PUT", "/supply-terms/FLOUR/DC-1/NONE", body).status_code == 404
    assert operator.send("PUT", "/suppliers/SUP-3", {"name": "x"}).status_code == 403
