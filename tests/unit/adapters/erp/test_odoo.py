from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

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
)
from tests.erp_clients import connect_odoo
from tests.erp_servers import Fault
from tests.unit.adapters.erp.test_erpnext import read_all

NOW = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def shop(odoo):
    odoo.cola = odoo.put_product("COLA")
    odoo.main = odoo.put_warehouse("WH")
    odoo.acme = odoo.put_partner("Acme Ltd", ref="ACME", supplier_rank=1)
    return odoo


def order(shop, **values):
    line = ErpOrderLine(
        theirs="",
        product=str(shop.cola),
        quantity=Decimal(2),
        unit="Dozens",
        factor=Decimal(12),
        unit_amount=Decimal(18),
    )
    standard = {"theirs": "", "code": "PO-1", "supplier": str(shop.acme), "location": str(shop.main), "lines": (line,)}
    standard |= {"state": OrderState.CONFIRMED, "ordered_on": date(2024, 5, 1), "changed_at": NOW}
    return ErpPurchaseOrder(**{**standard, **values})


def test_read_page_product_is_read_with_packagings_units_and_category(odoo, odoo_client):
    number = odoo.put_product("COLA", barcode="4006381333931", tracking="lot")
    odoo.put("product.packaging", name="Crate", product_id=number, qty=20.0, barcode="14006381333938")
    [product] = read_all(odoo_client, ErpKind.PRODUCT)
    assert product == ErpProduct(
        theirs=str(number),
        code="COLA",
        name="COLA",
        category_path="Food/Drinks",
        base_unit="Units",
        units=(("Crate", Decimal(20)), ("Dozens", Decimal(12))),
        barcodes=(("14006381333938", "Crate"), ("4006381333931", "Units")),
        unit_cost=Decimal("1.25"),
        unit_price=Decimal("2.5"),
        is_lot_tracked=True,
        changed_at=product.changed_at,
    )


def test_read_page_archived_product_is_read_as_not_active(odoo, odoo_client):
    odoo.put_product("COLA", active=False)
    assert [each.is_active for each in read_all(odoo_client, ErpKind.PRODUCT)] == [False]


def test_read_page_product_whose_template_changed_is_read_again(odoo, odoo_client):
    number = odoo.put_product("COLA")
    odoo.put_product("TEA")
    odoo.tick(hours=1)
    odoo.put("product.template", odoo.tables["product.product"][number]["product_tmpl_id"], name="Cola 1 l")
    since = odoo_client.find_newest(ErpKind.PRODUCT)
    assert [each.code for each in read_all(odoo_client, ErpKind.PRODUCT, since=since)] == ["COLA"]


def test_read_page_order_whose_line_changed_is_read_again(shop, odoo_client):
    lines = [{"product_id": shop.cola, "product_uom_qty": 5.0, "qty_delivered": 0.0}]
    number = shop.put_order("sale.order", "S1", lines, partner_id=shop.acme, warehouse_id=shop.main)
    shop.tick(hours=1)
    [line] = shop.tables["sale.order.line"]
    shop.put("sale.order.line", line, qty_delivered=5.0)
    since = odoo_client.find_newest(ErpKind.CUSTOMER_ORDER)
    [read] = read_all(odoo_client, ErpKind.CUSTOMER_ORDER, since=since)
    assert (read.theirs, read.state) == (str(number), OrderState.COMPLETED)


def test_read_page_many_changed_in_one_second_come_once_each(odoo, odoo_client):
    numbers = [str(odoo.put_product(f"P{number}")) for number in range(9)]
    since = odoo_client.find_newest(ErpKind.PRODUCT)
    for limit in (1, 2, 9):
        assert [each.theirs for each in read_all(odoo_client, ErpKind.PRODUCT, since=since, limit=limit)] == numbers


def test_read_page_order_has_lines_in_their_unit_and_in_the_companys_currency(shop, odoo_client):
    contact = shop.put_partner("Ann at Acme", commercial_partner_id=shop.acme)
    service = shop.put_product("FREIGHT", type="service")
    lines = [
        {
            "product_id": shop.cola,
            "product_qty": 2.0,
            "qty_received": 1.0,
            "price_unit": 36.0,
            "product_uom": shop.dozen,
        },
        {"product_id": service, "product_qty": 1.0},
        {"product_id": False, "product_qty": 0.0},
    ]
    [receipts] = shop.tables["stock.picking.type"]
    shop.put_order(
        "purchase.order",
        "P1",
        lines,
        partner_id=contact,
        picking_type_id=receipts,
        currency_rate=2.0,
        date_planned="2024-05-09 10:00:00",
    )
    [read] = read_all(odoo_client, ErpKind.PURCHASE_ORDER)
    [line] = read.lines
    assert (read.supplier, read.location, read.promised_on) == (str(shop.acme), str(shop.main), date(2024, 5, 9))
    assert (line.quantity, line.done, line.unit, line.factor, line.unit_amount) == (2, 1, "Dozens", 12, 18)


def test_read_page_wrong_password_is_refused_with_what_to_check(odoo):
    with pytest.raises(ErpAccessError, match=r"does not know these credentials. Check RESTOCK_ODOO_DATABASE"):
        connect_odoo(odoo, password="wrong-one").find_newest(ErpKind.PRODUCT)


