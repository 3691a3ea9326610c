"""The ledger's tables: movements and their lines, balances, idempotency, the outbox and the audit log.

Movements, lines and the audit log are append-only: triggers refuse UPDATE and DELETE (see `engine`).
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from restock.adapters.database.base import Base, Code, Instant, Json, Money, Quantity, Serial, Words

# What can't be changed or removed, in any way.
APPEND_ONLY = ("movements", "movement_lines", "audit_log")


class MovementRow(Base):
    """One booking; its lines sum to zero per sku and lot."""

    __tablename__ = "movements"
    __table_args__ = (Index(None, "occurred_at_utc"), Index(None, "reference"))

    movement: Mapped[Code] = mapped_column(primary_key=True)
    kind: Mapped[Code]
    occurred_at_utc: Mapped[Instant]
    posted_at_utc: Mapped[Instant]
    posted_by: Mapped[Code]
    reference: Mapped[Code]
    reason: Mapped[Words]
    # At most one reversal of a movement.
    reverses: Mapped[Code | None] = mapped_column(ForeignKey("movements.movement"), unique=True)


class MovementLineRow(Base):
    """A change of one balance."""

    __tablename__ = "movement_lines"
    __table_args__ = (Index(None, "sku", "location", "lot"), CheckConstraint("quantity <> 0", name="moves_something"))

    movement: Mapped[Code] = mapped_column(ForeignKey("movements.movement"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[Code]
    location: Mapped[Code]
    lot: Mapped[Code]
    quantity: Mapped[Quantity]
    unit_cost: Mapped[Money | None]
    unit_price: Mapped[Money | None]
    entered_quantity: Mapped[Code]
    entered_unit: Mapped[Code]


class BalanceRow(Base):
    """What the lines of a sku, location and lot add up to; kept in the transaction that posts them."""

    __tablename__ = "balances"
    __table_args__ = (Index(None, "location", "sku"),)

    sku: Mapped[Code] = mapped_column(primary_key=True)
    location: Mapped[Code] = mapped_column(primary_key=True)
    lot: Mapped[Code] = mapped_column(primary_key=True)
    quantity: Mapped[Quantity]
    # Rises with every change: what a reader saw can be asked for again.
    version: Mapped[Quantity]


class IdempotencyRow(Base):
    """The reply to a write, kept under the key that came with it."""

    __tablename__ = "idempotency"

    key: Mapped[Code] = mapped_column(primary_key=True)
    request_sha256: Mapped[Code]
    reply: Mapped[Json]
    created_at_utc: Mapped[Instant]


class OutboxRow(Base):
    """An event that is to be delivered at least once, written with the movement that it tells of."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("event"),
        Index(None, "delivered_at_utc", "position"),
        Index(None, "sequence", unique=True),
    )

    position: Mapped[Serial]
    event: Mapped[Code]
    topic: Mapped[Code]
    payload: Mapped[Json]
    created_at_utc: Mapped[Instant]
    # Its number among the published events, in an order that no later commit changes; null until it is published.
    sequence: Mapped[Quantity | None]
    delivered_at_utc: Mapped[Instant | None]


class AuditRow(Base):
    """Who did what: written with the deed, without a hash, so that writers don't wait for one another."""

    __tablename__ = "audit_log"

    position: Mapped[Serial]
    at_utc: Mapped[Instant]
    actor: Mapped[Code]
    action: Mapped[Code]
    subject: Mapped[Code]
    details: Mapped[Json]


class AuditSealRow(Base):
    """The chain over the audit log, laid by one sealer: a seal covers the entries up to a position."""

    __tablename__ = "audit_seals"

    position: Mapped[Quantity] = mapped_column(primary_key=True, autoincrement=False)
    sealed_at_utc: Mapped[Instant]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
