"""The database of users and tokens, made where it is missing, for commands that write into it."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Engine

from restock.adapters.database.engine import open_database, read_transaction
from restock.adapters.database.migrate import migrate, read_revision, require_migrated

_OWNER_ONLY = 0o600


def open_identity(url: str) -> Engine:
    """Return the database of users and tokens; its tables are made where it has none.

    Args:
        url: SQLite or PostgreSQL. A SQLite file is made for its owner alone.

    Raises:
        NotReadyError: it has the tables of another version; the message says how to bring it to this one.
        ConfigurationError: the address is none.
    """
    engine = open_database(url)
    make_private(engine)
    with read_transaction(engine) as connection:
        is_empty = read_revision(connection) is None
    if is_empty:
        migrate(engine)
    return require_migrated(engine)


def make_private(engine: Engine) -> None:
    """Make the file of a SQLite database for its owner alone, where there is none yet."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    path = Path(engine.url.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY))
    except FileExistsError:
        return
