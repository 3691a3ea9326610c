"""A deterministic simulation of a ledger under fire: seeded operations, crashes, lost replies, repeats and reordering.

Each seed plays some clients against one database. A client sends an operation under an idempotency key until it has a
reply; the network loses requests and replies, repeats them late and out of order, and the server dies at any step of a
transaction. A plain dictionary is the reference. A client may send several operations at once, as a batch. The same
seed plays the same game, so a failing one can be replayed:

    simulate(engine, seed=N, n_operations=100, largest_batch=1)
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, insert, select

from restock.adapters.database import ledger_batch, ledger_store
from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.ledger_batch import Outcome, Refused, post_many
from restock.adapters.database.ledger_store import Posted, Posting, find_differences, find_unbalanced, post
from restock.adapters.database.ledger_tables import AuditRow, BalanceRow, MovementRow, OutboxRow
from restock.errors import ConflictError
from restock.ledger.balances import InsufficientStockError, add_up
from restock.ledger.movements import (
    Entry,
    Movement,
    adjust,
    arrive,
    dispatch,
    is_virtual,
    receive,
    reverse,
    sell,
    settle_count,
    take_back,
    write_off,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
LOCATIONS = {"S1": False, "S2": False, "TILL": True}
SKUS = ("A", "B", "C")
LOTS = ("", "L1")
# The steps of a posting after which the server may die, in order; the last is the commit itself.
CRASH_POINTS = ("claim_key", "change_balances", "_insert_movement", "_insert_event", "_insert_audit", "fill_reply")
BATCH_CRASH_POINTS = ("_claim", "_judge_locations", "_read_reversed", "_book_all", "_take_back", "_write")
AFTER_COMMIT = "after_commit"


class CrashError(Exception):
    """The server died."""


@dataclass
class Reference:
    """What the ledger must say."""

    balances: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    posted: dict[str, Movement] = field(default_factory=dict)
    replies: dict[str, dict[str, object]] = field(default_factory=dict)


@dataclass
class Request:
    """A client's operation, with the key under which it is sent until it is answered."""

    key: str
    movement: Movement
    content: dict[str, object]


def simulate(engine: Engine, *, seed: int, n_operations: int, largest_batch: int = 1) -> dict[str, int]:
    """Play one seed on an empty, migrated database, check every invariant, and return how much of what happened.

    Args:
        engine: the database.
        seed: decides the game.
        n_operations: how many the clients send.
        largest_batch: most operations that are sent at once; 1 for one by one.

    Raises:
        AssertionError: an invariant is broken.
    """
    rng = random.Random(seed)
    reference, tally = Reference(), defaultdict(int)
    rows = [
        {
            "location": name,
            "name": name,
            "kind": "store",
            "region": "",
            "may_be_negative": may_be_negative,
            "is_active": True,
            "version": 1,
        }
        for name, may_be_negative in LOCATIONS.items()
    ]
    with write_transaction(engine) as connection:
        connection.execute(insert(LocationRow), rows)
    late: list[Request] = []
    number = 0
    while number < n_operations:
        size = rng.randint(1, largest_batch) if largest_batch > 1 else 1
        drawn = [_draw_request(rng, reference, number=number + place) for place in range(size)]
        requests = [request for request in drawn if request is not None]
        number += size
        late += [request for request in requests if rng.random() < 0.2]
        if late and rng.random() < 0.3:
            # The network delivers an old request again, out of order.
            tally["repeated"] += 1
            requests.insert(rng.randint(0, len(requests)), late.pop(rng.randrange(len(late))))
        if largest_batch > 1:
            _send_batch_until_answered(engine, rng, reference, requests, tally=tally)
            continue
        for request in requests:
            _send_until_answered(engine, rng, reference, request, tally=tally)
    check_invariants(engine, reference)
    return dict(tally)


def check_invariants(engine: Engine, reference: Reference) -> None:
    """Compare a database with the reference.

    Raises:
        AssertionError: they differ.
    """
    with read_transaction(engine) as connection:
        assert list(find_differences(connection)) == []
        assert find_unbalanced(connection) is None
        rows = connection.execute(select(BalanceRow.sku, BalanceRow.location, BalanceRow.lot, BalanceRow.quantity))
        found = {(sku, location, lot): quantity for sku, location, lot, quantity in rows}
        expected = reference.balances
        assert {key: value for key, value in found.items() if value} == {
            key: value for key, value in expected.items() if value
        }
        totals: dict[tuple[str, str], int] = defaultdict(int)
        for (sku, location, lot), quantity in found.items():
            totals[sku, lot] += quantity
            assert quantity >= 0 or is_virtual(location) or LOCATIONS[location], (sku, location, lot, quantity)
        assert not any(totals.values())
        identifiers = set(connection.execute(select(MovementRow.movement)).scalars())
        assert identifiers == set(reference.posted)
        assert set(connection.execute(select(OutboxRow.event)).scalars()) == identifiers
        assert set(connection.execute(select(AuditRow.subject)).scalars()) == identifiers


