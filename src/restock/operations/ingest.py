"""Ingest a source: read it, judge its rows, check it as a whole, keep it as an append-only batch; for any door."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from restock.adapters import batch_files
from restock.adapters.batch_stage import BatchStage, open_private_folder
from restock.adapters.provenance import read_git_commit
from restock.adapters.quality import SuiteChecker
from restock.adapters.quality_report import render_quality_report
from restock.adapters.sources.formats import identify_source, open_source
from restock.adapters.sources.raw_table import PART_ROWS, RawTable
from restock.adapters.sources.requests import SourceRequest
from restock.adapters.storage import read_json, write_json, write_text
from restock.adapters.workspace import project_root
from restock.errors import BatchRefusedError, DataError
from restock.operations.batch_report import explain_refusal, hint_at_rules, report_table
from restock.operations.examination import ExaminedTable, examine_parts
from restock.params import Params

logger = logging.getLogger(__name__)

# A line of the log for so many parts, about every 20 seconds.
_LOGGED_PARTS = 10


class BatchStatus(StrEnum):
    """What ingesting a source came to."""

    ACCEPTED = "accepted"
    COMPLETED = "completed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, kw_only=True)
class ExaminedBatch:
    """A source, read and checked; nothing of it is in use yet.

    Attributes:
        batch: the name its content decides.
        request: what was read.
        tables: what its tables hold.
        truth: what only a simulator knows.
        reasons: why the batch is refused; empty where it is accepted.
    """

    batch: str
    request: SourceRequest
    tables: tuple[ExaminedTable, ...]
    truth: dict[str, pl.DataFrame]
    reasons: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Rows of the source, all tables together."""
        return sum(examined.n_rows for examined in self.tables)

    @property
    def n_rejected_rows(self) -> int:
        """Rejected rows, all tables together."""
        return sum(examined.n_rejected_rows for examined in self.tables)


@dataclass(frozen=True, kw_only=True)
class IngestedBatch:
    """What became of a source.

    Attributes:
        batch: its name.
        status: accepted now; completed, where an earlier try was cut off; or unchanged.
        rows: accepted rows by table.
        n_rejected_rows: rejected rows, all tables together.
        report: the readable report.
    """

    batch: str
    status: BatchStatus
    rows: dict[str, int]
    n_rejected_rows: int
    report: Path


def _ignore_step(_: str) -> None:
    """Do nothing after a step."""


def _ignore_progress(_done: int, _total: int) -> None:
    """Show no progress."""


def examine_source(
    request: SourceRequest,
    params: Params,
    *,
    now: datetime,
    part_rows: int = PART_ROWS,
    on_progress: Callable[[int, int], None] = _ignore_progress,
) -> ExaminedBatch:
    """Return a source, read and checked, and why it would be refused; writes nothing that stays.

    Args:
        request: what to read.
        params: the share of rows that may be rejected; the demo company's size and seed.
        now: the present, UTC; facts after its date are in the future.
        part_rows: most rows that are in memory at a time.
        on_progress: called with how many bytes of the files are read, and how many there are.

    Raises:
        DataError: a file can't be read as what it is meant to be, or there is no row at all.
        ConfigurationError: the mapping does not fit, or a suite differs from the contract.
    """
    batch = batch_files.name_batch(identify_source(request, params))
    with TemporaryDirectory(prefix="restock-") as folder:
        return _examine(
            request,
            params,
            batch=batch,
            now=now,
            part_rows=part_rows,
            on_progress=on_progress,
            folder=Path(folder),
            stage=None,
        )


