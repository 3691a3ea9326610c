"""What makes a request a write of its kind: who, which key, and what was asked for."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from restock.operations.access import Principal
from restock.operations.stock.once import Write


def describe_write(route: str, body: BaseModel | None, *, key: str, caller: Principal, now: datetime) -> Write:
    """Return what an idempotency key stands for.

    Args:
        route: method and path with its values, such as POST /transfers/TR-1/arrivals.
        body: the request; None where it has none.
        key: idempotency key.
        caller: who asks.
        now: the time, UTC.
    """
    content = {} if body is None else body.model_dump(mode="json")
    return Write(key=key, request={"route": route, "body": content}, actor=caller.name, now=now)
