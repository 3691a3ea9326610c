"""Who may come in: users, tokens, sessions, identities of other issuers, and how often somebody failed."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from restock.adapters.database.base import Base, Code, Instant, Json, Words

_ROLES = "role IN ('operator', 'manager', 'analyst', 'supply_chain', 'admin', 'service')"


class UserRow(Base):
    """A person."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint(_ROLES, name="role"),)

    username: Mapped[Code] = mapped_column(primary_key=True)
    display_name: Mapped[Words]
    role: Mapped[Code]
    # Argon2id with its parameters; null where the user comes through another issuer only.
    password_hash: Mapped[Words | None]
    must_change_password: Mapped[bool]
    is_active: Mapped[bool]
    created_at_utc: Mapped[Instant]
    changed_at_utc: Mapped[Instant]
    version: Mapped[int]


class ExternalIdentityRow(Base):
    """A user as an OpenID Connect issuer knows them."""

    __tablename__ = "external_identities"

    issuer: Mapped[Code] = mapped_column(primary_key=True)
    subject: Mapped[Code] = mapped_column(primary_key=True)
    username: Mapped[Code] = mapped_column(ForeignKey("users.username"), index=True)
    linked_at_utc: Mapped[Instant]


class ApiTokenRow(Base):
    """A token, as its hash."""

    __tablename__ = "api_tokens"
    __table_args__ = (CheckConstraint(_ROLES, name="role"),)

    token: Mapped[Code] = mapped_column(primary_key=True)
    name: Mapped[Code]
    # Whose it is; null for one that the command line made.
    username: Mapped[Code | None] = mapped_column(ForeignKey("users.username"), index=True)
    role: Mapped[Code]
    # Under "scopes": what of the role's rights it has; null is all of them.
    scopes: Mapped[Json | None]
    sha256: Mapped[Code] = mapped_column(unique=True)
    created_at_utc: Mapped[Instant]
    expires_at_utc: Mapped[Instant | None]
    revoked_at_utc: Mapped[Instant | None]


class SessionRow(Base):
    """A browser that signed in: its cookie and its CSRF token, as hashes."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "expires_at_utc"),)

    sha256: Mapped[Code] = mapped_column(primary_key=True)
    csrf_sha256: Mapped[Code]
    username: Mapped[Code] = mapped_column(ForeignKey("users.username"), index=True)
    created_at_utc: Mapped[Instant]
    expires_at_utc: Mapped[Instant]


class LoginFailureRow(Base):
    """How often signing in failed, by user and by address."""

    __tablename__ = "login_failures"

    # user:NAME or address:IP.
    who: Mapped[Code] = mapped_column(primary_key=True)
    n_failures: Mapped[int]
    last_failed_at_utc: Mapped[Instant]
    blocked_until_utc: Mapped[Instant | None]
