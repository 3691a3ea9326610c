"""What an exchange with an ERP works with, what it counts, and what ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from restock.adapters.erp.interface import ErpClient, ErpKind
from restock.errors import TRY_AGAIN, RestockError


class ErpBusyError(RestockError):
    """Another run of the exchange with this ERP is under way."""

    exit_code = TRY_AGAIN
    http_status = 409
    title = "The exchange is under way already"


class Direction(StrEnum):
    """Which way."""

    IN = "in"
    OUT = "out"
    BOTH = "both"

    def covers(self, way: Direction) -> bool:
        """Return whether it goes this way."""
        return self in (way, Direction.BOTH)


class Fate(StrEnum):
    """What became of a record."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


# Stock is exchanged where it is asked for by name: it overwrites what the other side believes.
USUAL_KINDS = tuple(kind for kind in ErpKind if kind is not ErpKind.STOCK)
# Notes and differences that a summary tells one by one.
_SHOWN = 200


@dataclass
class Tally:
    """What became of the records of one kind in one direction."""

    n_read: int = 0
    fates: dict[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))

    def count(self, fate: Fate) -> None:
        """Count a record."""
        self.n_read += 1
        self.fates[fate] += 1

    def as_json(self) -> dict[str, int]:
        """Return the numbers, ready for JSON."""
        return {"read": self.n_read, **{fate.value: number for fate, number in self.fates.items()}}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A stock level that is not the same on both sides, base units as decimal text."""

    sku: str
    location: str
    ours: str
    theirs: str


@dataclass
class Summary:
    """What a run has done so far."""

    tallies: dict[tuple[ErpKind, Direction], Tally] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def tally(self, kind: ErpKind, way: Direction) -> Tally:
        """Return the tally of a kind in a direction, a new one where there is none."""
        return self.tallies.setdefault((kind, way), Tally())

    def note(self, words: str) -> None:
        """Keep something that a person should know."""
        if words not in self.notes:
            self.notes.append(words)

    @property
    def n_written(self) -> int:
        """Records that were created or changed on either side."""
        return sum(each.fates[Fate.CREATED] + each.fates[Fate.CHANGED] for each in self.tallies.values())

    @property
    def n_rejected(self) -> int:
        """Records that were rejected."""
        return sum(each.fates[Fate.REJECTED] for each in self.tallies.values())

    def as_json(self) -> dict[str, Any]:
        """Return what was done, ready for JSON; long lists are cut, and their whole length is told."""
        return {
            "kinds": [
                {"kind": kind.value, "direction": way.value, **each.as_json()}
                for (kind, way), each in self.tallies.items()
            ],
            "n_differences": len(self.differences),
            "differences": [vars(each) for each in self.differences[:_SHOWN]],
            "n_notes": len(self.notes),
            "notes": self.notes[:_SHOWN],
        }


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A run of the exchange.

    Attributes:
        client: the ERP.
        system: its name, under which links and cursors are kept.
        run: identifier of the run.
        actor: who runs it.
        clock: tells the time, UTC.
        page_size: records read at a time.
        summary: what was done so far.
    """

    client: ErpClient
    system: str
    run: str
    actor: str
    clock: Callable[[], datetime]
    page_size: int
    summary: Summary = field(default_factory=Summary)


def in_order(kinds: Iterable[ErpKind]) -> tuple[ErpKind, ...]:
    """Return kinds in the order in which one needs the other."""
    wanted = set(kinds)
    return tuple(kind for kind in ErpKind if kind in wanted)
