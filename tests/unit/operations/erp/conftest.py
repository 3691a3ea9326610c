from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from restock.adapters.database.engine import open_database, read_transaction
from restock.adapters.database.migrate import NOTHING, migrate
from restock.operations.erp.synchronise import synchronise
from tests.erp_clients import connect_erpnext, connect_odoo
from tests.erp_servers import serve
from tests.erpnext_server import ErpNextServer
from tests.odoo_server import OdooServer


class Clock:
    """Tells a time that a test sets; a millisecond passes with each look."""

    def __init__(self):
        self.now = datetime(2024, 5, 2, 9, tzinfo=UTC)

    def __call__(self):
        self.now += timedelta(milliseconds=1)
        return self.now

    def advance(self, **step):
        self.now += timedelta(**step)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    engine = open_database(url)
    migrate(engine, to=NOTHING)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def clock():
    return Clock()


class ErpNextShop:
    """A small ERPNext with a shop in it, in the words that tests of both ERPs share."""

    def __init__(self, server):
        self.server = server
        self.server.put(
            "Custom Field",
            "Purchase Order-restock_reference",
            dt="Purchase Order",
            fieldname="restock_reference",
            unique=1,
        )
        self.product("COLA", name="Cola", barcode="4006381333931")
        self.product("TEA", name="Tea")
        self.server.put_warehouse("WH")
        self.server.put("Supplier", "ACME", supplier_name="Acme Ltd")
        self.server.put("Customer", "ANN", customer_name="Ann", territory="North")

    def client(self):
        return connect_erpnext(self.server)

    def product(self, code, *, name=None, barcode=None, **values):
        changes = {} if name is None else {"item_name": name}
        if barcode:
            changes["barcodes"] = [{"barcode": barcode, "uom": ""}]
        self.server.put_item(code, **changes, **values)

    def product_name(self, code):
        return self.server.documents["Item"][code]["item_name"]

    def product_codes(self):
        return sorted(self.server.documents["Item"])

    def supplier_names(self):
        return sorted(each["supplier_name"] for each in self.server.documents["Supplier"].values())

    def order(self, name, quantities, **values):
        lines = [{"item_code": code, "qty": quantity, "warehouse": "WH"} for code, quantity in quantities.items()]
        self.server.put_order("Purchase Order", name, lines, **{"supplier": "ACME", **values})

    def cancel_order(self, name):
        self.server.put("Purchase Order", name, docstatus=2, status="Cancelled")

    def orders(self):
        return [
            (each["docstatus"] == 2, [(row["item_code"], row["qty"]) for row in each["items"]])
            for each in self.server.documents.get("Purchase Order", {}).values()
        ]

    def sale(self, name, quantities, *, delivered=0):
        lines = [
            {"item_code": code, "qty": quantity, "delivered_qty": delivered, "warehouse": "WH", "base_rate": 2.5}
            for code, quantity in quantities.items()
        ]
        status = "Completed" if delivered and delivered >= max(quantities.values()) else "To Deliver"
        self.server.put_order("Sales Order", name, lines, customer="ANN", delivery_date="2024-05-20", status=status)

    def stock(self, code, quantity):
        self.server.put_bin(code, "WH", quantity)

    def held(self, code):
        return self.server.documents.get("Bin", {}).get(f"{code}@WH", {}).get("actual_qty", 0)


class OdooShop:
    """The same shop in a small Odoo."""

    def __init__(self, server):
        self.server = server
        self.numbers = {}
        self.product("COLA", name="Cola", barcode="4006381333931")
        self.product("TEA", name="Tea")
        self.main = server.put_warehouse("WH")
        self.acme = server.put_partner("Acme Ltd", ref="ACME", supplier_rank=1)
        self.ann = server.put_partner("Ann", ref="ANN", customer_rank=1)

    def client(self):
        return connect_odoo(self.server)

    def product(self, code, *, name=None, barcode=None, **values):
        changes = {**({} if name is None else {"name": name}), **({"barcode": barcode} if barcode else {}), **values}
        if code in self.numbers:
            self.server.put("product.product", self.numbers[code], **changes)
        else:
            self.numbers[code] = self.server.put_product(code, **changes)

    def _products(self):
        return self.server.tables["product.product"].values()

    def product_name(self, code):
        return next(each["name"] for each in self._products() if each["default_code"] == code)

    def product_codes(self):
        return sorted(each["default_code"] for each in self._products())

    def supplier_names(self):
        partners = self.server.tables["res.partner"].values()
        return sorted(each["name"] for each in partners if each.get("supplier_rank"))

    def order(self, name, quantities, **values):
        [receipts] = self.server.tables["stock.picking.type"]
        lines = [{"product_id": self.numbers[code], "product_qty": quantity} for code, quantity in quantities.items()]
        standard = {"partner_id": self.acme, "picking_type_id": receipts}
        self.numbers[name] = self.server.put_order("purchase.order", name, lines, **{**standard, **values})

    def cancel_order(self, name):
        self.server.put("purchase.order", self.numbers[name], state="cancel")

    def orders(self):
        codes = {each["id"]: each["default_code"] for each in self._products()}
        lines = self.server.tables.get("purchase.order.line", {}).values()
        return [
            (
                each["state"] == "cancel",
                [(codes[row["product_id"]], row["product_qty"]) for row in lines if row["order_id"] == each["id"]],
            )
            for each in self.server.tables.get("purchase.order", {}).values()
        ]

    def sale(self, name, quantities, *, delivered=0):
        if name in self.numbers:
            for row in list(self.server.tables["sale.order.line"].values()):
                if row["order_id"] == self.numbers[name]:
                    self.server.put("sale.order.line", row["id"], qty_delivered=float(delivered))
            return
        lines = [
            {
                "product_id": self.numbers[code],
                "product_uom_qty": quantity,
                "qty_delivered": delivered,
                "price_unit": 2.5,
            }
            for code, quantity in quantities.items()
        ]
        values = {"partner_id": self.ann, "warehouse_id": self.main, "commitment_date": "2024-05-20 10:00:00"}
        self.numbers[name] = self.server.put_order("sale.order", name, lines, **values)

    def stock(self, code, quantity):
        self.server.put_quant(self.numbers[code], self.main, quantity)

    def held(self, code):
        number = next(each["id"] for each in self._products() if each["default_code"] == code)
        return self.server.held(number, self.main)


@pytest.fixture(params=[ErpNextShop, OdooShop], ids=["erpnext", "odoo"])
def shop(request):
    server = ErpNextServer() if request.param is ErpNextShop else OdooServer()
    with serve(server):
        yield request.param(server)


@pytest.fixture
def sync(engine, clock, shop):
    """Return a function that runs the exchange."""

    def run(*, client=None, **options):
        opened = client or shop.client()
        try:
            return synchronise(engine, opened, clock=clock, actor="test", **{"page_size": 2, **options})
        finally:
            opened.close()

    return run


@pytest.fixture
def reading(engine):
    """Return a function that calls an operation that reads."""

    def call(operation, *arguments, **options):
        with read_transaction(engine) as connection:
            return operation(connection, *arguments, **options)

    return call
