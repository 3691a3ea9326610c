"""What is asked of a source: its layout, its files by name, and which table each of them holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.unpacking import MAX_UNPACKED_BYTES
from restock.errors import DataError
from restock.schema import Table
from restock.tables import SOURCE_TABLES, TABLES

_DELIMITED_SUFFIXES = (".csv", ".tsv", ".txt", ".zip")
_WORKBOOK_SUFFIXES = (".xlsx", ".xlsm")


class SourceFormat(StrEnum):
    """The layouts that can be ingested."""

    CSV = "csv"
    PARQUET = "parquet"
    XLSX = "xlsx"
    SQL = "sql"
    FRESHRETAILNET = "freshretailnet"
    M5 = "m5"
    M5_KAGGLE = "m5_kaggle"
    UCI_ONLINE_RETAIL = "uci_online_retail"
    DEMO = "demo"
    LEDGER = "ledger"


@dataclass(frozen=True, kw_only=True)
class SourceRequest:
    """What to read.

    Attributes:
        format: the layout.
        files: path by name for people; names are unique within the request.
        table: what all files hold; null where each file's name says it.
        mapping: names and formats of the columns.
        digests: what stands for a file's content where its bytes don't, such as the rows of a query, by name.
        max_unpacked_bytes: most bytes that the files may unpack to.
    """

    format: SourceFormat
    files: dict[str, Path] = field(default_factory=dict)
    table: str | None = None
    mapping: SourceMapping = field(default_factory=SourceMapping)
    digests: dict[str, str] = field(default_factory=dict)
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES

    @property
    def total_bytes(self) -> int:
        """Size of all files together."""
        return sum(path.stat().st_size for path in self.files.values() if path.is_file())


def format_of(name: str) -> SourceFormat | None:
    """Return what a file's name tells of its format."""
    plain = name.lower().removesuffix(".gz")
    if plain.endswith(_DELIMITED_SUFFIXES):
        return SourceFormat.CSV
    if plain.endswith(_WORKBOOK_SUFFIXES):
        return SourceFormat.XLSX
    return SourceFormat.PARQUET if plain.endswith(".parquet") else None


def list_names(sources: Sequence[Path]) -> dict[str, Path]:
    """Return the files named or lying in the folders named, by base name."""
    return {inner.name: inner for path in sources for inner in (path.iterdir() if path.is_dir() else [path])}


def expand_sources(sources: Sequence[Path], source_format: SourceFormat) -> list[Path]:
    """Return the files, folders replaced by the files of the format that lie in them.

    Raises:
        DataError: a folder holds none.
    """
    files: list[Path] = []
    for path in sources:
        if not path.is_dir():
            files.append(path)
            continue
        inner = [child for child in sorted(path.iterdir()) if format_of(child.name) is source_format]
        if not inner:
            raise DataError(f"{path} holds no {source_format} file. Name the files one by one.")
        files += inner
    return files


def name_files(files: Sequence[Path]) -> dict[str, Path]:
    """Return the files by base name, or by as much of the path as tells them apart."""
    paths = list(dict.fromkeys(path.resolve() for path in files))
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        common = os.path.commonpath([path.parent for path in paths])
        names = [path.relative_to(common).as_posix() for path in paths]
    return dict(zip(names, paths, strict=True))


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
