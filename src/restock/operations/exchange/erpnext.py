"""ERPNext's CSV exports of Item, Bin and Purchase Order: with labels, as Data Export writes, or with field names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import groupby

from restock.operations.exchange.foreign import ForeignLayout, TextRow, first_barcode, is_true
from restock.operations.exchange.kinds import ExchangeKind

_STATES = {
    "draft": "draft",
    "on hold": "sent",
    "to receive and bill": "sent",
    "to receive": "sent",
    "to bill": "received",
    "completed": "received",
    "delivered": "received",
    "closed": "closed",
    "cancelled": "cancelled",
}
_STATES_BACK = {
    "draft": "Draft",
    "sent": "To Receive and Bill",
    "partly_received": "To Receive and Bill",
    "received": "Completed",
    "closed": "Closed",
    "cancelled": "Cancelled",
}
_PLACES = Decimal("0.000001")


def _begin_items() -> Callable[[TextRow, dict[str, str]], Sequence[dict[str, str]]]:
    def adapt(row: TextRow, found: dict[str, str]) -> Sequence[dict[str, str]]:
        if "sku" not in found:
            # The next row of a child table, such as a second barcode.
            return []
        # A rate or shelf life of 0 is one that nobody entered.
        given = {name: value for name, value in found.items() if name not in _EMPTY_AT_ZERO or not _is_zero(value)}
        if row.get("disabled"):
            given["is_active"] = "false" if is_true(row["disabled"]) else "true"
        return [given]

    return adapt


_EMPTY_AT_ZERO = frozenset({"unit_cost", "unit_price", "shelf_life_days"})


def _begin_orders() -> Callable[[TextRow, dict[str, str]], Sequence[dict[str, str]]]:
    """Return what turns rows into order lines: only the first row of an order says what is true of all its lines."""
    shared: dict[str, str] = {}
    names = ("purchase_order", "supplier", "location", "state", "ordered_on", "promised_on")

    def adapt(row: TextRow, found: dict[str, str]) -> Sequence[dict[str, str]]:
        nonlocal shared
        if "purchase_order" in found:
            shared = {name: found[name] for name in names if name in found}
        line = {**shared, **found}
        line["state"] = _STATES.get(line.get("state", "").lower(), line.get("state", ""))
        promised = next((row[name] for name in _PROMISED_LINE if row.get(name)), "")
        line["promised_on"] = promised or line.get("promised_on", "")
        return [_in_base_units(line, row)]

    return adapt


_PROMISED_LINE = ("required_by_items", "items_schedule_date", "schedule_date_items")
_FACTORS = ("uom_conversion_factor_items", "items_conversion_factor", "conversion_factor_items", "conversion_factor")


def _in_base_units(line: dict[str, str], row: TextRow) -> dict[str, str]:
    """Return a line whose quantities and cost are of the stock unit; as it is where a number can't be read."""
    text = next((row[name] for name in _FACTORS if row.get(name)), "1")
    try:
        factor = Decimal(text)
        numbers = {name: Decimal(line[name]) for name in _COUNTED if name in line}
    except InvalidOperation:
        # The judgement of the cell says what is wrong with it.
        return line
    if factor == 1 or factor <= 0:
        return line
    cost = numbers.pop("unit_cost", None)
    changed = {name: f"{number * factor:f}" for name, number in numbers.items()}
    if cost is not None:
        changed["unit_cost"] = f"{(cost / factor).quantize(_PLACES).normalize():f}"
    return {**line, **changed}


_COUNTED = ("quantity_ordered", "quantity_received", "unit_cost")


def _is_zero(text: str) -> bool:
    try:
        return Decimal(text) == 0
    except InvalidOperation:
        return False


def _begin_bins() -> Callable[[TextRow, dict[str, str]], Sequence[dict[str, str]]]:
    return lambda _, found: [found]


