"""USAID's SCMS delivery history: order lines with the scheduled and the real day of delivery, from CSV as published."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import polars as pl

from restock.errors import DataError

FILE = "scms_scheduled_before_2014.csv.gz"
SCHEDULED, DELIVERED, ORDERED, QUOTED = "scheduled_on", "delivered_on", "ordered_on", "quoted_on"

# Their name and ours; what is missing in a file is null.
TEXT_COLUMNS = {
    "Project Code": "project", "PQ #": "quote", "PO / SO #": "order", "ASN/DN #": "shipment", "Country": "country",
    "Fulfill Via": "fulfilled_via", "Vendor INCO Term": "terms", "Shipment Mode": "mode", "Vendor": "vendor",
    "Sub Classification": "subclass", "Molecule/Test Type": "molecule", "Item Description": "item",
    "Manufacturing Site": "site",
}  # fmt: skip
NUMBER_COLUMNS = {
    "Line Item Quantity": "quantity", "Line Item Value": "value", "Pack Price": "pack_price",
    "Weight (Kilograms)": "weight_kg",
}  # fmt: skip
_DATE_COLUMNS = {
    "Scheduled Delivery Date": SCHEDULED, "Delivered to Client Date": DELIVERED, "PO Sent to Vendor Date": ORDERED,
    "PQ First Sent to Client Date": QUOTED,
}  # fmt: skip
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})")
_NAMED = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{2}|\d{4})")
_MANGLED = re.compile(r"20(\d{2})-(\d{2})-(\d{2})")


def parse_scms_date(text: str | None) -> date | None:
    """Return the day that a text of the file means; None for notes such as "Date Not Captured".

    A date like 2010-09-14 is month, day and year with two digits each after a 20 that does not belong: 9 October 2014.

    Example:
        >>> parse_scms_date("2010-09-14"), parse_scms_date("3/19/10"), parse_scms_date("02-Jun-06")
        (datetime.date(2014, 10, 9), datetime.date(2010, 3, 19), datetime.date(2006, 6, 2))
    """
    if text is None:
        return None
    text = text.strip()
    try:
        if found := _SLASHED.fullmatch(text) or _MANGLED.fullmatch(text):
            month, day, year = (int(part) for part in found.groups())
            return date(year if year > 99 else 2000 + year, month, day)
        if found := _NAMED.fullmatch(text):
            month = _MONTHS.index(found[2].lower()) + 1
            return date(int(found[3]) if len(found[3]) > 2 else 2000 + int(found[3]), month, int(found[1]))
    except ValueError:
        return None
    return None


def read_scms_lines(path: Path, *, has_delivery: bool) -> pl.DataFrame:
    """Return the file's lines in their order: ID, the columns above, dates as days.

    Args:
        path: CSV file, packed with gzip or not; or a folder that holds `FILE` or nothing but one CSV file.
        has_delivery: whether each line must say when it was delivered. Where not, that is not read.

    Raises:
        DataError: the file can't be read, lacks a column that is needed, or a line has no ID or no date.
    """
    file = find_scms_file(path)
    try:
        raw = pl.read_csv(file, infer_schema_length=0)
    except (pl.exceptions.PolarsError, OSError, UnicodeError) as error:
        raise DataError(f"{file.name} can't be read as CSV: {error}.") from error
    needed = ["ID", "Scheduled Delivery Date", *(["Delivered to Client Date"] if has_delivery else [])]
    missing = [name for name in needed if name not in raw.columns]
    if missing:
        raise DataError(
            f"{file.name} lacks column {missing[0]!r}; expected the columns of the SCMS delivery history as published."
        )
    if raw.is_empty():
        raise DataError(f"{file.name} holds no line, expected one or more.")
    nothing = pl.lit(None, dtype=pl.String)
    texts = {ours: pl.col(theirs) if theirs in raw.columns else nothing for theirs, ours in TEXT_COLUMNS.items()}
    numbers = {ours: pl.col(theirs) if theirs in raw.columns else nothing for theirs, ours in NUMBER_COLUMNS.items()}
    lines = raw.select(
        "ID", **texts, **{name: column.cast(pl.Float64, strict=False) for name, column in numbers.items()}
    )
    for theirs, ours in _DATE_COLUMNS.items():
        is_read = theirs in raw.columns and (has_delivery or ours != DELIVERED)
        days = [parse_scms_date(text) for text in raw[theirs]] if is_read else [None] * raw.height
        lines = lines.with_columns(pl.Series(ours, days, dtype=pl.Date))
    for theirs in needed:
        ours = _DATE_COLUMNS.get(theirs, theirs)
        if lines[ours].null_count():
            line = int(lines[ours].is_null().arg_max() or 0)
            raise DataError(
                f"{file.name} line {line + 2}: {theirs!r} is {raw[theirs][line]!r}, expected "
                f"{'a date such as 02-Jun-06' if ours != theirs else 'a text'}."
            )
    if lines["ID"].is_duplicated().any():
        raise DataError(f"{file.name} holds ID {lines['ID'].filter(lines['ID'].is_duplicated())[0]} more than once.")
    return lines


def find_scms_file(path: Path) -> Path:
    """Return the CSV file that a path means: itself, `FILE` in a folder, or the only CSV file there.

    Raises:
        DataError: there is none, or more than one.
    """
    if not path.is_dir():
        if path.is_file():
            return path
        raise DataError(f"{path} does not exist, expected a CSV file of order lines or a folder with one.")
    if (path / FILE).is_file():
        return path / FILE
    found = sorted(one for one in path.iterdir() if one.name.endswith((".csv", ".csv.gz")))
    if len(found) != 1:
        raise DataError(f"{path} holds {len(found)} CSV files, expected {FILE} or exactly one. Name the file itself.")
    return found[0]
