"""Booking many at once: each is posted or refused by itself, in few statements where none depends on another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.ledger_batch import Refused, post_many
from restock.adapters.database.ledger_store import Posting
from restock.errors import RestockError
from restock.ledger.balances import BalanceKey
from restock.operations.stock.booking import TAKES_STOCK, Draft, book, build_movement, complete_reply, describe_lines
from restock.operations.stock.booking_facts import BookingFacts, read_booking_facts
from restock.operations.stock.once import Write, request_of
from restock.operations.stock_watch import watch_balances

_CLIENT_MISTAKES = 500


@dataclass(frozen=True, kw_only=True)
class Booking:
    """One booking of a batch.

    Attributes:
        draft: what.
        write: key, request, who and when.
    """

    draft: Draft
    write: Write


@dataclass(frozen=True, kw_only=True)
class Booked:
    """What became of a booking of a batch.

    Attributes:
        reply: what it is answered with; None where it was refused.
        error: why it was refused; None where it was not.
    """

    reply: dict[str, Any] | None = None
    error: RestockError | None = None


def book_many(connection: Connection, bookings: Sequence[Booking]) -> list[Booked]:
    """Return what became of each booking, in order; a refused one leaves nothing behind, its key neither.

    Where lots are to be chosen or a balance must be as it was seen, one booking depends on those before it, and they
    are posted one after the other: some hundred a second in place of thousands.

    Args:
        connection: in a write transaction; the caller commits.
        bookings: what to book.

    Raises:
        RestockError: something failed that is nobody's mistake; nothing may be committed then.
    """
    known = read_booking_facts(
        connection, (line.sku for each in bookings for line in each.draft.lines), must_be_known=False
    )
    if any(_depends(each.draft, known) for each in bookings):
        return [_book_alone(connection, each) for each in bookings]
    return _book_together(connection, bookings, known)


def _depends(draft: Draft, known: BookingFacts) -> bool:
    """Return whether a booking must see what those before it left."""
    for line in draft.lines:
        product = known.products.get(line.sku)
        is_choosing = product is not None and product.is_lot_tracked and not line.lot and draft.kind in TAKES_STOCK
        if is_choosing or line.expected_version is not None:
            return True
    return False


def _book_alone(connection: Connection, booking: Booking) -> Booked:
    try:
        with connection.begin_nested():
            return Booked(reply=book(connection, booking.draft, booking.write))
    except RestockError as error:
        return _refused(error)


def _book_together(connection: Connection, bookings: Sequence[Booking], known: BookingFacts) -> list[Booked]:
    results: dict[int, Booked] = {}
    postings: dict[int, Posting] = {}
    for position, booking in enumerate(bookings):
        write = booking.write
        try:
            movement = build_movement(connection, booking.draft, now=write.now, known=known)
        except RestockError as error:
            results[position] = _refused(error)
            continue
        postings[position] = Posting(
            movement=movement,
            identifier=new_identifier(write.now),
            key=write.key,
            request=request_of(write),
            posted_by=write.actor,
            posted_at=write.now,
        )
    touched: dict[BalanceKey, int] = {}
    outcomes = post_many(connection, list(postings.values()))
    for (position, posting), outcome in zip(postings.items(), outcomes, strict=True):
        if isinstance(outcome, Refused):
            results[position] = _refused(outcome.error)
            continue
        if outcome.is_repeated:
            results[position] = Booked(reply=complete_reply(connection, outcome.reply))
            continue
        touched.update(outcome.balances)
        lines = describe_lines(posting.movement, None, products=known.products)
        when = posting.movement.occurred_at.isoformat()
        results[position] = Booked(reply=outcome.reply | {"occurred_at_utc": when, "lines": lines})
    if touched:
        watch_balances(connection, touched, now=bookings[0].write.now)
    return [results[position] for position in range(len(bookings))]


def _refused(error: RestockError) -> Booked:
    if error.http_status >= _CLIENT_MISTAKES:
        raise error
    return Booked(error=error)
