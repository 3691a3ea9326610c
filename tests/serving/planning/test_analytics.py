from __future__ import annotations

import pytest

ORDER = {
    "supplier": "SUP-1",
    "location": "DC-1",
    "promised_on": "2024-05-03",
    "lines": [{"sku": "SCREW", "quantity": "100", "unit_cost": "0.05"}],
}


@pytest.fixture
def analyst(api):
    return api("analyst")


@pytest.fixture
def history(operator, manager, clock):
    """Buy 100 screws at 0.60 and 100 at 0.80, sell 120 at 0.99, lose 5, send 20 to the warehouse."""
    operator.book("receipt", "SCREW", 100, unit_cost="0.60")
    clock.forward(days=1)
    operator.book("receipt", "SCREW", 100, unit_cost="0.80")
    clock.forward(days=1)
    operator.book("sale", "SCREW", 120)
    operator.book("write_off", "SCREW", 5)
    body = {"source": "STORE-1", "target": "DC-1", "lines": [{"sku": "SCREW", "quantity": "20"}]}
    transfer = operator.post("/transfers", body).json()["transfer"]
    operator.post(f"/transfers/{transfer}/arrivals", {"lines": [{"sku": "SCREW", "quantity": "15"}]})


def test_inventory_value_is_by_location_and_adds_up(analyst, history):
    average = analyst.get("/analytics/inventory-value").json()
    assert average["total"] == "52.50"
    assert {row["location"]: (row["on_hand"], row["value"]) for row in average["rows"]} == {
        "STORE-1": ("55", "38.50"),
        "DC-1": ("15", "10.50"),
        "@transit": ("5", "3.50"),
    }
    assert analyst.get("/analytics/inventory-value", method="fifo").json()["total"] == "60.00"
    # As it was: nothing had been sold on the first two days.
    assert analyst.get("/analytics/inventory-value", to="2024-05-02").json()["total"] == "140.00"


def test_finance_opens_flows_and_closes_to_the_cent(analyst, history):
    report = analyst.get("/analytics/finance", **{"from": "2024-05-03", "to": "2024-05-03"}).json()
    total = report["total"]
    assert (total["opening_value"], total["closing_value"]) == ("140.00", "52.50")
    flows = {name: value for name, value in total["flows"].items() if value != "0.00"}
    assert flows == {"cost_of_sales": "-84.00", "write_offs": "-3.50"}
    assert (total["revenue"], total["cost_of_sales"]) == ("118.80", "84.00")


def test_turnover_and_carrying_cost_follow_from_the_average_value(analyst, history):
    period = {"from": "2024-05-01", "to": "2024-05-03"}
    row = analyst.get("/analytics/turnover", **period).json()["rows"][0]
    # Values at the ends of the three days: 60.00, 140.00 and 52.50.
    assert row["average_value"] == "84.17"
    assert row["turnover"] == pytest.approx(84.00 / 84.17 * 365 / 3)
    assert row["days_of_cover"] == pytest.approx(75 / 40)
    assert row["gross_margin_return"] == pytest.approx((118.80 - 84.00) / 84.17)
    cost = analyst.get("/analytics/carrying-cost", **period).json()
    assert cost["total"] == "0.10"


def test_classes_and_ageing_name_every_product_in_stock(analyst, history, clock):
    assert analyst.get("/analytics/abc-xyz").json()["rows"][0]["abc"] == "A"
    clock.forward(days=200)
    ageing = analyst.get("/analytics/ageing").json()
    assert ageing["rows"][0]["buckets"]["181-365"] == "60.00"
    assert ageing["dead_value"] == "60.00"


def test_suppliers_are_judged_by_their_promises(analyst, operator, manager, clock):
    for _ in range(2):
        order = manager.post("/purchase-orders", ORDER).json()["purchase_order"]
        manager.post(f"/purchase-orders/{order}/send", {})
    clock.forward(days=2)
    operator.post(f"/purchase-orders/{order}/receipts", {"lines": [{"line": 1, "quantity": "100"}]})
    clock.forward(days=2)
    (row,) = analyst.get("/analytics/suppliers").json()["rows"]
    assert (row["supplier"], row["n_lines"], row["on_time_in_full_share"]) == ("SUP-1", 2, 0.5)
    assert row["lead_time_days"]["0.5"] == 2.0
    assert row["lead_time_days"]["0.9"] is None


def test_stockouts_demand_and_shrinkage_come_from_the_ledger(analyst, operator, manager, clock):
    operator.book("receipt", "SCREW", 10)
    operator.book("sale", "SCREW", 10)
    clock.forward(days=2)
    operator.book("receipt", "SCREW", 10)
    count = operator.post("/counts", {"location": "STORE-1"}).json()["count"]
    operator.post(f"/counts/{count}/results", {"found": [{"sku": "SCREW", "quantity": "9"}]})
    manager.post(f"/counts/{count}/approve")
    period = {"from": "2024-05-01", "to": "2024-05-03"}
    (row,) = analyst.get("/analytics/stockouts", **period).json()["rows"]
    # From noon of the first day to noon of the third.
    assert row["stockout_days"] == pytest.approx(2.0, abs=0.6)
    assert "forecasts of demand" in analyst.get("/analytics/stockouts").json()["lost_sales_unavailable"]
    assert analyst.get("/analytics/demand", **period).json()["rows"][0]["mean_units"] == pytest.approx(10 / 3)
    (loss,) = analyst.get("/analytics/shrinkage", **period).json()["rows"]
    assert (loss["counted"], loss["sold"], loss["shrinkage_share"]) == ("-1", "10", 0.1)


def test_fill_rate_without_known_demand_says_so(analyst):
    reply = analyst.get("/analytics/fill-rate").json()
    assert reply["rows"] == []
    assert "no customer orders are known" in reply["unavailable"]


def test_period_that_ends_before_it_begins_is_refused(analyst):
    reply = analyst.get("/analytics/finance", **{"from": "2024-05-03", "to": "2024-05-01"})
    assert reply.status_code == 422
    assert "must begin before it ends" in reply.json()["detail"]
