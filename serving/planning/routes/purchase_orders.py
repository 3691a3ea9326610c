"""Purchase orders: drafted, sent, received in parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy import RowMapping

from restock.operations.stock.company import Company, read_company
from restock.operations.stock.order_lines import OrderDraft, OrderLine, ReceivedLine
from restock.operations.stock.purchase_orders import (
    cancel_order,
    change_order,
    close_order,
    draft_from_plan,
    draft_order,
    receive_order,
    send_order,
)
from restock.operations.stock.reading import list_orders, read_order, read_order_lines, read_order_receipts
from serving.planning.context import Caller, Context, ExpectedVersion, IdempotencyKey
from serving.planning.etags import set_etag
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.routes.stock import Change, in_base_units
from serving.planning.values import (
    Code,
    Day,
    Exact,
    Instant,
    NonNegativeAmount,
    OptionalCode,
    PathCode,
    PositiveAmount,
    Reason,
    Reply,
    Request,
    Words,
)
from serving.planning.writes import describe_write

router = APIRouter(tags=["purchase orders"])

_State = Literal["draft", "sent", "partly_received", "received", "closed", "cancelled"]


class OrderLineRequest(Request):
    """What is ordered."""

    sku: Code = Field(description="The product.", examples=["SKU-0001"])
    quantity: PositiveAmount = Field(description="How many, in `unit`.", examples=["10"])
    unit: Code | None = Field(default=None, description="Unit of measure; left out: the base unit.", examples=["case"])
    unit_cost: NonNegativeAmount | None = Field(
        default=None, description="Cost of one base unit, in the company's currency; left out: as in the supply terms."
    )


class OrderRequest(Request):
    """A purchase order."""

    supplier: Code = Field(description="Who delivers.", examples=["SUP-1"])
    location: Code = Field(description="Where to.", examples=["DC-1"])
    lines: Annotated[tuple[OrderLineRequest, ...], Field(min_length=1, max_length=500)] = Field(
        description="What is ordered."
    )
    promised_on: Day | None = Field(default=None, description="When the supplier will deliver, if it is known.")
    note: Words = Field(default="", description="What else is to be known.")


class FromPlanRequest(Request):
    """Which plans become orders."""

    as_of: Day | None = Field(default=None, description="Day of the plans; left out: the latest.")
    location: Code | None = Field(default=None, description="Only for this location; left out: for all.")


class SendRequest(Request):
    """What the supplier has promised."""

    promised_on: Day | None = Field(default=None, description="When they will deliver; left out: as in the draft.")


class ReceivedLineRequest(Request):
    """What came of a line."""

    line: Annotated[int, Field(ge=1, le=500)] = Field(description="Number of the order's line.")
    quantity: PositiveAmount = Field(description="How many, in `unit`.", examples=["4"])
    unit: Code | None = Field(default=None, description="Unit of measure; left out: the base unit.")
    lot: Code | None = Field(default=None, description="Its lot, where lots are kept.")
    expires_on: Day | None = Field(default=None, description="Last day that the lot may be sold.")


class ReceiptRequest(Request):
    """A delivery, whole or in part."""

    lines: Annotated[tuple[ReceivedLineRequest, ...], Field(min_length=1, max_length=500)] = Field(
        description="What came; a line of the order may come in several lots."
    )
    occurred_at: Instant | None = Field(default=None, description="When it came; left out: now.")
    reference: OptionalCode = Field(default="", description="Number of the delivery note.")


class ReasonRequest(Request):
    """Why."""

    reason: Reason = Field(description="Why.", examples=["supplier is out of stock"])


class OrderMovedReply(Reply):
    """The state of an order after a change."""

    purchase_order: str = Field(description="The order.")
    state: _State = Field(description="Its state now.")
    version: int = Field(description="Its version now.")


class OrdersDraftedReply(Reply):
    """The orders that were drafted from plans."""

    purchase_orders: list[OrderMovedReply] = Field(description="One a supplier and location.")
    drafted_before: int = Field(description="Orders of the same plans that were drafted before, and stay.")
    warehouse_lines: int = Field(
        description="Lines of the plans that a warehouse of the company supplies: ask it for a transfer."
    )


class OrderReceivedReply(Reply):
    """What was booked for a delivery."""

    purchase_order: str = Field(description="The order.")
    state: _State = Field(description="Its state now.")
    movement: str = Field(description="The movement that was posted.")
    lines: list[Change] = Field(description="What it changed.")


class OrderLineReply(Reply):
    """A line of an order."""

    line: int = Field(description="Its number.")
    sku: str = Field(description="The product.")
    quantity_ordered: Exact = Field(description="Ordered, base units.")
    quantity_received: Exact = Field(description="Come so far, base units.")
    unit: str = Field(description="The base unit.")
    unit_cost: Exact | None = Field(description="Cost of one base unit, in the company's currency.")
    entered_quantity: str = Field(description="As it was entered.")
    entered_unit: str = Field(description="The unit it was entered in.")


class OrderReply(Reply):
    """A purchase order."""

    purchase_order: str = Field(description="Its identifier.")
    supplier: str = Field(description="Who delivers.")
    location: str = Field(description="Where to.")
    state: _State = Field(description="How far it has come.")
    ordered_on: Day | None = Field(description="When it was sent.")
    promised_on: Day | None = Field(description="When the supplier will deliver.")
    note: str = Field(description="What else is to be known.")
    created_at_utc: Instant = Field(description="When it was drafted.")
    created_by: str = Field(description="Who drafted it.")
    version: int = Field(description="Rises with every change; the ETag.")
    lines: list[OrderLineReply] = Field(description="What is ordered.")


class OrderReceiptReply(Reply):
    """What came of a line with one delivery."""

    movement: str = Field(description="The movement that booked it.")
    line: int = Field(description="The order's line.")
    sku: str = Field(description="The product.")
    quantity: Exact = Field(description="Base units; below 0 where a delivery was taken back.")
    received_on: Day = Field(description="When it came.")


class OrderWithReceiptsReply(OrderReply):
    """A purchase order with what came of it."""

    receipts: list[OrderReceiptReply] = Field(description="What came, in the order in which it came.")


@router.get("/purchase-orders", summary="Purchase orders, the latest first.")
def get_orders(
    context: Context,
    pages: Pages,
    state: Annotated[_State | None, Query(description="Only in this state.")] = None,
    supplier: Annotated[Code | None, Query(description="Only of this supplier.")] = None,
    location: Annotated[Code | None, Query(description="Only for this location.")] = None,
    sku: Annotated[Code | None, Query(description="Only with a line of this product.")] = None,
) -> ListReply[OrderReply]:
    """Purchase orders with their lines."""
    with context.reading() as connection:
        page = list_orders(
            connection,
            state=state,
            supplier=supplier,
            location=location,
            sku=sku,
            after=check_cursor(pages.after, datetime, str),
            limit=pages.limit,
        )
        lines = read_order_lines(connection, (row["purchase_order"] for row in page.rows))
        company = read_company(connection)
    items = [OrderReply(**_order(row, lines[row["purchase_order"]], company=company)) for row in page.rows]
    return ListReply(items=items, next_cursor=encode_cursor(page.after))


@router.get("/purchase-orders/{purchase_order}", summary="One purchase order.")
def get_order(context: Context, response: Response, purchase_order: PathCode) -> OrderWithReceiptsReply:
    """A purchase order with its lines and what came of them."""
    with context.reading() as connection:
        row = read_order(connection, purchase_order)
        lines = read_order_lines(connection, [purchase_order])[purchase_order]
        receipts = read_order_receipts(connection, purchase_order)
        company = read_company(connection)
    set_etag(response, row["version"])
    return OrderWithReceiptsReply(
        **_order(row, lines, company=company),
        receipts=[
            OrderReceiptReply(
                movement=receipt["movement"],
                line=receipt["line"],
                sku=receipt["sku"],
                quantity=in_base_units(receipt["quantity"], receipt),
                received_on=receipt["received_on"],
            )
            for receipt in receipts
        ],
    )


@router.post("/purchase-orders", status_code=201, summary="Draft a purchase order.")
def post_order(context: Context, caller: Caller, key: IdempotencyKey, request: OrderRequest) -> OrderMovedReply:
    """Draft an order; it is not on its way until it is sent."""
    write = describe_write("POST /purchase-orders", request, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        return OrderMovedReply.model_validate(draft_order(connection, _draft(request), write))


@router.post("/purchase-orders/from-plan", status_code=201, summary="Draft what the plans say to order.")
def post_orders_from_plan(
    context: Context, caller: Caller, key: IdempotencyKey, request: FromPlanRequest
) -> OrdersDraftedReply:
    """Draft one order a supplier and location for what the plans say to order."""
    write = describe_write("POST /purchase-orders/from-plan", request, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        reply = draft_from_plan(connection, write, as_of=request.as_of, location=request.location)
    return OrdersDraftedReply.model_validate(reply)


@router.put("/purchase-orders/{purchase_order}", summary="Replace a draft.")
def put_order(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    version: ExpectedVersion,
    purchase_order: PathCode,
    request: OrderRequest,
) -> OrderMovedReply:
    """Replace a draft by another; with If-Match, only where nobody changed it in between."""
    route = f"PUT /purchase-orders/{purchase_order}"
    write = describe_write(route, request, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        reply = change_order(connection, purchase_order, _draft(request), write, expected_version=version)
    return OrderMovedReply.model_validate(reply)


@router.post("/purchase-orders/{purchase_order}/send", summary="Send an order to its supplier.")
def post_order_sent(
    context: Context, caller: Caller, key: IdempotencyKey, purchase_order: PathCode, request: SendRequest
) -> OrderMovedReply:
    """Say that an order has gone to its supplier: from now on it is on order."""
    route = f"POST /purchase-orders/{purchase_order}/send"
    write = describe_write(route, request, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        reply = send_order(connection, purchase_order, write, promised_on=request.promised_on)
    return OrderMovedReply.model_validate(reply)


@router.post("/purchase-orders/{purchase_order}/receipts", status_code=201, summary="Book a delivery.")
def post_order_receipt(
    context: Context, caller: Caller, key: IdempotencyKey, purchase_order: PathCode, request: ReceiptRequest
) -> OrderReceivedReply:
    """Post a delivery, whole or in part, to the ledger and to the order's lines."""
    now = context.now()
    route = f"POST /purchase-orders/{purchase_order}/receipts"
    write = describe_write(route, request, key=key, caller=caller, now=now)
    lines = [
        ReceivedLine(line=line.line, quantity=line.quantity, unit=line.unit, lot=line.lot, expires_on=line.expires_on)
        for line in request.lines
    ]
    with context.writing() as connection:
        reply = receive_order(
            connection,
            purchase_order,
            lines,
            write,
            occurred_at=request.occurred_at or now,
            reference=request.reference,
        )
    return OrderReceivedReply.model_validate(reply)