def _write_items(rows: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    for row in rows:
        yield {
            "Item Code": row["sku"],
            "Item Name": row["name"],
            "Item Group": row["category_path"],
            "Default Unit of Measure": row["base_unit"],
            "Has Batch No": int(bool(row["is_lot_tracked"])),
            "Shelf Life In Days": row["shelf_life_days"],
            "Disabled": int(not row["is_active"]),
            "Standard Selling Rate": row["unit_price"],
            "Valuation Rate": row["unit_cost"],
            "Barcode (Barcodes)": first_barcode(row["barcodes"]),
        }


def _write_bins(rows: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    for (sku, location), lots in groupby(rows, key=lambda row: (row["sku"], row["location"])):
        all_lots = list(lots)
        yield {
            "Item Code": sku,
            "Warehouse": location,
            "Actual Qty": sum(lot["on_hand"] for lot in all_lots),  # type: ignore[misc]
            "UOM": all_lots[0]["unit"],
        }


def _write_orders(rows: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    for row in rows:
        yield {
            "ID": row["purchase_order"],
            "Supplier": row["supplier"],
            "Date": row["ordered_on"],
            "Required By": row["promised_on"],
            "Status": _STATES_BACK.get(str(row["state"]), row["state"]),
            "Set Target Warehouse": row["location"],
            "Item Code (Items)": row["sku"],
            "Quantity (Items)": row["quantity_ordered"],
            "UOM (Items)": row["unit"],
            "UOM Conversion Factor (Items)": 1,
            "Rate (Items)": row["unit_cost"],
            "Received Qty (Items)": row["quantity_received"],
        }


LAYOUTS = (
    ForeignLayout(
        kind=ExchangeKind.PRODUCTS,
        signature=(("item_code", "id", "name"), ("item_name",), ("default_unit_of_measure", "stock_uom", "item_group")),
        columns={
            "sku": ("item_code", "id", "name"),
            "name": ("item_name",),
            "category_path": ("item_group",),
            "base_unit": ("default_unit_of_measure", "stock_uom"),
            "is_lot_tracked": ("has_batch_no",),
            "shelf_life_days": ("shelf_life_in_days",),
            "unit_price": ("standard_selling_rate", "standard_rate"),
            "unit_cost": ("valuation_rate", "last_purchase_rate"),
            "barcodes": ("barcode_barcodes", "barcodes_barcode", "barcode"),
        },
        others=("disabled",),
        refused=("warehouse", "supplier", "actual_qty", "actual_quantity"),
        header=(
            "Item Code", "Item Name", "Item Group", "Default Unit of Measure", "Has Batch No", "Shelf Life In Days",
            "Disabled", "Standard Selling Rate", "Valuation Rate", "Barcode (Barcodes)",
        ),
        adapt=_begin_items,
        write=_write_items,
    ),
    ForeignLayout(
        kind=ExchangeKind.STOCK,
        signature=(("item_code",), ("warehouse",), ("actual_qty", "actual_quantity")),
        columns={"sku": ("item_code",), "location": ("warehouse",), "on_hand": ("actual_qty", "actual_quantity")},
        header=("Item Code", "Warehouse", "Actual Qty", "UOM"),
        adapt=_begin_bins,
        write=_write_bins,
    ),
    ForeignLayout(
        kind=ExchangeKind.PURCHASE_ORDERS,
        signature=(
            ("id", "name"),
            ("supplier",),
            ("item_code_items", "items_item_code", "item_code"),
            ("quantity_items", "qty_items", "items_qty", "qty"),
        ),
        columns={
            "purchase_order": ("id", "name"),
            "supplier": ("supplier",),
            "location": (
                "target_warehouse_items", "warehouse_items", "items_warehouse", "set_target_warehouse", "set_warehouse",
            ),
            "state": ("status",),
            "ordered_on": ("date", "transaction_date"),
            "promised_on": ("required_by", "schedule_date"),
            "sku": ("item_code_items", "items_item_code", "item_code"),
            "quantity_ordered": ("quantity_items", "qty_items", "items_qty", "qty"),
            "quantity_received": ("received_qty_items", "items_received_qty", "received_qty"),
            "unit_cost": ("rate_items", "items_rate", "rate"),
        },
        others=(*_PROMISED_LINE, *_FACTORS),
        header=(
            "ID", "Supplier", "Date", "Required By", "Status", "Set Target Warehouse", "Item Code (Items)",
            "Quantity (Items)", "UOM (Items)", "UOM Conversion Factor (Items)", "Rate (Items)", "Received Qty (Items)",
        ),
        adapt=_begin_orders,
        write=_write_orders,
    ),
)  # fmt: skip
