"""What is kept of the exchange with an ERP: links, cursors, rejections and runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from restock.adapters.database.base import Base
from restock.adapters.database.delivery_tables import ErpCursorRow, ErpLinkRow, ErpRejectionRow, ErpRunRow
from restock.adapters.database.ledger_tables import AuditRow

_INSERTS: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
# Rows looked up by one statement.
_CHUNK = 500
_REASON_CHARACTERS = 1_000


@dataclass(frozen=True, kw_only=True)
class Link:
    """What of ours is what of theirs.

    Attributes:
        theirs: identity in the ERP.
        ours: our sku, location, supplier, customer or order.
        digest: of their side when both last agreed.
        their_content: value by field, their side.
        our_content: value by field, our side.
    """

    theirs: str
    ours: str
    digest: str
    their_content: Mapping[str, Any]
    our_content: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A record that could not be taken over."""

    kind: str
    direction: str
    record: str
    reason: str


def read_links(
    connection: Connection, system: str, kind: str, *, theirs: Sequence[str] | None = None, ours: Sequence[str] = ()
) -> list[Link]:
    """Return the links of these records of theirs, or of these of ours."""
    column, wanted = (ErpLinkRow.ours, ours) if theirs is None else (ErpLinkRow.theirs, theirs)
    links: list[Link] = []
    for start in range(0, len(wanted), _CHUNK):
        rows = connection.execute(
            select(ErpLinkRow.__table__).where(
                ErpLinkRow.system == system,
                ErpLinkRow.kind == kind,
                column.in_(wanted[start : start + _CHUNK]),
            )
        ).mappings()
        links += [_link(row) for row in rows]
    return links


def read_pairs(connection: Connection, system: str, kind: str) -> dict[str, str]:
    """Return ours by theirs, all of a kind."""
    rows = connection.execute(
        select(ErpLinkRow.theirs, ErpLinkRow.ours).where(ErpLinkRow.system == system, ErpLinkRow.kind == kind)
    )
    return {row.theirs: row.ours for row in rows}


def write_link(connection: Connection, system: str, kind: str, link: Link, *, now: datetime) -> None:
    """Keep a link, in place of what was kept of it before."""
    values = {
        "ours": link.ours,
        "content_sha256": link.digest,
        "content": {"theirs": dict(link.their_content), "ours": dict(link.our_content)},
        "synchronised_at_utc": now,
    }
    _upsert(connection, ErpLinkRow, keys={"system": system, "kind": kind, "theirs": link.theirs}, values=values)


def read_cursor(connection: Connection, system: str, kind: str, direction: str) -> str:
    """Return how far a kind has come; empty at the start."""
    found = connection.execute(
        select(ErpCursorRow.cursor).where(
            ErpCursorRow.system == system, ErpCursorRow.kind == kind, ErpCursorRow.direction == direction
        )
    ).scalar_one_or_none()
    return found or ""


def write_cursor(connection: Connection, system: str, kind: str, direction: str, *, cursor: str, now: datetime) -> None:
    """Keep how far a kind has come."""
    keys = {"system": system, "kind": kind, "direction": direction}
    _upsert(connection, ErpCursorRow, keys=keys, values={"cursor": cursor, "changed_at_utc": now})


def write_rejection(connection: Connection, system: str, rejection: Rejection, *, now: datetime) -> None:
    """Keep a record that could not be taken over, with the latest reason."""
    keys = {
        "system": system,
        "kind": rejection.kind,
        "direction": rejection.direction,
        "record": rejection.record[:128],
    }
    build = _INSERTS[connection.dialect.name]
    values = {"reason": rejection.reason[:_REASON_CHARACTERS], "rejected_at_utc": now}
    connection.execute(
        build(ErpRejectionRow)
        .values(**keys, **values, n_attempts=1)
        .on_conflict_do_update(index_elements=list(keys), set_={**values, "n_attempts": ErpRejectionRow.n_attempts + 1})
    )


def clear_rejection(connection: Connection, system: str, kind: str, direction: str, record: str) -> None:
    """Forget a rejection: the record has been taken over."""
    connection.execute(
        delete(ErpRejectionRow).where(
            ErpRejectionRow.system == system,
            ErpRejectionRow.kind == kind,
            ErpRejectionRow.direction == direction,
            ErpRejectionRow.record == record,
        )
    )


def list_rejected(connection: Connection, system: str, kind: str, direction: str) -> list[str]:
    """Return the rejected records of a kind."""
    return list(
        connection.execute(
            select(ErpRejectionRow.record)
            .where(
                ErpRejectionRow.system == system,
                ErpRejectionRow.kind == kind,
                ErpRejectionRow.direction == direction,
            )
            .order_by(ErpRejectionRow.record)
        ).scalars()
    )


