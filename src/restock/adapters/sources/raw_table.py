"""A table as it came from a source, before a value is typed: its own words, and where each row stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import polars as pl

from restock.adapters.sources.mapping import SourceMapping
from restock.errors import DataError
from restock.schema import Table
from restock.tables import REJECTED

# Two columns beside the table's own: the file's name, and the 1-based line (row number where it has no lines).
FILE = "__file"
LINE = "__line"

# Lines that can't be split into the header's fields, as rejected rows.
BROKEN_LINE_SCHEMA = {name: REJECTED.polars_schema[name] for name in ("file", "line", "value", "reason", "row")}


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """One table of a source, its columns named as ours and not typed yet.

    Attributes:
        table: which table of the contract it is meant to be.
        frame: our columns as far as the source has them, in the source's types, beside FILE and LINE.
        origins: our column and what the source calls it; constants read `= value`.
        ignored: columns of the source that nothing maps to.
        mapping: how values are written.
        broken_lines: lines that have more or fewer fields than the header, columns as in `BROKEN_LINE_SCHEMA`.
    """

    table: Table
    frame: pl.DataFrame
    origins: dict[str, str]
    ignored: tuple[str, ...]
    mapping: SourceMapping
    broken_lines: pl.DataFrame

    @property
    def n_rows(self) -> int:
        """How many rows the source has, broken lines included."""
        return self.frame.height + self.broken_lines.height

    @property
    def missing_columns(self) -> tuple[str, ...]:
        """Columns that the table requires and the source lacks."""
        return tuple(
            column.name
            for column in self.table.columns
            if column.name not in self.frame.columns and not column.is_optional
        )


def no_broken_lines() -> pl.DataFrame:
    """Return an empty frame of broken lines."""
    return pl.DataFrame(schema=BROKEN_LINE_SCHEMA)


def build_raw_table(
    frame: pl.DataFrame,
    table: Table,
    *,
    mapping: SourceMapping,
    file: str,
    broken_lines: pl.DataFrame | None = None,
) -> RawTable:
    """Return a source's frame with its columns named as ours.

    Args:
        frame: the source's columns and LINE.
        table: what it is meant to be.
        mapping: our names and theirs; a column that it does not name is found under our own name.
        file: name of the file.
        broken_lines: see `RawTable`.

    Raises:
        ConfigurationError: the mapping names a column that the table does not have.
        DataError: the mapping names a column that the file does not have.
    """
    mapping.require_columns_of(table)
    theirs = [name for name in frame.columns if name != LINE]
    origins: dict[str, str] = {}
    for column in table.columns:
        name = mapping.columns.get(column.name, column.name)
        if column.name in mapping.constants:
            continue
        if name in theirs:
            origins[column.name] = name
        elif column.name in mapping.columns:
            raise DataError(
                f"{file} has no column {name!r}, which the mapping gives for {column.name}{_hint(name, theirs)}. "
                f"It has {', '.join(theirs)}."
            )
    used = set(origins.values())
    constants = [pl.lit(value).alias(name) for name, value in mapping.constants.items()]
    named = frame.select(
        *(pl.col(name).alias(ours) for ours, name in origins.items()), *constants, pl.lit(file).alias(FILE), LINE
    )
    shown = {name: f"= {value}" for name, value in mapping.constants.items()}
    return RawTable(
        table=table,
        frame=named,
        origins=origins | shown,
        ignored=tuple(name for name in theirs if name not in used),
        mapping=mapping,
        broken_lines=no_broken_lines() if broken_lines is None else broken_lines,
    )


def explain_missing(raw: RawTable) -> str:
    """Return which required columns the source lacks and how to mend it, for an error message."""
    parts = [f"{name}{_hint(name, raw.ignored)}" for name in raw.missing_columns]
    example = ", ".join(f"{name}: THEIR_NAME" for name in raw.missing_columns)
    unused = ", ".join(raw.ignored) or "no column that is not used already"
    return (
        f"table {raw.table.name} needs {', '.join(parts)}; the file also has {unused}. "
        f"Name the column in a mapping, columns: {{{example}}}, and give it with --mapping."
    )


def _hint(name: str, names: Sequence[str]) -> str:
    """Return a near match in brackets, or nothing."""
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""


def join_raw_tables(parts: Sequence[RawTable]) -> RawTable:
    """Return the rows of several files of one table as one; all must have the same columns.

    Raises:
        DataError: a file has other columns than the first.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        if set(part.frame.columns) != set(first.frame.columns):
            odd = sorted(set(part.frame.columns) ^ set(first.frame.columns))
            names = [item.frame[FILE][0] if item.frame.height else "an empty file" for item in (first, part)]
            raise DataError(
                f"{names[0]} and {names[1]} differ in the columns {', '.join(odd)} of table {first.table.name}. "
                "Ingest them one by one, each with its mapping."
            )
    columns = first.frame.columns
    frame = pl.concat([part.frame.select(columns) for part in parts], how="vertical_relaxed")
    ignored = dict.fromkeys(name for part in parts for name in part.ignored)
    return RawTable(
        table=first.table,
        frame=frame,
        origins=first.origins,
        ignored=tuple(ignored),
        mapping=first.mapping,
        broken_lines=pl.concat([part.broken_lines for part in parts]),
    )
