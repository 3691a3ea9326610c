"""Alerts: raised once about a thing, acknowledged, resolved and opened again, each with an audit entry and an event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.journal import append_audit, append_event
from restock.adapters.database.keyset import Page, SortKey, read_page
from restock.adapters.database.planning_tables import AlertRow
from restock.errors import ConflictError, NotFoundError, VersionConflictError
from restock.ledger.stock_alerts import AlertDraft, Severity

TOPIC = "stock.alerts"
# Who raises and resolves what no person did.
ITSELF = "restock"
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_GRADES = list(Severity)


class AlertState(StrEnum):
    """Where an alert stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, kw_only=True)
class AlertFilter:
    """Which alerts are asked for; what is None or empty does not matter.

    Attributes:
        states: any of them.
        severities: any of them.
        kind: of this kind.
        sku: about this product.
        location: about this location.
    """

    states: Sequence[str] = ()
    severities: Sequence[str] = ()
    kind: str | None = None
    sku: str | None = None
    location: str | None = None


def raise_alert(connection: Connection, draft: AlertDraft, *, now: datetime, actor: str = ITSELF) -> str:
    """Raise an alert, or count it in the one that is open about the same thing, and return its identifier.

    What comes again updates summary and evidence and may make it graver; only a new one or a graver one leaves an audit
    entry and an event: a till that sells below zero all day does not call all day.

    Args:
        connection: in a write transaction.
        draft: what is wrong.
        now: the time, UTC.
        actor: who raises it.
    """
    identifier = new_identifier(now)
    row = {
        "alert": identifier,
        "kind": str(draft.kind),
        "severity": draft.severity.value,
        "state": AlertState.OPEN.value,
        "about": draft.about,
        "sku": draft.sku,
        "location": draft.location,
        "summary": draft.summary,
        "evidence": _counted(draft.evidence, n_times=1, first=now.isoformat(), last=now.isoformat()),
        "repair": None if draft.repair is None else dict(draft.repair),
        "created_at_utc": now,
        "note": "",
        "version": 1,
    }
    statement = (
        _INSERTS[connection.dialect.name](AlertRow)
        .on_conflict_do_nothing(index_elements=[AlertRow.about], index_where=text("state <> 'resolved'"))
        .returning(AlertRow.alert)
    )
    while True:
        if connection.execute(statement, row).one_or_none() is not None:
            _tell(connection, read_alert(connection, identifier), change="raised", actor=actor, now=now)
            return identifier
        known = _lock_unresolved(connection, [draft.about])
        # None: somebody resolved it between the two statements, so the next insert finds room.
        if known:
            return _count_again(connection, known[0], draft, now=now, actor=actor)


def list_alerts(connection: Connection, wanted: AlertFilter, *, after: Sequence[Any] | None, limit: int) -> Page:
    """Return alerts, the newest first, some at a time.

    Args:
        connection: in a transaction.
        wanted: which.
        after: `Page.after` of the page before; None for the first.
        limit: at most so many.
    """
    statement: Select[Any] = select(AlertRow.__table__)
    if wanted.states:
        statement = statement.where(AlertRow.state.in_(wanted.states))
    if wanted.severities:
        statement = statement.where(AlertRow.severity.in_(wanted.severities))
    for column, value in (
        (AlertRow.kind, wanted.kind),
        (AlertRow.sku, wanted.sku),
        (AlertRow.location, wanted.location),
    ):
        if value is not None:
            statement = statement.where(column == value)
    # Identifiers rise with time.
    key = SortKey(column=AlertRow.__table__.c.alert, is_descending=True)
    return read_page(connection, statement, keys=[key], after=after, limit=limit)


def read_alert(connection: Connection, alert: str) -> RowMapping:
    """Return an alert.

    Raises:
        NotFoundError: there is none with that identifier.
    """
    return _read(connection, alert, is_locked=False)


