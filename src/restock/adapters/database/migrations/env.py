"""What Alembic runs for every migration: our tables, on the connection that `migrate` gives."""

from __future__ import annotations

from alembic import context

from restock.adapters.database.mapped_tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite can't alter a column: a batch copies the table.
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
