"""Webhooks: addresses that are told of events, what was sent to them, and sending it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection, RowMapping

from restock.operations.access import Principal
from restock.operations.stock.once import write_once
from restock.operations.webhooks.deliveries import list_deliveries, replay_delivery, replay_range
from restock.operations.webhooks.signing import read_signing_key, signing_key_file
from restock.operations.webhooks.subscriptions import (
    WebhookDraft,
    change_webhook,
    create_webhook,
    delete_webhook,
    list_webhooks,
    read_webhook,
    rotate_secret,
)
from serving.planning.context import Caller, Context, ExpectedVersion, IdempotencyKey, PlanningContext
from serving.planning.etags import set_etag
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.values import Instant, PathCode, Reply, Request, Words
from serving.planning.writes import describe_write

router = APIRouter(tags=["webhooks"])

_HIGHEST = 2**53
_Number = Annotated[int, Field(ge=1, le=_HIGHEST)]
_DeliveryState = Literal["pending", "delivered", "failed"]


class WebhookRequest(Request):
    """A webhook as it is to be."""

    url: str = Field(
        min_length=1,
        max_length=2_000,
        description="Where events go: a public https address.",
        examples=["https://hooks.example.com/restock"],
    )
    topics: Annotated[tuple[Annotated[str, Field(max_length=128)], ...], Field(min_length=1, max_length=50)] = Field(
        description="Which events: `stock.movements`, `stock.*` for all below stock, `*` for all.",
        examples=[["stock.movements", "stock.alerts"]],
    )
    description: Words = Field(default="", description="Whose it is and what for.")
    is_active: bool = Field(default=True, description="Whether it is sent to.")


class ReplayRequest(Request):
    """Events that are to be sent again."""

    first_sequence: _Number = Field(description="Number of the first event.", examples=[1])
    last_sequence: _Number = Field(description="Number of the last event; at most 10,000 at a time.", examples=[500])


class WebhookReply(Reply):
    """A webhook."""

    webhook: str = Field(description="Its identifier.")
    url: str = Field(description="Where events go.")
    topics: list[str] = Field(description="Which events.")
    description: str = Field(description="Whose it is and what for.")
    is_active: bool = Field(description="Whether it is sent to.")
    switched_off_reason: str = Field(description="Why restock switched it off; empty where it did not.")
    failing_since_utc: Instant | None = Field(description="Since when every attempt failed; null where it works.")
    sequence: int = Field(description="Number of the event up to which its deliveries have been laid out.")
    created_at_utc: Instant = Field(description="When it was made.")
    created_by: str = Field(description="By whom.")
    version: int = Field(description="Rises with every change.")


class WebhookSecretReply(WebhookReply):
    """A webhook and its secret, which is shown here and never again."""

    secret: str = Field(description="What its deliveries are signed with. Keep it; it is not shown again.")


class DeliveryReply(Reply):
    """An event for a webhook."""

    delivery: int = Field(description="Its identifier: the header Restock-Delivery.")
    sequence: int = Field(description="Number of the event.")
    event: str = Field(description="Identifier of the event: the header Restock-Event.")
    topic: str = Field(description="What it is about.")
    state: _DeliveryState = Field(description="Where it stands.")
    n_attempts: int = Field(description="How often it was tried.")
    next_attempt_at_utc: Instant = Field(description="When it is tried next, where it is pending.")
    last_status: int | None = Field(description="What the receiver answered last; null where it did not.")
    last_error: str = Field(description="What went wrong last; empty where nothing did.")
    delivered_at_utc: Instant | None = Field(description="When it was taken.")


class ReplayedReply(Reply):
    """What is sent again."""

    events: int = Field(description="How many events.")


class DeletedReply(Reply):
    """A webhook that is gone."""

    webhook: str = Field(description="Its identifier.")


@router.get("/webhooks", summary="All webhooks.")
def get_webhooks(context: Context) -> ListReply[WebhookReply]:
    """Every webhook, the oldest first."""
    with context.reading() as connection:
        rows = list_webhooks(connection)
    return ListReply(items=[WebhookReply(**_fields(row)) for row in rows], next_cursor=None)


@router.get("/webhooks/{webhook}", summary="One webhook.")
def get_webhook(context: Context, response: Response, webhook: PathCode) -> WebhookReply:
    """A webhook, and how it is doing."""
    with context.reading() as connection:
        row = read_webhook(connection, webhook)
    set_etag(response, row["version"])
    return WebhookReply(**_fields(row))


@router.post("/webhooks", status_code=201, summary="Tell an address of events.")
def post_webhook(
    context: Context, caller: Caller, key: IdempotencyKey, response: Response, request: WebhookRequest
) -> WebhookSecretReply:
    """Make a webhook; it is told of what happens from now on, and its secret is shown once, here."""

    def perform(connection: Connection) -> dict[str, Any]:
        row = create_webhook(
            connection, _draft(request), actor=caller.name, now=context.now(), is_local_allowed=_is_local(context)
        )
        return _with_secret_version(row)

    reply = _write(context, perform, route="POST /webhooks", key=key, caller=caller, body=request)
    return _show_secret(context, response, reply)


@router.put("/webhooks/{webhook}", summary="Change a webhook, or switch it on or off.")
def put_webhook(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    expected: ExpectedVersion,
    response: Response,
    webhook: PathCode,
    request: WebhookRequest,
) -> WebhookReply:
    """Put this in place of what it was; switched on again, it goes on where it stopped."""

    def perform(connection: Connection) -> dict[str, Any]:
        row = change_webhook(
            connection,
            webhook,
            _draft(request),
            actor=caller.name,
            now=context.now(),
            is_local_allowed=_is_local(context),
            expected_version=expected,
        )
        return WebhookReply(**_fields(row)).model_dump(mode="json")

    reply = _write(context, perform, route=f"PUT /webhooks/{webhook}", key=key, caller=caller, body=request)
    set_etag(response, reply["version"])
    return WebhookReply.model_validate(reply)


@router.delete("/webhooks/{webhook}", summary="Remove a webhook.")
def remove_webhook(
    context: Context, caller: Caller, key: IdempotencyKey, expected: ExpectedVersion, webhook: PathCode
) -> DeletedReply:
    """Remove it with what was laid out for it."""

    def perform(connection: Connection) -> dict[str, Any]:
        delete_webhook(connection, webhook, actor=caller.name, now=context.now(), expected_version=expected)
        return {"webhook": webhook}

    return DeletedReply(**_write(context, perform, route=f"DELETE /webhooks/{webhook}", key=key, caller=caller))


@router.post("/webhooks/{webhook}/secret", summary="Give a webhook a new secret.")
def post_webhook_secret(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    expected: ExpectedVersion,
    response: Response,
    webhook: PathCode,
) -> WebhookSecretReply:
    """Make a new secret and show it once; for a day deliveries are signed with the old one too."""

    def perform(connection: Connection) -> dict[str, Any]:
        row = rotate_secret(connection, webhook, actor=caller.name, now=context.now(), expected_version=expected)
        return _with_secret_version(row)

    reply = _write(context, perform, route=f"POST /webhooks/{webhook}/secret", key=key, caller=caller)
    return _show_secret(context, response, reply)


@router.get("/webhooks/{webhook}/deliveries", summary="What was sent to a webhook, or waits for it.")
def get_deliveries(
    context: Context,
    pages: Pages,
    webhook: PathCode,
    state: Annotated[_DeliveryState | None, Query(description="Only in this state.")] = None,
) -> ListReply[DeliveryReply]:
    """Deliveries, those of the newest events first."""
    with context.reading() as connection:
        after = check_cursor(pages.after, int)
        page = list_deliveries(connection, webhook, state=state, after=after, limit=pages.limit)
    items = [DeliveryReply(**{**row, "sequence": row["outbox_sequence"]}) for row in page.rows]
    return ListReply(items=items, next_cursor=encode_cursor(page.after))


@router.post("/webhooks/{webhook}/deliveries/{delivery}/replay", summary="Send a delivery again.")
def post_delivery_replay(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    webhook: PathCode,
    delivery: Annotated[int, Path(ge=1, le=_HIGHEST, description="Its identifier.")],
) -> ReplayedReply:
    """Send it again, whatever became of it, under the same identifiers."""

    def perform(connection: Connection) -> dict[str, Any]:
        replay_delivery(connection, webhook, delivery, actor=caller.name, now=context.now())
        return {"events": 1}

    route = f"POST /webhooks/{webhook}/deliveries/{delivery}/replay"
    return ReplayedReply(**_write(context, perform, route=route, key=key, caller=caller))


@router.post("/webhooks/{webhook}/replay", summary="Send a range of events again.")
def post_replay(
    context: Context, caller: Caller, key: IdempotencyKey, webhook: PathCode, request: ReplayRequest
) -> ReplayedReply:
    """Send the events of its topics in a range again, those from before it was made too."""

    def perform(connection: Connection) -> dict[str, Any]:
        n_events = replay_range(
            connection,
            webhook,
            first=request.first_sequence,
            last=request.last_sequence,
            actor=caller.name,
            now=context.now(),
        )
        return {"events": n_events}

    route = f"POST /webhooks/{webhook}/replay"
    return ReplayedReply(**_write(context, perform, route=route, key=key, caller=caller, body=request))


def _write(
    context: PlanningContext,
    perform: Callable[[Connection], dict[str, Any]],
    *,
    route: str,
    key: str,
    caller: Principal,
    body: BaseModel | None = None,
) -> dict[str, Any]:
    """Do it once for its key."""
    write = describe_write(route, body, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        return write_once(connection, write, lambda: perform(connection))


def _fields(row: RowMapping) -> dict[str, Any]:
    return {**row, "topics": row["topics"]["topics"], "sequence": row["outbox_sequence"]}


def _with_secret_version(row: RowMapping) -> dict[str, Any]:
    """Return what is kept of the reply: the secret is not, and can be told from its version again."""
    return WebhookReply(**_fields(row)).model_dump(mode="json") | {"secret_version": row["secret_version"]}


def _show_secret(context: PlanningContext, response: Response, reply: dict[str, Any]) -> WebhookSecretReply:
    key = read_signing_key(signing_key_file(context.settings.home))
    secret = key.secret_of(reply["webhook"], version=reply["secret_version"])
    set_etag(response, reply["version"])
    return WebhookSecretReply.model_validate({**reply, "secret": secret})


def _draft(request: WebhookRequest) -> WebhookDraft:
    return WebhookDraft(
        url=request.url, topics=request.topics, description=request.description, is_active=request.is_active
    )


def _is_local(context: PlanningContext) -> bool:
    return context.settings.webhooks_allow_local
