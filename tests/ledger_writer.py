"""A process that posts to a ledger and acknowledges every movement to a pipe, until somebody kills it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe

from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.ledger_batch import Refused, post_many
from restock.adapters.database.ledger_store import Posting, post
from restock.ledger.movements import Entry, receive, sell

START = datetime(2024, 5, 1, tzinfo=UTC)
LOCATION = "S"
# What a run of two operations leaves: in comes more than goes out, so that none is ever refused.
RECEIVED, SOLD = 5, 3


def write_until_killed(url: str, pipe: Pipe, first: int, name: str, batch: int) -> None:
    """Post operation after operation from number `first` on, some at a time, and send what was answered.

    The number is the idempotency key: an operation whose answer was lost is posted again by the next writer and must
    count once.
    """
    engine = open_database(url)
    number = first
    while True:
        postings = [_posting(number + place, name) for place in range(batch)]
        with write_transaction(engine) as connection:
            outcomes = post_many(connection, postings) if batch > 1 else [post(connection, postings[0])]
        answered = []
        for place, outcome in enumerate(outcomes):
            if isinstance(outcome, Refused):
                raise outcome.error
            answered.append((number + place, str(outcome.reply["movement"])))
        pipe.send(answered)
        number += batch


def _posting(number: int, name: str) -> Posting:
    at = START + timedelta(seconds=number)
    if number % 2:
        movement = sell([Entry(sku="A", quantity=SOLD)], location=LOCATION, occurred_at=at)
    else:
        movement = receive([Entry(sku="A", quantity=RECEIVED)], location=LOCATION, occurred_at=at)
    return Posting(
        movement=movement,
        identifier=f"{number:07d}-{name}",
        key=f"operation-{number}",
        request={"number": number},
        posted_by="writer",
        posted_at=at,
    )
