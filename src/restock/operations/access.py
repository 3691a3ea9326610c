"""Who may do what: roles, what each may do, and tokens that are kept only as hashes in one file."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from restock.adapters.storage import read_json, write_json
from restock.errors import AuthenticationError, ConfigurationError, DataError, NotFoundError, PermissionDeniedError

TOKEN_PREFIX = "rst_"  # noqa: S105  (a mark that secret scanners can look for, not a secret)
_TOKEN_BYTES = 32
_FILE_MODE = 0o600
_OTHERS_MODE = 0o077
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class Role(StrEnum):
    """What a person or a program is, for the services."""

    READER = "reader"
    OPERATOR = "operator"
    ANALYST = "analyst"
    PLANNER = "planner"
    MANAGER = "manager"
    SUPPLY_CHAIN = "supply_chain"
    ADMIN = "admin"
    SERVICE = "service"
    MONITOR = "monitor"


class Permission(StrEnum):
    """What a service asks before it does something."""

    FORECAST = "forecast"
    DESCRIBE = "describe"
    METRICS = "metrics"


class Scope(StrEnum):
    """What a token may be narrowed to."""

    STOCK_READ = "stock:read"
    STOCK_WRITE = "stock:write"
    CATALOGUE_READ = "catalogue:read"
    CATALOGUE_WRITE = "catalogue:write"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    COUNTS_WRITE = "counts:write"
    COUNTS_APPROVE = "counts:approve"
    ALERTS_WRITE = "alerts:write"
    PLANNING_READ = "planning:read"
    PLANNING_WRITE = "planning:write"
    ANALYTICS_READ = "analytics:read"
    EXCHANGE_READ = "exchange:read"
    EXCHANGE_WRITE = "exchange:write"
    WEBHOOKS_WRITE = "webhooks:write"
    ERP_WRITE = "erp:write"
    IDENTITY_WRITE = "identity:write"
    AUDIT_READ = "audit:read"
    EVENTS_READ = "events:read"


_READING = frozenset({Permission.FORECAST, Permission.DESCRIBE})
ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.READER: _READING,
    Role.OPERATOR: _READING,
    Role.ANALYST: _READING,
    Role.PLANNER: _READING,
    Role.MANAGER: _READING | {Permission.METRICS},
    Role.ADMIN: frozenset(Permission),
    Role.MONITOR: frozenset({Permission.METRICS}),
    Role.SUPPLY_CHAIN: _READING,
    Role.SERVICE: _READING,
}


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who makes a request.

    Attributes:
        name: the name the token was created with.
        role: what it is.
    """

    name: str
    role: Role

    def require(self, permission: Permission | Scope) -> None:
        """Return where the role may do it.

        Raises:
            PermissionDeniedError: it may not.
        """
        if isinstance(permission, Scope):
            return
        if permission not in ROLE_PERMISSIONS[self.role]:
            allowed = ", ".join(role for role, granted in ROLE_PERMISSIONS.items() if permission in granted)
            raise PermissionDeniedError(
                f"token {self.name!r} has role {self.role}, which may not do {permission!r}. Use a token with one of "
                f"the roles {allowed}: restock token create --name NAME --role ROLE."
            )


class TokenVerifier(Protocol):
    """Whatever knows who a token belongs to: a file, later the users in the database."""

    def verify(self, token: str) -> Principal:
        """Return who the token belongs to; "" stands for a request without one.

        Raises:
            AuthenticationError: the token is missing, unknown or revoked.
            ConfigurationError: the tokens can't be read; nobody gets in.
        """
        ...


class TokenRecord(BaseModel):
    """One token as it is kept: never the token, only its hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Who it was made for.")
    role: Role = Field(description="What it may do.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the token.")
    created_at_utc: datetime = Field(description="When it was created.")
    revoked_at_utc: datetime | None = Field(default=None, description="When it was revoked; null while it is valid.")


class _TokenDocument(BaseModel):
    """The tokens file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    tokens: tuple[TokenRecord, ...] = ()


def hash_token(token: str) -> str:
    """Return what is stored of a token.

    A plain SHA-256 is enough because a token holds 256 random bits: there is nothing to guess, so nothing to slow down.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def read_tokens(path: Path) -> tuple[TokenRecord, ...]:
    """Return all tokens in the file, revoked ones too; none where there is no file.

    Raises:
        ConfigurationError: others may read the file, or it is not a tokens file.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return ()
    if mode & _OTHERS_MODE:
        raise ConfigurationError(
            f"the tokens file {path} may be read or written by others (mode {mode & 0o777:03o}, expected 600). "
            f"Mend it: chmod 600 {path}."
        )
    try:
        return _TokenDocument.model_validate(read_json(path)).tokens
    except NotFoundError:
        return ()
    except (DataError, ValidationError) as error:
        raise ConfigurationError(
            f"the tokens file {path} is not valid ({type(error).__name__}). Restore it, or delete it and create the "
            "tokens anew: restock token create --name NAME --role ROLE."
        ) from error


