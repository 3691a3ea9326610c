from __future__ import annotations

import pytest


def test_post_movement_changes_the_balance_once_for_its_key(operator):
    body = {"kind": "receipt", "location": "STORE-1", "lines": [{"sku": "SCREW", "quantity": "100"}]}
    first = operator.post("/movements", body, key="receipt-1")
    again = operator.post("/movements", body, key="receipt-1")
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert operator.on_hand("SCREW") == {"": "100"}
    assert first.json()["lines"][0] | {"balance": "100", "quantity": "100"} == first.json()["lines"][0]


def test_post_movement_same_key_for_another_request_is_refused(operator):
    body = {"kind": "receipt", "location": "STORE-1", "lines": [{"sku": "SCREW", "quantity": "100"}]}
    operator.post("/movements", body, key="receipt-1")
    reply = operator.post("/movements", body | {"reference": "other"}, key="receipt-1")
    assert reply.status_code == 422
    assert "came with another request" in reply.json()["detail"]


def test_post_movement_key_of_somebody_else_is_refused(operator, manager):
    body = {"kind": "receipt", "location": "STORE-1", "lines": [{"sku": "SCREW", "quantity": "100"}]}
    operator.post("/movements", body, key="receipt-1")
    assert manager.post("/movements", body, key="receipt-1").status_code == 422


def test_post_movement_without_a_key_is_refused(client):
    reply = client.post(
        "/api/v1/movements",
        json={"kind": "sale", "location": "STORE-1", "lines": [{"sku": "SCREW", "quantity": "1"}]},
        headers={"authorization": "Bearer operator"},
    )
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert "Idempotency-Key" in reply.json()["detail"]


def test_post_movement_converts_units_and_keeps_what_was_entered(operator):
    booked = operator.book("receipt", "MILK", "2", unit="case", lot="L1", expires_on="2024-06-01")
    assert operator.on_hand("MILK") == {"L1": "24"}
    line = next(
        line
        for line in operator.get(f"/movements/{booked['movement']}").json()["lines"]
        if line["location"] == "STORE-1"
    )
    assert (line["quantity"], line["entered_quantity"], line["entered_unit"]) == ("24", "2", "case")
    # Cost and price as in the catalogue that day.
    assert (line["unit_cost"], line["unit_price"]) == ("0.60", "0.99")


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ({"sku": "NONE", "quantity": "1"}, 404, "not in the catalogue"),
        ({"sku": "SCREW", "quantity": "0.5"}, 422, "more than 0 decimal places"),
        ({"sku": "SCREW", "quantity": "1", "unit": "box"}, 422, "unit of measure 'box' is unknown"),
        ({"sku": "SCREW", "quantity": "1", "lot": "L1"}, 422, "not kept by lots"),
        ({"sku": "MILK", "quantity": "1"}, 422, "needs the lot"),
        ({"sku": "SCREW", "quantity": "-1"}, 422, "must move more than 0"),
        ({"sku": "SCREW", "quantity": "NaN"}, 422, "finite number"),
        ({"sku": "SCREW", "quantity": "1", "unit_cost": "0.125"}, 422, "more than 2 decimal places"),
        ({"sku": "SCREW\u0000", "quantity": "1"}, 422, "control characters"),
        ({"sku": "SCREW", "quantity": "1", "colour": "red"}, 422, "Extra inputs"),
    ],
)
def test_post_movement_what_can_t_be_booked_is_refused_with_the_reason(operator, line, status, words):
    reply = operator.post("/movements", {"kind": "receipt", "location": "STORE-1", "lines": [line]})
    assert reply.status_code == status
    assert words in reply.json()["detail"]


def test_post_movement_more_than_there_is_is_refused_and_names_what_is_short(operator):
    operator.book("receipt", "SCREW", 3)
    reply = operator.post(
        "/movements", {"kind": "sale", "location": "STORE-1", "lines": [{"sku": "SCREW", "quantity": "5"}]}
    )
    assert reply.status_code == 409
    assert reply.json()["shortages"] == [{"sku": "SCREW", "location": "STORE-1", "lot": "", "balance": -2}]
    assert operator.on_hand("SCREW") == {"": "3"}


