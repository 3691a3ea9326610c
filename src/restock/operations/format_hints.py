"""What in a mapping would make rejected values readable: the decimal mark, the thousands mark, the format of dates."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from restock.adapters.sources.casting import EARLIEST_DATE
from restock.adapters.sources.mapping import SourceMapping
from restock.schema import Column, ColumnType

# Most of the values must fit before a format is named.
_FITTING_SHARE = 0.9
_DATE_FORMATS = (
    "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d",
    "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y",
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M",
)  # fmt: skip
_NO_VALUE = re.compile(r"(?i)^(null|none|nan|n/?a|#n/a|<na>|-+|\?+|unknown)$")
_COMMA = re.compile(r"^[+-]?\d+,\d+$")
_GROUPED = {
    # By thousands mark: with a decimal mark behind it, which leaves no doubt, and without one.
    ",": (re.compile(r"^[+-]?\d{1,3}(,\d{3})+\.\d+$|^[+-]?\d{1,3}(,\d{3}){2,}$"), "."),
    ".": (re.compile(r"^[+-]?\d{1,3}(\.\d{3})+,\d+$|^[+-]?\d{1,3}(\.\d{3}){2,}$"), ","),
    " ": (re.compile(r"^[+-]?\d{1,3}( \d{3})+([.,]\d+)?$"), "."),
    "'": (re.compile(r"^[+-]?\d{1,3}('\d{3})+(\.\d+)?$"), "."),
}
_THREE_DIGITS = re.compile(r"^[+-]?[1-9]\d{0,2},\d{3}$")


def hint_at_format(column: Column, values: Sequence[str | None], *, mapping: SourceMapping) -> str:
    """Return what in the mapping would make rejected values of a column readable, as a sentence; empty for nothing.

    Args:
        column: the column that the values were read as.
        values: a sample of what was rejected as of the wrong kind.
        mapping: how values are read now.
    """
    given = [value.strip() for value in values if value and value.strip()]
    empty = sorted({value for value in given if _NO_VALUE.match(value)})
    rest = [value for value in given if not _NO_VALUE.match(value)]
    hints = []
    if empty:
        shown = ", ".join(f'"{value}"' for value in empty)
        hints.append(f"If {shown} mean that there is no value, name them in the mapping: null_values: [{shown}].")
    if rest and column.type is ColumnType.DATE:
        hints.append(_hint_at_dates(rest, mapping=mapping))
    elif rest and column.type in (ColumnType.NUMBER, ColumnType.INTEGER):
        hints.append(_hint_at_numbers(rest, mapping=mapping))
    return " ".join(hint for hint in hints if hint)


def _hint_at_numbers(values: Sequence[str], *, mapping: SourceMapping) -> str:
    """Return which marks of numbers the values seem to have."""
    for mark, (pattern, decimal) in _GROUPED.items():
        if mapping.thousands != mark and any(pattern.match(value) for value in values):
            also = f' and decimal: "{decimal}"' if mapping.decimal != decimal else ""
            return f'Numbers seem to have thousands separators; name them in the mapping: thousands: "{mark}"{also}.'
    if mapping.decimal == "." and any(_COMMA.match(value) for value in values):
        if all(_THREE_DIGITS.match(value) for value in values):
            return (
                f"Whether {values[0]} has a decimal comma or a thousands separator is ambiguous; say which in the "
                'mapping: decimal: "," or thousands: ",".'
            )
        return 'Numbers seem to have a decimal comma; say so in the mapping: decimal: ",".'
    return ""


def _hint_at_dates(values: Sequence[str], *, mapping: SourceMapping) -> str:
    """Return which formats the values seem to have."""
    series = pl.Series(list(dict.fromkeys(values)), dtype=pl.String)
    shares = {}
    for form in _DATE_FORMATS:
        if form == mapping.date_format:
            continue
        days = series.str.to_date(form, strict=False)
        n_fitting = int((days >= EARLIEST_DATE).sum())
        if n_fitting:
            shares[form] = n_fitting / series.len()
    best = max(shares.values(), default=0.0)
    if best < _FITTING_SHARE:
        several = sorted(shares, key=lambda form: -shares[form])[:2]
        if len(several) < 2:
            return ""
        return f"Dates seem to be written in several formats, such as {' and '.join(several)}; write them in one."
    fitting = [form for form, share in shares.items() if share == best]
    options = " or ".join(f'date_format: "{form}"' for form in fitting)
    if len(fitting) > 1:
        return f"Which date {values[0]} means is ambiguous; say which in the mapping: {options}."
    return f"Dates seem to be written otherwise; say so in the mapping: {options}."
