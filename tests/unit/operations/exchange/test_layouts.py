"""Files as Shopify, ERPNext and Odoo write them, recognised by their header and read to the same stock."""

# ruff: noqa: E501  (headers as long as those systems write them)

from __future__ import annotations

import csv
import io

import pytest

from restock.adapters.database.engine import read_transaction
from restock.errors import DataError
from restock.operations.exchange.import_log import iterate_rejections
from restock.operations.exchange.kinds import ExchangeKind
from restock.operations.exchange.layouts import Layout, recognise
from tests.unit.operations.exchange.conftest import fetch, send

SHOPIFY_PRODUCTS = """Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,Variant Compare At Price,Variant Barcode,Image Src,Cost per item,Status
green-tea,Green Tea,<p>Loose</p>,Acme,Food > Tea,Tea,,true,Size,100 g,Colour,Green,'0042,100,5,9.99,,'4006381333931,https://x/1.jpg,4.00,active
green-tea,,,,,,,,,250 g,,Green,0043,250,5,19.99,,,,8.00,
green-tea,,,,,,,,,,,,,,,,,,https://x/2.jpg,,
jam,Jam,,Acme,,Spread,,true,Title,Default Title,,,JAM-1,,,3.50,,,,,archived
jam,,,,,,,,,Other,,,,,,3.60,,,,,
"""
SHOPIFY_NEW_PRODUCTS = """Title,URL handle,Description,Vendor,Type,Status,SKU,Barcode,Option1 name,Option1 value,Price,Cost per item,Inventory quantity
Green Tea,green-tea,,Acme,Tea,Active,0042,4006381333931,Title,Default Title,9.99,4.00,5
"""
SHOPIFY_INVENTORY = """Handle,Title,Option1 Name,Option1 Value,SKU,HS Code,COO,Location,Bin name,Incoming (not editable),Unavailable (not editable),Committed (not editable),Available (not editable),On hand (current),On hand (new)
green-tea,Green Tea,Size,100 g,0042,,,S1,,0,0,1,6,7,
green-tea,Green Tea,Size,100 g,0042,,,TILL,,0,0,0,0,not stocked,
jam,Jam,Title,Default Title,JAM-1,,,S1,,0,0,0,3,3,4
"""
SHOPIFY_WIDE = """Handle,Title,Option1 Name,Option1 Value,SKU,HS Code,COO,S1,TILL
green-tea,Green Tea,Size,100 g,0042,,,7,not stocked
jam,Jam,Title,Default Title,JAM-1,,,4,2
"""
ERPNEXT_ITEMS = """ID,Item Code,Item Name,Item Group,Default Unit of Measure,Disabled,Has Batch No,Shelf Life In Days,Standard Selling Rate,Valuation Rate,Barcode (Barcodes)
0042,0042,Green Tea,Tea,Kg,0,1,365,9.99,4.0,4006381333931
,,,,,,,,,,96385074
JAM-1,JAM-1,Jam,Spread,Nos,1,0,0,0.0,0.0,
"""
ERPNEXT_BINS = """ID,Item Code,Warehouse,Actual Quantity,Reserved Quantity,Projected Qty,UOM
BIN1,JAM-1,S1,4.0,0.0,4.0,Nos
"""
ERPNEXT_ORDERS = """ID,Supplier,Date,Required By,Status,Set Target Warehouse,Item Code (Items),Required By (Items),Quantity (Items),UOM (Items),UOM Conversion Factor (Items),Rate (Items),Received Qty (Items)
PUR-1,ACME,2024-04-01,2024-04-10,To Receive and Bill,S1,JAM-1,2024-04-10,2.0,Box,12.0,24.0,1.0
,,,,,,0042,2024-04-12,3.0,Nos,1.0,4.0,0.0
PUR-2,ACME,2024-04-02,2024-04-10,Completed,S1,JAM-1,,5.0,Nos,1.0,2.5,5.0
"""
ODOO_PRODUCTS = """Internal Reference,Name,Product Category,Unit of Measure,Barcode,Sales Price,Cost,Tracking,Active
0042,Green Tea,All / Food / Tea,kg,4006381333931,9.99,4.00,By Lots,True
JAM-1,Jam,All / Spread,Units,,3.50,False,No tracking,False
"""
ODOO_TECHNICAL = """default_code,name,categ_id/complete_name,uom_id/name,barcode,list_price,standard_price,tracking
0042,Green Tea,All / Food / Tea,kg,4006381333931,9.99,4.00,lot
"""
ODOO_QUANTS = """Product,Location,Lot/Serial Number,Quantity,Unit of Measure
[0042] Green Tea,WH/Stock,L7,1.5,kg
[JAM-1] Jam,WH/Stock,,4,Units
[JAM-1] Jam,Virtual Locations/Inventory adjustment,,-4,Units
"""
OWN_LOCATIONS = "location,kind\nS1,store\nTILL,store\nWH/Stock,warehouse\n"


