"""Tokens of programs and people: made once, kept as hashes, narrowed, expired and revoked."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, insert, select, update

from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.identity_tables import ApiTokenRow, UserRow
from restock.adapters.database.journal import append_audit
from restock.adapters.database.table_locks import lock_table
from restock.errors import ConflictError, DataError, NotFoundError
from restock.operations.access import ROLE_SCOPES, Role, Scope

TOKEN_PREFIX = "rst_"  # noqa: S105  (a mark that secret scanners can look for, not a secret)
_TOKEN_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SCOPES = "scopes"
# Names that are people's even where they are not there yet.
_PEOPLE = frozenset({"admin", "nobody"})


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """A token as it is kept: never the token.

    Attributes:
        identifier: names it among all that ever were.
        name: names it among those not revoked.
        username: whose it is; None for one that belongs to nobody.
        role: what it is.
        scopes: what of the role's scopes it has; None is all of them.
        created_at: when, UTC.
        expires_at: from when on it is refused, UTC; None for never.
        revoked_at: when it was revoked, UTC; None while it was not.
    """

    identifier: str
    name: str
    username: str | None
    role: Role
    scopes: frozenset[Scope] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token that was just made.

    Attributes:
        identifier: names it from now on.
        secret: what its owner sends; kept nowhere.
    """

    identifier: str
    secret: str


@dataclass(frozen=True, kw_only=True)
class TokenDraft:
    """A token that is to be made.

    Attributes:
        name: 1 to 64 letters, digits or ._@-; names no user and no other token that is not revoked.
        role: what it is.
        username: whose it is; None for one that belongs to nobody.
        scopes: what of the role's scopes it has; None is all of them.
        expires_at: from when on it is refused, UTC; None for never.
    """

    name: str
    role: Role
    username: str | None = None
    scopes: Collection[Scope] | None = None
    expires_at: datetime | None = None


