"""The result of a query on any SQL database, spooled to parquet so that it can be read, named and read again."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.sources.columnar import read_parquet_parts
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import PART_ROWS, RawTable
from restock.errors import ConfigurationError, DataError
from restock.schema import Table

# Rows that are fetched at a time: Python objects, ten times as large as the same rows in columns.
_CHUNK_ROWS = 50_000
_PLAIN_TYPES = (int, float, str, bool, date, datetime, Decimal, type(None))
# How a database is told that a transaction only reads; others are rolled back at the end.
_READ_ONLY = {"sqlite": "PRAGMA query_only = ON", "mysql": "SET TRANSACTION READ ONLY"}
_ENV_PREFIX = "env:"


@dataclass(frozen=True, kw_only=True)
class SpooledQuery:
    """The result of a query on disk.

    Attributes:
        name: for people: kind of database, host and database, nothing secret.
        folder: holds its rows as parquet files, in order.
        digest: what the rows decide, in any order; the same rows give the same digest.
        n_rows: how many there are.
    """

    name: str
    folder: Path
    digest: str
    n_rows: int


def read_url(text: str) -> str:
    """Return the URL given, or that of the environment variable that `env:NAME` names.

    Raises:
        ConfigurationError: there is no such variable.
    """
    if not text.startswith(_ENV_PREFIX):
        return text
    name = text.removeprefix(_ENV_PREFIX)
    value = os.environ.get(name)
    if not value:
        raise ConfigurationError(f"--sql names the environment variable {name}, which is not set. Set it to a URL.")
    return value


def spool_query(
    url: str, query: str, *, folder: Path, chunk_rows: int = _CHUNK_ROWS, part_rows: int = PART_ROWS
) -> SpooledQuery:
    """Run a query in a read-only transaction and write its rows to `folder`, chunk by chunk.

    Args:
        url: SQLAlchemy's URL of the database.
        query: the SELECT.
        folder: empty.
        chunk_rows: rows that are fetched at a time.
        part_rows: about how many rows a file holds.

    Raises:
        ConfigurationError: the URL is none, or its driver is not installed.
        DataError: the database can't be reached or refuses the query.
    """
    import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    try:
        parsed = sa.make_url(url)
        engine = sa.create_engine(parsed, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise ConfigurationError(
            f"--sql is no URL of a database that can be read here: {_without_secrets(str(error), url)}. "
            "Expected such as postgresql+psycopg://user@host/database or sqlite:///file.db."
        ) from None
    name = f"{parsed.get_backend_name()}:{parsed.host or ''}/{Path(parsed.database or '').name}"
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        # SQLite would make an empty one.
        raise DataError(f"{name} is not there. Give the path of an existing database, such as sqlite:////data/till.db.")
    try:
        with engine.connect() as connection:
            reading = _begin_reading(connection, parsed.get_backend_name())
            # A colon in the query is its own, not the start of a parameter.
            result = reading.execute(sa.text(query.replace(":", r"\:")))
            if not result.returns_rows:
                raise DataError("--query returns no rows. Give a SELECT.")
            spooled = _spool(result, name=name, folder=folder, chunk_rows=chunk_rows, part_rows=part_rows)
            connection.rollback()
    except SQLAlchemyError as error:
        shown = _without_secrets(str(getattr(error, "orig", None) or error), url)
        raise DataError(f"{name} did not answer the query: {shown.strip()}. Check the URL and the query.") from None
    finally:
        engine.dispose()
    return spooled


def _begin_reading(connection: Any, backend: str) -> Any:
    """Return the connection with a cursor on the server's side and a transaction that only reads."""
    options: dict[str, Any] = {"stream_results": True}
    if backend == "postgresql":
        options["postgresql_readonly"] = True
    reading = connection.execution_options(**options)
    if backend in _READ_ONLY:
        reading.exec_driver_sql(_READ_ONLY[backend])
    return reading


def _without_secrets(text: str, url: str) -> str:
    """Return a message without the URL's password, whoever wrote it in."""
    found = re.search(r"://[^/@]*:([^@]*)@", url)
    secrets = [url, *([found.group(1)] if found and found.group(1) else [])]
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _spool(result: Any, *, name: str, folder: Path, chunk_rows: int, part_rows: int) -> SpooledQuery:
    """Write the rows of a result and return what they came to."""
    columns = [str(column) for column in result.keys()]  # noqa: SIM118  (a result is no dict)
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise DataError(f"the query returns the column {', '.join(repeated)} more than once. Rename with AS.")
    folder.mkdir(parents=True, exist_ok=True)
    # Databases return the same rows in any order: the sum of their digests does not depend on it.
    total, n_rows, n_files = 0, 0, 0
    chunks: list[pl.DataFrame] = []
    while rows := [tuple(row) for row in result.fetchmany(chunk_rows)]:
        for row in rows:
            total += int.from_bytes(hashlib.sha256(repr(row).encode()).digest(), "big")
        n_rows += len(rows)
        chunks.append(_as_frame(columns, rows))
        if sum(chunk.height for chunk in chunks) >= part_rows:
            _write_chunks(chunks, folder / f"{n_files:06d}.parquet")
            chunks, n_files = [], n_files + 1
    if chunks or not n_files:
        _write_chunks(chunks or [_as_frame(columns, [])], folder / f"{n_files:06d}.parquet")
    identity = f"{columns}\n{n_rows}\n{total % (1 << 256):x}"
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return SpooledQuery(name=name, folder=folder, digest=digest, n_rows=n_rows)


def _write_chunks(chunks: Sequence[pl.DataFrame], path: Path) -> None:
    """Write chunks as one file; a column that is null, or whole numbers, in one of them takes the others' type."""
    try:
        pl.concat(chunks, how="vertical_relaxed").write_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"a column of the query has values of several kinds: {error}. Give it one kind in the query, with CAST."
        ) from error


def _as_frame(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Return rows as a frame; values that have no type of their own in parquet, such as UUIDs, as text."""
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pl.DataFrame([_as_series(name, column) for name, column in zip(columns, values, strict=True)])


def _as_series(name: str, values: Sequence[Any]) -> pl.Series:
    kinds = {type(value) for value in values} - {type(None)}
    if any(not issubclass(kind, _PLAIN_TYPES) for kind in kinds) or (len(kinds) > 1 and str in kinds):
        values = [None if value is None else str(value) for value in values]
    return pl.Series(name, values, strict=False)


def read_spooled(
    folder: Path, table: Table, *, mapping: SourceMapping, file: str, part_rows: int = PART_ROWS
) -> Iterator[RawTable]:
    """Yield the rows of a spooled query, part by part; LINE is the row of the result.

    Raises:
        DataError: a file of it can't be read.
    """
    row = 1
    for path in sorted(folder.glob("*.parquet")):
        for raw in read_parquet_parts(path, table, mapping=mapping, file=file, part_rows=part_rows, first_row=row):
            yield raw
            row += raw.n_rows
