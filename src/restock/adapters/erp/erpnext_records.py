"""ERPNext's documents as records: which doctype holds what, and what its fields mean; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from restock.adapters.erp.interface import (
    ErpCustomer,
    ErpCustomerOrder,
    ErpKind,
    ErpLocation,
    ErpOrderLine,
    ErpProduct,
    ErpPurchaseOrder,
    ErpRecord,
    ErpReplyError,
    ErpSupplier,
    OrderState,
    Unreadable,
)

Document = Mapping[str, Any]
# What we write an order or a supplier under; a custom field, unique in ERPNext's own database.
REFERENCE_FIELD = "restock_reference"
# ERPNext keeps quantities of units that are not whole with three decimals unless told otherwise.
_DECIMALS = 3


@dataclass(frozen=True, kw_only=True)
class DocumentKind:
    """Where a kind is kept.

    Attributes:
        doctype: the documents.
        fields: that are read.
        filters: which documents are meant at all.
        children: child doctype and its fields, by the name of the parent's table.
    """

    doctype: str
    fields: tuple[str, ...]
    filters: tuple[tuple[str, str, object], ...] = ()
    children: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)


_ORDER_LINE = ("name", "parent", "idx", "item_code", "qty", "uom", "conversion_factor", "base_rate", "warehouse")
DOCUMENT_KINDS: dict[ErpKind, DocumentKind] = {
    ErpKind.LOCATION: DocumentKind(
        doctype="Warehouse",
        fields=("name", "warehouse_name", "warehouse_type", "disabled", "company", "modified"),
        filters=(("is_group", "=", 0),),
    ),
    ErpKind.SUPPLIER: DocumentKind(doctype="Supplier", fields=("name", "supplier_name", "disabled", "modified")),
    ErpKind.CUSTOMER: DocumentKind(
        doctype="Customer", fields=("name", "customer_name", "territory", "disabled", "modified")
    ),
    ErpKind.PRODUCT: DocumentKind(
        doctype="Item",
        fields=(
            *("name", "item_name", "item_group", "stock_uom", "disabled", "has_batch_no", "has_serial_no"),
            *("shelf_life_in_days", "valuation_rate", "last_purchase_rate", "standard_rate", "modified"),
        ),
        filters=(("is_stock_item", "=", 1), ("has_variants", "=", 0)),
        children={
            "barcodes": ("Item Barcode", ("name", "parent", "idx", "barcode", "uom")),
            "uoms": ("UOM Conversion Detail", ("name", "parent", "idx", "uom", "conversion_factor")),
        },
    ),
    ErpKind.PURCHASE_ORDER: DocumentKind(
        doctype="Purchase Order",
        fields=(
            *("name", "supplier", "transaction_date", "schedule_date", "docstatus", "status", "set_warehouse"),
            "modified",
        ),
        filters=(("docstatus", "!=", 0),),
        children={"items": ("Purchase Order Item", (*_ORDER_LINE, "received_qty"))},
    ),
    ErpKind.CUSTOMER_ORDER: DocumentKind(
        doctype="Sales Order",
        fields=(
            *("name", "customer", "transaction_date", "delivery_date", "docstatus", "status", "set_warehouse"),
            "modified",
        ),
        filters=(("docstatus", "!=", 0),),
        children={"items": ("Sales Order Item", (*_ORDER_LINE, "delivered_qty"))},
    ),
}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What documents refer to without holding it.

    Attributes:
        zone: the site's time zone; its instants have none.
        parents: parent group by item group.
        whole_units: units that come in whole numbers only.
        services: items among those asked about that are no stock.
    """

    zone: ZoneInfo
    parents: Mapping[str, str] = field(default_factory=dict)
    whole_units: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()


def as_record(kind: ErpKind, document: Document, around: Surroundings) -> ErpRecord | Unreadable:
    """Return what a document says, or why it says nothing to us.

    Raises:
        ErpReplyError: it has no name.
    """
    name = document.get("name")
    if not isinstance(name, str) or not name:
        raise ErpReplyError(f"ERPNext sent a {kind} without a name.")
    try:
        return _BUILDERS[kind](document, around)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        return Unreadable(theirs=name, reason=f"a field is missing or makes no sense: {type(error).__name__}: {error}")
    except _NotOurs as error:
        return Unreadable(theirs=name, reason=str(error))


class _NotOurs(Exception):  # noqa: N818  (not an error: a reason)
    """Why a document can't be one of ours."""


def parse_instant(text: str) -> datetime:
    """Return an instant of ERPNext, which has no zone.

    Raises:
        ValueError: it is none.
    """
    return datetime.fromisoformat(text)


def _changed_at(document: Document, around: Surroundings) -> datetime:
    return parse_instant(document["modified"]).replace(tzinfo=around.zone).astimezone(UTC)


def _day(value: object) -> date | None:
    return date.fromisoformat(str(value)[:10]) if value else None


def _number(value: object) -> Decimal:
    return Decimal(str(value or 0))


def _amount(*values: object) -> Decimal | None:
    """Return the first amount that is set: ERPNext keeps 0 where there is none."""
    return next((number for number in map(_number, values) if number > 0), None)


def _category_path(group: str, parents: Mapping[str, str]) -> str:
    path: list[str] = []
    while group and parents.get(group) and group not in path:
        path.insert(0, group)
        group = parents[group]
    return "/".join(path)


