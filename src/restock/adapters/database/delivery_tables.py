"""Who is told: webhooks and what was sent to them; and how far the exchange with an ERP has come."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from restock.adapters.database.base import Base, Code, Instant, Json, Quantity, Serial, Words


class OutboxCursorRow(Base):
    """How far somebody has followed the published events."""

    __tablename__ = "outbox_cursors"

    follower: Mapped[Code] = mapped_column(primary_key=True)
    # The last event that it took.
    outbox_sequence: Mapped[Quantity]
    changed_at_utc: Mapped[Instant]


class WebhookRow(Base):
    """An address that is told of events. Its secret is derived from the installation's key, and kept nowhere."""

    __tablename__ = "webhooks"

    webhook: Mapped[Code] = mapped_column(primary_key=True)
    url: Mapped[Words]
    # Which topics it wants, under "topics".
    topics: Mapped[Json]
    description: Mapped[Words]
    is_active: Mapped[bool]
    # Why restock switched it off; empty where a person did, or nobody.
    switched_off_reason: Mapped[Words]
    # The published event up to which its deliveries have been laid out.
    outbox_sequence: Mapped[Quantity]
    # Rises with every rotation: the secret is derived from it too.
    secret_version: Mapped[int]
    secret_rotated_at_utc: Mapped[Instant | None]
    # Since when every attempt has failed; null after one that did not.
    failing_since_utc: Mapped[Instant | None]
    # Which sender works on it, and until when nobody else may.
    leased_by: Mapped[Code | None]
    leased_until_utc: Mapped[Instant | None]
    created_at_utc: Mapped[Instant]
    created_by: Mapped[Code]
    version: Mapped[int]


class WebhookDeliveryRow(Base):
    """An event for a webhook."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
        Index(None, "webhook", "state", "outbox_sequence"),
        UniqueConstraint("webhook", "outbox_sequence"),
    )

    delivery: Mapped[Serial]
    webhook: Mapped[Code] = mapped_column(ForeignKey("webhooks.webhook", ondelete="CASCADE"))
    outbox_sequence: Mapped[Quantity]
    state: Mapped[Code]
    # Since it was laid out, or last asked for again.
    n_attempts: Mapped[int]
    next_attempt_at_utc: Mapped[Instant]
    last_status: Mapped[int | None]
    last_error: Mapped[Words]
    delivered_at_utc: Mapped[Instant | None]


class ErpLinkRow(Base):
    """What of ours is what of theirs, and what both last agreed on."""

    __tablename__ = "erp_links"
    __table_args__ = (UniqueConstraint("system", "kind", "ours"),)

    system: Mapped[Code] = mapped_column(primary_key=True)
    # product, supplier, location, purchase_order, customer, customer_order, stock
    kind: Mapped[Code] = mapped_column(primary_key=True)
    theirs: Mapped[Code] = mapped_column(primary_key=True)
    ours: Mapped[Code]
    # Of their side.
    content_sha256: Mapped[Code]
    # Value by field when both last agreed, under "theirs" and "ours": a field that differs since was changed there.
    content: Mapped[Json]
    synchronised_at_utc: Mapped[Instant]


class ErpCursorRow(Base):
    """How far one kind has been read from, or written to, an ERP: where the next run goes on."""

    __tablename__ = "erp_cursors"

    system: Mapped[Code] = mapped_column(primary_key=True)
    kind: Mapped[Code] = mapped_column(primary_key=True)
    # in or out
    direction: Mapped[Code] = mapped_column(primary_key=True)
    cursor: Mapped[Words]
    changed_at_utc: Mapped[Instant]


class ErpRejectionRow(Base):
    """A record that could not be taken over, and why; tried again with every run."""

    __tablename__ = "erp_rejections"

    system: Mapped[Code] = mapped_column(primary_key=True)
    kind: Mapped[Code] = mapped_column(primary_key=True)
    # in or out
    direction: Mapped[Code] = mapped_column(primary_key=True)
    # Theirs where it comes in, ours where it goes out.
    record: Mapped[Code] = mapped_column(primary_key=True)
    reason: Mapped[Words]
    n_attempts: Mapped[int]
    rejected_at_utc: Mapped[Instant]


class ErpRunRow(Base):
    """A run of the exchange with an ERP; one at a time for each."""

    __tablename__ = "erp_runs"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'finished', 'failed', 'interrupted')", name="state"),
        Index(
            "ix_erp_runs_running",
            "system",
            unique=True,
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
        Index(None, "system", "started_at_utc"),
    )

    run: Mapped[Code] = mapped_column(primary_key=True)
    system: Mapped[Code]
    state: Mapped[Code]
    direction: Mapped[Code]
    started_by: Mapped[Code]
    started_at_utc: Mapped[Instant]
    # The last sign of life; long after it another run takes over.
    seen_at_utc: Mapped[Instant]
    finished_at_utc: Mapped[Instant | None]
    # What became of each kind; the error where it failed.
    summary: Mapped[Json]
