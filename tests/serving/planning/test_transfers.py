from __future__ import annotations


def dispatch(client, quantity="6", **line):
    body = {"source": "DC-1", "target": "STORE-1", "lines": [{"sku": "SCREW", "quantity": quantity, **line}]}
    return client.post("/transfers", body)


def transit(client):
    rows = client.get("/stock", location="@transit").json()["items"]
    return {(row["sku"], row["lot"]): row["on_hand"] for row in rows if row["on_hand"] != "0"}


def test_post_transfer_is_in_transit_until_it_arrives(operator):
    operator.book("receipt", "SCREW", 10, location="DC-1")
    sent = dispatch(operator)
    assert sent.status_code == 201, sent.text
    transfer = sent.json()["transfer"]
    assert operator.on_hand("SCREW", "DC-1") == {"": "4"}
    assert transit(operator) == {("SCREW", ""): "6"}
    part = operator.post(f"/transfers/{transfer}/arrivals", {"lines": [{"sku": "SCREW", "quantity": "2"}]})
    assert part.json()["state"] == "partly_arrived"
    rest = operator.post(f"/transfers/{transfer}/arrivals", {})
    assert rest.json()["state"] == "arrived"
    assert operator.on_hand("SCREW") == {"": "6"}
    assert transit(operator) == {}
    shown = operator.get(f"/transfers/{transfer}")
    assert shown.headers["etag"] == '"3"'
    assert shown.json()["lines"][0]["quantity_arrived"] == "6"


def test_post_arrival_more_than_is_on_its_way_is_refused(operator):
    operator.book("receipt", "SCREW", 10, location="DC-1")
    transfer = dispatch(operator).json()["transfer"]
    reply = operator.post(f"/transfers/{transfer}/arrivals", {"lines": [{"sku": "SCREW", "quantity": "7"}]})
    assert reply.status_code in (409, 422)
    assert transit(operator) == {("SCREW", ""): "6"}


def test_post_transfer_takes_the_lot_that_expires_first_and_keeps_it(operator):
    operator.book("receipt", "MILK", 5, location="DC-1", lot="B", expires_on="2024-06-02")
    operator.book("receipt", "MILK", 5, location="DC-1", lot="A", expires_on="2024-06-01")
    body = {"source": "DC-1", "target": "STORE-1", "lines": [{"sku": "MILK", "quantity": "7"}]}
    transfer = operator.post("/transfers", body).json()["transfer"]
    assert transit(operator) == {("MILK", "A"): "5", ("MILK", "B"): "2"}
    operator.post(f"/transfers/{transfer}/arrivals", {})
    assert operator.on_hand("MILK") == {"A": "5", "B": "2"}


def test_post_transfer_to_the_same_place_is_refused(operator):
    body = {"source": "DC-1", "target": "DC-1", "lines": [{"sku": "SCREW", "quantity": "1"}]}
    assert operator.post("/transfers", body).status_code == 422


def test_post_transfer_to_an_unknown_place_is_refused(operator):
    operator.book("receipt", "SCREW", 10, location="DC-1")
    body = {"source": "DC-1", "target": "NOWHERE", "lines": [{"sku": "SCREW", "quantity": "1"}]}
    assert operator.post("/transfers", body).status_code == 404
    assert operator.on_hand("SCREW", "DC-1") == {"": "10"}


def test_close_transfer_brings_the_rest_back_or_writes_it_off(operator, manager):
    operator.book("receipt", "SCREW", 20, location="DC-1")
    first, second = (dispatch(operator).json()["transfer"] for _ in range(2))
    operator.post(f"/transfers/{first}/arrivals", {"lines": [{"sku": "SCREW", "quantity": "5"}]})
    back = manager.post(f"/transfers/{first}/close", {"outcome": "returned", "reason": "refused"})
    assert back.json()["state"] == "closed"
    assert operator.on_hand("SCREW", "DC-1") == {"": "9"}
    manager.post(f"/transfers/{second}/close", {"outcome": "lost", "reason": "lorry burnt"})
    assert transit(operator) == {}
    assert manager.post(f"/transfers/{second}/close", {"outcome": "lost", "reason": "again"}).status_code == 409


def test_reversal_of_an_arrival_puts_the_goods_back_on_their_way(operator):
    operator.book("receipt", "SCREW", 10, location="DC-1")
    transfer = dispatch(operator).json()["transfer"]
    arrival = operator.post(f"/transfers/{transfer}/arrivals", {}).json()["movement"]
    operator.post(f"/movements/{arrival}/reversal", {"reason": "wrong store"})
    assert operator.get(f"/transfers/{transfer}").json()["state"] == "in_transit"
    assert transit(operator) == {("SCREW", ""): "6"}


def test_reversal_of_a_dispatch_is_refused(operator):
    operator.book("receipt", "SCREW", 10, location="DC-1")
    dispatched = dispatch(operator).json()["movement"]
    reply = operator.post(f"/movements/{dispatched}/reversal", {"reason": "mistake"})
    assert reply.status_code == 409
    assert "Close the transfer" in reply.json()["detail"]
