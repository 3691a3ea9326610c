"""Jobs in threads: begun, repeated, kept alive through failures, and ended."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from restock.operations.background_work import BackgroundWork, Job

NOW = datetime(2024, 5, 1, tzinfo=UTC)


def run_until(jobs, *events):
    work = BackgroundWork(jobs, now=lambda: NOW)
    work.start()
    try:
        for event in events:
            assert event.wait(10)
    finally:
        work.stop()
    return work


def test_start_runs_a_job_at_once_again_while_there_is_more_and_stop_closes_it():
    calls, is_done, is_closed = [], threading.Event(), threading.Event()

    def run():
        calls.append(1)
        if len(calls) == 3:
            is_done.set()
        return len(calls) < 3

    work = run_until([Job(name="a", run=run, pause_seconds=3600, close=is_closed.set)], is_done)
    assert len(calls) == 3
    assert is_closed.is_set()
    assert work.health["a"].n_runs == 3
    assert work.health["a"].last_run_at == NOW


def test_job_that_fails_is_tried_again_and_holds_up_no_other(caplog):
    calls, has_recovered, other = [], threading.Event(), threading.Event()

    def run():
        calls.append(1)
        if len(calls) <= 2:
            raise ValueError("broken")
        has_recovered.set()
        return False

    def run_other():
        other.set()
        return False

    jobs = [Job(name="bad", run=run, pause_seconds=0.01), Job(name="good", run=run_other, pause_seconds=3600)]
    work = run_until(jobs, has_recovered, other)
    assert work.health["bad"].n_failures == 0
    assert "bad failed, it is tried again" in caplog.text
    assert "bad failed 2 times in a row: broken" in caplog.text


def test_stop_before_start_is_harmless():
    BackgroundWork([Job(name="a", run=lambda: False, pause_seconds=1)], now=lambda: NOW).stop()
