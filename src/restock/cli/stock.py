"""`restock stock`: files into the catalogue, the ledger and the orders, and out of them."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, TypeVar

import typer

from restock.cli.console import messages, output, print_json, show_progress
from restock.errors import ConfigurationError, DataError
from restock.settings import read_settings

if TYPE_CHECKING:
    from enum import StrEnum

    from sqlalchemy import Engine

    from restock.operations.exchange.importing import Imported

stock_app = typer.Typer(help="Stock, catalogue and orders: import and export files.", no_args_is_help=True)
Choice = TypeVar("Choice", bound="StrEnum")
_SHOWN_REJECTIONS = 10


@stock_app.command("import")
def import_stock(  # noqa: PLR0917  (Typer's options, all named on the command line)
    file: Annotated[Path, typer.Argument(help="CSV (also .gz, .zip), XLSX or parquet.")],
    kind: Annotated[
        str | None, typer.Option(help="What it holds, such as products; default: its header tells.")
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="restock, shopify, erpnext or odoo; default: its header tells.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of text without a byte-order mark.")] = "utf-8",
    decimal_mark: Annotated[str, typer.Option(help="Of numbers: . or ,")] = ".",
    rejections: Annotated[
        Path | None, typer.Option(help="Write the refused rows to this CSV file, with the reason.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Write a file anew that was imported before; not of movements.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge only; nothing is kept.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Import a file of products, locations, suppliers, terms, prices, stock, movements, orders or customers.

    Good rows are written, bad ones are kept with line and reason. The same file again changes nothing; rows that were
    refused are tried again.

    \b
    Examples:
      restock stock import products.csv --dry-run
      restock stock import inventory_export.csv --layout shopify
      restock stock import stock.xlsx --rejections refused.csv
    """  # noqa: D301  (Typer's \b keeps the lines apart)
    from restock.operations.exchange.importing import ImportRequest, import_file
    from restock.operations.exchange.kinds import ExchangeKind
    from restock.operations.exchange.layouts import Layout

    if decimal_mark not in (".", ","):
        raise ConfigurationError(f"--decimal-mark must be . or , got {decimal_mark!r}.")
    if not file.is_file():
        raise DataError(f"{file} does not exist. Name an existing file.")
    request = ImportRequest(
        source=file,
        filename=file.name,
        kind=_choose(ExchangeKind, kind, "--kind"),
        layout=_choose(Layout, layout, "--layout"),
        encoding=encoding,
        decimal_mark=decimal_mark,
        again=again,
    )
    engine = _open()
    now = datetime.now(UTC)
    with show_progress("importing, records") as advance:
        done = import_file(engine, request, actor=_actor(), now=now, dry_run=dry_run, on_progress=advance)
    if rejections is not None:
        _write_rejections(engine, done, rejections)
    if as_json:
        print_json(_described(done))
    else:
        _show(engine, done)


@stock_app.command("export")
def export_stock(  # noqa: PLR0917  (Typer's options, all named on the command line)
    kind: Annotated[str, typer.Argument(help="products, stock, movements, purchase_orders, alerts, audit …")],
    export_format: Annotated[str, typer.Option("--format", help="csv, xlsx, parquet or jsonl.")] = "csv",
    layout: Annotated[str, typer.Option(help="restock, shopify, erpnext or odoo.")] = "restock",
    out: Annotated[Path | None, typer.Option("-o", "--output", help="File; default: standard output for text.")] = None,
    sku: Annotated[str | None, typer.Option(help="Only this product.")] = None,
    location: Annotated[str | None, typer.Option(help="Only this location.")] = None,
    supplier: Annotated[str | None, typer.Option(help="Only this supplier.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only from this instant on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only before this instant, UTC.")] = None,
) -> None:
    """Export rows, all of one state of the database.

    \b
    Examples:
      restock stock export stock
      restock stock export products --layout shopify -o products.csv
      restock stock export movements --format parquet --since 2024-01-01 -o movements.parquet
    """  # noqa: D301  (Typer's \b keeps the lines apart)
    from restock.operations.exchange.export_rows import ExportFilter
    from restock.operations.exchange.exporting import ExportFormat, ExportRequest, export
    from restock.operations.exchange.kinds import ExchangeKind
    from restock.operations.exchange.layouts import Layout

    request = ExportRequest(
        kind=_choose(ExchangeKind, kind, "KIND") or ExchangeKind.PRODUCTS,
        format=_choose(ExportFormat, export_format, "--format") or ExportFormat.CSV,
        layout=_choose(Layout, layout, "--layout") or Layout.RESTOCK,
        chosen=ExportFilter(
            sku=sku, location=location, supplier=supplier, state=state, since=_aware(since), until=_aware(until)
        ),
    )
    is_binary = request.format in (ExportFormat.XLSX, ExportFormat.PARQUET)
    if out is None and is_binary and sys.stdout.isatty():
        raise ConfigurationError(f"--format {request.format} is not for a terminal. Name a file with -o.")
    exported = export(_open(), request, now=datetime.now(UTC))
    with _target(out) as stream, show_progress("exporting, kB") as advance:
        n_bytes = _copy(exported.chunks, stream, advance)
    if out is not None:
        messages.print(f"{out}: {n_bytes:,} bytes", highlight=False, markup=False)


