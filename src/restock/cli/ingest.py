"""`restock ingest` and `restock validate`: bring data in, look at what would be read, put it together."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer
from rich.markup import escape
from rich.table import Table as RichTable

from restock.cli.console import messages, output, print_json, show_progress
from restock.cli.sources import open_request, stop_on_signals
from restock.errors import ConfigurationError
from restock.params import Params, read_params
from restock.settings import Settings, read_settings

if TYPE_CHECKING:
    from restock.adapters.sources.raw_table import RawTable
    from restock.operations.examination import ExaminedTable
    from restock.operations.ingest import ExaminedBatch, IngestedBatch


def ingest(  # noqa: PLR0917  (Typer's options, all named on the command line)
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SOURCE]...", help="Files, URLs or a folder; `demo` is the simulated company."),
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="Table that the files hold, such as sales. Default: told by each file's name.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="YAML with table, columns (ours: theirs), date_format, decimal, ...")
    ] = None,
    source_format: Annotated[
        str | None,
        typer.Option("--format", help="csv, parquet, xlsx, m5, ... Default: told by the names."),
    ] = None,
    sql: Annotated[
        str | None, typer.Option(help="URL of a database (SQLAlchemy's), or env:NAME of the variable that holds it.")
    ] = None,
    system: Annotated[
        str | None, typer.Option("--source", help="`ledger`: the movements posted to the stock ledger, as all tables.")
    ] = None,
    query: Annotated[str | None, typer.Option(help="SELECT whose rows --table holds; with --sql.")] = None,
    watch: Annotated[
        Path | None, typer.Option(help="Folder to watch: files that stand still are ingested; nothing is moved.")
    ] = None,
    every: Annotated[float, typer.Option(min=0.01, help="Seconds between two looks at the watched folder.")] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="Take up what stands still now, and end; with --watch.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be read; write nothing.")] = False,
    manifest: Annotated[
        bool, typer.Option("--manifest", help="Write data/manifest.json for `dvc repro`; takes no source.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a source and keep it as a batch; the same content twice changes nothing.

    Rows that break a rule go to data/rejected with their line and the reason. A batch that breaks a critical
    expectation is refused with exit code 3, and the data in use stay as they were.

    \b
    Examples:
      restock ingest sales.csv
      restock ingest till_export.csv --table sales --mapping till.yaml --dry-run
      restock ingest folder_with_tables/
      restock ingest s3://bucket/sales.csv.gz
      restock ingest --sql env:TILL_URL --query "SELECT * FROM daily_sales" --table sales
      restock ingest --source ledger
      restock ingest --watch inbox/ --every 60
      restock ingest demo

    Next: dvc repro
    """  # noqa: D301  (Typer's \b keeps the lines apart)
    settings = read_settings()
    params = read_params(settings.params_file)
    options = {
        "table": table,
        "mapping": mapping,
        "source_format": source_format,
        "sql": sql,
        "query": query,
        "system": system,
    }
    if manifest:
        if sources or dry_run or watch or any(options.values()):
            raise ConfigurationError("--manifest lists what is ingested already. Leave sources and other options out.")
        _write_manifest(settings, params, as_json=as_json)
        return
    if watch is not None:
        if sources or dry_run or sql or query or source_format or system:
            raise ConfigurationError("--watch takes its files from the folder. Leave sources and other options out.")
        _watch(watch, settings, params, table=table, mapping=mapping, every=every, is_once=once, as_json=as_json)
        return
    from restock.operations.ingest import examine_source, ingest_source

    now = datetime.now(UTC)
    with (
        open_request(
            sources or [],
            settings,
            table=table,
            mapping=mapping,
            source_format=source_format,
            sql=sql,
            query=query,
            system=system,
        ) as request,
        show_progress("reading, MB") as advance,
    ):

        def show_bytes(done: int, total: int) -> None:
            advance(done // 1_000_000, total // 1_000_000)

        if dry_run:
            examined = examine_source(request, params, now=now, on_progress=show_bytes)
        else:
            ingested = ingest_source(request, params, data_dir=settings.data_dir, now=now, on_progress=show_bytes)
    if dry_run:
        _show_examined(examined, as_json=as_json)
    else:
        _show_done(ingested, as_json=as_json)


def _write_manifest(settings: Settings, params: Params, *, as_json: bool) -> None:
    """Write the manifest and say how many batches it lists."""
    from restock.pipeline.ingest import run_ingest

    written = run_ingest(settings.data_dir, params, now=datetime.now(UTC))
    if as_json:
        print_json(written)
    else:
        messages.print(f"manifest: {len(written['batches'])} batches", highlight=False)


def _show_done(done: IngestedBatch, *, as_json: bool) -> None:
    """Print what became of a source."""
    if as_json:
        print_json(
            {
                "batch": done.batch,
                "status": done.status.value,
                "rows": done.rows,
                "rejected_rows": done.n_rejected_rows,
                "report": str(done.report),
            }
        )
        return
    rows = ", ".join(f"{name} {count:,}" for name, count in done.rows.items())
    words = {
        "accepted": "accepted",
        "completed": "was cut off before and is complete now",
        "unchanged": "was ingested before: nothing changed",
    }[done.status.value]
    output.print(f"batch {done.batch} {words}", highlight=False)
    output.print(f"rows: {rows}; rejected: {done.n_rejected_rows:,}", highlight=False)
    output.print(f"report: {done.report}", highlight=False, markup=False)
    messages.print("next: dvc repro", highlight=False)


def _watch(
    folder: Path,
    settings: Settings,
    params: Params,
    *,
    table: str | None,
    mapping: Path | None,
    every: float,
    is_once: bool,
    as_json: bool,
) -> None:
    """Ingest what comes into a folder until a signal ends it; a file that is under way is finished first."""
    from restock.adapters.batch_files import name_batch
    from restock.adapters.sources.mapping import read_mapping
    from restock.operations.ingest import ingest_source
    from restock.operations.watch_folder import MEMORY_FILE, watch_folder

    def ingest_file(path: Path) -> str:
        with open_request(
            [str(path)], settings, table=table, mapping=mapping, source_format=None, sql=None, query=None
        ) as request:
            return ingest_source(request, params, data_dir=settings.data_dir, now=datetime.now(UTC)).batch

    memory = settings.data_dir / "reports" / "ingest" / MEMORY_FILE
    columns = read_mapping(mapping).identity() if mapping else {}
    reading = name_batch({"table": table, "mapping": columns, "params": params.ingest.model_dump(mode="json")})
    with stop_on_signals() as stop:
        messages.print(f"watching {folder}; Ctrl-C ends it", highlight=False)
        found = watch_folder(
            folder,
            ingest=ingest_file,
            wait=lambda: not stop.wait(every),
            is_stopped=stop.is_set,
            memory=memory,
            reading=reading,
            is_once=is_once,
        )
        for file in found:
            if as_json:
                print_json({"file": str(file.path), "outcome": file.outcome.value, "message": file.message})
            else:
                output.print(f"{file.path.name} {file.outcome}: {file.message}", markup=False, highlight=False)
    messages.print("watching ended", highlight=False)


def _show_examined(examined: ExaminedBatch, *, as_json: bool) -> None:
    """Print what a source would be read as."""
    from restock.operations.batch_report import hint_at_rules

    if as_json:
        print_json(
            {
                "batch": examined.batch,
                "status": "would be refused" if examined.reasons else "would be accepted",
                "reasons": list(examined.reasons),
                "tables": {item.table.name: _describe(item) for item in examined.tables},
            }
        )
        return
    for item in examined.tables:
        _print_columns(item.raw)
        if item.n_accepted:
            _print_frame(item.first_accepted, title=f"first rows of {item.table.name}")
        output.print(
            f"{item.table.name}: {item.n_rows:,} rows, {item.n_rejected_rows:,} would be rejected", highlight=False
        )
        if item.rejected_by_rule:
            shown = item.first_rejected.select("file", "line", "column", "value", "reason", "rule")
            _print_frame(shown, title="rejected, the first ones")
            for rule, count in item.rejected_by_rule.items():
                output.print(f"  {rule}: {count:,}", highlight=False)
            for hint in hint_at_rules(item):
                output.print(f"  {hint}", markup=False, highlight=False)
    if examined.reasons:
        output.print("[bold red]would be refused:[/]")
        for reason in examined.reasons:
            output.print(f"  {reason}", markup=False, highlight=False)
    else:
        output.print(f"[bold green]would be accepted[/] as batch {examined.batch}; nothing was written")


def _describe(examined: ExaminedTable) -> dict[str, Any]:
    """Return a table of a dry run, ready for JSON."""
    from restock.operations.batch_report import hint_at_rules

    return {
        "columns": examined.raw.origins,
        "ignored": list(examined.raw.ignored),
        "missing": list(examined.raw.missing_columns),
        "rows": examined.n_rows,
        "rejected_rows": examined.n_rejected_rows,
        "rejected_by_rule": examined.rejected_by_rule,
        "hints": hint_at_rules(examined),
        "first_rows": examined.first_accepted.to_dicts(),
    }


def _print_columns(raw: RawTable) -> None:
    """Print which column is read from which."""
    grid = RichTable(title=f"{raw.table.name}: columns", title_justify="left")
    for header in ("column", "read from", "as", "unit"):
        grid.add_column(header, overflow="fold")
    for column in raw.table.columns:
        origin = raw.origins.get(column.name)
        if origin is None and column.is_optional:
            origin = f"(not there; filled with {'null' if column.default is None else repr(column.default)})"
        shown = "[red]missing[/]" if origin is None else escape(origin)
        grid.add_row(column.name, shown, column.type.value, column.unit)
    output.print(grid)
    if raw.ignored:
        output.print(f"left out: {', '.join(raw.ignored)}", markup=False, highlight=False)


def _print_frame(frame: pl.DataFrame, *, title: str) -> None:
    """Print a few rows."""
    grid = RichTable(title=title, title_justify="left")
    for name in frame.columns:
        grid.add_column(escape(name), overflow="fold")
    for row in frame.iter_rows():
        grid.add_row(*("" if value is None else escape(str(value)) for value in row))
    output.print(grid)


def validate(
    refresh: Annotated[
        bool, typer.Option("--refresh", help="List the batches anew first, as stage `ingest` does.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Put the ingested batches together, check every table as a whole, write data/validated.

    Next: restock features
    """
    from restock.pipeline.validate import run_validate

    settings, now = read_settings(), datetime.now(UTC)
    params = read_params(settings.params_file)
    if refresh:
        from restock.pipeline.ingest import run_ingest

        run_ingest(settings.data_dir, params, now=now)
    figures = run_validate(settings.data_dir, params, today=now.date())
    if as_json:
        print_json(figures)
        return
    rows = ", ".join(f"{name} {count:,}" for name, count in figures["rows"].items() if count)
    messages.print(f"validated: {rows}", highlight=False)
    messages.print(
        f"report: {settings.data_dir / 'reports' / 'validation' / 'report.html'}", highlight=False, markup=False
    )


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("ingest")(ingest)
    app.command("validate")(validate)
