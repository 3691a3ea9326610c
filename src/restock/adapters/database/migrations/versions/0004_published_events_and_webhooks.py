"""Numbers of published events, cursors of those who follow them, and webhooks with secrets, leases and failures.

No version has written to the webhooks' tables before this one: they are made anew.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("outbox", sa.Column("sequence", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_outbox_sequence"), "outbox", ["sequence"], unique=True)
    op.create_table(
        "outbox_cursors",
        sa.Column("follower", sa.String(length=128), nullable=False),
        sa.Column("outbox_sequence", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("follower", name=op.f("pk_outbox_cursors")),
    )
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
    op.create_table(
        "webhooks",
        sa.Column("webhook", sa.String(length=128), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("topics", _json(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("switched_off_reason", sa.Text(), nullable=False),
        sa.Column("outbox_sequence", sa.BigInteger(), nullable=False),
        sa.Column("secret_version", sa.Integer(), nullable=False),
        sa.Column("secret_rotated_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_by", sa.String(length=128), nullable=True),
        sa.Column("leased_until_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("webhook", name=op.f("pk_webhooks")),
    )
    _create_deliveries("outbox_sequence", ondelete="CASCADE")
    op.create_index(
        op.f("ix_webhook_deliveries_webhook_state_outbox_sequence"),
        "webhook_deliveries",
        ["webhook", "state", "outbox_sequence"],
    )


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
    op.create_table(
        "webhooks",
        sa.Column("webhook", sa.String(length=128), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("topics", _json(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("outbox_position", sa.BigInteger(), nullable=False),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("webhook", name=op.f("pk_webhooks")),
    )
    _create_deliveries("outbox_position", ondelete=None)
    op.create_index(
        op.f("ix_webhook_deliveries_state_next_attempt_at_utc"), "webhook_deliveries", ["state", "next_attempt_at_utc"]
    )
    op.drop_table("outbox_cursors")
    op.drop_index(op.f("ix_outbox_sequence"), table_name="outbox")
    op.drop_column("outbox", "sequence")


def _create_deliveries(sequence: str, *, ondelete: str | None) -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("delivery", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("webhook", sa.String(length=128), nullable=False),
        sa.Column(sequence, sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("n_attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("delivered_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_state")),
        sa.ForeignKeyConstraint(
            ["webhook"], ["webhooks.webhook"], name=op.f("fk_webhook_deliveries_webhook_webhooks"), ondelete=ondelete
        ),
        sa.PrimaryKeyConstraint("delivery", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("webhook", sequence, name=op.f(f"uq_webhook_deliveries_webhook_{sequence}")),
    )


def _json() -> sa.types.TypeEngine[Any]:
    return sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
