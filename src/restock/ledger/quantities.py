"""Quantities and money as scaled integers: exact, and the same in every database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from restock.errors import DataError

# Beyond it a 64-bit integer column could overflow when sums are taken over many lines.
LARGEST_QUANTITY = 10**15
_MOST_DECIMALS = 6


class QuantityError(DataError):
    """A quantity can't be held exactly in the product's base unit, or its unit is unknown."""

    title = "The quantity can't be booked"


@dataclass(frozen=True, kw_only=True)
class UnitsOfMeasure:
    """How a product is counted.

    Attributes:
        base_unit: the unit that the ledger counts in, such as piece or kg.
        decimals: decimal places of the base unit that the ledger keeps, 0 to 6; a piece has 0, a kg usually 3.
        factors: base units in one of each other unit, exact; a case of 12 pieces is Decimal(12).
    """

    base_unit: str
    decimals: int
    factors: Mapping[str, Decimal]

    def __post_init__(self) -> None:
        if not 0 <= self.decimals <= _MOST_DECIMALS:
            raise ValueError(f"decimals must be 0 to {_MOST_DECIMALS}, got {self.decimals}")
        for unit, factor in self.factors.items():
            if factor <= 0:
                raise ValueError(f"a {unit} must hold more than 0 {self.base_unit}, got {factor}")

    def to_scaled(self, quantity: Decimal, unit: str) -> int:
        """Return an entered quantity in scaled base units.

        Args:
            quantity: as entered, any sign.
            unit: as entered; the base unit or a key of `factors`.

        Raises:
            QuantityError: the unit is unknown, the quantity is not finite, too large, or not exact in the base unit.

        Example:
            >>> case = UnitsOfMeasure(base_unit="piece", decimals=0, factors={"case": Decimal(12)})
            >>> case.to_scaled(Decimal("2.5"), "case")
            30
        """
        factor = Decimal(1) if unit == self.base_unit else self.factors.get(unit)
        if factor is None:
            known = ", ".join([self.base_unit, *self.factors])
            raise QuantityError(f"unit of measure {unit!r} is unknown here, expected one of {known}.")
        if not quantity.is_finite():
            raise QuantityError(f"a quantity must be a finite number, got {quantity}.")
        scaled = quantity * factor * Decimal(10) ** self.decimals
        if scaled != scaled.to_integral_value():
            raise QuantityError(
                f"{quantity} {unit} is {(quantity * factor).normalize():f} {self.base_unit}, which has more than "
                f"{self.decimals} decimal places. Enter a quantity that comes out even, or another unit."
            )
        if abs(scaled) > LARGEST_QUANTITY:
            raise QuantityError(f"{quantity} {unit} is more than the ledger holds ({LARGEST_QUANTITY:,} scaled units).")
        return int(scaled)

    def from_scaled(self, scaled: int) -> Decimal:
        """Return scaled base units as a number of base units.

        Example:
            >>> UnitsOfMeasure(base_unit="kg", decimals=3, factors={}).from_scaled(1250)
            Decimal('1.250')
        """
        return Decimal(scaled).scaleb(-self.decimals)


def to_minor_units(amount: Decimal, *, decimals: int) -> int:
    """Return money in minor units, such as cents.

    Args:
        amount: in the currency's major unit.
        decimals: decimal places that are kept; 2 for cents, 4 for prices of screws.

    Raises:
        QuantityError: the amount is not finite or has more decimal places.

    Example:
        >>> to_minor_units(Decimal("2.50"), decimals=2)
        250
    """
    if not amount.is_finite():
        raise QuantityError(f"an amount of money must be a finite number, got {amount}.")
    scaled = amount.scaleb(decimals)
    if scaled != scaled.to_integral_value():
        raise QuantityError(f"{amount} has more than {decimals} decimal places. Round it before it is booked.")
    return int(scaled)