def _examine(
    request: SourceRequest,
    params: Params,
    *,
    batch: str,
    now: datetime,
    part_rows: int,
    on_progress: Callable[[int, int], None],
    folder: Path,
    stage: BatchStage | None,
) -> ExaminedBatch:
    """Return a source, read and checked; its rows go to `stage`, where there is one."""
    today = now.astimezone(UTC).date()
    limit = params.ingest.max_rejected_share
    opened = open_source(request, params, part_rows=part_rows)
    truth = opened.truth
    unread = [opened.parts]

    def read_parts() -> Iterator[RawTable]:
        return unread.pop() if unread else open_source(request, params, part_rows=part_rows).parts

    total = request.total_bytes
    n_rows, n_parts = 0, 0

    def report_part(raw: RawTable) -> None:
        nonlocal n_rows, n_parts
        n_rows, n_parts = n_rows + raw.n_rows, n_parts + 1
        on_progress(raw.bytes_read, total)
        if n_parts % _LOGGED_PARTS == 0:
            logger.info("batch %s: %d rows judged, %d of %d bytes read", batch, n_rows, raw.bytes_read, total)

    checker = SuiteChecker(root=project_root(), max_rejected_share=limit, today=today)
    tables = examine_parts(
        read_parts, checker=checker, today=today, folder=folder / "keys", stage=stage, on_part=report_part
    )
    if not n_rows:
        raise DataError(f"{', '.join(request.files)} holds a header and no rows; there is nothing to ingest.")
    reasons = [reason for item in tables for reason in explain_refusal(item, max_rejected_share=limit)]
    return ExaminedBatch(batch=batch, request=request, tables=tables, truth=truth, reasons=tuple(reasons))


def ingest_source(
    request: SourceRequest,
    params: Params,
    *,
    data_dir: Path,
    now: datetime,
    part_rows: int = PART_ROWS,
    after_step: Callable[[str], None] = _ignore_step,
    on_progress: Callable[[int, int], None] = _ignore_progress,
) -> IngestedBatch:
    """Keep a source as a batch and return what became of it; the same content again changes nothing.

    Rows go part by part into a private folder of the workspace. The order of writing is then: report and rejected rows;
    truth; the batch's folder, written beside and renamed; DVC; the list of batches. A crash between any two leaves the
    last good data in use, and the next call completes it.

    Args:
        request: what to read.
        params: see `examine_source`.
        data_dir: the workspace's data.
        now: the present, UTC.
        part_rows: most rows that are in memory at a time.
        after_step: called with the name of each step that is done, for tests that stop there.
        on_progress: see `examine_source`.

    Raises:
        BatchRefusedError: the batch broke a critical expectation; its report and rejected rows are kept, nothing else.
        DataError: see `examine_source`.
        ConfigurationError: see `examine_source`.
        RestockError: DVC failed.
    """
    batch = batch_files.name_batch(identify_source(request, params))
    known = _complete_known(batch, data_dir=data_dir, after_step=after_step)
    if known is not None:
        return known
    with open_private_folder(data_dir, batch) as folder:
        stage = BatchStage(folder)
        examined = _examine(
            request,
            params,
            batch=batch,
            now=now,
            part_rows=part_rows,
            on_progress=on_progress,
            folder=folder,
            stage=stage,
        )
        stage.finish()
        report = _write_report(examined, data_dir=data_dir, now=now)
        batch_files.write_rejected(data_dir, batch, staged=stage.rejected_folder)
        after_step("reported")
        if examined.reasons:
            raise BatchRefusedError(
                f"batch {batch} is refused, the data in use stay as they were. {' '.join(examined.reasons)} "
                f"Report: {report}."
            )
        _keep(examined, stage, data_dir=data_dir, now=now, after_step=after_step)
    rows = {item.table.name: item.n_accepted for item in examined.tables}
    logger.info("ingested batch %s: %d rows, %d rejected", batch, sum(rows.values()), examined.n_rejected_rows)
    return IngestedBatch(
        batch=batch,
        status=BatchStatus.ACCEPTED,
        rows=rows,
        n_rejected_rows=examined.n_rejected_rows,
        report=report,
    )


def _keep(
    examined: ExaminedBatch, stage: BatchStage, *, data_dir: Path, now: datetime, after_step: Callable[[str], None]
) -> None:
    """Give the staged rows of an accepted batch their place, and list the batch."""
    batch = examined.batch
    with batch_files.lock_batches(data_dir):
        if not batch_files.batch_folder(data_dir, batch).is_dir():
            batch_files.write_truth(data_dir, batch, examined.truth)
            after_step("truth_written")
            batch_files.write_batch(
                data_dir,
                batch,
                staged=stage.accepted_folder,
                description=_describe(examined, now=now),
                after_step=after_step,
            )
        _track_and_list(batch, data_dir=data_dir, after_step=after_step)


