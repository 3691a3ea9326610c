"""The exchange with an ERP or CRM, and what comes from there: customers and their orders."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from restock.adapters.erp.connect import ErpSystem, list_configured, open_client
from restock.adapters.erp.interface import ErpKind
from restock.operations.erp.customer_orders import (
    CustomerOrderFilter,
    list_customer_orders,
    list_customers,
    read_customer_order_lines,
)
from restock.operations.erp.exchange import USUAL_KINDS, Direction
from restock.operations.erp.state import read_state
from restock.operations.erp.synchronise import synchronise
from serving.planning.context import Caller, Context
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.values import Code, Day, Exact, Reply, Request

router = APIRouter(tags=["erp"])

_State = Literal["open", "partly_delivered", "delivered", "cancelled"]


class KindStateReply(Reply):
    """How one kind stands."""

    kind: str = Field(description="Of what.")
    links: int = Field(description="Records that are one of ours and one of theirs.")
    rejected: int = Field(description="Records that could not be taken over.")


class CursorReply(Reply):
    """How far a kind has been read."""

    kind: str = Field(description="Of what.")
    direction: str = Field(description="Which way.")
    read_up_to: str = Field(description="Instant of the latest change that was there, in the ERP's own writing.")
    is_under_way: bool = Field(description="Whether a pass was cut off; the next run goes on with it.")
    changed_at_utc: str = Field(description="When it moved last.")


class RejectionReply(Reply):
    """A record that could not be taken over; tried again with every run."""

    kind: str = Field(description="Of what.")
    direction: str = Field(description="Which way.")
    record: str = Field(description="Theirs where it comes in, ours where it goes out.")
    reason: str = Field(description="Why.")
    attempts: int = Field(description="How often it was tried.")
    rejected_at_utc: str = Field(description="When it was tried last.")


class RunReply(Reply):
    """A run."""

    run: str = Field(description="Its identifier.")
    state: Literal["running", "finished", "failed", "interrupted"] = Field(description="Its state.")
    direction: str = Field(description="Which way.")
    started_by: str = Field(description="Who ran it.")
    started_at_utc: str = Field(description="When it began.")
    finished_at_utc: str | None = Field(description="When it ended; null while it runs.")
    summary: dict[str, Any] = Field(description="What it did.")


class SystemReply(Reply):
    """How the exchange with an ERP stands."""

    system: str = Field(description="The ERP.")
    is_configured: bool = Field(description="Whether its address is set.")
    last_run: RunReply | None = Field(description="The run that was begun last; null where there was none.")
    kinds: list[KindStateReply] = Field(description="How each kind stands.")
    cursors: list[CursorReply] = Field(description="How far each kind has been read.")
    rejections: list[RejectionReply] = Field(description="The latest 100 records that could not be taken over.")


class ErpReply(Reply):
    """How the exchange stands with every ERP that there is a client for."""

    systems: list[SystemReply] = Field(description="The ERPs.")


class SyncRequest(Request):
    """What to exchange."""

    kinds: Annotated[tuple[ErpKind, ...], Field(min_length=1, max_length=7)] | None = Field(
        default=None, description="What; left out: all but stock, which overwrites what the ERP believes."
    )
    direction: Direction = Field(default=Direction.BOTH, description="Which way; what comes in comes first.")
    is_adjusting: bool = Field(
        default=False, description="Adjust the ledger to the ERP's stock; only with kinds [stock] and direction in."
    )
    is_rehearsal: bool = Field(default=False, description="Count what would be done, and do nothing.")


class TallyReply(Reply):
    """What became of one kind."""

    kind: str = Field(description="Of what.")
    direction: str = Field(description="Which way.")
    read: int = Field(description="Records looked at.")
    created: int = Field(description="New ones.")
    changed: int = Field(description="Changed ones.")
    unchanged: int = Field(description="Ones that were as they should be.")
    rejected: int = Field(description="Ones that could not be taken over.")


class DifferenceReply(Reply):
    """A stock level that is not the same on both sides."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Where.")
    ours: str = Field(description="In the ledger, base units.")
    theirs: str = Field(description="In the ERP, base units.")


