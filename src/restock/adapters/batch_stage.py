"""A private folder in the workspace where a batch grows part by part until it is accepted or refused."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from restock.adapters.batch_files import lock_batches
from restock.adapters.storage import TableWriter
from restock.schema import Table
from restock.tables import REJECTED

logger = logging.getLogger(__name__)

STAGING_FOLDER = ".staging"


class BatchStage:
    """The accepted and rejected rows of a batch on their way to disk.

    Attributes:
        folder: the private folder.
    """

    def __init__(self, folder: Path) -> None:
        """Begin in an existing, empty folder."""
        self.folder = folder
        self._accepted: dict[str, TableWriter] = {}
        self._rejected: dict[str, TableWriter] = {}

    @property
    def accepted_folder(self) -> Path:
        """Where the accepted rows lie, one file a table."""
        return self.folder / "accepted"

    @property
    def rejected_folder(self) -> Path:
        """Where the rejected rows lie, one file for every table that has some."""
        return self.folder / "rejected"

    def append(self, table: Table, *, accepted: pl.DataFrame, rejected: pl.DataFrame) -> None:
        """Add the rows of a part to those of its table."""
        if table.name not in self._accepted:
            self._accepted[table.name] = TableWriter(table, self.accepted_folder / f"{table.name}.parquet")
        self._accepted[table.name].append(accepted)
        if rejected.height and table.name not in self._rejected:
            self._rejected[table.name] = TableWriter(REJECTED, self.rejected_folder / f"{table.name}.parquet")
        if rejected.height:
            self._rejected[table.name].append(rejected)

    def finish(self) -> None:
        """Make every file whole and durable."""
        for writer in (*self._accepted.values(), *self._rejected.values()):
            writer.finish()


@contextmanager
def open_private_folder(data_dir: Path, name: str) -> Iterator[Path]:
    """Yield an empty folder in the workspace's data that is removed at the end; those of killed processes go as well.

    Args:
        data_dir: the workspace's data.
        name: what the folder's name begins with.
    """
    parent = data_dir / STAGING_FOLDER
    with lock_batches(data_dir):
        parent.mkdir(exist_ok=True)
        _remove_stale(parent)
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=f"{name}-"))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)
        with lock_batches(data_dir):
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def _remove_stale(parent: Path) -> None:
    """Remove the folders whose process is gone: their lock went with it."""
    for folder in parent.iterdir():
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            # Its owner has just finished and removed it.
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            logger.info("removed %s, left by a process that was cut off", folder)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
