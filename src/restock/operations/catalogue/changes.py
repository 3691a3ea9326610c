"""Changes of the catalogue: what differs, whether its author saw what they change, and the record that it leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, insert, select, text, update

from restock.adapters.database.base import Base
from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.ledger_tables import AuditRow, OutboxRow
from restock.errors import RestockError, VersionConflictError

T = TypeVar("T")
# Rows looked up by one statement: below the fewest parameters that any database takes.
CHUNK = 2_000
# Any number, the same in every process: who changes the catalogue holds it until the transaction ends.
_LOCK = 7_305_221


class ChangeState(StrEnum):
    """What became of a draft."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one draft of many.

    Attributes:
        key: sku, location or supplier.
        state: what became of it.
        version: the version it has now; 0 where it was refused.
        error: why it was refused; None otherwise.
    """

    key: str
    state: ChangeState
    version: int = 0
    error: RestockError | None = None


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the database holds of something.

    Attributes:
        version: rises with every change.
        content: value by field.
    """

    version: int
    content: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A kind of thing in the catalogue.

    Attributes:
        noun: what it is called, such as product; verbs of the audit log end in it.
        topic: topic of the events that tell of changes.
        key: name of the field that identifies one.
    """

    noun: str
    topic: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change that has been written.

    Attributes:
        key: what was changed.
        state: created or changed.
        version: the version it has now.
        fields: value before and after, by field; ready for JSON.
        also: what else the event tells.
    """

    key: str
    state: ChangeState
    version: int
    fields: Mapping[str, Any]
    also: Mapping[str, Any] | None = None


def lock_catalogue(connection: Connection) -> None:
    """Wait until nobody else changes the catalogue; held until the transaction ends. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})


def in_chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk


def judge(
    key: str,
    content: Mapping[str, Any],
    known: Known | None,
    *,
    noun: str,
    expected_version: int | None,
) -> Change | None:
    """Return the change that a draft makes; None where it changes nothing.

    Args:
        key: what it is about.
        content: value by field as it is to be.
        known: what there is; None where there is nothing.
        noun: what it is called.
        expected_version: version that the author saw, 0 for none; None where it does not matter.

    Raises:
        VersionConflictError: there is another version.
    """
    version = 0 if known is None else known.version
    if expected_version is not None and expected_version != version:
        found = f"is at version {version}" if version else "does not exist"
        raise VersionConflictError(
            f"{noun} {key!r} {found}, expected version {expected_version}. Read it again and decide anew."
        )
    if known is None:
        return Change(key=key, state=ChangeState.CREATED, version=1, fields=_plain(content))
    fields = {
        name: {"from": _plain(known.content.get(name)), "to": _plain(value)}
        for name, value in content.items()
        if known.content.get(name) != value
    }
    return Change(key=key, state=ChangeState.CHANGED, version=version + 1, fields=fields) if fields else None


def record_changes(
    connection: Connection, changes: Sequence[Change], *, subject: Subject, actor: str, now: datetime
) -> None:
    """Write an audit entry and an event for each change."""
    if not changes:
        return
    verbs = {ChangeState.CREATED: "create", ChangeState.CHANGED: "change"}
    entries = [
        {
            "at_utc": now,
            "actor": actor,
            "action": f"{verbs[change.state]}_{subject.noun}",
            "subject": change.key,
            "details": {"version": change.version, "fields": dict(change.fields), **(change.also or {})},
        }
        for change in changes
    ]
    events = [
        {
            "event": new_identifier(now),
            "topic": subject.topic,
            "payload": {
                subject.key: change.key,
                "change": change.state.value,
                "version": change.version,
                "fields": sorted(change.fields),
                **(change.also or {}),
            },
            "created_at_utc": now,
        }
        for change in changes
    ]
    connection.execute(insert(AuditRow), entries)
    connection.execute(insert(OutboxRow), events)


def put_rows(
    connection: Connection,
    row: type[Base],
    contents: Mapping[str, Mapping[str, Any]],
    *,
    subject: Subject,
    actor: str,
    now: datetime,
    expected_versions: Mapping[str, int] | None = None,
) -> tuple[Outcome, ...]:
    """Return what became of each row that was to be created or changed; refused ones leave the others alone.

    Args:
        connection: in a write transaction; the caller commits.
        row: a mapped table with the key of `subject` and a version.
        contents: value by column, by key.
        subject: what they are.
        actor: who writes.
        now: the time, UTC.
        expected_versions: version that the author saw, by key, where it matters.
    """
    lock_catalogue(connection)
    outcomes: list[Outcome] = []
    for chunk in in_chunks(list(contents)):
        known = read_known(connection, row, chunk, key=subject.key, fields=tuple(contents[chunk[0]]))
        changes: list[Change] = []
        for key in chunk:
            expected = (expected_versions or {}).get(key)
            try:
                change = judge(key, contents[key], known.get(key), noun=subject.noun, expected_version=expected)
            except RestockError as error:
                outcomes.append(Outcome(key=key, state=ChangeState.REFUSED, error=error))
                continue
            if change is None:
                outcomes.append(Outcome(key=key, state=ChangeState.UNCHANGED, version=known[key].version))
                continue
            changes.append(change)
            outcomes.append(Outcome(key=key, state=change.state, version=change.version))
        values = [{subject.key: change.key, "version": change.version, **contents[change.key]} for change in changes]
        write_rows(connection, row, values, key=subject.key)
        record_changes(connection, changes, subject=subject, actor=actor, now=now)
    return tuple(outcomes)


def read_known(
    connection: Connection, row: type[Base], keys: Sequence[str], *, key: str, fields: Sequence[str]
) -> dict[str, Known]:
    """Return what the database holds of some keys."""
    table = row.__table__
    found = connection.execute(
        select(table.c[key], table.c.version, *(table.c[name] for name in fields)).where(table.c[key].in_(keys))
    ).mappings()
    return {each[key]: Known(version=each["version"], content={name: each[name] for name in fields}) for each in found}


def write_rows(connection: Connection, row: type[Base], values: Sequence[Mapping[str, Any]], *, key: str) -> None:
    """Insert the rows of version 1 and update the others; all have the same columns."""
    created = [dict(each) for each in values if each["version"] == 1]
    changed = [{f"new_{name}": value for name, value in each.items()} for each in values if each["version"] != 1]
    if created:
        connection.execute(insert(row), created)
    if changed:
        names = [name.removeprefix("new_") for name in changed[0] if name != f"new_{key}"]
        statement = (
            update(row)
            .where(row.__table__.c[key] == bindparam(f"new_{key}"))
            .values({name: bindparam(f"new_{name}") for name in names})
        )
        connection.execute(statement, changed)


def require_outcome(outcome: Outcome) -> Outcome:
    """Return an outcome that was not refused.

    Raises:
        RestockError: why it was.
    """
    if outcome.error is not None:
        raise outcome.error
    return outcome


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, date) else value
