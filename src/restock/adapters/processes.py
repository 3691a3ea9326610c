"""Background processes that a later command finds again and stops: each leaves a record with its id and start time."""

from __future__ import annotations

import fcntl
import http.client
import logging
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from restock.adapters.storage import read_json, write_json
from restock.errors import DataError, NotReadyError, RestockError

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_STOP_SECONDS = 20.0
_LOG_TAIL_LINES = 15
_ANSWER_SECONDS = 2.0
# In the environment of a background process and of all it starts: which record it belongs to.
_MARK = "RESTOCK_PROCESS_RECORD"


def find_process(record: Path) -> psutil.Process | None:
    """Return the running process that `record` names, or None; a reused process id is not mistaken for it."""
    if not record.exists():
        return None
    known = read_json(record)
    try:
        process = psutil.Process(int(known["pid"]))
        return process if _is_same(process, known) and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{record} does not name a process ({error!r}). Remove it, and stop the process by hand."
        ) from error


def _is_same(process: psutil.Process, known: Mapping[str, Any]) -> bool:
    """Return whether a process is the one that a record names, and not a later one with its id."""
    return bool(abs(process.create_time() - float(known["created"])) < 1.0)


def start_process(
    command: Sequence[str], *, record: Path, log: Path, environment: Mapping[str, str], folder: Path
) -> psutil.Process:
    """Start `command` in the background, in a session of its own, its output going to `log`.

    Raises:
        RestockError: the process that `record` names runs already.
    """
    running = find_process(record)
    if running is not None:
        raise RestockError(f"it runs already, as process {running.pid}. Stop it first: restock down.")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        started = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment) | {_MARK: str(record.resolve())},
            cwd=folder,
            start_new_session=True,
        )
    process = psutil.Process(started.pid)
    write_json(record, {"pid": started.pid, "created": process.create_time(), "command": list(command)})
    logger.info("started process %d, log in %s", started.pid, log)
    return process


@contextmanager
def claim_record(record: Path) -> Iterator[None]:
    """Hold a record for this process, whoever started it: a second one of its kind is refused while it runs.

    Raises:
        RestockError: another running process holds it.
    """
    record.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(record.parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RestockError(
                f"another process works on {record.parent} already. Stop it first: restock down."
            ) from error
        own = psutil.Process()
        write_json(record, {"pid": own.pid, "created": own.create_time(), "command": own.cmdline()})
        yield
    finally:
        os.close(descriptor)


def stop_process(record: Path, *, patience_seconds: float = _STOP_SECONDS) -> bool:
    """Stop the process that `record` names and everything it started; return whether anything was running.

    What it started is found by its session and by a mark in its environment, so that it is found also where the process
    itself was killed and its children live on.

    Args:
        record: what `start_process` wrote.
        patience_seconds: how long the process may take before it and what is left of its children are made to end.
    """
    if not record.exists():
        return False
    process = find_process(record)
    family = _find_family(record)
    # The parent first: it stops its own children in the order it knows. What is left after it gets the same signal.
    if process is not None:
        _signal(process, psutil.Process.terminate)
        psutil.wait_procs([process], timeout=patience_seconds)
    for orphan in (member for member in family if member.is_running()):
        _signal(orphan, psutil.Process.terminate)
    everyone = [*([process] if process is not None else []), *family]
    _, alive = psutil.wait_procs(everyone, timeout=_STOP_SECONDS)
    for left in alive:
        logger.warning("process %d did not stop in %.0f s and is killed", left.pid, _STOP_SECONDS)
        _signal(left, psutil.Process.kill)
    psutil.wait_procs(alive, timeout=_STOP_SECONDS)
    record.unlink(missing_ok=True)
    return bool(everyone)


def _find_family(record: Path) -> list[psutil.Process]:
    """Return what the process that `record` names has started and is still running, itself left out."""
    known = read_json(record)
    leader, mark = int(known["pid"]), str(record.resolve())
    # An id is not given anew while its session has members: where another process has it, there are none left.
    try:
        is_reused = not _is_same(psutil.Process(leader), known)
    except psutil.NoSuchProcess:
        is_reused = False
    found = []
    for process in psutil.process_iter():
        try:
            is_in_session = not is_reused and os.getsid(process.pid) == leader
            is_member = is_in_session or process.environ().get(_MARK) == mark
        except (psutil.Error, OSError):
            continue
        if is_member and process.pid not in (leader, os.getpid()):
            found.append(process)
    return found


def _signal(process: psutil.Process, send: Callable[[psutil.Process], None]) -> None:
    """Send a process a signal; one that has just ended needs none."""
    with suppress(psutil.NoSuchProcess):
        send(process)


def open_directly(url: str) -> Any:
    """Return the reply of one of our own services: past any proxy, which knows nothing of this machine's ports."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(url, timeout=_ANSWER_SECONDS)


def wait_until_ready(url: str, *, process: psutil.Process, log: Path, timeout_seconds: float) -> float:
    """Wait until `url` answers 200 and return the seconds it took.

    Raises:
        NotReadyError: the process ended, or the time ran out; the end of its log is in the message.
    """
    begun = time.monotonic()
    while True:
        waited = time.monotonic() - begun
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise NotReadyError(f"the service ended before it was ready. Its log {log} ends with:\n{_tail(log)}")
        try:
            with open_directly(url) as reply:
                if reply.status == 200:
                    return waited
        except (OSError, http.client.HTTPException) as error:
            logger.debug("not ready yet: %s", error)
        if waited > timeout_seconds:
            raise NotReadyError(
                f"{url} was not ready in {timeout_seconds:.0f} s. The log {log} ends with:\n{_tail(log)}"
            )
        time.sleep(_POLL_SECONDS)


def _tail(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:])