def _product(document: Document, around: Surroundings) -> ErpProduct:
    base_unit = str(document["stock_uom"])
    units = {
        str(row["uom"]): _number(row["conversion_factor"])
        for row in document.get("uoms", ())
        if row.get("uom") and row["uom"] != base_unit and _number(row["conversion_factor"]) > 0
    }
    return ErpProduct(
        theirs=document["name"],
        code=document["name"],
        name=document.get("item_name") or document["name"],
        category_path=_category_path(document.get("item_group") or "", around.parents),
        base_unit=base_unit,
        decimals=0 if base_unit in around.whole_units else _DECIMALS,
        units=tuple(sorted(units.items())),
        barcodes=tuple(
            sorted((str(row["barcode"]), row.get("uom") or base_unit) for row in document.get("barcodes", ()))
        ),
        unit_cost=_amount(document.get("last_purchase_rate"), document.get("valuation_rate")),
        unit_price=_amount(document.get("standard_rate")),
        is_lot_tracked=bool(document.get("has_batch_no") or document.get("has_serial_no")),
        shelf_life_days=int(document.get("shelf_life_in_days") or 0) or None,
        is_active=not document.get("disabled"),
        changed_at=_changed_at(document, around),
    )


def _location(document: Document, around: Surroundings) -> ErpLocation:
    return ErpLocation(
        theirs=document["name"],
        code=document["name"],
        name=document.get("warehouse_name") or document["name"],
        is_active=not document.get("disabled"),
        is_virtual=document.get("warehouse_type") == "Transit",
        changed_at=_changed_at(document, around),
    )


def _supplier(document: Document, around: Surroundings) -> ErpSupplier:
    return ErpSupplier(
        theirs=document["name"],
        code=document["name"],
        name=document.get("supplier_name") or document["name"],
        is_active=not document.get("disabled"),
        changed_at=_changed_at(document, around),
    )


def _customer(document: Document, around: Surroundings) -> ErpCustomer:
    return ErpCustomer(
        theirs=document["name"],
        code=document["name"],
        name=document.get("customer_name") or document["name"],
        region=document.get("territory") or "",
        is_active=not document.get("disabled"),
        changed_at=_changed_at(document, around),
    )


def _state(document: Document) -> OrderState:
    if document["docstatus"] == 0:
        return OrderState.DRAFT
    if document["docstatus"] != 1:
        return OrderState.CANCELLED
    status = document.get("status")
    if status == "Closed":
        return OrderState.CLOSED
    return OrderState.COMPLETED if status in ("Completed", "To Bill", "Delivered") else OrderState.CONFIRMED


def _lines(document: Document, around: Surroundings, *, done: str) -> tuple[ErpOrderLine, ...]:
    rows: Sequence[Document] = sorted(document["items"], key=lambda row: int(row["idx"]))
    return tuple(
        ErpOrderLine(
            theirs=row["name"],
            product=row["item_code"],
            quantity=_number(row["qty"]),
            done=_number(row.get(done)),
            unit=row["uom"],
            factor=_number(row.get("conversion_factor")) or Decimal(1),
            unit_amount=_number(row.get("base_rate")),
        )
        for row in rows
        if row.get("item_code") and row["item_code"] not in around.services
    )


def _place(document: Document, around: Surroundings) -> str:
    """Return the one warehouse of an order."""
    rows = [row for row in document["items"] if row.get("item_code") not in around.services]
    places = {row.get("warehouse") or document.get("set_warehouse") or "" for row in rows}
    if not rows:
        raise _NotOurs("it has no line with goods")
    if len(places) != 1 or "" in places:
        raise _NotOurs(
            f"its lines name {len(places - {''})} warehouses, expected one for all: restock keeps an order per location"
        )
    return str(places.pop())


def _purchase_order(document: Document, around: Surroundings) -> ErpPurchaseOrder:
    return ErpPurchaseOrder(
        theirs=document["name"],
        code=document["name"],
        supplier=document["supplier"],
        location=_place(document, around),
        state=_state(document),
        lines=_lines(document, around, done="received_qty"),
        ordered_on=date.fromisoformat(document["transaction_date"]),
        promised_on=_day(document.get("schedule_date")),
        reference=document.get(REFERENCE_FIELD) or "",
        changed_at=_changed_at(document, around),
    )


def _customer_order(document: Document, around: Surroundings) -> ErpCustomerOrder:
    return ErpCustomerOrder(
        theirs=document["name"],
        code=document["name"],
        customer=document["customer"],
        location=_place(document, around),
        state=_state(document),
        lines=_lines(document, around, done="delivered_qty"),
        ordered_on=date.fromisoformat(document["transaction_date"]),
        requested_on=_day(document.get("delivery_date")),
        changed_at=_changed_at(document, around),
    )


_BUILDERS: Mapping[ErpKind, Callable[[Document, Surroundings], ErpRecord]] = {
    ErpKind.PRODUCT: _product,
    ErpKind.LOCATION: _location,
    ErpKind.SUPPLIER: _supplier,
    ErpKind.CUSTOMER: _customer,
    ErpKind.PURCHASE_ORDER: _purchase_order,
    ErpKind.CUSTOMER_ORDER: _customer_order,
}
