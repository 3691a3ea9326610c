"""Stage `validate`: the batches of the manifest put together, checked as wholes, written as the validated tables."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.batch_files import batch_folder, lock_batches, require_batch
from restock.adapters.contract_documents import BROKEN_RULES
from restock.adapters.quality import ExpectationResult, SuiteResult, check_tables
from restock.adapters.quality_report import render_quality_report
from restock.adapters.storage import read_json, read_table, write_json, write_table, write_text
from restock.adapters.workspace import project_root
from restock.errors import BatchRefusedError, DataError, NotFoundError
from restock.params import Params
from restock.pipeline.ingest import MANIFEST_FILE
from restock.schema import Table
from restock.tables import LOCATIONS, PRODUCTS, SOURCE_TABLES, TABLES

logger = logging.getLogger(__name__)

# Category of a product that is known by its sales alone.
UNCATEGORISED = "uncategorised"
# Which master table knows the values of a column, and in which tables they are looked up.
_REFERENCES = {"sku": "products", "location": "locations"}
_REFERRING_TABLES = ("sales", "supply_terms", "purchase_orders", "movements", "stock")
# Sorted otherwise than by key, because their order in time is part of what they say.
_ORDER = {"movements": ("occurred_at_utc", "movement")}
_SHOWN_UNKNOWN = 5
# Alike to a slip of the finger: one sign in five may differ.
_NEAR = 0.8


@dataclass(frozen=True, kw_only=True)
class CombinedTable:
    """One table of all batches.

    Attributes:
        table: which table.
        frame: its rows, sorted by key.
        n_superseded: rows of earlier batches that a later batch replaced.
        is_derived: whether it was made from the sales because no batch brought it.
        unknown: by column, how many of its values the master table does not know.
        notes: sentences for people.
    """

    table: Table
    frame: pl.DataFrame
    n_superseded: int = 0
    is_derived: bool = False
    unknown: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def run_validate(data_dir: Path, params: Params, *, today: date) -> dict[str, Any]:
    """Write `data_dir`/validated and the reports, and return the report's figures.

    Args:
        data_dir: the workspace's data.
        params: the share of rows that may be rejected.
        today: the last date a past-only column may hold.

    Raises:
        NotFoundError: the manifest or a batch of it is not here.
        DataError: no batch holds sales, or a batch is not what was accepted.
        BatchRefusedError: a table as a whole breaks a critical expectation; data/validated stays as it was.
    """
    try:
        batches = read_json(data_dir / MANIFEST_FILE)["batches"]
    except NotFoundError as error:
        raise NotFoundError(f"{error} List the batches first: restock validate --refresh, or dvc repro.") from error
    for entry in batches:
        require_batch(data_dir, entry)
    combined = {name: combine_batches(TABLES[name], batches, data_dir=data_dir) for name in SOURCE_TABLES}
    if not combined["sales"].frame.height:
        raise DataError("no ingested batch holds table sales. Ingest some: restock ingest sales.csv.")
    combined = note_unknown(derive_masters(combined))
    checks = check_tables(
        {
            name: item.frame.with_columns(pl.lit(0, dtype=pl.Int64).alias(BROKEN_RULES))
            for name, item in combined.items()
            if item.frame.height
        },
        TABLES,
        root=project_root(),
        max_rejected_share=params.ingest.max_rejected_share,
        today=today,
    )
    reasons = [
        f"{name}: {_explain_broken(broken)}" for name, result in checks.items() for broken in result.broken_critical
    ]
    figures = _figures(combined, checks)
    _write_reports(data_dir, combined, checks=checks, reasons=reasons, batches=len(batches), figures=figures)
    if reasons:
        raise BatchRefusedError(
            f"the batches together are refused, data/validated stays as it was. {'; '.join(reasons)}. "
            f"Report: {data_dir / 'reports' / 'validation' / 'report.html'}."
        )
    # Two validations at once, of a training and of an ingestion, must not mix their tables.
    with lock_batches(data_dir):
        _replace_validated(data_dir, combined)
    sales = combined["sales"].frame
    logger.info(
        "validated %d batches: %d rows of sales up to %s, %d rows in all",
        len(batches),
        sales.height,
        sales["date"].max(),
        sum(item.frame.height for item in combined.values()),
    )
    return figures


def combine_batches(table: Table, batches: list[dict[str, Any]], *, data_dir: Path) -> CombinedTable:
    """Return one table of all batches, sorted by key; of rows with the same key the last batch's counts.

    Args:
        table: which table.
        batches: entries of the manifest, in order of ingestion.
        data_dir: the workspace's data.
    """
    parts = [
        read_table(batch_folder(data_dir, entry["id"]) / f"{table.name}.parquet", table)
        for entry in batches
        if table.name in entry["tables"]
    ]
    if not parts:
        return CombinedTable(table=table, frame=table.empty())
    rows = pl.concat(parts)
    if len(parts) > 1:
        rows = rows.unique(subset=list(table.key), keep="last", maintain_order=True)
    return CombinedTable(
        table=table,
        frame=rows.sort(_ORDER.get(table.name, table.key)),
        n_superseded=sum(part.height for part in parts) - rows.height,
    )


def derive_masters(combined: Mapping[str, CombinedTable]) -> dict[str, CombinedTable]:
    """Return the tables with minimal products and locations made from the sales, where no batch brought any."""
    sales = combined["sales"].frame
    derived = dict(combined)
    if not combined["products"].frame.height:
        skus = sales.select(pl.col("sku").unique().sort())
        frame = PRODUCTS.conform(skus.with_columns(name=pl.col("sku"), category_path=pl.lit(UNCATEGORISED)))
        derived["products"] = _derived(PRODUCTS, frame)
    if not combined["locations"].frame.height:
        frame = LOCATIONS.conform(sales.select(pl.col("location").unique().sort()))
        derived["locations"] = _derived(LOCATIONS, frame)
    return derived


def _derived(table: Table, frame: pl.DataFrame) -> CombinedTable:
    note = f"No batch brought table {table.name}: {frame.height} rows were made from the sales, without attributes."
    logger.warning("%s Ingest %s.csv for better forecasts of new and rare ones.", note, table.name)
    return CombinedTable(table=table, frame=frame, is_derived=True, notes=(note,))


def note_unknown(combined: Mapping[str, CombinedTable]) -> dict[str, CombinedTable]:
    """Return the tables with a note on every sku and location that the master tables do not know."""
    noted = dict(combined)
    for name in _REFERRING_TABLES:
        item = combined[name]
        unknown, notes = {}, []
        for column, master in _REFERENCES.items():
            known = combined[master].frame[column].implode()
            missing = item.frame[column].unique().sort()
            missing = missing.filter(~missing.is_in(known))
            unknown[column] = missing.len()
            if missing.len():
                shown = ", ".join(_with_near(value, known.item()) for value in missing.head(_SHOWN_UNKNOWN))
                notes.append(f"{missing.len()} values of {column} are not in table {master}, such as {shown}.")
                logger.warning("table %s: %s Add them to %s and ingest it again.", name, notes[-1], master)
        noted[name] = CombinedTable(
            table=item.table, frame=item.frame, n_superseded=item.n_superseded, unknown=unknown, notes=tuple(notes)
        )
    return noted


def _explain_broken(broken: ExpectationResult) -> str:
    """Return one broken expectation in words."""
    if broken.problem:
        return f"{broken.rule} could not be checked: {broken.problem}"
    examples = f", such as {', '.join(broken.examples)}" if broken.examples else ""
    return f"{broken.rule} is broken by {broken.n_unexpected or 0:,} rows{examples}"


def _with_near(value: str, known: pl.Series) -> str:
    """Return an unknown value, with the known one that is most like it in brackets."""
    close = get_close_matches(value, known.to_list(), n=1, cutoff=_NEAR)
    return f"{value} (near {close[0]})" if close else value


def _figures(combined: Mapping[str, CombinedTable], checks: Mapping[str, SuiteResult]) -> dict[str, Any]:
    """Return the figures that DVC keeps as a metric: few, and the same data give the same bytes."""
    return {
        "rows": {name: item.frame.height for name, item in combined.items()},
        "superseded_rows": sum(item.n_superseded for item in combined.values()),
        "expectations": sum(len(result.expectations) for result in checks.values()),
        "broken_expectations": sum(len(result.broken) for result in checks.values()),
        "unknown": {column: sum(item.unknown.get(column, 0) for item in combined.values()) for column in _REFERENCES},
    }


def _write_reports(
    data_dir: Path,
    combined: Mapping[str, CombinedTable],
    *,
    checks: Mapping[str, SuiteResult],
    reasons: list[str],
    batches: int,
    figures: dict[str, Any],
) -> None:
    """Write the figures for DVC and, beside, the full result with its readable page."""
    report = {
        "verdict": "refused" if reasons else "checked",
        "reasons": reasons,
        "facts": {"batches": batches, "rows": sum(item.frame.height for item in combined.values())},
        "tables": {
            name: {
                "rows": item.frame.height,
                "accepted_rows": item.frame.height,
                "rejected_rows": 0,
                "rejected_by_rule": {},
                "is_success": name not in checks or checks[name].is_success,
                "notes": list(item.notes) if item.frame.height else ["No batch brought this table."],
                "expectations": [r.as_json() for r in checks[name].expectations] if name in checks else [],
            }
            for name, item in combined.items()
        },
    }
    reports = data_dir / "reports"
    write_json(reports / "validation.json", figures)
    write_json(reports / "validation" / "validation.json", report)
    write_text(reports / "validation" / "report.html", render_quality_report("Validated tables", report))


def _replace_validated(data_dir: Path, combined: Mapping[str, CombinedTable]) -> None:
    """Write all tables beside data/validated, then put them in its place."""
    target = data_dir / "validated"
    fresh, old = data_dir / ".validated.tmp", data_dir / ".validated-old.tmp"
    if old.exists() and not target.exists():
        # A crash between the two renames below: these are the last good tables.
        old.rename(target)
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    for name, item in combined.items():
        write_table(item.frame, item.table, fresh / f"{name}.parquet")
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)
