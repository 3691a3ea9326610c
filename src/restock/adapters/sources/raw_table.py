"""A table as it came from a source, before a value is typed: its own words, and where each row stood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import polars as pl

from restock.adapters.sources.aliases import ONLY_LOCATION, UNIT_NAMES, find_by_alias, needs_location, normalise_name
from restock.adapters.sources.mapping import SourceMapping
from restock.errors import DataError
from restock.schema import Table
from restock.tables import REJECTED

# Two columns beside the table's own: the file's name, and the 1-based line (row number where it has no lines).
FILE = "__file"
LINE = "__line"

# Most rows of a part: enough that what a part costs beside its rows does not matter, few enough for any memory.
PART_ROWS = 500_000

# Lines that can't be split into the header's fields, as rejected rows.
BROKEN_LINE_SCHEMA = {name: REJECTED.polars_schema[name] for name in ("file", "line", "value", "reason", "row")}


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """One table of a source, or a part of it, its columns named as ours and not typed yet.

    Attributes:
        table: which table of the contract it is meant to be.
        frame: our columns as far as the source has them, in the source's types, beside FILE and LINE.
        origins: our column and what the source calls it; constants read `= value`.
        ignored: columns of the source that nothing maps to.
        mapping: how values are written.
        broken_lines: lines that have more or fewer fields than the header, columns as in `BROKEN_LINE_SCHEMA`.
        units: distinct pairs of `sku` and `unit` where the source names a unit that the table has no column for.
        bytes_read: how far the file was read for these rows.
    """

    table: Table
    frame: pl.DataFrame
    origins: dict[str, str]
    ignored: tuple[str, ...]
    mapping: SourceMapping
    broken_lines: pl.DataFrame
    units: pl.DataFrame | None = None
    bytes_read: int = 0

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

    def is_guessed(self, column: str) -> bool:
        """Return whether a column was found under a name that neither the mapping nor our table gives."""
        origin = self.origins.get(column, column)
        is_given = column in self.mapping.columns or column in self.mapping.constants
        return origin != column and not is_given


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
    bytes_read: int = 0,
) -> RawTable:
    """Return a source's frame with its columns named as ours.

    A column that the mapping does not name is found under our own name, else under one that other systems give it.

    Args:
        frame: the source's columns and LINE.
        table: what it is meant to be.
        mapping: our names and theirs.
        file: name of the file.
        broken_lines: see `RawTable`.
        bytes_read: see `RawTable`.

    Raises:
        ConfigurationError: the mapping names a column that the table does not have.
        DataError: the mapping names a column that the file does not have, or two columns could be the same of ours.
    """
    mapping.require_columns_of(table)
    theirs = [name for name in frame.columns if name != LINE]
    origins = _find_origins(table, theirs, mapping=mapping, file=file)
    used = set(origins.values())
    ignored = tuple(name for name in theirs if name not in used)
    constants = dict(mapping.constants)
    shown = {name: f"= {value}" for name, value in constants.items()}
    if needs_location(table, [*origins, *constants]) and not _hint("location", ignored):
        constants["location"] = ONLY_LOCATION
        shown["location"] = f"= {ONLY_LOCATION} (the file names no location)"
    named = frame.select(
        *(pl.col(name).alias(ours) for ours, name in origins.items()),
        *(pl.lit(value).alias(name) for name, value in constants.items()),
        pl.lit(file).alias(FILE),
        LINE,
    )
    return RawTable(
        table=table,
        frame=named,
        origins=origins | shown,
        ignored=ignored,
        mapping=mapping,
        broken_lines=no_broken_lines() if broken_lines is None else broken_lines,
        units=_find_units(frame, table, origins=origins, ignored=ignored),
        bytes_read=bytes_read,
    )


def _find_origins(table: Table, theirs: Sequence[str], *, mapping: SourceMapping, file: str) -> dict[str, str]:
    """Return our columns and what the file calls them; the mapping counts first, then our names, then aliases."""
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
    for column in table.columns:
        if column.name in origins or column.name in mapping.constants:
            continue
        unused = [name for name in theirs if name not in origins.values()]
        found = find_by_alias(table, column.name, unused, file=file)
        if found is not None:
            origins[column.name] = found
    return {column.name: origins[column.name] for column in table.columns if column.name in origins}


def _find_units(
    frame: pl.DataFrame, table: Table, *, origins: dict[str, str], ignored: Sequence[str]
) -> pl.DataFrame | None:
    """Return the units that a source names for its skus where the table has no column for them."""
    names = [name for name in ignored if normalise_name(name) in UNIT_NAMES]
    if not names or "sku" not in origins or "unit_of_measure" in table.column_names:
        return None
    pairs = frame.select(
        pl.col(origins["sku"]).cast(pl.String).alias("sku"), pl.col(names[0]).cast(pl.String).alias("unit")
    )
    return pairs.drop_nulls().with_columns(pl.col("unit").str.strip_chars().str.to_lowercase()).unique()


def slice_raw_table(raw: RawTable, *, part_rows: int) -> Iterator[RawTable]:
    """Yield a raw table in parts of at most `part_rows` rows; broken lines stay with the rows around them."""
    n_parts = max(1, -(-raw.frame.height // part_rows))
    ends = [raw.frame[LINE][n * part_rows] for n in range(1, n_parts)]
    for n in range(n_parts):
        broken = raw.broken_lines
        if n:
            broken = broken.filter(pl.col("line") >= ends[n - 1])
        if n < n_parts - 1:
            broken = broken.filter(pl.col("line") < ends[n])
        yield replace(raw, frame=raw.frame.slice(n * part_rows, part_rows), broken_lines=broken)


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


def require_same_columns(first: RawTable, later: RawTable) -> None:
    """Refuse a part whose columns are not those of the first one of its table.

    Raises:
        DataError: they differ.
    """
    if set(later.frame.columns) == set(first.frame.columns):
        return
    odd = sorted(set(later.frame.columns) ^ set(first.frame.columns))
    names = [item.frame[FILE][0] if item.frame.height else "an empty file" for item in (first, later)]
    raise DataError(
        f"{names[0]} and {names[1]} differ in the columns {', '.join(odd)} of table {first.table.name}. "
        "Ingest them one by one, each with its mapping."
    )


def join_raw_tables(parts: Sequence[RawTable]) -> RawTable:
    """Return the rows of several parts of one table as one; all must have the same columns.

    Raises:
        DataError: a part has other columns than the first.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        require_same_columns(first, part)
    columns = first.frame.columns
    units = [part.units for part in parts if part.units is not None]
    return RawTable(
        table=first.table,
        frame=pl.concat([part.frame.select(columns) for part in parts], how="vertical_relaxed"),
        origins=first.origins,
        ignored=tuple(dict.fromkeys(name for part in parts for name in part.ignored)),
        mapping=first.mapping,
        broken_lines=pl.concat([part.broken_lines for part in parts]),
        units=pl.concat(units).unique() if units else None,
        bytes_read=parts[-1].bytes_read,
    )