def _draw_request(rng: random.Random, reference: Reference, *, number: int) -> Request | None:
    """Return the next operation of a client."""
    when = START + timedelta(minutes=rng.randrange(100_000))
    location = rng.choice(list(LOCATIONS))
    entries = [
        Entry(sku=rng.choice(SKUS), quantity=rng.randint(1, 20), lot=rng.choice(LOTS), unit_cost=rng.randint(1, 500))
        for _ in range(rng.randint(1, 3))
    ]
    verb = rng.choice(("receive", "receive", "sell", "sell", "back", "out", "in", "off", "adjust", "count", "reverse"))
    movement: Movement | None
    if verb == "reverse":
        known = [key for key, one in reference.posted.items() if one.reverses is None]
        if not known:
            return None
        identifier = rng.choice(known)
        if any(one.reverses == identifier for one in reference.posted.values()):
            return None
        movement = reverse(reference.posted[identifier], posted_as=identifier, occurred_at=when, reason="mistake")
    elif verb == "count":
        sku, lot = rng.choice(SKUS), rng.choice(LOTS)
        booked = reference.balances[sku, location, lot]
        counted = Entry(sku=sku, quantity=max(0, booked + rng.randint(-3, 3)), lot=lot)
        movement = settle_count(
            [counted], booked=[booked], location=location, occurred_at=when, reference=f"C-{number}"
        )
        if movement is None:
            return None
    else:
        builders = {
            "receive": lambda: receive(entries, location=location, occurred_at=when),
            "sell": lambda: sell(entries, location=location, occurred_at=when),
            "back": lambda: take_back(entries, location=location, occurred_at=when),
            "out": lambda: dispatch(entries, location=location, occurred_at=when, reference="TR"),
            "in": lambda: arrive(entries, location=location, occurred_at=when, reference="TR"),
            "off": lambda: write_off(entries, location=location, occurred_at=when, reason="broken"),
            "adjust": lambda: adjust(entries, location=location, occurred_at=when, reason="wrong unit"),
        }
        movement = builders[verb]()
    return Request(key=f"key-{number}", movement=movement, content={"operation": number, "verb": verb})


def _send_until_answered(
    engine: Engine, rng: random.Random, reference: Reference, request: Request, *, tally: dict[str, int]
) -> None:
    """Send a request until a reply comes through, and bring the reference up to date."""
    for attempt in range(50):
        fault = rng.choice((*CRASH_POINTS, AFTER_COMMIT)) if rng.random() < 0.25 else None
        identifier = f"m-{request.key}-{attempt}-{rng.randrange(10**6)}"
        try:
            posted = _serve(engine, request, identifier=identifier, fault=fault)
        # Refused for want of stock it may come late again, when another request has reversed the same movement.
        except (InsufficientStockError, ConflictError):
            tally["refused"] += 1
            return
        except CrashError:
            tally["crashes"] += 1
            continue
        tally["answered"] += 1
        known = reference.replies.setdefault(request.key, posted.reply)
        assert known == posted.reply, (request.key, known, posted.reply)
        _note(reference, request, str(posted.reply["movement"]))
        return
    raise AssertionError(f"{request.key} was never answered")


def _send_batch_until_answered(
    engine: Engine, rng: random.Random, reference: Reference, requests: list[Request], *, tally: dict[str, int]
) -> None:
    """Send a batch until a reply comes through, and bring the reference up to date."""
    for attempt in range(50):
        fault = rng.choice((*BATCH_CRASH_POINTS, AFTER_COMMIT)) if rng.random() < 0.25 else None
        postings = [
            _posting(request, f"m-{request.key}-{attempt}-{place}-{rng.randrange(10**6)}")
            for place, request in enumerate(requests)
        ]
        try:
            outcomes = _serve_batch(engine, postings, fault=fault)
        except CrashError:
            tally["crashes"] += 1
            # The client may pack what it has to send in another order.
            rng.shuffle(requests)
            continue
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, Refused):
                # Two operations of a batch may take back the same movement.
                assert type(outcome.error) in (InsufficientStockError, ConflictError), outcome.error
                tally["refused"] += 1
                continue
            tally["answered"] += 1
            known = reference.replies.setdefault(request.key, outcome.reply)
            assert known == outcome.reply, (request.key, known, outcome.reply)
            _note(reference, request, str(outcome.reply["movement"]))
        return
    raise AssertionError(f"{[request.key for request in requests]} were never answered")


def _note(reference: Reference, request: Request, identifier: str) -> None:
    """Post in the reference, once."""
    if identifier in reference.posted:
        return
    assert not any(key.startswith(f"m-{request.key}-") for key in reference.posted), request.key
    reference.posted[identifier] = request.movement
    for key, change in add_up(request.movement.lines).items():
        reference.balances[key] += change


def _serve(engine: Engine, request: Request, *, identifier: str, fault: str | None) -> Posted:
    """Serve a request, dying at the step `fault`.

    Raises:
        CrashError: the server died; before the commit nothing is kept, after it all is, but the reply is lost.
    """
    posting = _posting(request, identifier)
    with write_transaction(engine) as connection:
        original = getattr(ledger_store, fault) if fault in CRASH_POINTS else None
        if original is None:
            posted = post(connection, posting)
        else:

            def die(*arguments: object, **options: object) -> None:
                original(*arguments, **options)
                raise CrashError(fault)

            setattr(ledger_store, fault, die)
            try:
                posted = post(connection, posting)
            finally:
                setattr(ledger_store, fault, original)
    if fault == AFTER_COMMIT:
        raise CrashError(fault)
    return posted


def _serve_batch(engine: Engine, postings: list[Posting], *, fault: str | None) -> list[Outcome]:
    """Serve a batch, dying at the step `fault`; see `_serve`."""
    with write_transaction(engine) as connection:
        original = getattr(ledger_batch, fault) if fault in BATCH_CRASH_POINTS else None
        if original is None:
            outcomes = post_many(connection, postings)
        else:

            def die(*arguments: object, **options: object) -> None:
                original(*arguments, **options)
                raise CrashError(fault)

            setattr(ledger_batch, fault, die)
            try:
                outcomes = post_many(connection, postings)
            finally:
                setattr(ledger_batch, fault, original)
    if fault == AFTER_COMMIT:
        raise CrashError(fault)
    return outcomes


def _posting(request: Request, identifier: str) -> Posting:
    return Posting(
        movement=request.movement,
        identifier=identifier,
        key=request.key,
        request=request.content,
        posted_by="simulation",
        posted_at=START,
    )
