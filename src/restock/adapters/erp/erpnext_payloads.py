"""Records as what ERPNext takes: the values of new documents; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from restock.adapters.erp.erpnext_records import REFERENCE_FIELD
from restock.adapters.erp.interface import ErpProduct, ErpPurchaseOrder, ErpStockLevel

_SUBMITTED = 1


def item_values(product: ErpProduct, *, group: str) -> dict[str, Any]:
    """Return a new item."""
    return {
        "item_code": product.code,
        "item_name": product.name,
        "disabled": int(not product.is_active),
        "item_group": group,
        "stock_uom": product.base_unit,
        "is_stock_item": 1,
        "has_batch_no": int(product.is_lot_tracked),
        "shelf_life_in_days": product.shelf_life_days or 0,
        "barcodes": [{"barcode": code, "uom": unit} for code, unit in product.barcodes],
        "uoms": [{"uom": unit, "conversion_factor": factor} for unit, factor in product.units],
    }


def order_values(order: ErpPurchaseOrder, *, company: str, currency: str | None) -> dict[str, Any]:
    """Return a new purchase order; in the company's currency where that is known."""
    promised_on = (order.promised_on or order.ordered_on).isoformat()
    lines = [
        {
            "item_code": line.product,
            "qty": line.quantity,
            "uom": line.unit,
            "conversion_factor": line.factor,
            "rate": line.unit_amount,
            "schedule_date": promised_on,
            "warehouse": order.location,
        }
        for line in order.lines
    ]
    values = {
        "supplier": order.supplier,
        "company": company,
        "transaction_date": order.ordered_on.isoformat(),
        "schedule_date": promised_on,
        "set_warehouse": order.location,
        "items": lines,
    }
    return {**values, "currency": currency, "conversion_rate": 1} if currency else values


def reconciliation_values(levels: Sequence[ErpStockLevel], *, company: str) -> dict[str, Any]:
    """Return a stock reconciliation that sets these levels."""
    return {
        "purpose": "Stock Reconciliation",
        "company": company,
        "items": [
            {
                "item_code": level.product,
                "warehouse": level.location,
                "qty": level.quantity,
                **({"valuation_rate": level.unit_cost} if level.unit_cost else {}),
            }
            for level in levels
        ],
        "docstatus": _SUBMITTED,
    }


def reference_field_values(doctype: str) -> dict[str, Any]:
    """Return the custom field that holds our reference, unique in ERPNext's own database."""
    return {
        "dt": doctype,
        "fieldname": REFERENCE_FIELD,
        "label": "restock reference",
        "fieldtype": "Data",
        "unique": 1,
        "no_copy": 1,
        "read_only": 1,
    }
