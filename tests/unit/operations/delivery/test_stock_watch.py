"""Which alerts postings and sweeps raise and end, in a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from restock.adapters.database.catalogue_tables import LotRow
from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.ledger_tables import BalanceRow
from restock.adapters.database.order_tables import PurchaseOrderLineRow, PurchaseOrderRow
from restock.adapters.database.planning_tables import AlertRow, PlanRow
from restock.operations.stock_watch import sweep_stock, watch_balances, watch_receipts

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
TODAY = date(2024, 5, 1)


def write(engine, operation, *arguments, **options):
    with write_transaction(engine) as connection:
        return operation(connection, *arguments, **options)


def put(engine, table, **values):
    with write_transaction(engine) as connection:
        connection.execute(insert(table), values)


def alerts(engine):
    with read_transaction(engine) as connection:
        rows = connection.execute(select(AlertRow.about, AlertRow.state, AlertRow.summary).order_by(AlertRow.about))
        return {row.about: (row.state, row.summary) for row in rows}


def put_order(engine, *, ordered=100, received=0, state="sent", promised_on=date(2024, 4, 28)):
    put(
        engine,
        PurchaseOrderRow,
        purchase_order="PO1",
        supplier="SUP",
        location="S",
        state=state,
        promised_on=promised_on,
        note="",
        created_at_utc=NOW,
        created_by="ann",
        version=1,
    )
    put(
        engine,
        PurchaseOrderLineRow,
        purchase_order="PO1",
        line=1,
        sku="A",
        quantity_ordered=ordered,
        quantity_received=received,
        unit_cost=0,
        entered_quantity="",
        entered_unit="",
    )


def put_plan(engine, *, reorder_point):
    put(
        engine,
        PlanRow,
        sku="A",
        location="S",
        as_of=TODAY,
        supplier="SUP",
        reorder_point=reorder_point,
        order_up_to_level=200,
        order_quantity=50,
        expected_cost=0,
        expected_fill_rate=0.9,
        reasons={},
        forecast_version="1",
        created_at_utc=NOW,
    )


def test_watch_balances_below_zero_raises_and_back_at_zero_resolves(engine):
    key = ("A", "TILL", "")
    write(engine, watch_balances, {key: -15, ("A", "@customer", ""): -20}, now=NOW)
    state, summary = alerts(engine)["negative_stock:A:TILL"]
    assert state == "open"
    assert summary.startswith("TILL has -1.5 kg of A by the books")
    write(engine, watch_balances, {key: 0}, now=NOW)
    assert {about: state for about, (state, _) in alerts(engine).items()} == {"negative_stock:A:TILL": "resolved"}


def test_sweep_stock_tells_of_expiry_once_and_ends_it_when_the_lot_is_gone(engine):
    put(engine, LotRow, sku="A", lot="L1", expires_on=TODAY - timedelta(days=1))
    put(engine, LotRow, sku="A", lot="L2", expires_on=TODAY + timedelta(days=3))
    put(engine, LotRow, sku="A", lot="L3", expires_on=TODAY + timedelta(days=90))
    for lot in ("L1", "L2", "L3"):
        put(engine, BalanceRow, sku="A", location="S", lot=lot, quantity=25, version=1)
    assert write(engine, sweep_stock, now=NOW) == 2
    assert write(engine, sweep_stock, now=NOW) == 0
    found = alerts(engine)
    assert found["lot_expired:A:S:L1"] == ("open", "2.5 kg of A lot L1 at S expired on 2024-04-30.")
    assert found["lot_expiring:A:S:L2"][1].endswith("expires on 2024-05-04, in 3 days.")
    write(engine, lambda connection: connection.execute(update(BalanceRow).values(quantity=0)))
    write(engine, sweep_stock, now=NOW)
    assert {state for state, _ in alerts(engine).values()} == {"resolved"}


def test_sweep_stock_position_below_the_reorder_point_counts_what_is_on_order(engine):
    put_plan(engine, reorder_point=100)
    put(engine, BalanceRow, sku="A", location="S", lot="L1", quantity=30, version=1)
    write(engine, sweep_stock, now=NOW)
    assert alerts(engine)["below_reorder_point:A:S"][1] == (
        "A at S: 3.0 kg on hand and on order, below the reorder point of 10.0."
    )
    put_order(engine, ordered=100, received=20, promised_on=None)
    write(engine, sweep_stock, now=NOW)
    assert alerts(engine)["below_reorder_point:A:S"][0] == "resolved"


def test_sweep_stock_overdue_order_is_told_of_until_it_has_come(engine):
    put_order(engine)
    write(engine, sweep_stock, now=NOW)
    assert alerts(engine)["purchase_order_overdue:PO1"] == (
        "open",
        "purchase order PO1 was promised for 2024-04-28 by SUP, 3 days ago.",
    )
    write(engine, lambda connection: connection.execute(update(PurchaseOrderRow).values(state="received")))
    write(engine, sweep_stock, now=NOW)
    assert alerts(engine)["purchase_order_overdue:PO1"][0] == "resolved"


@pytest.mark.parametrize(
    ("received", "state", "expected"),
    [
        (40, "partly_received", None),
        (40, "closed", "receipt_short:PO1:1"),
        (100, "received", None),
        (120, "received", "receipt_over:PO1:1"),
    ],
)
def test_watch_receipts_tells_of_short_and_over(engine, received, state, expected):
    put_order(engine, received=received, state=state)
    write(engine, watch_receipts, "PO1", now=NOW)
    assert list(alerts(engine)) == ([] if expected is None else [expected])
