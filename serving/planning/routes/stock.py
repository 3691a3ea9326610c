"""Stock and movements: what is where, what happened, and booking what happens now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import RowMapping

from restock.ledger.movements import Kind
from restock.operations.access import Principal
from restock.operations.stock.booking import Draft, DraftLine, book, book_reversal
from restock.operations.stock.booking_batch import Booked, Booking, book_many
from restock.operations.stock.company import Company, read_company
from restock.operations.stock.reading import (
    MovementFilter,
    list_movements,
    list_stock,
    read_movement_lines,
    read_movement_row,
)
from serving.planning.context import Caller, Context, IdempotencyKey, PlanningContext
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.values import (
    Amount,
    Code,
    Day,
    Exact,
    Instant,
    NonNegativeAmount,
    OptionalCode,
    PathCode,
    Reason,
    Reply,
    Request,
    Words,
)
from serving.planning.writes import describe_write
from serving.problems import problem_of

router = APIRouter(tags=["stock"])

_MOST_LINES = 500
_MOST_MOVEMENTS = 1_000


class LineRequest(Request):
    """One product of a booking."""

    sku: Code = Field(description="The product.", examples=["SKU-0001"])
    quantity: Amount = Field(
        description="How many, in `unit`; above 0, but of an adjustment, which has a sign.", examples=["2"]
    )
    unit: Code | None = Field(default=None, description="Unit of measure; left out: the base unit.", examples=["case"])
    lot: Code | None = Field(
        default=None,
        description="Lot. Left out where lots are not kept; of a sale or write-off, the first to expire goes first.",
    )
    expires_on: Day | None = Field(default=None, description="Last day that the lot may be sold, if it is new.")
    unit_cost: NonNegativeAmount | None = Field(
        default=None, description="Cost of one base unit, in the company's currency; left out: as in the catalogue."
    )
    unit_price: NonNegativeAmount | None = Field(
        default=None, description="Price of one base unit, in the company's currency; left out: as in the catalogue."
    )
    expected_version: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        default=None, description="Version of the balance that was seen; 412 where somebody booked in between."
    )


class MovementRequest(Request):
    """A booking."""

    model_config = Request.model_config | {
        "json_schema_extra": {
            "examples": [
                {"kind": "sale", "location": "STORE-1", "lines": [{"sku": "SKU-0001", "quantity": "1"}]},
            ]
        }
    }

    kind: Literal["receipt", "sale", "return", "adjustment", "write_off"] = Field(
        description="What happened. Transfers, counts and reversals have their own paths."
    )
    location: Code = Field(description="Whose stock changes.", examples=["STORE-1"])
    lines: tuple[LineRequest, ...] = Field(min_length=1, max_length=_MOST_LINES, description="What was moved.")
    occurred_at: Instant | None = Field(default=None, description="When it happened; left out: now.")
    reference: OptionalCode = Field(default="", description="Invoice, order or till receipt it belongs to.")
    reason: Words = Field(default="", description="Why; needed for adjustments and write-offs.")


class BatchMovement(MovementRequest):
    """A booking of a batch, under its own key."""

    key: Annotated[str, Field(min_length=8, max_length=128, pattern="^[!-~]+$")] = Field(
        description="Idempotency key of this booking."
    )


class BatchRequest(Request):
    """Many bookings at once; each is posted or refused by itself."""

    movements: tuple[BatchMovement, ...] = Field(
        min_length=1, max_length=_MOST_MOVEMENTS, description="The bookings, posted in this order."
    )


class ReversalRequest(Request):
    """Why a movement is taken back."""

    reason: Reason = Field(description="Why it is taken back.", examples=["scanned twice"])


class Change(Reply):
    """What a movement changed."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Whose stock changed.")
    lot: str = Field(description="Lot; empty where lots are not kept.")
    quantity: str = Field(description="By how much, in base units, with its sign.")
    balance: str | None = Field(
        description="The balance after it, in base units; null where it was booked in a batch: read /stock then."
    )
    unit: str = Field(description="The base unit.")


class BookedReply(Reply):
    """A movement that was posted."""

    movement: str = Field(description="Its identifier.")
    kind: Kind = Field(description="What happened.")
    occurred_at_utc: Instant = Field(description="When it happened.")
    lines: list[Change] = Field(description="What it changed at the company's own locations.")


class BatchOutcome(Reply):
    """What became of one booking of a batch."""

    key: str = Field(description="Its idempotency key.")
    is_posted: bool = Field(description="Whether it is in the ledger.")
    movement: BookedReply | None = Field(description="What was posted; null where it was refused.")
    problem: dict[str, Any] | None = Field(
        description="Why it was refused (as problem details); null where it was not."
    )


