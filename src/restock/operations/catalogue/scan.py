"""A scanned code as the product, unit, lot and quantity that it means here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import Connection, func, select

from restock.adapters.database.catalogue_tables import BarcodeRow, LotRow, ProductRow
from restock.adapters.database.ledger_tables import BalanceRow
from restock.errors import NotFoundError
from restock.ledger.gtin import check_digit, shorten_gtin
from restock.ledger.scan import Element, ScanError, ScannedCode, read_code
from restock.operations.catalogue.places import read_location
from restock.operations.catalogue.product_drafts import ProductRecord
from restock.operations.catalogue.products import read_product

_LONGEST_SKU = 128


class UnknownCodeError(NotFoundError):
    """A code was read, but no product has it.

    Attributes:
        read: what was read, ready for JSON.
    """

    title = "No product has this code"

    def __init__(self, message: str, *, read: dict[str, object]) -> None:
        super().__init__(message)
        self.read = read

    def members(self) -> dict[str, object]:
        """Return what was read."""
        return {"read": self.read}


class LotState(StrEnum):
    """What the catalogue knows of a scanned lot."""

    NONE = "none"
    UNTRACKED = "untracked"
    UNKNOWN = "unknown"
    KNOWN = "known"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True)
class ResolvedScan:
    """What a scan means here.

    Attributes:
        read_as: as what it was read; "sku" where the code is a sku itself.
        gtin: 14 digits; None where it was a sku.
        product: the product.
        unit: unit of measure that the code stands on.
        factor: base units in one of it.
        quantity: how many of `unit` the code says; None where it does not.
        base_quantity: base units that one scan stands for.
        lot: lot number; None where the code has none.
        lot_state: none in the code; untracked: the product is not kept by lots; unknown here; known; or expired.
        expires_on: expiry that the code says, else the one known here; None where neither says.
        known_expires_on: expiry known here; where it differs from the code's, one of both is wrong.
        serial: serial number; None where there is none.
        others: what else the code says.
        location: where was asked for; None where nowhere.
        on_hand: base units there, of the lot where one was scanned; None where no location was asked for.
    """

    read_as: str
    gtin: str | None
    product: ProductRecord
    unit: str
    factor: Decimal
    quantity: int | None
    base_quantity: Decimal
    lot: str | None
    lot_state: LotState
    expires_on: date | None
    known_expires_on: date | None
    serial: str | None
    others: tuple[Element, ...]
    location: str | None
    on_hand: Decimal | None


def resolve_scan(connection: Connection, text: str, *, today: date, location: str | None = None) -> ResolvedScan:
    """Return what a scanned code means here.

    A code that is no barcode, or one that no product has, may be a sku as printed on labels of one's own.

    Args:
        connection: in a transaction.
        text: as the scanner sent it.
        today: the company's day, which a lot's expiry is compared with.
        location: where the balance is asked for; None: nowhere.

    Raises:
        ScanError: it can't be read, and no sku is written so.
        UnknownCodeError: it was read, but no product has it.
        NotFoundError: the location is unknown.
    """
    if location is not None:
        read_location(connection, location)
    try:
        code = read_code(text, today=today)
    except ScanError:
        sku = _find_sku(connection, text)
        if sku is None:
            raise
        return _resolve_sku(connection, sku, location=location)
    owner = _find_owner(connection, code)
    if owner is None:
        sku = _find_sku(connection, text)
        if sku is None:
            raise _unknown(connection, code)
        return _resolve_sku(connection, sku, location=location)
    gtin, sku, unit = owner
    return _resolve(connection, code, sku=sku, gtin=gtin, unit=unit, today=today, location=location)


def describe_code(code: ScannedCode) -> dict[str, object]:
    """Return what a code says, ready for JSON."""
    return {
        "read_as": code.read_as.value,
        "gtin": code.gtin,
        "lot": code.lot,
        "expires_on": None if code.expires_on is None else code.expires_on.isoformat(),
        "serial": code.serial,
        "quantity": code.quantity,
        "others": [{"identifier": each.identifier, "name": each.name, "value": each.value} for each in code.others],
    }


def _find_owner(connection: Connection, code: ScannedCode) -> tuple[str, str, str] | None:
    """Return GTIN, sku and unit of the first of a code's GTINs that a product has."""
    gtins: Sequence[str] = () if code.gtin is None else (code.gtin, *code.other_gtins)
    rows = connection.execute(
        select(BarcodeRow.gtin, BarcodeRow.sku, BarcodeRow.unit).where(BarcodeRow.gtin.in_(gtins))
    ).all()
    owners = {row.gtin: (row.gtin, row.sku, row.unit) for row in rows}
    return next((owners[gtin] for gtin in gtins if gtin in owners), None)


