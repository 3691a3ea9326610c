"""Posting many movements in one transaction: what `ledger_store.post` does one by one, in few statements.

A movement that is refused leaves the others: its part of the balances is taken back before anybody else can see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any

from sqlalchemy import Connection, select

from restock.adapters.database.bulk_writer import BulkWriter, open_writer
from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.ledger_store import (
    TOPIC,
    Posted,
    Posting,
    build_reply,
    digest_request,
    repeat_reply,
    require_reversible,
)
from restock.adapters.database.ledger_tables import IdempotencyRow, MovementRow
from restock.errors import NotFoundError, RestockError
from restock.ledger.balances import BalanceKey, Shortage, add_up, find_shortages, require_stock
from restock.ledger.movements import Line, MovementError, checked, is_virtual

# Names in one IN (...).
_AT_A_TIME = 500


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A posting that was not posted.

    Attributes:
        error: why; what `post` would have raised.
    """

    error: RestockError


Outcome = Posted | Refused


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A posting on its way.

    Attributes:
        posting: what comes in.
        digest: of its request.
        reply: what it will be answered with.
        changes: of balances.
        error: why it can't be posted, whatever the stock is.
    """

    posting: Posting
    digest: str
    reply: dict[str, Any]
    changes: dict[BalanceKey, int]
    error: RestockError | None = None


@dataclass(slots=True, kw_only=True)
class _Ledger:
    """What the postings of a batch meet, brought forward with each of them.

    Attributes:
        replies: request's digest and reply by key.
        balances: by key.
        may_be_negative: physical locations that allow it.
        posted: of the movements that are reversed in this batch, those that are posted.
        reversed_by: identifier of the reversal, by that of the movement.
    """

    replies: dict[str, tuple[str, dict[str, Any]]]
    balances: dict[BalanceKey, int]
    may_be_negative: frozenset[str]
    posted: set[str] = field(default_factory=set)
    reversed_by: dict[str, str] = field(default_factory=dict)


def post_many(connection: Connection, postings: Sequence[Posting]) -> list[Outcome]:
    """Post movements in order in the transaction of `connection`, and return what became of each.

    The tables are then as if `post` had been called for one after the other, each in a transaction of its own. Keys and
    balances are locked in order of name, so that batches don't deadlock.

    Args:
        connection: in a write transaction; the caller commits. Where this raises, roll back.
        postings: what to post; identifiers are unique.
    """
    if not postings:
        return []
    writer = open_writer(connection)
    drafts = [_draft(posting) for posting in postings]
    replies, claimed = _claim(connection, writer, drafts)
    may_be_negative = _judge_locations(connection, drafts)
    candidates = [draft for draft in drafts if draft.error is None and draft.posting.key not in replies]
    changed = _sum_up(candidates)
    after = writer.change_balances(changed)
    ledger = _Ledger(
        replies=replies,
        balances={key: after[key] - change for key, (change, _) in changed.items()},
        may_be_negative=may_be_negative,
    )
    _read_reversed(connection, candidates, ledger)
    outcomes, booked = _book_all(drafts, ledger)
    _take_back(writer, candidates, booked, claimed=claimed)
    _write(writer, booked)
    return outcomes


def _draft(posting: Posting) -> _Draft:
    """Return a posting with what follows from it alone."""
    digest, reply = digest_request(posting.request), build_reply(posting)
    lines = posting.movement.lines
    try:
        if not _is_plain_pair(lines):
            checked(posting.movement)
    except MovementError as error:
        return _Draft(posting=posting, digest=digest, reply=reply, changes={}, error=error)
    return _Draft(posting=posting, digest=digest, reply=reply, changes=add_up(lines))


def _is_plain_pair(lines: Sequence[Line]) -> bool:
    """Return whether two lines plainly keep double entry, as most movements do."""
    if len(lines) != 2:
        return False
    one, other = lines
    return one.quantity == -other.quantity != 0 and one.sku == other.sku and one.lot == other.lot


def _claim(
    connection: Connection, writer: BulkWriter, drafts: Sequence[_Draft]
) -> tuple[dict[str, tuple[str, dict[str, Any]]], dict[str, _Draft]]:
    """Claim the keys; return digest and reply of those that are known, and for which draft the others are claimed."""
    first: dict[str, _Draft] = {}
    for draft in drafts:
        first.setdefault(draft.posting.key, draft)
    free = writer.claim_keys([_key_row(writer, first[key]) for key in sorted(first)])
    known = {}
    for row in _read_in(connection, select(IdempotencyRow.__table__), IdempotencyRow.key, first.keys() - free):
        known[row.key] = (row.request_sha256, row.reply)
    return known, {key: first[key] for key in free}


def _judge_locations(connection: Connection, drafts: Sequence[_Draft]) -> frozenset[str]:
    """Note the drafts whose physical locations are unknown, and return the locations that may fall below zero."""
    named = {key[1] for draft in drafts for key in draft.changes}
    physical = {name for name in named if not is_virtual(name)}
    statement = select(LocationRow.location, LocationRow.may_be_negative)
    found = {row[0]: row[1] for row in _read_in(connection, statement, LocationRow.location, physical)}
    unknown = physical - found.keys()
    if unknown:
        for draft in drafts:
            missing = sorted(key[1] for key in draft.changes if key[1] in unknown)
            if missing:
                draft.error = NotFoundError(f"location {missing[0]!r} is unknown. Add it to the catalogue first.")
    return frozenset(name for name, is_allowed in found.items() if is_allowed)


def _sum_up(drafts: Iterable[_Draft]) -> dict[BalanceKey, tuple[int, int]]:
    """Return the change of every balance and how many movements make it."""
    totals: dict[BalanceKey, tuple[int, int]] = {}
    for draft in drafts:
        for key, change in draft.changes.items():
            total, times = totals.get(key, (0, 0))
            totals[key] = (total + change, times + 1)
    return totals


def _read_reversed(connection: Connection, drafts: Sequence[_Draft], ledger: _Ledger) -> None:
    """Look up the movements that are taken back; call it once the balances are locked."""
    wanted = {draft.posting.movement.reverses for draft in drafts} - {None}
    if not wanted:
        return
    names = {str(name) for name in wanted}
    for row in _read_in(connection, select(MovementRow.movement), MovementRow.movement, names):
        ledger.posted.add(row[0])
    statement = select(MovementRow.reverses, MovementRow.movement)
    for row in _read_in(connection, statement, MovementRow.reverses, names):
        ledger.reversed_by[row[0]] = row[1]


def _book_all(drafts: Sequence[_Draft], ledger: _Ledger) -> tuple[list[Outcome], list[_Draft]]:
    """Return what becomes of each draft, in order, and those that are posted."""
    outcomes: list[Outcome] = []
    booked = []
    for draft in drafts:
        key = draft.posting.key
        known = ledger.replies.get(key)
        try:
            if known is not None:
                reply = repeat_reply(key, draft.digest, recorded=known[0], reply=known[1])
                outcomes.append(Posted(reply=reply, is_repeated=True))
                continue
            below, after = _book(draft, ledger)
        except RestockError as error:
            outcomes.append(Refused(error=error))
            continue
        ledger.replies[key] = (draft.digest, draft.reply)
        outcomes.append(Posted(reply=draft.reply, is_repeated=False, below_zero=below, balances=after))
        booked.append(draft)
    return outcomes, booked


def _book(draft: _Draft, ledger: _Ledger) -> tuple[tuple[Shortage, ...], dict[BalanceKey, int]]:
    """Bring the ledger forward by a draft; return the balances that fall below zero, and all that it touches.

    Raises:
        RestockError: it can't be posted; the ledger stays.
    """
    if draft.error is not None:
        raise draft.error
    movement, balances = draft.posting.movement, ledger.balances
    if movement.reverses is not None:
        require_reversible(
            movement.reverses,
            is_posted=movement.reverses in ledger.posted,
            reversed_by=ledger.reversed_by.get(movement.reverses),
        )
    below: tuple[Shortage, ...] = ()
    for key, change in draft.changes.items():
        if change < 0 and balances[key] + change < 0 and not is_virtual(key[1]):
            below = find_shortages(draft.changes, balances, may_be_negative=frozenset())
            require_stock([each for each in below if each.location not in ledger.may_be_negative])
            break
    after = {key: balances[key] + change for key, change in draft.changes.items()}
    balances.update(after)
    ledger.posted.add(draft.posting.identifier)
    if movement.reverses is not None:
        ledger.reversed_by[movement.reverses] = draft.posting.identifier
    return below, after


def _take_back(
    writer: BulkWriter, candidates: Sequence[_Draft], booked: Sequence[_Draft], *, claimed: Mapping[str, _Draft]
) -> None:
    """Undo what was written ahead for drafts that are not posted: their changes, and the keys claimed for them."""
    if len(booked) < len(candidates):
        is_booked = {id(draft) for draft in booked}
        writer.correct_balances(_sum_up(draft for draft in candidates if id(draft) not in is_booked))
    winners = {draft.posting.key: draft for draft in booked}
    stale = sorted(key for key, draft in claimed.items() if winners.get(key) is not draft)
    if stale:
        writer.release_keys(stale)
        writer.insert("idempotency", [_key_row(writer, winners[key]) for key in stale if key in winners])


def _write(writer: BulkWriter, booked: Sequence[_Draft]) -> None:
    """Insert movements, lines, events and audit entries."""
    movements, lines, events, entries = [], [], [], []
    for draft in booked:
        posting = draft.posting
        movement, identifier, posted_at = posting.movement, posting.identifier, writer.instant(posting.posted_at)
        kind = movement.kind.value
        movements.append(
            (
                identifier,
                kind,
                writer.instant(movement.occurred_at),
                posted_at,
                posting.posted_by,
                movement.reference,
                movement.reason,
                movement.reverses,
            )
        )
        for number, line in enumerate(movement.lines, start=1):
            lines.append(
                (
                    identifier,
                    number,
                    line.sku,
                    line.location,
                    line.lot,
                    line.quantity,
                    line.unit_cost,
                    line.unit_price,
                    line.entered_quantity,
                    line.entered_unit,
                )
            )
        events.append((identifier, TOPIC, event_text(posting), posted_at))
        details = f'{{"key": {_quoted(posting.key)}, "request_sha256": "{draft.digest}"}}'
        entries.append((posted_at, posting.posted_by, f"post_{kind}", identifier, details))
    writer.insert("movements", movements)
    writer.insert("movement_lines", lines)
    writer.insert("outbox", events)
    writer.insert("audit_log", entries)


def _key_row(writer: BulkWriter, draft: _Draft) -> tuple[Any, ...]:
    posting = draft.posting
    return posting.key, draft.digest, reply_text(posting), writer.instant(posting.posted_at)


def reply_text(posting: Posting) -> str:
    """Return `build_reply` as JSON, several times as fast as a general encoder."""
    movement = posting.movement
    return (
        f'{{"movement": {_quoted(posting.identifier)}, "kind": "{movement.kind.value}", '
        f'"lines": {len(movement.lines)}}}'
    )


def event_text(posting: Posting) -> str:
    """Return `build_event` as JSON, several times as fast as a general encoder."""
    movement = posting.movement
    lines = ", ".join(
        [
            f'{{"sku": {_quoted(line.sku)}, "location": {_quoted(line.location)}, "lot": {_quoted(line.lot)}, '
            f'"quantity": {line.quantity}}}'
            for line in movement.lines
        ]
    )
    return (
        f'{{"movement": {_quoted(posting.identifier)}, "kind": "{movement.kind.value}", '
        f'"occurred_at_utc": "{movement.occurred_at.isoformat()}", "reference": {_quoted(movement.reference)}, '
        f'"lines": [{lines}]}}'
    )


def _read_in(connection: Connection, statement: Any, column: Any, names: Iterable[str]) -> list[Any]:
    """Return the rows of a statement where a column has one of the names."""
    ordered = sorted(names)
    rows: list[Any] = []
    for start in range(0, len(ordered), _AT_A_TIME):
        rows += connection.execute(statement.where(column.in_(ordered[start : start + _AT_A_TIME]))).all()
    return rows