def test_post_movement_below_zero_is_booked_where_the_till_must_not_stop(operator):
    booked = operator.book("sale", "SCREW", 2, location="TILL-1")
    assert booked["lines"][0]["balance"] == "-2"
    negative = operator.get("/stock", is_negative=True).json()["items"]
    assert [(row["sku"], row["location"]) for row in negative] == [("SCREW", "TILL-1")]


def test_post_movement_sale_takes_the_lot_that_expires_first_and_never_an_expired_one(operator):
    operator.book("receipt", "MILK", 5, lot="LATE", expires_on="2024-07-01")
    operator.book("receipt", "MILK", 5, lot="SOON", expires_on="2024-05-02")
    operator.book("receipt", "MILK", 5, lot="GONE", expires_on="2024-04-30")
    operator.book("sale", "MILK", 7)
    assert operator.on_hand("MILK") == {"GONE": "5", "LATE": "3", "SOON": "0"}
    operator.book("write_off", "MILK", 5)
    assert operator.on_hand("MILK")["GONE"] == "0"


def test_post_movement_two_lines_of_one_product_share_its_lots(operator):
    operator.book("receipt", "MILK", 5, lot="A", expires_on="2024-05-02")
    operator.book("receipt", "MILK", 5, lot="B", expires_on="2024-05-03")
    lines = [{"sku": "MILK", "quantity": "4"}, {"sku": "MILK", "quantity": "4"}]
    assert operator.post("/movements", {"kind": "sale", "location": "STORE-1", "lines": lines}).status_code == 201
    assert operator.on_hand("MILK") == {"A": "0", "B": "2"}


def test_post_movement_another_expiry_of_a_known_lot_is_refused(operator):
    operator.book("receipt", "MILK", 5, lot="A", expires_on="2024-05-02")
    line = {"sku": "MILK", "quantity": "1", "lot": "A", "expires_on": "2024-06-02"}
    reply = operator.post("/movements", {"kind": "receipt", "location": "STORE-1", "lines": [line]})
    assert reply.status_code == 422
    assert "expires on 2024-05-02, got 2024-06-02" in reply.json()["detail"]


def test_post_movement_balance_that_changed_since_it_was_seen_is_refused(operator):
    operator.book("receipt", "SCREW", 5)
    seen = operator.get("/stock", sku="SCREW").json()["items"][0]["version"]
    operator.book("sale", "SCREW", 1)
    line = {"sku": "SCREW", "quantity": "1", "expected_version": seen}
    reply = operator.post("/movements", {"kind": "sale", "location": "STORE-1", "lines": [line]})
    assert reply.status_code == 412


def test_post_movement_in_the_past_leaves_later_rows_as_they_are(operator):
    first = operator.book("receipt", "SCREW", 5)
    body = {"kind": "receipt", "location": "STORE-1", "lines": [{"sku": "SCREW", "quantity": "2"}]}
    assert operator.post("/movements", body | {"occurred_at": "2024-01-15T10:00:00Z"}).status_code == 201
    assert operator.on_hand("SCREW") == {"": "7"}
    assert operator.get(f"/movements/{first['movement']}").json()["lines"][1]["quantity"] == "5"
    early = operator.get("/movements", occurred_before="2024-02-01T00:00:00Z").json()["items"]
    assert len(early) == 1


def test_post_movement_in_the_future_is_refused(operator):
    body = {"kind": "receipt", "location": "STORE-1", "lines": [{"sku": "SCREW", "quantity": "2"}]}
    reply = operator.post("/movements", body | {"occurred_at": "2024-05-02T10:00:00Z"})
    assert reply.status_code == 422
    assert "lies in the future" in reply.json()["detail"]


def test_post_reversal_takes_back_once(operator):
    booked = operator.book("receipt", "SCREW", 5)
    path = f"/movements/{booked['movement']}/reversal"
    assert operator.post(path, {"reason": "scanned twice"}).status_code == 201
    assert operator.on_hand("SCREW") == {"": "0"}
    again = operator.post(path, {"reason": "scanned twice"})
    assert again.status_code == 409
    assert "reversed already" in again.json()["detail"]


