"""Turns at a whole table, for rare writes whose rule spans several of its rows."""

from __future__ import annotations

from sqlalchemy import Connection, text

from restock.adapters.database.base import Base


def lock_table(connection: Connection, table: type[Base]) -> None:
    """Hold off everybody else who would change a table, until the transaction ends; readers go on.

    SQLite's write transactions take turns anyway.

    Args:
        connection: in a write transaction.
        table: which.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {table.__tablename__} IN SHARE ROW EXCLUSIVE MODE"))
