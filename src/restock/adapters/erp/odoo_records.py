"""Odoo's records as ours: which model holds what, what its fields mean, and units of measure; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
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
    OrderState,
    Unreadable,
)
from restock.adapters.erp.odoo_calls import Row, Term

_SIX_PLACES = Decimal("0.000001")


@dataclass(frozen=True, kw_only=True)
class ModelKind:
    """Where a kind is kept.

    Attributes:
        model: the records.
        fields: that are read.
        domain: which records are meant at all.
        parts: path to records whose changes are changes of it, and their model: Odoo does not carry them up.
        wanted: further terms while one looks for changes, but not for a record that something else refers to.
    """

    model: str
    fields: tuple[str, ...]
    domain: tuple[Term, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    wanted: tuple[Term, ...] = ()


_PARTNER = ("id", "ref", "name", "active", "country_id", "commercial_partner_id", "write_date")
_ORDER = ("id", "name", "partner_id", "date_order", "state", "currency_rate", "order_line", "write_date")
# Confirmed at some time: what was cancelled as a draft has no date of approval, but is of no use either way.
_FIRM = ("purchase", "sale", "done", "cancel")
MODEL_KINDS: dict[ErpKind, ModelKind] = {
    ErpKind.LOCATION: ModelKind(
        model="stock.warehouse", fields=("id", "code", "name", "active", "lot_stock_id", "write_date")
    ),
    ErpKind.SUPPLIER: ModelKind(model="res.partner", fields=_PARTNER, wanted=(("supplier_rank", ">", 0),)),
    ErpKind.CUSTOMER: ModelKind(model="res.partner", fields=_PARTNER, wanted=(("customer_rank", ">", 0),)),
    ErpKind.PRODUCT: ModelKind(
        model="product.product",
        fields=(
            *("id", "default_code", "name", "categ_id", "uom_id", "barcode", "standard_price", "lst_price"),
            *("tracking", "active", "write_date"),
        ),
        domain=(("type", "!=", "service"),),
        parts={"product_tmpl_id": "product.template"},
    ),
    ErpKind.PURCHASE_ORDER: ModelKind(
        model="purchase.order",
        fields=(*_ORDER, "date_planned", "origin", "picking_type_id"),
        wanted=(("state", "in", _FIRM),),
        parts={"order_line": "purchase.order.line"},
    ),
    ErpKind.CUSTOMER_ORDER: ModelKind(
        model="sale.order",
        fields=(*_ORDER, "commitment_date", "warehouse_id"),
        wanted=(("state", "in", _FIRM),),
        parts={"order_line": "sale.order.line"},
    ),
}


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit of measure; `per_reference` of it are one of its category's reference unit."""

    name: str
    category: int
    per_reference: Decimal
    decimals: int

    def in_units_of(self, other: Unit) -> Decimal:
        """Return how many of another unit one of this is."""
        # Odoo keeps factors as floats: a dozen is 0.083333.
        return (other.per_reference / self.per_reference).quantize(_SIX_PLACES).normalize() + 0


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What records refer to by number.

    Attributes:
        units: units of measure.
        packagings: rows of product.packaging by product.
        lines: order lines by order.
        goods: products that are no services, with the number of their unit.
        warehouses: warehouse by picking type.
        companies: the partner that a contact buys or delivers for.
        unit_field: the line's field that holds its unit.
    """

    units: Mapping[int, Unit] = field(default_factory=dict)
    packagings: Mapping[int, Sequence[Row]] = field(default_factory=dict)
    lines: Mapping[int, Sequence[Row]] = field(default_factory=dict)
    goods: Mapping[int, int] = field(default_factory=dict)
    warehouses: Mapping[int, int] = field(default_factory=dict)
    companies: Mapping[int, int] = field(default_factory=dict)
    unit_field: str = "product_uom"


def as_record(kind: ErpKind, row: Row, around: Surroundings) -> ErpRecord | Unreadable:
    """Return what a row says, or why it says nothing to us."""
    try:
        return _BUILDERS[kind](row, around)
    except (KeyError, TypeError, ValueError, ArithmeticError, IndexError) as error:
        return Unreadable(
            theirs=str(row["id"]), reason=f"a field is missing or makes no sense: {type(error).__name__}: {error}"
        )


def read_units(rows: Sequence[Row]) -> dict[int, Unit]:
    """Return units of measure by number."""
    return {
        int(row["id"]): Unit(
            name=str(row["name"]),
            category=number_of(row["category_id"]) or 0,
            per_reference=Decimal(str(row["factor"])),
            decimals=max(0, -Decimal(str(row["rounding"] or 1)).normalize().adjusted()),
        )
        for row in rows
        if row["factor"]
    }


def number_of(value: Any) -> int | None:
    """Return the number of a many2one, which comes as [number, name], or as false."""
    return int(value[0]) if value else None


def _changed_at(row: Row) -> datetime:
    return datetime.fromisoformat(row["write_date"]).replace(tzinfo=UTC)


def _day(value: Any) -> date | None:
    return date.fromisoformat(str(value)[:10]) if value else None


def _amount(value: Any) -> Decimal | None:
    number = Decimal(str(value or 0))
    return number if number > 0 else None


def _code(value: Any, row: Row) -> str:
    return str(value).strip() if value and str(value).strip() else f"ODOO-{row['id']}"


def _product(row: Row, around: Surroundings) -> ErpProduct:
    base = around.units[int(row["uom_id"][0])]
    units = {
        unit.name: unit.in_units_of(base)
        for unit in around.units.values()
        if unit.category == base.category and unit.name != base.name
    }
    packagings = around.packagings.get(int(row["id"]), ())
    units |= {str(each["name"]): Decimal(str(each["qty"])) for each in packagings}
    barcodes = [(str(row["barcode"]), base.name)] if row.get("barcode") else []
    barcodes += [(str(each["barcode"]), str(each["name"])) for each in packagings if each.get("barcode")]
    path = str(row["categ_id"][1]).replace(" / ", "/") if row.get("categ_id") else ""
    return ErpProduct(
        theirs=str(row["id"]),
        code=_code(row.get("default_code"), row),
        name=row["name"],
        # All products lie below "All".
        category_path=path.removeprefix("All").lstrip("/"),
        base_unit=base.name,
        decimals=min(6, base.decimals),
        units=tuple(sorted((name, factor) for name, factor in units.items() if factor > 0)),
        barcodes=tuple(sorted(barcodes)),
        unit_cost=_amount(row.get("standard_price")),
        unit_price=_amount(row.get("lst_price")),
        is_lot_tracked=row.get("tracking") in ("lot", "serial"),
        is_active=bool(row["active"]),
        changed_at=_changed_at(row),
    )


def _location(row: Row, _: Surroundings) -> ErpLocation:
    return ErpLocation(
        theirs=str(row["id"]),
        code=row["code"],
        name=row["name"],
        is_active=bool(row["active"]),
        changed_at=_changed_at(row),
    )


def _supplier(row: Row, _: Surroundings) -> ErpSupplier:
    return ErpSupplier(
        theirs=str(row["id"]),
        code=_code(row.get("ref"), row),
        name=row["name"] or _code(row.get("ref"), row),
        is_active=bool(row["active"]),
        changed_at=_changed_at(row),
    )


def _customer(row: Row, _: Surroundings) -> ErpCustomer:
    return ErpCustomer(
        theirs=str(row["id"]),
        code=_code(row.get("ref"), row),
        name=row["name"] or _code(row.get("ref"), row),
        region=str(row["country_id"][1]) if row.get("country_id") else "",
        is_active=bool(row["active"]),
        changed_at=_changed_at(row),
    )


def _lines(row: Row, around: Surroundings, *, ordered: str, done: str) -> tuple[ErpOrderLine, ...]:
    rate = Decimal(str(row.get("currency_rate") or 1))
    lines = []
    for line in around.lines.get(int(row["id"]), ()):
        product = number_of(line.get("product_id"))
        # Sections, notes and services hold no goods.
        if product is None or product not in around.goods:
            continue
        unit = around.units[int(line[around.unit_field][0])]
        lines.append(
            ErpOrderLine(
                theirs=str(line["id"]),
                product=str(product),
                quantity=Decimal(str(line[ordered])),
                done=Decimal(str(line.get(done) or 0)),
                unit=unit.name,
                factor=unit.in_units_of(around.units[around.goods[product]]),
                # Odoo keeps amounts in the order's currency, and how much of that one of the company's is.
                unit_amount=Decimal(str(line["price_unit"])) / rate,
            )
        )
    return tuple(lines)


def _state(row: Row, lines: Sequence[ErpOrderLine]) -> OrderState:
    if row["state"] == "cancel":
        return OrderState.CANCELLED
    if row["state"] not in _FIRM:
        return OrderState.DRAFT
    is_complete = bool(lines) and all(line.done >= line.quantity for line in lines)
    return OrderState.COMPLETED if is_complete else OrderState.CONFIRMED


def _partner(row: Row, around: Surroundings) -> str:
    partner = int(row["partner_id"][0])
    return str(around.companies.get(partner, partner))


def _purchase_order(row: Row, around: Surroundings) -> ErpPurchaseOrder:
    lines = _lines(row, around, ordered="product_qty", done="qty_received")
    return ErpPurchaseOrder(
        theirs=str(row["id"]),
        code=row["name"],
        supplier=_partner(row, around),
        location=str(around.warehouses[int(row["picking_type_id"][0])]),
        state=_state(row, lines),
        lines=lines,
        ordered_on=date.fromisoformat(row["date_order"][:10]),
        promised_on=_day(row.get("date_planned")),
        reference=row.get("origin") or "",
        changed_at=_changed_at(row),
    )


def _customer_order(row: Row, around: Surroundings) -> ErpCustomerOrder:
    lines = _lines(row, around, ordered="product_uom_qty", done="qty_delivered")
    return ErpCustomerOrder(
        theirs=str(row["id"]),
        code=row["name"],
        customer=_partner(row, around),
        location=str(int(row["warehouse_id"][0])),
        state=_state(row, lines),
        lines=lines,
        ordered_on=date.fromisoformat(row["date_order"][:10]),
        requested_on=_day(row.get("commitment_date")),
        changed_at=_changed_at(row),
    )


_BUILDERS: Mapping[ErpKind, Callable[[Row, Surroundings], ErpRecord]] = {
    ErpKind.PRODUCT: _product,
    ErpKind.LOCATION: _location,
    ErpKind.SUPPLIER: _supplier,
    ErpKind.CUSTOMER: _customer,
    ErpKind.PURCHASE_ORDER: _purchase_order,
    ErpKind.CUSTOMER_ORDER: _customer_order,
}
