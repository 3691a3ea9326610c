"""Many rows in few statements: how SQLite and PostgreSQL take the rows of a batch of postings at their own speed.

The rows are plain tuples of the databases' own types, past SQLAlchemy's, which cost more a row than the database does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import Connection

from restock.ledger.balances import BalanceKey

Row = tuple[Any, ...]
# Parameters of one statement; SQLite takes 999 in its older versions.
_MOST_PARAMETERS = 900

_COLUMNS = {
    "movements": (
        "movement",
        "kind",
        "occurred_at_utc",
        "posted_at_utc",
        "posted_by",
        "reference",
        "reason",
        "reverses",
    ),
    "movement_lines": (
        "movement",
        "line",
        "sku",
        "location",
        "lot",
        "quantity",
        "unit_cost",
        "unit_price",
        "entered_quantity",
        "entered_unit",
    ),
    "idempotency": ("key", "request_sha256", "reply", "created_at_utc"),
    "outbox": ("event", "topic", "payload", "created_at_utc"),
    "audit_log": ("at_utc", "actor", "action", "subject", "details"),
}
_CORRECT = (
    "UPDATE balances SET quantity = quantity - {0}, version = version - {0} WHERE sku = {0} AND location = {0} "
    "AND lot = {0}"
)
# A row that was made for what was then refused.
_REMOVE_UNUSED = "DELETE FROM balances WHERE sku = {0} AND location = {0} AND lot = {0} AND version = 0"
_RELEASE = "DELETE FROM idempotency WHERE key = {0}"


class BulkWriter(Protocol):
    """Writes the rows of a batch in the transaction of a connection."""

    def instant(self, value: datetime) -> Any:
        """Return an instant as the database keeps it."""
        ...

    def claim_keys(self, rows: Sequence[Row]) -> set[str]:
        """Insert rows of `idempotency` and return the keys that were free; rows come in order of key, each once."""
        ...

    def change_balances(self, changes: Mapping[BalanceKey, tuple[int, int]]) -> dict[BalanceKey, int]:
        """Add to balances and their versions, in order of key, and return what the balances are then."""
        ...

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Insert rows with the columns of `table`, in order."""
        ...

    def correct_balances(self, changes: Mapping[BalanceKey, tuple[int, int]]) -> None:
        """Take back from balances and versions, and remove those that nothing has touched."""
        ...

    def release_keys(self, keys: Sequence[str]) -> None:
        """Remove keys that were claimed for what was then refused."""
        ...


def open_writer(connection: Connection) -> BulkWriter:
    """Return the writer for a connection's database."""
    return SqliteWriter(connection) if connection.dialect.name == "sqlite" else PostgresqlWriter(connection)


class SqliteWriter:
    """Statements are prepared once and run for each row, within the process."""

    def __init__(self, connection: Connection) -> None:
        """Write in the transaction of `connection`."""
        self._connection = connection

    def instant(self, value: datetime) -> str:
        """Return an instant as SQLAlchemy's type keeps it: UTC, as text."""
        return _as_text(value)

    def claim_keys(self, rows: Sequence[Row]) -> set[str]:
        """Insert the rows whose key is free; nobody else writes meanwhile."""
        known: set[str] = set()
        for start in range(0, len(rows), _MOST_PARAMETERS):
            keys = tuple(row[0] for row in rows[start : start + _MOST_PARAMETERS])
            marks = ",".join("?" * len(keys))
            found = self._connection.exec_driver_sql(f"SELECT key FROM idempotency WHERE key IN ({marks})", keys)  # noqa: S608
            known.update(row[0] for row in found)
        free = [row for row in rows if row[0] not in known] if known else rows
        self.insert("idempotency", free)
        return {row[0] for row in free}

    def change_balances(self, changes: Mapping[BalanceKey, tuple[int, int]]) -> dict[BalanceKey, int]:
        """See `BulkWriter`."""
        statement = (
            "INSERT INTO balances (sku, location, lot, quantity, version) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (sku, location, lot) DO UPDATE SET quantity = quantity + excluded.quantity, "
            "version = version + excluded.version RETURNING quantity"
        )
        execute = self._connection.connection.cursor().execute
        return {key: execute(statement, (*key, *changes[key])).fetchone()[0] for key in sorted(changes)}

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """See `BulkWriter`."""
        if rows:
            self._connection.exec_driver_sql(_insert_statement(table), rows)

    def correct_balances(self, changes: Mapping[BalanceKey, tuple[int, int]]) -> None:
        """See `BulkWriter`."""
        _correct(self._connection, changes, mark="?")

    def release_keys(self, keys: Sequence[str]) -> None:
        """See `BulkWriter`."""
        self._connection.exec_driver_sql(_RELEASE.format("?"), [(key,) for key in keys])


