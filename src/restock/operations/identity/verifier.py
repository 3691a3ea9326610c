"""The verifier that every service asks: one place that knows which kinds of token there are."""

from __future__ import annotations

from restock.adapters.database.engine import open_database
from restock.operations.access import Principal, TokenVerifier
from restock.operations.identity.database_tokens import DatabaseTokens
from restock.operations.identity.oidc import OidcTokens, read_oidc_rules
from restock.operations.identity.signing_keys import SigningKeys
from restock.operations.identity.tokens import TOKEN_PREFIX
from restock.settings import Settings

# Header, claims and signature.
_DOTS_OF_SIGNED = 2


class AnyTokens:
    """Verifies our own tokens and those that an issuer signed.

    Args:
        own: knows ours.
        signed: knows the issuer's.
    """

    def __init__(self, own: TokenVerifier, signed: TokenVerifier) -> None:
        self._own = own
        self._signed = signed

    def verify(self, token: str) -> Principal:
        """Return who the token belongs to; "" stands for a request without one.

        Raises:
            AuthenticationError: the token is missing, or not valid (any more).
            PermissionDeniedError: its issuer gives it no role.
            NotReadyError: nobody can say for now; nobody gets in.
        """
        is_signed = token.count(".") == _DOTS_OF_SIGNED and not token.startswith(TOKEN_PREFIX)
        return (self._signed if is_signed else self._own).verify(token)


def open_verifier(settings: Settings) -> TokenVerifier:
    """Return what knows who a token belongs to, by these settings.

    Raises:
        ConfigurationError: an issuer is named, but not whom it may let in as what.
    """
    engine = open_database(settings.ledger_url)
    own = DatabaseTokens(engine)
    rules = read_oidc_rules(settings)
    if rules is None:
        return own
    return AnyTokens(own, OidcTokens(engine, rules, keys=SigningKeys(rules.issuer)))
