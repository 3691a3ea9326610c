"""What a ledger needs before it is served the first time: its tables."""

from __future__ import annotations

from restock.adapters.database.engine import open_database
from restock.adapters.database.migrate import migrate
from restock.settings import Settings


def prepare_ledger(settings: Settings) -> list[str]:
    """Make or upgrade the ledger's tables, and return what a person should read, once.

    Raises:
        ConfigurationError: the database was made by a newer version of restock.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    engine = open_database(settings.ledger_url)
    try:
        migrate(engine)
    finally:
        engine.dispose()
    return []
