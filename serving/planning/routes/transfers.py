"""Transfers: goods on their way between two locations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy import RowMapping

from restock.operations.stock.reading import list_transfers, read_transfer, read_transfer_lines
from restock.operations.stock.transfers import (
    Outcome,
    TransferDraft,
    close_transfer,
    dispatch_transfer,
    receive_transfer,
)
from serving.planning.context import Caller, Context, IdempotencyKey
from serving.planning.etags import set_etag
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.routes.stock import Change, LineRequest, in_base_units, to_draft_lines
from serving.planning.values import Code, Exact, Instant, PathCode, Reason, Reply, Request, Words
from serving.planning.writes import describe_write

router = APIRouter(tags=["transfers"])

_State = Literal["in_transit", "partly_arrived", "arrived", "closed"]
_Lines = Annotated[tuple[LineRequest, ...], Field(max_length=500)]


class TransferRequest(Request):
    """A transfer that leaves."""

    source: Code = Field(description="Where the goods leave.", examples=["DC-1"])
    target: Code = Field(description="Where they go.", examples=["STORE-1"])
    lines: Annotated[_Lines, Field(min_length=1)] = Field(description="What leaves.")
    occurred_at: Instant | None = Field(default=None, description="When it left; left out: now.")
    note: Words = Field(default="", description="What else is to be known.")


class ArrivalRequest(Request):
    """What arrived."""

    lines: _Lines = Field(default=(), description="What arrived; left out: all that is on its way.")
    occurred_at: Instant | None = Field(default=None, description="When it arrived; left out: now.")


class CloseRequest(Request):
    """What became of goods that did not arrive."""

    outcome: Outcome = Field(description="Whether they went back to the source or are lost.")
    reason: Reason = Field(description="Why.", examples=["pallet fell over"])


class TransferMovedReply(Reply):
    """What a transfer moved."""

    transfer: str = Field(description="The transfer.")
    state: _State = Field(description="Its state now.")
    movement: str = Field(description="The movement that was posted.")
    lines: list[Change] = Field(description="What it changed at the company's own locations.")


class TransferLineReply(Reply):
    """A line of a transfer."""

    line: int = Field(description="Its number.")
    sku: str = Field(description="The product.")
    lot: str = Field(description="Lot; empty where lots are not kept.")
    quantity_dispatched: Exact = Field(description="What left, base units.")
    quantity_arrived: Exact = Field(description="What has arrived, base units.")
    unit: str = Field(description="The base unit.")


class TransferReply(Reply):
    """A transfer."""

    transfer: str = Field(description="Its identifier.")
    source: str = Field(description="Where the goods left.")
    target: str = Field(description="Where they go.")
    state: _State = Field(description="How far it has come.")
    dispatched_at_utc: Instant = Field(description="When they left.")
    note: str = Field(description="What else is to be known.")
    created_by: str = Field(description="Who sent it.")
    version: int = Field(description="Rises with every change.")
    lines: list[TransferLineReply] = Field(description="What is on its way.")


@router.get("/transfers", summary="Transfers, the latest first.")
def get_transfers(
    context: Context,
    pages: Pages,
    state: Annotated[_State | None, Query(description="Only in this state.")] = None,
    location: Annotated[Code | None, Query(description="Only from or to this location.")] = None,
) -> ListReply[TransferReply]:
    """Transfers with their lines."""
    with context.reading() as connection:
        after = check_cursor(pages.after, datetime, str)
        page = list_transfers(connection, state=state, location=location, after=after, limit=pages.limit)
        lines = read_transfer_lines(connection, (row["transfer"] for row in page.rows))
    items = [_reply(row, lines[row["transfer"]]) for row in page.rows]
    return ListReply(items=items, next_cursor=encode_cursor(page.after))


@router.get("/transfers/{transfer}", summary="One transfer.")
def get_transfer(context: Context, response: Response, transfer: PathCode) -> TransferReply:
    """A transfer with its lines."""
    with context.reading() as connection:
        row = read_transfer(connection, transfer)
        lines = read_transfer_lines(connection, [transfer])
    set_etag(response, row["version"])
    return _reply(row, lines[transfer])


@router.post("/transfers", status_code=201, summary="Send goods to another location.")
def post_transfer(
    context: Context, caller: Caller, key: IdempotencyKey, request: TransferRequest
) -> TransferMovedReply:
    """Post what leaves; it is in transit until it arrives."""
    now = context.now()
    write = describe_write("POST /transfers", request, key=key, caller=caller, now=now)
    draft = TransferDraft(
        source=request.source,
        target=request.target,
        lines=to_draft_lines(request.lines),
        occurred_at=request.occurred_at or now,
        note=request.note,
    )
    with context.writing() as connection:
        return TransferMovedReply.model_validate(dispatch_transfer(connection, draft, write))


@router.post("/transfers/{transfer}/arrivals", status_code=201, summary="Book what arrived.")
def post_arrival(
    context: Context, caller: Caller, key: IdempotencyKey, transfer: PathCode, request: ArrivalRequest
) -> TransferMovedReply:
    """Post what of a transfer arrived; without lines, all of it."""
    now = context.now()
    write = describe_write(f"POST /transfers/{transfer}/arrivals", request, key=key, caller=caller, now=now)
    lines, occurred_at = to_draft_lines(request.lines), request.occurred_at or now
    with context.writing() as connection:
        reply = receive_transfer(connection, transfer, lines, write, occurred_at=occurred_at)
    return TransferMovedReply.model_validate(reply)


@router.post("/transfers/{transfer}/close", summary="End a transfer of which something never arrived.")
def post_transfer_close(
    context: Context, caller: Caller, key: IdempotencyKey, transfer: PathCode, request: CloseRequest
) -> TransferMovedReply:
    """Bring what is left back to the source, or write it off."""
    write = describe_write(f"POST /transfers/{transfer}/close", request, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        reply = close_transfer(connection, transfer, write, outcome=request.outcome, reason=request.reason)
    return TransferMovedReply.model_validate(reply)


def _reply(row: RowMapping, lines: Sequence[RowMapping]) -> TransferReply:
    names = ("transfer", "source", "target", "state", "dispatched_at_utc", "note", "created_by", "version")
    return TransferReply(
        **{name: row[name] for name in names},
        lines=[
            TransferLineReply(
                line=line["line"],
                sku=line["sku"],
                lot=line["lot"],
                quantity_dispatched=in_base_units(line["quantity_dispatched"], line),
                quantity_arrived=in_base_units(line["quantity_arrived"], line),
                unit=line["base_unit"],
            )
            for line in lines
        ],
    )
