"""Alerts: what a person should look at, and what they made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection, RowMapping

from restock.ledger.stock_alerts import Severity
from restock.operations.access import Principal
from restock.operations.alerts import (
    AlertFilter,
    AlertState,
    acknowledge,
    list_alerts,
    read_alert,
    reopen,
    resolve,
)
from restock.operations.stock.once import write_once
from serving.planning.context import Caller, Context, ExpectedVersion, IdempotencyKey, PlanningContext
from serving.planning.etags import set_etag
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.values import Code, Instant, PathCode, Reply, Request, Words
from serving.planning.writes import describe_write

router = APIRouter(tags=["alerts"])


class ResolveRequest(Request):
    """What became of an alert."""

    note: Words = Field(default="", description="What was done.", examples=["counted: two cases were behind the shelf"])


class AlertReply(Reply):
    """An alert."""

    alert: str = Field(description="Its identifier.")
    kind: str = Field(description="What is wrong, in one word.", examples=["negative_stock"])
    severity: Severity = Field(description="How much it matters.")
    state: AlertState = Field(description="Where it stands.")
    about: str = Field(description="The thing it is about; one alert about it is unresolved at a time.")
    sku: str | None = Field(description="The product; null where it is about none.")
    location: str | None = Field(description="Where; null where it is nowhere.")
    summary: str = Field(description="What is wrong, in one sentence.")
    evidence: dict[str, Any] = Field(description="What was seen, how often, and when first and last.")
    repair: dict[str, Any] | None = Field(description="What would mend it; null where nothing is suggested.")
    created_at_utc: Instant = Field(description="When it was raised.")
    acknowledged_at_utc: Instant | None = Field(description="When somebody took it on.")
    acknowledged_by: str | None = Field(description="Who.")
    resolved_at_utc: Instant | None = Field(description="When it was resolved.")
    resolved_by: str | None = Field(description="By whom; restock where it found that it is over.")
    note: str = Field(description="What was done.")
    version: int = Field(description="Rises with every change.")


@router.get("/alerts", summary="Alerts, the newest first.")
def get_alerts(
    context: Context,
    pages: Pages,
    state: Annotated[list[AlertState] | None, Query(description="Only in these states.")] = None,
    severity: Annotated[list[Severity] | None, Query(description="Only of these severities.")] = None,
    kind: Annotated[Code | None, Query(description="Only of this kind.")] = None,
    sku: Annotated[Code | None, Query(description="Only about this product.")] = None,
    location: Annotated[Code | None, Query(description="Only about this location.")] = None,
) -> ListReply[AlertReply]:
    """What a person should look at; resolved ones are kept."""
    wanted = AlertFilter(states=state or (), severities=severity or (), kind=kind, sku=sku, location=location)
    with context.reading() as connection:
        page = list_alerts(connection, wanted, after=check_cursor(pages.after, str), limit=pages.limit)
    return ListReply(items=[AlertReply(**row) for row in page.rows], next_cursor=encode_cursor(page.after))


@router.get("/alerts/{alert}", summary="One alert.")
def get_alert(context: Context, response: Response, alert: PathCode) -> AlertReply:
    """An alert with its evidence."""
    with context.reading() as connection:
        row = read_alert(connection, alert)
    set_etag(response, row["version"])
    return AlertReply(**row)


@router.post("/alerts/{alert}/acknowledge", summary="Take an alert on.")
def post_alert_acknowledged(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    expected: ExpectedVersion,
    response: Response,
    alert: PathCode,
) -> AlertReply:
    """Say that somebody looks after it; a second time changes nothing."""

    def perform(connection: Connection) -> RowMapping:
        return acknowledge(connection, alert, actor=caller.name, now=context.now(), expected_version=expected)

    return _change(context, response, perform, route=f"POST /alerts/{alert}/acknowledge", key=key, caller=caller)


@router.post("/alerts/{alert}/resolve", summary="Say that an alert is dealt with.")
def post_alert_resolved(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    expected: ExpectedVersion,
    response: Response,
    alert: PathCode,
    request: ResolveRequest,
) -> AlertReply:
    """Resolve it with a note; what is still so is raised again when it is seen again."""

    def perform(connection: Connection) -> RowMapping:
        return resolve(
            connection, alert, actor=caller.name, now=context.now(), note=request.note, expected_version=expected
        )

    route = f"POST /alerts/{alert}/resolve"
    return _change(context, response, perform, route=route, key=key, caller=caller, body=request)


@router.post("/alerts/{alert}/reopen", summary="Open a resolved alert again.")
def post_alert_reopened(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    expected: ExpectedVersion,
    response: Response,
    alert: PathCode,
) -> AlertReply:
    """Open it again, unless another one about the same thing is open."""

    def perform(connection: Connection) -> RowMapping:
        return reopen(connection, alert, actor=caller.name, now=context.now(), expected_version=expected)

    return _change(context, response, perform, route=f"POST /alerts/{alert}/reopen", key=key, caller=caller)


def _change(
    context: PlanningContext,
    response: Response,
    perform: Callable[[Connection], RowMapping],
    *,
    route: str,
    key: str,
    caller: Principal,
    body: BaseModel | None = None,
) -> AlertReply:
    """Change an alert once for its key, and return it as it was then."""
    write = describe_write(route, body, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        reply = write_once(connection, write, lambda: AlertReply(**perform(connection)).model_dump(mode="json"))
    changed = AlertReply.model_validate(reply)
    set_etag(response, changed.version)
    return changed
