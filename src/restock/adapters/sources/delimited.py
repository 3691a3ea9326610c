"""Delimited text (CSV and its kin): every field as text, every row with the physical line it begins on."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import polars as pl

from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import BROKEN_LINE_SCHEMA, LINE, RawTable, build_raw_table
from restock.errors import DataError
from restock.schema import Table

SEPARATORS = (",", ";", "\t", "|")
_QUOTE = '"'
_BYTE_ORDER_MARK = "\ufeff"


def read_delimited(path: Path, table: Table, *, mapping: SourceMapping, file: str) -> RawTable:
    """Return a delimited file's rows as text, `.gz` unpacked.

    A line with more or fewer fields than the header becomes a broken line, not a guess; blank lines are skipped.

    Args:
        path: where it lies.
        table: what it is meant to be.
        mapping: names, separator and encoding.
        file: name for people.

    Raises:
        DataError: the file can't be read, is empty, has a header with a column twice, or quotes that don't close.
    """
    content = _decoded(path, mapping=mapping, file=file)
    if not content.strip():
        raise DataError(f"{file} is empty, expected a header line and rows.")
    # Without a quote a record is a line, and columns can be split at once, four times as fast as record by record.
    if _QUOTE.encode() in content:
        frame, broken = _read_records(content.decode(), separator=mapping.separator, file=file)
    else:
        frame, broken = _read_lines(content, separator=mapping.separator, file=file)
    return build_raw_table(frame, table, mapping=mapping, file=file, broken_lines=broken)


def _decoded(path: Path, *, mapping: SourceMapping, file: str) -> bytes:
    """Return the file's content as UTF-8 without a byte-order mark."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise DataError(f"{file} can't be read: {error}.") from error
    try:
        # Decoding also checks UTF-8, which is what is passed on.
        text = content.decode(mapping.encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{file}, line {line}: the bytes {error.object[error.start : error.end]!r} are not {mapping.encoding}. "
            "Name the file's encoding in the mapping, such as encoding: cp1252."
        ) from error
    if mapping.encoding == "utf-8" and not text.startswith(_BYTE_ORDER_MARK):
        return content
    return text.removeprefix(_BYTE_ORDER_MARK).encode()


def choose_separator(header: str, *, separator: str | None) -> str:
    """Return the separator asked for or, where none is, the one that splits the header into most fields.

    Example:
        >>> choose_separator("sku;location;date", separator=None)
        ';'
    """
    return separator or max(SEPARATORS, key=header.count)


def _check_header(names: list[str], *, file: str) -> list[str]:
    """Return the header's names without blanks around them; each must be there once."""
    stripped = [name.strip() for name in names]
    repeated = sorted({name for name in (*stripped, LINE) if [*stripped, LINE].count(name) > 1})
    if repeated:
        raise DataError(f"{file} has the column {', '.join(map(repr, repeated))} more than once. Rename all but one.")
    return stripped


def _read_lines(content: bytes, *, separator: str | None, file: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows and broken lines of a file without quotes."""
    lines = pl.read_lines(io.BytesIO(content), name="text", row_index_name=LINE, row_index_offset=1)
    lines = lines.with_columns(pl.col(LINE).cast(pl.Int64)).filter(pl.col("text").str.strip_chars() != "")
    header = lines["text"][0]
    mark = choose_separator(header, separator=separator)
    names = _check_header(header.split(mark), file=file)
    rows = lines.slice(1)
    fields = pl.col("text").str.count_matches(mark, literal=True) + 1
    is_whole = rows.select(fields == len(names)).to_series()
    split = rows.filter(is_whole).select(LINE, pl.col("text").str.split_exact(mark, len(names) - 1).alias("fields"))
    frame = pl.DataFrame([split[LINE], *_renamed(split["fields"], names)])
    odd = rows.filter(~is_whole).select(LINE, "text", fields.alias("n_fields"))
    broken = [
        _broken_line(file, line, fields=text.split(mark), n_expected=len(names)) for line, text, _ in odd.iter_rows()
    ]
    return frame, pl.DataFrame(broken, schema=BROKEN_LINE_SCHEMA, orient="row")


def _renamed(fields: pl.Series, names: list[str]) -> list[pl.Series]:
    """Return the fields of a struct column as columns with the header's names."""
    return [column.rename(name) for column, name in zip(fields.struct.unnest().get_columns(), names, strict=True)]


def _read_records(text: str, *, separator: str | None, file: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows and broken lines of a file with quotes, whose fields may hold separators and line ends."""
    first_line = text.lstrip("\r\n").split("\n", 1)[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=choose_separator(first_line, separator=separator), strict=True
    )
    names: list[str] = []
    records: list[list[str]] = []
    starts: list[int] = []
    broken: list[tuple[str, int, str, str, str]] = []
    start = 1
    try:
        for record in reader:
            line, start = start, reader.line_num + 1
            if not record or (len(record) == 1 and not record[0].strip()):
                continue
            if not names:
                names = _check_header(record, file=file)
            elif len(record) == len(names):
                records.append(record)
                starts.append(line)
            else:
                broken.append(_broken_line(file, line, fields=record, n_expected=len(names)))
    except csv.Error as error:
        raise DataError(
            f"{file}, line {reader.line_num} (record from line {start}): {error}. A quote opens a field only at its "
            'start, must close at its end, and is doubled inside: "5"" pipe".'
        ) from error
    columns = list(zip(*records, strict=True)) if records else [()] * len(names)
    frame = pl.DataFrame(
        [
            pl.Series(LINE, starts, dtype=pl.Int64),
            *(pl.Series(name, values, dtype=pl.String) for name, values in zip(names, columns, strict=True)),
        ]
    )
    return frame, pl.DataFrame(broken, schema=BROKEN_LINE_SCHEMA, orient="row")


def _broken_line(file: str, line: int, *, fields: list[str], n_expected: int) -> tuple[str, int, str, str, str]:
    """Return a line that does not fit the header, as columns of `BROKEN_LINE_SCHEMA`."""
    return (file, line, f"{len(fields)} fields", f"{n_expected} fields, as in the header", json.dumps(fields))
