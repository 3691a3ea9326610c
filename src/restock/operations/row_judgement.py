"""Which rows of a raw table are accepted and which are rejected, with every rule that a rejected row breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.contract_documents import BROKEN_RULES
from restock.adapters.sources.casting import cast_column, describe_expected
from restock.adapters.sources.raw_table import FILE, LINE, RawTable
from restock.schema import ColumnType, Table
from restock.tables import REJECTED

LINE_RULE = "line_fields"
# What a broken line blames where there is no single column.
WHOLE_LINE = "(line)"

Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class JudgedTable:
    """A table after judgement.

    Attributes:
        table: which table.
        parsed: every row, typed, with the count of rules it broke in BROKEN_RULES; broken lines are rows of nulls. A
            required column that the source lacks is absent.
        accepted: the rows that broke no rule, exactly the table's columns; empty where a required column is missing.
        rejected: table REJECTED: one row for every rule that a row broke.
    """

    table: Table
    parsed: pl.DataFrame
    accepted: pl.DataFrame
    rejected: pl.DataFrame

    @property
    def n_rejected_rows(self) -> int:
        """How many rows broke a rule."""
        return self.parsed.select((pl.col(BROKEN_RULES) > 0).sum()).item() if self.parsed.height else 0

    @property
    def rejected_by_rule(self) -> dict[str, int]:
        """How many rows broke each rule, most first."""
        counts = self.rejected.group_by("rule").len().sort(pl.col("len"), "rule", descending=[True, False])
        return dict(counts.iter_rows())


@dataclass(frozen=True, kw_only=True)
class _Breach:
    """A broken rule and the rows that broke it."""

    rule: str
    column: str
    expected: str
    rows: Rows


def judge_rows(raw: RawTable, *, today: date) -> JudgedTable:
    """Return the rows of a raw table, accepted or rejected; each is exactly one of both.

    Args:
        raw: the rows as they came.
        today: the last date a past-only column may hold.
    """
    table = raw.table
    typed = _typed(raw)
    breaches = [*_type_breaches(raw, typed)]
    mistyped = {breach.column: breach.rows for breach in breaches}
    if not raw.missing_columns:
        breaches += _rule_breaches(typed, table, mistyped=mistyped, today=today)
    breaches += _key_breaches(typed, raw)
    counts = np.zeros(typed.height, dtype=np.int64)
    for breach in breaches:
        np.add.at(counts, breach.rows, 1)
    parsed = typed.with_columns(pl.Series(BROKEN_RULES, counts))
    if raw.missing_columns:
        accepted = table.empty()
    else:
        whole = parsed if not counts.any() else parsed.filter(pl.col(BROKEN_RULES) == 0)
        accepted = table.conform(whole)
    return JudgedTable(
        table=table,
        parsed=_with_broken_lines(parsed, raw),
        accepted=accepted,
        rejected=_rejected(breaches, raw),
    )


def _typed(raw: RawTable) -> pl.DataFrame:
    """Return the rows with the table's types; optional columns the source lacks are filled."""
    schema = raw.frame.schema
    expressions = []
    for column in raw.table.columns:
        if column.name in schema:
            typed = cast_column(column, schema[column.name], mapping=raw.mapping)
        elif column.is_optional:
            typed = pl.lit(column.default, dtype=column.type.polars).alias(column.name)
        else:
            continue
        if column.name in raw.table.key and column.is_nullable and column.default is not None:
            # Files can't write empty text apart from null, and a key must not hold null.
            typed = typed.fill_null(pl.lit(column.default))
        expressions.append(typed)
    # LINE makes the height right where every column is a constant.
    return raw.frame.select(LINE, *expressions).drop(LINE)


def _type_breaches(raw: RawTable, typed: pl.DataFrame) -> list[_Breach]:
    """Return the values that were there and are not of their column's kind."""
    breaches = []
    for column in raw.table.columns:
        if column.name not in raw.frame.columns:
            continue
        given = raw.frame[column.name]
        # Text is text whatever it says, and equal types always fit; a date may still be implausible.
        if given.dtype == column.type.polars and column.type is not ColumnType.DATE:
            continue
        is_there = given.is_not_null()
        if given.dtype == pl.String:
            text = given.str.strip_chars()
            is_there &= ((text != "") & ~text.is_in(raw.mapping.null_values)).fill_null(value=False)
        rows = _indices(is_there & typed[column.name].is_null())
        if rows.size:
            expected = describe_expected(column, raw.mapping)
            breaches.append(_Breach(rule=f"{column.name}_type", column=column.name, expected=expected, rows=rows))
    return breaches


