"""Which alerts stock calls for: negative balances, reorder points, expiry, receipts and late orders; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from restock.ledger.balances import BalanceKey, Lot
from restock.ledger.movements import is_virtual

# A lot is told of so many days before it can't be sold any more.
EXPIRES_SOON_DAYS = 14


class AlertKind(StrEnum):
    """What is wrong."""

    NEGATIVE_STOCK = "negative_stock"
    BELOW_REORDER_POINT = "below_reorder_point"
    LOT_EXPIRING = "lot_expiring"
    LOT_EXPIRED = "lot_expired"
    RECEIPT_SHORT = "receipt_short"
    RECEIPT_OVER = "receipt_over"
    PURCHASE_ORDER_OVERDUE = "purchase_order_overdue"
    WEBHOOK_FAILING = "webhook_failing"


class Severity(StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True)
class AlertDraft:
    """Something that a person should look at.

    Attributes:
        kind: what is wrong.
        severity: how much it matters.
        about: names the thing; one alert about it is open at a time.
        summary: one sentence with the numbers.
        sku: the product; None where it is about none.
        location: where; None where it is nowhere.
        evidence: what was seen, ready for JSON.
        repair: what would mend it, ready for JSON; None where nothing is suggested.
    """

    kind: AlertKind | str
    severity: Severity
    about: str
    summary: str
    sku: str | None = None
    location: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    repair: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class StockPlace:
    """A product at a location, and how its quantities are written.

    Attributes:
        sku: the product.
        location: where.
        quantity_decimals: decimal places of the base unit.
        base_unit: such as piece.
    """

    sku: str
    location: str
    quantity_decimals: int = 0
    base_unit: str = "units"

    def words(self, scaled: int) -> str:
        """Return scaled base units as a number."""
        return f"{Decimal(scaled).scaleb(-self.quantity_decimals):f}"


@dataclass(frozen=True, kw_only=True)
class OrderedLine:
    """A line of a purchase order and what of it has come.

    Attributes:
        purchase_order: the order.
        line: its number.
        quantity_ordered: scaled base units.
        quantity_received: scaled base units.
        is_closed: nothing more is expected.
    """

    purchase_order: str
    line: int
    quantity_ordered: int
    quantity_received: int
    is_closed: bool


def name_about(kind: AlertKind | str, *parts: str) -> str:
    """Return what an alert is about, such as negative_stock:SKU:LOCATION; parts with a colon stay apart.

    Example:
        >>> name_about(AlertKind.NEGATIVE_STOCK, "A:1", "L")
        'negative_stock:A%3A1:L'
    """
    return ":".join([str(kind), *(quote(part, safe=" /@") for part in parts)])


def about_balance(key: BalanceKey) -> str:
    """Return what an alert about a balance below zero is about."""
    sku, location, lot = key
    return name_about(AlertKind.NEGATIVE_STOCK, sku, location, *([lot] if lot else []))


def judge_balance(place: StockPlace, *, lot: str, balance: int) -> AlertDraft | None:
    """Return the alert for a balance that is below zero; None where it is not, or the location is virtual.

    Args:
        place: the product and where.
        lot: its lot.
        balance: scaled base units.
    """
    if balance >= 0 or is_virtual(place.location):
        return None
    of_lot = f" lot {lot}" if lot else ""
    return AlertDraft(
        kind=AlertKind.NEGATIVE_STOCK,
        severity=Severity.WARNING,
        about=about_balance((place.sku, place.location, lot)),
        sku=place.sku,
        location=place.location,
        summary=f"{place.location} has {place.words(balance)} {place.base_unit} of {place.sku}{of_lot} by the books: "
        "more went out than was booked in.",
        evidence={"lot": lot, "balance": place.words(balance)},
        repair={"action": "count", "sku": place.sku, "location": place.location, "lot": lot},
    )


def judge_reorder_point(place: StockPlace, *, inventory_position: int, reorder_point: int) -> AlertDraft | None:
    """Return the alert for an inventory position below the reorder point of the plan; None where it is not.

    Args:
        place: the product and where.
        inventory_position: on hand and on order, scaled base units.
        reorder_point: of the latest plan, scaled base units.
    """
    if inventory_position >= reorder_point:
        return None
    return AlertDraft(
        kind=AlertKind.BELOW_REORDER_POINT,
        severity=Severity.WARNING,
        about=name_about(AlertKind.BELOW_REORDER_POINT, place.sku, place.location),
        sku=place.sku,
        location=place.location,
        summary=f"{place.sku} at {place.location}: {place.words(inventory_position)} {place.base_unit} on hand and on "
        f"order, below the reorder point of {place.words(reorder_point)}.",
        evidence={
            "inventory_position": place.words(inventory_position),
            "reorder_point": place.words(reorder_point),
        },
        repair={"action": "order", "sku": place.sku, "location": place.location},
    )


def judge_expiry(
    place: StockPlace, lot: Lot, *, today: date, expires_soon_days: int = EXPIRES_SOON_DAYS
) -> AlertDraft | None:
    """Return the alert for stock of a lot that has expired or will soon; None where it does not, or there is none.

    Args:
        place: the product and where.
        lot: the lot and its balance.
        today: the company's day.
        expires_soon_days: how many days ahead it is told of.
    """
    if lot.expires_on is None or lot.quantity <= 0:
        return None
    days = (lot.expires_on - today).days
    if days > expires_soon_days:
        return None
    is_expired = days < 0
    kind = AlertKind.LOT_EXPIRED if is_expired else AlertKind.LOT_EXPIRING
    when = f"expired on {lot.expires_on}" if is_expired else f"expires on {lot.expires_on}, in {days} days"
    return AlertDraft(
        kind=kind,
        severity=Severity.CRITICAL if is_expired else Severity.WARNING,
        about=name_about(kind, place.sku, place.location, lot.lot),
        sku=place.sku,
        location=place.location,
        summary=f"{place.words(lot.quantity)} {place.base_unit} of {place.sku} lot {lot.lot} at {place.location} "
        f"{when}.",
        evidence={
            "lot": lot.lot,
            "expires_on": lot.expires_on.isoformat(),
            "quantity": place.words(lot.quantity),
        },
        repair={
            "action": "write_off" if is_expired else "sell_first",
            "sku": place.sku,
            "location": place.location,
            "lot": lot.lot,
        },
    )


def judge_receipt(place: StockPlace, line: OrderedLine) -> AlertDraft | None:
    """Return the alert for an order's line that came short or over; None where it did neither, or is still awaited.

    Args:
        place: the product and where it was ordered for.
        line: what was ordered and what has come.
    """
    difference = line.quantity_received - line.quantity_ordered
    if difference == 0 or (difference < 0 and not line.is_closed):
        return None
    kind = AlertKind.RECEIPT_OVER if difference > 0 else AlertKind.RECEIPT_SHORT
    return AlertDraft(
        kind=kind,
        severity=Severity.INFO if difference > 0 else Severity.WARNING,
        about=name_about(kind, line.purchase_order, str(line.line)),
        sku=place.sku,
        location=place.location,
        summary=f"purchase order {line.purchase_order} line {line.line}: {place.words(line.quantity_received)} of "
        f"{place.words(line.quantity_ordered)} {place.base_unit} of {place.sku} came.",
        evidence={
            "purchase_order": line.purchase_order,
            "line": line.line,
            "quantity_ordered": place.words(line.quantity_ordered),
            "quantity_received": place.words(line.quantity_received),
        },
        repair={"action": "claim" if difference < 0 else "return", "purchase_order": line.purchase_order},
    )


def judge_promise(
    purchase_order: str, *, supplier: str, location: str, promised_on: date | None, today: date
) -> AlertDraft | None:
    """Return the alert for an open purchase order whose promised day has passed; None where it has not.

    Args:
        purchase_order: sent, and not all of it has come.
        supplier: who delivers.
        location: where to.
        promised_on: the day that the supplier promised; None where they did not.
        today: the company's day.
    """
    if promised_on is None or promised_on >= today:
        return None
    days = (today - promised_on).days
    return AlertDraft(
        kind=AlertKind.PURCHASE_ORDER_OVERDUE,
        severity=Severity.WARNING,
        about=name_about(AlertKind.PURCHASE_ORDER_OVERDUE, purchase_order),
        location=location,
        summary=f"purchase order {purchase_order} was promised for {promised_on} by {supplier}, {days} days ago.",
        evidence={"purchase_order": purchase_order, "supplier": supplier, "promised_on": promised_on.isoformat()},
        repair={"action": "ask_supplier", "purchase_order": purchase_order, "supplier": supplier},
    )
