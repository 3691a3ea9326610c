"""A folder that is watched: files that stand still are ingested; what became of each content is remembered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from restock.adapters.sources.requests import format_of
from restock.adapters.storage import read_json, sha256_of, write_json
from restock.errors import TRY_AGAIN, ConfigurationError, DataError, NotFoundError, RestockError

logger = logging.getLogger(__name__)

MEMORY_FILE = "watched.json"

# Size and time of change: what tells a file that is still being written.
_Look = dict[Path, tuple[int, int]]


class WatchOutcome(StrEnum):
    """What became of a file."""

    INGESTED = "ingested"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class WatchedFile:
    """A file that was taken up, and what became of it.

    Attributes:
        path: where it lies, and stays.
        outcome: ingested or refused.
        message: the batch, or why it was refused.
    """

    path: Path
    outcome: WatchOutcome
    message: str


def watch_folder(
    folder: Path,
    *,
    ingest: Callable[[Path], str],
    wait: Callable[[], bool],
    is_stopped: Callable[[], bool],
    memory: Path,
    reading: str = "",
    is_once: bool = False,
) -> Iterator[WatchedFile]:
    """Yield every file of a folder as it is taken up; ends when `wait` says so, or after one round.

    A file is taken up when two looks find it with the same size and time of change. Each content is taken up once: a
    refused one is reported once, and again only when the file changes. Nothing in the folder is moved or changed.

    Args:
        folder: what is watched; folders in it and hidden files are not.
        ingest: ingests a file and returns its batch.
        wait: waits until the next look and returns whether to go on.
        is_stopped: whether to end before the next file.
        memory: file that remembers what became of each content, also over a restart.
        reading: names how files are read; a content that is read otherwise is taken up again.
        is_once: whether to end after one round.

    Raises:
        DataError: `folder` is no folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder that could be watched. Name an existing one.")
    seen: _Look = {}
    before = _look(folder)
    while wait():
        now = _look(folder)
        for path, state in now.items():
            if is_stopped():
                return
            if before.get(path) != state or seen.get(path) == state:
                continue
            try:
                found = _take_up(path, ingest=ingest, memory=memory, reading=reading)
            except PassingFailureError as error:
                logger.warning("%s could not be ingested just now and is tried again: %s", path, error)
                continue
            seen[path] = state
            if found is not None:
                yield found
        before = now
        if is_once:
            return


class PassingFailureError(RestockError):
    """A file could not be ingested for a reason that does not lie in it."""

    exit_code = TRY_AGAIN


def _look(folder: Path) -> _Look:
    """Return the files of a folder that could be ingested, with size and time of change."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or format_of(path.name) is None:
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


def _take_up(path: Path, *, ingest: Callable[[Path], str], memory: Path, reading: str) -> WatchedFile | None:
    """Return what became of a file, or null where its content was taken up before."""
    try:
        content = " ".join([path.name, sha256_of(path), *([reading] if reading else [])])
    except OSError as error:
        logger.warning("%s can't be read: %s", path, error)
        return None
    remembered = _read_memory(memory)
    if content in remembered:
        return None
    try:
        batch = ingest(path)
    except (DataError, ConfigurationError) as error:
        # Only what lies in the file is remembered; a lock or a full disk passes.
        found = WatchedFile(path=path, outcome=WatchOutcome.REFUSED, message=str(error))
    except RestockError as error:
        raise PassingFailureError(str(error)) from error
    else:
        found = WatchedFile(path=path, outcome=WatchOutcome.INGESTED, message=f"batch {batch}")
    remembered[content] = found.outcome.value
    write_json(memory, remembered)
    return found


def _read_memory(memory: Path) -> dict[str, str]:
    """Return what became of each content, by name and digest; empty where nothing is known yet."""
    try:
        return dict(read_json(memory))
    except NotFoundError:
        return {}
