"""Which layout a source has, and one way to read them all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.sources import freshretailnet, m5
from restock.adapters.sources.columnar import read_parquet_source
from restock.adapters.sources.delimited import read_delimited
from restock.adapters.sources.demo import identify_demo, read_demo
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import RawTable, join_raw_tables
from restock.adapters.storage import sha256_of
from restock.errors import DataError
from restock.params import Params
from restock.schema import Table
from restock.tables import SOURCE_TABLES, TABLES

_DELIMITED_SUFFIXES = (".csv", ".tsv", ".txt")


class SourceFormat(StrEnum):
    """The layouts that can be ingested."""

    CSV = "csv"
    PARQUET = "parquet"
    FRESHRETAILNET = "freshretailnet"
    M5 = "m5"
    DEMO = "demo"


_LAYOUT_FILES = {SourceFormat.FRESHRETAILNET: freshretailnet.FILES, SourceFormat.M5: m5.FILES}


@dataclass(frozen=True, kw_only=True)
class SourceRequest:
    """What to read.

    Attributes:
        format: the layout.
        files: path by name for people; names are unique within the request.
        table: what all files hold; null where each file's name says it.
        mapping: names and formats of the columns.
    """

    format: SourceFormat
    files: dict[str, Path] = field(default_factory=dict)
    table: str | None = None
    mapping: SourceMapping = field(default_factory=SourceMapping)


@dataclass(frozen=True, kw_only=True)
class SourceContents:
    """What a source holds: its tables and, for a simulated one, the truth behind them."""

    tables: tuple[RawTable, ...]
    truth: dict[str, pl.DataFrame] = field(default_factory=dict)


def build_request(
    sources: Sequence[Path],
    *,
    source_format: SourceFormat | None = None,
    table: str | None = None,
    mapping: SourceMapping | None = None,
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
    if chosen in _LAYOUT_FILES:
        if table is not None or mapping != SourceMapping():
            raise DataError(f"format {chosen} has fixed tables and columns. Leave --table and --mapping out.")
        return SourceRequest(format=chosen, files=_layout_files(sources, chosen))
    request = SourceRequest(
        format=chosen, files=_named(_expand(sources, chosen)), table=table or mapping.table, mapping=mapping
    )
    for name in request.files:
        table_of(name, request)
    return request


def infer_format(sources: Sequence[Path]) -> SourceFormat:
    """Return the format that the sources' names tell.

    Raises:
        DataError: they tell none, or several.
    """
    names = {inner.name for path in sources for inner in (path.iterdir() if path.is_dir() else [path])}
    for layout, files in _LAYOUT_FILES.items():
        if files[0] in names:
            return layout
    found = {_format_of(name) for name in names} - {None}
    if len(found) == 1:
        return SourceFormat(str(found.pop()))
    shown = ", ".join(str(path) for path in sources)
    what = "both CSV and parquet files" if found else "no file that ends in .csv, .tsv, .txt (or .gz) or .parquet"
    raise DataError(
        f"the format of {shown} can't be told: found {what}. Give it with --format {'|'.join(SourceFormat)}."
    )


def _format_of(name: str) -> SourceFormat | None:
    """Return what a file's name tells of its format."""
    plain = name.lower().removesuffix(".gz")
    if plain.endswith(_DELIMITED_SUFFIXES):
        return SourceFormat.CSV
    return SourceFormat.PARQUET if plain.endswith(".parquet") else None


def _expand(sources: Sequence[Path], source_format: SourceFormat) -> list[Path]:
    """Return the files, folders replaced by the files of the format that lie in them."""
    files: list[Path] = []
    for path in sources:
        if not path.is_dir():
            files.append(path)
            continue
        inner = [child for child in sorted(path.iterdir()) if _format_of(child.name) is source_format]
        if not inner:
            raise DataError(f"{path} holds no {source_format} file. Name the files one by one.")
        files += inner
    return files


def _named(files: Sequence[Path]) -> dict[str, Path]:
    """Return the files by base name, or by as much of the path as tells them apart."""
    paths = list(dict.fromkeys(path.resolve() for path in files))
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        common = os.path.commonpath([path.parent for path in paths])
        names = [path.relative_to(common).as_posix() for path in paths]
    return dict(zip(names, paths, strict=True))


def _layout_files(sources: Sequence[Path], layout: SourceFormat) -> dict[str, Path]:
    """Return the files of a fixed layout, from a folder or named one by one."""
    available = {inner.name: inner for path in sources for inner in (path.iterdir() if path.is_dir() else [path])}
    missing = [name for name in _LAYOUT_FILES[layout] if name not in available]
    if missing:
        shown = ", ".join(str(path) for path in sources)
        raise DataError(f"{shown} lacks {', '.join(missing)}, which format {layout} needs. Name the folder with all.")
    return {name: available[name] for name in _LAYOUT_FILES[layout]}


def table_of(name: str, request: SourceRequest) -> Table:
    """Return which table a file holds: the one asked for, else the one its name begins with.

    Raises:
        DataError: neither tells.
    """
    stem = Path(name).name.split(".")[0].lower()
    chosen = request.table or (stem if stem in SOURCE_TABLES else None)
    if chosen is None:
        raise DataError(
            f"which table {name} holds can't be told from its name. Give it with --table, one of "
            f"{', '.join(SOURCE_TABLES)}, or name the file after it."
        )
    return TABLES[chosen]


def identify_source(request: SourceRequest, params: Params) -> dict[str, Any]:
    """Return what decides the rows that a request reads: format, mapping and the content of every file.

    Raises:
        DataError: a file can't be read.
    """
    if request.format is SourceFormat.DEMO:
        return {"format": request.format.value, **identify_demo(params.simulation, seed=params.seed)}
    try:
        if request.format in _LAYOUT_FILES:
            contents = [(name, sha256_of(path)) for name, path in request.files.items()]
        else:
            contents = [(table_of(name, request).name, sha256_of(path)) for name, path in request.files.items()]
    except OSError as error:
        raise DataError(f"{error.filename} can't be read: {error.strerror}.") from error
    return {"format": request.format.value, "mapping": request.mapping.identity(), "contents": sorted(contents)}


def read_source(request: SourceRequest, params: Params) -> SourceContents:
    """Return a source's tables.

    Raises:
        DataError: a file can't be read as what it is meant to be.
        ConfigurationError: the mapping does not fit a table.
    """
    match request.format:
        case SourceFormat.DEMO:
            demo = read_demo(params.simulation, seed=params.seed)
            return SourceContents(tables=demo.tables, truth=demo.truth)
        case SourceFormat.FRESHRETAILNET:
            return SourceContents(tables=freshretailnet.read_freshretailnet(request.files))
        case SourceFormat.M5:
            return SourceContents(tables=m5.read_m5(request.files))
        case SourceFormat.CSV | SourceFormat.PARQUET:
            return SourceContents(tables=_read_files(request))


def _read_files(request: SourceRequest) -> tuple[RawTable, ...]:
    """Return one raw table per table, files of the same table joined."""
    read = read_delimited if request.format is SourceFormat.CSV else read_parquet_source
    parts: dict[str, list[RawTable]] = {}
    for name, path in request.files.items():
        table = table_of(name, request)
        parts.setdefault(table.name, []).append(read(path, table, mapping=request.mapping, file=name))
    return tuple(join_raw_tables(parts[name]) for name in SOURCE_TABLES if name in parts)
