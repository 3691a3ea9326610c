"""The exchange with both ERPs over real HTTP, on SQLite, and on PostgreSQL where `make test-all` runs it."""

from __future__ import annotations

import logging
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from restock.adapters.database.delivery_tables import ErpLinkRow, ErpRejectionRow, ErpRunRow
from restock.adapters.database.engine import write_transaction
from restock.adapters.database.ledger_store import read_balance
from restock.adapters.database.ledger_tables import AuditRow, OutboxRow
from restock.adapters.database.order_tables import CustomerRow, PurchaseOrderRow
from restock.adapters.erp.interface import ErpKind, ErpUnavailableError
from restock.errors import DataError, NotFoundError
from restock.ledger.movements import Kind
from restock.operations.catalogue.products import ProductDraft, list_products, put_product, read_product
from restock.operations.catalogue.suppliers import SupplierDraft, put_supplier, read_supplier
from restock.operations.erp.customer_orders import list_customer_orders, list_customers, read_customer_order_lines
from restock.operations.erp.exchange import Direction, ErpBusyError, Fate
from restock.operations.stock.booking import Draft, DraftLine, book
from restock.operations.stock.once import Write
from restock.operations.stock.order_lines import OrderDraft, OrderLine
from restock.operations.stock.purchase_orders import cancel_order, draft_order, send_order
from tests.erp_servers import Fault
from tests.erpnext_server import KEY, SECRET
from tests.odoo_server import PASSWORD


def fates(summary, kind, way=Direction.IN):
    return {fate.value: number for fate, number in summary.tally(kind, way).fates.items() if number}


def change_product(engine, clock, sku, **changes):
    with write_transaction(engine) as connection:
        draft = read_product(connection, sku).to_draft()
        put_product(connection, draft.model_copy(update=changes), actor="planner", now=clock())


def send_own_order(engine, clock, *, key="order-one", quantity=6):
    def write(what):
        return Write(key=f"{key}-{what}", request={"what": what}, actor="planner", now=clock())

    with write_transaction(engine) as connection:
        line = OrderLine(sku="COLA", quantity=Decimal(quantity), unit_cost=Decimal("1.50"))
        draft = OrderDraft(supplier="ACME", location="WH", lines=(line,), promised_on=date(2024, 5, 20))
        order = draft_order(connection, draft, write("draft"))["purchase_order"]
        send_order(connection, order, write("send"), promised_on=None)
    return order


def receive(engine, clock, sku, quantity, *, location="WH"):
    with write_transaction(engine) as connection:
        line = DraftLine(sku=sku, quantity=Decimal(quantity), unit_cost=Decimal(1))
        draft = Draft(kind=Kind.RECEIPT, location=location, lines=(line,), occurred_at=clock())
        book(connection, draft, Write(key=f"receipt-{clock()}", request={}, actor="clerk", now=clock()))


def rejections(connection):
    rows = connection.execute(select(ErpRejectionRow.kind, ErpRejectionRow.record, ErpRejectionRow.reason))
    return {(row.kind, row.record): row.reason for row in rows}


def count(connection, table):
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_synchronise_first_time_takes_over_what_is_there(sync, shop, reading):
    shop.sale("SAL-1", {"COLA": 3})
    shop.order("PUR-1", {"COLA": 12})
    summary = sync()
    assert fates(summary, ErpKind.PRODUCT) == {"created": 2}
    product = reading(read_product, "COLA")
    assert (product.name, product.category_path, [code.gtin for code in product.barcodes]) == (
        "Cola",
        "Food > Drinks",
        ["04006381333931"],
    )
    [order] = reading(list_customer_orders).rows
    assert (order["state"], order["requested_on"], order["location"]) == ("open", date(2024, 5, 20), "WH")
    [line] = reading(read_customer_order_lines, [order["customer_order"]])[order["customer_order"]]
    assert (line["sku"], line["quantity_ordered"], line["unit_price"]) == ("COLA", 3, Decimal("2.50"))
    assert [row["name"] for row in reading(list_customers).rows] == ["Ann"]
    assert summary.n_rejected == 0


