"""Reading a file that somebody sent: its own columns as text, bounded in every direction; its bytes say what it is."""

from __future__ import annotations

import hashlib
import math
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.sources.decoding import check_encoding
from restock.adapters.sources.delimited import check_header, read_delimited_texts
from restock.adapters.sources.raw_table import LINE
from restock.adapters.sources.unpacking import UnpackBudget, list_text_files
from restock.adapters.sources.workbook import read_workbook
from restock.errors import DataError
from restock.operations.exchange.cells import clean_cell, unguard_formula, write_cell

MAX_ROWS = 200_000
MAX_COLUMNS = 500
MAX_CELLS = 5_000_000
# Rows are held in memory while they are judged.
MAX_UNPACKED_BYTES = 256 << 20
_ZIP, _GZIP, _PARQUET = b"PK\x03\x04", b"\x1f\x8b", b"PAR1"
_WORKBOOK_PART = "[Content_Types].xml"
_MANY = 10_000
# Doubles hold every whole number up to here.
_LARGEST_WHOLE = 2**53


@dataclass(frozen=True, kw_only=True)
class ReadingLimits:
    """How much of a file is read.

    Attributes:
        max_rows: rows.
        max_cells: cells.
        max_unpacked_bytes: bytes once unpacked.
    """

    max_rows: int = MAX_ROWS
    max_cells: int = MAX_CELLS
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES


@dataclass(frozen=True, kw_only=True)
class BrokenLine:
    """A line that does not fit the header.

    Attributes:
        line: which.
        reason: what was expected.
        content: what it holds, as JSON text.
    """

    line: int
    reason: str
    content: str


@dataclass(frozen=True, kw_only=True)
class FileTable:
    """What a file holds, as text.

    Attributes:
        columns: its own names, in their order.
        rows: line and cells; an empty cell is "".
        broken: lines that don't fit the header.
        sha256: of the file's bytes.
        is_text: whether it is delimited text, in which cells guard against formulas.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    broken: tuple[BrokenLine, ...]
    sha256: str
    is_text: bool

    @property
    def n_rows(self) -> int:
        """Rows, broken ones among them."""
        return len(self.rows) + len(self.broken)


def read_file(
    source: bytes | Path, *, filename: str, encoding: str = "utf-8", limits: ReadingLimits | None = None
) -> FileTable:
    """Return what a CSV file (also .gz or .zip), workbook or parquet file holds.

    Args:
        source: its bytes, or where it lies.
        filename: name for people.
        encoding: of text without a byte-order mark.
        limits: how much is read.

    Raises:
        DataError: it can't be read, is too large or is no table.
    """
    limits = limits or ReadingLimits()
    check_encoding(encoding, file=filename)
    broken: list[BrokenLine] = []
    with _on_disk(source) as (path, form):
        match form:
            case ".xlsx":
                frames = [_read_sheet(path, file=filename, limits=limits)]
            case ".parquet":
                frames = [_read_parquet(path, file=filename, limits=limits)]
            case _:
                frames, broken = _read_text(path, encoding=encoding, file=filename, limits=limits)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    names = [name for name in frames[0].columns if name != LINE]
    is_text = form not in (".xlsx", ".parquet")
    # What is told of a file is kept in a database, which takes no NUL.
    columns = tuple(check_header([clean_cell(name) for name in names], file=filename))
    rows = tuple(row for frame in frames for row in _rows_of(frame, names, is_text=is_text))
    return FileTable(columns=columns, rows=rows, broken=tuple(broken), sha256=digest, is_text=is_text)


@contextmanager
def _on_disk(source: bytes | Path) -> Iterator[tuple[Path, str]]:
    """Yield where a file lies under a name whose ending tells what it is, and that ending."""
    with tempfile.TemporaryDirectory(prefix="restock-import-") as folder:
        try:
            content = source if isinstance(source, bytes) else source.read_bytes()
        except OSError as error:
            raise DataError(f"{source!s} can't be read: {error.strerror}.") from error
        form = _form_of(content)
        path = Path(folder) / f"file{form}"
        if form == ".zip" and _is_workbook(content, path):
            form = ".xlsx"
            path = path.with_suffix(form)
        path.write_bytes(content)
        yield path, form


def _form_of(content: bytes) -> str:
    starts = {_ZIP: ".zip", _GZIP: ".csv.gz", _PARQUET: ".parquet"}
    return next((form for start, form in starts.items() if content.startswith(start)), ".csv")


def _is_workbook(content: bytes, path: Path) -> bool:
    path.write_bytes(content)
    try:
        with zipfile.ZipFile(path) as archive:
            return _WORKBOOK_PART in archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(f"the file can't be read as a zip archive or workbook: {error}. Save it again.") from error


def _read_text(
    path: Path, *, encoding: str, file: str, limits: ReadingLimits
) -> tuple[list[pl.DataFrame], list[BrokenLine]]:
    frames: list[pl.DataFrame] = []
    broken: list[BrokenLine] = []
    n_rows = 0
    if len(list_text_files(path, file=file)) > 1:
        raise DataError(f"{file} holds several files. Import them one by one: a line is known by its number.")
    budget = UnpackBudget(limit_bytes=limits.max_unpacked_bytes)
    for frame, odd in read_delimited_texts(path, encoding=encoding, file=file, budget=budget):
        frames.append(frame)
        broken += [
            BrokenLine(line=line, reason=f"the line has {value}, expected {expected}", content=clean_cell(row))
            for line, value, expected, row in odd.select("line", "value", "reason", "row").iter_rows()
        ]
        n_rows += frame.height + odd.height
        _require_size(n_rows, frame.width - 1, file=file, limits=limits)
    return frames, broken


def _read_sheet(path: Path, *, file: str, limits: ReadingLimits) -> pl.DataFrame:
    frame = read_workbook(path, sheet=None, file=file, max_unpacked_bytes=limits.max_unpacked_bytes)
    _require_size(frame.height, frame.width - 1, file=file, limits=limits)
    return frame


def _read_parquet(path: Path, *, file: str, limits: ReadingLimits) -> pl.DataFrame:
    """Return a parquet file's rows, once its own figures say that they fit into memory."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(path)
        _require_size(metadata.num_rows, metadata.num_columns, file=file, limits=limits)
        size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
        _require_bytes(size, file=file, limits=limits)
        leaves = [metadata.schema.column(number) for number in range(metadata.num_columns)]
        # A text that is stored once and shown by every row is not written out before its size is known.
        texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        frames, size = [], 0
        with parquet.ParquetFile(path, pre_buffer=False, read_dictionary=texts) as source:
            for batch in source.iter_batches(batch_size=_MANY):
                size += sum(_shown_bytes(column) for column in batch.columns)
                _require_bytes(size, file=file, limits=limits)
                frames.append(pl.DataFrame(pl.from_arrow(batch)))
            if not frames:
                frames = [pl.DataFrame(pl.from_arrow(source.schema_arrow.empty_table()))]
    except (pl.exceptions.PolarsError, OSError, pa.ArrowException) as error:
        raise DataError(f"{file} can't be read as parquet: {error}.") from error
    frame = pl.concat([_written_out(each) for each in frames], how="vertical_relaxed")
    return frame.drop(LINE, strict=False).with_row_index(LINE, offset=1)


