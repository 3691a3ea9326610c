"""Alerts in a database: one open about a thing, its states, events and audit entries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.ledger_tables import AuditRow, OutboxRow
from restock.errors import ConflictError, NotFoundError, VersionConflictError
from restock.ledger.stock_alerts import AlertDraft, AlertKind, Severity
from restock.operations.alerts import (
    AlertFilter,
    acknowledge,
    list_alerts,
    raise_alert,
    read_alert,
    reopen,
    resolve,
    resolve_about,
)

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def draft(*, about="negative_stock:A:S", severity=Severity.WARNING, sku="A"):
    return AlertDraft(
        kind=AlertKind.NEGATIVE_STOCK,
        severity=severity,
        about=about,
        sku=sku,
        location="S",
        summary="below zero",
        evidence={"balance": "-1"},
    )


def raise_one(engine, *, now=NOW, **options):
    with write_transaction(engine) as connection:
        return raise_alert(connection, draft(**options), now=now)


def change(engine, operation, alert, **options):
    with write_transaction(engine) as connection:
        return operation(connection, alert, actor="ann", now=LATER, **options)


def read(engine, alert):
    with read_transaction(engine) as connection:
        return read_alert(connection, alert)


def told(engine):
    with read_transaction(engine) as connection:
        events = connection.execute(select(OutboxRow.payload).order_by(OutboxRow.position)).scalars()
        actions = connection.execute(select(AuditRow.action).order_by(AuditRow.position)).scalars()
        return [each["change"] for each in events], list(actions)


def test_raise_alert_again_is_counted_in_the_open_one_and_told_once(engine):
    first = raise_one(engine)
    assert raise_one(engine, now=LATER) == first
    row = read(engine, first)
    assert row["evidence"] == {
        "balance": "-1",
        "n_times": 2,
        "first_seen_utc": NOW.isoformat(),
        "last_seen_utc": LATER.isoformat(),
    }
    assert row["version"] == 1
    assert told(engine) == (["raised"], ["raise_alert"])


def test_raise_alert_graver_is_told_again(engine):
    alert = raise_one(engine)
    raise_one(engine, severity=Severity.CRITICAL)
    raise_one(engine, severity=Severity.INFO)
    assert read(engine, alert)["severity"] == "critical"
    assert told(engine)[0] == ["raised", "raised"]


def test_raise_alert_after_it_was_resolved_is_a_new_one(engine):
    first = raise_one(engine)
    change(engine, resolve, first, note="counted")
    assert raise_one(engine) != first


def test_raise_alert_by_many_at_once_is_one(engine):
    with ThreadPoolExecutor(8) as pool:
        found = {job.result() for job in [pool.submit(raise_one, engine) for _ in range(16)]}
    assert len(found) == 1
    assert read(engine, found.pop())["evidence"]["n_times"] == 16


def test_acknowledge_then_resolve_says_who_and_when(engine):
    alert = raise_one(engine)
    acknowledged = change(engine, acknowledge, alert)
    assert (acknowledged["state"], acknowledged["acknowledged_by"], acknowledged["version"]) == (
        "acknowledged",
        "ann",
        2,
    )
    assert change(engine, acknowledge, alert)["version"] == 2
    resolved = change(engine, resolve, alert, note="counted", expected_version=2)
    assert (resolved["state"], resolved["note"], resolved["resolved_at_utc"]) == ("resolved", "counted", LATER)
    assert change(engine, resolve, alert)["version"] == 3
    assert told(engine)[1] == ["raise_alert", "acknowledge_alert", "resolve_alert"]


def test_acknowledge_resolved_is_refused(engine):
    alert = raise_one(engine)
    change(engine, resolve, alert)
    with pytest.raises(ConflictError, match="is resolved; only one that is open can be acknowledged"):
        change(engine, acknowledge, alert)


def test_resolve_version_that_is_gone_is_refused(engine):
    alert = raise_one(engine)
    change(engine, acknowledge, alert)
    with pytest.raises(VersionConflictError, match="has version 2, expected 1"):
        change(engine, resolve, alert, expected_version=1)


def test_reopen_resolved_is_open_again(engine):
    alert = raise_one(engine)
    with pytest.raises(ConflictError, match="is open; only one that is resolved can be opened again"):
        change(engine, reopen, alert)
    change(engine, resolve, alert)
    row = change(engine, reopen, alert)
    assert (row["state"], row["resolved_by"]) == ("open", None)


def test_reopen_beside_another_about_the_same_is_refused(engine):
    alert = raise_one(engine)
    change(engine, resolve, alert)
    raise_one(engine)
    with pytest.raises(ConflictError, match="is open about the same thing"):
        change(engine, reopen, alert)


def test_resolve_about_resolves_only_what_is_named(engine):
    kept = raise_one(engine, about="other")
    raise_one(engine)
    with write_transaction(engine) as connection:
        assert resolve_about(connection, ["negative_stock:A:S", "unknown"], now=LATER, note="mended") == 1
    assert read(engine, kept)["state"] == "open"


def test_read_alert_unknown_is_refused(engine):
    with pytest.raises(NotFoundError, match="there is no alert 'x'"):
        read(engine, "x")


def test_list_alerts_filters_and_pages_from_the_newest(engine):
    alerts = [
        raise_one(engine, about=str(n), sku="A" if n % 2 else "B", now=NOW + timedelta(seconds=n)) for n in range(5)
    ]
    change(engine, resolve, alerts[4])
    with read_transaction(engine) as connection:
        first = list_alerts(connection, AlertFilter(states=["open"]), after=None, limit=3)
        second = list_alerts(connection, AlertFilter(states=["open"]), after=first.after, limit=3)
        of_sku = list_alerts(connection, AlertFilter(sku="A", severities=["warning"]), after=None, limit=9)
    assert [row["alert"] for row in first.rows] == alerts[3:0:-1]
    assert [row["alert"] for row in second.rows] == alerts[:1]
    assert second.after is None
    assert [row["alert"] for row in of_sku.rows] == [alerts[3], alerts[1]]
