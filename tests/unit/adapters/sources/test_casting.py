from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from restock.adapters.sources.casting import cast_column
from restock.adapters.sources.mapping import SourceMapping
from restock.schema import Column, ColumnType


def cast(values, kind, *, dtype=None, **formats):
    column = Column(name="x", type=kind, description="")
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    typed = frame.with_columns(cast_column(column, frame.schema["x"], mapping=SourceMapping(**formats)))["x"]
    assert typed.dtype == kind.polars
    return typed.to_list()


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (ColumnType.TEXT, " 007 ", "007"),
        (ColumnType.TEXT, "  ", None),
        (ColumnType.NUMBER, " 1.5", 1.5),
        (ColumnType.NUMBER, "1e3", 1000.0),
        (ColumnType.NUMBER, "1,5", None),
        (ColumnType.NUMBER, "1_000", None),
        (ColumnType.INTEGER, "12", 12),
        (ColumnType.INTEGER, "12.0", 12),
        (ColumnType.INTEGER, "12.5", None),
        (ColumnType.INTEGER, "inf", None),
        (ColumnType.INTEGER, "9223372036854775807", 9223372036854775807),
        (ColumnType.BOOLEAN, "Yes", True),
        (ColumnType.BOOLEAN, "0", False),
        (ColumnType.BOOLEAN, "2", None),
        (ColumnType.DATE, "2024-02-29", date(2024, 2, 29)),
        (ColumnType.DATE, "2023-02-29", None),
        (ColumnType.DATE, "24-02-29", None),
        (ColumnType.TIMESTAMP_UTC, "2024-02-29T10:00:00Z", datetime(2024, 2, 29, 10, tzinfo=UTC)),
        (ColumnType.TIMESTAMP_UTC, "2024-02-29T10:00:00+02:00", datetime(2024, 2, 29, 8, tzinfo=UTC)),
        (ColumnType.TIMESTAMP_UTC, "2024-02-29 10:00", datetime(2024, 2, 29, 10, tzinfo=UTC)),
        (ColumnType.TIMESTAMP_UTC, "2024-02-29 10:00:00.25", datetime(2024, 2, 29, 10, 0, 0, 250_000, tzinfo=UTC)),
        (ColumnType.TIMESTAMP_UTC, "29.02.2024", None),
        (ColumnType.TEXT_LIST, "1|2", ["1", "2"]),
    ],
)
def test_cast_column_text_reads_only_what_is_of_the_kind(kind, text, expected):
    assert cast([text], kind) == [expected]


def test_cast_column_decimal_comma_reads_no_point():
    assert cast(["1,5", "1.5", "1.000,5"], ColumnType.NUMBER, decimal=",") == [1.5, None, None]


def test_cast_column_date_format_reads_that_format_alone():
    assert cast(["31.12.2024", "2024-12-31"], ColumnType.DATE, date_format="%d.%m.%Y") == [date(2024, 12, 31), None]


@pytest.mark.parametrize(
    ("kind", "dtype", "value", "expected"),
    [
        (ColumnType.TEXT, pl.Int64, 101, "101"),
        (ColumnType.TEXT, pl.Float64, 101.0, "101"),
        (ColumnType.TEXT, pl.Categorical, " A ", "A"),
        (ColumnType.NUMBER, pl.Decimal(10, 2), Decimal("1.25"), 1.25),
        (ColumnType.NUMBER, pl.Date, date(2024, 1, 1), None),
        (ColumnType.INTEGER, pl.Float64, 3.0, 3),
        (ColumnType.INTEGER, pl.Float64, 3.5, None),
        (ColumnType.INTEGER, pl.Int8, 3, 3),
        (ColumnType.BOOLEAN, pl.Int8, 1, True),
        (ColumnType.BOOLEAN, pl.Int8, 2, None),
        (ColumnType.DATE, pl.Datetime("ns"), datetime(2024, 1, 1), date(2024, 1, 1)),  # noqa: DTZ001
        (ColumnType.DATE, pl.Datetime("us"), datetime(2024, 1, 1, 5), None),  # noqa: DTZ001
        (ColumnType.DATE, pl.Date, date(1899, 12, 31), None),
        (ColumnType.DATE, pl.Int64, 20240101, None),
        (ColumnType.TIMESTAMP_UTC, pl.Datetime("ms"), datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)),  # noqa: DTZ001
        (ColumnType.TEXT_LIST, pl.List(pl.Int64), [1, 2], ["1", "2"]),
        (ColumnType.TEXT_LIST, pl.Int64, 1, None),
    ],
)
def test_cast_column_typed_value_reads_only_what_is_of_the_kind(kind, dtype, value, expected):
    assert cast([value, None], kind, dtype=dtype) == [expected, None]


def test_cast_column_zoned_instant_is_converted_to_utc():
    berlin = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    dtype = pl.Datetime("us", "Europe/Berlin")
    assert cast([berlin], ColumnType.TIMESTAMP_UTC, dtype=dtype) == [datetime(2024, 7, 1, 10, tzinfo=UTC)]


def test_cast_column_null_column_stays_null():
    assert cast([None], ColumnType.NUMBER, dtype=pl.Null) == [None]