def _require_bytes(size: int, *, file: str, limits: ReadingLimits) -> None:
    if size > limits.max_unpacked_bytes:
        raise DataError(f"{file} unpacks to more than {limits.max_unpacked_bytes:,} bytes. Split it.")


def _shown_bytes(column: Any) -> int:
    """Return how many bytes a column has once every row has its own value."""
    import pyarrow as pa
    from pyarrow import compute

    while pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = column.flatten()
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = compute.take(compute.binary_length(column.dictionary), column.indices)
    return int(compute.sum(lengths).as_py() or 0) + int(column.indices.nbytes)


def _written_out(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame whose texts are text again."""
    return frame.with_columns(
        pl.col(pl.Categorical).cast(pl.String), pl.col(pl.List(pl.Categorical)).cast(pl.List(pl.String))
    )


def _require_size(n_rows: int, n_columns: int, *, file: str, limits: ReadingLimits) -> None:
    if n_columns > MAX_COLUMNS:
        raise DataError(f"{file} has {n_columns} columns, expected at most {MAX_COLUMNS}.")
    if n_rows > limits.max_rows:
        raise DataError(f"{file} has more than {limits.max_rows:,} rows. Split it.")
    if n_rows * n_columns > limits.max_cells:
        raise DataError(
            f"{file} has more than {limits.max_cells:,} cells in {n_columns} columns. Split it, or leave columns out."
        )


def _rows_of(frame: pl.DataFrame, names: Sequence[str], *, is_text: bool) -> Iterator[tuple[int, tuple[str, ...]]]:
    for line, *values in frame.select(LINE, *names).iter_rows():
        if is_text:
            yield int(line), tuple(unguard_formula(clean_cell(value or "")) for value in values)
        else:
            yield int(line), tuple(_as_text(value) for value in values)


def _as_text(value: Any) -> str:
    """Return a typed value as the text that stands for it."""
    match value:
        case str():
            text = value
        case float() if value.is_integer() and abs(value) < _LARGEST_WHOLE:
            # A whole number that went through a double is 101, not 101.0.
            text = f"{value:.0f}"
        case float() if math.isfinite(value):
            # repr is the shortest text of a double.
            text = f"{Decimal(repr(value)):f}"
        case Decimal():
            text = f"{value.normalize():f}"
        case datetime():
            text = write_cell(value.replace(tzinfo=UTC) if value.tzinfo is None else value)
        case _:
            text = write_cell(value)
    return clean_cell(text)