def begin_run(
    connection: Connection, *, run: str, system: str, direction: str, actor: str, now: datetime, lease: timedelta
) -> None:
    """Begin a run; one whose last sign of life is longer ago than the lease is taken to be interrupted.

    Raises:
        IntegrityError: another one is under way.
    """
    connection.execute(
        update(ErpRunRow)
        .where(ErpRunRow.system == system, ErpRunRow.state == "running", ErpRunRow.seen_at_utc < now - lease)
        .values(state="interrupted", finished_at_utc=now)
    )
    row = {"run": run, "system": system, "state": "running", "direction": direction, "started_by": actor}
    times = {"started_at_utc": now, "seen_at_utc": now, "finished_at_utc": None}
    connection.execute(insert(ErpRunRow), {**row, **times, "summary": {}})


def touch_run(connection: Connection, run: str, *, now: datetime) -> bool:
    """Give a sign of life in the transaction of the work; False where another run has taken over."""
    done = connection.execute(
        update(ErpRunRow).where(ErpRunRow.run == run, ErpRunRow.state == "running").values(seen_at_utc=now)
    )
    return done.rowcount == 1


def end_run(connection: Connection, run: str, *, state: str, summary: Mapping[str, Any], now: datetime) -> None:
    """End a run that is still under way."""
    connection.execute(
        update(ErpRunRow)
        .where(ErpRunRow.run == run, ErpRunRow.state == "running")
        .values(state=state, summary=dict(summary), finished_at_utc=now, seen_at_utc=now)
    )


def read_run_under_way(connection: Connection, system: str) -> RowMapping | None:
    """Return the run of a system that is under way."""
    return (
        connection.execute(select(ErpRunRow.__table__).where(ErpRunRow.system == system, ErpRunRow.state == "running"))
        .mappings()
        .one_or_none()
    )


def read_last_run(connection: Connection, system: str) -> RowMapping | None:
    """Return the run of a system that was begun last."""
    return (
        connection.execute(
            select(ErpRunRow.__table__)
            .where(ErpRunRow.system == system)
            .order_by(ErpRunRow.started_at_utc.desc(), ErpRunRow.run.desc())
            .limit(1)
        )
        .mappings()
        .one_or_none()
    )


def read_counts(connection: Connection, system: str) -> dict[str, dict[str, int]]:
    """Return how many links and rejections there are, by kind."""
    counts: dict[str, dict[str, int]] = {}
    tables: dict[str, type[ErpLinkRow] | type[ErpRejectionRow]] = {"links": ErpLinkRow, "rejected": ErpRejectionRow}
    for name, row in tables.items():
        found = connection.execute(
            select(row.kind, func.count()).where(row.system == system).group_by(row.kind).order_by(row.kind)
        )
        for kind, n_rows in found:
            counts.setdefault(kind, {"links": 0, "rejected": 0})[name] = int(n_rows)
    return counts


def list_cursors(connection: Connection, system: str) -> list[RowMapping]:
    """Return how far each kind has come."""
    return list(
        connection.execute(
            select(ErpCursorRow.__table__)
            .where(ErpCursorRow.system == system)
            .order_by(ErpCursorRow.kind, ErpCursorRow.direction)
        ).mappings()
    )


def list_rejections(connection: Connection, system: str, *, limit: int) -> list[RowMapping]:
    """Return the latest rejections."""
    return list(
        connection.execute(
            select(ErpRejectionRow.__table__)
            .where(ErpRejectionRow.system == system)
            .order_by(ErpRejectionRow.rejected_at_utc.desc(), ErpRejectionRow.kind, ErpRejectionRow.record)
            .limit(limit)
        ).mappings()
    )


def read_last_change(connection: Connection, subject: str, *, actions: Sequence[str]) -> datetime | None:
    """Return when something was changed last, by the audit log; None where it says nothing."""
    found: datetime | None = connection.execute(
        select(AuditRow.at_utc)
        .where(AuditRow.subject == subject, AuditRow.action.in_(actions))
        .order_by(AuditRow.position.desc())
        .limit(1)
    ).scalar_one_or_none()
    return found


def _link(row: RowMapping) -> Link:
    return Link(
        theirs=row["theirs"],
        ours=row["ours"],
        digest=row["content_sha256"],
        their_content=row["content"].get("theirs", {}),
        our_content=row["content"].get("ours", {}),
    )


def _upsert(connection: Connection, table: type[Base], *, keys: dict[str, Any], values: dict[str, Any]) -> None:
    build = _INSERTS[connection.dialect.name]
    connection.execute(
        build(table).values(**keys, **values).on_conflict_do_update(index_elements=list(keys), set_=values)
    )
