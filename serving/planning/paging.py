"""Pages of a list: how many, and where the next one begins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from restock.adapters.database.keyset import LARGEST_PAGE
from restock.errors import DataError

Item = TypeVar("Item")
_LONGEST_CURSOR = 2_000


class ListReply(BaseModel, Generic[Item]):
    """A page of a list."""

    model_config = ConfigDict(frozen=True)

    items: list[Item] = Field(description="The items of this page, in the order asked for.")
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the next page; null where there are no more items."
    )


@dataclass(frozen=True, kw_only=True)
class Paging:
    """Which page is asked for.

    Attributes:
        limit: items at most.
        after: values of the sort keys after which it begins; None for the first page.
    """

    limit: int
    after: tuple[Any, ...] | None


async def get_paging(
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Items at most.")] = 100,
    cursor: Annotated[
        str | None,
        Query(max_length=_LONGEST_CURSOR, description="`next_cursor` of the page before; left out: the first page."),
    ] = None,
) -> Paging:
    """Return which page is asked for."""
    return Paging(limit=limit, after=None if cursor is None else decode_cursor(cursor))


Pages = Annotated[Paging, Depends(get_paging)]


def encode_cursor(after: Sequence[Any] | None) -> str | None:
    """Return the cursor of the page after these values of the sort keys; None where there is none."""
    if after is None:
        return None
    text = json.dumps([_plain(value) for value in after], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[Any, ...]:
    """Return the values that a cursor stands for.

    Raises:
        DataError: it is not one of ours.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        values = json.loads(text)
        return tuple(_rich(value) for value in values) if isinstance(values, list) else _refuse(cursor)
    except (ValueError, binascii.Error, TypeError, RecursionError) as error:
        raise DataError(_complaint(cursor)) from error


def check_cursor(after: tuple[Any, ...] | None, *types: type) -> tuple[Any, ...] | None:
    """Return the values of a cursor, once they are what this list is sorted by.

    Raises:
        DataError: they belong to another list or another order.
    """
    if after is None:
        return None
    # A bool is an int to Python, not to a database.
    is_ours = len(after) == len(types) and all(
        isinstance(value, kind) and not isinstance(value, bool) and "\0" not in str(value)
        for value, kind in zip(after, types, strict=True)
    )
    return after if is_ours else _refuse("of another list")


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it; dates and instants are marked."""
    if isinstance(value, datetime):
        return {"t": value.isoformat()}
    if isinstance(value, date):
        return {"d": value.isoformat()}
    return value


def _rich(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"t"}:
            instant = datetime.fromisoformat(value["t"])
            return instant if instant.tzinfo is not None else _refuse(str(value))
        return date.fromisoformat(value["d"]) if set(value) == {"d"} else _refuse(str(value))
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return _refuse(str(value))
    return value


def _refuse(cursor: str) -> Any:
    raise DataError(_complaint(cursor))


def _complaint(cursor: str) -> str:
    return f"cursor must be the next_cursor of the page before, got {cursor[:60]!r}. Begin with the first page."
