"""The catalogue: products with barcodes, units, lots, costs and prices; locations; suppliers and their terms."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from restock.adapters.database.base import Base, Code, Day, Instant, Money, Quantity, Words

_KINDS = "kind IN ('store', 'warehouse', 'virtual')"


class ProductRow(Base):
    """A product."""

    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("quantity_decimals BETWEEN 0 AND 6", name="decimals"),
        CheckConstraint("shelf_life_days IS NULL OR shelf_life_days > 0", name="shelf_life"),
        Index(None, "name"),
        # Search asks for the last change before it answers.
        Index(None, "changed_at_utc"),
    )

    sku: Mapped[Code] = mapped_column(primary_key=True)
    name: Mapped[Words]
    category_path: Mapped[Words]
    base_unit: Mapped[Code]
    quantity_decimals: Mapped[int]
    is_lot_tracked: Mapped[bool]
    shelf_life_days: Mapped[int | None]
    is_active: Mapped[bool]
    # Rises with every change, for ETags and lost-update checks.
    version: Mapped[int]
    changed_at_utc: Mapped[Instant]


class BarcodeRow(Base):
    """A GTIN; the unit says what is scanned: a piece or its case."""

    __tablename__ = "product_barcodes"

    gtin: Mapped[Code] = mapped_column(primary_key=True)
    sku: Mapped[Code] = mapped_column(ForeignKey("products.sku"), index=True)
    unit: Mapped[Code]


class ProductUnitRow(Base):
    """Another unit that a product is counted in, such as a case of twelve."""

    __tablename__ = "product_units"
    __table_args__ = (CheckConstraint("factor > 0", name="holds_something"),)

    sku: Mapped[Code] = mapped_column(ForeignKey("products.sku"), primary_key=True)
    unit: Mapped[Code] = mapped_column(primary_key=True)
    # Text on SQLite would compare as text, a float would not be exact: base units times a million.
    factor: Mapped[Quantity]


class LotRow(Base):
    """A lot of a product."""

    __tablename__ = "lots"

    sku: Mapped[Code] = mapped_column(ForeignKey("products.sku"), primary_key=True)
    lot: Mapped[Code] = mapped_column(primary_key=True)
    expires_on: Mapped[Day | None]


class CostRow(Base):
    """What a product costs from a day on."""

    __tablename__ = "product_costs"

    sku: Mapped[Code] = mapped_column(ForeignKey("products.sku"), primary_key=True)
    valid_from: Mapped[Day] = mapped_column(primary_key=True)
    unit_cost: Mapped[Money]


class PriceRow(Base):
    """What a product sells for from a day on."""

    __tablename__ = "product_prices"

    sku: Mapped[Code] = mapped_column(ForeignKey("products.sku"), primary_key=True)
    valid_from: Mapped[Day] = mapped_column(primary_key=True)
    unit_price: Mapped[Money]


class LocationRow(Base):
    """Where stock is."""

    __tablename__ = "locations"
    __table_args__ = (CheckConstraint(_KINDS, name="kind"),)

    location: Mapped[Code] = mapped_column(primary_key=True)
    name: Mapped[Words]
    kind: Mapped[Code]
    region: Mapped[Code]
    capacity: Mapped[Decimal | None] = mapped_column(Numeric(18, 3))
    # A till must not stop where the books are behind; an alert follows.
    may_be_negative: Mapped[bool]
    is_active: Mapped[bool]
    version: Mapped[int]


class SupplierRow(Base):
    """Who delivers."""

    __tablename__ = "suppliers"

    supplier: Mapped[Code] = mapped_column(primary_key=True)
    name: Mapped[Words]
    is_active: Mapped[bool]
    # Below it, an order is not accepted; minor units, 0 where there is none.
    minimum_order_value: Mapped[Money]
    version: Mapped[int]


class SupplyTermRow(Base):
    """On what terms a supplier delivers a product to a location."""

    __tablename__ = "supply_terms"

    sku: Mapped[Code] = mapped_column(ForeignKey("products.sku"), primary_key=True)
    location: Mapped[Code] = mapped_column(ForeignKey("locations.location"), primary_key=True)
    supplier: Mapped[Code] = mapped_column(ForeignKey("suppliers.supplier"), primary_key=True)
    unit_cost: Mapped[Money]
    minimum_order_quantity: Mapped[Quantity]
    order_multiple: Mapped[Quantity]
    fixed_order_cost: Mapped[Money]
    review_periods: Mapped[int]
    quoted_lead_time_days: Mapped[int]
