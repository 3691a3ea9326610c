"""Find the products that have changed since an instant."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_index(op.f("ix_products_changed_at_utc"), "products", ["changed_at_utc"])


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_index(op.f("ix_products_changed_at_utc"), "products")
