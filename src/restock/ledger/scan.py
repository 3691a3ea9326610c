"""Scanned codes: barcodes, GS1 element strings and GS1 Digital Links as product, lot, expiry and quantity; pure."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from biip import BiipException, ParseConfig
from biip.gs1_digital_link_uris import GS1DigitalLinkURI
from biip.gs1_element_strings import GS1ElementString
from biip.gs1_messages import GS1Message

from restock.errors import DataError
from restock.ledger.gtin import GTIN_LENGTHS, GtinError, expand_upc_e, is_gtin, normalise_gtin

# The largest GS1 DataMatrix holds 2,335 characters.
LONGEST_CODE = 2_400
_SHOWN = 80
_SEPARATOR = "\x1d"
# How scanners send FNC1: as ASCII 29, or as the codeword of Data Matrix that they did not translate.
_FNC1 = ("\x1d", "\xe8")
# What a keyboard wedge may send around a code; the separator is white space to str.strip.
_AROUND = " \t\r\n"
_SYMBOLOGY = re.compile(r"\](?P<identifier>[A-Za-z][0-9A-Za-z])")
_GTIN_SYMBOLOGIES = frozenset({"E0", "E3", "E4", "I1"})
_GS1_SYMBOLOGIES = frozenset({"C1", "e0", "e1", "e2", "d2", "Q3", "J1"})
_EAN_DIGITS = 13
_UPC_E_DIGITS = 8
_PRINTED = re.compile(r"\((\d{2,4})\)")
_TRAILING_SLASH = re.compile(r"/+(?=[?#]|$)")
_GTIN, _CONTENT, _LOT, _EXPIRY, _SERIAL, _ITEMS, _COUNT = "01", "02", "10", "17", "21", "30", "37"
# GS1 General Specifications, section 7.12: a year lies at most 49 years back and 50 ahead.
_YEARS_BACK, _YEARS_AHEAD, _CENTURY = 49, 50, 100
_DATE = re.compile(r"\d{6}")
# Dates are read here, by a day that comes in; the library would ask the clock.
_CONFIG = ParseConfig(gs1_element_strings_verify_date=False, separator_chars=(_SEPARATOR,))
# What the library raises on input that no pattern of it foresaw.
_LIBRARY_ERRORS = (BiipException, ValueError, ArithmeticError, LookupError)


class ScanError(DataError):
    """A scanned code is neither a barcode nor GS1 data that can be read."""

    title = "The code can't be read"


class ReadAs(StrEnum):
    """As what a code was read."""

    GTIN = "gtin"
    ELEMENTS = "gs1_element_string"
    DIGITAL_LINK = "gs1_digital_link"


@dataclass(frozen=True, kw_only=True)
class Element:
    """A part of a code that is kept as it is.

    Attributes:
        identifier: GS1 application identifier.
        name: what GS1 calls it, such as BEST BEFORE.
        value: as scanned.
    """

    identifier: str
    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class ScannedCode:
    """What a code says.

    Attributes:
        read_as: as what it was read.
        gtin: 14 digits; None where the code names no product.
        other_gtins: what it may mean too: 8 digits may be a GTIN-8 or a UPC-E.
        lot: batch or lot number; None where there is none.
        expires_on: last day it may be sold; None where it does not say.
        serial: serial number; None where there is none.
        quantity: how many, above 0; None where it does not say.
        others: what else it says, in its order.
    """

    read_as: ReadAs
    gtin: str | None
    other_gtins: tuple[str, ...] = ()
    lot: str | None = None
    expires_on: date | None = None
    serial: str | None = None
    quantity: int | None = None
    others: tuple[Element, ...] = ()


def read_code(text: str, *, today: date) -> ScannedCode:
    """Return what a scanned code says.

    Args:
        text: as the scanner sent it, with or without a symbology identifier: a barcode's digits, a GS1 element string
            (raw with FNC1 as ASCII 29, or printed with parentheses), or a GS1 Digital Link.
        today: years of two digits lie around it.

    Raises:
        ScanError: it is none of them, or a part of it is not valid.

    Example:
        >>> code = read_code("(01)09506000134352(10)ABC(17)250200", today=date(2024, 5, 1))
        >>> code.gtin, code.lot, str(code.expires_on)
        ('09506000134352', 'ABC', '2025-02-28')
    """
    stripped = text.strip(_AROUND)
    if not stripped or len(stripped) > LONGEST_CODE:
        raise ScanError(f"a scanned code has 1 to {LONGEST_CODE} characters, got {len(stripped)}. Scan it again.")
    found = _SYMBOLOGY.match(stripped)
    symbology, body = (found["identifier"], stripped[found.end() :]) if found else ("", stripped)
    for mark in _FNC1:
        body = body.replace(mark, _SEPARATOR)
    body = body.strip(_AROUND + _SEPARATOR)
    if not body:
        raise ScanError(f"{stripped[:_SHOWN]!r} holds nothing but its symbology identifier. Scan it again.")
    if body.lower().startswith(("http://", "https://")):
        elements, read_as = _read_link(body), ReadAs.DIGITAL_LINK
    elif symbology in _GTIN_SYMBOLOGIES or (symbology not in _GS1_SYMBOLOGIES and _looks_like_gtin(body)):
        return _read_barcode(body, symbology=symbology)
    else:
        elements = _read_printed(body) if body.startswith("(") else _read_raw(body)
        read_as = ReadAs.ELEMENTS
    return _interpret(elements, read_as=read_as, today=today)


def _looks_like_gtin(body: str) -> bool:
    return len(body) in GTIN_LENGTHS and body.isascii() and body.isdigit()


def _read_barcode(body: str, *, symbology: str) -> ScannedCode:
    """Return what the digits under a barcode say."""
    digits = body
    others: tuple[Element, ...] = ()
    if symbology == "E3" and len(body) > _EAN_DIGITS:
        digits = body[:_EAN_DIGITS]
        others = (Element(identifier="", name="ADD-ON", value=body[_EAN_DIGITS:]),)
    gtins = [normalise_gtin(digits)] if is_gtin(digits) else []
    if len(digits) == _UPC_E_DIGITS and symbology != "E4":
        gtins += _expanded(digits)
    if not gtins:
        try:
            normalise_gtin(digits)
        except GtinError as error:
            raise ScanError(f"{error}") from error
    return ScannedCode(read_as=ReadAs.GTIN, gtin=gtins[0], other_gtins=tuple(gtins[1:]), others=others)


def _expanded(digits: str) -> list[str]:
    try:
        return [expand_upc_e(digits)]
    except GtinError:
        return []


def _read_link(text: str) -> list[GS1ElementString]:
    try:
        return list(GS1DigitalLinkURI.parse(_TRAILING_SLASH.sub("", text), config=_CONFIG).element_strings)
    except _LIBRARY_ERRORS as error:
        raise ScanError(
            f"{text[:_SHOWN]!r} is an address but no GS1 Digital Link ({error}), expected one such as "
            "https://id.gs1.org/01/09506000134352."
        ) from error


def _read_raw(body: str) -> list[GS1ElementString]:
    try:
        return list(GS1Message.parse(body, config=_CONFIG).element_strings)
    except _LIBRARY_ERRORS as error:
        raise ScanError(
            f"{body[:_SHOWN]!r} is neither a GTIN nor a GS1 element string ({str(error)[:200]}). Scan it again, or set "
            "the scanner to send FNC1 as ASCII 29."
        ) from error


def _read_printed(body: str) -> list[GS1ElementString]:
    """Return the elements of text as it is printed below a code: (01)…(10)… and so on."""
    parts = _PRINTED.split(body)
    if parts[0].strip() or len(parts) == 1:
        raise ScanError(f"{body[:_SHOWN]!r} begins with a parenthesis but with no identifier such as (01).")
    elements = []
    for identifier, value in zip(parts[1::2], parts[2::2], strict=True):
        try:
            element = GS1ElementString.parse(f"{identifier}{value.strip()}", config=_CONFIG)
        except _LIBRARY_ERRORS as error:
            raise ScanError(
                f"({identifier}){value[:_SHOWN]} is no GS1 element: {str(error)[:200]} Check what was typed."
            ) from error
        if element.ai.ai != identifier:
            raise ScanError(f"({identifier}) is no GS1 application identifier, expected one such as ({element.ai.ai}).")
        elements.append(element)
    return elements


def _interpret(elements: Iterable[GS1ElementString], *, read_as: ReadAs, today: date) -> ScannedCode:
    """Return what the elements of a code say together."""
    values: dict[str, str] = {}
    names: dict[str, str] = {}
    for element in elements:
        identifier = element.ai.ai
        if not element.value.isascii():
            raise ScanError(f"({identifier}) holds {element.value[:_SHOWN]!r}, expected ASCII characters.")
        if values.get(identifier, element.value) != element.value:
            raise ScanError(
                f"({identifier}) comes twice, as {values[identifier]!r} and as {element.value!r}. Scan one code at a "
                "time."
            )
        values[identifier], names[identifier] = element.value, element.ai.data_title
    gtin_element = _GTIN if _GTIN in values else _CONTENT
    known = {gtin_element, _LOT, _EXPIRY, _SERIAL, _ITEMS, _COUNT}
    return ScannedCode(
        read_as=read_as,
        gtin=_read_gtin(gtin_element, values.get(gtin_element)),
        lot=values.get(_LOT),
        expires_on=_read_expiry(values.get(_EXPIRY), today=today),
        serial=values.get(_SERIAL),
        quantity=_read_quantity(values),
        others=tuple(
            Element(identifier=identifier, name=names[identifier], value=value)
            for identifier, value in values.items()
            if identifier not in known
        ),
    )


def _read_gtin(identifier: str, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return normalise_gtin(value)
    except GtinError as error:
        raise ScanError(f"({identifier}): {error}") from error


def _read_quantity(values: dict[str, str]) -> int | None:
    counts = {int(values[identifier]) for identifier in (_ITEMS, _COUNT) if identifier in values}
    if not counts:
        return None
    if len(counts) > 1 or 0 in counts:
        raise ScanError(
            f"the code counts {' and '.join(str(count) for count in sorted(counts))} in (30) and (37), expected one "
            "number above 0. Enter the quantity by hand."
        )
    return counts.pop()


def _read_expiry(value: str | None, *, today: date) -> date | None:
    """Return the day of a YYMMDD; day 00 is the last of the month."""
    if value is None:
        return None
    if not _DATE.fullmatch(value):
        raise ScanError(f"(17) is {value[:_SHOWN]!r}, expected a date as YYMMDD.")
    month, day = int(value[2:4]), int(value[4:])
    year = today.year - today.year % _CENTURY + int(value[:2])
    if year - today.year > _YEARS_AHEAD:
        year -= _CENTURY
    elif today.year - year > _YEARS_BACK:
        year += _CENTURY
    try:
        return date(year, month, day or calendar.monthrange(year, month)[1])
    except (ValueError, calendar.IllegalMonthError) as error:
        raise ScanError(f"(17) is {value!r}, which is no date as YYMMDD. Read the expiry from the label.") from error
