"""A kept plan in the ledger's database: exact, whole, once; and the orders that are drafted from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from sqlalchemy import insert, select

from restock.adapters.database.catalogue_tables import LocationRow, ProductRow, SupplierRow, SupplyTermRow
from restock.adapters.database.engine import open_database, read_transaction, write_transaction
from restock.adapters.database.ledger_tables import AuditRow
from restock.adapters.database.migrate import migrate
from restock.adapters.database.order_tables import PurchaseOrderLineRow, PurchaseOrderRow
from restock.adapters.database.planning_tables import OverrideRow, PlanRow
from restock.operations.replenishment.daily_plan import read_daily_plan
from restock.operations.replenishment.store_plan import store_plan
from restock.operations.stock.once import Write
from restock.operations.stock.purchase_orders import cancel_order, draft_from_plan
from tests.planned_workspace import PLAN_DAY, WAREHOUSE
from tests.serving.running import SKUS, STORES

NOW = datetime(2024, 4, 30, 1, tzinfo=UTC)


@pytest.fixture
def plan(planned_template):
    return read_daily_plan(planned_template / "data", as_of=PLAN_DAY)


@pytest.fixture
def engine(tmp_path, plan):
    """Return a ledger whose catalogue knows all skus of the plan but the last."""
    engine = open_database(f"sqlite:///{tmp_path / 'ledger.db'}")
    migrate(engine)
    product = {"category_path": "", "base_unit": "piece", "quantity_decimals": 0, "is_lot_tracked": False}
    product |= {"is_active": True, "version": 1, "changed_at_utc": NOW}
    place = {"region": "", "may_be_negative": False, "is_active": True, "version": 1}
    term = {"unit_cost": 200, "minimum_order_quantity": 1, "order_multiple": 1, "fixed_order_cost": 0}
    term |= {"review_periods": 1, "quoted_lead_time_days": 3}
    lines = plan.table.filter(pl.col("sku") != SKUS[7], pl.col("supplier") != WAREHOUSE)
    with write_transaction(engine) as connection:
        connection.execute(insert(ProductRow), [product | {"sku": sku, "name": sku} for sku in SKUS[:7]])
        connection.execute(
            insert(LocationRow),
            [place | {"location": name, "name": name, "kind": "store"} for name in (*STORES, WAREHOUSE)],
        )
        connection.execute(
            insert(SupplierRow),
            [{"supplier": name, "name": name, "is_active": True, "version": 1} for name in ("SUP-1", "SUP-2")],
        )
        connection.execute(
            insert(SupplyTermRow), [term | row for row in lines.select("sku", "location", "supplier").to_dicts()]
        )
    yield engine
    engine.dispose()


def store(engine, plan, now=NOW):
    with write_transaction(engine) as connection:
        return store_plan(connection, plan, actor="tester", now=now)


def rows_of(engine, table):
    with read_transaction(engine) as connection:
        return [dict(row) for row in connection.execute(select(table.__table__)).mappings()]


def draft(engine, key):
    with write_transaction(engine) as connection:
        write = Write(key=key, request={}, actor="tester", now=NOW)
        return draft_from_plan(connection, write, as_of=None, location=None)


def test_store_plan_keeps_what_the_plan_says_exactly(engine, plan):
    stored = store(engine, plan)
    assert stored.unknown.to_dicts() == [{"sku": SKUS[7], "location": STORES[0], "what": "sku"}]
    assert stored.n_lines == plan.table.height - 1
    rows = {(row["sku"], row["location"]): row for row in rows_of(engine, PlanRow)}
    assert len(rows) == stored.n_lines
    for line in plan.table.filter(pl.col("sku") != SKUS[7]).iter_rows(named=True):
        row = rows[line["sku"], line["location"]]
        assert row["order_quantity"] == line["order_quantity"]
        assert 0 <= row["safety_stock"] - line["safety_stock"] < 1
        assert row["expected_cost"] == pytest.approx(100 * line["expected_cost"], abs=0.5)
        copied = ("as_of", "supplier", "binding", "policy_version", "forecast_version", "stockout_probability")
        assert {name: row[name] for name in copied} == {name: line[name] for name in copied}
        assert row["reasons"]["covered_reviews"] >= 1


def test_store_plan_again_changes_nothing_and_another_replaces_the_day(engine, plan):
    store(engine, plan)
    before = rows_of(engine, PlanRow)
    assert store(engine, plan, now=NOW + timedelta(hours=1)).is_unchanged
    assert rows_of(engine, PlanRow) == before
    assert [row["action"] for row in rows_of(engine, AuditRow)] == ["store_plan"]
    fewer = type(plan)(**{**vars(plan), "table": plan.table.filter(location=STORES[0])})
    assert not store(engine, fewer).is_unchanged
    assert {row["location"] for row in rows_of(engine, PlanRow)} == {STORES[0]}


def test_store_plan_rounds_up_what_a_unit_can_t_hold_and_says_so(engine, plan):
    halves = plan.table.with_columns(order_quantity=pl.col("order_quantity") + 0.5).head(1)
    stored = store(engine, type(plan)(**{**vars(plan), "table": halves}))
    assert stored.rounded["order_quantity"].to_list() == halves["order_quantity"].to_list()
    assert rows_of(engine, PlanRow)[0]["order_quantity"] == halves["order_quantity"][0] + 0.5


def test_draft_from_plan_orders_of_suppliers_only_and_counts_what_planners_decided(engine, plan):
    store(engine, plan)
    decided = {"sku": SKUS[6], "location": STORES[0], "as_of": PLAN_DAY, "planned_quantity": 15, "reason": "party"}
    decided |= {"created_by": "me", "withdrawn_at_utc": None}
    with write_transaction(engine) as connection:
        for number, quantity, hours in ((1, 99, 0), (2, 40, 1)):
            created = NOW + timedelta(hours=hours)
            row = decided | {"override": f"OV-{number}", "order_quantity": quantity, "created_at_utc": created}
            connection.execute(insert(OverrideRow), row)
    reply = draft(engine, "key-00001")
    wanted = plan.table.filter(pl.col("order_quantity") > 0, pl.col("sku") != SKUS[7])
    assert reply["warehouse_lines"] == wanted.filter(supplier=WAREHOUSE).height
    bought = wanted.filter(pl.col("supplier") != WAREHOUSE)
    assert len(reply["purchase_orders"]) == bought.select("supplier", "location").unique().height
    ordered = {}
    with read_transaction(engine) as connection:
        for row in connection.execute(
            select(PurchaseOrderRow.location, PurchaseOrderLineRow.sku, PurchaseOrderLineRow.quantity_ordered).join(
                PurchaseOrderLineRow, PurchaseOrderLineRow.purchase_order == PurchaseOrderRow.purchase_order
            )
        ):
            ordered[row.sku, row.location] = row.quantity_ordered
    expected = {(row["sku"], row["location"]): row["order_quantity"] for row in bought.iter_rows(named=True)}
    assert ordered == expected | {(SKUS[6], STORES[0]): 40}


def test_draft_from_plan_twice_drafts_once_until_cancelled(engine, plan):
    store(engine, plan)
    first = draft(engine, "key-00001")
    again = draft(engine, "key-00002")
    assert (again["purchase_orders"], again["drafted_before"]) == ([], len(first["purchase_orders"]))
    with write_transaction(engine) as connection:
        write = Write(key="key-00003", request={}, actor="tester", now=NOW)
        cancel_order(connection, first["purchase_orders"][0]["purchase_order"], write, reason="no")
    assert len(draft(engine, "key-00004")["purchase_orders"]) == 1
