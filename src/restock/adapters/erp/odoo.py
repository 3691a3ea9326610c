"""Odoo (versions 15 to 18) through its JSON-RPC interface."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from restock.adapters.erp.interface import (
    ErpKind,
    ErpProduct,
    ErpPurchaseOrder,
    ErpRecord,
    ErpRefusedError,
    ErpStockLevel,
    ErpSupplier,
    OrderState,
    Page,
    StockPage,
    Unreadable,
)
from restock.adapters.erp.odoo_calls import OdooDatabase, Row, Term
from restock.adapters.erp.odoo_records import (
    MODEL_KINDS,
    Surroundings,
    Unit,
    as_record,
    number_of,
    read_units,
)

ODOO = "odoo"
_LINES = {
    ErpKind.PURCHASE_ORDER: ("purchase.order.line", ("product_qty", "qty_received")),
    ErpKind.CUSTOMER_ORDER: ("sale.order.line", ("product_uom_qty", "qty_delivered")),
}


@dataclass(eq=False)
class Odoo:
    """A database of an Odoo server.

    The change of a record carries the instant at which its transaction began, so it comes to light a little later.
    """

    odoo: OdooDatabase
    system: str = ODOO
    settling: timedelta = timedelta(minutes=15)

    def close(self) -> None:
        """Give the connections back."""
        self.odoo.caller.http.close()

    def find_newest(self, kind: ErpKind) -> str:
        """Return the instant of the latest change of a kind or its parts; empty where there is nothing."""
        where = MODEL_KINDS[kind]
        newest = ""
        for model in (where.model, *where.parts.values()):
            rows = self.odoo.search_read(model, [], fields=["write_date"], order="write_date desc", limit=1)
            newest = max([newest, *(str(row["write_date"]) for row in rows)])
        return newest

    def step_back(self, instant: str) -> str:
        """Return the instant that lies `settling` before another one."""
        return (datetime.fromisoformat(instant) - self.settling).isoformat(sep=" ", timespec="seconds")

    def read_page(self, kind: ErpKind, *, since: str, after: str, limit: int) -> Page:
        """Return records changed at `since` or later, by themselves or in a part, whose number comes after `after`."""
        where = MODEL_KINDS[kind]
        domain: list[Term] = [*where.domain, *where.wanted]
        if since:
            domain += ["|"] * len(where.parts)
            domain += [(f"{path}.write_date", ">=", since) for path in where.parts]
            domain.append(("write_date", ">=", since))
        if after:
            domain.append(("id", ">", int(after)))
        rows = self.odoo.search_read(where.model, domain, fields=where.fields, limit=limit)
        return Page(
            records=self._as_records(kind, rows),
            after=str(rows[-1]["id"]) if rows else after,
            is_last=len(rows) < limit,
        )

    def read_some(self, kind: ErpKind, identities: Sequence[str]) -> tuple[ErpRecord | Unreadable, ...]:
        """Return the records with these numbers that are there."""
        where = MODEL_KINDS[kind]
        numbers = sorted({int(each) for each in identities})
        rows = self.odoo.search_read(where.model, [*where.domain, ("id", "in", numbers)], fields=where.fields)
        return self._as_records(kind, rows)

    def read_stock(self, *, after: str, limit: int) -> StockPage:
        """Return the quants after one, by number; those outside a warehouse are nobody's stock."""
        domain: list[Term] = [("location_id.usage", "=", "internal")]
        if after:
            domain.append(("id", ">", int(after)))
        rows = self.odoo.search_read(
            "stock.quant", domain, fields=["id", "product_id", "location_id", "quantity"], limit=limit
        )
        levels = []
        for row in rows:
            warehouse = self._warehouse_of.get(int(row["location_id"][0]))
            if warehouse is not None:
                levels.append(
                    ErpStockLevel(
                        product=str(row["product_id"][0]),
                        location=str(warehouse),
                        quantity=Decimal(str(row["quantity"])),
                    )
                )
        return StockPage(levels=tuple(levels), after=str(rows[-1]["id"]) if rows else after, is_last=len(rows) < limit)

    def write_product(self, product: ErpProduct, *, reference: str) -> ErpRecord | Unreadable:
        """Make the product, once for a reference, or bring name and state of the one that is there to it."""
        changes = {"name": product.name, "active": product.is_active}
        there = product.theirs or self._find("product.product", "default_code", product.code)
        if there:
            self.odoo.execute("product.product", "write", [int(there)], changes)
            return self._read_back(ErpKind.PRODUCT, there)
        unit = next((number for number, each in self._units.items() if each.name == product.base_unit), None)
        if unit is None:
            raise ErpRefusedError(f"Odoo has no unit of measure {product.base_unit!r}. Add it there.")
        values: dict[str, object] = {
            "default_code": product.code,
            "name": product.name,
            "uom_id/.id": unit,
            "uom_po_id/.id": unit,
            "barcode": next((code for code, each in product.barcodes if each == product.base_unit), ""),
            "tracking": "lot" if product.is_lot_tracked else "none",
            **self._storable,
        }
        known = self.odoo.known_fields("product.product", ["uom_po_id"])
        if "uom_po_id" not in known:
            values.pop("uom_po_id/.id")
        number = self._load("product.product", [values], reference=reference)
        if not product.is_active:
            self.odoo.execute("product.product", "write", [number], {"active": False})
        return self._read_back(ErpKind.PRODUCT, str(number))

    def write_supplier(self, supplier: ErpSupplier, *, reference: str) -> ErpRecord | Unreadable:
        """Make the supplier, once for a reference, or bring the one that is there to it."""
        changes = {"name": supplier.name, "active": supplier.is_active}
        there = supplier.theirs or self._find("res.partner", "ref", supplier.code)
        number = int(there) if there else 0
        if not there:
            values = {"name": supplier.name, "ref": supplier.code, "supplier_rank": 1, "is_company": 1}
            number = self._load("res.partner", [values], reference=reference)
        self.odoo.execute("res.partner", "write", [number], changes)
        return self._read_back(ErpKind.SUPPLIER, str(number))

    def write_purchase_order(self, order: ErpPurchaseOrder, *, reference: str) -> ErpRecord | Unreadable:
        """Make and confirm the order, once for a reference, or cancel it."""
        there = order.theirs or self._find("purchase.order", "origin", reference)
        rows = [] if there else self._order_rows(order, reference)
        number = int(there) if there else self._load("purchase.order", rows, reference=reference)
        found = self.odoo.search_read("purchase.order", [("id", "=", number)], fields=["id", "state"])
        if not found:
            raise ErpRefusedError(f"Odoo has no purchase order number {number} any more.")
        if order.state is OrderState.CANCELLED:
            if found[0]["state"] != "cancel":
                self.odoo.execute("purchase.order", "button_cancel", [number])
        elif found[0]["state"] in ("draft", "sent"):
            self.odoo.execute("purchase.order", "button_confirm", [number])
        return self._read_back(ErpKind.PURCHASE_ORDER, str(number))

    def write_stock(self, levels: Sequence[ErpStockLevel]) -> None:
        """Set what is on hand by inventory quants at the warehouse's main location.

        What is set is an absolute quantity: a try whose reply was lost and its repetition come to the same.

        Raises:
            ErpRefusedError: Odoo refuses one of them.
        """
        counted = []
        for level in levels:
            held, at_main = self._read_held(level)
            if held != level.quantity:
                counted.append(
                    {
                        "product_id": int(level.product),
                        "location_id": self._main_location(level.location),
                        "inventory_quantity": at_main + level.quantity - held,
                    }
                )
        if counted:
            mode = {"inventory_mode": True}
            quants = self.odoo.execute("stock.quant", "create", counted, context=mode)
            self.odoo.execute("stock.quant", "action_apply_inventory", quants, context=mode)

    def _read_held(self, level: ErpStockLevel) -> tuple[Decimal, Decimal]:
        """Return what a warehouse holds of a product, and what of it lies loose at its main location."""
        places = [place for place, warehouse in self._warehouse_of.items() if str(warehouse) == level.location]
        rows = self.odoo.search_read(
            "stock.quant",
            [("product_id", "=", int(level.product)), ("location_id", "in", places)],
            fields=["id", "location_id", "lot_id", "package_id", "owner_id", "quantity"],
        )
        main = self._main_location(level.location)
        loose = [
            row
            for row in rows
            if row["location_id"][0] == main and not (row["lot_id"] or row["package_id"] or row["owner_id"])
        ]
        return _total(rows), _total(loose)

    def _load(self, model: str, rows: Sequence[Row], *, reference: str) -> int:
        """Make a record, or change the one that was made under the reference before, and return its number.

        An external identifier is unique in Odoo's own database: a try that is still under way can't make a second one.
        """
        digest = hashlib.sha256(reference.encode()).hexdigest()[:32]
        external = f"restock.{model.replace('.', '_')}_{digest}"
        names = ["id", *rows[0]]
        data = [
            [external if not at else "", *(_text(row.get(name, "")) for name in names[1:])]
            for at, row in enumerate(rows)
        ]
        done = self.odoo.execute(model, "load", names, data)
        if not isinstance(done, dict) or not done.get("ids"):
            told = [str(each.get("message", "")) for each in (done or {}).get("messages", ())]
            words = self.odoo.caller.without_secrets("; ".join(filter(None, told)) or "no reason given")
            raise ErpRefusedError(f"{self.odoo.caller.shown} does not take the {model}: {words}")
        return int(done["ids"][0])

    def _order_rows(self, order: ErpPurchaseOrder, reference: str) -> list[dict[str, object]]:
        """Return an order as rows to load: its own fields stand in the first."""
        unit_field = f"order_line/{self._unit_field('purchase.order.line')}/.id"
        units = {unit.name: number for number, unit in self._units.items()}
        types = [number for number, warehouse in self._warehouse_of_type.items() if str(warehouse) == order.location]
        if not types:
            raise ErpRefusedError(f"Odoo's warehouse number {order.location} has no operation type for receipts.")
        promised_on = f"{order.promised_on or order.ordered_on} 12:00:00"
        head = {
            "partner_id/.id": order.supplier,
            "picking_type_id/.id": types[0],
            "date_order": f"{order.ordered_on} 12:00:00",
            "origin": reference,
        }
        rows: list[dict[str, object]] = []
        for line in order.lines:
            # A unit that Odoo does not know is turned into the product's own.
            unit = units.get(line.unit)
            factor = Decimal(1) if unit is not None else line.factor
            rows.append(
                {
                    **(head if not rows else dict.fromkeys(head, "")),
                    "order_line/product_id/.id": line.product,
                    "order_line/name": f"restock {reference}",
                    "order_line/product_qty": line.quantity * factor,
                    unit_field: unit if unit is not None else self._unit_of(line.product),
                    "order_line/price_unit": line.unit_amount / factor,
                    "order_line/date_planned": promised_on,
                }
            )
        return rows

    def _find(self, model: str, name: str, value: str) -> str:
        """Return the number of the first record that has a value; empty where there is none."""
        rows = self.odoo.search_read(model, [(name, "=", value)], fields=["id"], limit=1)
        return str(rows[0]["id"]) if rows else ""

    def _read_back(self, kind: ErpKind, identity: str) -> ErpRecord | Unreadable:
        found = self.read_some(kind, [identity])
        if not found:
            raise ErpRefusedError(f"{self.odoo.caller.shown} does not show {kind} {identity} after it was written.")
        return found[0]

    def _as_records(self, kind: ErpKind, rows: Sequence[Row]) -> tuple[ErpRecord | Unreadable, ...]:
        around = Surroundings()
        if kind is ErpKind.PRODUCT:
            around = Surroundings(units=self._units, packagings=self._read_packagings(row["id"] for row in rows))
        elif kind in _LINES and rows:
            around = self._read_lines(kind, rows)
        return tuple(as_record(kind, row, around) for row in rows)

    def _read_packagings(self, products: Iterable[int]) -> dict[int, list[Row]]:
        numbers = sorted(products)
        if not numbers or not self._has_packagings:
            return {}
        found: dict[int, list[Row]] = {}
        for row in self.odoo.search_read(
            "product.packaging", [("product_id", "in", numbers)], fields=["id", "name", "product_id", "qty", "barcode"]
        ):
            found.setdefault(int(row["product_id"][0]), []).append(row)
        return found

    def _read_lines(self, kind: ErpKind, orders: Sequence[Row]) -> Surroundings:
        model, quantities = _LINES[kind]
        unit_field = self._unit_field(model)
        lines: dict[int, list[Row]] = {}
        products: set[int] = set()
        for row in self.odoo.search_read(
            model,
            [("order_id", "in", [order["id"] for order in orders])],
            fields=["id", "order_id", "product_id", "price_unit", unit_field, *quantities],
        ):
            lines.setdefault(int(row["order_id"][0]), []).append(row)
            product = number_of(row["product_id"])
            products |= set() if product is None else {product}
        partners = sorted({int(order["partner_id"][0]) for order in orders if order["partner_id"]})
        around = Surroundings(units=self._units, lines=lines, goods=self._read_goods(products), unit_field=unit_field)
        return replace(
            around,
            companies={
                int(row["id"]): number_of(row["commercial_partner_id"]) or int(row["id"])
                for row in self.odoo.search_read(
                    "res.partner", [("id", "in", partners)], fields=["id", "commercial_partner_id"]
                )
            },
            warehouses=self._warehouse_of_type if kind is ErpKind.PURCHASE_ORDER else {},
        )

    def _read_goods(self, products: Iterable[int]) -> dict[int, int]:
        """Return the products that are no services, with their unit."""
        domain: list[Term] = [*MODEL_KINDS[ErpKind.PRODUCT].domain, ("id", "in", sorted(products))]
        rows = self.odoo.search_read("product.product", domain, fields=["id", "uom_id"])
        return {int(row["id"]): int(row["uom_id"][0]) for row in rows}

    def _unit_of(self, product: str) -> int:
        return self._read_goods([int(product)])[int(product)]

    def _main_location(self, warehouse: str) -> int:
        place = self._main_locations.get(int(warehouse))
        if place is None:
            raise ErpRefusedError(f"Odoo has no warehouse number {warehouse} any more.")
        return place

    def _unit_field(self, model: str) -> str:
        return "product_uom" if self.odoo.known_fields(model, ["product_uom"]) else "product_uom_id"

    @cached_property
    def _main_locations(self) -> dict[int, int]:
        rows = self.odoo.search_read("stock.warehouse", [], fields=["id", "lot_stock_id"])
        return {int(row["id"]): int(row["lot_stock_id"][0]) for row in rows}

    @cached_property
    def _warehouse_of(self) -> dict[int, int]:
        """The warehouse that each internal location lies in."""
        rows = self.odoo.search_read(
            "stock.location",
            [("usage", "=", "internal"), ("warehouse_id", "!=", False)],
            fields=["id", "warehouse_id"],
        )
        return {int(row["id"]): int(row["warehouse_id"][0]) for row in rows}

    @cached_property
    def _warehouse_of_type(self) -> dict[int, int]:
        """The warehouse that each operation type for receipts belongs to."""
        rows = self.odoo.search_read(
            "stock.picking.type",
            [("code", "=", "incoming"), ("warehouse_id", "!=", False)],
            fields=["id", "warehouse_id"],
        )
        return {int(row["id"]): int(row["warehouse_id"][0]) for row in rows}

    @cached_property
    def _units(self) -> dict[int, Unit]:
        fields = ["id", "name", "category_id", "factor", "rounding"]
        return read_units(self.odoo.search_read("uom.uom", [], fields=fields))

    @cached_property
    def _has_packagings(self) -> bool:
        return bool(self.odoo.known_fields("product.product", ["packaging_ids"]))

    @cached_property
    def _storable(self) -> dict[str, object]:
        """What makes a product one whose stock is kept, in this version."""
        known = self.odoo.known_fields("product.product", ["is_storable", "detailed_type"])
        if "is_storable" in known:
            return {"type": "consu", "is_storable": 1}
        return {"detailed_type" if "detailed_type" in known else "type": "product"}


def _total(rows: Sequence[Row]) -> Decimal:
    return sum((Decimal(str(row["quantity"])) for row in rows), Decimal(0))


def _text(value: Any) -> str:
    """Return a value as the text that an import takes."""
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)