def test_synchronise_second_time_changes_nothing_on_either_side(sync, shop, reading, engine):
    shop.sale("SAL-1", {"COLA": 3})
    shop.order("PUR-1", {"COLA": 12})
    sync()
    before = [reading(count, table) for table in (AuditRow, OutboxRow, ErpLinkRow)]
    clock_there = shop.server.clock
    assert sync().n_written == 0
    assert [reading(count, table) for table in (AuditRow, OutboxRow, ErpLinkRow)] == before
    assert shop.server.clock == clock_there


def test_synchronise_once_everything_has_settled_nothing_is_read_again(sync, clock):
    sync()
    clock.advance(hours=3)
    sync()
    clock.advance(hours=3)
    assert sum(tally.n_read for tally in sync().tallies.values()) == 0


def test_synchronise_late_change_with_an_earlier_instant_is_not_missed(sync, shop, clock, reading):
    sync()
    # Its transaction began before the last one that was read, and ended after it.
    shop.server.tick(seconds=-30)
    shop.product("LATE", name="Late")
    shop.server.tick(minutes=1)
    clock.advance(minutes=1)
    assert fates(sync(), ErpKind.PRODUCT)["created"] == 1
    assert reading(read_product, "LATE").name == "Late"


def test_synchronise_change_there_comes_in_and_a_change_here_goes_out(sync, shop, engine, clock, reading):
    sync()
    shop.product("COLA", name="Cola 1 l")
    change_product(engine, clock, "TEA", name="Green tea")
    summary = sync()
    assert reading(read_product, "COLA").name == "Cola 1 l"
    assert shop.product_name("TEA") == "Green tea"
    assert fates(summary, ErpKind.PRODUCT, Direction.OUT) == {"changed": 1}
    assert sync().n_written == 0


def test_synchronise_both_changed_other_fields_keeps_both(sync, shop, engine, clock, reading):
    sync()
    shop.product("COLA", barcode="4006381333924")
    change_product(engine, clock, "COLA", name="Cola, cold")
    sync()
    product = reading(read_product, "COLA")
    assert (product.name, [code.gtin for code in product.barcodes]) == ("Cola, cold", ["04006381333924"])
    assert shop.product_name("COLA") == "Cola, cold"


@pytest.mark.parametrize("is_ours_later", [True, False])
def test_synchronise_both_changed_one_field_the_later_stands_and_the_other_is_kept(
    sync, shop, engine, clock, reading, is_ours_later
):
    sync()
    shop.server.clock = clock.now
    steps = [
        lambda: change_product(engine, clock, "COLA", name="Ours"),
        lambda: shop.product("COLA", name="Theirs"),
    ]
    for step in reversed(steps) if is_ours_later else steps:
        clock.advance(minutes=1)
        shop.server.tick(minutes=1)
        step()
    clock.advance(minutes=1)
    sync()
    winner, loser = ("Ours", "Theirs") if is_ours_later else ("Theirs", "Ours")
    assert (reading(read_product, "COLA").name, shop.product_name("COLA")) == (winner, winner)
    kept = select(AuditRow.details).where(AuditRow.action == "resolve_erp_conflict")
    [details] = reading(lambda connection: connection.execute(kept).scalars().all())
    assert details["lost"] == {"name": loser}
    assert sync().n_written == 0


def test_synchronise_own_products_suppliers_and_orders_go_out_once(sync, shop, engine, clock):
    sync()
    with write_transaction(engine) as connection:
        base = read_product(connection, "COLA").base_unit
        put_product(connection, ProductDraft(sku="JUICE", name="Juice", base_unit=base), actor="p", now=clock())
        put_supplier(connection, SupplierDraft(supplier="FRUIT", name="Fruit Ltd"), actor="p", now=clock())
    send_own_order(engine, clock)
    summary = sync()
    assert "JUICE" in shop.product_codes()
    assert "Fruit Ltd" in shop.supplier_names()
    assert shop.orders() == [(False, [("COLA", 6)])]
    assert fates(summary, ErpKind.PURCHASE_ORDER, Direction.OUT) == {"created": 1}
    assert sync().n_written == 0


