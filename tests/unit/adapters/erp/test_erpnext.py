from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from restock.adapters.erp.erpnext_calls import split_names
from restock.adapters.erp.interface import (
    ErpAccessError,
    ErpKind,
    ErpOrderLine,
    ErpProduct,
    ErpPurchaseOrder,
    ErpRefusedError,
    ErpStockLevel,
    ErpSupplier,
    OrderState,
    Unreadable,
)
from tests.erp_clients import connect_erpnext
from tests.erp_servers import Fault

NOW = datetime(2024, 5, 1, tzinfo=UTC)


def read_all(client, kind, *, since="", limit=2):
    records, after = [], ""
    while True:
        page = client.read_page(kind, since=since, after=after, limit=limit)
        records += page.records
        after = page.after
        if page.is_last:
            return records


def order(**values):
    line = ErpOrderLine(theirs="", product="COLA", quantity=Decimal(6), unit="Nos", unit_amount=Decimal("1.5"))
    standard = {"theirs": "", "code": "PO-1", "supplier": "ACME", "location": "Stores", "lines": (line,)}
    standard |= {"state": OrderState.CONFIRMED, "ordered_on": date(2024, 5, 1), "changed_at": NOW}
    return ErpPurchaseOrder(**{**standard, **values})


@pytest.fixture
def shop(erpnext):
    erpnext.put_item("COLA")
    erpnext.put_warehouse("Stores")
    erpnext.put("Supplier", "ACME", supplier_name="Acme Ltd", disabled=0)
    return erpnext


def test_read_page_product_is_read_with_barcodes_units_and_category(erpnext, erpnext_client):
    erpnext.put_item(
        "COLA",
        item_name="Cola 1 l",
        barcodes=[{"barcode": "4006381333931", "uom": ""}, {"barcode": "14006381333938", "uom": "Box"}],
        uoms=[{"uom": "Nos", "conversion_factor": 1}, {"uom": "Box", "conversion_factor": 12}],
        last_purchase_rate=1.1,
        shelf_life_in_days=90,
        has_batch_no=1,
    )
    [product] = read_all(erpnext_client, ErpKind.PRODUCT)
    assert product == ErpProduct(
        theirs="COLA",
        code="COLA",
        name="Cola 1 l",
        category_path="Food/Drinks",
        base_unit="Nos",
        units=(("Box", Decimal(12)),),
        barcodes=(("14006381333938", "Box"), ("4006381333931", "Nos")),
        unit_cost=Decimal("1.1"),
        unit_price=Decimal("2.5"),
        is_lot_tracked=True,
        shelf_life_days=90,
        changed_at=product.changed_at,
    )


def test_read_page_instant_is_the_sites_own_time(erpnext, erpnext_client):
    erpnext.put_item("COLA")
    [product] = read_all(erpnext_client, ErpKind.PRODUCT)
    assert product.changed_at == erpnext.clock


def test_read_page_weight_keeps_decimals_and_piece_does_not(erpnext, erpnext_client):
    erpnext.put_item("NUTS", stock_uom="Kg")
    erpnext.put_item("COLA")
    assert [(each.code, each.decimals) for each in read_all(erpnext_client, ErpKind.PRODUCT)] == [
        ("COLA", 0),
        ("NUTS", 3),
    ]


def test_read_page_every_record_comes_once_whatever_the_page(erpnext, erpnext_client):
    names = [f"I{number:02d}" for number in range(7)]
    for name in reversed(names):
        erpnext.put_item(name)
    for limit in (1, 2, 3, 7, 8):
        assert [each.code for each in read_all(erpnext_client, ErpKind.PRODUCT, limit=limit)] == names


def test_read_page_since_an_instant_holds_what_changed_then_or_later(erpnext, erpnext_client):
    erpnext.put_item("OLD")
    erpnext.put_item("NEW")
    since = erpnext_client.find_newest(ErpKind.PRODUCT)
    assert [each.code for each in read_all(erpnext_client, ErpKind.PRODUCT, since=since)] == ["NEW"]
    assert erpnext_client.step_back(since) < since


