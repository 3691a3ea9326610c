from __future__ import annotations

import pytest


@pytest.fixture
def count(operator):
    """Return the identifier of an open count of a store that holds 10 screws and 5 pieces of milk in lot A."""
    operator.book("receipt", "SCREW", 10)
    operator.book("receipt", "MILK", 5, lot="A", expires_on="2024-06-01")
    opened = operator.post("/counts", {"location": "STORE-1"})
    assert opened.status_code == 201, opened.text
    assert opened.json()["lines"] == [{"sku": "MILK", "lot": "A"}, {"sku": "SCREW", "lot": ""}]
    return opened.json()["count"]


def find(client, count, **quantities):
    lots = {"MILK": "A"}
    found = [{"sku": sku, "lot": lots.get(sku, ""), "quantity": str(quantity)} for sku, quantity in quantities.items()]
    return client.post(f"/counts/{count}/results", {"found": found})


def test_count_posts_what_differs_once_it_is_approved(operator, manager, count):
    assert find(operator, count, SCREW=8, MILK=5).json()["recorded"] == 2
    assert operator.on_hand("SCREW") == {"": "10"}
    approved = manager.post(f"/counts/{count}/approve")
    assert approved.status_code == 200, approved.text
    assert operator.on_hand("SCREW") == {"": "8"}
    assert [(line["sku"], line["quantity"]) for line in approved.json()["lines"]] == [("SCREW", "-2")]
    lost = manager.get("/stock", location="@loss").json()["items"]
    assert [(row["sku"], row["on_hand"]) for row in lost] == [("SCREW", "2")]


def test_count_leaves_what_was_booked_since_it_was_counted(operator, manager, count):
    find(operator, count, SCREW=8, MILK=5)
    operator.book("sale", "SCREW", 3)
    manager.post(f"/counts/{count}/approve")
    assert operator.on_hand("SCREW") == {"": "5"}


def test_count_of_what_is_booked_posts_nothing(operator, manager, count):
    find(operator, count, SCREW=10, MILK=5)
    approved = manager.post(f"/counts/{count}/approve").json()
    assert approved["movement"] is None
    assert approved["state"] == "approved"


def test_recount_stands_in_place_of_the_first(operator, manager, count):
    find(operator, count, SCREW=4, MILK=5)
    asked = manager.post(f"/counts/{count}/recount").json()
    assert asked["lines"] == [{"sku": "SCREW", "lot": ""}]
    find(operator, count, SCREW=9)
    manager.post(f"/counts/{count}/approve")
    assert operator.on_hand("SCREW") == {"": "9"}
    shown = manager.get(f"/counts/{count}").json()
    screw = next(line for line in shown["lines"] if line["sku"] == "SCREW")
    assert (screw["quantity_counted"], screw["quantity_recounted"], screw["quantity_booked"]) == ("4", "9", "10")


def test_count_of_what_nobody_looked_for_is_added(operator, manager, count):
    find(operator, count, SCREW=10, MILK=5, FLOUR="1.250")
    manager.post(f"/counts/{count}/approve")
    assert operator.on_hand("FLOUR") == {"": "1.250"}


def test_approve_before_all_is_counted_is_refused(operator, manager, count):
    find(operator, count, SCREW=10)
    reply = manager.post(f"/counts/{count}/approve")
    assert reply.status_code == 409
    assert "the first is MILK" in reply.json()["detail"]


def test_approve_by_who_counted_is_refused(manager, count):
    find(manager, count, SCREW=10, MILK=5)
    reply = manager.post(f"/counts/{count}/approve")
    assert reply.status_code == 403
    assert "somebody else approves it" in reply.json()["detail"]


def test_count_that_has_ended_takes_nothing_more(operator, manager, count):
    manager.post(f"/counts/{count}/cancel")
    assert find(operator, count, SCREW=1).status_code == 409
    assert manager.post(f"/counts/{count}/approve").status_code == 409
    assert manager.get("/counts", state="cancelled").json()["items"][0]["count"] == count


@pytest.mark.parametrize("body", [{"location": "NOWHERE"}, {"location": "@transit"}, {"location": "TILL-1"}])
def test_count_of_nothing_is_refused(operator, body):
    assert operator.post("/counts", body).status_code in (404, 422)
