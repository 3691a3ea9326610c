"""The log of imports: which file has come how far, and which of its rows were refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from restock.adapters.database.exchange_tables import ImportRejectionRow, ImportRow
from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.journal import append_audit
from restock.adapters.database.keyset import Page, SortKey, read_page
from restock.errors import NotFoundError
from restock.operations.exchange.kinds import KINDS, ExchangeKind

_MANY = 500
_INSERTS: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
# What a line that does not fit the header is kept under.
WHOLE_LINE = "(line)"


class ImportState(StrEnum):
    """How far an import has come."""

    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True, kw_only=True)
class ImportRecord:
    """An import as it is.

    Attributes:
        import_id: its identifier.
        kind: what the rows are.
        layout: whose columns the file has.
        filename: its name.
        sha256: of the file's bytes.
        state: how far it has come.
        columns: the file's own columns.
        ignored: those of them that nothing reads.
        attempt: 1, and 1 more each time the refused rows were tried again.
        n_done: records that are through.
        n_rows: rows of the file.
        n_written: rows that changed something.
        n_unchanged: rows that said what was there already.
        n_skipped: rows that are nothing to us, such as further pictures of a product.
        n_rejected: rows that are refused.
        created_at: when it came, UTC.
        created_by: who sent it.
        changed_at: when it went on last, UTC.
    """

    import_id: str
    kind: ExchangeKind
    layout: str
    filename: str
    sha256: str
    state: ImportState
    columns: tuple[str, ...]
    ignored: tuple[str, ...]
    attempt: int
    n_done: int
    n_rows: int
    n_written: int
    n_unchanged: int
    n_skipped: int
    n_rejected: int
    created_at: datetime
    created_by: str
    changed_at: datetime


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A row that was refused.

    Attributes:
        line: of the file.
        reason: why.
        content: text by the file's own columns.
    """

    line: int
    reason: str
    content: Mapping[str, str]


def begin_import(
    connection: Connection,
    *,
    identity_sha256: str,
    kind: ExchangeKind,
    layout: str,
    filename: str,
    sha256: str,
    columns: Sequence[str],
    ignored: Sequence[str],
    n_rows: int,
    n_skipped: int,
    broken: Iterable[Rejection],
    actor: str,
    now: datetime,
) -> ImportRecord:
    """Return a new import, or the one that the same file under the same reading began before.

    Args:
        connection: in a write transaction; the caller commits.
        identity_sha256: of the file and of how it is read.
        kind: what the rows are.
        layout: whose columns they have.
        filename: name for people.
        sha256: of the file.
        columns: the file's own.
        ignored: those that nothing reads.
        n_rows: rows of the file.
        n_skipped: rows that are nothing to us.
        broken: lines that don't fit the header.
        actor: who sends it.
        now: the time, UTC.
    """
    refused = list(broken)
    import_id = new_identifier(now)
    row = {
        "import_id": import_id,
        "kind": kind.value,
        "layout": layout,
        "filename": filename,
        "sha256": sha256,
        "identity_sha256": identity_sha256,
        "state": ImportState.RUNNING.value,
        "header": {"columns": list(columns), "ignored": list(ignored)},
        "attempt": 1,
        "n_done": 0,
        "n_rows": n_rows,
        "n_written": 0,
        "n_unchanged": 0,
        "n_skipped": n_skipped,
        "n_rejected": len(refused),
        "created_at_utc": now,
        "created_by": actor,
        "changed_at_utc": now,
    }
    build = _INSERTS[connection.dialect.name](ImportRow)
    # Of two that come at once, the second waits here and finds the first.
    begun = connection.execute(
        build.on_conflict_do_nothing(index_elements=[ImportRow.identity_sha256]).returning(ImportRow.import_id), row
    ).one_or_none()
    if begun is not None:
        add_rejections(connection, import_id, refused, attempt=1)
    table = ImportRow.__table__
    return _record(connection.execute(select(table).where(table.c.identity_sha256 == identity_sha256)).mappings().one())


def lock_import(connection: Connection, import_id: str) -> ImportRecord:
    """Return an import that nobody else carries on until the transaction ends."""
    table = ImportRow.__table__
    row = connection.execute(select(table).where(table.c.import_id == import_id).with_for_update()).mappings().one()
    return _record(row)


def note_progress(
    connection: Connection,
    before: ImportRecord,
    *,
    n_records: int,
    n_written: int,
    n_unchanged: int,
    rejected: Sequence[Rejection],
    is_done: bool,
    retried: Sequence[int] = (),
    actor: str,
    now: datetime,
) -> None:
    """Keep how far an import has come, in the transaction that brought it there.

    Args:
        connection: in the write transaction in which `lock_import` returned `before`.
        before: how far it had come.
        n_records: records that are through now besides.
        n_written: rows of them that changed something.
        n_unchanged: rows of them that changed nothing.
        rejected: rows of them that are refused.
        is_done: whether nothing is left.
        retried: lines that had been refused and were tried again.
        actor: who carries it on.
        now: the time, UTC.
    """
    refused = ImportRejectionRow
    for start in range(0, len(retried), _MANY):
        lines = retried[start : start + _MANY]
        connection.execute(delete(refused).where(refused.import_id == before.import_id, refused.line.in_(lines)))
    add_rejections(connection, before.import_id, rejected, attempt=before.attempt)
    n_rejected = before.n_rejected - len(retried) + len(rejected)
    values = {
        "n_done": before.n_done + n_records,
        "n_written": before.n_written + n_written,
        "n_unchanged": before.n_unchanged + n_unchanged,
        "n_rejected": n_rejected,
        "state": (ImportState.DONE if is_done else ImportState.RUNNING).value,
        "changed_at_utc": now,
    }
    connection.execute(update(ImportRow).where(ImportRow.import_id == before.import_id).values(values))
    if is_done and before.state is ImportState.RUNNING:
        details = {"kind": before.kind.value, "filename": before.filename, "sha256": before.sha256}
        counts = {name: values[name] for name in ("n_written", "n_unchanged", "n_rejected")}
        append_audit(
            connection,
            actor=actor,
            action="import_file",
            subject=before.import_id,
            now=now,
            details=details | counts | {"attempt": before.attempt},
        )


