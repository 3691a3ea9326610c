"""Cycle counts: what is to be counted, what was found, and what is posted for the difference."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy import RowMapping

from restock.operations.stock.counts import (
    CountDraft,
    Found,
    approve_count,
    ask_for_recount,
    cancel_count,
    open_count,
    record_count,
)
from restock.operations.stock.reading import list_counts, read_count, read_count_lines
from serving.planning.context import Caller, Context, IdempotencyKey
from serving.planning.etags import set_etag
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.routes.stock import Change, in_base_units
from serving.planning.values import (
    Code,
    Exact,
    Instant,
    NonNegativeAmount,
    OptionalCode,
    PathCode,
    Reply,
    Request,
    Words,
)
from serving.planning.writes import describe_write

router = APIRouter(tags=["counts"])

_State = Literal["open", "recount", "approved", "cancelled"]


class CountRequest(Request):
    """A count that is to be made."""

    location: Code = Field(description="Where.", examples=["STORE-1"])
    skus: Annotated[tuple[Code, ...], Field(max_length=5_000)] = Field(
        default=(), description="What; left out: everything that is booked there."
    )
    note: Words = Field(default="", description="What else is to be known.")


class FoundRequest(Request):
    """What was found of a sku and lot."""

    sku: Code = Field(description="The product.", examples=["SKU-0001"])
    lot: OptionalCode = Field(default="", description="Its lot; empty where lots are not kept.")
    quantity: NonNegativeAmount = Field(description="How many, in `unit`; 0 where nothing is there.", examples=["7"])
    unit: Code | None = Field(default=None, description="Unit of measure; left out: the base unit.")


class ResultsRequest(Request):
    """What was found."""

    found: Annotated[tuple[FoundRequest, ...], Field(min_length=1, max_length=5_000)] = Field(
        description="One entry a sku and lot."
    )


class KeyReply(Reply):
    """A sku and lot that is to be counted."""

    sku: str = Field(description="The product.")
    lot: str = Field(description="Its lot; empty where lots are not kept.")


class ToCountReply(Reply):
    """What is to be counted; what is booked is not shown, so that nobody counts towards it."""

    count: str = Field(description="The count.")
    state: _State = Field(description="Its state now.")
    lines: list[KeyReply] = Field(description="What is to be counted.")


class RecordedReply(Reply):
    """What was recorded."""

    count: str = Field(description="The count.")
    state: _State = Field(description="Its state now.")
    recorded: int = Field(description="Lines that were recorded.")


class ApprovedReply(Reply):
    """What was posted for a count."""

    count: str = Field(description="The count.")
    state: _State = Field(description="Its state now.")
    movement: str | None = Field(description="What was posted; null where all was as booked.")
    lines: list[Change] = Field(description="What it changed.")


class EndedReply(Reply):
    """A count that has ended."""

    count: str = Field(description="The count.")
    state: _State = Field(description="Its state now.")


class CountLineReply(Reply):
    """A line of a count."""

    sku: str = Field(description="The product.")
    name: str = Field(description="Its name.")
    lot: str = Field(description="Its lot; empty where lots are not kept.")
    unit: str = Field(description="The base unit.")
    quantity_counted: Exact | None = Field(description="Found first, base units; null until then.")
    quantity_booked: Exact | None = Field(description="Booked at that moment, base units; null until it is counted.")
    counted_at_utc: Instant | None = Field(description="When.")
    counted_by: str | None = Field(description="By whom.")
    quantity_recounted: Exact | None = Field(description="Found again, base units; stands in place of the first.")
    quantity_booked_at_recount: Exact | None = Field(description="Booked at that moment, base units.")
    recounted_at_utc: Instant | None = Field(description="When.")
    recounted_by: str | None = Field(description="By whom.")


class CountSummaryReply(Reply):
    """A count without its lines."""

    count: str = Field(description="Its identifier.")
    location: str = Field(description="Where.")
    state: _State = Field(description="How far it has come.")
    note: str = Field(description="What else is to be known.")
    created_at_utc: Instant = Field(description="When it was opened.")
    created_by: str = Field(description="Who opened it.")
    approved_at_utc: Instant | None = Field(description="When it was approved.")
    approved_by: str | None = Field(description="Who approved it.")
    movement: str | None = Field(description="What was posted for it.")
    version: int = Field(description="Rises with every change.")


class CountReply(CountSummaryReply):
    """A count with its lines."""

    lines: list[CountLineReply] = Field(description="What is counted.")


@router.get("/counts", summary="Counts, the latest first.")
def get_counts(
    context: Context,
    pages: Pages,
    state: Annotated[_State | None, Query(description="Only in this state.")] = None,
    location: Annotated[Code | None, Query(description="Only at this location.")] = None,
) -> ListReply[CountSummaryReply]:
    """Counts without their lines."""
    with context.reading() as connection:
        after = check_cursor(pages.after, datetime, str)
        page = list_counts(connection, state=state, location=location, after=after, limit=pages.limit)
    items = [CountSummaryReply.model_validate(dict(row)) for row in page.rows]
    return ListReply(items=items, next_cursor=encode_cursor(page.after))


@router.get("/counts/{count}", summary="One count.")
def get_count(context: Context, response: Response, count: PathCode) -> CountReply:
    """A count with its lines."""
    with context.reading() as connection:
        row = read_count(connection, count)
        lines = read_count_lines(connection, count)
    set_etag(response, row["version"])
    return CountReply.model_validate({**row, "lines": [_line(line) for line in lines]})


@router.post("/counts", status_code=201, summary="Open a count.")
def post_count(context: Context, caller: Caller, key: IdempotencyKey, request: CountRequest) -> ToCountReply:
    """Say what is to be counted where."""
    write = describe_write("POST /counts", request, key=key, caller=caller, now=context.now())
    draft = CountDraft(location=request.location, skus=request.skus, note=request.note)
    with context.writing() as connection:
        return ToCountReply.model_validate(open_count(connection, draft, write))


@router.post("/counts/{count}/results", summary="Record what was found.")
def post_count_results(
    context: Context, caller: Caller, key: IdempotencyKey, count: PathCode, request: ResultsRequest
) -> RecordedReply:
    """Record what was found; what is booked at this moment is kept beside it."""
    write = describe_write(f"POST /counts/{count}/results", request, key=key, caller=caller, now=context.now())
    found = [Found(sku=one.sku, lot=one.lot, quantity=one.quantity, unit=one.unit) for one in request.found]
    with context.writing() as connection:
        return RecordedReply.model_validate(record_count(connection, count, found, write))


@router.post("/counts/{count}/recount", summary="Ask for a second count.")
def post_count_recount(context: Context, caller: Caller, key: IdempotencyKey, count: PathCode) -> ToCountReply:
    """Ask for the lines that differ to be counted again."""
    write = describe_write(f"POST /counts/{count}/recount", None, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        return ToCountReply.model_validate(ask_for_recount(connection, count, write))


@router.post("/counts/{count}/approve", summary="Approve a count and post the difference.")
def post_count_approval(context: Context, caller: Caller, key: IdempotencyKey, count: PathCode) -> ApprovedReply:
    """Post what differs; what was booked since the count stays."""
    write = describe_write(f"POST /counts/{count}/approve", None, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        return ApprovedReply.model_validate(approve_count(connection, count, write))


@router.post("/counts/{count}/cancel", summary="End a count without posting.")
def post_count_cancellation(context: Context, caller: Caller, key: IdempotencyKey, count: PathCode) -> EndedReply:
    """End a count; nothing is posted."""
    write = describe_write(f"POST /counts/{count}/cancel", None, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        return EndedReply.model_validate(cancel_count(connection, count, write))


def _line(row: RowMapping) -> CountLineReply:
    quantities = ("quantity_counted", "quantity_booked", "quantity_recounted", "quantity_booked_at_recount")
    same = ("sku", "name", "lot", "counted_at_utc", "counted_by", "recounted_at_utc", "recounted_by")
    return CountLineReply(
        unit=row["base_unit"],
        **{name: row[name] for name in same},
        **{name: None if row[name] is None else in_base_units(row[name], row) for name in quantities},
    )
