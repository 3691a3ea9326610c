"""Names that other systems give our columns, so that a plain export needs no mapping; a fixed table, no guessing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from restock.errors import DataError
from restock.schema import Table

_SKU = ("item", "item_id", "item_code", "product", "product_id", "product_code", "article", "article_id", "sku_id",
        "stock_code", "stockcode", "material")  # fmt: skip
_LOCATION = ("store", "store_id", "shop", "shop_id", "location_id", "warehouse", "warehouse_id", "branch", "outlet",
             "site")  # fmt: skip
_PRICE = ("price", "sell_price", "selling_price", "sales_price")
_SUPPLIER = ("vendor", "vendor_id", "supplier_id")

# By table: our column, and what else it may be called, in lower case with underscores.
ALIASES: dict[str, dict[str, tuple[str, ...]]] = {
    "sales": {
        "sku": _SKU,
        "location": _LOCATION,
        "date": ("day", "ds", "sales_date", "sale_date", "order_date", "transaction_date"),
        # What such files call demand was sold; it is cut off by stockouts like any sales.
        "units_sold": ("demand", "quantity", "qty", "units", "quantity_sold", "qty_sold", "sold_quantity", "sales_qty"),
        "unit_price": _PRICE,
        "is_promoted": ("promo", "promotion", "promoted", "is_promo", "on_promotion", "onpromotion"),
    },
    "calendar": {
        "location": _LOCATION,
        "date": ("day", "ds"),
        "is_holiday": ("holiday",),
        "event": ("event_name", "holiday_name"),
    },
    "products": {
        "sku": _SKU,
        "name": ("product_name", "item_name", "description", "title"),
        "category_path": ("category", "category_name", "product_category"),
        "barcodes": ("barcode", "ean", "gtin", "upc"),
        "unit_cost": ("cost", "purchase_price"),
        "unit_price": _PRICE,
        "pack_units": ("pack_size", "case_size"),
    },
    "locations": {"location": _LOCATION, "kind": ("type", "location_type", "store_type"), "region": ("city", "state")},
    "supply_terms": {
        "sku": _SKU,
        "location": _LOCATION,
        "supplier": _SUPPLIER,
        "unit_cost": ("cost", "purchase_price"),
        "minimum_order_quantity": ("moq", "min_order_quantity"),
        "quoted_lead_time_days": ("lead_time", "lead_time_days"),
    },
    "purchase_orders": {
        "order": ("po", "po_number", "order_number", "purchase_order"),
        "line": ("line_number", "po_line"),
        "sku": _SKU,
        "location": _LOCATION,
        "supplier": _SUPPLIER,
        "ordered_on": ("order_date",),
        "promised_on": ("promised_date", "due_date"),
        "received_on": ("received_date", "delivery_date"),
    },
    "movements": {"sku": _SKU, "location": _LOCATION, "unit_of_measure": ("unit", "uom")},
    "stock": {
        "sku": _SKU,
        "location": _LOCATION,
        "as_of": ("date", "stock_date", "snapshot_date"),
        "on_hand": ("stock", "inventory", "stock_on_hand", "quantity_on_hand", "qty_on_hand"),
    },
}  # fmt: skip
# Beside amounts in a table that has no column for it.
UNIT_NAMES = ("unit_of_measure", "unit", "uom", "measure")
# The one location of a company whose files name none.
ONLY_LOCATION = "main"
_FILLED_TABLES = ("sales", "stock", "supply_terms", "purchase_orders", "movements")


def normalise_name(name: str) -> str:
    """Return a column's name in lower case, words joined by underscores.

    Example:
        >>> normalise_name("Item ID"), normalise_name("StockCode"), normalise_name("store-nbr.")
        ('item_id', 'stock_code', 'store_nbr')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^0-9a-z]+", "_", words.lower()).strip("_")


def find_by_alias(table: Table, column: str, names: Sequence[str], *, file: str) -> str | None:
    """Return which of a file's columns is ours under another name, or null where none is.

    Args:
        table: which table the file holds.
        column: our column, which the file does not have under its own name.
        names: the file's columns that are not used yet.
        file: name for people.

    Raises:
        DataError: several could be it.
    """
    aliases = {column, *ALIASES.get(table.name, {}).get(column, ())}
    found = [name for name in names if normalise_name(name) in aliases or name.strip().lower() in aliases]
    if len(found) > 1:
        raise DataError(
            f"{file}: {column} could be read from {' or '.join(map(repr, found))}. "
            f"Say which in a mapping, columns: {{{column}: {found[0]}}}, and give it with --mapping."
        )
    return found[0] if found else None


def needs_location(table: Table, names: Sequence[str]) -> bool:
    """Return whether a file without a location may be taken as that of a company with one only."""
    return table.name in _FILLED_TABLES and "location" not in names