class SyncReply(Reply):
    """What a run did."""

    kinds: list[TallyReply] = Field(description="What became of each kind.")
    n_differences: int = Field(description="Stock levels that differed.")
    differences: list[DifferenceReply] = Field(description="The first 200 of them.")
    n_notes: int = Field(description="Things that a person should know.")
    notes: list[str] = Field(description="The first 200 of them.")


class CustomerReply(Reply):
    """Who buys."""

    customer: str = Field(description="The customer.")
    name: str = Field(description="Name.")
    region: str = Field(description="Region.")
    is_active: bool = Field(description="Whether they still buy.")
    version: int = Field(description="Rises with every change.")


class CustomerOrderLineReply(Reply):
    """A line of an order."""

    line: int = Field(description="Its number.")
    sku: str = Field(description="The product.")
    unit: str = Field(description="The base unit.")
    quantity_ordered: Exact = Field(description="Ordered, base units.")
    quantity_delivered: Exact = Field(description="Delivered of it, base units.")
    unit_price: Exact | None = Field(description="Price of one base unit, in the company's currency.")


class CustomerOrderReply(Reply):
    """What a customer has ordered: demand that is known ahead while it is open."""

    customer_order: str = Field(description="The order.")
    customer: str = Field(description="Who ordered.")
    location: str = Field(description="Where it is delivered from.")
    state: _State = Field(description="Its state.")
    ordered_on: Day = Field(description="When it was ordered.")
    requested_on: Day | None = Field(description="When it is wanted; null where that is not said.")
    version: int = Field(description="Rises with every change.")
    lines: list[CustomerOrderLineReply] = Field(description="What is ordered.")


@router.get("/erp")
def get_erp(context: Context) -> ErpReply:
    """Return how the exchange stands with every ERP."""
    configured = list_configured(context.settings)
    with context.reading() as connection:
        states = [(system, read_state(connection, system.value)) for system in ErpSystem]
    return ErpReply(
        systems=[SystemReply(is_configured=system in configured, **state) for system, state in states],
    )


@router.post("/erp/{system}/sync")
def post_erp_sync(system: ErpSystem, body: SyncRequest, context: Context, caller: Caller) -> SyncReply:
    """Exchange what changed since the last time, and return what was done when it is done.

    It can be repeated: a second run changes nothing, and one that was cut off goes on. The first exchange of a large
    catalogue takes minutes; `restock erp sync` runs it without a connection that may break.
    """
    client = open_client(system, context.settings)
    try:
        summary = synchronise(
            context.engine,
            client,
            kinds=body.kinds or USUAL_KINDS,
            direction=body.direction,
            clock=context.now,
            actor=caller.name,
            is_adjusting=body.is_adjusting,
            is_rehearsal=body.is_rehearsal,
        )
    finally:
        client.close()
    return SyncReply(**summary.as_json())


@router.get("/customers")
def get_customers(
    context: Context,
    pages: Pages,
    is_active: Annotated[bool | None, Query(description="Only those that still buy, or do not.")] = None,
) -> ListReply[CustomerReply]:
    """Return customers by code."""
    after = check_cursor(pages.after, str)
    with context.reading() as connection:
        page = list_customers(connection, is_active=is_active, after=after, limit=pages.limit)
    return ListReply(items=[CustomerReply(**row) for row in page.rows], next_cursor=encode_cursor(page.after))


@router.get("/customer-orders")
def get_customer_orders(
    context: Context,
    pages: Pages,
    customer: Annotated[Code | None, Query(description="Only of this customer.")] = None,
    location: Annotated[Code | None, Query(description="Only from this location.")] = None,
    state: Annotated[_State | None, Query(description="Only in this state.")] = None,
    sku: Annotated[Code | None, Query(description="Only with this product.")] = None,
) -> ListReply[CustomerOrderReply]:
    """Return customers' orders with their lines, the latest first."""
    after = check_cursor(pages.after, date, str)
    chosen = CustomerOrderFilter(customer=customer, location=location, state=state, sku=sku)
    with context.reading() as connection:
        page = list_customer_orders(connection, chosen=chosen, after=after, limit=pages.limit)
        lines = read_customer_order_lines(connection, [row["customer_order"] for row in page.rows])
    items = [
        CustomerOrderReply(**row, lines=[CustomerOrderLineReply(**line) for line in lines[row["customer_order"]]])
        for row in page.rows
    ]
    return ListReply(items=items, next_cursor=encode_cursor(page.after))
