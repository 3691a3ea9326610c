"""What a table declaration is made of, and what follows from one: typed schemas and row rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum

import polars as pl


class ColumnType(StrEnum):
    """The kinds of value a column holds, named without reference to any library."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP_UTC = "timestamp_utc"
    TEXT_LIST = "text_list"

    @property
    def polars(self) -> pl.DataType:
        """The polars type that carries this kind."""
        return _POLARS_TYPES[self]


_POLARS_TYPES: dict[ColumnType, pl.DataType] = {
    ColumnType.TEXT: pl.String(),
    ColumnType.INTEGER: pl.Int64(),
    ColumnType.NUMBER: pl.Float64(),
    ColumnType.BOOLEAN: pl.Boolean(),
    ColumnType.DATE: pl.Date(),
    ColumnType.TIMESTAMP_UTC: pl.Datetime("us", "UTC"),
    ColumnType.TEXT_LIST: pl.List(pl.String()),
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        name: the column's name, in the field's own words.
        type: the kind of value.
        description: one sentence.
        unit: what a number counts; empty where there is nothing to count.
        is_nullable: whether null is a legal value (and means "unknown" unless the description says otherwise).
        is_optional: whether a source may leave the whole column out; it is then filled with `default`.
        default: what fills a column that the source leaves out; null where not given.
        minimum: smallest legal value, inclusive.
        maximum: largest legal value, inclusive.
        choices: the only legal values.
        is_past_only: whether a date after today is an error (a fact, not a plan).
    """

    name: str
    type: ColumnType
    description: str
    unit: str = ""
    is_nullable: bool = False
    is_optional: bool = False
    default: str | int | float | bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    is_past_only: bool = False


@dataclass(frozen=True, kw_only=True)
class RowRule:
    """A rule that one row keeps or breaks.

    Attributes:
        name: stable identifier, `<column>_<what>`.
        column: the column the rule blames.
        expected: what would have been right, for the rejected row's reason.
        accepts: polars expression, true where the row keeps the rule; never null.
    """

    name: str
    column: str
    expected: str
    accepts: pl.Expr


@dataclass(frozen=True, kw_only=True)
class ColumnOrder:
    """Within a row, `later` must not lie before `earlier` (both known)."""

    earlier: str
    later: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of the contract.

    Attributes:
        name: the table's name.
        description: one sentence.
        key: the columns that identify a row.
        columns: every column, in order.
        orders: pairs of columns whose order within a row is fixed.
    """

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    orders: tuple[ColumnOrder, ...] = ()

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"table {self.name}: a column is declared twice")
        unknown = {*self.key, *(n for order in self.orders for n in (order.earlier, order.later))} - set(names)
        if unknown:
            raise ValueError(f"table {self.name}: {sorted(unknown)} are used but not declared")

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return the declaration of one column.

        Raises:
            KeyError: no column has that name.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name} has no column {name!r}")

    @property
    def polars_schema(self) -> pl.Schema:
        """The polars (and so the parquet) schema, columns in order."""
        return pl.Schema({column.name: column.type.polars for column in self.columns})

    def empty(self) -> pl.DataFrame:
        """Return a frame of this table without rows."""
        return pl.DataFrame(schema=self.polars_schema)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return `frame` with exactly this table's columns, in order and typed; optional columns left out are filled.

        Raises:
            ValueError: a required column is missing, or a value can't be held by its column's type.
        """
        missing = [c.name for c in self.columns if c.name not in frame.columns and not c.is_optional]
        if missing:
            raise ValueError(f"table {self.name}: columns {missing} are missing, got {frame.columns}")
        filled = frame.with_columns(
            pl.lit(c.default, dtype=c.type.polars).alias(c.name) for c in self.columns if c.name not in frame.columns
        )
        try:
            return filled.select(pl.col(c.name).cast(c.type.polars) for c in self.columns)
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"table {self.name}: {error}") from error

    def row_rules(self, *, today: date) -> tuple[RowRule, ...]:
        """Return the rules every single row must keep.

        Args:
            today: the last date a past-only column may hold.
        """
        rules: list[RowRule] = []
        for column in self.columns:
            rules += _column_rules(column, today=today)
        for order in self.orders:
            accepts = (pl.col(order.later) >= pl.col(order.earlier)).fill_null(value=True)
            rules.append(
                RowRule(
                    name=f"{order.later}_not_before_{order.earlier}",
                    column=order.later,
                    expected=f"not before {order.earlier}",
                    accepts=accepts,
                )
            )
        return tuple(rules)


def _column_rules(column: Column, *, today: date) -> list[RowRule]:
    """Return the rules that follow from one column's declaration."""
    value = pl.col(column.name)

    def rule(name: str, expected: str, accepts: pl.Expr) -> RowRule:
        return RowRule(name=f"{column.name}_{name}", column=column.name, expected=expected, accepts=accepts)

    rules: list[RowRule] = []
    if not column.is_nullable:
        present = value.is_not_null()
        if column.type is ColumnType.TEXT:
            present &= (value.str.len_chars() > 0).fill_null(value=False)
        rules.append(rule("present", "a value", present))
    if column.type is ColumnType.NUMBER:
        rules.append(rule("finite", "a finite number", value.is_finite().fill_null(value=True)))
    if column.minimum is not None:
        rules.append(
            rule("at_least", f">= {column.minimum:g}", (value >= column.minimum).fill_null(value=True)),
        )
    if column.maximum is not None:
        rules.append(rule("at_most", f"<= {column.maximum:g}", (value <= column.maximum).fill_null(value=True)))
    if column.choices:
        rules.append(
            rule(
                "known",
                f"one of {', '.join(column.choices)}",
                value.is_in(list(column.choices)).fill_null(value=True),
            )
        )
    if column.is_past_only:
        limit: date | datetime = today
        if column.type is ColumnType.TIMESTAMP_UTC:
            limit = datetime.combine(today, time.max, tzinfo=UTC)
        rules.append(rule("not_in_future", f"not after {today}", (value <= limit).fill_null(value=True)))
    return rules
