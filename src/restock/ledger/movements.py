"""Movements by double entry: every verb of the warehouse as lines that sum to zero per sku and lot; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from restock.errors import DataError

# A product that is not kept by lots has this one.
NO_LOT = ""


class MovementError(DataError):
    """A movement does not keep the rules of double entry."""

    title = "The movement can't be posted"


class Kind(StrEnum):
    """The verbs."""

    RECEIPT = "receipt"
    SALE = "sale"
    RETURN = "return"
    TRANSFER_OUT = "transfer_out"
    TRANSFER_IN = "transfer_in"
    ADJUSTMENT = "adjustment"
    WRITE_OFF = "write_off"
    COUNT = "count"
    REVERSAL = "reversal"


class Virtual(StrEnum):
    """Where stock comes from and goes to outside the company's own locations; the sign keeps them apart from those."""

    SUPPLIER = "@supplier"
    CUSTOMER = "@customer"
    TRANSIT = "@transit"
    LOSS = "@loss"
    FOUND = "@found"
    ADJUSTMENT = "@adjustment"


def is_virtual(location: str) -> bool:
    """Return whether a location is one of `Virtual`."""
    return location.startswith("@")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A change of one balance.

    Attributes:
        sku: the product.
        location: whose stock changes; a physical one or one of `Virtual`.
        quantity: signed change, scaled base units; never 0, but in a count that found what was booked.
        lot: lot or batch number; NO_LOT where lots are not kept.
        unit_cost: cost of one base unit, minor units of money; None where it is not known.
        unit_price: price of one base unit, minor units; None where there is none.
        entered_quantity: as a person or scanner entered it, as decimal text.
        entered_unit: the unit it was entered in.
    """

    sku: str
    location: str
    quantity: int
    lot: str = NO_LOT
    unit_cost: int | None = None
    unit_price: int | None = None
    entered_quantity: str = ""
    entered_unit: str = ""

    @property
    def balance_key(self) -> tuple[str, str, str]:
        """Which balance it changes: (sku, location, lot)."""
        return self.sku, self.location, self.lot


@dataclass(frozen=True, kw_only=True)
class Movement:
    """One booking: never changed once posted, put right by a reversal.

    Attributes:
        kind: the verb.
        occurred_at: when it happened, UTC; may lie before movements that are posted already.
        lines: at least two, summing to zero per sku and lot.
        reference: invoice, order, count or transfer it belongs to.
        reason: why, in words; needed for adjustments, write-offs and reversals.
        reverses: the movement that this one takes back; None for all others.
    """

    kind: Kind
    occurred_at: datetime
    lines: tuple[Line, ...]
    reference: str = ""
    reason: str = ""
    reverses: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a verb moves: one product, one lot, one quantity at one location.

    Attributes:
        sku: the product.
        quantity: scaled base units; above 0, but of an adjustment, which has a sign.
        lot: lot number.
        unit_cost: cost of one base unit, minor units; None where not known.
        unit_price: price of one base unit, minor units; None where there is none.
        entered_quantity: as entered.
        entered_unit: as entered.
    """

    sku: str
    quantity: int
    lot: str = NO_LOT
    unit_cost: int | None = None
    unit_price: int | None = None
    entered_quantity: str = field(default="", compare=False)
    entered_unit: str = field(default="", compare=False)


def receive(entries: Sequence[Entry], *, location: str, occurred_at: datetime, reference: str = "") -> Movement:
    """Return the receipt of goods from a supplier.

    Raises:
        MovementError: an entry's quantity is not above 0, or there is none.
    """
    return _between(
        Kind.RECEIPT, entries, source=Virtual.SUPPLIER, target=location, occurred_at=occurred_at, reference=reference
    )