def begin_retry(connection: Connection, import_id: str, *, attempt: int, now: datetime) -> None:
    """Let the refused rows of an import be tried again, once for each attempt."""
    connection.execute(
        update(ImportRow)
        .where(ImportRow.import_id == import_id, ImportRow.attempt == attempt - 1)
        .values(attempt=attempt, state=ImportState.RUNNING.value, changed_at_utc=now)
    )


def read_refused_lines(connection: Connection, import_id: str, *, before_attempt: int) -> list[int]:
    """Return lines that were refused and have not been tried at this attempt yet, in order."""
    table = ImportRejectionRow.__table__
    found = connection.execute(
        select(table.c.line)
        .where(table.c.import_id == import_id, table.c.attempt < before_attempt)
        .order_by(table.c.line)
    ).scalars()
    return [int(line) for line in found]


def add_rejections(connection: Connection, import_id: str, rejected: Sequence[Rejection], *, attempt: int) -> None:
    """Keep rows that were refused."""
    rows = [
        {
            "import_id": import_id,
            "line": each.line,
            "reason": each.reason,
            "content": dict(each.content),
            "attempt": attempt,
        }
        for each in rejected
    ]
    if rows:
        connection.execute(insert(ImportRejectionRow), rows)


def read_import(connection: Connection, import_id: str) -> ImportRecord:
    """Return an import.

    Raises:
        NotFoundError: there is none with that identifier.
    """
    table = ImportRow.__table__
    found = connection.execute(select(table).where(table.c.import_id == import_id)).mappings().one_or_none()
    if found is None:
        raise NotFoundError(f"there is no import {import_id!r}. GET /api/v1/imports lists all.")
    return _record(found)


def list_imports(
    connection: Connection, *, after: Sequence[Any] | None = None, limit: int = 100
) -> tuple[list[ImportRecord], tuple[Any, ...] | None]:
    """Return a page of imports, the latest first, and where the next one begins; None where it was the last."""
    table = ImportRow.__table__
    keys = [
        SortKey(column=table.c.created_at_utc, is_descending=True),
        SortKey(column=table.c.import_id, is_descending=True),
    ]
    page: Page = read_page(connection, select(table), keys=keys, after=after, limit=limit)
    return [_record(row) for row in page.rows], page.after


def list_rejections(
    connection: Connection, import_id: str, *, after: int = 0, limit: int = _MANY
) -> tuple[list[Rejection], int | None]:
    """Return rows that an import refused after a line, and the last of them where there are more."""
    table = ImportRejectionRow.__table__
    rows = connection.execute(
        select(table.c.line, table.c.reason, table.c.content)
        .where(table.c.import_id == import_id, table.c.line > after)
        .order_by(table.c.line)
        .limit(limit + 1)
    ).all()
    found = [Rejection(line=row.line, reason=row.reason, content=row.content) for row in rows[:limit]]
    return found, found[-1].line if len(rows) > limit else None


def iterate_rejections(connection: Connection, import_id: str) -> Iterator[Rejection]:
    """Yield all rows that an import refused, by line."""
    after: int | None = 0
    while after is not None:
        found, after = list_rejections(connection, import_id, after=after)
        yield from found


def reason_column(record: ImportRecord) -> str:
    """Return what the reasons are called beside the file's own columns, so that the mended file can come again."""
    kind = KINDS[record.kind]
    read = {name for column in kind.columns for name in (column.name, *column.aliases)}
    return "reason" if "reason" not in read and "reason" not in record.columns else "rejection_reason"


def broken_content(text: str) -> dict[str, str]:
    """Return what is kept of a line that does not fit the header.

    Example:
        >>> broken_content('["a", "b"]')
        {'(line)': 'a, b'}
    """
    try:
        fields = json.loads(text)
    except ValueError:
        return {WHOLE_LINE: text}
    return {WHOLE_LINE: ", ".join(str(field) for field in fields)}


def _record(row: RowMapping) -> ImportRecord:
    shared = ("import_id", "layout", "filename", "sha256", "attempt", "n_done", "n_rows", "n_written", "n_unchanged")
    return ImportRecord(
        **{name: row[name] for name in shared},
        kind=ExchangeKind(row["kind"]),
        state=ImportState(row["state"]),
        columns=tuple(row["header"]["columns"]),
        ignored=tuple(row["header"]["ignored"]),
        n_skipped=row["n_skipped"],
        n_rejected=row["n_rejected"],
        created_at=row["created_at_utc"],
        created_by=row["created_by"],
        changed_at=row["changed_at_utc"],
    )