def test_synchronise_order_cancelled_here_is_cancelled_there(sync, shop, engine, clock):
    sync()
    order = send_own_order(engine, clock)
    sync()
    with write_transaction(engine) as connection:
        write = Write(key="cancel-it", request={}, actor="planner", now=clock())
        cancel_order(connection, order, write, reason="not needed")
    sync()
    assert [is_cancelled for is_cancelled, _ in shop.orders()] == [True]
    assert sync().n_written == 0


def test_synchronise_order_cancelled_there_is_cancelled_here(sync, shop, reading):
    shop.order("PUR-1", {"COLA": 12})
    sync()
    shop.cancel_order("PUR-1")
    sync()
    state = select(PurchaseOrderRow.state).where(PurchaseOrderRow.purchase_order == "PUR-1")
    assert reading(lambda connection: connection.execute(state).scalar_one()) == "cancelled"
    assert sync().n_written == 0


def test_synchronise_customer_order_that_was_delivered_is_no_future_demand(sync, shop, reading):
    shop.sale("SAL-1", {"COLA": 3})
    sync()
    shop.sale("SAL-1", {"COLA": 3}, delivered=3)
    sync()
    assert [row["state"] for row in reading(list_customer_orders).rows] == ["delivered"]


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.LATE, Fault.BROKEN])
@pytest.mark.parametrize("path", ["Purchase Order", "Item", "Supplier"])
def test_synchronise_lost_replies_double_nothing(sync, shop, engine, clock, fault, path):
    sync()
    with write_transaction(engine) as connection:
        base = read_product(connection, "COLA").base_unit
        put_product(connection, ProductDraft(sku="JUICE", name="Juice", base_unit=base), actor="p", now=clock())
        put_supplier(connection, SupplierDraft(supplier="FRUIT", name="Fruit Ltd"), actor="p", now=clock())
    send_own_order(engine, clock)
    models = {"Purchase Order": "purchase.order", "Item": "product.product", "Supplier": "res.partner"}
    left = [fault]

    def due(asked):
        is_erpnext = asked.method == "POST" and path in asked.path
        is_odoo = asked.body and asked.body.get("params", {}).get("args", [])[3:5] == [models[path], "load"]
        return left.pop() if left and (is_erpnext or is_odoo) else None

    shop.server.fault_of = due
    sync()
    assert left == []
    sync()
    assert shop.product_codes() == ["COLA", "JUICE", "TEA"]
    assert shop.supplier_names() == ["Acme Ltd", "Fruit Ltd"]
    assert shop.orders() == [(False, [("COLA", 6)])]


class Killed(BaseException):
    """The process is gone."""


def die_after(send, n_requests):
    """Return a way to send requests that is killed once so many of them have been answered."""
    left = [n_requests]

    def dying(*arguments, **options):
        done = send(*arguments, **options)
        left[0] -= 1
        if left[0] <= 0:
            raise Killed
        return done

    return dying


def test_synchronise_killed_at_every_request_goes_on_and_ends_the_same(sync, shop, engine, clock, reading):
    for number in range(5):
        shop.product(f"P{number}", name=f"Product {number}")
    shop.sale("SAL-1", {"COLA": 3})
    shop.order("PUR-1", {"COLA": 12})
    n_kills, has_ordered, is_done = 0, False, False
    while not is_done:
        client = shop.client()
        caller = getattr(client, "caller", None) or client.odoo.caller
        object.__setattr__(caller, "_send", die_after(caller._send, n_kills + 1))
        try:
            sync(client=client)
            is_done = has_ordered
        except Killed:
            n_kills += 1
        if not has_ordered and reading(count, PurchaseOrderRow):
            send_own_order(engine, clock)
            has_ordered = True
        # The run that was killed is given up.
        clock.advance(minutes=20)
    summary = sync()
    sync()
    assert sync().n_written == 0
    assert n_kills > 12
    skus = [product.sku for product in reading(list_products)[0]]
    assert skus == ["COLA", "P0", "P1", "P2", "P3", "P4", "TEA"]
    assert len(reading(list_customer_orders).rows) == 1
    assert sorted(lines for _, lines in shop.orders()) == [[("COLA", 6)], [("COLA", 12)]]
    assert summary.n_rejected == 0


