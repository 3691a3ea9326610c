"""From a source's values to typed ones: what each kind of column accepts, null where a value is not of its kind."""

from __future__ import annotations

import re
from datetime import date

import polars as pl

from restock.adapters.sources.mapping import SourceMapping
from restock.schema import Column, ColumnType

_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")
# Between the entries of a list in text, such as two barcodes.
LIST_SEPARATOR = "|"
# An earlier date is a two-digit year or a spreadsheet's zero, not a fact of trade.
EARLIEST_DATE = date(1900, 1, 1)
_HOLES = ("null", "nan", "n/a", "#n/a", "<na>", "#ref!", "#value!")
_INSTANT_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
_OFFSET_FORMATS = ("%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M%:z")
# Doubles hold every whole number up to here.
_LARGEST_WHOLE = 2.0**53


def describe_expected(column: Column, mapping: SourceMapping) -> str:
    """Return in words what a value of the column must look like."""
    return {
        ColumnType.TEXT: "text",
        ColumnType.INTEGER: "a whole number",
        ColumnType.NUMBER: f"a number with {mapping.decimal!r} as decimal mark",
        ColumnType.BOOLEAN: f"one of {', '.join((*_TRUE, *_FALSE))}",
        ColumnType.DATE: f"a date written {mapping.date_format}, from {EARLIEST_DATE.year} on",
        ColumnType.TIMESTAMP_UTC: "an instant written 2024-12-31T23:59:59Z or with its offset; without one it is UTC",
        ColumnType.TEXT_LIST: f"texts separated by {LIST_SEPARATOR}",
    }[column.type]


def cast_column(column: Column, dtype: pl.DataType, *, mapping: SourceMapping) -> pl.Expr:
    """Return the expression that types one column; null where a value is not of the column's kind.

    Blanks around text are dropped and empty text is null, since files can't write the difference.

    Args:
        column: the declaration.
        dtype: type of the source's column.
        mapping: how dates and numbers are written in text.
    """
    value = pl.col(column.name)
    if dtype == pl.Null:
        return pl.lit(None, dtype=column.type.polars).alias(column.name)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        value, dtype = value.cast(pl.String), pl.String()
    if dtype == pl.String:
        text = value.str.strip_chars()
        typed = _from_text(_without_blanks(text, column, mapping=mapping), column, mapping=mapping)
    else:
        typed = _from_values(value, column, dtype=dtype)
    return typed.alias(column.name)


def _without_blanks(text: pl.Expr, column: Column, *, mapping: SourceMapping) -> pl.Expr:
    """Return text, null where it says that there is no value."""
    text = text.replace(["", *mapping.null_values], [None] * (1 + len(mapping.null_values)))
    if column.type is ColumnType.TEXT and not column.is_nullable:
        # A sku named NULL is a hole in an export, not an article.
        text = pl.when(~text.str.to_lowercase().is_in(_HOLES)).then(text)
    return text


def _from_text(text: pl.Expr, column: Column, *, mapping: SourceMapping) -> pl.Expr:
    """Return the expression that reads text as the column's kind."""
    number = _number(text, mapping=mapping)
    lower = text.str.to_lowercase()
    readings = {
        ColumnType.TEXT: text,
        ColumnType.TEXT_LIST: text.str.split(LIST_SEPARATOR),
        ColumnType.NUMBER: number,
        ColumnType.INTEGER: pl.coalesce(text.cast(pl.Int64, strict=False), _whole(number)),
        ColumnType.BOOLEAN: _one_of_two(lower.is_in(_TRUE), lower.is_in(_FALSE)),
        ColumnType.DATE: _plausible(text.str.to_date(mapping.date_format, strict=False)),
        ColumnType.TIMESTAMP_UTC: _instant(text),
    }
    return readings[column.type]


