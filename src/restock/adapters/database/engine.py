"""Databases: how a connection is opened, how transactions begin, and the triggers that keep what is posted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from restock.adapters.database.ledger_tables import APPEND_ONLY
from restock.adapters.database.turns import Turns
from restock.errors import ConfigurationError

_IS_WRITE = "restock_is_write"
# A writer waits so long for another one, seconds.
_BUSY_SECONDS = 30
# And so long for its turn among the threads of this process: with fifty of them, each may have a second.
_PATIENCE_SECONDS = 60
_SQLITE, _POSTGRESQL = "sqlite", "postgresql"
# Turns of the writers: by file, also where two engines of this process have it open; in memory, by engine.
_TURNS_OF_FILES: dict[Path, Turns] = {}
_TURNS_IN_MEMORY: WeakKeyDictionary[Engine, Turns] = WeakKeyDictionary()
_TURNS_LOCK = threading.Lock()


def open_database(url: str | URL) -> Engine:
    """Return an engine for a SQLite or PostgreSQL database.

    SQLite runs in WAL with full sync, so that what is acknowledged survives a loss of power; a write begins IMMEDIATE,
    because a read that becomes a write meets SQLITE_BUSY whatever the timeout.

    Raises:
        ConfigurationError: the address is none, or of another database.
    """
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError("the database's address must be sqlite:///FILE or postgresql://...") from error
    backend = address.get_backend_name()
    if backend not in (_SQLITE, _POSTGRESQL):
        raise ConfigurationError(f"the database must be sqlite or postgresql, got {backend!r}.")
    if backend == _POSTGRESQL:
        return create_engine(address.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    engine = create_engine(address, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that writes; committed at the end, rolled back where an error leaves it.

    On SQLite the threads of a process wait in line for it, before they take a connection.

    Raises:
        DatabaseBusyError: another thread did not end its own in time.
    """
    turns = _turns_of(engine)
    turn = nullcontext() if turns is None else turns.turn(patience_seconds=_PATIENCE_SECONDS)
    with (
        turn,
        engine.connect().execution_options(**{_IS_WRITE: True}) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that sees one state of the database and writes nothing."""
    options: dict[str, object] = {}
    if engine.dialect.name == _POSTGRESQL:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def is_read_only(connection: Connection) -> bool:
    """Return whether a connection is of `read_transaction`, where nothing may be locked."""
    return not connection.get_execution_options().get(_IS_WRITE, False)


def create_triggers(connection: Connection) -> None:
    """Make the triggers that refuse to change or remove what is posted; a second time changes nothing."""
    for table in APPEND_ONLY:
        for statement in _trigger_statements(table, dialect=connection.dialect.name):
            connection.execute(text(statement))


def drop_triggers(connection: Connection) -> None:
    """Remove the triggers, as a downgrade needs."""
    is_postgresql = connection.dialect.name == _POSTGRESQL
    for table in APPEND_ONLY:
        for action in ("update", "delete"):
            place = f" ON {table}" if is_postgresql else ""
            connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_{action}{place}"))
    if is_postgresql:
        connection.execute(text("DROP FUNCTION IF EXISTS refuse_change()"))


def _turns_of(engine: Engine) -> Turns | None:
    """Return whose turn it is to write an engine's database; None where the database sees to that."""
    if engine.dialect.name != _SQLITE:
        return None
    file = engine.url.database
    with _TURNS_LOCK:
        if file in (None, "", ":memory:"):
            return _TURNS_IN_MEMORY.setdefault(engine, Turns())
        return _TURNS_OF_FILES.setdefault(Path(str(file)).resolve(), Turns())


def _trigger_statements(table: str, *, dialect: str) -> list[str]:
    message = f"{table} is append-only: post a reversal instead"
    if dialect == _SQLITE:
        return [
            f"CREATE TRIGGER IF NOT EXISTS {table}_no_{action.lower()} BEFORE {action} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            for action in ("UPDATE", "DELETE")
        ]
    function = (
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only: post a reversal instead', TG_TABLE_NAME; END $$"
    )
    return [
        function,
        *(
            f"CREATE OR REPLACE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            for action in ("UPDATE", "DELETE")
        ),
    ]


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver's own BEGIN comes too late and is never IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    is_write = connection.get_execution_options().get(_IS_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")