def acknowledge(
    connection: Connection, alert: str, *, actor: str, now: datetime, expected_version: int | None = None
) -> RowMapping:
    """Say that somebody looks after an open alert, and return it; a second time changes nothing.

    Args:
        connection: in a write transaction.
        alert: which.
        actor: who.
        now: the time, UTC.
        expected_version: version that the actor has seen; None where it does not matter.

    Raises:
        NotFoundError: there is no such alert.
        ConflictError: it is resolved.
        VersionConflictError: it has changed since it was read.
    """
    row = _lock(connection, alert, expected_version=expected_version)
    if row["state"] == AlertState.ACKNOWLEDGED:
        return row
    _require_state(row, AlertState.OPEN, verb="acknowledged")
    values = {"state": AlertState.ACKNOWLEDGED.value, "acknowledged_at_utc": now, "acknowledged_by": actor}
    return _change(connection, row, values, change="acknowledged", actor=actor, now=now)


def resolve(
    connection: Connection,
    alert: str,
    *,
    actor: str,
    now: datetime,
    note: str = "",
    expected_version: int | None = None,
) -> RowMapping:
    """Say that an alert is dealt with, and return it; a second time changes nothing.

    Args:
        connection: in a write transaction.
        alert: which.
        actor: who.
        now: the time, UTC.
        note: what was done.
        expected_version: version that the actor has seen; None where it does not matter.

    Raises:
        NotFoundError: there is no such alert.
        VersionConflictError: it has changed since it was read.
    """
    row = _lock(connection, alert, expected_version=expected_version)
    if row["state"] == AlertState.RESOLVED:
        return row
    return _resolve_row(connection, row, actor=actor, now=now, note=note)


def reopen(
    connection: Connection, alert: str, *, actor: str, now: datetime, expected_version: int | None = None
) -> RowMapping:
    """Open a resolved alert again, and return it.

    Args:
        connection: in a write transaction.
        alert: which.
        actor: who.
        now: the time, UTC.
        expected_version: version that the actor has seen; None where it does not matter.

    Raises:
        NotFoundError: there is no such alert.
        ConflictError: it is not resolved, or another one about the same thing is open.
        VersionConflictError: it has changed since it was read.
    """
    row = _lock(connection, alert, expected_version=expected_version)
    _require_state(row, AlertState.RESOLVED, verb="opened again")
    other = _lock_unresolved(connection, [row["about"]])
    if other:
        raise ConflictError(
            f"alert {alert!r} can't be opened again: {other[0]['alert']!r} is open about the same thing. Use that one."
        )
    values = {
        "state": AlertState.OPEN.value,
        "acknowledged_at_utc": None,
        "acknowledged_by": None,
        "resolved_at_utc": None,
        "resolved_by": None,
    }
    return _change(connection, row, values, change="reopened", actor=actor, now=now)


def resolve_about(
    connection: Connection, abouts: Iterable[str], *, now: datetime, note: str, actor: str = ITSELF
) -> int:
    """Resolve whatever alerts are not resolved yet about some things, and return how many there were.

    Args:
        connection: in a write transaction.
        abouts: the things, as the drafts named them.
        now: the time, UTC.
        note: why.
        actor: who resolves them.
    """
    wanted = sorted(set(abouts))
    rows = _lock_unresolved(connection, wanted) if wanted else []
    for row in rows:
        _resolve_row(connection, row, actor=actor, now=now, note=note)
    return len(rows)


def find_unresolved(connection: Connection, kinds: Iterable[str]) -> frozenset[str]:
    """Return what the alerts of some kinds that are not resolved are about."""
    found = select(AlertRow.about).where(AlertRow.kind.in_(sorted(kinds)), AlertRow.state != AlertState.RESOLVED)
    return frozenset(connection.execute(found).scalars())