def _complete_known(batch: str, *, data_dir: Path, after_step: Callable[[str], None]) -> IngestedBatch | None:
    """Return a batch whose folder is here, after finishing what a cut-off try left; null where it is not here."""
    folder = batch_files.batch_folder(data_dir, batch)
    with batch_files.lock_batches(data_dir):
        listed = batch_files.find_batch(batch_files.read_batches(data_dir), batch)
        if not folder.is_dir():
            return None
        if listed is None and not batch_files.is_whole_batch(folder):
            # DVC was killed while it took the files into its cache; the batch was never in use.
            logger.warning("batch %s was left in pieces by a try that was cut off; it is written anew", batch)
            batch_files.remove_batch(data_dir, batch)
            return None
        if listed is None:
            _track_and_list(batch, data_dir=data_dir, after_step=after_step)
        else:
            batch_files.require_batch(data_dir, listed)
    status = BatchStatus.COMPLETED if listed is None else BatchStatus.UNCHANGED
    description = read_json(folder / batch_files.BATCH_FILE)
    logger.info("batch %s was here already: %s", batch, status)
    return IngestedBatch(
        batch=batch,
        status=status,
        rows={name: table["rows"] for name, table in description["tables"].items()},
        n_rejected_rows=description["rejected_rows"],
        report=batch_files.report_folder(data_dir, batch) / "report.html",
    )


def _track_and_list(batch: str, *, data_dir: Path, after_step: Callable[[str], None]) -> None:
    """Put a batch's folder under DVC and its entry on the list, the step that makes it count."""
    batch_files.track_batch(data_dir, batch)
    after_step("tracked")
    description = read_json(batch_files.batch_folder(data_dir, batch) / batch_files.BATCH_FILE)
    batch_files.list_batch(data_dir, {"id": batch, "tables": description["tables"]})
    after_step("listed")


def _describe(examined: ExaminedBatch, *, now: datetime) -> dict[str, Any]:
    """Return what batch.json says of a batch beside its tables."""
    return {
        "id": examined.batch,
        "format": examined.request.format.value,
        "sources": list(examined.request.files),
        "mapping": examined.request.mapping.identity(),
        "created_at_utc": now.astimezone(UTC).isoformat(timespec="seconds"),
        "rows": examined.n_rows - examined.n_rejected_rows,
        "rejected_rows": examined.n_rejected_rows,
        "ignored_columns": {item.table.name: list(item.raw.ignored) for item in examined.tables if item.raw.ignored},
        "expectations_met": all(item.check.is_success for item in examined.tables),
        "restock_version": version("restock"),
        "git_commit": read_git_commit(),
    }


def _write_report(examined: ExaminedBatch, *, data_dir: Path, now: datetime) -> Path:
    """Write the report on a batch, and return the path of the readable one."""
    folder = batch_files.report_folder(data_dir, examined.batch)
    report = build_report(examined, now=now)
    write_json(folder / "validation.json", report)
    page = render_quality_report(f"Batch {examined.batch}", report)
    write_text(folder / "report.html", page)
    return folder / "report.html"


def build_report(examined: ExaminedBatch, *, now: datetime) -> dict[str, Any]:
    """Return the report on a batch, ready for JSON and for `render_quality_report`."""
    tables = {item.table.name: report_table(item, notes=_note(item)) for item in examined.tables}
    return {
        "verdict": "refused" if examined.reasons else "accepted",
        "reasons": list(examined.reasons),
        "facts": {
            "batch": examined.batch,
            "format": examined.request.format.value,
            "sources": ", ".join(examined.request.files) or "the demo company",
            "rows": examined.n_rows,
            "rejected": examined.n_rejected_rows,
            "checked": now.astimezone(UTC).isoformat(timespec="seconds"),
        },
        "tables": tables,
    }


def _note(examined: ExaminedTable) -> list[str]:
    """Return what people should know of how a table was read."""
    raw = examined.raw
    renamed = [f"{ours} from {theirs}" for ours, theirs in raw.origins.items() if raw.is_guessed(ours)]
    notes = [f"Columns that nothing maps to were left out: {', '.join(raw.ignored)}."] if raw.ignored else []
    notes += [f"Read under other names: {', '.join(renamed)}."] if renamed else []
    return notes + hint_at_rules(examined)
