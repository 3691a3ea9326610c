"""Records: what of a file is written as a whole or not at all, a row or the rows of one document; typed or refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from restock.operations.exchange.cells import CellError, CellType, read_cell
from restock.operations.exchange.foreign import Skip, SourceRow
from restock.operations.exchange.kinds import KindOfFile

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Record:
    """Rows that belong together.

    Attributes:
        lines: of the file, in order, each once.
        rows: text by our column.
    """

    lines: tuple[int, ...]
    rows: tuple[SourceRow, ...]


@dataclass(frozen=True, kw_only=True)
class TypedRecord:
    """A record whose cells have been read.

    Attributes:
        line: where it begins in the file.
        rows: value by column; a column without a value is left out.
    """

    line: int
    rows: tuple[Values, ...]

    @property
    def first(self) -> Values:
        """The first of its rows."""
        return self.rows[0]


class Fate(StrEnum):
    """What became of a record."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What became of a record, and why.

    Attributes:
        fate: what became of it.
        reason: why it was refused; empty otherwise.
    """

    fate: Fate
    reason: str = ""


def group_rows(rows: Iterable[SourceRow | Skip], *, kind: KindOfFile) -> tuple[list[Record], int]:
    """Return the records of a file in the order in which they begin, and how many lines are nothing to us.

    Rows of the same line (a file with a column for each location) belong together as well.
    """
    groups: dict[tuple[str, Any], list[SourceRow]] = {}
    n_skipped = 0
    for row in rows:
        if isinstance(row, Skip):
            n_skipped += 1
            continue
        name = row.values.get(kind.group, "") if kind.group else ""
        groups.setdefault(("group", name) if name else ("line", row.line), []).append(row)
    records = [
        Record(lines=tuple(dict.fromkeys(row.line for row in group)), rows=tuple(group)) for group in groups.values()
    ]
    return records, n_skipped


def read_record(record: Record, *, kind: KindOfFile, decimal_mark: str) -> TypedRecord:
    """Return a record with typed values.

    Raises:
        CellError: a cell can't be read, or a value that is needed is missing; the message names all faults.
    """
    is_several = len(record.lines) > 1
    faults: list[str] = []
    rows: list[Values] = []
    for row in record.rows:
        where = f"line {row.line}: " if is_several else ""
        values, wrong = _read_row(row.values, kind=kind, decimal_mark=decimal_mark)
        rows.append(values)
        faults += [where + each for each in wrong]
    if faults:
        raise CellError(" ".join(faults[:10]))
    return TypedRecord(line=record.lines[0], rows=tuple(rows))


def _read_row(texts: Mapping[str, str], *, kind: KindOfFile, decimal_mark: str) -> tuple[dict[str, Any], Sequence[str]]:
    values: dict[str, Any] = {}
    faults: list[str] = []
    for column in kind.columns:
        text = texts.get(column.name, "")
        if not text or column.is_told_only:
            if column.is_required:
                faults.append(f"{column.name} is empty, expected {_WANTED[column.type]}.")
            continue
        try:
            values[column.name] = read_cell(text, column.type, column=column.name, decimal_mark=decimal_mark)
        except CellError as error:
            faults.append(str(error))
    return values, faults


_WANTED = {
    CellType.CODE: "a name or number",
    CellType.TEXT: "text",
    CellType.INTEGER: "a whole number",
    CellType.NUMBER: "a number",
    CellType.BOOLEAN: "true or false",
    CellType.DATE: "a day",
    CellType.INSTANT: "an instant",
    CellType.LIST: "texts",
    CellType.JSON: "a JSON object",
}
