"""Batches on disk: append-only folders, named after their content, and the list of those that were accepted."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.storage import read_json, sha256_of, sync_directory, write_json
from restock.adapters.workspace import run_dvc
from restock.errors import DataError, NotFoundError

BATCH_FILE = "batch.json"
BATCH_LIST = "batches.json"
_ID_LENGTH = 16

BatchEntry = dict[str, Any]


def name_batch(identity: Mapping[str, Any]) -> str:
    """Return the name of the batch that `identity` decides: the first 16 hexadecimal digits of its SHA-256."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_LENGTH]


def batch_folder(data_dir: Path, batch: str) -> Path:
    """Return where the accepted rows of a batch lie."""
    return data_dir / "raw" / batch


def rejected_folder(data_dir: Path, batch: str) -> Path:
    """Return where the rejected rows of a batch lie."""
    return data_dir / "rejected" / batch


def report_folder(data_dir: Path, batch: str) -> Path:
    """Return where the reports on a batch lie."""
    return data_dir / "reports" / "ingest" / batch


def truth_folder(data_dir: Path, batch: str) -> Path:
    """Return where a simulated batch keeps its truth, which nothing that plans may read."""
    return data_dir / "truth" / batch


@contextmanager
def lock_batches(data_dir: Path) -> Iterator[None]:
    """Hold off other processes that want to add a batch; the lock ends with the process, however it ends."""
    data_dir.mkdir(parents=True, exist_ok=True)
    # The folder itself is locked: a lock file would be one more thing in it.
    descriptor = os.open(data_dir, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_batches(data_dir: Path) -> list[BatchEntry]:
    """Return the accepted batches in order of ingestion; none where there is no list yet.

    Raises:
        DataError: the list is not one.
    """
    path = data_dir / BATCH_LIST
    try:
        listed = read_json(path)
    except NotFoundError:
        return []
    try:
        return [{"id": str(entry["id"]), "tables": dict(entry["tables"])} for entry in listed["batches"]]
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(
            f'{path} is not a list of batches, expected {{"batches": [{{"id": ..., "tables": ...}}]}}. '
            "Restore it from git."
        ) from error


def find_batch(batches: Sequence[BatchEntry], batch: str) -> BatchEntry | None:
    """Return the entry of a batch, or null where it is not listed."""
    return next((entry for entry in batches if entry["id"] == batch), None)


def list_batch(data_dir: Path, entry: BatchEntry) -> None:
    """Add a batch to the end of the list, or put its entry in its place where it is listed; call it under the lock."""
    batches = read_batches(data_dir)
    if find_batch(batches, entry["id"]) is None:
        batches.append(entry)
    else:
        batches = [entry if listed["id"] == entry["id"] else listed for listed in batches]
    write_json(data_dir / BATCH_LIST, {"batches": batches})


def describe_tables(folder: Path) -> dict[str, dict[str, Any]]:
    """Return rows and SHA-256 of every table in a batch's folder."""
    return {
        path.stem: {
            "rows": pl.scan_parquet(path).select(pl.len()).collect().item(),
            "sha256": sha256_of(path),
        }
        for path in sorted(folder.glob("*.parquet"))
    }


def write_batch(
    data_dir: Path,
    batch: str,
    *,
    staged: Path,
    description: Mapping[str, Any],
    after_step: Callable[[str], None],
) -> None:
    """Write a batch's folder, whole or not at all; call it under the lock.

    Args:
        data_dir: the workspace's data.
        batch: its name.
        staged: folder with a whole parquet file of accepted rows for every table; they are moved.
        description: what batch.json says beside the tables' rows and checksums.
        after_step: called with "written" before the folder gets its name, and with "renamed" after it.
    """
    folder = batch_folder(data_dir, batch)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Whoever left these was killed: the lock is ours.
    for stale in folder.parent.glob(".*.tmp"):
        shutil.rmtree(stale)
    temporary = folder.parent / f".{batch}.tmp"
    temporary.mkdir()
    for path in sorted(staged.glob("*.parquet")):
        path.rename(temporary / path.name)
    write_json(temporary / BATCH_FILE, {**description, "tables": describe_tables(temporary)})
    sync_directory(temporary)
    after_step("written")
    # A record of an earlier copy of this batch, whose files are gone, does not describe this one.
    _dvc_file(folder).unlink(missing_ok=True)
    temporary.rename(folder)
    sync_directory(folder.parent)
    after_step("renamed")


def is_whole_batch(folder: Path) -> bool:
    """Return whether a batch's folder holds what its batch.json says, to the byte."""
    try:
        described = read_json(folder / BATCH_FILE)["tables"]
    except (NotFoundError, DataError, KeyError, TypeError):
        return False
    return bool(describe_tables(folder) == described)


def remove_batch(data_dir: Path, batch: str) -> None:
    """Remove the folder of a batch that is not listed, and what DVC noted of it; call it under the lock."""
    folder = batch_folder(data_dir, batch)
    _dvc_file(folder).unlink(missing_ok=True)
    shutil.rmtree(folder)


def write_rejected(data_dir: Path, batch: str, *, staged: Path) -> None:
    """Put the staged files of rejected rows in place of those of an earlier try.

    Args:
        data_dir: the workspace's data.
        batch: its name.
        staged: folder with a whole parquet file for every table that has rejected rows; they are moved.
    """
    folder = rejected_folder(data_dir, batch)
    found = sorted(staged.glob("*.parquet"))
    if folder.is_dir():
        for stale in folder.glob("*.parquet"):
            if stale.name not in {path.name for path in found}:
                stale.unlink()
    for path in found:
        folder.mkdir(parents=True, exist_ok=True)
        path.replace(folder / path.name)
    if found:
        sync_directory(folder)


def write_truth(data_dir: Path, batch: str, truth: Mapping[str, pl.DataFrame]) -> None:
    """Write what only the simulator knows about a batch."""
    folder = truth_folder(data_dir, batch)
    for name, frame in truth.items():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{name}.parquet.tmp"
        frame.write_parquet(temporary)
        temporary.replace(folder / f"{name}.parquet")


def _dvc_file(folder: Path) -> Path:
    """Return where DVC notes what it tracks as `folder`."""
    return folder.with_name(f"{folder.name}.dvc")


def track_batch(data_dir: Path, batch: str) -> bool:
    """Put a batch and its rejected rows under DVC, where the workspace uses it and they are not yet.

    Returns:
        Whether DVC tracks the batch now.

    Raises:
        RestockError: DVC failed.
    """
    workspace = data_dir.parent
    if not (workspace / ".dvc").is_dir():
        return False
    folders = (batch_folder(data_dir, batch), rejected_folder(data_dir, batch))
    untracked = [
        folder.relative_to(workspace).as_posix()
        for folder in folders
        if folder.is_dir() and not _dvc_file(folder).is_file()
    ]
    if untracked:
        run_dvc(["add", "--quiet", *untracked], folder=workspace)
    return True


def require_batch(data_dir: Path, entry: BatchEntry) -> None:
    """Refuse a listed batch that is not here as it was accepted.

    Raises:
        NotFoundError: a table's file is missing.
        DataError: a table's file has another content.
    """
    folder = batch_folder(data_dir, entry["id"])
    for name, table in entry["tables"].items():
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise NotFoundError(
                f"batch {entry['id']} is listed in {data_dir / BATCH_LIST} but {path} is not here. "
                f"Fetch it: dvc pull {folder.relative_to(data_dir.parent)}.dvc, or ingest its source again."
            )
        if sha256_of(path) != table["sha256"]:
            raise DataError(
                f"{path} is not what was accepted as batch {entry['id']}: its SHA-256 differs from "
                f"{data_dir / BATCH_LIST}. Restore it: dvc checkout {folder.relative_to(data_dir.parent)}.dvc."
            )
