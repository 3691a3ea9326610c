"""Replacing what a service works with while it works: load beside the old value, then swap one reference."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from restock.errors import NotReadyError, RestockError

logger = logging.getLogger(__name__)

Identity = TypeVar("Identity", bound=Hashable)
Value = TypeVar("Value")

_STOP_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Loaded(Generic[Identity, Value]):
    """A value in use.

    Attributes:
        identity: which one it is.
        value: the value.
        since_utc: when it was swapped in.
        load_seconds: how long loading it took.
    """

    identity: Identity
    value: Value
    since_utc: datetime
    load_seconds: float


@dataclass(frozen=True, kw_only=True)
class Refusal(Generic[Identity]):
    """A value that stays out.

    Attributes:
        identity: which one it is.
        reason: why, for people.
        since_utc: when it was last tried.
    """

    identity: Identity
    reason: str
    since_utc: datetime


class HotSwap(Generic[Identity, Value]):
    """The newest value that loaded; what is in use stays in use until another one is whole.

    Readers take `current()` once a request and keep that reference, so a swap never changes a request under way.

    Args:
        name: what the value is, for messages.
        missing: what to say, and how to mend it, where there is none.
        find: returns which value is wanted now, or None where there is none; cheap, called often.
        load: loads and checks the wanted value; a RestockError or OSError keeps it out.
        root: folder whose absolute path is cut out of every published reason: who may ask whether a service is ready
            need not learn where it runs.
        retry_seconds: how long a refused value waits for another try while it stays the wanted one.
        on_loaded: called after each swap.
        on_refused: called after each refusal.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        missing: str,
        find: Callable[[], Identity | None],
        load: Callable[[Identity], Value],
        root: Path,
        retry_seconds: float = 60.0,
        on_loaded: Callable[[Loaded[Identity, Value]], None] = lambda _: None,
        on_refused: Callable[[Refusal[Identity]], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._missing = missing
        self._find = find
        self._load = load
        self._root = f"{root}{os.sep}"
        self._retry_seconds = retry_seconds
        self._on_loaded = on_loaded
        self._on_refused = on_refused
        self._clock = clock
        self._loaded: Loaded[Identity, Value] | None = None
        self._refusal: Refusal[Identity] | None = None
        self._tried_at = 0.0
        self._find_problem: str | None = None

    @property
    def loaded(self) -> Loaded[Identity, Value] | None:
        """What is in use."""
        return self._loaded

    @property
    def refusal(self) -> Refusal[Identity] | None:
        """What is wanted but stays out."""
        return self._refusal

    def current(self) -> Value:
        """Return the value in use.

        Raises:
            NotReadyError: none was loaded yet; the message says why.
        """
        loaded = self._loaded
        if loaded is None:
            raise NotReadyError(self.problem or f"no {self._name} was looked for yet.")
        return loaded.value

    @property
    def problem(self) -> str | None:
        """Why nothing, or not what is wanted, is in use; None where all is well."""
        return self._refusal.reason if self._refusal is not None else self._find_problem

    def check(self) -> bool:
        """Look for another wanted value, load and swap it in; return whether one was swapped in."""
        try:
            wanted = self._find()
        except (RestockError, OSError) as error:
            # What is in use stays in use; `problem` says why nothing newer is.
            self._find_problem = self._published(error)
            return False
        if wanted is None:
            self._find_problem, self._refusal = self._missing, None
            return False
        self._find_problem = None
        if self._loaded is not None and wanted == self._loaded.identity:
            self._refusal = None
            return False
        is_refused = self._refusal is not None and wanted == self._refusal.identity
        if is_refused and self._clock() - self._tried_at < self._retry_seconds:
            return False
        return self._try(wanted)

    def _try(self, wanted: Identity) -> bool:
        begun = self._clock()
        try:
            value = self._load(wanted)
        except Exception as error:  # noqa: BLE001  (the outermost edge of the watching thread: whatever fails stays out)
            self._refuse(wanted, error)
            return False
        loaded = Loaded(
            identity=wanted, value=value, since_utc=datetime.now(UTC), load_seconds=max(self._clock() - begun, 0.0)
        )
        self._loaded = loaded
        self._refusal = None
        logger.info("%s %s is in use, loaded in %.2f s", self._name, wanted, loaded.load_seconds)
        self._on_loaded(loaded)
        return True

    def _refuse(self, wanted: Identity, error: Exception) -> None:
        # A RestockError is written for people; anything else may hold paths or rows, so only its kind goes out.
        is_for_people = isinstance(error, RestockError)
        reason = self._published(error) if is_for_people else f"{type(error).__name__} while loading; see the log"
        self._tried_at = self._clock()
        self._refusal = Refusal(identity=wanted, reason=reason, since_utc=datetime.now(UTC))
        logger.warning("%s %s stays out: %s", self._name, wanted, reason, exc_info=not is_for_people)
        self._on_refused(self._refusal)

    def _published(self, error: Exception) -> str:
        return str(error).replace(self._root, "")


class Watcher:
    """A thread that calls `check` again and again until it is stopped.

    Args:
        check: what to call; what it raises is logged.
        interval_seconds: pause between two calls.
    """

    def __init__(self, check: Callable[[], None], *, interval_seconds: float) -> None:
        self._check = check
        self._interval_seconds = interval_seconds
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="restock-watcher", daemon=True)

    def start(self) -> None:
        """Begin to call."""
        self._thread.start()

    def stop(self) -> None:
        """Stop calling and wait for a call under way."""
        self._is_stopping.set()
        self._thread.join(timeout=_STOP_SECONDS)

    def _run(self) -> None:
        while not self._is_stopping.wait(self._interval_seconds):
            try:
                self._check()
            except Exception:
                # The outermost edge of the thread: one failed look must not end all later ones.
                logger.exception("looking for what to serve failed, it is tried again")
