"""Ingest a source: read it, judge its rows, check it as a whole, keep it as an append-only batch; for any door."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters import batch_files
from restock.adapters.provenance import read_git_commit
from restock.adapters.quality import SuiteResult, check_tables
from restock.adapters.quality_report import render_quality_report
from restock.adapters.sources.formats import SourceRequest, identify_source, read_source
from restock.adapters.sources.raw_table import RawTable
from restock.adapters.storage import read_json, write_json, write_text
from restock.adapters.workspace import project_root
from restock.errors import BatchRefusedError, DataError
from restock.operations.batch_report import explain_refusal, report_table
from restock.operations.row_judgement import JudgedTable, judge_rows
from restock.params import Params

logger = logging.getLogger(__name__)


class BatchStatus(StrEnum):
    """What ingesting a source came to."""

    ACCEPTED = "accepted"
    COMPLETED = "completed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, kw_only=True)
class ExaminedBatch:
    """A source, read and checked; nothing is written yet.

    Attributes:
        batch: the name its content decides.
        request: what was read.
        raw: its tables as they came.
        judged: their rows, judged, in the same order.
        checks: every table as a whole, by name.
        truth: what only a simulator knows.
        reasons: why the batch is refused; empty where it is accepted.
    """

    batch: str
    request: SourceRequest
    raw: tuple[RawTable, ...]
    judged: tuple[JudgedTable, ...]
    checks: dict[str, SuiteResult]
    truth: dict[str, pl.DataFrame]
    reasons: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Rows of the source, all tables together."""
        return sum(judged.parsed.height for judged in self.judged)

    @property
    def n_rejected_rows(self) -> int:
        """Rejected rows, all tables together."""
        return sum(judged.n_rejected_rows for judged in self.judged)


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


def examine_source(request: SourceRequest, params: Params, *, now: datetime) -> ExaminedBatch:
    """Return a source, read and checked, and why it would be refused; writes nothing.

    Args:
        request: what to read.
        params: the share of rows that may be rejected; the demo company's size and seed.
        now: the present, UTC; facts after its date are in the future.

    Raises:
        DataError: a file can't be read as what it is meant to be, or there is no row at all.
        ConfigurationError: the mapping does not fit, or a suite differs from the contract.
    """
    batch = batch_files.name_batch(identify_source(request, params))
    today = now.astimezone(UTC).date()
    contents = read_source(request, params)
    if not any(raw.n_rows for raw in contents.tables):
        raise DataError(f"{', '.join(request.files)} holds a header and no rows; there is nothing to ingest.")
    judged = tuple(judge_rows(raw, today=today) for raw in contents.tables)
    limit = params.ingest.max_rejected_share
    checks = check_tables(
        {item.table.name: item.parsed for item in judged},
        {item.table.name: item.table for item in judged},
        root=project_root(),
        max_rejected_share=limit,
        today=today,
    )
    reasons = [
        reason
        for raw, item in zip(contents.tables, judged, strict=True)
        for reason in explain_refusal(raw, item, result=checks[item.table.name], max_rejected_share=limit)
    ]
    return ExaminedBatch(
        batch=batch,
        request=request,
        raw=contents.tables,
        judged=judged,
        checks=checks,
        truth=contents.truth,
        reasons=tuple(reasons),
    )


def ingest_source(
    request: SourceRequest,
    params: Params,
    *,
    data_dir: Path,
    now: datetime,
    after_step: Callable[[str], None] = _ignore_step,
) -> IngestedBatch:
    """Keep a source as a batch and return what became of it; the same content again changes nothing.

    The order of writing is: report and rejected rows; truth; the batch's folder, written beside and renamed; DVC; the
    list of batches. A crash between any two leaves the last good data in use, and the next call completes it.

    Args:
        request: what to read.
        params: see `examine_source`.
        data_dir: the workspace's data.
        now: the present, UTC.
        after_step: called with the name of each step that is done, for tests that stop there.

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
    examined = examine_source(request, params, now=now)
    report = _write_report(examined, data_dir=data_dir, now=now)
    after_step("reported")
    if examined.reasons:
        raise BatchRefusedError(
            f"batch {batch} is refused, the data in use stay as they were. {' '.join(examined.reasons)} "
            f"Report: {report}."
        )
    with batch_files.lock_batches(data_dir):
        if not batch_files.batch_folder(data_dir, batch).is_dir():
            batch_files.write_truth(data_dir, batch, examined.truth)
            after_step("truth_written")
            batch_files.write_batch(
                data_dir,
                batch,
                frames={item.table.name: item.accepted for item in examined.judged},
                tables={item.table.name: item.table for item in examined.judged},
                description=_describe(examined, now=now),
                after_step=after_step,
            )
        _track_and_list(batch, data_dir=data_dir, after_step=after_step)
    rows = {item.table.name: item.accepted.height for item in examined.judged}
    logger.info("ingested batch %s: %d rows, %d rejected", batch, sum(rows.values()), examined.n_rejected_rows)
    return IngestedBatch(
        batch=batch,
        status=BatchStatus.ACCEPTED,
        rows=rows,
        n_rejected_rows=examined.n_rejected_rows,
        report=report,
    )


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
        "ignored_columns": {raw.table.name: list(raw.ignored) for raw in examined.raw if raw.ignored},
        "expectations_met": all(check.is_success for check in examined.checks.values()),
        "restock_version": version("restock"),
        "git_commit": read_git_commit(),
    }


def _write_report(examined: ExaminedBatch, *, data_dir: Path, now: datetime) -> Path:
    """Write the report and the rejected rows of a batch, and return the path of the readable report."""
    folder = batch_files.report_folder(data_dir, examined.batch)
    report = build_report(examined, now=now)
    write_json(folder / "validation.json", report)
    page = render_quality_report(f"Batch {examined.batch}", report)
    write_text(folder / "report.html", page)
    batch_files.write_rejected(data_dir, examined.batch, {item.table.name: item.rejected for item in examined.judged})
    return folder / "report.html"


def build_report(examined: ExaminedBatch, *, now: datetime) -> dict[str, Any]:
    """Return the report on a batch, ready for JSON and for `render_quality_report`."""
    tables = {}
    for raw, item in zip(examined.raw, examined.judged, strict=True):
        notes = [f"Columns that nothing maps to were left out: {', '.join(raw.ignored)}."] if raw.ignored else []
        tables[item.table.name] = report_table(examined.checks[item.table.name], item, notes=notes)
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