def list_tokens(path: Path) -> tuple[TokenRecord, ...]:
    """Return the valid tokens in the file.

    Raises:
        ConfigurationError: others may read the file, or it is not a tokens file.
    """
    return tuple(token for token in read_tokens(path) if token.revoked_at_utc is None)


def create_token(path: Path, name: str, *, role: Role) -> str:
    """Return a new token, of which only the hash is written to the file.

    Args:
        path: the tokens file; made with mode 0600 where missing.
        name: who it is for; 1 to 64 letters, digits or ._@-, not in use by another valid token.
        role: what it may do.

    Raises:
        ConfigurationError: the name is not valid or in use, or the file can't be read.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"the token name must be 1 to 64 letters, digits or ._@-, got {name!r}.")
    token = TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    record = TokenRecord(name=name, role=role, sha256=hash_token(token), created_at_utc=datetime.now(UTC))
    with _locked(path):
        tokens = read_tokens(path)
        if any(other.name == name for other in list_tokens(path)):
            raise ConfigurationError(
                f"a valid token named {name!r} exists already. Choose another name, or revoke it first: "
                f"restock token revoke {name}."
            )
        _write_tokens(path, (*tokens, record))
    return token


def revoke_token(path: Path, name: str) -> TokenRecord:
    """Return the token of that name, now revoked; services refuse it from the next request on.

    Raises:
        NotFoundError: no valid token has that name.
        ConfigurationError: the file can't be read.
    """
    with _locked(path):
        tokens = read_tokens(path)
        for position, token in enumerate(tokens):
            if token.name == name and token.revoked_at_utc is None:
                revoked = token.model_copy(update={"revoked_at_utc": datetime.now(UTC)})
                _write_tokens(path, (*tokens[:position], revoked, *tokens[position + 1 :]))
                return revoked
    valid = ", ".join(token.name for token in tokens if token.revoked_at_utc is None) or "none"
    raise NotFoundError(f"no valid token is named {name!r}; valid tokens: {valid}.")


class TokenFile:
    """Verifies tokens against the tokens file, which is read again whenever it changed.

    Args:
        path: the tokens file; where it is missing, every token is refused.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        # What was read, and the file's identity when it was read, replaced together.
        self._known: tuple[tuple[int, ...] | None, tuple[TokenRecord, ...]] | None = None

    def verify(self, token: str) -> Principal:
        """Return who the token belongs to; "" stands for a request without one.

        Raises:
            AuthenticationError: no token exists yet, none came, or this one is unknown or revoked.
            ConfigurationError: the file can't be trusted or read.
        """
        records = self._records()
        if not records:
            raise AuthenticationError(
                "no token exists yet, so every request is refused. Create one: "
                "restock token create --name NAME --role reader."
            )
        if not token:
            raise AuthenticationError(
                "no token came with the request. Send one as `Authorization: Bearer TOKEN`; make one with "
                "restock token create --name NAME --role reader."
            )
        digest = hash_token(token)
        found: TokenRecord | None = None
        for record in records:
            # Every record is compared, each in constant time, so that the answer's time tells nothing.
            if hmac.compare_digest(record.sha256, digest):
                found = record
        if found is None or found.revoked_at_utc is not None:
            raise AuthenticationError(
                "the token is unknown or revoked. Send a valid one as `Authorization: Bearer TOKEN`; make one with "
                "restock token create --name NAME --role reader."
            )
        return Principal(name=found.name, role=found.role)

    def _records(self) -> tuple[TokenRecord, ...]:
        identity = _identity(self._path)
        known = self._known
        if known is not None and known[0] == identity:
            return known[1]
        with self._lock:
            records = read_tokens(self._path)
            self._known = (identity, records)
            return records


def _identity(path: Path) -> tuple[int, ...] | None:
    """Return what changes whenever the file is replaced or edited, or None where it is missing."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _write_tokens(path: Path, tokens: tuple[TokenRecord, ...]) -> None:
    write_json(path, _TokenDocument(tokens=tokens).model_dump(mode="json"), mode=_FILE_MODE)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock beside the tokens file, so that two commands at once lose no token."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_CREAT | os.O_RDWR, _FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
