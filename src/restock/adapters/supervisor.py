"""A small supervisor: starts services in order, waits until each is healthy, restarts what dies, stops them cleanly.

What it does stands in the log folder: `services.json`, the state of every service for `restock status`, and a log per
service. A supervisor that is killed leaves its services running; the next one finds them by their records and
stops them before it starts its own.
"""

from __future__ import annotations

import http.client
import logging
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from restock.adapters.processes import find_process, open_directly, start_process, stop_process
from restock.adapters.storage import read_json, write_json
from restock.errors import NotFoundError, RestockError

logger = logging.getLogger(__name__)

STATE_FILE = "services.json"
_TICK_SECONDS = 0.5
_HEALTH_SECONDS = 5.0
# A service that answers nothing for so long, although it runs, is started anew.
_UNHEALTHY_SECONDS = 60.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0
# After so long without a death, the pause before a restart is short again.
_STEADY_SECONDS = 120.0
_LARGEST_LOG_BYTES = 20_000_000


class ServiceState(StrEnum):
    """Where a service stands."""

    WAITING = "waiting"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Service:
    """What to run.

    Attributes:
        name: unique; names its log and its record.
        command: the process.
        environment: variables beside those of the supervisor.
        folder: where it runs.
        health_url: answers 200 where it is healthy; None where running is all that can be seen.
        ready_seconds: how long it may take to become healthy at the start.
        stop_rank: lower stops earlier.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    health_url: str | None
    ready_seconds: float
    stop_rank: int


@dataclass
class _Watched:
    """A service under way."""

    service: Service
    state: ServiceState = ServiceState.WAITING
    process: psutil.Process | None = None
    restarts: int = 0
    pause_seconds: float = _FIRST_PAUSE_SECONDS
    due_at: float = 0.0
    started_at: float = 0.0
    healthy_at: float = 0.0
    checked_at: float = -_HEALTH_SECONDS
    since_utc: datetime = field(default_factory=lambda: datetime.now(UTC))


class Supervisor:
    """Runs services until it is told to stop.

    Args:
        services: in the order in which they start.
        logs: folder of logs, records and the state file.
        clock: monotonic seconds.
    """

    def __init__(self, services: Sequence[Service], *, logs: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._watched = [_Watched(service=service) for service in services]
        self._logs = logs
        self._clock = clock
        self._is_stopping = threading.Event()

    def stop(self) -> None:
        """Ask `run` to stop the services and return."""
        self._is_stopping.set()

    def stop_on_signals(self) -> None:
        """Stop on SIGTERM and SIGINT; call it in the main thread."""

        def ask(number: int, _: FrameType | None) -> None:
            logger.info("got %s, stopping", signal.Signals(number).name)
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask)

    def run(self) -> None:
        """Start the services one after the other, keep them running, and stop them when told to."""
        try:
            for watched in self._watched:
                # What a killed supervisor left would hold the ports.
                if stop_process(self._record(watched.service)):
                    logger.warning("stopped %s, which an earlier supervisor had left running", watched.service.name)
            for watched in self._watched:
                self._start(watched)
                self._await_health(watched)
            while not self._is_stopping.wait(_TICK_SECONDS):
                for watched in self._watched:
                    self._look_after(watched)
                self._trim_logs()
        finally:
            self._stop_all()

    def _start(self, watched: _Watched) -> None:
        service = watched.service
        watched.process = start_process(
            service.command,
            record=self._record(service),
            log=self._log(service),
            environment=service.environment,
            folder=service.folder,
        )
        watched.started_at = watched.healthy_at = self._clock()
        self._change(watched, ServiceState.STARTING)

    def _await_health(self, watched: _Watched) -> None:
        """Wait until a service is healthy, dies, takes too long or all are told to stop."""
        while not self._is_stopping.is_set() and watched.state is ServiceState.STARTING:
            self._look_after(watched)
            self._is_stopping.wait(_TICK_SECONDS / 5)

    def _look_after(self, watched: _Watched) -> None:
        """Take a service one step on: note its health, or start it again."""
        now = self._clock()
        if watched.state is ServiceState.RESTARTING:
            if now >= watched.due_at:
                watched.restarts += 1
                self._start(watched)
            return
        if watched.process is None or not _is_alive(watched.process):
            self._restart_later(watched, why="it ended")
            return
        is_starting = watched.state is ServiceState.STARTING
        if not is_starting and now - watched.checked_at < _HEALTH_SECONDS:
            return
        watched.checked_at = now
        if _is_healthy(watched.service.health_url):
            watched.healthy_at = now
            if now - watched.started_at > _STEADY_SECONDS:
                watched.pause_seconds = _FIRST_PAUSE_SECONDS
            self._change(watched, ServiceState.HEALTHY)
            return
        allowed = watched.service.ready_seconds if is_starting else _UNHEALTHY_SECONDS
        if now - watched.healthy_at > allowed:
            self._restart_later(watched, why=f"it gave no sign of health for {allowed:.0f} s")
        elif not is_starting:
            self._change(watched, ServiceState.UNHEALTHY)

    def _restart_later(self, watched: _Watched, *, why: str) -> None:
        service = watched.service
        stop_process(self._record(service))
        logger.warning(
            "%s: %s; it is started again in %.0f s. See %s",
            service.name,
            why,
            watched.pause_seconds,
            self._log(service),
        )
        watched.due_at = self._clock() + watched.pause_seconds
        watched.pause_seconds = min(2 * watched.pause_seconds, _LONGEST_PAUSE_SECONDS)
        self._change(watched, ServiceState.RESTARTING)

    def _stop_all(self) -> None:
        for watched in sorted(self._watched, key=lambda each: each.service.stop_rank):
            try:
                stop_process(self._record(watched.service))
            except (OSError, psutil.Error, RestockError):
                logger.exception("%s could not be stopped; the others are", watched.service.name)
            self._change(watched, ServiceState.STOPPED)

    def _change(self, watched: _Watched, state: ServiceState) -> None:
        """Note a service's state, in memory and in the state file."""
        if state is watched.state:
            return
        logger.info("%s is %s", watched.service.name, state)
        watched.state, watched.since_utc = state, datetime.now(UTC)
        described = {each.service.name: _describe(each, log=self._log(each.service)) for each in self._watched}
        try:
            write_json(self._logs / STATE_FILE, {"services": described})
        except OSError as error:
            # A full disk must not take the services down.
            logger.warning("the services' state can't be noted: %s", error)

    def _trim_logs(self) -> None:
        """Move a log that has grown large aside; the service goes on writing to the same, then empty, file."""
        for watched in self._watched:
            log = self._log(watched.service)
            if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                with log.open("r+b") as file:
                    file.truncate()

    def _record(self, service: Service) -> Path:
        return record_file(self._logs, service.name)

    def _log(self, service: Service) -> Path:
        return self._logs / f"{service.name}.log"


