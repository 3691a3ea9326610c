"""Records of an ERP in our own words, ready to be compared and kept; pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from restock.adapters.erp.interface import (
    ErpCustomer,
    ErpCustomerOrder,
    ErpKind,
    ErpLocation,
    ErpOrderLine,
    ErpProduct,
    ErpPurchaseOrder,
    ErpRecord,
    ErpSupplier,
)
from restock.ledger.gtin import is_gtin, normalise_gtin

Content = dict[str, Any]
_KINDS: Mapping[type[ErpRecord], ErpKind] = {
    ErpProduct: ErpKind.PRODUCT,
    ErpLocation: ErpKind.LOCATION,
    ErpSupplier: ErpKind.SUPPLIER,
    ErpCustomer: ErpKind.CUSTOMER,
    ErpPurchaseOrder: ErpKind.PURCHASE_ORDER,
    ErpCustomerOrder: ErpKind.CUSTOMER_ORDER,
}


@dataclass(frozen=True, kw_only=True)
class Worded:
    """A record in our words.

    Attributes:
        content: value by field, ready for JSON.
        notes: what of it had to be left out, for people.
    """

    content: Content
    notes: tuple[str, ...] = ()


def kind_of(record: ErpRecord) -> ErpKind:
    """Return which kind a record is of."""
    return _KINDS[type(record)]


def describe(record: ErpRecord, *, currency_decimals: int) -> Worded:
    """Return a record in our words.

    Args:
        record: as the ERP has it.
        currency_decimals: decimal places of money that the company keeps; what is finer is rounded half to even.
    """
    if isinstance(record, ErpProduct):
        return _describe_product(record, currency_decimals=currency_decimals)
    if isinstance(record, ErpPurchaseOrder):
        content = _describe_order(record, place=record.supplier, currency_decimals=currency_decimals)
        return Worded(content={**content, "promised_on": record.promised_on and record.promised_on.isoformat()})
    if isinstance(record, ErpCustomerOrder):
        content = _describe_order(record, place=record.customer, currency_decimals=currency_decimals)
        return Worded(content={**content, "requested_on": record.requested_on and record.requested_on.isoformat()})
    content = {"name": record.name, "is_active": record.is_active}
    return Worded(content={**content, "region": record.region} if isinstance(record, ErpCustomer) else content)


def digest(content: Mapping[str, Any]) -> str:
    """Return what stands for a content, the same whenever it is the same."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def unit_amount(line: ErpOrderLine, *, currency_decimals: int) -> Decimal:
    """Return cost or price of one base unit, rounded to what the company keeps."""
    return _rounded(line.unit_amount / line.factor, currency_decimals=currency_decimals)


def _rounded(amount: Decimal, *, currency_decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-currency_decimals), rounding=ROUND_HALF_EVEN)


def _text(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _describe_product(product: ErpProduct, *, currency_decimals: int) -> Worded:
    names = {product.base_unit, *(unit for unit, _ in product.units)}
    barcodes: dict[str, str] = {}
    notes: list[str] = []
    for code, unit in product.barcodes:
        if not is_gtin(code):
            notes.append(f"barcode {code!r} of {product.code} is no GTIN: left out")
        elif unit not in names:
            notes.append(
                f"barcode {code!r} of {product.code} is of unit {unit!r}, which it is not counted in: left out"
            )
        else:
            barcodes[normalise_gtin(code)] = unit
    content: Content = {
        "name": product.name,
        "category_path": " > ".join(part.strip() for part in product.category_path.split("/") if part.strip()),
        "base_unit": product.base_unit,
        "quantity_decimals": product.decimals,
        "is_lot_tracked": product.is_lot_tracked,
        "is_active": product.is_active,
        "barcodes": sorted([gtin, unit] for gtin, unit in barcodes.items()),
        "units": sorted([unit, _text(factor)] for unit, factor in product.units),
    }
    if product.shelf_life_days is not None:
        content["shelf_life_days"] = product.shelf_life_days
    for name, amount in (("unit_cost", product.unit_cost), ("unit_price", product.unit_price)):
        if amount is not None:
            content[name] = _text(_rounded(amount, currency_decimals=currency_decimals))
    return Worded(content=content, notes=tuple(notes))


def _describe_order(order: ErpPurchaseOrder | ErpCustomerOrder, *, place: str, currency_decimals: int) -> Content:
    return {
        "partner": place,
        "location": order.location,
        "state": order.state.value,
        "ordered_on": order.ordered_on.isoformat(),
        "lines": [
            {
                "product": line.product,
                "quantity": _text(line.quantity * line.factor),
                "done": _text(line.done * line.factor),
                "unit_amount": _text(unit_amount(line, currency_decimals=currency_decimals)),
            }
            for line in order.lines
        ],
    }
