"""What is under way: purchase orders and their receipts, transfers, counts, and the orders of customers."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from restock.adapters.database.base import Base, Code, Day, Instant, Money, Quantity, Words


class PurchaseOrderRow(Base):
    """An order to a supplier for one location."""

    __tablename__ = "purchase_orders"
    __table_args__ = (
        CheckConstraint(
            "state IN ('draft', 'sent', 'partly_received', 'received', 'closed', 'cancelled')", name="state"
        ),
        Index(None, "supplier", "ordered_on"),
        Index(None, "state", "location"),
    )

    purchase_order: Mapped[Code] = mapped_column(primary_key=True)
    supplier: Mapped[Code] = mapped_column(ForeignKey("suppliers.supplier"))
    location: Mapped[Code] = mapped_column(ForeignKey("locations.location"))
    state: Mapped[Code]
    # Set when it is sent.
    ordered_on: Mapped[Day | None]
    promised_on: Mapped[Day | None]
    note: Mapped[Words]
    created_at_utc: Mapped[Instant]
    created_by: Mapped[Code]
    version: Mapped[int]


class PurchaseOrderLineRow(Base):
    """What is ordered."""

    __tablename__ = "purchase_order_lines"
    __table_args__ = (
        CheckConstraint("quantity_ordered > 0", name="orders_something"),
        CheckConstraint("quantity_received >= 0", name="received"),
        Index(None, "sku"),
    )

    purchase_order: Mapped[Code] = mapped_column(ForeignKey("purchase_orders.purchase_order"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sku: Mapped[Code] = mapped_column(ForeignKey("products.sku"))
    quantity_ordered: Mapped[Quantity]
    # Sum of its receipts; less what of them was reversed.
    quantity_received: Mapped[Quantity]
    unit_cost: Mapped[Money]
    entered_quantity: Mapped[Code]
    entered_unit: Mapped[Code]


class PurchaseReceiptRow(Base):
    """What of a line came with which movement: one line may come in parts."""

    __tablename__ = "purchase_receipts"
    __table_args__ = (Index(None, "purchase_order", "line"),)

    movement: Mapped[Code] = mapped_column(ForeignKey("movements.movement"), primary_key=True)
    # Number of the movement's line that puts it on stock; a reversal's takes it back.
    movement_line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    purchase_order: Mapped[Code] = mapped_column(ForeignKey("purchase_orders.purchase_order"))
    line: Mapped[int]
    quantity: Mapped[Quantity]
    received_on: Mapped[Day]


class TransferRow(Base):
    """Goods on their way between two locations."""

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint("state IN ('in_transit', 'partly_arrived', 'arrived', 'closed')", name="state"),
        Index(None, "state"),
    )

    transfer: Mapped[Code] = mapped_column(primary_key=True)
    source: Mapped[Code] = mapped_column(ForeignKey("locations.location"))
    target: Mapped[Code] = mapped_column(ForeignKey("locations.location"))
    state: Mapped[Code]
    dispatched_at_utc: Mapped[Instant]
    note: Mapped[Words]
    created_by: Mapped[Code]
    version: Mapped[int]


class TransferLineRow(Base):
    """What is on its way, and how much of it has come."""

    __tablename__ = "transfer_lines"
    __table_args__ = (CheckConstraint("quantity_dispatched > 0", name="sends_something"),)

    transfer: Mapped[Code] = mapped_column(ForeignKey("transfers.transfer"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sku: Mapped[Code] = mapped_column(ForeignKey("products.sku"))
    lot: Mapped[Code]
    quantity_dispatched: Mapped[Quantity]
    quantity_arrived: Mapped[Quantity]


class CountRow(Base):
    """A cycle count: counted, counted again where it differs, approved, posted."""

    __tablename__ = "counts"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'recount', 'approved', 'cancelled')", name="state"),
        Index(None, "state", "location"),
    )

    count: Mapped[Code] = mapped_column(primary_key=True)
    location: Mapped[Code] = mapped_column(ForeignKey("locations.location"))
    state: Mapped[Code]
    note: Mapped[Words]
    created_at_utc: Mapped[Instant]
    created_by: Mapped[Code]
    approved_at_utc: Mapped[Instant | None]
    approved_by: Mapped[Code | None]
    # What it posted; none where all was as booked.
    movement: Mapped[Code | None] = mapped_column(ForeignKey("movements.movement"))
    version: Mapped[int]


class CountLineRow(Base):
    """What was found of a sku and lot, beside what was booked at that moment."""

    __tablename__ = "count_lines"

    count: Mapped[Code] = mapped_column(ForeignKey("counts.count"), primary_key=True)
    sku: Mapped[Code] = mapped_column(ForeignKey("products.sku"), primary_key=True)
    lot: Mapped[Code] = mapped_column(primary_key=True)
    # Counted first; null until then.
    quantity_counted: Mapped[Quantity | None]
    quantity_booked: Mapped[Quantity | None]
    counted_at_utc: Mapped[Instant | None]
    counted_by: Mapped[Code | None]
    # Counted again; it stands in place of the first.
    quantity_recounted: Mapped[Quantity | None]
    quantity_booked_at_recount: Mapped[Quantity | None]
    recounted_at_utc: Mapped[Instant | None]
    recounted_by: Mapped[Code | None]


class CustomerRow(Base):
    """Who buys, where the company knows; names and addresses stay in the CRM."""

    __tablename__ = "customers"

    customer: Mapped[Code] = mapped_column(primary_key=True)
    name: Mapped[Words]
    region: Mapped[Code]
    is_active: Mapped[bool]
    version: Mapped[int]


class CustomerOrderRow(Base):
    """What a customer has ordered and does not have yet: demand that is known ahead."""

    __tablename__ = "customer_orders"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'partly_delivered', 'delivered', 'cancelled')", name="state"),
        Index(None, "state", "location", "requested_on"),
    )

    customer_order: Mapped[Code] = mapped_column(primary_key=True)
    customer: Mapped[Code] = mapped_column(ForeignKey("customers.customer"))
    location: Mapped[Code] = mapped_column(ForeignKey("locations.location"))
    state: Mapped[Code]
    ordered_on: Mapped[Day]
    requested_on: Mapped[Day | None]
    version: Mapped[int]


class CustomerOrderLineRow(Base):
    """A line of it."""

    __tablename__ = "customer_order_lines"
    __table_args__ = (CheckConstraint("quantity_ordered > 0", name="orders_something"), Index(None, "sku"))

    customer_order: Mapped[Code] = mapped_column(ForeignKey("customer_orders.customer_order"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sku: Mapped[Code] = mapped_column(ForeignKey("products.sku"))
    quantity_ordered: Mapped[Quantity]
    quantity_delivered: Mapped[Quantity]
    unit_price: Mapped[Money]
