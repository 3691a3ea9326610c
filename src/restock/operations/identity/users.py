"""People: who they are, their role and password, and that somebody is always left who may manage them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from restock.adapters.database.identity_tables import ApiTokenRow, LoginFailureRow, SessionRow, UserRow
from restock.adapters.database.journal import append_audit
from restock.adapters.database.table_locks import lock_table
from restock.errors import ConflictError, DataError, NotFoundError, VersionConflictError
from restock.operations.access import ROLE_SCOPES, Role
from restock.operations.identity.passwords import hash_password, require_good_password

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_LONGEST_DISPLAY_NAME = 200


@dataclass(frozen=True, kw_only=True)
class User:
    """A person.

    Attributes:
        username: in lower case.
        display_name: as others call them.
        role: what they are.
        has_password: whether they can sign in here; otherwise only through an issuer.
        must_change_password: whether they can do nothing else before.
        is_active: whether they are let in at all.
        created_at: when, UTC.
        changed_at: when something of this changed last, UTC.
        version: rises with each change.
    """

    username: str
    display_name: str
    role: Role
    has_password: bool
    must_change_password: bool
    is_active: bool
    created_at: datetime
    changed_at: datetime
    version: int


@dataclass(frozen=True, kw_only=True)
class UserDraft:
    """A person who is to be added.

    Attributes:
        username: 1 to 64 letters, digits or ._@-; kept in lower case.
        role: what they are.
        display_name: as others call them.
        password: their first one; None where they come through an issuer only.
        must_change_password: whether they have to choose another one first.
    """

    username: str
    role: Role
    display_name: str = ""
    password: str | None = None
    must_change_password: bool = False


def fold_username(username: str) -> str:
    """Return a username as it is kept, so that nobody can be mistaken for somebody else.

    Raises:
        DataError: it can't be one.
    """
    folded = username.lower()
    # A Kelvin sign becomes a k in lower case.
    if not username.isascii() or not _USERNAME.fullmatch(folded):
        raise DataError(f"the username must be 1 to 64 letters, digits or ._@-, got {username[:80]!r}.")
    return folded


def create_user(connection: Connection, draft: UserDraft, *, actor: str, now: datetime) -> User:
    """Return a new user.

    Args:
        connection: in a write transaction.
        draft: who.
        actor: who adds them.
        now: the time, UTC.

    Raises:
        DataError: the name or the password can't be used.
        ConflictError: the name is in use, by a user or a token.
    """
    username = fold_username(draft.username)
    _check_display_name(draft.display_name)
    if draft.password is not None:
        require_good_password(draft.password, username=username)
    lock_table(connection, UserRow)
    _require_free_name(connection, username)
    row = {
        "username": username,
        "display_name": draft.display_name,
        "role": draft.role.value,
        "password_hash": None if draft.password is None else hash_password(draft.password),
        "must_change_password": draft.must_change_password,
        "is_active": True,
        "created_at_utc": now,
        "changed_at_utc": now,
        "version": 1,
    }
    connection.execute(insert(UserRow), row)
    details = {"role": draft.role.value, "has_password": draft.password is not None}
    append_audit(connection, actor=actor, action="create_user", subject=username, now=now, details=details)
    return find_user(connection, username)


def list_users(connection: Connection) -> tuple[User, ...]:
    """Return all users, by name; disabled ones too."""
    rows = connection.execute(select(UserRow.__table__).order_by(UserRow.username)).mappings()
    return tuple(user_of(row) for row in rows)


def find_user(connection: Connection, username: str) -> User:
    """Return a user.

    Raises:
        NotFoundError: there is none of that name.
    """
    statement = select(UserRow.__table__).where(UserRow.username == username.lower())
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"there is no user {username[:80]!r}.")
    return user_of(row)


def has_users(connection: Connection) -> bool:
    """Return whether anybody was ever added."""
    return connection.execute(select(UserRow.username).limit(1)).first() is not None


@dataclass(frozen=True, kw_only=True)
class UserChange:
    """What is to change of a user; None leaves it.

    Attributes:
        role: what they are.
        display_name: as others call them.
        is_active: whether they are let in.
    """

    role: Role | None = None
    display_name: str | None = None
    is_active: bool | None = None


def change_user(
    connection: Connection,
    username: str,
    change: UserChange,
    *,
    actor: str,
    now: datetime,
    expected_version: int | None = None,
) -> User:
    """Return a user, changed; who is disabled is out at once, and tokens beyond a new role are revoked.

    Args:
        connection: in a write transaction.
        username: who.
        change: what.
        actor: who changes it.
        now: the time, UTC.
        expected_version: the version that the actor has seen.

    Raises:
        NotFoundError: there is no such user.
        VersionConflictError: they changed since.
        ConflictError: nobody would be left who may manage users.
        DataError: the display name is too long.
    """
    lock_table(connection, UserRow)
    user = find_user(connection, username)
    if expected_version is not None and expected_version != user.version:
        raise VersionConflictError(
            f"user {user.username} is at version {user.version}, got {expected_version}. Read them again."
        )
    _check_display_name(change.display_name or "")
    given = {"role": change.role, "display_name": change.display_name, "is_active": change.is_active}
    values = {name: value for name, value in given.items() if value is not None and value != getattr(user, name)}
    if not values:
        return user
    _write(connection, user.username, values, now=now)
    if user.role is Role.ADMIN and user.is_active:
        _require_an_admin(connection)
    if change.is_active is False:
        end_sessions(connection, user.username)
    if change.role is not None and change.role != user.role:
        end_sessions(connection, user.username)
        _revoke_beyond(connection, user.username, change.role, actor=actor, now=now)
    append_audit(connection, actor=actor, action="change_user", subject=user.username, now=now, details=values)
    return find_user(connection, username)


def set_password(
    connection: Connection,
    username: str,
    password: str,
    *,
    actor: str,
    now: datetime,
    must_change: bool = False,
    keep_session: str | None = None,
) -> User:
    """Return a user with a new password; they are signed out everywhere else, and may try again at once.

    Args:
        connection: in a write transaction.
        username: who.
        password: the new one.
        actor: who sets it.
        now: the time, UTC.
        must_change: whether they have to choose another one first.
        keep_session: hash of the session that stays.

    Raises:
        NotFoundError: there is no such user.
        DataError: the password can't be used.
    """
    user = find_user(connection, username)
    require_good_password(password, username=user.username)
    values = {"password_hash": hash_password(password), "must_change_password": must_change}
    # The tables are locked in one order everywhere: login_failures, then users.
    connection.execute(delete(LoginFailureRow).where(LoginFailureRow.who == f"user:{user.username}"))
    lock_table(connection, UserRow)
    _write(connection, user.username, values, now=now)
    end_sessions(connection, user.username, keep=keep_session)
    details = {"must_change_password": must_change}
    append_audit(connection, actor=actor, action="set_password", subject=user.username, now=now, details=details)
    return find_user(connection, username)


def end_sessions(connection: Connection, username: str, *, keep: str | None = None) -> None:
    """Sign a user out everywhere.

    Args:
        connection: in a write transaction.
        username: who.
        keep: hash of the session that stays.
    """
    statement = delete(SessionRow).where(SessionRow.username == username)
    connection.execute(statement if keep is None else statement.where(SessionRow.sha256 != keep))


def user_of(row: RowMapping) -> User:
    """Return a row of users as a user."""
    return User(
        username=row["username"],
        display_name=row["display_name"],
        role=Role(row["role"]),
        has_password=row["password_hash"] is not None,
        must_change_password=bool(row["must_change_password"]),
        is_active=bool(row["is_active"]),
        created_at=row["created_at_utc"],
        changed_at=row["changed_at_utc"],
        version=int(row["version"]),
    )


def _write(connection: Connection, username: str, values: Mapping[str, Any], *, now: datetime) -> None:
    statement = update(UserRow).where(UserRow.username == username)
    connection.execute(statement.values(**values, changed_at_utc=now, version=UserRow.version + 1))


def _check_display_name(display_name: str) -> None:
    if len(display_name) > _LONGEST_DISPLAY_NAME or not display_name.isprintable():
        raise DataError(f"the display name must be at most {_LONGEST_DISPLAY_NAME} characters in one line.")


def _require_free_name(connection: Connection, username: str) -> None:
    if connection.execute(select(UserRow.username).where(UserRow.username == username)).first() is not None:
        raise ConflictError(f"a user named {username!r} exists already. Choose another name.")
    # The audit log says the name of a token where it belongs to nobody: it must not look like a person's.
    of_token = select(ApiTokenRow.token).where(
        func.lower(ApiTokenRow.name) == username, ApiTokenRow.revoked_at_utc.is_(None)
    )
    if connection.execute(of_token.limit(1)).first() is not None:
        raise ConflictError(f"a token is named {username!r}. Choose another name, or revoke the token first.")


def _require_an_admin(connection: Connection) -> None:
    """Refuse a change after which nobody could sign in here and manage users."""
    admins = select(UserRow.username).where(
        UserRow.role == Role.ADMIN.value, UserRow.is_active, UserRow.password_hash.is_not(None)
    )
    if connection.execute(admins.limit(1)).first() is None:
        raise ConflictError("nobody would be left who may manage users. Make somebody else an admin first.")


def _revoke_beyond(connection: Connection, username: str, role: Role, *, actor: str, now: datetime) -> None:
    """Revoke what tokens of a user have that their new role has not."""
    live = select(ApiTokenRow.token, ApiTokenRow.role).where(
        ApiTokenRow.username == username, ApiTokenRow.revoked_at_utc.is_(None)
    )
    for token, of_token in connection.execute(live).all():
        if ROLE_SCOPES[Role(of_token)] <= ROLE_SCOPES[role]:
            continue
        connection.execute(update(ApiTokenRow).where(ApiTokenRow.token == token).values(revoked_at_utc=now))
        details = {"username": username, "because": f"role {role.value}"}
        append_audit(connection, actor=actor, action="revoke_token", subject=token, now=now, details=details)