def _products(engine):
    rows = csv.DictReader(io.StringIO(fetch(engine, "products").decode(), newline=""))
    return {row["sku"]: row for row in rows}


def _stock(engine):
    rows = csv.DictReader(io.StringIO(fetch(engine, "stock").decode(), newline=""))
    return {(row["sku"], row["location"]): row["on_hand"] for row in rows}


def _reasons(engine, done):
    with read_transaction(engine) as connection:
        return [(each.line, each.reason) for each in iterate_rejections(connection, done.record.import_id)]


def test_import_file_shopify_products_fill_titles_and_skip_pictures(engine):
    done = send(engine, SHOPIFY_PRODUCTS)
    assert (done.record.kind, done.record.layout) == ("products", "shopify")
    assert (done.record.n_written, done.record.n_skipped, done.record.n_rejected) == (3, 1, 1)
    assert _reasons(engine, done) == [(6, "sku is empty, expected a name or number.")]
    found = _products(engine)
    assert found["0042"]["name"] == "Green Tea - 100 g - Green"
    assert found["0042"]["barcodes"] == "04006381333931"
    assert (found["0043"]["name"], found["0043"]["category_path"]) == ("Green Tea - 250 g - Green", "Tea")
    assert (found["0043"]["unit_cost"], found["0043"]["unit_price"]) == ("8.00", "19.99")
    assert (found["JAM-1"]["name"], found["JAM-1"]["is_active"]) == ("Jam", "false")
    assert "Image Src" in done.record.ignored


def test_import_file_shopify_products_of_the_new_layout_are_recognised(engine):
    done = send(engine, SHOPIFY_NEW_PRODUCTS)
    assert (done.record.kind, done.record.layout, done.record.n_written) == ("products", "shopify", 1)
    assert _products(engine)["0042"]["unit_price"] == "9.99"


@pytest.mark.parametrize("content", [SHOPIFY_INVENTORY, SHOPIFY_WIDE])
def test_import_file_shopify_inventory_is_stock_by_location(engine, content):
    send(engine, SHOPIFY_PRODUCTS)
    send(engine, OWN_LOCATIONS)
    done = send(engine, content)
    assert (done.record.kind, done.record.layout, done.record.n_rejected) == ("stock", "shopify", 0)
    assert _stock(engine) | {("JAM-1", "TILL"): "2"} == {
        ("0042", "S1"): "7",
        ("JAM-1", "S1"): "4",
        ("JAM-1", "TILL"): "2",
    }


def test_import_file_erpnext_items_bins_and_orders(engine):
    done = send(engine, ERPNEXT_ITEMS)
    assert (done.record.layout, done.record.n_written, done.record.n_skipped) == ("erpnext", 2, 1)
    found = _products(engine)
    assert (found["0042"]["base_unit"], found["0042"]["quantity_decimals"]) == ("Kg", "3")
    assert (found["0042"]["is_lot_tracked"], found["0042"]["shelf_life_days"]) == ("true", "365")
    assert (found["JAM-1"]["is_active"], found["JAM-1"]["unit_price"], found["JAM-1"]["shelf_life_days"]) == (
        "false",
        "",
        "",
    )
    send(engine, OWN_LOCATIONS)
    send(engine, "supplier,name\nACME,Acme\n")
    bins = send(engine, ERPNEXT_BINS)
    assert (bins.record.kind, bins.record.layout, bins.record.n_written) == ("stock", "erpnext", 1)
    assert _stock(engine) == {("JAM-1", "S1"): "4"}
    orders = send(engine, ERPNEXT_ORDERS)
    assert (orders.record.kind, orders.record.layout, orders.record.n_written) == ("purchase_orders", "erpnext", 3)
    rows = list(csv.DictReader(io.StringIO(fetch(engine, "purchase_orders").decode(), newline="")))
    assert [(row["purchase_order"], row["sku"], row["quantity_ordered"], row["state"]) for row in rows] == [
        ("PUR-1", "JAM-1", "24", "partly_received"),
        ("PUR-1", "0042", "3.000", "partly_received"),
        ("PUR-2", "JAM-1", "5", "received"),
    ]
    assert (rows[0]["unit_cost"], rows[0]["quantity_received"], rows[0]["promised_on"]) == ("2.00", "12", "2024-04-12")


