from __future__ import annotations

import pytest

EAN = "4006381333931"


def scan(client, code, **fields):
    return client.post("/scan", {"code": code, **fields})


def test_post_scan_of_a_barcode_gives_product_and_unit(operator):
    reply = scan(operator, EAN)
    assert reply.status_code == 200, reply.text
    found = reply.json()
    assert (found["sku"], found["unit"], found["factor"], found["read_as"]) == ("MILK", "piece", "1", "gtin")
    assert (found["lot_state"], found["on_hand"]) == ("none", None)


@pytest.mark.parametrize(
    "code",
    [
        f"]C1010{EAN}17240531" + "30000010\x1d10L1",
        f"(01)0{EAN}(10)L1(17)240531(30)10",
        f"https://id.gs1.org/01/0{EAN}/10/L1?17=240531&30=10",
    ],
)
def test_post_scan_of_gs1_data_gives_lot_expiry_and_quantity(operator, code):
    operator.book("receipt", "MILK", 4, lot="L1", expires_on="2024-05-31")
    found = scan(operator, code, location="STORE-1").json()
    assert (found["lot"], found["expires_on"], found["quantity"], found["on_hand"]) == ("L1", "2024-05-31", 10, "4")
    assert found["lot_state"] == "known"


def test_post_scan_what_was_scanned_can_be_booked_as_it_is(operator):
    found = scan(operator, f"(01)0{EAN}(10)L2(17)240600(30)3").json()
    assert found["lot_state"] == "unknown"
    operator.book(
        "receipt", found["sku"], found["quantity"], unit=found["unit"], lot=found["lot"], expires_on=found["expires_on"]
    )
    assert operator.on_hand("MILK") == {"L2": "3"}
    assert scan(operator, f"(01)0{EAN}(10)L2").json()["expires_on"] == "2024-06-30"


def test_post_scan_of_an_expired_lot_says_so(operator, clock):
    operator.book("receipt", "MILK", 4, lot="L1", expires_on="2024-05-31")
    clock.forward(days=31)
    assert scan(operator, f"(01)0{EAN}(10)L1").json()["lot_state"] == "expired"


def test_post_scan_of_an_unknown_gtin_is_not_found_and_says_what_was_read(operator):
    reply = scan(operator, "(01)09506000134352(10)X")
    assert reply.status_code == 404
    assert reply.json()["read"]["gtin"] == "09506000134352"
    assert reply.json()["read"]["lot"] == "X"


@pytest.mark.parametrize(
    ("code", "words"),
    [("4006381333932", "check digit would be 1"), ("hello", "neither a GTIN"), ("https://example.com", "Digital Link")],
)
def test_post_scan_of_something_else_is_refused_with_the_reason(operator, code, words):
    reply = scan(operator, code)
    assert reply.status_code == 422
    assert words in reply.json()["detail"]
