"""The ledger and the catalogue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from restock.adapters.database.engine import create_triggers, drop_triggers

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "audit_log",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column(
            "details", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_log")),
    )
    op.create_table(
        "audit_seals",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sealed_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_seals")),
    )
    op.create_table(
        "balances",
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("lot", sa.String(length=128), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sku", "location", "lot", name=op.f("pk_balances")),
    )
    with op.batch_alter_table("balances", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_balances_location_sku"), ["location", "sku"], unique=False)

    op.create_table(
        "idempotency",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("request_sha256", sa.String(length=128), nullable=False),
        sa.Column(
            "reply", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "locations",
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("region", sa.String(length=128), nullable=False),
        sa.Column("capacity", sa.Numeric(precision=18, scale=3), nullable=True),
        sa.Column("may_be_negative", sa.Boolean(), nullable=False),
        sa.CheckConstraint("kind IN ('store', 'warehouse', 'virtual')", name=op.f("ck_locations_kind")),
        sa.PrimaryKeyConstraint("location", name=op.f("pk_locations")),
    )
    op.create_table(
        "movements",
        sa.Column("movement", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("occurred_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_by", sa.String(length=128), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reverses", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(["reverses"], ["movements.movement"], name=op.f("fk_movements_reverses_movements")),
        sa.PrimaryKeyConstraint("movement", name=op.f("pk_movements")),
        sa.UniqueConstraint("reverses", name=op.f("uq_movements_reverses")),
    )
    with op.batch_alter_table("movements", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_movements_occurred_at_utc"), ["occurred_at_utc"], unique=False)
        batch_op.create_index(batch_op.f("ix_movements_reference"), ["reference"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event", sa.String(length=128), nullable=False),
        sa.Column("topic", sa.String(length=128), nullable=False),
        sa.Column(
            "payload", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_outbox")),
        sa.UniqueConstraint("event", name=op.f("uq_outbox_event")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_outbox_delivered_at_utc_position"), ["delivered_at_utc", "position"], unique=False
        )

    op.create_table(
        "products",
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("category_path", sa.Text(), nullable=False),
        sa.Column("base_unit", sa.String(length=128), nullable=False),
        sa.Column("quantity_decimals", sa.Integer(), nullable=False),
        sa.Column("is_lot_tracked", sa.Boolean(), nullable=False),
        sa.Column("shelf_life_days", sa.Integer(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity_decimals BETWEEN 0 AND 6", name=op.f("ck_products_decimals")),
        sa.CheckConstraint("shelf_life_days IS NULL OR shelf_life_days > 0", name=op.f("ck_products_shelf_life")),
        sa.PrimaryKeyConstraint("sku", name=op.f("pk_products")),
    )
    with op.batch_alter_table("products", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_products_name"), ["name"], unique=False)

    op.create_table(
        "suppliers",
        sa.Column("supplier", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("supplier", name=op.f("pk_suppliers")),
    )
    op.create_table(
        "lots",
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("lot", sa.String(length=128), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["sku"], ["products.sku"], name=op.f("fk_lots_sku_products")),
        sa.PrimaryKeyConstraint("sku", "lot", name=op.f("pk_lots")),
    )
    op.create_table(
        "movement_lines",
        sa.Column("movement", sa.String(length=128), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("lot", sa.String(length=128), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_cost", sa.BigInteger(), nullable=True),
        sa.Column("unit_price", sa.BigInteger(), nullable=True),
        sa.Column("entered_quantity", sa.String(length=128), nullable=False),
        sa.Column("entered_unit", sa.String(length=128), nullable=False),
        sa.CheckConstraint("quantity <> 0", name=op.f("ck_movement_lines_moves_something")),
        sa.ForeignKeyConstraint(
            ["movement"], ["movements.movement"], name=op.f("fk_movement_lines_movement_movements")
        ),
        sa.PrimaryKeyConstraint("movement", "line", name=op.f("pk_movement_lines")),
    )
    with op.batch_alter_table("movement_lines", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_movement_lines_sku_location_lot"), ["sku", "location", "lot"], unique=False
        )

    op.create_table(
        "product_barcodes",
        sa.Column("gtin", sa.String(length=128), nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("unit", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["sku"], ["products.sku"], name=op.f("fk_product_barcodes_sku_products")),
        sa.PrimaryKeyConstraint("gtin", name=op.f("pk_product_barcodes")),
    )
    with op.batch_alter_table("product_barcodes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_product_barcodes_sku"), ["sku"], unique=False)

    op.create_table(
        "product_costs",
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("unit_cost", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["sku"], ["products.sku"], name=op.f("fk_product_costs_sku_products")),
        sa.PrimaryKeyConstraint("sku", "valid_from", name=op.f("pk_product_costs")),
    )
    op.create_table(
        "product_prices",
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["sku"], ["products.sku"], name=op.f("fk_product_prices_sku_products")),
        sa.PrimaryKeyConstraint("sku", "valid_from", name=op.f("pk_product_prices")),
    )
    op.create_table(
        "product_units",
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("unit", sa.String(length=128), nullable=False),
        sa.Column("factor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("factor > 0", name=op.f("ck_product_units_holds_something")),
        sa.ForeignKeyConstraint(["sku"], ["products.sku"], name=op.f("fk_product_units_sku_products")),
        sa.PrimaryKeyConstraint("sku", "unit", name=op.f("pk_product_units")),
    )
    op.create_table(
        "supply_terms",
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("supplier", sa.String(length=128), nullable=False),
        sa.Column("unit_cost", sa.BigInteger(), nullable=False),
        sa.Column("minimum_order_quantity", sa.BigInteger(), nullable=False),
        sa.Column("order_multiple", sa.BigInteger(), nullable=False),
        sa.Column("fixed_order_cost", sa.BigInteger(), nullable=False),
        sa.Column("review_periods", sa.Integer(), nullable=False),
        sa.Column("quoted_lead_time_days", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["location"], ["locations.location"], name=op.f("fk_supply_terms_location_locations")),
        sa.ForeignKeyConstraint(["sku"], ["products.sku"], name=op.f("fk_supply_terms_sku_products")),
        sa.ForeignKeyConstraint(["supplier"], ["suppliers.supplier"], name=op.f("fk_supply_terms_supplier_suppliers")),
        sa.PrimaryKeyConstraint("sku", "location", "supplier", name=op.f("pk_supply_terms")),
    )
    create_triggers(op.get_bind())


def downgrade() -> None:
    """Go back to the revision before."""
    drop_triggers(op.get_bind())
    op.drop_table("supply_terms")
    op.drop_table("product_units")
    op.drop_table("product_prices")
    op.drop_table("product_costs")
    with op.batch_alter_table("product_barcodes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_product_barcodes_sku"))

    op.drop_table("product_barcodes")
    with op.batch_alter_table("movement_lines", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_movement_lines_sku_location_lot"))

    op.drop_table("movement_lines")
    op.drop_table("lots")
    op.drop_table("suppliers")
    with op.batch_alter_table("products", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_products_name"))

    op.drop_table("products")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outbox_delivered_at_utc_position"))

    op.drop_table("outbox")
    with op.batch_alter_table("movements", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_movements_reference"))
        batch_op.drop_index(batch_op.f("ix_movements_occurred_at_utc"))

    op.drop_table("movements")
    op.drop_table("locations")
    op.drop_table("idempotency")
    with op.batch_alter_table("balances", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_balances_location_sku"))

    op.drop_table("balances")
    op.drop_table("audit_seals")
    op.drop_table("audit_log")
