"""Shopify's CSV layouts: products with their variants, and inventory by location, under old names and new."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from restock.operations.exchange.cells import unguard_formula
from restock.operations.exchange.foreign import ForeignLayout, TextRow, first_barcode, is_true
from restock.operations.exchange.kinds import ExchangeKind

_NOT_STOCKED = "not stocked"
_ONLY_VARIANT = "Default Title"
_OPTIONS = ("option1_value", "option2_value", "option3_value")
_HANDLES = ("handle", "url_handle")
_IDENTITY = (*_HANDLES, "title", "option1_name", "option2_name", "option3_name", *_OPTIONS)


def _begin_products() -> Callable[[TextRow, dict[str, str]], Sequence[dict[str, str]]]:
    """Return what turns rows into products: only the first row of a handle says what is true of all its variants."""
    handle = ""
    shared: dict[str, str] = {}

    def adapt(row: TextRow, found: dict[str, str]) -> Sequence[dict[str, str]]:
        nonlocal handle, shared
        given = next((row[name] for name in _HANDLES if row.get(name)), handle)
        own = {name: row[name] for name in ("title", "type", "product_category", "status") if row.get(name)}
        shared = {**shared, **own} if given == handle else own
        handle = given
        if "sku" not in found and "unit_price" not in found:
            # Another picture of the product before.
            return []
        options = [row[name] for name in _OPTIONS if row.get(name) and row[name] != _ONLY_VARIANT]
        product = {
            **found,
            "name": " - ".join([shared.get("title", ""), *options]).strip(" -"),
            "category_path": shared.get("type") or shared.get("product_category", ""),
            "is_active": _activity(shared.get("status", "")),
        }
        # Shopify itself writes an apostrophe before codes, which keeps their zeros in a spreadsheet.
        for name in ("sku", "barcodes"):
            product[name] = unguard_formula(product.get(name, "")).removeprefix("'")
        return [product]

    return adapt


def _activity(status: str) -> str:
    """Return is_active for a status; nothing where the file says none, or that it is not published yet."""
    return {"active": "true", "archived": "false"}.get(status.lower(), "")


def _begin_inventory() -> Callable[[TextRow, dict[str, str]], Sequence[dict[str, str]]]:
    def adapt(_: TextRow, found: dict[str, str]) -> Sequence[dict[str, str]]:
        if found.get("on_hand", "").lower() == _NOT_STOCKED or "on_hand" not in found:
            return []
        return [{**found, "sku": found.get("sku", "").removeprefix("'")}]

    return adapt


def _begin_wide() -> Callable[[TextRow, dict[str, str]], Sequence[dict[str, str]]]:
    """Return what turns a row with a column for each location into a row for each of them."""

    def adapt(row: TextRow, found: dict[str, str]) -> Sequence[dict[str, str]]:
        known = {*_IDENTITY, "sku", "hs_code", "coo", "bin_name"}
        return [
            {"sku": found.get("sku", "").removeprefix("'"), "location": location, "on_hand": quantity}
            for location, quantity in row.items()
            if location not in known and quantity and quantity.lower() != _NOT_STOCKED
        ]

    return adapt


def make_handle(sku: str) -> str:
    """Return the handle of a product that has none: its sku in Shopify's letters.

    Example:
        >>> make_handle("Tea 0042/B")
        'tea-0042-b'
    """
    return re.sub(r"[^a-z0-9]+", "-", sku.lower()).strip("-") or "product"


def _write_products(rows: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    for row in rows:
        yield {
            "Handle": make_handle(str(row["sku"])),
            "Title": row["name"],
            "Type": row["category_path"],
            "Published": row["is_active"],
            "Option1 Name": "Title",
            "Option1 Value": _ONLY_VARIANT,
            "Variant SKU": row["sku"],
            "Variant Inventory Tracker": "shopify",
            "Variant Inventory Policy": "deny",
            "Variant Fulfillment Service": "manual",
            "Variant Price": row["unit_price"],
            "Variant Barcode": first_barcode(row["barcodes"]),
            "Cost per item": row["unit_cost"],
            "Status": "active" if is_true(str(row["is_active"])) else "archived",
        }


def _write_inventory(rows: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    for (sku, location), lots in groupby(rows, key=lambda row: (row["sku"], row["location"])):
        all_lots = list(lots)
        yield {
            "Handle": make_handle(str(sku)),
            "Title": all_lots[0].get("name"),
            "Option1 Name": "Title",
            "Option1 Value": _ONLY_VARIANT,
            "SKU": sku,
            "Location": location,
            "On hand (new)": sum(lot["on_hand"] for lot in all_lots),  # type: ignore[misc]
        }


LAYOUTS = (
    ForeignLayout(
        kind=ExchangeKind.PRODUCTS,
        signature=(_HANDLES, ("variant_sku", "sku"), ("variant_price", "price")),
        columns={
            "sku": ("variant_sku", "sku"),
            "barcodes": ("variant_barcode", "barcode"),
            "unit_price": ("variant_price", "price"),
            "unit_cost": ("cost_per_item",),
        },
        others=(*_IDENTITY, "type", "product_category", "status"),
        header=(
            "Handle", "Title", "Type", "Published", "Option1 Name", "Option1 Value", "Variant SKU",
            "Variant Inventory Tracker", "Variant Inventory Policy", "Variant Fulfillment Service", "Variant Price",
            "Variant Barcode", "Cost per item", "Status",
        ),
        adapt=_begin_products,
        write=_write_products,
    ),
    ForeignLayout(
        kind=ExchangeKind.STOCK,
        signature=(
            _HANDLES,
            ("sku",),
            ("location",),
            ("on_hand_new", "on_hand_current", "on_hand", "available", "available_not_editable"),
        ),
        columns={
            "sku": ("sku",),
            "location": ("location",),
            "on_hand": ("on_hand_new", "on_hand_current", "on_hand", "available", "available_not_editable"),
        },
        header=("Handle", "Title", "Option1 Name", "Option1 Value", "SKU", "Location", "On hand (new)"),
        others=_IDENTITY,
        refused=("variant_price", "price"),
        adapt=_begin_inventory,
        write=_write_inventory,
    ),
)  # fmt: skip
WIDE_INVENTORY = ForeignLayout(
    kind=ExchangeKind.STOCK,
    signature=(_HANDLES, ("sku",), ("coo", "hs_code")),
    columns={"sku": ("sku",)},
    header=(),
    others=(*_IDENTITY, "hs_code", "coo", "bin_name"),
    refused=("location", "variant_price", "price", "cost_per_item"),
    is_wide=True,
    adapt=_begin_wide,
    write=iter,
)
