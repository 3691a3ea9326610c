"""Sessions of browsers: a random cookie and, for what changes something, a second secret that only our own page sends.

The second one, against forged requests, is derived from the cookie: only who can read the page that the cookie opened
can know it, and a reload of the page gets it again. The database holds the hashes of both.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from restock.adapters.database.identity_tables import SessionRow, UserRow
from restock.errors import AuthenticationError, PermissionDeniedError
from restock.operations.access import Principal, PrincipalKind, Role
from restock.operations.identity.tokens import hash_token

SESSION_HOURS = timedelta(hours=12)
LONGEST_SESSION = timedelta(days=7)
# It is extended by use, but written no more often than this.
_EXTENDED_EVERY = timedelta(hours=1)
_SESSION_BYTES = 32
_LONGEST_COOKIE = 200
_CSRF_MARK = b"restock csrf"
_SIGN_IN_AGAIN = "the session is unknown or over. Sign in again."


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """A session that just began.

    Attributes:
        cookie: what the browser keeps.
        csrf_token: what our page sends with everything that changes something.
        expires_at: when it ends where it is not used, UTC.
    """

    cookie: str
    csrf_token: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session that holds.

    Attributes:
        sha256: names it.
        principal: whose it is.
        must_change_password: whether they can do nothing else before; then the principal has no scopes.
        expires_at: when it ends where it is not used, UTC.
        is_due: whether it is time to extend it.
    """

    sha256: str
    principal: Principal
    must_change_password: bool
    expires_at: datetime
    is_due: bool


def begin_session(connection: Connection, username: str, *, now: datetime) -> NewSession:
    """Return a new session of a user; sessions that are over are forgotten.

    Args:
        connection: in a write transaction.
        username: who signed in.
        now: the time, UTC.
    """
    connection.execute(delete(SessionRow).where(SessionRow.expires_at_utc <= now))
    cookie = secrets.token_urlsafe(_SESSION_BYTES)
    csrf_token = derive_csrf_token(cookie)
    row = {
        "sha256": hash_token(cookie),
        "csrf_sha256": hash_token(csrf_token),
        "username": username,
        "created_at_utc": now,
        "expires_at_utc": now + SESSION_HOURS,
    }
    connection.execute(insert(SessionRow), row)
    return NewSession(cookie=cookie, csrf_token=csrf_token, expires_at=now + SESSION_HOURS)


def derive_csrf_token(cookie: str) -> str:
    """Return the secret against forged requests that belongs to a session."""
    return hmac.new(cookie.encode("utf-8", "replace"), _CSRF_MARK, hashlib.sha256).hexdigest()


def find_session(connection: Connection, cookie: str, *, now: datetime) -> Session:
    """Return the session that a cookie opens.

    Args:
        connection: in a transaction.
        cookie: as the browser sent it.
        now: the time, UTC.

    Raises:
        AuthenticationError: there is none, it is over, or the user is disabled.
    """
    row = None
    if cookie and len(cookie) <= _LONGEST_COOKIE:
        statement = (
            select(SessionRow.__table__, UserRow.role, UserRow.is_active, UserRow.must_change_password)
            .join(UserRow, UserRow.username == SessionRow.username)
            .where(SessionRow.sha256 == hash_token(cookie))
        )
        row = connection.execute(statement).mappings().one_or_none()
    if row is None or row["expires_at_utc"] <= now or not row["is_active"]:
        raise AuthenticationError(_SIGN_IN_AGAIN)
    must_change = bool(row["must_change_password"])
    principal = Principal(
        name=row["username"],
        role=Role(row["role"]),
        scopes=frozenset() if must_change else None,
        kind=PrincipalKind.USER,
    )
    return Session(
        sha256=row["sha256"],
        principal=principal,
        must_change_password=must_change,
        expires_at=row["expires_at_utc"],
        is_due=_extended(row["created_at_utc"], now) - row["expires_at_utc"] >= _EXTENDED_EVERY,
    )


def require_csrf_token(connection: Connection, session: Session, csrf_token: str) -> None:
    """Return where the secret that came with a request is the session's.

    Raises:
        PermissionDeniedError: it is not, or none came.
    """
    statement = select(SessionRow.csrf_sha256).where(SessionRow.sha256 == session.sha256)
    expected = connection.execute(statement).scalar_one_or_none() or ""
    if not hmac.compare_digest(expected, hash_token(csrf_token)):
        raise PermissionDeniedError(
            "the request may be forged: the header X-CSRF-Token is missing or not this session's. Send csrf_token from "
            "POST /auth/login or GET /auth/me."
        )


def extend_session(connection: Connection, session: Session, *, now: datetime) -> None:
    """Let a session that is used go on, up to its longest.

    Args:
        connection: in a write transaction.
        session: which.
        now: the time, UTC.
    """
    mine = SessionRow.sha256 == session.sha256
    created_at = connection.execute(select(SessionRow.created_at_utc).where(mine)).scalar_one_or_none()
    if created_at is not None:
        connection.execute(update(SessionRow).where(mine).values(expires_at_utc=_extended(created_at, now)))


def end_session(connection: Connection, session: Session) -> None:
    """End a session, as signing out does.

    Args:
        connection: in a write transaction.
        session: which.
    """
    connection.execute(delete(SessionRow).where(SessionRow.sha256 == session.sha256))


def _extended(created_at: datetime, now: datetime) -> datetime:
    return min(now + SESSION_HOURS, created_at + LONGEST_SESSION)