def _find_sku(connection: Connection, text: str) -> str | None:
    sku = text.strip()
    # A text that no database column takes is no sku either.
    if not sku or len(sku) > _LONGEST_SKU or not sku.isprintable():
        return None
    return connection.execute(select(ProductRow.sku).where(ProductRow.sku == sku)).scalar_one_or_none()


def _unknown(connection: Connection, code: ScannedCode) -> UnknownCodeError:
    read = describe_code(code)
    if code.gtin is None:
        return UnknownCodeError(
            "the code names no product: it has neither (01) nor (02). Scan the code that holds the GTIN.", read=read
        )
    hint = ""
    item = f"0{code.gtin[1:13]}"
    row = connection.execute(
        select(BarcodeRow.sku).where(BarcodeRow.gtin == f"{item}{check_digit(item)}")
    ).scalar_one_or_none()
    if code.gtin[0] != "0" and row is not None:
        hint = f" It may be a case of sku {row!r}: add it there as the barcode of that unit."
    return UnknownCodeError(
        f"no product has barcode {shorten_gtin(code.gtin)}.{hint} Add it to its product, or create the product.",
        read=read,
    )


def _resolve_sku(connection: Connection, sku: str, *, location: str | None) -> ResolvedScan:
    product = read_product(connection, sku)
    return ResolvedScan(
        read_as="sku",
        gtin=None,
        product=product,
        unit=product.base_unit,
        factor=Decimal(1),
        quantity=None,
        base_quantity=Decimal(1),
        lot=None,
        lot_state=LotState.NONE,
        expires_on=None,
        known_expires_on=None,
        serial=None,
        others=(),
        location=location,
        on_hand=_read_on_hand(connection, product, lot=None, location=location),
    )


def _resolve(
    connection: Connection,
    code: ScannedCode,
    *,
    sku: str,
    gtin: str,
    unit: str,
    today: date,
    location: str | None,
) -> ResolvedScan:
    product = read_product(connection, sku)
    factor = next((each.factor for each in product.units if each.unit == unit), Decimal(1))
    state, known_expires_on = _judge_lot(connection, code, product, today=today)
    return ResolvedScan(
        read_as=code.read_as.value,
        gtin=gtin,
        product=product,
        unit=unit,
        factor=factor,
        quantity=code.quantity,
        base_quantity=factor * (code.quantity or 1),
        lot=code.lot,
        lot_state=state,
        expires_on=code.expires_on or known_expires_on,
        known_expires_on=known_expires_on,
        serial=code.serial,
        others=code.others,
        location=location,
        on_hand=_read_on_hand(connection, product, lot=code.lot if product.is_lot_tracked else None, location=location),
    )


def _judge_lot(
    connection: Connection, code: ScannedCode, product: ProductRecord, *, today: date
) -> tuple[LotState, date | None]:
    """Return what is known of a code's lot, and its expiry as known here."""
    if code.lot is None:
        # A label without a lot may still say that it has expired.
        is_expired = code.expires_on is not None and code.expires_on < today
        return LotState.EXPIRED if is_expired else LotState.NONE, None
    known = connection.execute(
        select(LotRow.expires_on).where(LotRow.sku == product.sku, LotRow.lot == code.lot)
    ).one_or_none()
    known_expires_on = None if known is None else known.expires_on
    # The earlier of two that differ: rather checked than sold.
    days = [day for day in (code.expires_on, known_expires_on) if day is not None]
    if days and min(days) < today:
        return LotState.EXPIRED, known_expires_on
    if not product.is_lot_tracked:
        return LotState.UNTRACKED, known_expires_on
    return LotState.UNKNOWN if known is None else LotState.KNOWN, known_expires_on


def _read_on_hand(
    connection: Connection, product: ProductRecord, *, lot: str | None, location: str | None
) -> Decimal | None:
    """Return the base units of a product, or of one lot of it, at a location."""
    if location is None:
        return None
    total = select(func.coalesce(func.sum(BalanceRow.quantity), 0)).where(
        BalanceRow.sku == product.sku, BalanceRow.location == location
    )
    if lot is not None:
        total = total.where(BalanceRow.lot == lot)
    return Decimal(int(connection.execute(total).scalar_one())).scaleb(-product.quantity_decimals)