def sell(entries: Sequence[Entry], *, location: str, occurred_at: datetime, reference: str = "") -> Movement:
    """Return the sale of goods to a customer.

    Raises:
        MovementError: an entry's quantity is not above 0, or there is none.
    """
    return _between(
        Kind.SALE, entries, source=location, target=Virtual.CUSTOMER, occurred_at=occurred_at, reference=reference
    )


def take_back(entries: Sequence[Entry], *, location: str, occurred_at: datetime, reference: str = "") -> Movement:
    """Return the return of goods from a customer.

    Raises:
        MovementError: an entry's quantity is not above 0, or there is none.
    """
    return _between(
        Kind.RETURN, entries, source=Virtual.CUSTOMER, target=location, occurred_at=occurred_at, reference=reference
    )


def dispatch(entries: Sequence[Entry], *, location: str, occurred_at: datetime, reference: str) -> Movement:
    """Return the first half of a transfer: goods leave a location and are in transit.

    Raises:
        MovementError: an entry's quantity is not above 0, there is none, or the reference is empty.
    """
    _require(reference, "reference", "the transfer that they belong to")
    return _between(
        Kind.TRANSFER_OUT,
        entries,
        source=location,
        target=Virtual.TRANSIT,
        occurred_at=occurred_at,
        reference=reference,
    )


def arrive(entries: Sequence[Entry], *, location: str, occurred_at: datetime, reference: str) -> Movement:
    """Return the second half of a transfer: goods in transit come to a location.

    Raises:
        MovementError: an entry's quantity is not above 0, there is none, or the reference is empty.
    """
    _require(reference, "reference", "the transfer that they belong to")
    return _between(
        Kind.TRANSFER_IN, entries, source=Virtual.TRANSIT, target=location, occurred_at=occurred_at, reference=reference
    )


def write_off(entries: Sequence[Entry], *, location: str, occurred_at: datetime, reason: str) -> Movement:
    """Return the loss of goods that are known to be gone: broken, expired, stolen.

    Raises:
        MovementError: an entry's quantity is not above 0, there is none, or the reason is empty.
    """
    _require(reason, "reason", "why the goods are gone")
    return _between(
        Kind.WRITE_OFF, entries, source=location, target=Virtual.LOSS, occurred_at=occurred_at, reason=reason
    )


def adjust(
    entries: Sequence[Entry], *, location: str, occurred_at: datetime, reason: str, reference: str = ""
) -> Movement:
    """Return the correction of stock records by signed quantities.

    Raises:
        MovementError: an entry's quantity is 0, there is none, or the reason is empty.
    """
    _require(reason, "reason", "why the record was wrong")
    _require_entries(entries)
    for entry in entries:
        if entry.quantity == 0:
            raise MovementError(f"an adjustment of {entry.sku} by 0 changes nothing. Leave it out.")
    lines = [line for entry in entries for line in _pair(entry, source=Virtual.ADJUSTMENT, target=location)]
    return checked(
        Movement(kind=Kind.ADJUSTMENT, occurred_at=occurred_at, lines=tuple(lines), reference=reference, reason=reason)
    )


def settle_count(
    counted: Sequence[Entry], *, booked: Sequence[int], location: str, occurred_at: datetime, reference: str
) -> Movement | None:
    """Return what brings the books to a count; None where every count found what was booked.

    What is missing goes to the loss, what is too much comes from the found.

    Args:
        counted: what was found, quantities at least 0.
        booked: balance of each entry's sku and lot at the time, scaled base units.
        location: where was counted.
        occurred_at: when, UTC.
        reference: the count.

    Raises:
        MovementError: a counted quantity is below 0, there is none, or the reference is empty.
        ValueError: `booked` has another length than `counted`.
    """
    _require(reference, "reference", "the count")
    _require_entries(counted)
    lines: list[Line] = []
    for entry, before in zip(counted, booked, strict=True):
        if entry.quantity < 0:
            raise MovementError(f"{entry.sku} was counted as {entry.quantity}, expected 0 or more.")
        difference = entry.quantity - before
        if difference > 0:
            lines += _pair(replace(entry, quantity=difference), source=Virtual.FOUND, target=location)
        elif difference < 0:
            lines += _pair(replace(entry, quantity=-difference), source=location, target=Virtual.LOSS)
    if not lines:
        return None
    return checked(Movement(kind=Kind.COUNT, occurred_at=occurred_at, lines=tuple(lines), reference=reference))


