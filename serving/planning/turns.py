"""Turns at the planner: computing takes a processor for seconds, so that only a few requests do it at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from restock.errors import NotReadyError

# Plans are computed on all cores; more at a time only make each other wait.
_COMPUTING = BoundedSemaphore(2)
_PATIENCE_SECONDS = 20


@contextmanager
def computing() -> Iterator[None]:
    """Wait for a turn to compute.

    Raises:
        NotReadyError: there is none for long.
    """
    if not _COMPUTING.acquire(timeout=_PATIENCE_SECONDS):
        raise NotReadyError("others are asking the planner; ask again shortly.")
    try:
        yield
    finally:
        _COMPUTING.release()
