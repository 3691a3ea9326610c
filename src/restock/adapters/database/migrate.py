"""Bringing a database to the tables that this version of restock knows, and back."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.mapped_tables import METADATA
from restock.errors import ConfigurationError, NotReadyError

_SCRIPTS = Path(__file__).with_name("migrations")
LATEST, NOTHING = "head", "base"


def migrate(engine: Engine, *, to: str = LATEST) -> str | None:
    """Bring a database to a revision, up or down, in one transaction, and return the revision it has then.

    Args:
        engine: the database.
        to: a revision, LATEST, or NOTHING for an empty database.

    Raises:
        ConfigurationError: the database has a revision that this version does not know.
    """
    with write_transaction(engine) as connection:
        script = ScriptDirectory(str(_SCRIPTS))
        known = {each.revision for each in script.walk_revisions()}
        current = read_revision(connection)
        if current is not None and current not in known:
            raise ConfigurationError(
                f"the database is at revision {current}, which this version of restock does not know: a newer one made "
                "it. Update restock."
            )
        order = [each.revision for each in script.walk_revisions()]
        target = script.get_current_head() if to == LATEST else (None if to == NOTHING else to)
        is_down = current is not None and (target is None or order.index(target) > order.index(current))
        (command.downgrade if is_down else command.upgrade)(_configure(connection), to)
        return read_revision(connection)


def require_migrated(engine: Engine) -> Engine:
    """Return the engine, once its database has the tables that this version knows.

    Raises:
        NotReadyError: it has none, or those of another revision.
    """
    with read_transaction(engine) as connection:
        current = read_revision(connection)
    head = ScriptDirectory(str(_SCRIPTS)).get_current_head()
    if current != head:
        raise NotReadyError(
            f"the ledger's database is at revision {current or 'none: it has no tables'}, expected {head}. Bring it "
            "there: restock ledger migrate."
        )
    return engine


def read_revision(connection: Connection) -> str | None:
    """Return the revision of a database; None where it has no tables of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def find_drift(connection: Connection) -> list[str]:
    """Return in what a database differs from the mapped tables; empty after every migration."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [str(difference) for difference in compare_metadata(context, METADATA)]


def _configure(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    return config