def _count_again(connection: Connection, row: RowMapping, draft: AlertDraft, *, now: datetime, actor: str) -> str:
    before = row["evidence"]
    evidence = _counted(
        draft.evidence,
        n_times=int(before.get("n_times", 1)) + 1,
        first=before.get("first_seen_utc", row["created_at_utc"].isoformat()),
        last=now.isoformat(),
    )
    is_graver = _GRADES.index(draft.severity) > _GRADES.index(Severity(row["severity"]))
    values: dict[str, Any] = {"evidence": evidence, "summary": draft.summary}
    if is_graver:
        graver = {**values, "severity": draft.severity.value}
        _change(connection, row, graver, change="raised", actor=actor, now=now)
    else:
        connection.execute(update(AlertRow).where(AlertRow.alert == row["alert"]).values(**values))
    return str(row["alert"])


def _counted(evidence: Mapping[str, Any], *, n_times: int, first: str, last: str) -> dict[str, Any]:
    return {**evidence, "n_times": n_times, "first_seen_utc": first, "last_seen_utc": last}


def _resolve_row(connection: Connection, row: RowMapping, *, actor: str, now: datetime, note: str) -> RowMapping:
    values = {"state": AlertState.RESOLVED.value, "resolved_at_utc": now, "resolved_by": actor, "note": note}
    return _change(connection, row, values, change="resolved", actor=actor, now=now)


def _change(
    connection: Connection, row: RowMapping, values: Mapping[str, Any], *, change: str, actor: str, now: datetime
) -> RowMapping:
    connection.execute(
        update(AlertRow).where(AlertRow.alert == row["alert"]).values(**values, version=AlertRow.version + 1)
    )
    after = read_alert(connection, row["alert"])
    _tell(connection, after, change=change, actor=actor, now=now)
    return after


def _tell(connection: Connection, row: RowMapping, *, change: str, actor: str, now: datetime) -> None:
    """Write the audit entry and the event of a change."""
    verb = {"raised": "raise", "acknowledged": "acknowledge", "resolved": "resolve", "reopened": "reopen"}[change]
    details = {"about": row["about"], "severity": row["severity"], "note": row["note"]}
    append_audit(connection, actor=actor, action=f"{verb}_alert", subject=row["alert"], now=now, details=details)
    names = ("alert", "kind", "severity", "state", "about", "sku", "location", "summary", "evidence", "repair", "note")
    payload = {"change": change, "by": actor, **{name: row[name] for name in names}}
    append_event(connection, topic=TOPIC, payload=payload, now=now)


def _lock(connection: Connection, alert: str, *, expected_version: int | None) -> RowMapping:
    row = _read(connection, alert, is_locked=True)
    if expected_version is not None and row["version"] != expected_version:
        raise VersionConflictError(
            f"alert {alert!r} has version {row['version']}, expected {expected_version}: somebody changed it. Read it "
            "again."
        )
    return row


def _read(connection: Connection, alert: str, *, is_locked: bool) -> RowMapping:
    statement: Select[Any] = select(AlertRow.__table__).where(AlertRow.alert == alert)
    found = connection.execute(statement.with_for_update() if is_locked else statement).mappings().one_or_none()
    if found is None:
        raise NotFoundError(f"there is no alert {alert!r}. GET /api/v1/alerts lists them.")
    return found


def _lock_unresolved(connection: Connection, abouts: Sequence[str]) -> list[RowMapping]:
    """Return the alerts about some things that are not resolved, held in one order, so that writers don't deadlock."""
    statement = (
        select(AlertRow.__table__)
        .where(AlertRow.about.in_(abouts), AlertRow.state != AlertState.RESOLVED)
        .order_by(AlertRow.about)
        .with_for_update()
    )
    return list(connection.execute(statement).mappings())


def _require_state(row: RowMapping, state: AlertState, *, verb: str) -> None:
    if row["state"] != state:
        raise ConflictError(f"alert {row['alert']!r} is {row['state']}; only one that is {state} can be {verb}.")