class BatchReply(Reply):
    """What became of a batch, one outcome a booking, in its order."""

    n_posted: int = Field(description="Bookings that are in the ledger.")
    n_refused: int = Field(description="Bookings that were refused.")
    outcomes: list[BatchOutcome] = Field(description="One a booking, in the order of the request.")


class StockReply(Reply):
    """A balance."""

    sku: str = Field(description="The product.")
    name: str = Field(description="Its name.")
    location: str = Field(description="Where.")
    lot: str = Field(description="Lot; empty where lots are not kept.")
    expires_on: Day | None = Field(description="Last day that the lot may be sold.")
    on_hand: Exact = Field(description="The balance, base units.")
    unit: str = Field(description="The base unit.")
    version: int = Field(description="Rises with every change; send it as expected_version.")


class MovementLineReply(Reply):
    """A line of a movement."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Whose balance it changes; virtual ones begin with @.")
    lot: str = Field(description="Lot; empty where lots are not kept.")
    quantity: Exact = Field(description="Signed change, base units.")
    unit_cost: Exact | None = Field(description="Cost of one base unit, in the company's currency.")
    unit_price: Exact | None = Field(description="Price of one base unit, in the company's currency.")
    entered_quantity: str = Field(description="As it was entered.")
    entered_unit: str = Field(description="The unit it was entered in.")


class MovementReply(Reply):
    """A posted movement with its lines."""

    movement: str = Field(description="Its identifier.")
    kind: Kind = Field(description="What happened.")
    occurred_at_utc: Instant = Field(description="When it happened.")
    posted_at_utc: Instant = Field(description="When it was posted.")
    posted_by: str = Field(description="Who posted it.")
    reference: str = Field(description="Invoice, order, count or transfer it belongs to.")
    reason: str = Field(description="Why.")
    reverses: str | None = Field(description="The movement that it takes back.")
    lines: list[MovementLineReply] = Field(description="Its lines; they sum to zero per sku and lot.")


@router.get("/stock", summary="What is where.")
def get_stock(
    context: Context,
    pages: Pages,
    sku: Annotated[Code | None, Query(description="Only of this product.")] = None,
    location: Annotated[Code | None, Query(description="Only at this location; a virtual one too.")] = None,
    is_negative: Annotated[bool, Query(description="Only balances below zero.")] = False,
) -> ListReply[StockReply]:
    """Balances by sku, location and lot."""
    with context.reading() as connection:
        page = list_stock(
            connection,
            sku=sku,
            location=location,
            below=0 if is_negative else None,
            after=check_cursor(pages.after, str, str, str),
            limit=pages.limit,
        )
    return ListReply(items=[_stock_reply(row) for row in page.rows], next_cursor=encode_cursor(page.after))


@router.get("/movements", summary="What happened.")
def get_movements(
    context: Context,
    pages: Pages,
    sku: Annotated[Code | None, Query(description="With a line of this product.")] = None,
    location: Annotated[Code | None, Query(description="With a line at this location.")] = None,
    kind: Annotated[Kind | None, Query(description="Of this kind.")] = None,
    reference: Annotated[Code | None, Query(description="With this reference.")] = None,
    occurred_from: Annotated[Instant | None, Query(description="That happened at or after it.")] = None,
    occurred_before: Annotated[Instant | None, Query(description="That happened before it.")] = None,
    order: Annotated[Literal["newest", "oldest"], Query(description="By the time of posting.")] = "newest",
) -> ListReply[MovementReply]:
    """Movements with their lines."""
    wanted = MovementFilter(
        sku=sku,
        location=location,
        kind=kind,
        reference=reference,
        occurred_from=occurred_from,
        occurred_before=occurred_before,
    )
    with context.reading() as connection:
        page = list_movements(
            connection,
            wanted,
            is_newest_first=order == "newest",
            after=check_cursor(pages.after, datetime, str),
            limit=pages.limit,
        )
        lines = read_movement_lines(connection, (row["movement"] for row in page.rows))
        company = read_company(connection)
    items = [_movement_reply(row, lines[row["movement"]], company=company) for row in page.rows]
    return ListReply(items=items, next_cursor=encode_cursor(page.after))


@router.get("/movements/{movement}", summary="One movement.")
def get_movement(context: Context, movement: PathCode) -> MovementReply:
    """A movement with its lines."""
    with context.reading() as connection:
        row = read_movement_row(connection, movement)
        lines = read_movement_lines(connection, [movement])
        return _movement_reply(row, lines[movement], company=read_company(connection))


@router.post("/movements", status_code=201, summary="Book a movement.")
def post_movement(context: Context, caller: Caller, key: IdempotencyKey, request: MovementRequest) -> BookedReply:
    """Post a receipt, sale, return, adjustment or write-off; the same key again posts nothing and answers the same."""
    now = context.now()
    write = describe_write("POST /movements", request, key=key, caller=caller, now=now)
    with context.writing() as connection:
        reply = book(connection, _draft(request, context=context), write)
    return BookedReply.model_validate(reply)


@router.post("/movements/batch", summary="Book many movements, each by itself.")
def post_movement_batch(context: Context, caller: Caller, request: BatchRequest) -> BatchReply:
    """Post bookings in their order in one transaction; a refused one leaves the others, and says why."""
    now = context.now()
    bookings = [_booking(movement, context=context, caller=caller, now=now) for movement in request.movements]
    with context.writing() as connection:
        results = book_many(connection, bookings)
    outcomes = [_outcome(movement.key, booked) for movement, booked in zip(request.movements, results, strict=True)]
    n_posted = sum(outcome.is_posted for outcome in outcomes)
    return BatchReply(n_posted=n_posted, n_refused=len(outcomes) - n_posted, outcomes=outcomes)


@router.post("/movements/{movement}/reversal", status_code=201, summary="Take a movement back.")
def post_reversal(
    context: Context, caller: Caller, key: IdempotencyKey, movement: PathCode, request: ReversalRequest
) -> BookedReply:
    """Post the reversal of a movement: both stay in the ledger."""
    write = describe_write(f"POST /movements/{movement}/reversal", request, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        reply = book_reversal(connection, movement, write, reason=request.reason)
    return BookedReply.model_validate(reply)


def to_draft_lines(lines: Sequence[LineRequest]) -> tuple[DraftLine, ...]:
    """Return the lines of a request as the operations take them."""
    return tuple(DraftLine(**{name: getattr(line, name) for name in LineRequest.model_fields}) for line in lines)


def _draft(request: MovementRequest, *, context: PlanningContext) -> Draft:
    return Draft(
        kind=Kind(request.kind),
        location=request.location,
        lines=to_draft_lines(request.lines),
        occurred_at=request.occurred_at or context.now(),
        reference=request.reference,
        reason=request.reason,
    )


def _booking(movement: BatchMovement, *, context: PlanningContext, caller: Principal, now: datetime) -> Booking:
    # As if it had come alone, so that it may be sent again either way.
    body = MovementRequest(**{name: getattr(movement, name) for name in MovementRequest.model_fields})
    write = describe_write("POST /movements", body, key=movement.key, caller=caller, now=now)
    return Booking(draft=_draft(body, context=context), write=write)


def _outcome(key: str, booked: Booked) -> BatchOutcome:
    if booked.error is None:
        reply = BookedReply.model_validate(booked.reply)
        return BatchOutcome(key=key, is_posted=True, movement=reply, problem=None)
    problem = problem_of(booked.error)
    words = {"status": problem.status, "title": problem.title, "detail": problem.detail, **problem.extensions}
    return BatchOutcome(key=key, is_posted=False, movement=None, problem=words)


def in_base_units(scaled: int, row: RowMapping) -> Decimal:
    """Return scaled base units as a number, with the decimals that a row's product has."""
    return Decimal(scaled).scaleb(-int(row["quantity_decimals"] or 0))


def _stock_reply(row: RowMapping) -> StockReply:
    return StockReply(
        sku=row["sku"],
        name=row["name"] or "",
        location=row["location"],
        lot=row["lot"],
        expires_on=row["expires_on"],
        on_hand=in_base_units(row["quantity"], row),
        unit=row["base_unit"] or "",
        version=row["version"],
    )


def _movement_reply(row: RowMapping, lines: Sequence[RowMapping], *, company: Company) -> MovementReply:
    names = ("movement", "kind", "occurred_at_utc", "posted_at_utc", "posted_by", "reference", "reason", "reverses")
    return MovementReply(
        **{name: row[name] for name in names},
        lines=[
            MovementLineReply(
                sku=line["sku"],
                location=line["location"],
                lot=line["lot"],
                quantity=in_base_units(line["quantity"], line),
                unit_cost=company.from_minor(line["unit_cost"]),
                unit_price=company.from_minor(line["unit_price"]),
                entered_quantity=line["entered_quantity"],
                entered_unit=line["entered_unit"],
            )
            for line in lines
        ],
    )
