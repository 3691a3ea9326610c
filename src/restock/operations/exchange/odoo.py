"""Odoo's CSV exports of products (template and product) and of stock (stock.quant), with labels or field names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from restock.operations.exchange.foreign import ForeignLayout, TextRow, first_barcode
from restock.operations.exchange.kinds import ExchangeKind

# "[CODE] Name", as Odoo shows a product.
_SHOWN_PRODUCT = re.compile(r"\[([^\]]+)\]")
# Locations that are no places of the company.
_ELSEWHERE = ("virtual locations", "partner locations", "partners", "inter-company transit")
_TRACKED = {"lot": "true", "serial": "true", "by lots": "true", "by unique serial number": "true", "none": "false",
            "no tracking": "false", "by quantity": "false"}  # fmt: skip
_REFERENCES = ("product_internal_reference", "product_id_default_code", "product_default_code")
_PRODUCTS = ("product_id", "product")
_LOCATIONS = ("location_complete_name", "location_id_complete_name", "location_id", "location_full_location_name",
              "location")  # fmt: skip
_QUANTITIES = ("quantity", "on_hand_quantity", "inventory_quantity", "counted_quantity")


def _begin_products() -> Callable[[TextRow, dict[str, str]], Sequence[dict[str, str]]]:
    def adapt(_: TextRow, found: dict[str, str]) -> Sequence[dict[str, str]]:
        given = {name: value for name, value in found.items() if value != "False" or name == "is_active"}
        if "category_path" in given:
            given["category_path"] = " > ".join(part.strip() for part in given["category_path"].split("/"))
        if "is_lot_tracked" in given:
            given["is_lot_tracked"] = _TRACKED.get(given["is_lot_tracked"].lower(), given["is_lot_tracked"])
        return [given]

    return adapt


def _begin_quants() -> Callable[[TextRow, dict[str, str]], Sequence[dict[str, str]]]:
    def adapt(row: TextRow, found: dict[str, str]) -> Sequence[dict[str, str]]:
        if found.get("location", "").lower().startswith(_ELSEWHERE):
            return []
        if "sku" not in found:
            shown = next((row[name] for name in _PRODUCTS if row.get(name)), "")
            code = _SHOWN_PRODUCT.match(shown)
            found = {**found, "sku": code.group(1) if code else shown}
        return [found]

    return adapt


def _write_products(rows: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    for row in rows:
        yield {
            "Internal Reference": row["sku"],
            "Name": row["name"],
            "Product Category": str(row["category_path"] or "").replace(" > ", " / "),
            "Unit of Measure": row["base_unit"],
            "Barcode": first_barcode(row["barcodes"]),
            "Sales Price": row["unit_price"],
            "Cost": row["unit_cost"],
            "Tracking": "By Lots" if row["is_lot_tracked"] else "No tracking",
            "Active": "True" if row["is_active"] else "False",
        }


def _write_quants(rows: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    for row in rows:
        yield {
            "Product/Internal Reference": row["sku"],
            "Location": row["location"],
            "Lot/Serial Number": row["lot"],
            "Quantity": row["on_hand"],
            "Unit of Measure": row["unit"],
        }


LAYOUTS = (
    ForeignLayout(
        kind=ExchangeKind.PRODUCTS,
        signature=(("internal_reference", "default_code"), ("name",)),
        columns={
            "sku": ("internal_reference", "default_code"),
            "name": ("name", "display_name"),
            "category_path": (
                "product_category_complete_name", "categ_id_complete_name", "product_category", "categ_id",
                "categ_id_name",
            ),
            "base_unit": ("unit_of_measure", "uom_id", "uom_id_name", "uom_name", "unit"),
            "barcodes": ("barcode",),
            "unit_price": ("sales_price", "list_price", "lst_price", "sale_price", "public_price"),
            "unit_cost": ("cost", "standard_price"),
            "is_lot_tracked": ("tracking",),
            "is_active": ("active",),
        },
        refused=(*_REFERENCES, "location", "location_id"),
        header=(
            "Internal Reference", "Name", "Product Category", "Unit of Measure", "Barcode", "Sales Price", "Cost",
            "Tracking", "Active",
        ),
        adapt=_begin_products,
        write=_write_products,
    ),
    ForeignLayout(
        kind=ExchangeKind.STOCK,
        signature=((*_REFERENCES, *_PRODUCTS), _LOCATIONS, _QUANTITIES),
        columns={
            "sku": _REFERENCES,
            "location": _LOCATIONS,
            "lot": ("lot_serial_number", "lot_id", "lot_id_name"),
            "on_hand": _QUANTITIES,
        },
        others=_PRODUCTS,
        refused=("kind", "movement", "warehouse", "handle", "date", "supplier", "customer"),
        header=("Product/Internal Reference", "Location", "Lot/Serial Number", "Quantity", "Unit of Measure"),
        adapt=_begin_quants,
        write=_write_quants,
    ),
)  # fmt: skip