def record_file(logs: Path, name: str) -> Path:
    """Return the file that remembers the process of a service."""
    return logs / f"{name}.json"


def read_states(logs: Path) -> dict[str, dict[str, Any]]:
    """Return the state of every service by name, as the supervisor last noted it; none where it never ran.

    Raises:
        DataError: the state file is not JSON.
    """
    try:
        states: dict[str, dict[str, Any]] = read_json(logs / STATE_FILE)["services"]
    except NotFoundError:
        return {}
    return states


def measure_memory_mb(logs: Path, name: str) -> float | None:
    """Return the memory of a service and its children, shared pages counted once (PSS); None where it is not running.

    Where the system does not tell the proportional share, resident memory is added up.
    """
    process = find_process(record_file(logs, name))
    if process is None:
        return None
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    for each in family:
        try:
            memory = each.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
        except psutil.Error:
            continue
    return total / 1e6


def _describe(watched: _Watched, *, log: Path) -> dict[str, Any]:
    return {
        "state": watched.state.value,
        "pid": None if watched.process is None else watched.process.pid,
        "restarts": watched.restarts,
        "since_utc": watched.since_utc.isoformat(timespec="seconds"),
        "health_url": watched.service.health_url,
        "log": str(log),
    }


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _is_healthy(url: str | None) -> bool:
    """Return whether a service answers; one without an address is healthy where it runs."""
    if url is None:
        return True
    try:
        with open_directly(url) as reply:
            return bool(reply.status == 200)
    except (OSError, http.client.HTTPException):
        return False