def test_synchronise_rejected_record_is_kept_and_does_not_stop_the_rest(sync, shop, reading):
    shop.product("BAD", name="x" * 600)
    shop.product("GOOD", name="Good")
    summary = sync()
    assert fates(summary, ErpKind.PRODUCT) == {"created": 3, "rejected": 1}
    [((kind, _), reason)] = reading(rejections).items()
    assert (kind, "name: String should have at most 500 characters" in reason) == ("product", True)
    with pytest.raises(NotFoundError, match="'BAD' is not in the catalogue"):
        reading(read_product, "BAD")
    shop.product("BAD", name="Better")
    sync()
    assert reading(rejections) == {}
    assert reading(read_product, "BAD").name == "Better"


def test_synchronise_order_of_something_rejected_waits_for_it(sync, shop, reading):
    shop.product("BAD", name="x" * 600)
    shop.order("PUR-1", {"BAD": 2})
    assert sync().n_rejected >= 2
    shop.product("BAD", name="Better")
    sync()
    assert reading(rejections) == {}
    assert reading(count, PurchaseOrderRow) == 1


def test_synchronise_refused_there_is_kept_and_does_not_stop_the_rest(sync, shop, engine, clock, reading):
    sync()
    with write_transaction(engine) as connection:
        base = read_product(connection, "COLA").base_unit
        put_product(connection, ProductDraft(sku="BARREL", name="Barrel", base_unit="barrel"), actor="p", now=clock())
        put_product(connection, ProductDraft(sku="JUICE", name="Juice", base_unit=base), actor="p", now=clock())
    summary = sync()
    assert fates(summary, ErpKind.PRODUCT, Direction.OUT) == {"created": 1, "rejected": 1}
    assert "barrel" in reading(rejections)["product", "BARREL"]
    assert "JUICE" in shop.product_codes()


def test_synchronise_barcode_that_is_no_gtin_is_left_out_and_told(sync, shop, reading):
    shop.product("COLA", barcode="12345")
    assert sync().notes == ["barcode '12345' of COLA is no GTIN: left out"]
    assert reading(read_product, "COLA").barcodes == ()


def test_synchronise_stock_is_compared_and_left_alone_on_the_way_in(sync, shop, engine, clock, reading):
    sync()
    receive(engine, clock, "COLA", 10)
    shop.stock("COLA", 7)
    summary = sync(kinds=[ErpKind.STOCK], direction=Direction.IN)
    assert [vars(each) for each in summary.differences] == [
        {"sku": "COLA", "location": "WH", "ours": "10", "theirs": "7"}
    ]
    assert (reading(read_balance, "COLA", "WH"), shop.held("COLA")) == (10, 7)


def test_synchronise_stock_out_sets_the_erp_to_the_ledger(sync, shop, engine, clock):
    sync()
    receive(engine, clock, "COLA", 10)
    shop.stock("TEA", 4)
    summary = sync(kinds=[ErpKind.STOCK])
    assert fates(summary, ErpKind.STOCK, Direction.OUT) == {"changed": 2}
    assert (shop.held("COLA"), shop.held("TEA")) == (10, 0)
    again = sync(kinds=[ErpKind.STOCK])
    assert (again.n_written, again.differences) == (0, [])