def _rule_breaches(typed: pl.DataFrame, table: Table, *, mistyped: dict[str, Rows], today: date) -> list[_Breach]:
    """Return the rows that break the table's row rules; a value of the wrong kind is not blamed as absent as well."""
    breaches = []
    for rule in table.row_rules(today=today):
        rows = _indices(typed.select(~rule.accepts).to_series())
        if rule.name.endswith("_present") and rule.column in mistyped:
            rows = np.setdiff1d(rows, mistyped[rule.column])
        if rows.size:
            breaches.append(_Breach(rule=rule.name, column=rule.column, expected=rule.expected, rows=rows))
    return breaches


def _key_breaches(typed: pl.DataFrame, raw: RawTable) -> list[_Breach]:
    """Return the rows whose key another row before them has."""
    key = list(raw.table.key)
    if not set(key) <= set(typed.columns):
        return []
    has_key = pl.all_horizontal(pl.col(name).is_not_null() for name in key)
    repeated = typed.select(has_key & ~pl.struct(key).is_first_distinct()).to_series()
    rows = _indices(repeated)
    return [_repeated_key(raw.table, rows)] if rows.size else []


def _repeated_key(table: Table, rows: Rows) -> _Breach:
    expected = f"a {', '.join(table.key)} that no row before it has"
    return _Breach(rule=f"{table.name}_key_unique", column=table.key[-1], expected=expected, rows=rows)


def reject_repeats(raw: RawTable) -> pl.DataFrame:
    """Return table REJECTED for rows whose key a row of an earlier part has: all rows of `raw`."""
    return _rejected([_repeated_key(raw.table, np.arange(raw.frame.height, dtype=np.intp))], raw)


def _indices(mask: pl.Series) -> Rows:
    return mask.arg_true().to_numpy().astype(np.intp)


def _rejected(breaches: Sequence[_Breach], raw: RawTable) -> pl.DataFrame:
    """Return table REJECTED for the breaches and the broken lines, in order of file and line."""
    parts = [_rejected_by(breach, raw) for breach in breaches]
    lines = raw.broken_lines.with_columns(
        table=pl.lit(raw.table.name), column=pl.lit(WHOLE_LINE), rule=pl.lit(LINE_RULE)
    )
    parts.append(REJECTED.conform(lines))
    return pl.concat(parts).sort("file", "line", "rule", maintain_order=True)


def _rejected_by(breach: _Breach, raw: RawTable) -> pl.DataFrame:
    """Return the rows that broke one rule, as they were read."""
    rows = raw.frame[breach.rows]
    own = [name for name in raw.frame.columns if name not in (FILE, LINE)]
    text = _as_text(rows[breach.column]) if breach.column in own else pl.Series([None] * rows.height, dtype=pl.String)
    return REJECTED.conform(
        rows.select(
            pl.lit(raw.table.name).alias("table"),
            pl.col(FILE).cast(pl.String).alias("file"),
            pl.col(LINE).alias("line"),
            pl.lit(breach.column).alias("column"),
            text.alias("value"),
            pl.lit(breach.expected).alias("reason"),
            pl.lit(breach.rule).alias("rule"),
            pl.struct(own).struct.json_encode().alias("row"),
        )
    )


def _as_text(values: pl.Series) -> pl.Series:
    """Return values as text, for people."""
    if values.dtype.is_nested():
        return pl.Series([None if value is None else str(value) for value in values.to_list()], dtype=pl.String)
    return values.cast(pl.String, strict=False)


def _with_broken_lines(parsed: pl.DataFrame, raw: RawTable) -> pl.DataFrame:
    """Return the parsed rows and, below them, one row of nulls for every broken line, which breaks one rule."""
    if not raw.broken_lines.height:
        return parsed
    nothing = pl.DataFrame({BROKEN_RULES: np.ones(raw.broken_lines.height, dtype=np.int64)})
    return pl.concat([parsed, nothing], how="diagonal")