def test_find_newest_nothing_there_is_empty(erpnext_client):
    assert erpnext_client.find_newest(ErpKind.CUSTOMER) == ""


def test_read_page_services_templates_and_drafts_are_left_out(shop, erpnext_client):
    shop.put_item("FREIGHT", is_stock_item=0)
    shop.put_item("SHIRT", has_variants=1)
    lines = [{"item_code": "COLA", "qty": 3, "warehouse": "Stores"}, {"item_code": "FREIGHT", "qty": 1}]
    shop.put_order("Purchase Order", "PUR-1", lines, supplier="ACME")
    shop.put_order("Purchase Order", "PUR-2", lines, supplier="ACME", docstatus=0)
    assert [each.code for each in read_all(erpnext_client, ErpKind.PRODUCT)] == ["COLA"]
    [read] = read_all(erpnext_client, ErpKind.PURCHASE_ORDER)
    assert (read.theirs, read.location, [line.product for line in read.lines]) == ("PUR-1", "Stores", ["COLA"])


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"status": "To Receive and Bill"}, OrderState.CONFIRMED),
        ({"status": "To Bill"}, OrderState.COMPLETED),
        ({"status": "Closed"}, OrderState.CLOSED),
        ({"docstatus": 2, "status": "Cancelled"}, OrderState.CANCELLED),
    ],
)
def test_read_page_order_has_the_state_that_its_status_means(shop, erpnext_client, values, state):
    lines = [{"item_code": "COLA", "qty": 3, "warehouse": "Stores"}]
    shop.put_order("Sales Order", "SAL-1", lines, customer="Ann", delivery_date="2024-05-09", **values)
    [read] = read_all(erpnext_client, ErpKind.CUSTOMER_ORDER)
    assert (read.state, read.requested_on) == (state, date(2024, 5, 9))


def test_read_page_order_for_two_warehouses_is_told_and_the_rest_goes_on(shop, erpnext_client):
    shop.put_warehouse("Yard")
    lines = [{"item_code": "COLA", "qty": 3, "warehouse": place} for place in ("Stores", "Yard")]
    shop.put_order("Purchase Order", "PUR-1", lines, supplier="ACME")
    shop.put_order("Purchase Order", "PUR-2", lines[:1], supplier="ACME")
    first, second = read_all(erpnext_client, ErpKind.PURCHASE_ORDER)
    assert first == Unreadable(
        theirs="PUR-1",
        reason="its lines name 2 warehouses, expected one for all: restock keeps an order per location",
    )
    assert second.theirs == "PUR-2"


def test_read_page_wrong_secret_is_refused_with_what_to_check(erpnext):
    with pytest.raises(ErpAccessError, match=r"status 401: AuthenticationError: Invalid token. Check RESTOCK_ERPNEXT"):
        connect_erpnext(erpnext, secret="wrong-one").find_newest(ErpKind.PRODUCT)


def test_read_stock_holds_every_bin_with_stock(erpnext, erpnext_client):
    erpnext.put_bin("A", "Stores", 3)
    erpnext.put_bin("B", "Stores", 0)
    erpnext.put_bin("C", "Stores", -1.5)
    first = erpnext_client.read_stock(after="", limit=1)
    rest = erpnext_client.read_stock(after=first.after, limit=10)
    assert [(each.product, each.quantity) for each in (*first.levels, *rest.levels)] == [
        ("A", 3),
        ("C", Decimal("-1.5")),
    ]
    assert (first.is_last, rest.is_last) == (False, True)


