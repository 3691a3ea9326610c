"""Orders, transfers, counts, planning, identity, deliveries and the company."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "alerts",
        sa.Column("alert", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("severity", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=True),
        sa.Column("location", sa.String(length=128), nullable=True),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column(
            "evidence", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column(
            "repair", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True
        ),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledged_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=128), nullable=True),
        sa.Column("resolved_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.String(length=128), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("severity IN ('info', 'warning', 'critical')", name=op.f("ck_alerts_severity")),
        sa.CheckConstraint("state IN ('open', 'acknowledged', 'resolved')", name=op.f("ck_alerts_state")),
        sa.PrimaryKeyConstraint("alert", name=op.f("pk_alerts")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(
            "ix_alerts_about",
            ["about"],
            unique=True,
            sqlite_where=sa.text("state <> 'resolved'"),
            postgresql_where=sa.text("state <> 'resolved'"),
        )
        batch_op.create_index(batch_op.f("ix_alerts_state_severity"), ["state", "severity"], unique=False)

    op.create_table(
        "company",
        sa.Column("singleton", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("currency", sa.String(length=128), nullable=False),
        sa.Column("currency_decimals", sa.Integer(), nullable=False),
        sa.Column("time_zone", sa.String(length=128), nullable=False),
        sa.CheckConstraint("currency_decimals BETWEEN 0 AND 6", name=op.f("ck_company_decimals")),
        sa.CheckConstraint("singleton = 1", name=op.f("ck_company_one_row")),
        sa.PrimaryKeyConstraint("singleton", name=op.f("pk_company")),
    )
    op.create_table(
        "customers",
        sa.Column("customer", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("region", sa.String(length=128), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("customer", name=op.f("pk_customers")),
    )
    op.create_table(
        "erp_cursors",
        sa.Column("system", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("direction", sa.String(length=128), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("changed_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("system", "kind", "direction", name=op.f("pk_erp_cursors")),
    )
    op.create_table(
        "erp_links",
        sa.Column("system", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("theirs", sa.String(length=128), nullable=False),
        sa.Column("ours", sa.String(length=128), nullable=False),
        sa.Column("content_sha256", sa.String(length=128), nullable=False),
        sa.Column("synchronised_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("system", "kind", "theirs", name=op.f("pk_erp_links")),
        sa.UniqueConstraint("system", "kind", "ours", name=op.f("uq_erp_links_system_kind_ours")),
    )
    op.create_table(
        "forecasts",
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("cutoff", sa.Date(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("model_version", sa.String(length=128), nullable=False),
        sa.Column("mean_units", sa.Double(), nullable=False),
        sa.Column(
            "quantile_units",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("sku", "location", "cutoff", "date", "model_version", name=op.f("pk_forecasts")),
    )
    with op.batch_alter_table("forecasts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_forecasts_cutoff"), ["cutoff"], unique=False)

    op.create_table(
        "login_failures",
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("n_failures", sa.Integer(), nullable=False),
        sa.Column("last_failed_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_until_utc", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("who", name=op.f("pk_login_failures")),
    )
    op.create_table(
        "planner_overrides",
        sa.Column("override", sa.String(length=128), nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("planned_quantity", sa.BigInteger(), nullable=True),
        sa.Column("order_quantity", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("withdrawn_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("override", name=op.f("pk_planner_overrides")),
    )
    with op.batch_alter_table("planner_overrides", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_planner_overrides_sku_location_as_of"), ["sku", "location", "as_of"], unique=False
        )

    op.create_table(
        "plans",
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("supplier", sa.String(length=128), nullable=False),
        sa.Column("reorder_point", sa.BigInteger(), nullable=False),
        sa.Column("order_up_to_level", sa.BigInteger(), nullable=False),
        sa.Column("order_quantity", sa.BigInteger(), nullable=False),
        sa.Column("expected_cost", sa.BigInteger(), nullable=False),
        sa.Column("expected_fill_rate", sa.Double(), nullable=False),
        sa.Column(
            "reasons", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("forecast_version", sa.String(length=128), nullable=False),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sku", "location", "as_of", name=op.f("pk_plans")),
    )
    op.create_table(
        "users",
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=128), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "role IN ('operator', 'manager', 'analyst', 'supply_chain', 'admin', 'service')", name=op.f("ck_users_role")
        ),
        sa.PrimaryKeyConstraint("username", name=op.f("pk_users")),
    )
    op.create_table(
        "webhooks",
        sa.Column("webhook", sa.String(length=128), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column(
            "topics", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("outbox_position", sa.BigInteger(), nullable=False),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("webhook", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "api_tokens",
        sa.Column("token", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=True),
        sa.Column("role", sa.String(length=128), nullable=False),
        sa.Column(
            "scopes", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True
        ),
        sa.Column("sha256", sa.String(length=128), nullable=False),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('operator', 'manager', 'analyst', 'supply_chain', 'admin', 'service')",
            name=op.f("ck_api_tokens_role"),
        ),
        sa.ForeignKeyConstraint(["username"], ["users.username"], name=op.f("fk_api_tokens_username_users")),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_tokens_sha256")),
    )
    with op.batch_alter_table("api_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_tokens_username"), ["username"], unique=False)

    op.create_table(
        "counts",
        sa.Column("count", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("approved_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.String(length=128), nullable=True),
        sa.Column("movement", sa.String(length=128), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'recount', 'approved', 'cancelled')", name=op.f("ck_counts_state")),
        sa.ForeignKeyConstraint(["location"], ["locations.location"], name=op.f("fk_counts_location_locations")),
        sa.ForeignKeyConstraint(["movement"], ["movements.movement"], name=op.f("fk_counts_movement_movements")),
        sa.PrimaryKeyConstraint("count", name=op.f("pk_counts")),
    )
    with op.batch_alter_table("counts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_counts_state_location"), ["state", "location"], unique=False)

    op.create_table(
        "customer_orders",
        sa.Column("customer_order", sa.String(length=128), nullable=False),
        sa.Column("customer", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("ordered_on", sa.Date(), nullable=False),
        sa.Column("requested_on", sa.Date(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'partly_delivered', 'delivered', 'cancelled')", name=op.f("ck_customer_orders_state")
        ),
        sa.ForeignKeyConstraint(
            ["customer"], ["customers.customer"], name=op.f("fk_customer_orders_customer_customers")
        ),
        sa.ForeignKeyConstraint(
            ["location"], ["locations.location"], name=op.f("fk_customer_orders_location_locations")
        ),
        sa.PrimaryKeyConstraint("customer_order", name=op.f("pk_customer_orders")),
    )
    with op.batch_alter_table("customer_orders", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_customer_orders_state_location_requested_on"),
            ["state", "location", "requested_on"],
            unique=False,
        )

    op.create_table(
        "external_identities",
        sa.Column("issuer", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("linked_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["username"], ["users.username"], name=op.f("fk_external_identities_username_users")),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_external_identities")),
    )
    with op.batch_alter_table("external_identities", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_external_identities_username"), ["username"], unique=False)

    op.create_table(
        "purchase_orders",
        sa.Column("purchase_order", sa.String(length=128), nullable=False),
        sa.Column("supplier", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("ordered_on", sa.Date(), nullable=True),
        sa.Column("promised_on", sa.Date(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft', 'sent', 'partly_received', 'received', 'closed', 'cancelled')",
            name=op.f("ck_purchase_orders_state"),
        ),
        sa.ForeignKeyConstraint(
            ["location"], ["locations.location"], name=op.f("fk_purchase_orders_location_locations")
        ),
        sa.ForeignKeyConstraint(
            ["supplier"], ["suppliers.supplier"], name=op.f("fk_purchase_orders_supplier_suppliers")
        ),
        sa.PrimaryKeyConstraint("purchase_order", name=op.f("pk_purchase_orders")),
    )
    with op.batch_alter_table("purchase_orders", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_purchase_orders_state_location"), ["state", "location"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_purchase_orders_supplier_ordered_on"), ["supplier", "ordered_on"], unique=False
        )

    op.create_table(
        "sessions",
        sa.Column("sha256", sa.String(length=128), nullable=False),
        sa.Column("csrf_sha256", sa.String(length=128), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("created_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["username"], ["users.username"], name=op.f("fk_sessions_username_users")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_sessions")),
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sessions_expires_at_utc"), ["expires_at_utc"], unique=False)
        batch_op.create_index(batch_op.f("ix_sessions_username"), ["username"], unique=False)

    op.create_table(
        "transfers",
        sa.Column("transfer", sa.String(length=128), nullable=False),
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("target", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("dispatched_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('in_transit', 'partly_arrived', 'arrived', 'closed')", name=op.f("ck_transfers_state")
        ),
        sa.ForeignKeyConstraint(["source"], ["locations.location"], name=op.f("fk_transfers_source_locations")),
        sa.ForeignKeyConstraint(["target"], ["locations.location"], name=op.f("fk_transfers_target_locations")),
        sa.PrimaryKeyConstraint("transfer", name=op.f("pk_transfers")),
    )
    with op.batch_alter_table("transfers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_transfers_state"), ["state"], unique=False)

    op.create_table(
        "webhook_deliveries",
        sa.Column("delivery", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("webhook", sa.String(length=128), nullable=False),
        sa.Column("outbox_position", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("n_attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at_utc", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("delivered_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_state")),
        sa.ForeignKeyConstraint(["webhook"], ["webhooks.webhook"], name=op.f("fk_webhook_deliveries_webhook_webhooks")),
        sa.PrimaryKeyConstraint("delivery", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("webhook", "outbox_position", name=op.f("uq_webhook_deliveries_webhook_outbox_position")),
    )
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_webhook_deliveries_state_next_attempt_at_utc"),
            ["state", "next_attempt_at_utc"],
            unique=False,
        )

    op.create_table(
        "count_lines",
        sa.Column("count", sa.String(length=128), nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("lot", sa.String(length=128), nullable=False),
        sa.Column("quantity_counted", sa.BigInteger(), nullable=True),
        sa.Column("quantity_booked", sa.BigInteger(), nullable=True),
        sa.Column("counted_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counted_by", sa.String(length=128), nullable=True),
        sa.Column("quantity_recounted", sa.BigInteger(), nullable=True),
        sa.Column("quantity_booked_at_recount", sa.BigInteger(), nullable=True),
        sa.Column("recounted_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recounted_by", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(["count"], ["counts.count"], name=op.f("fk_count_lines_count_counts")),
        sa.ForeignKeyConstraint(["sku"], ["products.sku"], name=op.f("fk_count_lines_sku_products")),
        sa.PrimaryKeyConstraint("count", "sku", "lot", name=op.f("pk_count_lines")),
    )
    op.create_table(
        "customer_order_lines",
        sa.Column("customer_order", sa.String(length=128), nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("quantity_ordered", sa.BigInteger(), nullable=False),
        sa.Column("quantity_delivered", sa.BigInteger(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity_ordered > 0", name=op.f("ck_customer_order_lines_orders_something")),
        sa.ForeignKeyConstraint(
            ["customer_order"],
            ["customer_orders.customer_order"],
            name=op.f("fk_customer_order_lines_customer_order_customer_orders"),
        ),
        sa.ForeignKeyConstraint(["sku"], ["products.sku"], name=op.f("fk_customer_order_lines_sku_products")),
        sa.PrimaryKeyConstraint("customer_order", "line", name=op.f("pk_customer_order_lines")),
    )
    with op.batch_alter_table("customer_order_lines", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_customer_order_lines_sku"), ["sku"], unique=False)

    op.create_table(
        "purchase_order_lines",
        sa.Column("purchase_order", sa.String(length=128), nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("quantity_ordered", sa.BigInteger(), nullable=False),
        sa.Column("quantity_received", sa.BigInteger(), nullable=False),
        sa.Column("unit_cost", sa.BigInteger(), nullable=False),
        sa.Column("entered_quantity", sa.String(length=128), nullable=False),
        sa.Column("entered_unit", sa.String(length=128), nullable=False),
        sa.CheckConstraint("quantity_ordered > 0", name=op.f("ck_purchase_order_lines_orders_something")),
        sa.CheckConstraint("quantity_received >= 0", name=op.f("ck_purchase_order_lines_received")),
        sa.ForeignKeyConstraint(
            ["purchase_order"],
            ["purchase_orders.purchase_order"],
            name=op.f("fk_purchase_order_lines_purchase_order_purchase_orders"),
        ),
        sa.ForeignKeyConstraint(["sku"], ["products.sku"], name=op.f("fk_purchase_order_lines_sku_products")),
        sa.PrimaryKeyConstraint("purchase_order", "line", name=op.f("pk_purchase_order_lines")),
    )
    with op.batch_alter_table("purchase_order_lines", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_purchase_order_lines_sku"), ["sku"], unique=False)

    op.create_table(
        "purchase_receipts",
        sa.Column("movement", sa.String(length=128), nullable=False),
        sa.Column("movement_line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("purchase_order", sa.String(length=128), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["movement"], ["movements.movement"], name=op.f("fk_purchase_receipts_movement_movements")
        ),
        sa.ForeignKeyConstraint(
            ["purchase_order"],
            ["purchase_orders.purchase_order"],
            name=op.f("fk_purchase_receipts_purchase_order_purchase_orders"),
        ),
        sa.PrimaryKeyConstraint("movement", "movement_line", name=op.f("pk_purchase_receipts")),
    )
    with op.batch_alter_table("purchase_receipts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_purchase_receipts_purchase_order_line"), ["purchase_order", "line"], unique=False
        )

    op.create_table(
        "transfer_lines",
        sa.Column("transfer", sa.String(length=128), nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.String(length=128), nullable=False),
        sa.Column("lot", sa.String(length=128), nullable=False),
        sa.Column("quantity_dispatched", sa.BigInteger(), nullable=False),
        sa.Column("quantity_arrived", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity_dispatched > 0", name=op.f("ck_transfer_lines_sends_something")),
        sa.ForeignKeyConstraint(["sku"], ["products.sku"], name=op.f("fk_transfer_lines_sku_products")),
        sa.ForeignKeyConstraint(
            ["transfer"], ["transfers.transfer"], name=op.f("fk_transfer_lines_transfer_transfers")
        ),
        sa.PrimaryKeyConstraint("transfer", "line", name=op.f("pk_transfer_lines")),
    )
    op.add_column("locations", sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("locations", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("suppliers", sa.Column("minimum_order_value", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("suppliers", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    company = sa.table(
        "company", *(sa.column(name) for name in ("singleton", "currency", "currency_decimals", "time_zone"))
    )
    op.bulk_insert(company, [{"singleton": 1, "currency": "EUR", "currency_decimals": 2, "time_zone": "UTC"}])


def downgrade() -> None:
    """Go back to the revision before."""
    # Not by copying the table, as a batch does: others refer to it.
    for table, column in (
        ("suppliers", "version"),
        ("suppliers", "minimum_order_value"),
        ("locations", "version"),
        ("locations", "is_active"),
    ):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")

    op.drop_table("transfer_lines")
    with op.batch_alter_table("purchase_receipts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_purchase_receipts_purchase_order_line"))

    op.drop_table("purchase_receipts")
    with op.batch_alter_table("purchase_order_lines", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_purchase_order_lines_sku"))

    op.drop_table("purchase_order_lines")
    with op.batch_alter_table("customer_order_lines", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_customer_order_lines_sku"))

    op.drop_table("customer_order_lines")
    op.drop_table("count_lines")
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_webhook_deliveries_state_next_attempt_at_utc"))

    op.drop_table("webhook_deliveries")
    with op.batch_alter_table("transfers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_transfers_state"))

    op.drop_table("transfers")
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sessions_username"))
        batch_op.drop_index(batch_op.f("ix_sessions_expires_at_utc"))

    op.drop_table("sessions")
    with op.batch_alter_table("purchase_orders", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_purchase_orders_supplier_ordered_on"))
        batch_op.drop_index(batch_op.f("ix_purchase_orders_state_location"))

    op.drop_table("purchase_orders")
    with op.batch_alter_table("external_identities", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_external_identities_username"))

    op.drop_table("external_identities")
    with op.batch_alter_table("customer_orders", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_customer_orders_state_location_requested_on"))

    op.drop_table("customer_orders")
    with op.batch_alter_table("counts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_counts_state_location"))

    op.drop_table("counts")
    with op.batch_alter_table("api_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_tokens_username"))

    op.drop_table("api_tokens")
    op.drop_table("webhooks")
    op.drop_table("users")
    op.drop_table("plans")
    with op.batch_alter_table("planner_overrides", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_planner_overrides_sku_location_as_of"))

    op.drop_table("planner_overrides")
    op.drop_table("login_failures")
    with op.batch_alter_table("forecasts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_forecasts_cutoff"))

    op.drop_table("forecasts")
    op.drop_table("erp_links")
    op.drop_table("erp_cursors")
    op.drop_table("customers")
    op.drop_table("company")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_alerts_state_severity"))
        batch_op.drop_index(
            "ix_alerts_about",
            sqlite_where=sa.text("state <> 'resolved'"),
            postgresql_where=sa.text("state <> 'resolved'"),
        )

    op.drop_table("alerts")
