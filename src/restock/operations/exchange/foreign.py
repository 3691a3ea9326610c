"""What a layout of another system is made of: which header tells it, and how its rows become ours and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from restock.operations.exchange.kinds import ExchangeKind

TextRow = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """A row with our columns, as text; a column without a value is left out.

    Attributes:
        line: of the file.
        values: text by our column.
    """

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Skip:
    """A row that is nothing to us, such as another picture of a product.

    Attributes:
        line: of the file.
    """

    line: int


@dataclass(frozen=True, kw_only=True)
class ForeignLayout:
    """A layout of another system.

    Attributes:
        kind: what its rows are.
        signature: column groups that a header must have one name of each of, normalised.
        columns: our column and their names for it, normalised; the first that a file has counts.
        header: their columns in the order in which we write them.
        adapt: from a row with their normalised names and what of it `columns` found to rows of ours; keeps state from
            row to row, so each file has its own.
        write: from our rows to theirs, as text by the header.
        others: columns that `adapt` reads besides, normalised.
        refused: names that a header of this layout never has, normalised.
        is_wide: whether columns that nothing else names are locations.
    """

    kind: ExchangeKind
    signature: tuple[tuple[str, ...], ...]
    columns: Mapping[str, tuple[str, ...]]
    header: tuple[str, ...]
    adapt: Callable[[], Callable[[TextRow, dict[str, str]], Sequence[dict[str, str]]]]
    write: Callable[[Iterable[Mapping[str, object]]], Iterator[Mapping[str, object]]]
    others: tuple[str, ...] = field(default=())
    refused: tuple[str, ...] = field(default=())
    is_wide: bool = False

    @property
    def known(self) -> frozenset[str]:
        """Their columns that mean something to us, normalised."""
        groups = [*self.columns.values(), *self.signature, self.others]
        return frozenset(name for group in groups for name in group)

    def fits(self, names: set[str]) -> bool:
        """Return whether a header is of this layout."""
        return all(names & set(group) for group in self.signature) and not names & set(self.refused)

    def weight(self, names: set[str]) -> int:
        """Return how much of a header this layout knows."""
        return 100 * len(self.signature) + len(names & set(self.used(list(names))))

    def used(self, names: Sequence[str]) -> frozenset[str]:
        """Return which of a header's columns are read."""
        if self.is_wide:
            return frozenset(names)
        return frozenset(names) & self.known

    def header_of_signature(self) -> list[str]:
        """Return the columns that tell this layout, one of each group."""
        return [group[0] for group in self.signature]

    def translate(self, rows: Iterable[tuple[int, dict[str, str]]]) -> Iterator[SourceRow | Skip]:
        """Yield our rows for theirs, in their order."""
        adapt = self.adapt()
        for line, row in rows:
            found = {
                ours: next((row[name] for name in theirs if row.get(name)), "") for ours, theirs in self.columns.items()
            }
            adapted = adapt(row, {name: value for name, value in found.items() if value})
            if not adapted:
                yield Skip(line=line)
            for values in adapted:
                yield SourceRow(line=line, values={name: value for name, value in values.items() if value})


def is_true(text: str) -> bool:
    """Return whether another system says yes."""
    return text.strip().lower() in ("1", "true", "yes", "active", "t", "y")


def first_barcode(barcodes: object) -> str | None:
    """Return the first of a product's barcodes as other systems write it: without the zeros that make it 14 digits.

    Example:
        >>> first_barcode(["04006381333931", "14006381333938:case"]), first_barcode(["00000096385074"])
        ('4006381333931', '96385074')
    """
    if not isinstance(barcodes, list) or not barcodes:
        return None
    gtin = str(barcodes[0]).partition(":")[0]
    length = next((short for short in (8, 12, 13) if gtin.startswith("0" * (len(gtin) - short))), len(gtin))
    return gtin[len(gtin) - length :]
