"""Plans with safety stock, the chance of a stockout, what binds them, and the policy that made them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COLUMNS: tuple[tuple[str, Any], ...] = (
    ("safety_stock", sa.BigInteger()),
    ("unordered_cost", sa.BigInteger()),
    ("stockout_probability", sa.Double()),
    ("binding", sa.String(length=128)),
    ("policy_version", sa.String(length=128)),
)


def upgrade() -> None:
    """Go to this revision."""
    with op.batch_alter_table("plans") as table:
        for name, kind in _COLUMNS:
            table.add_column(sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """Go back to the revision before."""
    with op.batch_alter_table("plans") as table:
        for name, _ in reversed(_COLUMNS):
            table.drop_column(name)
