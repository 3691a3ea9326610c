"""Which keys a table has in more than one of its parts, decided on disk by DuckDB, so that any number of keys fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.schema import Table

_MEMORY_LIMIT = "192MB"
_MAX_EXAMPLES = 5
_HASH, _PART, _ROW, _COUNT = "__hash", "__part", "__row", "__count"


@dataclass(frozen=True, kw_only=True)
class RepeatedKeys:
    """Keys that several parts have.

    Attributes:
        parts: numbers of the parts with a key that an earlier part has, from 1.
        n_alone: how many rows share a key with other parts but not within their own.
        examples: some of the keys, as text.
        database: where the rows are noted; null where there are none.
    """

    parts: frozenset[int] = frozenset()
    n_alone: int = 0
    examples: tuple[str, ...] = ()
    database: Path | None = None

    def rows_of(self, part: int) -> NDArray[np.intp]:
        """Return the places, from 0, of the rows of a part whose key an earlier part has, sorted."""
        if part not in self.parts:
            return np.empty(0, dtype=np.intp)
        import duckdb

        with duckdb.connect(str(self.database), read_only=True, config={"memory_limit": _MEMORY_LIMIT}) as connection:
            found = connection.execute(
                f"SELECT {_ROW} FROM repeats WHERE place > 1 AND {_PART} = ? ORDER BY {_ROW}",  # noqa: S608
                [part],
            ).fetchnumpy()
        return np.asarray(found[_ROW], dtype=np.intp)


class KeyLedger:
    """The keys of a table's parts, one row for a key and part; nothing is written before there is a second part."""

    def __init__(self, table: Table, folder: Path) -> None:
        """Begin an empty ledger that writes into `folder`, made when it is needed."""
        self._table, self._folder = table, folder
        self._n_parts = 0
        self._first: pl.DataFrame | None = None

    @property
    def _database(self) -> Path:
        return self._folder / "keys.duckdb"

    def add(self, typed: pl.DataFrame) -> None:
        """Note the keys of the next part; rows that lack a part of their key have none."""
        keys = self._keys_of(typed)
        self._n_parts += 1
        if self._n_parts == 1:
            self._first = keys
            return
        if self._first is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(self._first, part=1)
            self._first = None
        self._write(keys, part=self._n_parts)

    def find_repeats(self) -> RepeatedKeys:
        """Return the rows whose key an earlier part has; those within one part are not counted."""
        if self._n_parts < 2 or not any(self._folder.glob("*.parquet")):
            return RepeatedKeys()
        import duckdb

        spill = self._folder / "spill"
        settings: dict[str, Any] = {
            "memory_limit": _MEMORY_LIMIT,
            "temp_directory": str(spill),
            "threads": 2,
            "preserve_insertion_order": False,
        }
        with duckdb.connect(str(self._database), config=settings) as connection:
            files = str(self._folder / "*.parquet").replace("'", "''")
            # Most tables repeat no key: a hash of 8 bytes decides that, and only what it suspects is compared in full.
            connection.execute(
                f"CREATE TABLE suspects AS SELECT {_HASH} FROM read_parquet('{files}') "  # noqa: S608  (our own path)
                f"GROUP BY {_HASH} HAVING count(*) > 1"
            )
            if not connection.execute("SELECT count(*) FROM suspects").fetchall()[0][0]:
                return RepeatedKeys()
            key = ", ".join(f'"{name}"' for name in self._table.key)
            connection.execute(
                f"CREATE TABLE repeats AS SELECT {_PART}, {_ROW}, {_COUNT}, {key}, "  # noqa: S608  (declared names)
                f"row_number() OVER (PARTITION BY {key} ORDER BY {_PART}) AS place, "
                f"count(*) OVER (PARTITION BY {key}) AS n_parts "
                f"FROM read_parquet('{files}') SEMI JOIN suspects USING ({_HASH}) QUALIFY n_parts > 1"
            )
            return self._read_repeats(connection, key)

    def _read_repeats(self, connection: Any, key: str) -> RepeatedKeys:
        """Return what the table of repeats holds."""
        parts = connection.execute(f"SELECT DISTINCT {_PART} FROM repeats WHERE place > 1").fetchall()  # noqa: S608
        n_alone = connection.execute(f"SELECT count(*) FROM repeats WHERE {_COUNT} = 1").fetchall()[0][0]  # noqa: S608
        shown = connection.execute(
            f"SELECT {key} FROM repeats WHERE place > 1 ORDER BY {_PART}, {_ROW} LIMIT {_MAX_EXAMPLES}"  # noqa: S608
        ).fetchall()
        examples = tuple(
            str(dict(zip(self._table.key, values, strict=True))) if len(values) > 1 else str(values[0])
            for values in shown
        )
        return RepeatedKeys(
            parts=frozenset(part for (part,) in parts), n_alone=n_alone, examples=examples, database=self._database
        )

    def _keys_of(self, typed: pl.DataFrame) -> pl.DataFrame:
        """Return the distinct keys of a part, each with its first row and how many rows have it."""
        key = list(self._table.key)
        if not set(key) <= set(typed.columns):
            return pl.DataFrame()
        keys = typed.select(key).with_row_index(_ROW).drop_nulls(key)
        hashed = keys.with_columns(pl.struct(key).hash().alias(_HASH), pl.lit(1, dtype=pl.UInt32).alias(_COUNT))
        if hashed.select(pl.col(_HASH).is_duplicated().any()).item():
            counted = hashed.with_columns(pl.len().over(key).cast(pl.UInt32).alias(_COUNT))
            hashed = counted.unique(key, keep="first", maintain_order=True)
        return hashed

    def _write(self, keys: pl.DataFrame, *, part: int) -> None:
        """Write the keys of a part; without any there is no file."""
        if keys.height:
            noted = keys.with_columns(pl.lit(part, dtype=pl.Int32).alias(_PART))
            noted.write_parquet(self._folder / f"{part:06d}.parquet", compression="zstd")
