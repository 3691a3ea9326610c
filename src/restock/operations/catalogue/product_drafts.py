"""What a product is to be, and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from restock.adapters.database.product_facts import FACTOR_SCALE
from restock.ledger.gtin import GtinError, normalise_gtin
from restock.operations.catalogue.fields import Amount, CatalogueDraft, Code, Name, OptionalCode, Words

# A pallet of screws; beyond it a quantity in this unit would not fit the ledger.
_LARGEST_FACTOR = Decimal(10) ** 9


def _normalised(text: str) -> str:
    try:
        return normalise_gtin(text)
    except GtinError as error:
        raise ValueError(str(error)) from error


def _exact(factor: Decimal) -> Decimal:
    scaled = factor * FACTOR_SCALE
    if scaled != scaled.to_integral_value():
        raise ValueError("must have at most 6 decimal places")
    return factor.normalize()


Gtin = Annotated[str, AfterValidator(_normalised)]
Factor = Annotated[Decimal, Field(gt=0, le=_LARGEST_FACTOR, allow_inf_nan=False), AfterValidator(_exact)]


class Barcode(NamedTuple):
    """A GTIN and what is scanned under it.

    Attributes:
        gtin: GTIN-8, -12, -13 or -14; kept as 14 digits.
        unit: unit of measure that it stands on; empty for the base unit.
    """

    gtin: Gtin
    unit: OptionalCode = ""


class ProductUnit(NamedTuple):
    """Another unit that a product is counted in.

    Attributes:
        unit: its name, such as case.
        factor: base units in one of it.
    """

    unit: Code
    factor: Factor


class ProductDraft(CatalogueDraft):
    """What a product is to be, all of it: what is left out is as the default says."""

    sku: Code = Field(description="Its number here.")
    name: Name = Field(description="Name shown to people.")
    category_path: Words = Field(default="", description="Categories from broad to narrow, joined by ' > '.")
    base_unit: Code = Field(default="piece", description="Unit that the ledger counts in.")
    quantity_decimals: int = Field(default=0, ge=0, le=6, description="Decimal places of the base unit that are kept.")
    is_lot_tracked: bool = Field(default=False, description="Whether its stock is kept by lots.")
    shelf_life_days: int | None = Field(
        default=None, ge=1, le=36_500, description="Days from receipt until it can't be sold; null: does not expire."
    )
    barcodes: tuple[Barcode, ...] = Field(default=(), max_length=100, description="Under what it is scanned.")
    units: tuple[ProductUnit, ...] = Field(default=(), max_length=50, description="Other units it is counted in.")
    is_active: bool = Field(default=True, description="Whether it is still bought or sold.")
    unit_cost: Amount | None = Field(default=None, description="Cost of one base unit; null leaves it as it is.")
    unit_price: Amount | None = Field(default=None, description="Price of one base unit; null leaves it as it is.")
    valid_from: date | None = Field(
        default=None, description="First day of that cost and price; null: the company's day of the change."
    )

    @model_validator(mode="after")
    def _check_units(self) -> Self:
        names = [each.unit for each in self.units]
        if self.base_unit in names or len(set(names)) != len(names):
            raise ValueError(f"units must be named once each and not as the base unit {self.base_unit!r}, got {names}")
        gtins = [each.gtin for each in self.barcodes]
        twice = sorted({gtin for gtin in gtins if gtins.count(gtin) > 1})
        if twice:
            raise ValueError(f"barcode {twice[0]} comes twice")
        for barcode in self.barcodes:
            if barcode.unit and barcode.unit != self.base_unit and barcode.unit not in names:
                known = ", ".join([self.base_unit, *names])
                raise ValueError(f"barcode {barcode.gtin} is of unit {barcode.unit!r}, expected one of {known}")
        return self


@dataclass(frozen=True, kw_only=True)
class ProductRecord:
    """A product as it is; costs and prices, which have a history, are in `prices`.

    Attributes:
        sku: its number here.
        name: name shown to people.
        category_path: categories from broad to narrow, joined by ' > '.
        base_unit: unit that the ledger counts in.
        quantity_decimals: decimal places of the base unit that are kept.
        is_lot_tracked: whether its stock is kept by lots.
        shelf_life_days: days from receipt until it can't be sold; None where it does not expire.
        barcodes: under what it is scanned, GTINs of 14 digits; sorted.
        units: other units it is counted in; sorted.
        is_active: whether it is still bought or sold.
        version: rises with every change.
        changed_at: when it was changed last, UTC.
    """

    sku: str
    name: str
    category_path: str
    base_unit: str
    quantity_decimals: int
    is_lot_tracked: bool
    shelf_life_days: int | None
    barcodes: tuple[Barcode, ...]
    units: tuple[ProductUnit, ...]
    is_active: bool
    version: int
    changed_at: datetime

    def to_draft(self) -> ProductDraft:
        """Return the draft that leaves it as it is."""
        return ProductDraft(
            sku=self.sku,
            name=self.name,
            category_path=self.category_path,
            base_unit=self.base_unit,
            quantity_decimals=self.quantity_decimals,
            is_lot_tracked=self.is_lot_tracked,
            shelf_life_days=self.shelf_life_days,
            barcodes=self.barcodes,
            units=self.units,
            is_active=self.is_active,
        )