def test_post_movement_batch_posts_what_can_be_and_says_why_the_rest_can_t(operator):
    def sale(key, quantity):
        lines = [{"sku": "SCREW", "quantity": quantity}]
        return {"key": key, "kind": "sale", "location": "STORE-1", "lines": lines}

    operator.book("receipt", "SCREW", 10)
    body = {"movements": [sale("batch-key-1", "4"), sale("batch-key-2", "40"), sale("batch-key-3", "5")]}
    reply = operator.post("/movements/batch", body).json()
    assert (reply["n_posted"], reply["n_refused"]) == (2, 1)
    assert [outcome["is_posted"] for outcome in reply["outcomes"]] == [True, False, True]
    assert reply["outcomes"][1]["problem"]["status"] == 409
    assert operator.on_hand("SCREW") == {"": "1"}
    # Again: nothing is doubled, and what was refused may come once there is stock.
    operator.book("receipt", "SCREW", 50)
    reply = operator.post("/movements/batch", body).json()
    assert reply["n_posted"] == 3
    assert operator.on_hand("SCREW") == {"": "11"}


def test_get_movements_pages_reach_every_one_once(operator, clock):
    booked = []
    for number in range(7):
        booked.append(operator.book("receipt", "SCREW", number + 1)["movement"])
        clock.forward(seconds=number % 2)
    found, cursor = [], None
    while True:
        page = operator.get("/movements", limit=3, **({"cursor": cursor} if cursor else {})).json()
        found += [item["movement"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(found) == sorted(booked)
    assert len(found) == 7


@pytest.mark.parametrize("cursor", ["nonsense", "W10", "WzEsMl0", "bnVsbA", "eyJhIjoxfQ", "A" * 1999])
def test_get_movements_a_cursor_of_nobody_is_refused(operator, cursor):
    reply = operator.get("/movements", cursor=cursor)
    assert reply.status_code == 422
    assert "cursor must be" in reply.json()["detail"]


def test_post_movement_batch_with_lots_to_choose_takes_them_one_after_the_other(operator):
    operator.book("receipt", "MILK", 3, lot="A", expires_on="2024-05-02")
    operator.book("receipt", "MILK", 3, lot="B", expires_on="2024-05-03")
    lines = [{"sku": "MILK", "quantity": "2"}]
    sales = [{"key": f"batch-key-{n}", "kind": "sale", "location": "STORE-1", "lines": lines} for n in range(4)]
    reply = operator.post("/movements/batch", {"movements": sales}).json()
    assert [outcome["is_posted"] for outcome in reply["outcomes"]] == [True, True, True, False]
    assert operator.on_hand("MILK") == {"A": "0", "B": "0"}


def test_post_movement_of_a_batch_sent_again_alone_is_not_doubled(operator):
    body = {"kind": "receipt", "location": "STORE-1", "lines": [{"sku": "SCREW", "quantity": "4"}]}
    first = operator.post("/movements/batch", {"movements": [body | {"key": "batch-key-1"}]}).json()
    alone = operator.post("/movements", body, key="batch-key-1")
    assert alone.json() == first["outcomes"][0]["movement"]
    again = operator.post("/movements/batch", {"movements": [body | {"key": "batch-key-1"}]}).json()
    assert again == first
    assert operator.on_hand("SCREW") == {"": "4"}


def test_post_movement_batch_below_zero_raises_one_alert_that_a_receipt_ends(operator):
    lines = [{"sku": "SCREW", "quantity": "2"}]
    sales = [{"key": f"batch-key-{n}", "kind": "sale", "location": "TILL-1", "lines": lines} for n in range(2)]
    assert operator.post("/movements/batch", {"movements": sales}).json()["n_posted"] == 2
    alerts = operator.get("/alerts", state="open").json()["items"]
    assert [(alert["sku"], alert["location"]) for alert in alerts] == [("SCREW", "TILL-1")]
    operator.book("receipt", "SCREW", 4, location="TILL-1")
    assert operator.get("/alerts", state="open").json()["items"] == []
