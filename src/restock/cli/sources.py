"""What the options of `restock ingest` ask for: files, URLs that are fetched, queries that are run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from restock.errors import ConfigurationError
from restock.settings import Settings

if TYPE_CHECKING:
    from restock.adapters.sources.mapping import SourceMapping
    from restock.adapters.sources.requests import SourceRequest


@contextmanager
def open_request(
    sources: list[str],
    settings: Settings,
    *,
    table: str | None,
    mapping: Path | None,
    source_format: str | None,
    sql: str | None,
    query: str | None,
    system: str | None = None,
) -> Iterator[SourceRequest]:
    """Yield the request that the options describe; what was fetched for it is removed at the end.

    Raises:
        ConfigurationError: options contradict each other.
        DataError: a source can't be had.
    """
    from restock.adapters.batch_stage import open_private_folder
    from restock.adapters.sources.formats import build_request
    from restock.adapters.sources.mapping import read_mapping
    from restock.adapters.sources.remote import fetch_remote, is_remote
    from restock.adapters.sources.requests import SourceFormat

    if system is not None:
        if system != SourceFormat.LEDGER.value:
            raise ConfigurationError(f"--source must be {SourceFormat.LEDGER}, got {system!r}. Name files without it.")
        if sources or source_format or table or mapping or sql or query:
            raise ConfigurationError("--source ledger has fixed tables and columns. Leave the other options out.")
        with open_private_folder(settings.data_dir, "ledger") as folder:
            yield _read_ledger(settings, folder=folder / "tables")
        return
    read = read_mapping(mapping) if mapping else None
    if sql is not None or query is not None:
        if sql is None or query is None or sources or source_format:
            raise ConfigurationError("--sql URL and --query SELECT go together, without sources and --format.")
        with open_private_folder(settings.data_dir, "query") as folder:
            yield _run_query(sql, query, table=table, mapping=read, folder=folder)
        return
    if source_format is not None and source_format not in set(SourceFormat):
        raise ConfigurationError(f"--format must be one of {', '.join(SourceFormat)}, got {source_format!r}.")
    chosen = SourceFormat(source_format) if source_format else None
    if chosen is SourceFormat.SQL:
        raise ConfigurationError("a database is read with --sql URL --query SELECT, not with --format sql.")
    if chosen is SourceFormat.LEDGER:
        raise ConfigurationError("the ledger is read with --source ledger, not with --format ledger.")
    if sources == [SourceFormat.DEMO.value] and not Path(sources[0]).exists():
        chosen, sources = chosen or SourceFormat.DEMO, []
    limit = settings.max_unpacked_bytes
    if not any(is_remote(source) for source in sources):
        paths = [Path(source) for source in sources]
        yield build_request(paths, source_format=chosen, table=table, mapping=read, max_unpacked_bytes=limit)
        return
    with open_private_folder(settings.data_dir, "fetched") as folder:
        paths = []
        for number, source in enumerate(sources):
            place = folder / str(number)
            place.mkdir()
            fetched = fetch_remote(source, folder=place, max_bytes=limit) if is_remote(source) else Path(source)
            paths.append(fetched)
        yield build_request(paths, source_format=chosen, table=table, mapping=read, max_unpacked_bytes=limit)


def _run_query(
    sql: str, query: str, *, table: str | None, mapping: SourceMapping | None, folder: Path
) -> SourceRequest:
    """Return the request for the rows of a query, which are spooled to `folder`."""
    from restock.adapters.sources.mapping import SourceMapping
    from restock.adapters.sources.requests import SourceFormat, SourceRequest
    from restock.adapters.sources.sql import read_url, spool_query
    from restock.tables import SOURCE_TABLES

    mapping = mapping or SourceMapping()
    chosen = table or mapping.table
    if chosen not in SOURCE_TABLES:
        raise ConfigurationError(f"--sql needs --table, one of {', '.join(SOURCE_TABLES)}, got {chosen!r}.")
    spooled = spool_query(read_url(sql), query, folder=folder / "rows")
    return SourceRequest(
        format=SourceFormat.SQL,
        files={spooled.name: spooled.folder},
        table=chosen,
        mapping=mapping,
        digests={spooled.name: spooled.digest},
    )


def _read_ledger(settings: Settings, *, folder: Path) -> SourceRequest:
    """Return the request for the ledger's tables, which are spooled to `folder`."""
    from restock.adapters.database.engine import open_database
    from restock.adapters.database.migrate import require_migrated
    from restock.adapters.sources.ledger import spool_ledger
    from restock.adapters.sources.requests import SourceFormat, SourceRequest

    engine = require_migrated(open_database(settings.ledger_url))
    try:
        files = spool_ledger(engine, folder=folder, now=datetime.now(UTC))
    finally:
        engine.dispose()
    return SourceRequest(format=SourceFormat.LEDGER, files=files)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and Ctrl-C set, so that what is under way is finished first."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
