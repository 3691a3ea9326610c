"""Events as they happen."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query

from restock.errors import DataError
from restock.operations.webhooks.subscriptions import check_topics
from serving.planning.context import Caller, Context
from serving.planning.events import EVENT_STREAM, EventStream, Interest
from serving.planning.values import Code

router = APIRouter(tags=["events"])

_MOST_DIGITS = 18


@router.get(
    "/events",
    summary="Listen to what happens, as server-sent events.",
    status_code=200,
    response_class=EventStream,
    responses={200: {"description": "Events until the client goes.", "content": {EVENT_STREAM: {}}}},
)
async def get_events(
    context: Context,
    caller: Caller,
    topics: Annotated[
        str,
        Query(
            max_length=2_000, description="Topics with commas between them; `stock.*` for all below stock, `*` for all."
        ),
    ] = "*",
    sku: Annotated[Code | None, Query(description="Only what concerns this product.")] = None,
    location: Annotated[Code | None, Query(description="Only what concerns this location.")] = None,
    last_event_id: Annotated[
        str | None,
        Header(description="Number of the last event that was taken, after a break: what came since is sent first."),
    ] = None,
) -> EventStream:
    """Send each event once it has been published, in the order of the numbers; a reconnecting client misses none.

    A connection ends after a quarter of an hour, and when the client does not read; browsers come again by themselves.
    """
    interest = Interest(topics=check_topics([topic.strip() for topic in topics.split(",")]), sku=sku, location=location)
    context.broker.require_room(caller.name)
    return EventStream(context.broker, interest, caller=caller.name, after=_read_number(last_event_id))


def _read_number(last_event_id: str | None) -> int | None:
    if not last_event_id:
        return None
    if not (last_event_id.isascii() and last_event_id.isdigit()) or len(last_event_id) > _MOST_DIGITS:
        raise DataError(f"Last-Event-ID must be the id of an event, such as 42, got {last_event_id[:50]!r}.")
    return int(last_event_id)