def _number(text: pl.Expr, *, mapping: SourceMapping) -> pl.Expr:
    """Return text as a number; with a decimal comma a point is no part of a number."""
    if mapping.thousands is not None:
        grouped = rf"^[+-]?\d{{1,3}}({re.escape(mapping.thousands)}\d{{3}})+({re.escape(mapping.decimal)}\d*)?$"
        whole = text.str.replace_all(mapping.thousands, "", literal=True)
        text = pl.when(text.str.contains(grouped)).then(whole).otherwise(text)
    if mapping.decimal == ",":
        text = pl.when(~text.str.contains(".", literal=True)).then(text.str.replace(",", ".", literal=True))
    return text.cast(pl.Float64, strict=False)


def _whole(number: pl.Expr) -> pl.Expr:
    """Return a number as an integer where it is one."""
    is_whole = number.is_finite() & (number.abs() <= _LARGEST_WHOLE) & (number == number.floor())
    return pl.when(is_whole).then(number).cast(pl.Int64, strict=False)


def _plausible(day: pl.Expr) -> pl.Expr:
    return pl.when(day >= EARLIEST_DATE).then(day)


def _instant(text: pl.Expr) -> pl.Expr:
    """Return ISO 8601 text as a UTC instant."""
    plain = text.str.replace("T", " ", literal=True).str.replace("Z$", "+00:00")
    with_offset = [
        plain.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC") for form in _OFFSET_FORMATS
    ]
    without = [
        plain.str.to_datetime(form, strict=False, time_unit="us").dt.replace_time_zone("UTC")
        for form in _INSTANT_FORMATS
    ]
    return pl.coalesce(*with_offset, *without)


def _one_of_two(is_true: pl.Expr, is_false: pl.Expr) -> pl.Expr:
    return pl.when(is_true | is_false).then(is_true)


def _is_readable(kind: ColumnType, dtype: pl.DataType) -> bool:
    """Return whether values of a type can be of the kind at all."""
    readable = {
        ColumnType.TEXT: not dtype.is_nested() and dtype != pl.Binary,
        ColumnType.TEXT_LIST: isinstance(dtype, pl.List),
        ColumnType.NUMBER: dtype.is_numeric() or dtype == pl.Boolean,
        ColumnType.INTEGER: dtype.is_numeric(),
        ColumnType.BOOLEAN: dtype.is_numeric(),
        ColumnType.DATE: isinstance(dtype, pl.Datetime),
        ColumnType.TIMESTAMP_UTC: isinstance(dtype, pl.Datetime),
    }
    return readable[kind]


def _from_values(value: pl.Expr, column: Column, *, dtype: pl.DataType) -> pl.Expr:
    """Return the expression that reads typed values, as parquet has them, as the column's kind."""
    target = column.type.polars
    if dtype == target:
        return _plausible(value) if column.type is ColumnType.DATE else value
    if not _is_readable(column.type, dtype):
        return pl.lit(None, dtype=target)
    number = value.cast(pl.Float64, strict=False) if dtype.is_numeric() else value
    typed = value.cast(target, strict=False)
    if column.type is ColumnType.TEXT and dtype.is_float():
        # A nullable whole number that went through pandas is a float: 101.0 was 101.
        typed = pl.coalesce(_whole(number).cast(pl.String), value.cast(pl.String))
    elif column.type is ColumnType.INTEGER and not dtype.is_integer():
        typed = _whole(number)
    elif column.type is ColumnType.BOOLEAN:
        typed = _one_of_two(number == 1, number == 0)
    elif isinstance(dtype, pl.Datetime):
        typed = _from_instant(value, column, zone=dtype.time_zone)
    return typed


def _from_instant(value: pl.Expr, column: Column, *, zone: str | None) -> pl.Expr:
    """Return a date and time as the column's kind; without a zone it is UTC."""
    if column.type is ColumnType.DATE:
        # A date column with times of day is another fact than the day.
        return _plausible(pl.when(value == value.dt.truncate("1d")).then(value.dt.date()))
    if column.type is ColumnType.TIMESTAMP_UTC:
        aware = value.dt.convert_time_zone("UTC") if zone else value.dt.replace_time_zone("UTC")
        return aware.cast(column.type.polars)
    return value.cast(column.type.polars)
