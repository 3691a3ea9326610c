"""Delimited text (CSV and its kin): every field as text, every row with the physical line it begins on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from restock.adapters.sources.decoding import BLOCK_BYTES, read_blocks
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import (
    BROKEN_LINE_SCHEMA,
    LINE,
    PART_ROWS,
    RawTable,
    build_raw_table,
    join_raw_tables,
    slice_raw_table,
)
from restock.adapters.sources.unpacking import TextFile, UnpackBudget, list_text_files, open_text_file
from restock.errors import DataError
from restock.schema import Table

SEPARATORS = (",", ";", "\t", "|")
_QUOTE = b'"'
# Records of a file with quotes are Python objects, ten times as large as text.
_RECORD_ROWS = 250_000


@dataclass(frozen=True, kw_only=True)
class _Header:
    """The header's names and what separates them."""

    names: list[str]
    mark: str


def read_delimited(path: Path, table: Table, *, mapping: SourceMapping, file: str) -> RawTable:
    """Return a delimited file's rows as text, all at once; see `read_delimited_parts`."""
    return join_raw_tables(list(read_delimited_parts(path, table, mapping=mapping, file=file)))


def read_delimited_frame(path: Path, *, file: str) -> pl.DataFrame:
    """Return a delimited file's own columns as text, and LINE, all at once.

    Raises:
        DataError: it can't be read, or a line has more or fewer fields than the header.
    """
    frames = []
    for text_file in list_text_files(path, file=file):
        with open_text_file(text_file, budget=UnpackBudget()) as stream:
            blocks = read_blocks(stream, encoding="utf-8", file=text_file.file)
            for frame, broken in _read_frames(blocks, text_file, separator=None, part_rows=PART_ROWS):
                if broken.height:
                    line, value, expected = broken.select("line", "value", "reason").row(0)
                    raise DataError(f"{text_file.file}, line {line}: {value}, expected {expected}. Mend the line.")
                frames.append(frame)
    return pl.concat(frames)


