"""In: what changed in an ERP is read page by page and taken over, each page with how far it goes in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from restock.adapters.database.engine import read_transaction
from restock.adapters.database.erp_store import (
    Rejection,
    clear_rejection,
    list_rejected,
    read_cursor,
    read_links,
    touch_run,
    write_cursor,
    write_link,
    write_rejection,
)
from restock.adapters.erp.interface import (
    ErpCustomerOrder,
    ErpKind,
    ErpLocation,
    ErpPurchaseOrder,
    ErpRecord,
    Unreadable,
)
from restock.errors import RestockError
from restock.operations.erp.contents import describe, digest, kind_of
from restock.operations.erp.customer_orders import take_customer_order
from restock.operations.erp.exchange import Direction, ErpBusyError, Exchange, Fate
from restock.operations.erp.masters import Incoming, Taken, take_master
from restock.operations.erp.orders_in import take_purchase_order
from restock.operations.erp.references import find_references, find_unlinked
from restock.operations.stock.company import read_company


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far a kind has been read. A pass reads in the order of identity all that changed since an instant.

    Attributes:
        high: instant of the latest change when the pass began; in the ERP's own writing.
        seen_at: when that instant was seen first, by our clock.
        is_settled: whether everything up to that instant has come to light and been read.
        since: what the pass under way looks for; None where none is under way.
        after: identity of the last record that was read in it.
    """

    high: str = ""
    seen_at: str = ""
    is_settled: bool = False
    since: str | None = None
    after: str = ""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Records that are taken over in one transaction.

    Attributes:
        kind: of what.
        referred: what orders among them refer to and was not ours yet.
        records: the records.
        position: how far the kind has been read then; None where that does not move.
    """

    kind: ErpKind
    referred: tuple[tuple[ErpKind, ErpRecord | Unreadable], ...]
    records: tuple[ErpRecord | Unreadable, ...]
    position: Position | None


def read_batches(engine: Engine, exchange: Exchange, kind: ErpKind) -> Iterator[Batch]:
    """Yield what of a kind is to be taken over: what was rejected before, and what changed since the last time.

    Each batch must have been taken over before the next is asked for.
    """
    client = exchange.client
    with read_transaction(engine) as connection:
        position = decode_position(read_cursor(connection, exchange.system, kind, Direction.IN))
        rejected = list_rejected(connection, exchange.system, kind, Direction.IN)
    if rejected:
        yield _batch(engine, exchange, kind, client.read_some(kind, rejected), None)
    if position.since is None:
        begun = _begin_pass(exchange, position, client.find_newest(kind))
        if begun is None:
            return
        position = begun
    is_last = False
    while not is_last:
        page = client.read_page(kind, since=position.since or "", after=position.after, limit=exchange.page_size)
        is_last = page.is_last
        position = replace(position, after=page.after)
        yield _batch(engine, exchange, kind, page.records, _end_pass(position) if is_last else position)


def take_batch(connection: Connection, exchange: Exchange, batch: Batch) -> None:
    """Take over a batch and keep how far it goes.

    Args:
        connection: in a write transaction; the caller commits.
        exchange: the run.
        batch: what.

    Raises:
        ErpBusyError: another run has taken over.
    """
    require_run(connection, exchange)
    for kind, record in batch.referred:
        take(connection, exchange, kind, record)
    for record in batch.records:
        take(connection, exchange, batch.kind, record)
    if batch.position is not None:
        write_cursor(
            connection,
            exchange.system,
            batch.kind,
            Direction.IN,
            cursor=encode_position(batch.position),
            now=exchange.clock(),
        )


def take(connection: Connection, exchange: Exchange, kind: ErpKind, record: ErpRecord | Unreadable) -> Fate:
    """Take over a record, or keep why that can't be; what was written of it until then is undone."""
    fate, reason = Fate.REJECTED, ""
    if isinstance(record, Unreadable):
        reason = record.reason
    else:
        try:
            with connection.begin_nested():
                fate = _take(connection, exchange, record)
        except RestockError as error:
            reason = str(error)
        except IntegrityError as error:
            reason = f"the database refuses it: {error.orig}"
    if fate is Fate.REJECTED:
        rejection = Rejection(kind=kind, direction=Direction.IN, record=record.theirs, reason=reason)
        write_rejection(connection, exchange.system, rejection, now=exchange.clock())
    else:
        clear_rejection(connection, exchange.system, kind, Direction.IN, record.theirs)
    exchange.summary.tally(kind, Direction.IN).count(fate)
    return fate