def _copy(chunks: Iterable[bytes], stream: BinaryIO, advance: object) -> int:
    n_bytes = 0
    for chunk in chunks:
        stream.write(chunk)
        n_bytes += len(chunk)
        if callable(advance):
            advance(n_bytes // 1000, None)
    return n_bytes


@contextmanager
def _target(out: Path | None) -> Iterator[BinaryIO]:
    """Yield where to write; a file appears only once it is whole."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(out)
    except OSError as error:
        raise DataError(f"{out} can't be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)


def _open() -> Engine:
    from restock.adapters.database.engine import open_database
    from restock.adapters.database.migrate import require_migrated

    return require_migrated(open_database(read_settings().ledger_url))


def _actor() -> str:
    """Return who runs the command, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"cli:{os.getuid()}"


def _aware(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.replace(tzinfo=UTC)


def _choose(choices: type[Choice], value: str | None, option: str) -> Choice | None:
    if value is None:
        return None
    if value not in set(choices):
        raise ConfigurationError(f"{option} must be one of {', '.join(choices)}, got {value!r}.")
    return choices(value)


def _described(done: Imported) -> dict[str, object]:
    record = done.record
    counts = ("n_rows", "n_written", "n_unchanged", "n_skipped", "n_rejected")
    return {
        "import": record.import_id or None,
        "kind": record.kind.value,
        "layout": record.layout,
        "filename": record.filename,
        "sha256": record.sha256,
        "is_dry_run": done.is_dry_run,
        "is_repeated": done.is_repeated,
        "is_resumed": done.is_resumed,
        "ignored_columns": list(record.ignored),
        **{name: getattr(record, name) for name in counts},
        "rejections": [{"line": each.line, "reason": each.reason} for each in done.rejections],
    }


def _show(engine: Engine, done: Imported) -> None:
    """Print what became of a file."""
    record = done.record
    what = f"{record.kind} ({record.layout})"
    if done.is_dry_run:
        headline = f"dry run of {record.filename}: {what}; nothing was kept"
    elif done.is_repeated:
        headline = f"{record.filename}: {what}, was imported before as {record.import_id}; nothing changed"
    else:
        headline = f"{record.filename}: {what}, import {record.import_id}"
    output.print(headline, highlight=False, markup=False)
    output.print(
        f"rows: {record.n_rows:,}; written: {record.n_written:,}, unchanged: {record.n_unchanged:,}, left out: "
        f"{record.n_skipped:,}, refused: {record.n_rejected:,}",
        highlight=False,
    )
    if done.is_dry_run and done.n_judged < record.n_rows:
        output.print(f"only the first {done.n_judged:,} rows were judged", highlight=False)
    if record.ignored:
        output.print(f"columns that nothing reads: {', '.join(record.ignored)}", highlight=False, markup=False)
    for line, reason in _first_reasons(engine, done):
        output.print(f"line {line}: {reason}", highlight=False, markup=False)
    if record.n_rejected > _SHOWN_REJECTIONS:
        output.print(f"… and {record.n_rejected - _SHOWN_REJECTIONS:,} more: --rejections FILE", highlight=False)


def _first_reasons(engine: Engine, done: Imported) -> list[tuple[int, str]]:
    from restock.adapters.database.engine import read_transaction
    from restock.operations.exchange.import_log import list_rejections

    found = list(done.rejections)
    if not done.is_dry_run:
        with read_transaction(engine) as connection:
            found, _ = list_rejections(connection, done.record.import_id, limit=_SHOWN_REJECTIONS)
    return [(each.line, each.reason) for each in found[:_SHOWN_REJECTIONS]]


def _write_rejections(engine: Engine, done: Imported, path: Path) -> None:
    from restock.operations.exchange.refused_rows import write_refused

    with _target(path) as stream:
        _copy(write_refused(engine, done.record, done.rejections if done.is_dry_run else None), stream, None)
    messages.print(f"refused rows: {path}", highlight=False, markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(stock_app, name="stock")
