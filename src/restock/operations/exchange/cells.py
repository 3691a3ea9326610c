"""Cells of a file: text becomes a typed value, a value becomes text, and no text becomes a formula."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from restock.errors import DataError

# What a database column of a name holds.
LONGEST_CODE = 128
LONGEST_TEXT = 10_000
# Between the entries of a list, such as two barcodes.
LIST_SEPARATOR = "|"
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?")
# What a spreadsheet takes for a formula, behind blanks and apostrophes too; the last four are full-width signs.
_FORMULA = re.compile("['\\s]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|'*[\\t\\r\\n]")
_LARGEST_INTEGER = 2**31 - 1
# Whole digits and decimal places that quantities and money may have.
_LARGEST_NUMBER = Decimal(10) ** 12
_MOST_PLACES = 6
_FIRST_DAY, _LAST_DAY = date(1900, 1, 1), date(2999, 12, 31)
_SHOWN = 60


class CellError(DataError):
    """A cell does not hold what its column is for."""

    title = "A cell can't be read"


class CellType(StrEnum):
    """What a column holds."""

    CODE = "code"
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    INSTANT = "instant"
    LIST = "list"
    JSON = "json"


def read_cell(text: str, cell_type: CellType, *, column: str, decimal_mark: str = ".") -> Any:
    """Return the value of a cell that is not blank.

    Args:
        text: without blanks around it.
        cell_type: what it must hold.
        column: its name, for the message.
        decimal_mark: of numbers, point or comma.

    Raises:
        CellError: it does not.

    Example:
        >>> read_cell("12,5", CellType.NUMBER, column="quantity", decimal_mark=",")
        Decimal('12.5')
    """
    try:
        if cell_type is CellType.NUMBER:
            return _read_number(text, decimal_mark=decimal_mark)
        return _READERS[cell_type](text)
    except (ValueError, InvalidOperation) as error:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        expected = str(error) if isinstance(error, _ExpectedError) else _EXPECTED[cell_type]
        raise CellError(f"{column} is {shown!r}, expected {expected}.") from error


def write_cell(value: Any) -> str:
    """Return a value as text that `read_cell` reads back; empty where there is none.

    Example:
        >>> write_cell(Decimal("12.50")), write_cell(True), write_cell(["1", "2"])
        ('12.50', 'true', '1|2')
    """
    match value:
        case None:
            text = ""
        case bool():
            text = "true" if value else "false"
        case Decimal():
            text = f"{value:f}"
        case datetime():
            text = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            text = value.isoformat()
        case list() | tuple():
            text = LIST_SEPARATOR.join(str(each) for each in value)
        case dict():
            text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
        case _:
            text = str(value)
    return text


def guard_formula(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: with an apostrophe before what would be one.

    Numbers are none, whatever their sign. `unguard_formula` gives every text back.

    Example:
        >>> guard_formula("=1+1"), guard_formula("-5"), guard_formula("tea")
        ("'=1+1", '-5', 'tea')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unguard_formula(text: str) -> str:
    """Return what `guard_formula` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text


def clean_cell(text: str) -> str:
    """Return a cell without blanks around it and without characters that no database keeps."""
    return text.replace("\x00", "\ufffd").strip(" \u00a0\u202f\t\r\n\v\f")


class _ExpectedError(ValueError):
    """Says what was expected in its own words."""


def _read_code(text: str) -> str:
    if len(text) > LONGEST_CODE:
        raise _ExpectedError(f"at most {LONGEST_CODE} characters, got {len(text)}")
    if any(ord(character) < ord(" ") or ord(character) == 127 for character in text):
        raise _ExpectedError("no line ends and no other control characters")
    return text


def _read_text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise _ExpectedError(f"at most {LONGEST_TEXT:,} characters, got {len(text):,}")
    return text


def _read_number(text: str, *, decimal_mark: str) -> Decimal:
    if decimal_mark != ".":
        if "." in text:
            raise _ExpectedError(f"a number with {decimal_mark!r} as decimal mark and nothing between thousands")
        text = text.replace(decimal_mark, ".")
    if not _NUMBER.fullmatch(text):
        raise _ExpectedError(f"a number with {decimal_mark!r} as decimal mark and nothing between thousands")
    number = Decimal(text)
    if abs(number) > _LARGEST_NUMBER:
        raise _ExpectedError(f"at most {_LARGEST_NUMBER:,}")
    if number != round(number, _MOST_PLACES):
        raise _ExpectedError(f"at most {_MOST_PLACES} decimal places")
    return number


def _read_integer(text: str) -> int:
    number = _read_number(text, decimal_mark=".")
    if number != int(number) or abs(number) > _LARGEST_INTEGER:
        raise ValueError
    return int(number)


def _read_boolean(text: str) -> bool:
    lower = text.lower()
    if lower not in _TRUE | _FALSE:
        raise ValueError
    return lower in _TRUE


def _read_date(text: str) -> date:
    # A spreadsheet writes a day as an instant at midnight.
    day, _, rest = text.replace("T", " ").partition(" ")
    if rest.strip("0:.Z ") != "":
        raise ValueError
    found = date.fromisoformat(day)
    if not _FIRST_DAY <= found <= _LAST_DAY:
        raise ValueError
    return found


def _read_instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
    if not _FIRST_DAY.year < instant.year <= _LAST_DAY.year:
        raise ValueError
    return instant.astimezone(UTC)


def _read_list(text: str) -> list[str]:
    return [_read_code(part.strip()) for part in text.split(LIST_SEPARATOR) if part.strip()]


def _read_json(text: str) -> dict[str, Any]:
    value = json.loads(_read_text(text))
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004  (a cell's content, not a caller's bug)
    return value


_READERS: dict[CellType, Callable[[str], Any]] = {
    CellType.CODE: _read_code,
    CellType.TEXT: _read_text,
    CellType.INTEGER: _read_integer,
    CellType.BOOLEAN: _read_boolean,
    CellType.DATE: _read_date,
    CellType.INSTANT: _read_instant,
    CellType.LIST: _read_list,
    CellType.JSON: _read_json,
}
_EXPECTED = {
    CellType.CODE: "text",
    CellType.TEXT: "text",
    CellType.INTEGER: "a whole number",
    CellType.NUMBER: "a number",
    CellType.BOOLEAN: "true or false",
    CellType.DATE: "a day written 2024-12-31, from 1900 on",
    CellType.INSTANT: "an instant written 2024-12-31T23:59:59Z or with its offset; without one it is UTC",
    CellType.LIST: f"texts separated by {LIST_SEPARATOR}",
    CellType.JSON: "a JSON object",
}
