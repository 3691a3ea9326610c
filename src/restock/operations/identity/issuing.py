"""Tokens that commands of this machine make for themselves, in the database of the settings."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from restock.adapters.database.engine import write_transaction
from restock.operations.access import Role, Scope
from restock.operations.identity.opening import open_identity
from restock.operations.identity.tokens import TokenDraft, create_token, list_tokens, revoke_token
from restock.settings import Settings

# What the audit log calls whoever uses the command.
COMMAND_LINE = "command line"


def issue_token(settings: Settings, name: str, *, role: Role, scopes: Collection[Scope] | None = None) -> str:
    """Return a new token; an earlier one of the same name is revoked.

    Args:
        settings: say which database; its tables are made where it has none.
        name: of the token.
        role: what it is.
        scopes: what of the role's scopes it has; None is all of them.
    """
    now = datetime.now(UTC)
    engine = open_identity(settings.ledger_url)
    try:
        with write_transaction(engine) as connection:
            for record in list_tokens(connection):
                if record.name == name and record.revoked_at is None:
                    revoke_token(connection, record.identifier, actor=COMMAND_LINE, now=now)
            draft = TokenDraft(name=name, role=role, scopes=scopes)
            return create_token(connection, draft, actor=COMMAND_LINE, now=now).secret
    finally:
        engine.dispose()


def issue_first_token(settings: Settings, name: str, *, role: Role) -> str | None:
    """Return a new token where there never was any; None where there was."""
    engine = open_identity(settings.ledger_url)
    try:
        with write_transaction(engine) as connection:
            if list_tokens(connection):
                return None
            draft = TokenDraft(name=name, role=role)
            return create_token(connection, draft, actor=COMMAND_LINE, now=datetime.now(UTC)).secret
    finally:
        engine.dispose()