def reverse(movement: Movement, *, posted_as: str, occurred_at: datetime, reason: str) -> Movement:
    """Return the movement that takes another one back, line by line.

    Args:
        movement: what is taken back.
        posted_as: its identifier.
        occurred_at: when it is taken back, UTC.
        reason: why.

    Raises:
        MovementError: it is a reversal itself, or the reason is empty.
    """
    _require(reason, "reason", "why it is taken back")
    if movement.kind is Kind.REVERSAL:
        raise MovementError(f"{posted_as} is a reversal; a reversal is not reversed. Post the movement anew.")
    lines = tuple(replace(line, quantity=-line.quantity) for line in movement.lines)
    return checked(
        Movement(
            kind=Kind.REVERSAL,
            occurred_at=occurred_at,
            lines=lines,
            reference=movement.reference,
            reason=reason,
            reverses=posted_as,
        )
    )


def checked(movement: Movement) -> Movement:
    """Return a movement that keeps double entry.

    Raises:
        MovementError: it has fewer than two lines, a line of 0, or lines that don't sum to zero per sku and lot.
    """
    if len(movement.lines) < 2:
        raise MovementError(f"a movement has at least two lines, got {len(movement.lines)}.")
    for line in movement.lines:
        if line.quantity == 0:
            raise MovementError(f"a line of {line.sku} at {line.location} moves 0. Leave it out.")
    left = {key: total for key, total in sum_by_lot(movement.lines).items() if total}
    if left:
        (sku, lot), total = next(iter(left.items()))
        raise MovementError(
            f"the lines of {sku}{f' lot {lot}' if lot else ''} sum to {total}, expected 0: what leaves one place comes "
            "to another."
        )
    return movement


def sum_by_lot(lines: Iterable[Line]) -> dict[tuple[str, str], int]:
    """Return the sum of the quantities by (sku, lot)."""
    totals: dict[tuple[str, str], int] = defaultdict(int)
    for line in lines:
        totals[line.sku, line.lot] += line.quantity
    return dict(totals)


def _between(
    kind: Kind,
    entries: Sequence[Entry],
    *,
    source: str,
    target: str,
    occurred_at: datetime,
    reference: str = "",
    reason: str = "",
) -> Movement:
    """Return a movement of positive quantities from one place to another."""
    _require_entries(entries)
    for entry in entries:
        if entry.quantity <= 0:
            raise MovementError(
                f"a {kind} of {entry.sku} must move more than 0, got {entry.quantity}. To take one back, reverse it."
            )
    lines = [line for entry in entries for line in _pair(entry, source=source, target=target)]
    return checked(Movement(kind=kind, occurred_at=occurred_at, lines=tuple(lines), reference=reference, reason=reason))


def _pair(entry: Entry, *, source: str, target: str) -> list[Line]:
    """Return the two lines that move an entry."""
    line = Line(
        sku=entry.sku,
        location=target,
        quantity=entry.quantity,
        lot=entry.lot,
        unit_cost=entry.unit_cost,
        unit_price=entry.unit_price,
        entered_quantity=entry.entered_quantity,
        entered_unit=entry.entered_unit,
    )
    return [replace(line, location=source, quantity=-entry.quantity), line]


def _require(value: str, name: str, what: str) -> None:
    if not value.strip():
        raise MovementError(f"{name} is empty, expected {what}.")


def _require_entries(entries: Sequence[Entry]) -> None:
    if not entries:
        raise MovementError("there is nothing to move, expected at least one entry.")
