"""Exporting: the rows of a kind as CSV, JSON lines, a workbook or parquet, in our columns or another system's."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from restock.adapters.database.engine import read_transaction
from restock.errors import DataError
from restock.operations.exchange.cells import CellType, guard_formula, write_cell
from restock.operations.exchange.export_documents import ExportRow
from restock.operations.exchange.export_rows import ExportFilter, filter_conditions, read_rows
from restock.operations.exchange.kinds import KINDS, ColumnOfFile, ExchangeKind
from restock.operations.exchange.layouts import FOREIGN, Layout

_AT_A_TIME = 2_000
_READ_BYTES = 1 << 18
# What a sheet and one of its cells hold.
_MOST_SHEET_ROWS = 1_048_575
_LONGEST_SHEET_CELL = 32_767
# Digits that a workbook's doubles keep.
_SHEET_DIGITS = 15
_FIRST_SHEET_YEAR = 1901
_WIDEST = 40


class ExportFormat(StrEnum):
    """How rows are written."""

    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"
    JSONL = "jsonl"


MEDIA_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
    ExportFormat.JSONL: "application/x-ndjson",
}


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What is exported.

    Attributes:
        kind: what.
        format: how it is written.
        layout: in whose columns.
        chosen: which rows.
    """

    kind: ExchangeKind
    format: ExportFormat = ExportFormat.CSV
    layout: Layout = Layout.RESTOCK
    chosen: ExportFilter = ExportFilter()  # noqa: RUF009  (frozen)


@dataclass(frozen=True, kw_only=True)
class ExportedFile:
    """A file that is written as it is taken.

    Attributes:
        filename: a name for it.
        media_type: what it is.
        chunks: its bytes; taking them reads the database.
    """

    filename: str
    media_type: str
    chunks: Iterator[bytes]


def export(engine: Engine, request: ExportRequest, *, now: datetime) -> ExportedFile:
    """Return a file of the rows of a kind, all of one state of the database.

    Args:
        engine: the ledger's database.
        request: what, which and how.
        now: the time that costs and prices are of, UTC.

    Raises:
        DataError: the layout has no such kind or is not written in this format, or a filter does not fit the kind.
    """
    columns = _columns_of(request)
    filter_conditions(request.kind, request.chosen)
    write = _FORMATS[request.format]

    def chunks() -> Iterator[bytes]:
        with read_transaction(engine) as connection:
            rows = read_rows(connection, request.kind, chosen=request.chosen, now=now)
            yield from write(columns, _laid_out(rows, request))

    whose = "" if request.layout is Layout.RESTOCK else f"{request.layout}-"
    return ExportedFile(
        filename=f"{whose}{request.kind}-{now:%Y%m%dT%H%M%SZ}.{request.format}",
        media_type=MEDIA_TYPES[request.format],
        chunks=chunks(),
    )


def write_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """Yield a CSV file in UTF-8 whose cells no spreadsheet takes for formulas."""
    first = [guard_formula(name) for name in header]
    guarded = ([guard_formula(cell) for cell in row] for row in rows)
    yield _csv_text([first])
    while chunk := list(islice(guarded, _AT_A_TIME)):
        yield _csv_text(chunk)