def test_write_product_without_the_right_is_refused_in_their_words(odoo, odoo_client):
    odoo.may_write = False
    product = ErpProduct(theirs="", code="TEA", name="Tea", base_unit="Units", changed_at=NOW)
    with pytest.raises(ErpAccessError, match=r"AccessError: You are not allowed to modify 'product.product' records"):
        odoo_client.write_product(product, reference="product:TEA")


@pytest.mark.parametrize("fault", [None, Fault.LOST_REPLY, Fault.LATE])
def test_write_product_is_made_once_and_then_changed(odoo, odoo_client, fault):
    if fault:
        odoo.fail_once(fault, containing='"load"')
    product = ErpProduct(theirs="", code="TEA", name="Tea", base_unit="Units", changed_at=NOW)
    made = odoo_client.write_product(product, reference="product:TEA")
    assert (made.code, made.name, len(odoo.tables["product.product"])) == ("TEA", "Tea", 1)
    renamed = ErpProduct(theirs=made.theirs, code="TEA", name="Green tea", base_unit="Units", changed_at=NOW)
    assert odoo_client.write_product(renamed, reference="product:TEA").name == "Green tea"


@pytest.mark.parametrize("fault", [None, Fault.LOST_REPLY, Fault.LATE, Fault.BROKEN])
def test_write_purchase_order_is_made_and_confirmed_once(shop, odoo_client, fault):
    if fault:
        shop.fail_once(fault, containing='"load"')
    made = odoo_client.write_purchase_order(order(shop), reference="purchase_order:PO-1")
    connect_odoo(shop).write_purchase_order(order(shop), reference="purchase_order:PO-1")
    assert (len(shop.tables["purchase.order"]), len(shop.tables["purchase.order.line"])) == (1, 1)
    assert (made.state, made.reference) == (OrderState.CONFIRMED, "purchase_order:PO-1")
    assert [(line.quantity, line.unit, line.unit_amount) for line in made.lines] == [(2, "Dozens", 18)]


def test_write_purchase_order_in_a_unit_that_is_not_there_is_written_in_the_products_own(shop, odoo_client):
    line = ErpOrderLine(
        theirs="",
        product=str(shop.cola),
        quantity=Decimal(2),
        unit="crate",
        factor=Decimal(20),
        unit_amount=Decimal(30),
    )
    made = odoo_client.write_purchase_order(order(shop, lines=(line,)), reference="r")
    assert [(each.quantity, each.unit, each.unit_amount) for each in made.lines] == [(40, "Units", Decimal("1.5"))]


def test_write_purchase_order_cancelled_is_cancelled_there(shop, odoo_client):
    made = odoo_client.write_purchase_order(order(shop), reference="r")
    gone = order(shop, theirs=made.theirs, state=OrderState.CANCELLED)
    assert odoo_client.write_purchase_order(gone, reference="r").state is OrderState.CANCELLED


def test_write_purchase_order_unknown_supplier_is_refused_in_their_words(shop, odoo_client):
    with pytest.raises(ErpRefusedError, match="No matching record found for database id '999' in field 'partner_id'"):
        odoo_client.write_purchase_order(order(shop, supplier="999"), reference="r")


@pytest.mark.parametrize("fault", [None, Fault.LOST_REPLY, Fault.LATE])
def test_write_supplier_is_made_once(odoo, odoo_client, fault):
    if fault:
        odoo.fail_once(fault, containing='"load"')
    supplier = ErpSupplier(theirs="", code="ACME", name="Acme Ltd", changed_at=NOW)
    made = odoo_client.write_supplier(supplier, reference="supplier:ACME")
    assert (made.code, made.name, len(odoo.tables["res.partner"])) == ("ACME", "Acme Ltd", 1)


@pytest.mark.parametrize("containing", ["action_apply_inventory", '"create"'])
@pytest.mark.parametrize("fault", [None, Fault.LOST_REPLY, Fault.LATE])
def test_write_stock_sets_what_the_warehouse_holds(shop, odoo_client, fault, containing):
    shop.put_quant(shop.cola, shop.main, 3.0)
    if fault:
        shop.fail_once(fault, containing=containing)
    odoo_client.write_stock([ErpStockLevel(product=str(shop.cola), location=str(shop.main), quantity=Decimal(5))])
    assert shop.held(shop.cola, shop.main) == 5


def test_write_stock_that_holds_already_writes_nothing(shop, odoo_client):
    shop.put_quant(shop.cola, shop.main, 3.0)
    odoo_client.write_stock([ErpStockLevel(product=str(shop.cola), location=str(shop.main), quantity=Decimal(3))])
    assert not any('"create"' in str(each.body).replace("'", '"') for each in shop.asked)


def test_read_stock_holds_the_quants_of_warehouses(shop, odoo_client):
    shop.put_quant(shop.cola, shop.main, 3.0)
    [level] = odoo_client.read_stock(after="", limit=10).levels
    assert level == ErpStockLevel(product=str(shop.cola), location=str(shop.main), quantity=Decimal("3.0"))