def read_delimited_texts(
    path: Path, *, encoding: str, file: str, budget: UnpackBudget
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield a delimited file's own columns as text with LINE, beside the lines that don't fit the header.

    Args:
        path: where it lies; `.gz` and `.zip` are unpacked.
        encoding: how it is written where no byte-order mark tells.
        file: name for people.
        budget: how much may be unpacked.

    Raises:
        DataError: the file can't be read, is empty, has a header with a column twice, or quotes that don't close.
    """
    for text_file in list_text_files(path, file=file):
        with open_text_file(text_file, budget=budget) as stream:
            blocks = read_blocks(stream, encoding=encoding, file=text_file.file)
            yield from _read_frames(blocks, text_file, separator=None, part_rows=PART_ROWS)


def read_delimited_parts(
    path: Path,
    table: Table,
    *,
    mapping: SourceMapping,
    file: str,
    budget: UnpackBudget | None = None,
    part_rows: int = PART_ROWS,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[RawTable]:
    """Yield a delimited file's rows as text, part by part, `.gz` and `.zip` unpacked; at least one part a file.

    A line with more or fewer fields than the header becomes a broken line, not a guess; blank lines are skipped.

    Args:
        path: where it lies.
        table: what it is meant to be.
        mapping: names, separator and encoding.
        file: name for people.
        budget: how much may be unpacked.
        part_rows: most rows of a part.
        block_bytes: about how much text a part holds.

    Raises:
        DataError: the file can't be read, is empty, has a header with a column twice, or quotes that don't close.
    """
    budget = budget or UnpackBudget()
    for text_file in list_text_files(path, file=file):
        with open_text_file(text_file, budget=budget) as stream:
            blocks = read_blocks(stream, encoding=mapping.encoding, file=text_file.file, block_bytes=block_bytes)
            has_part = False
            for frame, broken in _read_frames(blocks, text_file, separator=mapping.separator, part_rows=part_rows):
                if has_part and not frame.height and not broken.height:
                    continue
                raw = build_raw_table(
                    frame,
                    table,
                    mapping=mapping,
                    file=text_file.file,
                    broken_lines=broken,
                    bytes_read=stream.position,
                )
                has_part = True
                yield from slice_raw_table(raw, part_rows=part_rows)


def _read_frames(
    blocks: Iterator[bytes], text_file: TextFile, *, separator: str | None, part_rows: int
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield rows and broken lines; the first frame tells the columns even where it has no row."""
    header: _Header | None = None
    line = 1
    for block in blocks:
        if not block.strip():
            line += block.count(b"\n")
            continue
        # Without a quote a record is a line, and columns can be split at once, four times as fast as record by record.
        if _QUOTE in block:
            rows = min(part_rows, _RECORD_ROWS)
            header = header or _begin(block, separator=separator)
            yield from _read_records(block, blocks, header=header, line=line, file=text_file.file, part_rows=rows)
            return
        header, frame, broken = _read_lines(block, header=header, line=line, separator=separator, file=text_file.file)
        line += block.count(b"\n")
        yield frame, broken
    if header is None:
        raise DataError(f"{text_file.file} is empty, expected a header line and rows.")


def _begin(block: bytes, *, separator: str | None) -> _Header:
    """Return a header whose names are still to be read, with the separator that the first line tells."""
    first_line = block.decode().lstrip("\r\n").split("\n", 1)[0]
    return _Header(names=[], mark=choose_separator(first_line, separator=separator))


def choose_separator(header: str, *, separator: str | None) -> str:
    """Return the separator asked for or, where none is, the one that splits the header into most fields.

    Example:
        >>> choose_separator("sku;location;date", separator=None)
        ';'
    """
    return separator or max(SEPARATORS, key=header.count)


def check_header(names: list[str], *, file: str) -> list[str]:
    """Return the header's names without blanks around them; each must be there once."""
    stripped = [name.strip() for name in names]
    repeated = sorted({name for name in (*stripped, LINE) if [*stripped, LINE].count(name) > 1})
    if repeated:
        raise DataError(f"{file} has the column {', '.join(map(repr, repeated))} more than once. Rename all but one.")
    return stripped


def _read_lines(
    content: bytes, *, header: _Header | None, line: int, separator: str | None, file: str
) -> tuple[_Header, pl.DataFrame, pl.DataFrame]:
    """Return the header, the rows and the broken lines of a block without quotes."""
    lines = pl.read_lines(io.BytesIO(content), name="text", row_index_name=LINE, row_index_offset=0)
    lines = lines.with_columns(pl.col(LINE).cast(pl.Int64) + line).filter(pl.col("text").str.strip_chars() != "")
    if header is None:
        first = lines["text"][0]
        mark = choose_separator(first, separator=separator)
        header = _Header(names=check_header(first.split(mark), file=file), mark=mark)
        lines = lines.slice(1)
    names, mark = header.names, header.mark
    fields = pl.col("text").str.count_matches(mark, literal=True) + 1
    is_whole = lines.select(fields == len(names)).to_series()
    split = lines.filter(is_whole).select(LINE, pl.col("text").str.split_exact(mark, len(names) - 1).alias("fields"))
    frame = pl.DataFrame([split[LINE], *_renamed(split["fields"], names)])
    odd = lines.filter(~is_whole).select(LINE, "text")
    broken = [_broken_line(file, at, fields=text.split(mark), n_expected=len(names)) for at, text in odd.iter_rows()]
    return header, frame, pl.DataFrame(broken, schema=BROKEN_LINE_SCHEMA, orient="row")


def _renamed(fields: pl.Series, names: list[str]) -> list[pl.Series]:
    """Return the fields of a struct column as columns with the header's names."""
    return [column.rename(name) for column, name in zip(fields.struct.unnest().get_columns(), names, strict=True)]


def _text_lines(block: bytes, blocks: Iterator[bytes]) -> Iterator[str]:
    """Yield the lines of a block and of those after it, with their ends."""
    yield from io.StringIO(block.decode(), newline="")
    for later in blocks:
        yield from io.StringIO(later.decode(), newline="")


def _read_records(
    block: bytes, blocks: Iterator[bytes], *, header: _Header, line: int, file: str, part_rows: int
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield the rows and broken lines from a block with quotes on, whose fields may hold separators and line ends."""
    reader = csv.reader(_text_lines(block, blocks), delimiter=header.mark, strict=True)
    names = header.names
    records: list[list[str]] = []
    starts: list[int] = []
    broken: list[tuple[str, int, str, str, str]] = []
    start = line
    try:
        for record in reader:
            at, start = start, reader.line_num + line
            if not record or (len(record) == 1 and not record[0].strip()):
                continue
            if not names:
                names = check_header(record, file=file)
            elif len(record) == len(names):
                records.append(record)
                starts.append(at)
            else:
                broken.append(_broken_line(file, at, fields=record, n_expected=len(names)))
            if len(records) + len(broken) >= part_rows:
                yield _as_frames(names, records, starts, broken)
                records, starts, broken = [], [], []
    except csv.Error as error:
        raise DataError(
            f"{file}, line {reader.line_num + line - 1} (record from line {start}): {error}. A quote opens a field "
            'only at its start, must close at its end, and is doubled inside: "5"" pipe".'
        ) from error
    yield _as_frames(names, records, starts, broken)


def _as_frames(
    names: list[str], records: list[list[str]], starts: list[int], broken: list[tuple[str, int, str, str, str]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return records and broken lines as frames."""
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