@pytest.mark.parametrize("content", [ODOO_PRODUCTS, ODOO_TECHNICAL])
def test_import_file_odoo_products_with_labels_or_field_names(engine, content):
    done = send(engine, content)
    assert (done.record.kind, done.record.layout, done.record.n_rejected) == ("products", "odoo", 0)
    tea = _products(engine)["0042"]
    assert (tea["category_path"], tea["is_lot_tracked"], tea["unit_cost"]) == ("All > Food > Tea", "true", "4.00")


def test_import_file_odoo_quants_leave_virtual_locations_out(engine):
    send(engine, ODOO_PRODUCTS)
    send(engine, OWN_LOCATIONS)
    done = send(engine, ODOO_QUANTS)
    assert (done.record.kind, done.record.layout, done.record.n_skipped) == ("stock", "odoo", 1)
    assert _reasons(engine, done) == []
    assert _stock(engine) == {("0042", "WH/Stock"): "1.500", ("JAM-1", "WH/Stock"): "4"}


@pytest.mark.parametrize(
    ("layout", "kinds"),
    [
        ("shopify", ("products", "stock")),
        ("erpnext", ("products", "stock", "purchase_orders")),
        ("odoo", ("products", "stock")),
    ],
)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_export_in_a_foreign_layout_is_recognised_and_changes_nothing(engine, layout, kinds, form):
    send(engine, "sku,name,category_path,base_unit,barcodes,unit_cost,unit_price\n"
                 "0042,=Tea,Food > Tea,piece,04006381333931,4.00,9.99\nJAM-1,Jam,Spread,piece,,2.00,3.50\n")  # fmt: skip
    send(engine, OWN_LOCATIONS)
    send(engine, "supplier,name\nACME,Acme\n")
    send(engine, "sku,location,on_hand\n0042,S1,7\nJAM-1,TILL,2\n")
    send(
        engine,
        "purchase_order,supplier,location,ordered_on,promised_on,sku,quantity_ordered,quantity_received,unit_cost\n"
        "PO1,ACME,S1,2024-04-01,2024-04-09,0042,2,1,3\n",
    )
    for kind in kinds:
        content = fetch(engine, kind, form=form, layout=layout)
        done = send(engine, content, filename=f"{kind}.{form}")
        assert (done.record.kind, done.record.layout) == (kind, layout)
        assert _reasons(engine, done) == []
        assert (done.record.n_written, done.record.n_unchanged) == (0, done.record.n_rows), kind


def test_export_of_a_kind_that_a_layout_lacks_names_those_it_has(engine):
    with pytest.raises(DataError, match="layout odoo has no movements; it has products, stock"):
        fetch(engine, "movements", layout="odoo")
    with pytest.raises(DataError, match="layout odoo is written as csv or xlsx, got parquet"):
        fetch(engine, "stock", layout="odoo", form="parquet")


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        (["sku", "location", "on_hand"], "stock"),
        (["Item Code", "Store", "Stock on hand"], "stock"),
        (["sku", "location", "supplier", "unit_cost"], "supply_terms"),
        (["po_number", "vendor", "sku", "warehouse", "qty"], "purchase_orders"),
        (["date", "kind", "sku", "store", "qty"], "movements"),
        (["customer_order", "customer", "location", "ordered_on", "sku", "quantity"], "customer_orders"),
    ],
)
def test_recognise_own_columns_under_other_names(columns, kind):
    found = recognise(columns, file="f")
    assert (found.kind, found.layout, found.ignored) == (kind, Layout.RESTOCK, ())


def test_recognise_what_nothing_fits_lists_what_can_be_imported():
    with pytest.raises(DataError, match="has the columns a, b, by which it is none of products, locations"):
        recognise(["a", "b"], file="f.csv")
    with pytest.raises(DataError, match=r"lacks location, on_hand, which stock need; it has sku"):
        recognise(["sku"], file="f.csv", kind=ExchangeKind.STOCK)
    with pytest.raises(DataError, match="layout shopify has no movements"):
        recognise(["sku"], file="f.csv", kind=ExchangeKind.MOVEMENTS, layout=Layout.SHOPIFY)
