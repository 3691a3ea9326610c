"""Balances: what the lines add up to, which of them may not fall below zero, and which lot goes first; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from restock.errors import DataError
from restock.ledger.movements import Line, is_virtual

BalanceKey = tuple[str, str, str]


class InsufficientStockError(DataError):
    """A movement would take more from a location than it holds.

    Attributes:
        shortages: what is missing where.
    """

    http_status = 409
    title = "Not enough stock"

    def __init__(self, message: str, *, shortages: tuple[Shortage, ...]) -> None:
        super().__init__(message)
        self.shortages = shortages

    def members(self) -> dict[str, object]:
        """Return the shortages."""
        return {
            "shortages": [
                {"sku": each.sku, "location": each.location, "lot": each.lot, "balance": each.balance}
                for each in self.shortages
            ]
        }


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """A balance that would be below zero.

    Attributes:
        sku: the product.
        location: where.
        lot: which lot.
        balance: what it would be, scaled base units, below 0.
    """

    sku: str
    location: str
    lot: str
    balance: int


@dataclass(frozen=True, kw_only=True)
class Lot:
    """A lot with stock.

    Attributes:
        lot: its number.
        quantity: balance, scaled base units.
        expires_on: last day it may be sold; None where it does not expire.
    """

    lot: str
    quantity: int
    expires_on: date | None = None


def add_up(lines: Iterable[Line]) -> dict[BalanceKey, int]:
    """Return the change of every balance that the lines touch; a change of 0 is kept: the balance was touched."""
    changes: dict[BalanceKey, int] = defaultdict(int)
    for line in lines:
        changes[line.balance_key] += line.quantity
    return dict(changes)


def find_shortages(
    changes: Mapping[BalanceKey, int], balances: Mapping[BalanceKey, int], *, may_be_negative: frozenset[str]
) -> tuple[Shortage, ...]:
    """Return the balances that a movement lowers to below zero.

    A balance that is below zero already and rises is no shortage: what mends it must be possible.

    Args:
        changes: change by balance.
        balances: balance before; one that is missing is 0.
        may_be_negative: physical locations that allow it, such as a store whose till must not stop.
    """
    found = []
    for key, change in sorted(changes.items()):
        sku, location, lot = key
        after = balances.get(key, 0) + change
        if after < 0 and change < 0 and not is_virtual(location) and location not in may_be_negative:
            found.append(Shortage(sku=sku, location=location, lot=lot, balance=after))
    return tuple(found)


def require_stock(shortages: Sequence[Shortage]) -> None:
    """Refuse a movement that leaves shortages.

    Raises:
        InsufficientStockError: there are any; the message names the first.
    """
    if not shortages:
        return
    first = shortages[0]
    more = f" {len(shortages) - 1} more balances are short." if len(shortages) > 1 else ""
    lot = f" of lot {first.lot}" if first.lot else ""
    raise InsufficientStockError(
        f"{first.location} would hold {first.balance} of {first.sku}{lot}, expected 0 or more.{more} Receive or count "
        "the stock first, or book a smaller quantity.",
        shortages=tuple(shortages),
    )


def choose_lots(lots: Sequence[Lot], quantity: int, *, today: date) -> tuple[tuple[str, int], ...]:
    """Return from which lots to take a quantity: first expired, first out; then by lot number.

    Expired lots are left alone: they are written off, not sold.

    Args:
        lots: the lots of one sku at one location.
        quantity: scaled base units to take, above 0.
        today: lots that expired before it are not taken.

    Returns:
        pairs of lot and quantity. They fall short of `quantity` where there is not enough: the rest is not theirs to
        decide.

    Example:
        >>> old, new = Lot(lot="A", quantity=5, expires_on=date(2024, 5, 1)), Lot(lot="B", quantity=5)
        >>> choose_lots([new, old], 7, today=date(2024, 4, 1))
        (('A', 5), ('B', 2))
    """
    usable = [each for each in lots if each.quantity > 0 and (each.expires_on is None or each.expires_on >= today)]
    taken = []
    for each in sorted(usable, key=lambda each: (each.expires_on or date.max, each.lot)):
        if quantity <= 0:
            break
        taken.append((each.lot, min(quantity, each.quantity)))
        quantity -= each.quantity
    return tuple(taken)
