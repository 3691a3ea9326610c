"""What a ledger needs before it is served the first time: its tables, and somebody who can get in."""

from __future__ import annotations

from datetime import UTC, datetime

from restock.adapters.database.engine import open_database
from restock.adapters.database.migrate import migrate
from restock.adapters.storage import write_text
from restock.operations.identity.first_admin import FIRST_ADMIN, create_first_admin
from restock.operations.identity.issuing import COMMAND_LINE
from restock.operations.identity.opening import make_private
from restock.settings import Settings

PASSWORD_FILE = "first-admin-password.txt"  # noqa: S105  (a file's name)


def prepare_ledger(settings: Settings, *, is_seen_by_a_person: bool) -> list[str]:
    """Make or upgrade the ledger's tables and the first user, and return what a person should read, once.

    Args:
        settings: where things run.
        is_seen_by_a_person: whether what is returned goes to a terminal. Elsewhere it would end in a log, so the
            password is kept in a file that only its owner may read.

    Raises:
        ConfigurationError: the database was made by a newer version of restock.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    engine = open_database(settings.ledger_url)
    try:
        make_private(engine)
        migrate(engine)
        password = create_first_admin(engine, actor=COMMAND_LINE, now=datetime.now(UTC))
    finally:
        engine.dispose()
    if password is None:
        return []
    if is_seen_by_a_person:
        return [f"first user of the planning service: {FIRST_ADMIN}, password (shown this once; change it): {password}"]
    settings.secrets_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = settings.secrets_dir / PASSWORD_FILE
    write_text(file, password + "\n", mode=0o600)
    return [f"first user of the planning service: {FIRST_ADMIN}, password in {file} (read it, change it, delete it)"]