@router.post("/purchase-orders/{purchase_order}/close", summary="Expect nothing more of an order.")
def post_order_closed(
    context: Context, caller: Caller, key: IdempotencyKey, purchase_order: PathCode, request: ReasonRequest
) -> OrderMovedReply:
    """End an order of which less came than was ordered."""
    route = f"POST /purchase-orders/{purchase_order}/close"
    write = describe_write(route, request, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        return OrderMovedReply.model_validate(close_order(connection, purchase_order, write, reason=request.reason))


@router.post("/purchase-orders/{purchase_order}/cancel", summary="Take an order back.")
def post_order_cancelled(
    context: Context, caller: Caller, key: IdempotencyKey, purchase_order: PathCode, request: ReasonRequest
) -> OrderMovedReply:
    """End an order before anything came of it."""
    route = f"POST /purchase-orders/{purchase_order}/cancel"
    write = describe_write(route, request, key=key, caller=caller, now=context.now())
    with context.writing() as connection:
        return OrderMovedReply.model_validate(cancel_order(connection, purchase_order, write, reason=request.reason))


def _draft(request: OrderRequest) -> OrderDraft:
    return OrderDraft(
        supplier=request.supplier,
        location=request.location,
        lines=tuple(
            OrderLine(sku=line.sku, quantity=line.quantity, unit=line.unit, unit_cost=line.unit_cost)
            for line in request.lines
        ),
        promised_on=request.promised_on,
        note=request.note,
    )


def _order(row: RowMapping, lines: Sequence[RowMapping], *, company: Company) -> dict[str, object]:
    return {
        **row,
        "lines": [
            OrderLineReply(
                line=line["line"],
                sku=line["sku"],
                quantity_ordered=in_base_units(line["quantity_ordered"], line),
                quantity_received=in_base_units(line["quantity_received"], line),
                unit=line["base_unit"],
                unit_cost=company.from_minor(line["unit_cost"]),
                entered_quantity=line["entered_quantity"],
                entered_unit=line["entered_unit"],
            )
            for line in lines
        ],
    }