class PostgresqlWriter:
    """Rows are streamed with COPY; arrays carry what must meet the rows that are there."""

    def __init__(self, connection: Connection) -> None:
        """Write in the transaction of `connection`."""
        self._connection = connection

    def instant(self, value: datetime) -> datetime:
        """Return the instant itself; a naive one is a bug of the caller."""
        if value.tzinfo is None:
            raise ValueError(f"an instant must know its zone, got {value!r}")
        return value

    def claim_keys(self, rows: Sequence[Row]) -> set[str]:
        """Insert the rows whose key is free; a key that another transaction is claiming is waited for."""
        found = self._connection.exec_driver_sql(
            "INSERT INTO idempotency (key, request_sha256, reply, created_at_utc) "
            "SELECT key, digest, reply::jsonb, at FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[]) "
            "WITH ORDINALITY AS new(key, digest, reply, at, place) ORDER BY place "
            "ON CONFLICT (key) DO NOTHING RETURNING key",
            _as_arrays(rows),
        )
        return {row[0] for row in found}

    def change_balances(self, changes: Mapping[BalanceKey, tuple[int, int]]) -> dict[BalanceKey, int]:
        """See `BulkWriter`; the rows are locked in the order that every writer keeps, that of Python's text."""
        # A batch whose every posting is refused ahead changes none.
        if not changes:
            return {}
        found = self._connection.exec_driver_sql(
            "INSERT INTO balances (sku, location, lot, quantity, version) SELECT sku, location, lot, quantity, version "
            "FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[]) WITH ORDINALITY "
            "AS new(sku, location, lot, quantity, version, place) ORDER BY place "
            "ON CONFLICT (sku, location, lot) DO UPDATE SET quantity = balances.quantity + excluded.quantity, "
            "version = balances.version + excluded.version RETURNING sku, location, lot, quantity",
            _as_arrays([(*key, *changes[key]) for key in sorted(changes)]),
        )
        return {(sku, location, lot): quantity for sku, location, lot, quantity in found}

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """See `BulkWriter`."""
        if not rows:
            return
        cursor = self._connection.connection.cursor()
        with cursor.copy(f"COPY {table} ({', '.join(_COLUMNS[table])}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def correct_balances(self, changes: Mapping[BalanceKey, tuple[int, int]]) -> None:
        """See `BulkWriter`."""
        _correct(self._connection, changes, mark="%s")

    def release_keys(self, keys: Sequence[str]) -> None:
        """See `BulkWriter`."""
        self._connection.exec_driver_sql(_RELEASE.format("%s"), [(key,) for key in keys])


def _correct(connection: Connection, changes: Mapping[BalanceKey, tuple[int, int]], *, mark: str) -> None:
    keys = sorted(changes)
    connection.exec_driver_sql(_CORRECT.format(mark), [(*changes[key], *key) for key in keys])
    connection.exec_driver_sql(_REMOVE_UNUSED.format(mark), keys)


def _as_arrays(rows: Iterable[Row]) -> tuple[list[Any], ...]:
    """Return the columns of rows."""
    return tuple(list(column) for column in zip(*rows, strict=True))


@lru_cache
def _insert_statement(table: str) -> str:
    columns = _COLUMNS[table]
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


@lru_cache(maxsize=4096)
def _as_text(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(f"an instant must know its zone, got {value!r}")
    # Without the zone at the end, +00:00.
    return value.astimezone(UTC).isoformat(" ", "microseconds")[:-6]
