"""Pages of users and of tokens."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from restock.adapters.database.identity_tables import ApiTokenRow, UserRow
from restock.adapters.database.keyset import Page, SortKey, read_page


def page_users(connection: Connection, *, after: tuple[Any, ...] | None, limit: int) -> Page:
    """Return users, by name."""
    keys = (SortKey(column=UserRow.__table__.c.username),)
    return read_page(connection, select(UserRow.__table__), keys=keys, after=after, limit=limit)


def page_tokens(connection: Connection, *, username: str | None, after: tuple[Any, ...] | None, limit: int) -> Page:
    """Return tokens, the latest first.

    Args:
        connection: in a transaction.
        username: only this user's; None for all.
        after: `Page.after` of the page before.
        limit: how many at most.
    """
    columns = ApiTokenRow.__table__.c
    statement = select(ApiTokenRow.__table__)
    if username is not None:
        statement = statement.where(columns.username == username)
    # Identifiers sort by time.
    return read_page(
        connection, statement, keys=(SortKey(column=columns.token, is_descending=True),), after=after, limit=limit
    )