def require_run(connection: Connection, exchange: Exchange) -> None:
    """Give a sign of life.

    Raises:
        ErpBusyError: another run has taken over.
    """
    if not touch_run(connection, exchange.run, now=exchange.clock()):
        raise ErpBusyError(
            f"another run of the exchange with {exchange.system} has taken over from this one, which gave no sign of "
            "life for too long. Nothing is lost: that one goes on where this one was."
        )


def encode_position(position: Position) -> str:
    """Return a position as it is kept."""
    return json.dumps(asdict(position), sort_keys=True)


def decode_position(text: str) -> Position:
    """Return a kept position; the start where nothing is kept."""
    return Position(**json.loads(text)) if text else Position()


def _take(connection: Connection, exchange: Exchange, record: ErpRecord) -> Fate:
    if isinstance(record, ErpLocation) and record.is_virtual:
        return Fate.UNCHANGED
    kind, now = kind_of(record), exchange.clock()
    worded = describe(record, currency_decimals=read_company(connection).currency_decimals)
    incoming = Incoming(
        kind=kind,
        theirs=record.theirs,
        code=record.code,
        changed_at=record.changed_at,
        content=worded.content,
        digest=digest(worded.content),
    )
    link = next(iter(read_links(connection, exchange.system, kind, theirs=[record.theirs])), None)
    if link is not None and link.digest == incoming.digest:
        return Fate.UNCHANGED
    for note in worded.notes:
        exchange.summary.note(note)
    taken: Taken
    if isinstance(record, ErpPurchaseOrder):
        taken = take_purchase_order(connection, exchange, record, incoming, link)
    elif isinstance(record, ErpCustomerOrder):
        taken = take_customer_order(connection, exchange, record, incoming, link)
    else:
        taken = take_master(connection, exchange, incoming, link)
    if taken.link is not None:
        write_link(connection, exchange.system, kind, taken.link, now=now)
    return taken.fate


def _batch(
    engine: Engine,
    exchange: Exchange,
    kind: ErpKind,
    records: tuple[ErpRecord | Unreadable, ...],
    position: Position | None,
) -> Batch:
    """Return a batch, with what its orders refer to read from the ERP where it is not ours yet."""
    with read_transaction(engine) as connection:
        unlinked = find_unlinked(connection, exchange.system, find_references(records))
    referred: list[tuple[ErpKind, Any]] = []
    for other in ErpKind:
        if other in unlinked:
            referred += [(other, each) for each in exchange.client.read_some(other, sorted(unlinked[other]))]
    return Batch(kind=kind, referred=tuple(referred), records=records, position=position)


def _begin_pass(exchange: Exchange, last: Position, newest: str) -> Position | None:
    """Return the position at the start of a pass; None where there is nothing to read.

    An ERP writes the instant of a change before others can see it. So a pass looks a while further back than the last
    one came, until that instant is long enough ago; then everything up to it has been read, and is not read again.
    """
    if not newest or (newest == last.high and last.is_settled):
        return None
    now = exchange.clock()
    if newest == last.high:
        is_old = now - datetime.fromisoformat(last.seen_at) >= exchange.client.settling
        since = exchange.client.step_back(last.high)
        return Position(high=newest, seen_at=last.seen_at, is_settled=is_old, since=since)
    since = "" if not last.high else last.high if last.is_settled else exchange.client.step_back(last.high)
    return Position(high=newest, seen_at=now.isoformat(), is_settled=False, since=since)


def _end_pass(position: Position) -> Position:
    return replace(position, since=None, after="")
