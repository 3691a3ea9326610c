"""Files that are whole or not there: atomic writes, checksums, and tables as parquet."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from restock.errors import DataError, NotFoundError
from restock.schema import Table

_READ_BYTES = 1 << 20


def sync_directory(folder: Path) -> None:
    """Make the names in `folder` durable: without it a rename may be lost with the power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of a closed file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write `content` to `path` so that readers see the old file or the new one, never a part; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_text(path: Path, content: str, *, mode: int = 0o644) -> None:
    """Write text atomically, UTF-8."""
    write_bytes(path, content.encode(), mode=mode)


def write_json(path: Path, value: Any, *, mode: int = 0o644) -> None:
    """Write JSON atomically, keys in the order given, ending with a newline."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", mode=mode)


def read_json(path: Path) -> Any:
    """Return the JSON value in `path`.

    Raises:
        NotFoundError: the file is missing.
        DataError: it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} is missing.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error


def write_table(frame: pl.DataFrame, table: Table, path: Path) -> None:
    """Write `frame` as `table` to a parquet file, atomically; the same rows give the same bytes.

    Raises:
        ValueError: `frame` is not of that table.
    """
    write_frame(table.conform(frame), path)


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write `frame` as it is to a parquet file, atomically; the same rows give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        frame.write_parquet(temporary, compression="zstd", statistics=True)
        sync_file(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


class TableWriter:
    """A parquet file that grows by row groups, beside its place until it is whole; the same parts give the same bytes.

    Without `finish` it keeps its temporary name, and whoever owns the folder removes it.
    """

    def __init__(self, table: Table, path: Path) -> None:
        """Begin an empty file that will be `path`; its folder is made."""
        from pyarrow import parquet

        self._table, self._path = table, path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        schema = _to_arrow(table.empty()).schema
        self._writer = parquet.ParquetWriter(self._temporary, schema, compression="zstd")
        self.n_rows = 0

    def append(self, frame: pl.DataFrame) -> None:
        """Write rows as the next row group.

        Raises:
            ValueError: `frame` is not of the table.
        """
        if frame.height:
            self._writer.write_table(_to_arrow(self._table.conform(frame)))
            self.n_rows += frame.height

    def finish(self) -> None:
        """Make the file whole and durable, and give it its name."""
        self._writer.close()
        sync_file(self._temporary)
        self._temporary.replace(self._path)
        sync_directory(self._path.parent)


def _to_arrow(frame: pl.DataFrame) -> Any:
    """Return a frame as Arrow, in types that every reader of parquet knows."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def read_table(path: Path, table: Table) -> pl.DataFrame:
    """Return the rows of a parquet file as `table`.

    Raises:
        NotFoundError: the file is missing.
        DataError: it is not that table.
    """
    try:
        return table.conform(pl.read_parquet(path))
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} is missing. Run the stage that writes it: dvc repro.") from error
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise DataError(f"{path} does not hold table {table.name}: {error}") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def checksums_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file under `folder`, by its path relative to it, sorted."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
