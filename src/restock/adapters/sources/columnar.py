"""Parquet files: columns with their types, rows numbered from 1."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import LINE, RawTable, build_raw_table
from restock.errors import DataError
from restock.schema import Table


def read_parquet_source(path: Path, table: Table, *, mapping: SourceMapping, file: str) -> RawTable:
    """Return a parquet file's rows in their own types.

    Raises:
        DataError: the file is no parquet or can't be read.
    """
    return build_raw_table(read_columns(path, file=file), table, mapping=mapping, file=file)


def read_columns(path: Path, *, file: str, columns: list[str] | None = None) -> pl.DataFrame:
    """Return a parquet file's columns (all, or those named) and LINE.

    Raises:
        DataError: the file is no parquet, can't be read or lacks a column.
    """
    try:
        frame = pl.read_parquet(path, columns=columns)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{file} can't be read as parquet: {error}.") from error
    if LINE in frame.columns:
        raise DataError(f"{file} has a column {LINE!r}, a name that ingestion needs for itself. Rename it.")
    return frame.with_row_index(LINE, offset=1).with_columns(pl.col(LINE).cast(pl.Int64))