def test_write_product_is_made_and_then_changed(erpnext, erpnext_client):
    product = ErpProduct(theirs="", code="COLA", name="Cola", base_unit="Nos", changed_at=NOW, category_path="Food")
    made = erpnext_client.write_product(product, reference="product:COLA")
    assert (made.theirs, made.name, made.category_path) == ("COLA", "Cola", "Food")
    renamed = ErpProduct(theirs="COLA", code="COLA", name="Cola 1 l", base_unit="Nos", changed_at=NOW, is_active=False)
    read = erpnext_client.write_product(renamed, reference="product:COLA")
    assert (read.name, read.is_active) == ("Cola 1 l", False)
    writes = erpnext.count(method="PUT")
    erpnext_client.write_product(renamed, reference="product:COLA")
    assert erpnext.count(method="PUT") == writes


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.LATE, Fault.BROKEN])
def test_write_purchase_order_meeting_a_fault_is_made_once(shop, erpnext_client, fault):
    shop.fail_once(fault, method="POST", path="Purchase Order")
    made = erpnext_client.write_purchase_order(order(), reference="purchase_order:PO-1")
    assert list(shop.documents["Purchase Order"]) == [made.theirs]
    assert (made.state, made.reference, made.lines[0].quantity) == (OrderState.CONFIRMED, "purchase_order:PO-1", 6)


def test_write_purchase_order_again_makes_no_second_one(shop, erpnext_client):
    erpnext_client.write_purchase_order(order(), reference="purchase_order:PO-1")
    connect_erpnext(shop).write_purchase_order(order(), reference="purchase_order:PO-1")
    assert len(shop.documents["Purchase Order"]) == 1


@pytest.mark.parametrize("fault", [None, Fault.LOST_REPLY])
def test_write_purchase_order_cancelled_is_cancelled_there(shop, erpnext_client, fault):
    made = erpnext_client.write_purchase_order(order(), reference="r")
    if fault:
        shop.fail_once(fault, method="PUT")
    gone = order(theirs=made.theirs, state=OrderState.CANCELLED)
    assert erpnext_client.write_purchase_order(gone, reference="r").state is OrderState.CANCELLED


def test_write_purchase_order_unknown_supplier_is_refused_in_their_words(shop, erpnext_client):
    with pytest.raises(ErpRefusedError, match="status 417: LinkValidationError: Could not find Supplier: NOBODY"):
        erpnext_client.write_purchase_order(order(supplier="NOBODY"), reference="r")


@pytest.mark.parametrize("fault", [None, Fault.LOST_REPLY, Fault.LATE])
def test_write_supplier_is_made_once(erpnext, erpnext_client, fault):
    if fault:
        erpnext.fail_once(fault, method="POST", path="Supplier")
    supplier = ErpSupplier(theirs="", code="ACME", name="Acme Ltd", changed_at=NOW)
    assert erpnext_client.write_supplier(supplier, reference="supplier:ACME").name == "Acme Ltd"
    assert len(erpnext.documents["Supplier"]) == 1


@pytest.mark.parametrize("fault", [None, Fault.LOST_REPLY, Fault.LATE])
def test_write_stock_sets_what_differs_once(shop, erpnext_client, fault):
    shop.put_item("TEA")
    shop.put_bin("COLA", "Stores", 3)
    levels = [ErpStockLevel(product=code, location="Stores", quantity=Decimal(5)) for code in ("COLA", "TEA")]
    if fault:
        shop.fail_once(fault, method="POST")
    erpnext_client.write_stock(levels)
    erpnext_client.write_stock(levels)
    assert {each["item_code"]: each["actual_qty"] for each in shop.documents["Bin"].values()} == {"COLA": 5, "TEA": 5}
    assert len(shop.documents["Stock Reconciliation"]) == 1


def test_write_stock_one_that_is_refused_is_told(shop, erpnext_client):
    level = ErpStockLevel(product="COLA", location="Stores", quantity=Decimal(-1))
    with pytest.raises(ErpRefusedError, match="Negative Quantity is not allowed"):
        erpnext_client.write_stock([level])


def test_split_names_long_names_come_in_parts_that_fit():
    names = [f"{'ü' * 100}{number}" for number in range(30)]
    parts = [list(part) for part in split_names(names)]
    assert [name for part in parts for name in part] == names
    assert len(parts) > 5