def hash_token(token: str) -> str:
    """Return what is stored of a token.

    A plain SHA-256 is enough because a token holds 256 random bits: there is nothing to guess, so nothing to slow down.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def create_token(connection: Connection, draft: TokenDraft, *, actor: str, now: datetime) -> NewToken:
    """Return a new token, of which only the hash is written.

    Args:
        connection: in a write transaction.
        draft: what it is to be.
        actor: who makes it.
        now: the time, UTC.

    Raises:
        DataError: the name is not valid, the role has not all of the scopes, or it would have expired already.
        ConflictError: the name is in use, or a user's.
        NotFoundError: there is no such user.
    """
    _check_draft(draft, now=now)
    lock_table(connection, ApiTokenRow)
    _require_free_name(connection, draft)
    _require_within_owner(connection, draft)
    secret = TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    identifier = new_identifier(now)
    scopes = None if draft.scopes is None else sorted(set(draft.scopes))
    row = {
        "token": identifier,
        "name": draft.name,
        "username": draft.username,
        "role": draft.role.value,
        "scopes": None if scopes is None else {_SCOPES: scopes},
        "sha256": hash_token(secret),
        "created_at_utc": now,
        "expires_at_utc": draft.expires_at,
        "revoked_at_utc": None,
    }
    connection.execute(insert(ApiTokenRow), row)
    details = {"name": draft.name, "role": draft.role.value, "username": draft.username, _SCOPES: scopes}
    append_audit(
        connection,
        actor=actor,
        action="create_token",
        subject=identifier,
        now=now,
        details=details | {"expires_at_utc": None if draft.expires_at is None else draft.expires_at.isoformat()},
    )
    return NewToken(identifier=identifier, secret=secret)


def list_tokens(connection: Connection, *, username: str | None = None) -> tuple[TokenRecord, ...]:
    """Return all tokens, revoked ones too, in the order they were made.

    Args:
        connection: in a transaction.
        username: only the tokens of this user.
    """
    statement = select(ApiTokenRow.__table__).order_by(ApiTokenRow.created_at_utc, ApiTokenRow.token)
    if username is not None:
        statement = statement.where(ApiTokenRow.username == username)
    return tuple(record_of(row) for row in connection.execute(statement).mappings())


def find_token(connection: Connection, identifier: str) -> TokenRecord:
    """Return a token by its identifier.

    Raises:
        NotFoundError: there is none.
    """
    statement = select(ApiTokenRow.__table__).where(ApiTokenRow.token == identifier)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"there is no token {identifier!r}.")
    return record_of(row)


def revoke_token(connection: Connection, identifier: str, *, actor: str, now: datetime) -> TokenRecord:
    """Return a token that is revoked now, or was before; services refuse it from then on.

    Raises:
        NotFoundError: there is none.
    """
    record = find_token(connection, identifier)
    if record.revoked_at is not None:
        return record
    connection.execute(update(ApiTokenRow).where(ApiTokenRow.token == identifier).values(revoked_at_utc=now))
    details = {"name": record.name}
    append_audit(connection, actor=actor, action="revoke_token", subject=identifier, now=now, details=details)
    return find_token(connection, identifier)


def revoke_named(connection: Connection, name: str, *, actor: str, now: datetime) -> TokenRecord:
    """Return the token of that name, now revoked.

    Raises:
        NotFoundError: no token that is not revoked has it.
    """
    live = [record for record in list_tokens(connection) if record.revoked_at is None]
    for record in live:
        if record.name == name:
            return revoke_token(connection, record.identifier, actor=actor, now=now)
    valid = ", ".join(record.name for record in live) or "none"
    raise NotFoundError(f"no valid token is named {name!r}; valid tokens: {valid}.")


def record_of(row: RowMapping) -> TokenRecord:
    """Return a row of api_tokens as a record."""
    return TokenRecord(
        identifier=row["token"],
        name=row["name"],
        username=row["username"],
        role=Role(row["role"]),
        # A scope that this version does not know gives nothing.
        scopes=None
        if row["scopes"] is None
        else frozenset(Scope(scope) for scope in row["scopes"][_SCOPES] if scope in set(Scope)),
        created_at=row["created_at_utc"],
        expires_at=row["expires_at_utc"],
        revoked_at=row["revoked_at_utc"],
    )


def _check_draft(draft: TokenDraft, *, now: datetime) -> None:
    if not _NAME.fullmatch(draft.name):
        raise DataError(f"the token name must be 1 to 64 letters, digits or ._@-, got {draft.name[:80]!r}.")
    beyond = set(draft.scopes or ()) - ROLE_SCOPES[draft.role]
    if beyond:
        raise DataError(
            f"role {draft.role} has no scope {', '.join(sorted(beyond))}; it has "
            f"{', '.join(sorted(ROLE_SCOPES[draft.role]))}."
        )
    if draft.scopes is not None and not draft.scopes:
        raise DataError("a token with no scope could do nothing. Name at least one, or leave scopes out for all.")
    if draft.expires_at is not None and draft.expires_at <= now:
        raise DataError(f"the token would have expired already, on {draft.expires_at.isoformat()}.")


def _require_free_name(connection: Connection, draft: TokenDraft) -> None:
    in_use = select(ApiTokenRow.token).where(ApiTokenRow.name == draft.name, ApiTokenRow.revoked_at_utc.is_(None))
    if connection.execute(in_use.limit(1)).first() is not None:
        raise ConflictError(
            f"a token named {draft.name!r} exists already. Choose another name, or revoke it first: "
            f"restock token revoke {draft.name}."
        )
    folded = draft.name.lower()
    users = select(UserRow.username).where(UserRow.username == folded)
    # The audit log says the name of a token where it belongs to nobody: it must not look like a person's.
    if folded in _PEOPLE or connection.execute(users).first() is not None:
        raise ConflictError(f"{draft.name!r} is the name of a user. Choose another name for the token.")


def _require_within_owner(connection: Connection, draft: TokenDraft) -> None:
    """Refuse a token that could do more than whoever owns it."""
    if draft.username is None:
        return
    owner = connection.execute(select(UserRow.role).where(UserRow.username == draft.username)).scalar_one_or_none()
    if owner is None:
        raise NotFoundError(f"there is no user {draft.username!r}.")
    beyond = ROLE_SCOPES[draft.role] - ROLE_SCOPES[Role(owner)]
    if beyond:
        raise DataError(
            f"{draft.username!r} is {owner}, so a token of theirs can't be {draft.role}: it would have "
            f"{', '.join(sorted(beyond))} beyond them."
        )
