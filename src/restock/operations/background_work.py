"""Background work: what a service does beside answering, each job in a thread of its own, begun and ended with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

logger = logging.getLogger(__name__)

# A job that is under way when the service stops has so long to come to an end.
_STOP_SECONDS = 15.0
# After failures a job rests longer and longer, up to so many times its pause.
_LONGEST_REST = 32


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is done again and again.

    Attributes:
        name: what the log and the readiness report call it.
        run: does it once and returns whether there may be more to do at once.
        pause_seconds: rest after a run that left nothing to do.
        close: lets go of what it holds, once it has stopped; None where it holds nothing.
    """

    name: str
    run: Callable[[], bool]
    pause_seconds: float
    close: Callable[[], None] | None = None


@dataclass(frozen=True, kw_only=True)
class JobHealth:
    """How a job is doing.

    Attributes:
        n_runs: how often it ran without a failure.
        n_failures: how often in a row it failed last; 0 after a run that went well.
        problem: what went wrong last; empty after a run that went well.
        last_run_at: when it last ran without a failure; None before the first time.
    """

    n_runs: int = 0
    n_failures: int = 0
    problem: str = ""
    last_run_at: datetime | None = None


class BackgroundWork:
    """Jobs that run while a service runs.

    A job that fails is logged, rests and runs again: none ends because something went wrong once.

    Args:
        jobs: what to do.
        now: the time, UTC; for the report.
    """

    def __init__(self, jobs: Sequence[Job], *, now: Callable[[], datetime]) -> None:
        self._jobs = tuple(jobs)
        self._now = now
        self._is_stopping = threading.Event()
        self._health = {job.name: JobHealth() for job in self._jobs}
        self._threads = [
            threading.Thread(target=self._work, args=(job,), name=f"restock-{job.name}", daemon=True)
            for job in self._jobs
        ]

    @property
    def health(self) -> dict[str, JobHealth]:
        """How each job is doing, by its name."""
        return dict(self._health)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more, wait a while for what is under way, and let go of what the jobs hold."""
        self._is_stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=_STOP_SECONDS)
        for job in self._jobs:
            if job.close is not None:
                job.close()

    def _work(self, job: Job) -> None:
        pause = 0.0
        while not self._is_stopping.wait(pause):
            pause = self._run_once(job)

    def _run_once(self, job: Job) -> float:
        """Run a job and return how long it rests."""
        before = self._health[job.name]
        try:
            has_more = job.run()
        except Exception as error:
            # The edge of the thread: it must not end because one run failed.
            n_failures = before.n_failures + 1
            if n_failures == 1:
                logger.exception("%s failed, it is tried again", job.name)
            else:
                logger.warning("%s failed %d times in a row: %s", job.name, n_failures, error)
            self._health[job.name] = replace(before, n_failures=n_failures, problem=f"{type(error).__name__}: {error}")
            return job.pause_seconds * min(1 << min(n_failures, 10), _LONGEST_REST)
        if before.n_failures:
            logger.info("%s works again", job.name)
        self._health[job.name] = JobHealth(n_runs=before.n_runs + 1, last_run_at=self._now())
        return 0.0 if has_more else job.pause_seconds
