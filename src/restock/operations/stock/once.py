"""A write that happens once for its key, whatever is sent how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from restock.adapters.database.ledger_store import claim_key, fill_reply


@dataclass(frozen=True, kw_only=True)
class Write:
    """What makes a write one of its kind.

    Attributes:
        key: idempotency key, chosen by the client.
        request: what the key stands for, ready for JSON.
        actor: who writes.
        now: when, UTC.
    """

    key: str
    request: Mapping[str, Any]
    actor: str
    now: datetime


def request_of(write: Write) -> dict[str, Any]:
    """Return what the key of a write stands for: the request, from whom it came."""
    return {"actor": write.actor, **write.request}


def write_once(connection: Connection, write: Write, perform: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the reply to a write: performed now, or as it was answered the first time.

    Args:
        connection: in a write transaction; the caller commits.
        write: what makes it one of its kind.
        perform: does it and returns the reply, ready for JSON.

    Raises:
        IdempotencyError: the key came with another request, or from somebody else.
    """
    reply = claim_key(connection, write.key, request=request_of(write), now=write.now)
    if reply is not None:
        return reply
    reply = perform()
    fill_reply(connection, write.key, reply)
    return reply
