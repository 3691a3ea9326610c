"""Which layout a source has, and one way to read them all, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.sources import freshretailnet, m5, m5_kaggle, uci_online_retail
from restock.adapters.sources.columnar import read_parquet_parts
from restock.adapters.sources.delimited import read_delimited_parts
from restock.adapters.sources.demo import identify_demo, read_demo
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import (
    PART_ROWS,
    RawTable,
    build_raw_table,
    join_raw_tables,
    slice_raw_table,
)
from restock.adapters.sources.requests import (
    SourceFormat,
    SourceRequest,
    expand_sources,
    format_of,
    list_names,
    name_files,
    table_of,
)
from restock.adapters.sources.sql import read_spooled
from restock.adapters.sources.unpacking import MAX_UNPACKED_BYTES, UnpackBudget
from restock.adapters.sources.workbook import read_workbook
from restock.adapters.storage import sha256_of
from restock.errors import DataError
from restock.params import Params
from restock.schema import Table
from restock.tables import SOURCE_TABLES


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """A layout with fixed files, tables and columns.

    Attributes:
        files: names that all must be there; of names joined by `|` the first that is.
        read: from the files to parts of tables.
        optional_files: names that are read too where they are there.
    """

    files: tuple[str, ...]
    read: Callable[[Mapping[str, Path], int], Iterable[RawTable]]
    optional_files: tuple[str, ...] = ()


_LAYOUTS = {
    SourceFormat.FRESHRETAILNET: _Layout(
        files=freshretailnet.FILES,
        read=lambda files, _: freshretailnet.read_freshretailnet(files),
        optional_files=(freshretailnet.HOURLY_FILE,),
    ),
    SourceFormat.M5: _Layout(files=m5.FILES, read=lambda files, _: m5.read_m5(files)),
    SourceFormat.M5_KAGGLE: _Layout(files=m5_kaggle.FILES, read=m5_kaggle.read_m5_kaggle),
    SourceFormat.UCI_ONLINE_RETAIL: _Layout(
        files=uci_online_retail.FILES, read=lambda files, _: uci_online_retail.read_uci_online_retail(files)
    ),
}


@dataclass(frozen=True, kw_only=True)
class OpenedSource:
    """A source that is read as its parts are taken.

    Attributes:
        parts: its tables in parts, those of one table together.
        truth: what only a simulator knows.
    """

    parts: Iterator[RawTable]
    truth: dict[str, pl.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SourceContents:
    """What a source holds, all at once: its tables and, for a simulated one, the truth behind them."""

    tables: tuple[RawTable, ...]
    truth: dict[str, pl.DataFrame] = field(default_factory=dict)


def build_request(
    sources: Sequence[Path],
    *,
    source_format: SourceFormat | None = None,
    table: str | None = None,
    mapping: SourceMapping | None = None,
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES,
) -> SourceRequest:
    """Return the request for the given files or folder, its format inferred where not given.

    Raises:
        DataError: a source is missing, the format is ambiguous, a layout lacks a file, or which table a file holds
            can't be told.
    """
    mapping = mapping or SourceMapping()
    if table is not None and table not in SOURCE_TABLES:
        raise DataError(f"{table!r} is not a table that can be ingested, expected one of {', '.join(SOURCE_TABLES)}.")
    if source_format is SourceFormat.DEMO:
        if sources:
            raise DataError(f"the demo company has no files, got {sources[0]}. Leave the path or the format out.")
        return SourceRequest(format=source_format)
    if not sources:
        raise DataError("no source was named. Name files or a folder, or the demo company: restock ingest demo.")
    for path in sources:
        if not path.exists():
            raise DataError(f"{path} does not exist. Name an existing file or folder.")
    chosen = source_format or infer_format(sources)
    if chosen in _LAYOUTS:
        if table is not None or mapping != SourceMapping():
            raise DataError(f"format {chosen} has fixed tables and columns. Leave --table and --mapping out.")
        files = _layout_files(sources, chosen)
        return SourceRequest(format=chosen, files=files, max_unpacked_bytes=max_unpacked_bytes)
    request = SourceRequest(
        format=chosen,
        files=name_files(expand_sources(sources, chosen)),
        table=table or mapping.table,
        mapping=mapping,
        max_unpacked_bytes=max_unpacked_bytes,
    )
    for name in request.files:
        table_of(name, request)
    return request


def infer_format(sources: Sequence[Path]) -> SourceFormat:
    """Return the format that the sources' names tell.

    Raises:
        DataError: they tell none, or several.
    """
    names = list_names(sources)
    for layout, declared in _LAYOUTS.items():
        if any(choice in names for choice in declared.files[0].split("|")):
            return layout
    found = {format_of(name) for name in names} - {None}
    if len(found) == 1:
        return SourceFormat(str(found.pop()))
    shown = ", ".join(str(path) for path in sources)
    kinds = " and ".join(sorted(str(kind) for kind in found)).replace("csv", "CSV")
    what = f"both {kinds} files" if found else "no file that ends in .csv, .tsv, .txt (or .gz, .zip), .parquet or .xlsx"
    raise DataError(
        f"the format of {shown} can't be told: found {what}. Give it with --format {'|'.join(SourceFormat)}."
    )


def _layout_files(sources: Sequence[Path], layout: SourceFormat) -> dict[str, Path]:
    """Return the files of a fixed layout, from a folder or named one by one."""
    available = list_names(sources)
    declared = _LAYOUTS[layout].files
    if len(declared) == 1 and len(sources) == 1 and sources[0].is_file():
        # A layout of one file needs no name where the format is given.
        return {sources[0].name: sources[0]}
    found, missing = {}, []
    for choices in declared:
        name = next((choice for choice in choices.split("|") if choice in available), None)
        if name is None:
            missing.append(choices.replace("|", " or "))
        else:
            found[name] = available[name]
    if missing:
        shown = ", ".join(str(path) for path in sources)
        raise DataError(f"{shown} lacks {', '.join(missing)}, which format {layout} needs. Name the folder with all.")
    return found | {name: available[name] for name in _LAYOUTS[layout].optional_files if name in available}


def identify_source(request: SourceRequest, params: Params) -> dict[str, Any]:
    """Return what decides the rows that a request reads: format, mapping and the content of every file.

    Raises:
        DataError: a file can't be read.
    """
    if request.format is SourceFormat.DEMO:
        return {"format": request.format.value, **identify_demo(params.simulation, seed=params.seed)}
    try:
        contents = [
            (
                _role_of(name, request),
                request.digests.get(name) or sha256_of(path),
            )
            for name, path in request.files.items()
        ]
    except OSError as error:
        raise DataError(f"{error.filename} can't be read: {error.strerror}.") from error
    return {"format": request.format.value, "mapping": request.mapping.identity(), "contents": sorted(contents)}


def _role_of(name: str, request: SourceRequest) -> str:
    """Return what a file is within its source; where it lies and what people call it decides nothing."""
    if request.format not in _LAYOUTS:
        return table_of(name, request).name
    return name if len(_LAYOUTS[request.format].files) > 1 else ""


def open_source(request: SourceRequest, params: Params, *, part_rows: int = PART_ROWS) -> OpenedSource:
    """Return a source whose parts are read one by one, so that memory does not grow with its size.

    Taking the parts raises `DataError` where a file can't be read as what it is meant to be, and `ConfigurationError`
    where the mapping does not fit a table. Reading the same request twice gives the same parts.

    Args:
        request: what to read.
        params: the demo company's size and seed.
        part_rows: most rows of a part.
    """
    if request.format is SourceFormat.DEMO:
        demo = read_demo(params.simulation, seed=params.seed)
        return OpenedSource(parts=_slice(demo.tables, part_rows), truth=demo.truth)
    if request.format in _LAYOUTS:
        return OpenedSource(parts=_slice(_LAYOUTS[request.format].read(request.files, part_rows), part_rows))
    return OpenedSource(parts=_read_files(request, part_rows))


def _slice(tables: Iterable[RawTable], part_rows: int) -> Iterator[RawTable]:
    for raw in tables:
        yield from slice_raw_table(raw, part_rows=part_rows)


def _read_files(request: SourceRequest, part_rows: int) -> Iterator[RawTable]:
    """Yield the parts of all files, those of the same table together."""
    budget = UnpackBudget(limit_bytes=request.max_unpacked_bytes)
    ordered = sorted(request.files, key=lambda name: SOURCE_TABLES.index(table_of(name, request).name))
    read_before = 0
    for name in ordered:
        path, table = request.files[name], table_of(name, request)
        for raw in _read_file(path, table, request=request, file=name, budget=budget, part_rows=part_rows):
            yield replace(raw, bytes_read=read_before + raw.bytes_read)
        read_before += path.stat().st_size if path.is_file() else 0


def _read_file(
    path: Path, table: Table, *, request: SourceRequest, file: str, budget: UnpackBudget, part_rows: int
) -> Iterator[RawTable]:
    """Yield the parts of one file, or of the spooled result of a query."""
    mapping = request.mapping
    match request.format:
        case SourceFormat.CSV:
            return read_delimited_parts(path, table, mapping=mapping, file=file, budget=budget, part_rows=part_rows)
        case SourceFormat.XLSX:
            frame = read_workbook(path, sheet=mapping.sheet, file=file, max_unpacked_bytes=budget.limit_bytes)
            return slice_raw_table(build_raw_table(frame, table, mapping=mapping, file=file), part_rows=part_rows)
        case SourceFormat.SQL:
            return read_spooled(path, table, mapping=mapping, file=file, part_rows=part_rows)
        case _:
            return read_parquet_parts(path, table, mapping=mapping, file=file, part_rows=part_rows)


def read_source(request: SourceRequest, params: Params) -> SourceContents:
    """Return a source's tables, all at once.

    Raises:
        DataError: a file can't be read as what it is meant to be.
        ConfigurationError: the mapping does not fit a table.
    """
    opened = open_source(request, params)
    parts: dict[str, list[RawTable]] = {}
    for raw in opened.parts:
        parts.setdefault(raw.table.name, []).append(raw)
    return SourceContents(tables=tuple(join_raw_tables(found) for found in parts.values()), truth=opened.truth)
