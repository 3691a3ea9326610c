"""People whom an OpenID Connect issuer vouches for: its signed token, checked, and the user that it stands for here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.identity_tables import ExternalIdentityRow, UserRow
from restock.adapters.database.journal import append_audit
from restock.errors import AuthenticationError, ConfigurationError, ConflictError, NotReadyError, PermissionDeniedError
from restock.operations.access import Principal, PrincipalKind, Role
from restock.operations.identity.signing_keys import ALGORITHMS, SigningKeys
from restock.operations.identity.users import UserChange, UserDraft, change_user, create_user, user_of
from restock.settings import Settings

# What the audit log calls what an issuer's token brings about.
ISSUER = "oidc issuer"
_LEEWAY_SECONDS = 30
_LONGEST_KID = 200
_LONGEST_CODE = 128
_LONGEST_NAME = 50
_NAME_CLAIMS = ("preferred_username", "email", "sub")


@dataclass(frozen=True, kw_only=True)
class OidcRules:
    """Whom an issuer may let in as what.

    Attributes:
        issuer: its address, exactly as its tokens say it.
        audience: what its tokens must be for.
        role_claim: claim that says the role; dots lead into objects.
        roles: role by value of that claim; the first that fits counts.
    """

    issuer: str
    audience: str
    role_claim: str
    roles: Mapping[str, Role]


@dataclass(frozen=True, kw_only=True)
class _Vouched:
    """What an issuer says of somebody."""

    subject: str
    suggested_name: str
    display_name: str
    role: Role


def read_oidc_rules(settings: Settings) -> OidcRules | None:
    """Return whom the issuer of the settings may let in; None where there is no issuer.

    Raises:
        ConfigurationError: something is missing, or a role is none.
    """
    if settings.oidc_issuer is None:
        return None
    if not settings.oidc_audience or not settings.oidc_roles:
        raise ConfigurationError(
            "RESTOCK_OIDC_ISSUER needs RESTOCK_OIDC_AUDIENCE and RESTOCK_OIDC_ROLES, such as "
            '{"stock-admins": "admin"}: otherwise it would let in nobody, or tokens that are meant for others.'
        )
    unknown = sorted(set(settings.oidc_roles.values()) - set(Role))
    if unknown:
        raise ConfigurationError(
            f"RESTOCK_OIDC_ROLES names the roles {', '.join(unknown)}; expected some of {', '.join(Role)}."
        )
    return OidcRules(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        role_claim=settings.oidc_role_claim,
        roles={value: Role(role) for value, role in settings.oidc_roles.items()},
    )


class OidcTokens:
    """Verifies an issuer's signed tokens, and knows the user behind each.

    Args:
        engine: the database of users.
        rules: whom the issuer may let in as what.
        keys: the issuer's keys.
        now: returns the time, UTC.
    """

    def __init__(
        self,
        engine: Engine,
        rules: OidcRules,
        *,
        keys: SigningKeys,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._rules = rules
        self._keys = keys
        self._now = now

    def verify(self, token: str) -> Principal:
        """Return whom a signed token stands for; a user is made for somebody who comes for the first time.

        Raises:
            AuthenticationError: it is not valid, or the user is disabled here.
            PermissionDeniedError: the issuer gives them none of the roles that are known here.
            NotReadyError: the issuer or the database does not answer.
        """
        vouched = self._read(token)
        try:
            return self._find_user(vouched)
        except (IntegrityError, ConflictError):
            # Two requests of somebody new came at once: the other one has made the user.
            return self._find_user(vouched)
        except DBAPIError as error:
            raise NotReadyError(
                f"the database of users does not answer ({type(error).__name__}). Try again."
            ) from error

    def _read(self, token: str) -> _Vouched:
        if not token.isascii():
            raise AuthenticationError("the signed token is not valid: it is not ASCII.")
        try:
            header = jwt.get_unverified_header(token)
            kid = header.get("kid")
            if header.get("alg") not in ALGORITHMS or not isinstance(kid, str) or not 0 < len(kid) <= _LONGEST_KID:
                raise AuthenticationError(f"the token must be signed with {' or '.join(ALGORITHMS)} and name its key.")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._keys.find(kid),
                algorithms=list(ALGORITHMS),
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.exceptions.PyJWTError, RecursionError) as error:
            # The reasons are PyJWT's own words: wrong audience, expired, and so on; nothing of the token's.
            raise AuthenticationError(f"the signed token is not valid: {type(error).__name__}.") from error
        subject = str(claims["sub"])
        if not subject or not subject.isprintable():
            raise AuthenticationError("the signed token names nobody.")
        return _Vouched(
            subject=_as_code(subject),
            suggested_name=_suggest_name(claims),
            display_name=_display_name(claims),
            role=_role_of(claims, self._rules),
        )

    def _find_user(self, vouched: _Vouched) -> Principal:
        with read_transaction(self._engine) as connection:
            row = _find_linked(connection, self._rules.issuer, vouched.subject)
        if row is None:
            with write_transaction(self._engine) as connection:
                username = _link(connection, self._rules.issuer, vouched, now=self._now())
            return Principal(name=username, role=vouched.role, kind=PrincipalKind.OIDC)
        user = user_of(row)
        if not user.is_active:
            raise AuthenticationError(f"user {user.username!r} is disabled.")
        # Whoever can sign in here too has the role that was given here, for then.
        if user.role is not vouched.role and not user.has_password:
            with write_transaction(self._engine) as connection:
                change_user(connection, user.username, UserChange(role=vouched.role), actor=ISSUER, now=self._now())
        return Principal(name=user.username, role=vouched.role, kind=PrincipalKind.OIDC)


def _find_linked(connection: Connection, issuer: str, subject: str) -> Any:
    statement = (
        select(UserRow.__table__)
        .join(ExternalIdentityRow, ExternalIdentityRow.username == UserRow.username)
        .where(ExternalIdentityRow.issuer == _as_code(issuer), ExternalIdentityRow.subject == subject)
    )
    return connection.execute(statement).mappings().one_or_none()


def _link(connection: Connection, issuer: str, vouched: _Vouched, *, now: datetime) -> str:
    """Make a user for somebody; never one that is there already, whatever the issuer calls them."""
    draft = UserDraft(username=vouched.suggested_name, role=vouched.role, display_name=vouched.display_name)
    try:
        user = create_user(connection, draft, actor=ISSUER, now=now)
    except ConflictError:
        mark = hashlib.sha256(f"{issuer}\n{vouched.subject}".encode()).hexdigest()[:8]
        named = UserDraft(username=f"{draft.username}-{mark}", role=vouched.role, display_name=vouched.display_name)
        user = create_user(connection, named, actor=ISSUER, now=now)
    row = {"issuer": _as_code(issuer), "subject": vouched.subject, "username": user.username, "linked_at_utc": now}
    connection.execute(insert(ExternalIdentityRow), row)
    details = {"issuer": issuer, "subject": vouched.subject}
    append_audit(connection, actor=ISSUER, action="link_identity", subject=user.username, now=now, details=details)
    return user.username


def _role_of(claims: Mapping[str, Any], rules: OidcRules) -> Role:
    value: Any = claims
    for part in rules.role_claim.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    given = {str(one) for one in value} if isinstance(value, list) else {str(value)}
    for name, role in rules.roles.items():
        if name in given:
            return role
    raise PermissionDeniedError(
        f"the issuer's token has none of the roles that are known here in its claim {rules.role_claim!r}. Whoever "
        "manages RESTOCK_OIDC_ROLES can add one."
    )


def _suggest_name(claims: Mapping[str, Any]) -> str:
    """Return what a user may be called: what the issuer calls them, in letters that a username has."""
    text = next(str(claims[name]) for name in _NAME_CLAIMS if claims.get(name))
    plain = re.sub(r"[^a-z0-9._@-]+", "-", text.lower())[:_LONGEST_NAME].lstrip("._@-")
    return plain or "user"


def _display_name(claims: Mapping[str, Any]) -> str:
    text = str(claims.get("name") or "")[:_LONGEST_CODE]
    return text if text.isprintable() else ""


def _as_code(text: str) -> str:
    """Return what a column can hold: the text, or its hash where it is longer."""
    return text if len(text) <= _LONGEST_CODE else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
