"""The verifier that every service asks: one place that knows which kinds of token there are."""

from __future__ import annotations

from restock.adapters.database.engine import open_database
from restock.operations.access import TokenVerifier
from restock.operations.identity.database_tokens import DatabaseTokens
from restock.settings import Settings


def open_verifier(settings: Settings) -> TokenVerifier:
    """Return what knows who a token of these settings belongs to."""
    return DatabaseTokens(open_database(settings.ledger_url))
