"""The exchange with an ERP: what both sides agreed on, what was rejected, and its runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_RUNNING = sa.text("state = 'running'")


def _json() -> sa.JSON:
    return sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Go to this revision."""
    # A link from before has agreed on nothing: its next record is compared field by field.
    with op.batch_alter_table("erp_links") as table:
        table.add_column(sa.Column("content", _json(), nullable=False, server_default="{}"))
    with op.batch_alter_table("erp_links") as table:
        table.alter_column("content", server_default=None)
    op.create_table(
        "erp_rejections",
        sa.Column("system", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("direction", sa.String(length=128), nullable=False),
        sa.Column("record", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("n_attempts", sa.Integer(), nullable=False),
        sa.Column("rejected_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("system", "kind", "direction", "record", name=op.f("pk_erp_rejections")),
    )
    op.create_table(
        "erp_runs",
        sa.Column("run", sa.String(length=128), nullable=False),
        sa.Column("system", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("direction", sa.String(length=128), nullable=False),
        sa.Column("started_by", sa.String(length=128), nullable=False),
        sa.Column("started_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("summary", _json(), nullable=False),
        sa.CheckConstraint("state IN ('running', 'finished', 'failed', 'interrupted')", name=op.f("ck_erp_runs_state")),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_erp_runs")),
    )
    op.create_index(
        "ix_erp_runs_running",
        "erp_runs",
        ["system"],
        unique=True,
        sqlite_where=_RUNNING,
        postgresql_where=_RUNNING,
    )
    op.create_index(op.f("ix_erp_runs_system_started_at_utc"), "erp_runs", ["system", "started_at_utc"])


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_table("erp_runs")
    op.drop_table("erp_rejections")
    with op.batch_alter_table("erp_links") as table:
        table.drop_column("content")
