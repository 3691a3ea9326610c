"""Turns: threads of one process that want to write the same SQLite file wait in line, first come, first served.

SQLite's own busy handler sleeps and tries again: under load some writers wait for seconds while others pass. And a
plain lock lets the thread that has just given it back take it again before the others wake up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from restock.errors import TRY_AGAIN, RestockError


class DatabaseBusyError(RestockError):
    """A writer has held the database for too long."""

    exit_code = TRY_AGAIN
    http_status = 503
    title = "The database is busy"


class Turns:
    """One holder at a time, the others in order of arrival.

    Invariant: where somebody waits, somebody holds.
    """

    def __init__(self) -> None:
        """Begin with nobody."""
        self._mutex = threading.Lock()
        self._is_held = False
        self._waiting: deque[threading.Lock] = deque()

    @contextmanager
    def turn(self, *, patience_seconds: float) -> Iterator[None]:
        """Wait for one's turn, hold it and pass it on.

        Raises:
            DatabaseBusyError: it did not come in time.
        """
        self._take(patience_seconds)
        try:
            yield
        finally:
            self._pass_on()

    def _take(self, patience_seconds: float) -> None:
        gate = threading.Lock()
        with self._mutex:
            if not self._is_held:
                self._is_held = True
                return
            gate.acquire()
            self._waiting.append(gate)
        if gate.acquire(timeout=patience_seconds):
            return
        with self._mutex:
            if gate in self._waiting:
                self._waiting.remove(gate)
                raise DatabaseBusyError(
                    f"no turn to write the database came within {patience_seconds:g} seconds: another writer of this "
                    "process holds it. Try again; if it stays so, look for a transaction that is never ended."
                )

    def _pass_on(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_held = False
