"""Importing a file: judged row by row, written some records at a time, carried on after a crash, the same file once.

Each transaction writes a chunk of records and how far the import has come, so what was cut off goes on where it was,
and two that send the same file at once share the work.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.errors import DataError
from restock.operations.exchange.catalogue_writers import (
    write_locations,
    write_prices,
    write_products,
    write_suppliers,
    write_supply_terms,
)
from restock.operations.exchange.cells import LONGEST_TEXT, CellError, clean_cell
from restock.operations.exchange.import_log import (
    ImportRecord,
    ImportState,
    Rejection,
    begin_import,
    begin_retry,
    broken_content,
    lock_import,
    note_progress,
    read_import,
    read_refused_lines,
)
from restock.operations.exchange.kinds import KINDS, ExchangeKind
from restock.operations.exchange.layouts import Layout, Recognised, recognise
from restock.operations.exchange.ledger_writers import write_movements, write_stock
from restock.operations.exchange.order_writers import write_customer_orders, write_customers, write_purchase_orders
from restock.operations.exchange.reading import FileTable, ReadingLimits, read_file
from restock.operations.exchange.records import Fate, Judged, Record, TypedRecord, group_rows, read_record
from restock.operations.exchange.writing import Writer, Writing

logger = logging.getLogger(__name__)

WRITERS: dict[ExchangeKind, Writer] = {
    ExchangeKind.PRODUCTS: write_products,
    ExchangeKind.LOCATIONS: write_locations,
    ExchangeKind.SUPPLIERS: write_suppliers,
    ExchangeKind.SUPPLY_TERMS: write_supply_terms,
    ExchangeKind.PRICES: write_prices,
    ExchangeKind.STOCK: write_stock,
    ExchangeKind.MOVEMENTS: write_movements,
    ExchangeKind.PURCHASE_ORDERS: write_purchase_orders,
    ExchangeKind.CUSTOMERS: write_customers,
    ExchangeKind.CUSTOMER_ORDERS: write_customer_orders,
}
# Records of one transaction: few enough that a till does not wait long for its turn.
CHUNK_RECORDS = 200
# A dry run holds the database's one writer until it is taken back, so it judges the beginning of a large file.
DRY_RUN_RECORDS = 5_000
_LONGEST_NAME = 200
_DEADLOCK_TRIES = 5
# PostgreSQL gave up one of two that waited for each other; or could not order two at once.
_DEADLOCKS = frozenset({"40P01", "40001"})

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """What is to be imported, and how it is read.

    Attributes:
        source: the file's bytes, or where it lies.
        filename: its name, for people.
        kind: what its rows are; None: found out by the header.
        layout: whose columns it has; None: found out by the header.
        encoding: of text without a byte-order mark.
        decimal_mark: of numbers, point or comma.
        again: whether a file that was imported before is written anew, as tonight's stock that is that of last week.
        limits: how much of a file is read; None: as much as fits.
    """

    source: bytes | Path
    filename: str
    kind: ExchangeKind | None = None
    layout: Layout | None = None
    encoding: str = "utf-8"
    decimal_mark: str = "."
    again: bool = False
    limits: ReadingLimits | None = None


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of a file.

    Attributes:
        record: the import; of a dry run what it would be, without an identifier.
        is_repeated: whether the same file was through before, and nothing changed.
        is_resumed: whether it went on where it had been cut off, or tried its refused rows again.
        is_dry_run: whether nothing was kept.
        n_judged: rows that were judged.
        rejections: the first of the refused rows of a dry run.
    """

    record: ImportRecord
    is_repeated: bool = False
    is_resumed: bool = False
    is_dry_run: bool = False
    n_judged: int = 0
    rejections: tuple[Rejection, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A file that has been read.

    Attributes:
        table: what it holds.
        cells: its rows by line.
        recognised: what it is.
        records: what is written as a whole or not at all.
        n_skipped: lines that are nothing to us.
        decimal_mark: of its numbers.
    """

    table: FileTable
    cells: Mapping[int, tuple[str, ...]]
    recognised: Recognised
    records: Sequence[Record]
    n_skipped: int
    decimal_mark: str

    def reject(self, record: Record, reason: str) -> list[Rejection]:
        """Return all lines of a record as refused."""
        return [Rejection(line=line, reason=reason, content=self.content(line)) for line in record.lines]

    def content(self, line: int) -> Mapping[str, str]:
        """Return a line by the file's own columns; a cell longer than any that is read is cut."""
        cells = (cell if len(cell) <= LONGEST_TEXT else f"{cell[:LONGEST_TEXT]}…" for cell in self.cells[line])
        return dict(zip(self.table.columns, cells, strict=True))


@dataclass(frozen=True, kw_only=True)
class _Chunk:
    """What became of some records, in rows of the file."""

    n_written: int
    n_unchanged: int
    rejected: tuple[Rejection, ...]


def import_file(
    engine: Engine,
    request: ImportRequest,
    *,
    actor: str,
    now: datetime,
    dry_run: bool = False,
    require: Callable[[ExchangeKind], None] | None = None,
    on_progress: Progress | None = None,
) -> Imported:
    """Return what became of a file.

    Rows that can be written are; others are kept with their line and reason. The same file again changes nothing; where
    rows had been refused, those are tried again, since what they lacked may be there by now.

    Args:
        engine: the ledger's database.
        request: the file and how it is read.
        actor: who sends it.
        now: the time, UTC.
        dry_run: judge only; nothing is kept.
        require: refuses by an error what the sender may not import; called once it is known what the rows are.
        on_progress: called with records done and records in all.

    Raises:
        DataError: the file can't be read, which table it is can't be told, or movements are to be imported again.
    """
    filename = clean_cell(request.filename)[:_LONGEST_NAME] or "file"
    table = read_file(request.source, filename=filename, encoding=request.encoding, limits=request.limits)
    recognised = recognise(table.columns, file=filename, kind=request.kind, layout=request.layout)
    if require is not None:
        require(recognised.kind)
    records, n_skipped = group_rows(recognised.translate(table), kind=KINDS[recognised.kind])
    plan = _Plan(
        table=table,
        cells=dict(table.rows),
        recognised=recognised,
        records=records,
        n_skipped=n_skipped,
        decimal_mark=request.decimal_mark,
    )
    identity = _identify(request, plan, now=now)
    if dry_run:
        return _judge_only(engine, plan, filename=filename, actor=actor, now=now, on_progress=on_progress)
    with write_transaction(engine) as connection:
        begun = _begin(connection, plan, identity=identity, filename=filename, actor=actor, now=now)
    is_new = begun.n_done == 0 and begun.attempt == 1 and begun.state is ImportState.RUNNING
    if begun.state is ImportState.DONE:
        if begun.n_rejected == 0:
            return Imported(record=begun, is_repeated=True)
        with write_transaction(engine) as connection:
            begin_retry(connection, begun.import_id, attempt=begun.attempt + 1, now=now)
    writing = Writing(import_id=begun.import_id, filename=filename, actor=actor, now=now)
    while _carry_on(engine, plan, writing, on_progress=on_progress):
        pass
    with read_transaction(engine) as connection:
        done = read_import(connection, begun.import_id)
    logger.info("import %s: %d of %d rows written, %d refused", done.import_id, done.n_written, done.n_rows,
                done.n_rejected)  # fmt: skip
    is_same = (done.n_written, done.n_rejected) == (begun.n_written, begun.n_rejected)
    return Imported(record=done, is_repeated=not is_new and is_same, is_resumed=not is_new, n_judged=done.n_rows)


def _identify(request: ImportRequest, plan: _Plan, *, now: datetime) -> str:
    if request.again and plan.recognised.kind is ExchangeKind.MOVEMENTS:
        raise DataError("movements happened once: a file of them is not imported again. Leave `again` out.")
    reading = {
        "sha256": plan.table.sha256,
        "kind": plan.recognised.kind.value,
        "layout": plan.recognised.layout.value,
        "encoding": request.encoding,
        "decimal_mark": request.decimal_mark,
        **({"again": now.isoformat()} if request.again else {}),
    }
    return hashlib.sha256(json.dumps(reading, sort_keys=True).encode()).hexdigest()


def _begin(
    connection: Connection, plan: _Plan, *, identity: str, filename: str, actor: str, now: datetime
) -> ImportRecord:
    return begin_import(
        connection,
        identity_sha256=identity,
        kind=plan.recognised.kind,
        layout=plan.recognised.layout.value,
        filename=filename,
        sha256=plan.table.sha256,
        columns=plan.table.columns,
        ignored=plan.recognised.ignored,
        n_rows=plan.table.n_rows,
        n_skipped=plan.n_skipped,
        broken=[
            Rejection(line=each.line, reason=each.reason, content=broken_content(each.content))
            for each in plan.table.broken
        ],
        actor=actor,
        now=now,
    )


def _carry_on(engine: Engine, plan: _Plan, writing: Writing, *, on_progress: Progress | None) -> bool:
    """Write the next chunk in one transaction and return whether something is left."""
    for left in reversed(range(_DEADLOCK_TRIES)):
        try:
            with write_transaction(engine) as connection:
                n_left = _write_next(connection, plan, writing)
        except OperationalError as error:
            if left == 0 or getattr(error.orig, "sqlstate", None) not in _DEADLOCKS:
                raise
            logger.info("import %s waited for another writer and begins its chunk again", writing.import_id)
            continue
        if on_progress is not None:
            on_progress(len(plan.records) - n_left, len(plan.records))
        return n_left > 0
    return False


def _write_next(connection: Connection, plan: _Plan, writing: Writing) -> int:
    """Write the next chunk and return how many records are left."""
    before = lock_import(connection, writing.import_id)
    if before.state is ImportState.DONE:
        return 0
    is_retry = before.attempt > 1 and before.n_done >= len(plan.records)
    if is_retry:
        lines = read_refused_lines(connection, writing.import_id, before_attempt=before.attempt)
        chunk, n_left = _refused_records(plan, lines)
        retried = [line for record in chunk for line in record.lines]
        # A line that does not fit the header stays refused, whatever else has changed.
        n_records = 0
    else:
        chunk = list(plan.records[before.n_done : before.n_done + CHUNK_RECORDS])
        n_left = len(plan.records) - before.n_done - len(chunk)
        retried, n_records = [], len(chunk)
    outcome = _write_chunk(connection, plan, chunk, writing)
    note_progress(
        connection,
        before,
        n_records=n_records,
        n_written=outcome.n_written,
        n_unchanged=outcome.n_unchanged,
        rejected=outcome.rejected,
        is_done=n_left == 0,
        retried=retried,
        actor=writing.actor,
        now=writing.now,
    )
    return n_left


def _refused_records(plan: _Plan, lines: Sequence[int]) -> tuple[list[Record], int]:
    """Return the first records that have one of the refused lines, and how many more there are."""
    wanted = set(lines)
    found = [record for record in plan.records if wanted & set(record.lines)]
    return found[:CHUNK_RECORDS], max(0, len(found) - CHUNK_RECORDS)


def _write_chunk(connection: Connection, plan: _Plan, chunk: Sequence[Record], writing: Writing) -> _Chunk:
    kind = KINDS[plan.recognised.kind]
    typed: list[tuple[Record, TypedRecord]] = []
    judged: list[tuple[Record, Judged]] = []
    for record in chunk:
        try:
            typed.append((record, read_record(record, kind=kind, decimal_mark=plan.decimal_mark)))
        except CellError as error:
            judged.append((record, Judged(fate=Fate.REJECTED, reason=str(error))))
    if typed:
        fates = WRITERS[kind.kind](connection, [each for _, each in typed], writing)
        judged += [(record, each) for (record, _), each in zip(typed, fates, strict=True)]
    counts = {fate: sum(len(record.lines) for record, each in judged if each.fate is fate) for fate in Fate}
    refused = [
        rejection
        for record, each in judged
        if each.fate is Fate.REJECTED
        for rejection in plan.reject(record, each.reason)
    ]
    return _Chunk(
        n_written=counts[Fate.WRITTEN],
        n_unchanged=counts[Fate.UNCHANGED],
        rejected=tuple(sorted(refused, key=lambda each: each.line)),
    )


class _TakeBackError(Exception):
    """Leaves a transaction without keeping what it wrote."""


def _judge_only(
    engine: Engine, plan: _Plan, *, filename: str, actor: str, now: datetime, on_progress: Progress | None
) -> Imported:
    """Return what would become of a file: all of it is written in one transaction that is taken back."""
    found: list[Imported] = []
    records = plan.records[:DRY_RUN_RECORDS]
    try:
        with write_transaction(engine) as connection:
            begun = _begin(
                connection, plan, identity=f"dry-run-{now.timestamp()}", filename=filename, actor=actor, now=now
            )
            writing = Writing(import_id=begun.import_id, filename=filename, actor=actor, now=now)
            outcomes = []
            for start in range(0, len(records), CHUNK_RECORDS):
                outcomes.append(_write_chunk(connection, plan, records[start : start + CHUNK_RECORDS], writing))
                if on_progress is not None:
                    on_progress(min(start + CHUNK_RECORDS, len(records)), len(records))
            rejected = [each for outcome in outcomes for each in outcome.rejected]
            record = replace(
                begun,
                import_id="",
                state=ImportState.DONE,
                n_written=sum(outcome.n_written for outcome in outcomes),
                n_unchanged=sum(outcome.n_unchanged for outcome in outcomes),
                n_rejected=begun.n_rejected + len(rejected),
            )
            n_judged = record.n_written + record.n_unchanged + record.n_rejected + record.n_skipped
            broken = [
                Rejection(line=each.line, reason=each.reason, content=broken_content(each.content))
                for each in plan.table.broken
            ]
            first = sorted([*broken, *rejected], key=lambda each: each.line)[:CHUNK_RECORDS]
            found.append(Imported(record=record, is_dry_run=True, n_judged=n_judged, rejections=tuple(first)))
            raise _TakeBackError
    except _TakeBackError:
        return found[0]
