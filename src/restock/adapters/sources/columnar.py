"""Parquet files: columns with their types, rows numbered from 1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import LINE, PART_ROWS, RawTable, build_raw_table
from restock.errors import DataError
from restock.schema import Table


def read_parquet_parts(
    path: Path, table: Table, *, mapping: SourceMapping, file: str, part_rows: int = PART_ROWS, first_row: int = 1
) -> Iterator[RawTable]:
    """Yield a parquet file's rows in their own types, part by part; at least one part.

    Args:
        path: where it lies.
        table: what it is meant to be.
        mapping: our names and theirs.
        file: name for people.
        part_rows: most rows of a part.
        first_row: number of the file's first row.

    Raises:
        DataError: the file is no parquet or can't be read.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        size = path.stat().st_size
        # Read-ahead would hold whole row groups, which some writers make as large as the file.
        with parquet.ParquetFile(path, pre_buffer=False) as source:
            n_rows, done = source.metadata.num_rows, 0
            batches = source.iter_batches(batch_size=part_rows) if n_rows else [source.schema_arrow.empty_table()]
            for batch in batches:
                frame = pl.DataFrame(pl.from_arrow(batch))
                _check_names(frame, file=file)
                numbered = _numbered(frame, first_row=first_row + done)
                done += frame.height
                read = size * done // max(n_rows, 1)
                yield build_raw_table(numbered, table, mapping=mapping, file=file, bytes_read=read)
    except (pl.exceptions.PolarsError, OSError, pa.ArrowException) as error:
        raise DataError(f"{file} can't be read as parquet: {error}.") from error


def read_columns(path: Path, *, file: str, columns: list[str] | None = None) -> pl.DataFrame:
    """Return a parquet file's columns (all, or those named) and LINE.

    Raises:
        DataError: the file is no parquet, can't be read or lacks a column.
    """
    try:
        frame = pl.read_parquet(path, columns=columns)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{file} can't be read as parquet: {error}.") from error
    _check_names(frame, file=file)
    return _numbered(frame, first_row=1)


def _check_names(frame: pl.DataFrame, *, file: str) -> None:
    if LINE in frame.columns:
        raise DataError(f"{file} has a column {LINE!r}, a name that ingestion needs for itself. Rename it.")


def _numbered(frame: pl.DataFrame, *, first_row: int) -> pl.DataFrame:
    """Return a frame with LINE before its columns, counted from `first_row`."""
    return frame.with_row_index(LINE).with_columns(pl.col(LINE).cast(pl.Int64) + first_row)
