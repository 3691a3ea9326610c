"""Pages by key: the next page starts after the last row of the one before, so that rows that come between lose none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, or_

LARGEST_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class SortKey:
    """A column that rows are sorted by.

    Attributes:
        column: never null; the last one of all keys makes the order unique.
        is_descending: from the highest down.
    """

    column: ColumnElement[Any]
    is_descending: bool = False


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some rows, and where the next page begins.

    Attributes:
        rows: at most as many as were asked for.
        after: values of the sort keys of the last row; None where there are no more rows.
    """

    rows: list[RowMapping]
    after: tuple[Any, ...] | None


def read_page(
    connection: Connection,
    statement: Select[*tuple[Any, ...]],
    *,
    keys: Sequence[SortKey],
    after: Sequence[Any] | None,
    limit: int,
) -> Page:
    """Return the rows of a statement that come after a position.

    Args:
        connection: in a transaction.
        statement: selects the rows, among them the columns of all keys; neither sorted nor limited.
        keys: what to sort by.
        after: `Page.after` of the page before; None for the first.
        limit: 1 to LARGEST_PAGE.
    """
    if after is not None:
        statement = statement.where(_after(keys, after))
    order = [key.column.desc() if key.is_descending else key.column.asc() for key in keys]
    found = list(connection.execute(statement.order_by(*order).limit(limit + 1)).mappings())
    rows = found[:limit]
    last = tuple(rows[-1][str(key.column.key)] for key in keys) if len(found) > limit else None
    return Page(rows=rows, after=last)


def _after(keys: Sequence[SortKey], values: Sequence[Any]) -> ColumnElement[bool]:
    """Return (a > x) or (a = x and b > y) or …, each in its own direction."""
    alternatives = []
    for position, (key, value) in enumerate(zip(keys, values, strict=True)):
        same = [earlier.column == known for earlier, known in zip(keys[:position], values, strict=False)]
        beyond = key.column < value if key.is_descending else key.column > value
        alternatives.append(and_(*same, beyond))
    return or_(*alternatives)