def test_synchronise_stock_in_with_adjusting_sets_the_ledger_to_the_erp(sync, shop, engine, clock, reading):
    sync()
    receive(engine, clock, "COLA", 10)
    shop.stock("COLA", 7)
    shop.stock("TEA", 4)
    options = {"kinds": [ErpKind.STOCK], "direction": Direction.IN, "is_adjusting": True}
    assert fates(sync(**options), ErpKind.STOCK) == {"changed": 2}
    assert [reading(read_balance, sku, "WH") for sku in ("COLA", "TEA")] == [7, 4]
    assert sync(**options).n_written == 0


def test_synchronise_adjusting_without_stock_coming_in_is_refused(sync):
    with pytest.raises(DataError, match="--kinds stock --direction in --adjust"):
        sync(is_adjusting=True)


def test_synchronise_rehearsal_counts_and_leaves_both_sides_as_they_are(sync, shop, engine, clock, reading):
    shop.sale("SAL-1", {"COLA": 3})
    rehearsed = sync(is_rehearsal=True)
    assert [reading(count, table) for table in (CustomerRow, ErpLinkRow, AuditRow)] == [0, 0, 0]
    assert fates(rehearsed, ErpKind.PRODUCT)["created"] == 2
    assert fates(rehearsed, ErpKind.CUSTOMER_ORDER) == {"created": 1}
    assert fates(sync(), ErpKind.PRODUCT) == {"created": 2}


def test_synchronise_while_another_run_is_under_way_is_refused_until_that_is_given_up(sync, engine, clock, shop):
    with write_transaction(engine) as connection:
        row = {"run": "r1", "system": shop.client().system, "state": "running", "direction": "in", "started_by": "cron"}
        row |= {"started_at_utc": clock.now, "seen_at_utc": clock.now, "finished_at_utc": None, "summary": {}}
        connection.execute(ErpRunRow.__table__.insert(), row)
    with pytest.raises(ErpBusyError, match=r"under way since 2024-05-02 09:00 UTC, by cron"):
        sync()
    clock.advance(minutes=16)
    assert sync().n_written > 0


def test_synchronise_erp_that_is_away_fails_the_run_and_keeps_what_was_done(sync, shop, reading):
    shop.server.fault_of = lambda asked: (
        Fault.UNAVAILABLE if "Customer" in asked.path or "customer_rank" in str(asked.body) else None
    )
    with pytest.raises(ErpUnavailableError, match="could not be asked in 3 tries"):
        sync()
    assert reading(read_supplier, "ACME").name == "Acme Ltd"
    last = select(ErpRunRow.state, ErpRunRow.summary)
    [run] = reading(lambda connection: connection.execute(last).all())
    assert (run.state, "status 503" in run.summary["error"]) == ("failed", True)


def test_synchronise_outage_is_not_taken_for_bad_records(sync, shop, engine, clock, reading):
    sync()
    with write_transaction(engine) as connection:
        base = read_product(connection, "COLA").base_unit
        for number in range(6):
            draft = ProductDraft(sku=f"N{number}", name=f"New {number}", base_unit=base)
            put_product(connection, draft, actor="p", now=clock())
    shop.server.fault_of = lambda asked: (
        Fault.BROKEN
        if asked.method == "POST" and ("Item" in asked.path or '"load"' in str(asked.body).replace("'", '"'))
        else None
    )
    with pytest.raises(ErpUnavailableError, match="status 500"):
        sync()
    assert len(reading(rejections)) == 2
    shop.server.fault_of = lambda _: None
    sync()
    assert reading(rejections) == {}
    assert len(shop.product_codes()) == 8


def test_synchronise_secrets_are_nowhere_in_logs_or_tables(sync, shop, reading, caplog):
    shop.server.fail_once(Fault.BUSY)
    with caplog.at_level(logging.DEBUG):
        sync()
    kept = reading(lambda connection: str(connection.execute(select(ErpRunRow.summary)).all()))
    assert not any(secret in caplog.text + kept for secret in (KEY, SECRET, PASSWORD))


def test_tally_counts_add_up(sync):
    for tally in sync().tallies.values():
        assert tally.n_read == sum(tally.fates[fate] for fate in Fate)
