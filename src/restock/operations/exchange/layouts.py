"""How a file is laid out: by our own columns, or as Shopify, ERPNext or Odoo write theirs; its header tells which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from restock.adapters.sources.aliases import normalise_name
from restock.errors import DataError
from restock.operations.exchange import erpnext, odoo, shopify
from restock.operations.exchange.foreign import ForeignLayout, Skip, SourceRow
from restock.operations.exchange.kinds import KINDS, ExchangeKind, KindOfFile
from restock.operations.exchange.reading import FileTable


class Layout(StrEnum):
    """Whose columns a file has."""

    RESTOCK = "restock"
    SHOPIFY = "shopify"
    ERPNEXT = "erpnext"
    ODOO = "odoo"


# What layouts are read, and for each kind the one that is written.
_READ: tuple[tuple[Layout, ForeignLayout], ...] = (
    *((Layout.SHOPIFY, each) for each in (*shopify.LAYOUTS, shopify.WIDE_INVENTORY)),
    *((Layout.ERPNEXT, each) for each in erpnext.LAYOUTS),
    *((Layout.ODOO, each) for each in odoo.LAYOUTS),
)
FOREIGN: dict[Layout, dict[ExchangeKind, ForeignLayout]] = {
    Layout.SHOPIFY: {each.kind: each for each in shopify.LAYOUTS},
    Layout.ERPNEXT: {each.kind: each for each in erpnext.LAYOUTS},
    Layout.ODOO: {each.kind: each for each in odoo.LAYOUTS},
}


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What a file is.

    Attributes:
        kind: what its rows are.
        layout: whose columns it has.
        ignored: its columns that nothing reads.
        translate: from its rows to rows with our columns, or why one is left out.
    """

    kind: ExchangeKind
    layout: Layout
    ignored: tuple[str, ...]
    translate: Callable[[FileTable], Iterator[SourceRow | Skip]]


def recognise(
    columns: Sequence[str], *, file: str, kind: ExchangeKind | None = None, layout: Layout | None = None
) -> Recognised:
    """Return what a file is, by its header.

    Args:
        columns: the header.
        file: name for people.
        kind: what it is said to be; None: found out.
        layout: what it is said to be; None: found out.

    Raises:
        DataError: nothing fits, several things do, or a column that is needed is missing.
    """
    if kind is not None and not KINDS[kind].can_be_imported:
        raise DataError(f"{kind} can be exported, not imported; expected one of {_names(_importable())}.")
    names = _by_normalised(columns, file=file)
    if layout is not Layout.RESTOCK:
        found = _find_foreign(names, kind=kind, layout=layout)
        if found is not None:
            whose, foreign = found
            return _as_foreign(whose, foreign, names)
        if layout is not None:
            raise DataError(_describe_missing(names, file=file, kind=kind, layout=layout))
    chosen = KINDS[kind] if kind is not None else _find_own(names, file=file)
    return _as_own(chosen, names, file=file)


def _importable() -> list[ExchangeKind]:
    return [kind for kind, each in KINDS.items() if each.can_be_imported]


def _names(kinds: Iterable[str]) -> str:
    return ", ".join(str(each) for each in kinds)


def _by_normalised(columns: Sequence[str], *, file: str) -> dict[str, str]:
    """Return the file's columns by the normalised name; the first of two that normalise to the same."""
    found: dict[str, str] = {}
    for column in columns:
        found.setdefault(normalise_name(column) or column, column)
    if not found:
        raise DataError(f"{file} has no columns, expected a header line.")
    return found


def _find_foreign(
    names: Mapping[str, str], *, kind: ExchangeKind | None, layout: Layout | None
) -> tuple[Layout, ForeignLayout] | None:
    fitting = [
        (whose, each)
        for whose, each in _READ
        if (layout in (None, whose)) and (kind in (None, each.kind)) and each.fits(set(names))
    ]
    # The one that asks for most is the one that knows the file best.
    return max(fitting, key=lambda found: found[1].weight(set(names)), default=None)


def _as_foreign(layout: Layout, foreign: ForeignLayout, names: Mapping[str, str]) -> Recognised:
    used, known = foreign.used(list(names)), foreign.known

    def translate(table: FileTable) -> Iterator[SourceRow | Skip]:
        # A column that nothing names keeps its own words: in a wide file it is a location.
        keys = [_key(column, known) for column in table.columns]
        rows = ((line, dict(zip(keys, cells, strict=True))) for line, cells in table.rows)
        return foreign.translate(rows)

    ignored = tuple(column for name, column in names.items() if name not in used)
    return Recognised(kind=foreign.kind, layout=layout, ignored=ignored, translate=translate)


def _key(column: str, known: frozenset[str]) -> str:
    name = normalise_name(column)
    return name if name in known else column


def _find_own(names: Mapping[str, str], *, file: str) -> KindOfFile:
    fitting = [
        (len(each.signature), len(_match(each, names)), each)
        for each in KINDS.values()
        if each.can_be_imported and set(each.signature) <= set(_match(each, names))
    ]
    if not fitting:
        raise DataError(
            f"{file} has the columns {_names(names.values())[:300]}, by which it is none of {_names(_importable())}. "
            "Say what it holds with kind, or rename its columns as the guide's page on imports lists them."
        )
    best = max(found[:2] for found in fitting)
    chosen = [each for *rank, each in fitting if tuple(rank) == best]
    if len(chosen) > 1:
        raise DataError(f"{file} could be {' or '.join(each.kind for each in chosen)}. Say which with kind.")
    return chosen[0]


def _match(kind: KindOfFile, names: Mapping[str, str]) -> dict[str, str]:
    """Return our columns as far as a file has them, each with the normalised name it has there."""
    found: dict[str, str] = {}
    for column in kind.columns:
        if column.name in names and not column.is_told_only:
            found[column.name] = column.name
    for column in kind.columns:
        for alias in column.aliases:
            if column.name not in found and alias in names and alias not in found.values():
                found[column.name] = alias
    return found


def _as_own(kind: KindOfFile, names: Mapping[str, str], *, file: str) -> Recognised:
    match = _match(kind, names)
    missing = [column.name for column in kind.columns if column.is_required and column.name not in match]
    if missing:
        raise DataError(
            f"{file} lacks {_names(missing)}, which {kind.kind} need; it has {_names(names.values())[:300]}. Add the "
            "column, or say what else the file holds with kind."
        )

    def translate(table: FileTable) -> Iterator[SourceRow | Skip]:
        keys = [normalise_name(column) or column for column in table.columns]
        places = {ours: keys.index(theirs) for ours, theirs in match.items()}
        for line, cells in table.rows:
            yield SourceRow(line=line, values={name: cells[place] for name, place in places.items() if cells[place]})

    ignored = tuple(column for name, column in names.items() if name not in match.values())
    return Recognised(kind=kind.kind, layout=Layout.RESTOCK, ignored=ignored, translate=translate)


def _describe_missing(names: Mapping[str, str], *, file: str, kind: ExchangeKind | None, layout: Layout) -> str:
    known = FOREIGN[layout]
    if kind is not None and kind not in known:
        return f"layout {layout} has no {kind}; it has {_names(known)}."
    wanted = " or ".join(f"{each.kind} ({', '.join(each.header_of_signature())})" for each in known.values())
    return f"{file} has the columns {_names(names.values())[:300]}, expected {wanted} of layout {layout}."