def _csv_text(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _columns_of(request: ExportRequest) -> tuple[ColumnOfFile, ...]:
    if request.layout is Layout.RESTOCK:
        return KINDS[request.kind].columns
    layouts = FOREIGN[request.layout]
    if request.kind not in layouts:
        raise DataError(
            f"layout {request.layout} has no {request.kind}; it has {', '.join(layouts)}. Use layout restock."
        )
    if request.format not in (ExportFormat.CSV, ExportFormat.XLSX):
        raise DataError(f"layout {request.layout} is written as csv or xlsx, got {request.format}.")
    own = dict(_FOREIGN_TYPES)
    return tuple(
        ColumnOfFile(name=name, type=own.get(name, CellType.TEXT), description="")
        for name in layouts[request.kind].header
    )


# Columns of other systems that hold numbers in a workbook; what looks like a number elsewhere is a code.
_FOREIGN_TYPES = tuple(
    (name, CellType.NUMBER)
    for name in (
        "Variant Price", "Cost per item", "On hand (new)", "Standard Selling Rate", "Valuation Rate", "Actual Qty",
        "Quantity (Items)", "Rate (Items)", "Received Qty (Items)", "Sales Price", "Cost", "Quantity",
    )
)  # fmt: skip


def _laid_out(rows: Iterator[ExportRow], request: ExportRequest) -> Iterator[ExportRow]:
    if request.layout is Layout.RESTOCK:
        return rows
    return iter(FOREIGN[request.layout][request.kind].write(rows))


def _write_csv(columns: Sequence[ColumnOfFile], rows: Iterator[ExportRow]) -> Iterator[bytes]:
    names = [column.name for column in columns]
    return write_csv(names, ([write_cell(row.get(name)) for name in names] for row in rows))


def _write_jsonl(columns: Sequence[ColumnOfFile], rows: Iterator[ExportRow]) -> Iterator[bytes]:
    names = [column.name for column in columns]
    while chunk := list(islice(rows, _AT_A_TIME)):
        lines = [json.dumps({name: _plain(row.get(name)) for name in names}, ensure_ascii=False) for row in chunk]
        yield ("\n".join(lines) + "\n").encode()


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it: numbers that must stay exact as text."""
    return value if value is None or isinstance(value, bool | int | list | dict) else write_cell(value)


def _from_disk(write: Callable[[Path], None]) -> Iterator[bytes]:
    """Yield the bytes of a file that can't be written in a stream."""
    with tempfile.TemporaryDirectory(prefix="restock-export-") as folder:
        path = Path(folder) / "file"
        write(path)
        with path.open("rb") as stream:
            while content := stream.read(_READ_BYTES):
                yield content


def _write_xlsx(columns: Sequence[ColumnOfFile], rows: Iterator[ExportRow]) -> Iterator[bytes]:
    def write(path: Path) -> None:
        import xlsxwriter

        with xlsxwriter.Workbook(path, {"constant_memory": True, "strings_to_formulas": False}) as book:
            sheet = book.add_worksheet()
            bold = book.add_format({"bold": True})
            day = book.add_format({"num_format": "yyyy-mm-dd"})
            sheet.freeze_panes(1, 0)
            for position, column in enumerate(columns):
                sheet.set_column(position, position, min(_WIDEST, len(column.name) + 4))
                sheet.write_string(0, position, column.name, bold)
            for number, row in enumerate(rows, start=1):
                if number > _MOST_SHEET_ROWS:
                    raise DataError(f"a sheet holds {_MOST_SHEET_ROWS:,} rows, and there are more. Use csv or parquet.")
                for position, column in enumerate(columns):
                    _write_sheet_cell(sheet, number, position, row.get(column.name), column, day=day)

    return _from_disk(write)


def _write_sheet_cell(sheet: Any, row: int, position: int, value: Any, column: ColumnOfFile, *, day: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, position, value)
    elif isinstance(value, int | Decimal) and column.type in (CellType.NUMBER, CellType.INTEGER) and _is_short(value):
        sheet.write_number(row, position, float(value))
    elif isinstance(value, date) and not isinstance(value, datetime) and value.year >= _FIRST_SHEET_YEAR:
        sheet.write_datetime(row, position, datetime(value.year, value.month, value.day), day)  # noqa: DTZ001
    else:
        text = write_cell(value)
        if len(text) > _LONGEST_SHEET_CELL:
            raise DataError(f"{column.name} has a text of {len(text):,} characters, more than a sheet's cell holds. "
                            "Use csv or parquet.")  # fmt: skip
        sheet.write_string(row, position, _without_escapes(text))


# A workbook reads _x0041_ as A, so such a text has its first sign written that way itself.
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


def _without_escapes(text: str) -> str:
    return _ESCAPE.sub("_x005F_", text)


def _is_short(value: int | Decimal) -> bool:
    """Return whether a double keeps every digit."""
    return len(Decimal(value).as_tuple().digits) <= _SHEET_DIGITS


def _write_parquet(columns: Sequence[ColumnOfFile], rows: Iterator[ExportRow]) -> Iterator[bytes]:
    def write(path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        types = {
            CellType.INTEGER: pa.int64(),
            CellType.NUMBER: pa.decimal128(38, 6),
            CellType.BOOLEAN: pa.bool_(),
            CellType.DATE: pa.date32(),
            CellType.INSTANT: pa.timestamp("us", tz="UTC"),
            CellType.LIST: pa.list_(pa.string()),
        }
        schema = pa.schema([(column.name, types.get(column.type, pa.string())) for column in columns])
        with parquet.ParquetWriter(path, schema) as writer:
            while chunk := list(islice(rows, _AT_A_TIME)):
                content = [{column.name: _parquet_value(row, column) for column in columns} for row in chunk]
                writer.write_table(pa.Table.from_pylist(content, schema=schema))

    return _from_disk(write)


def _parquet_value(row: Mapping[str, Any], column: ColumnOfFile) -> Any:
    value = row.get(column.name)
    if value is None or column.type not in (CellType.CODE, CellType.TEXT, CellType.JSON):
        return value
    return write_cell(value)


_FORMATS: dict[ExportFormat, Callable[[Sequence[ColumnOfFile], Iterator[ExportRow]], Iterator[bytes]]] = {
    ExportFormat.CSV: _write_csv,
    ExportFormat.JSONL: _write_jsonl,
    ExportFormat.XLSX: _write_xlsx,
    ExportFormat.PARQUET: _write_parquet,
}
