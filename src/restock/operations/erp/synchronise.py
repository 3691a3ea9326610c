"""The exchange with an ERP, both ways: what can be repeated, goes on where it was cut off, and doubles nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.erp_store import begin_run, end_run, read_run_under_way
from restock.adapters.database.identifiers import new_identifier
from restock.adapters.erp.interface import ErpClient, ErpKind
from restock.errors import DataError
from restock.operations.erp.exchange import (
    USUAL_KINDS,
    Direction,
    ErpBusyError,
    Exchange,
    Summary,
    in_order,
)
from restock.operations.erp.reading import Batch, read_batches, take_batch
from restock.operations.erp.stock_levels import exchange_stock
from restock.operations.erp.writing import SENT_KINDS, count_outgoing, push

logger = logging.getLogger(__name__)

# A run that has given no sign of life for so long is taken to be dead: longer than an ERP may take to answer.
LEASE = timedelta(minutes=15)
PAGE_SIZE = 100


class _Undo(Exception):  # noqa: N818  (not an error: the end of a rehearsal)
    """Takes everything back."""


def synchronise(
    engine: Engine,
    client: ErpClient,
    *,
    kinds: Iterable[ErpKind] = USUAL_KINDS,
    direction: Direction = Direction.BOTH,
    clock: Callable[[], datetime],
    actor: str,
    page_size: int = PAGE_SIZE,
    is_adjusting: bool = False,
    is_rehearsal: bool = False,
) -> Summary:
    """Exchange what changed since the last time, and return what was done.

    Args:
        engine: the ledger's database.
        client: the ERP.
        kinds: what to exchange.
        direction: which way; what comes in comes first.
        clock: tells the time, UTC.
        actor: who runs it.
        page_size: records read at a time.
        is_adjusting: adjust the ledger to the ERP's stock; only with STOCK, and only in.
        is_rehearsal: count what would be done, and leave both sides as they are.

    Raises:
        ErpBusyError: another run with this ERP is under way.
        ErpError: the ERP can't be asked any more; what was done until then is kept.
        DataError: adjusting is asked for, but not what it needs.
    """
    wanted = in_order(kinds)
    if is_adjusting and (direction is not Direction.IN or ErpKind.STOCK not in wanted):
        raise DataError(
            "the ledger is adjusted to the ERP's stock only where stock comes in: --kinds stock --direction in "
            "--adjust."
        )
    now = clock()
    exchange = Exchange(
        client=client,
        system=client.system,
        run=new_identifier(now),
        actor=actor,
        clock=clock,
        page_size=page_size,
    )
    _begin(engine, exchange, direction, now=now)
    logger.info("exchange with %s begins: %s, %s", client.system, ", ".join(wanted), direction)
    state, fault = "failed", ""
    try:
        if is_rehearsal:
            _rehearse(engine, exchange, wanted, direction)
        else:
            _perform(engine, exchange, wanted, direction, is_adjusting=is_adjusting)
        state = "finished"
    except Exception as error:
        fault = str(error)
        raise
    finally:
        summary = {**exchange.summary.as_json(), "is_rehearsal": is_rehearsal, "error": fault[:1_000]}
        with write_transaction(engine) as connection:
            end_run(connection, exchange.run, state=state, summary=summary, now=clock())
        logger.info(
            "exchange with %s %s: %d written, %d rejected",
            client.system,
            state,
            exchange.summary.n_written,
            exchange.summary.n_rejected,
        )
    return exchange.summary


def _begin(engine: Engine, exchange: Exchange, direction: Direction, *, now: datetime) -> None:
    try:
        with write_transaction(engine) as connection:
            begin_run(
                connection,
                run=exchange.run,
                system=exchange.system,
                direction=direction,
                actor=exchange.actor,
                now=now,
                lease=LEASE,
            )
    except IntegrityError as error:
        with read_transaction(engine) as connection:
            other = read_run_under_way(connection, exchange.system)
        since = f" since {other['started_at_utc']:%Y-%m-%d %H:%M} UTC, by {other['started_by']}" if other else ""
        raise ErpBusyError(
            f"an exchange with {exchange.system} is under way{since}. Wait for its end; one that was cut off is taken "
            f"over {LEASE.seconds // 60} minutes after its last sign of life."
        ) from error


def _perform(
    engine: Engine, exchange: Exchange, kinds: tuple[ErpKind, ...], direction: Direction, *, is_adjusting: bool
) -> None:
    for kind in kinds:
        if kind is ErpKind.STOCK:
            continue
        if direction.covers(Direction.IN):
            for batch in read_batches(engine, exchange, kind):
                with write_transaction(engine) as connection:
                    take_batch(connection, exchange, batch)
        if direction.covers(Direction.OUT) and kind in SENT_KINDS:
            push(engine, exchange, kind)
    if ErpKind.STOCK in kinds:
        exchange_stock(engine, exchange, direction, is_adjusting=is_adjusting)


def _rehearse(engine: Engine, exchange: Exchange, kinds: tuple[ErpKind, ...], direction: Direction) -> None:
    """Read everything first, then take it over in one transaction that is undone: no lock is held while one waits."""
    batches: list[Batch] = []
    if direction.covers(Direction.IN):
        for kind in kinds:
            if kind is not ErpKind.STOCK:
                batches += read_batches(engine, exchange, kind)
    try:
        with write_transaction(engine) as connection:
            for batch in batches:
                take_batch(connection, exchange, batch)
            if direction.covers(Direction.OUT):
                for kind in kinds:
                    if kind in SENT_KINDS:
                        count_outgoing(connection, exchange, kind)
            raise _Undo
    except _Undo:
        pass
    if ErpKind.STOCK in kinds:
        exchange_stock(engine, exchange, Direction.IN, is_adjusting=False)
