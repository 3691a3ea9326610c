"""Signing in and out with a password, and changing it; every try is counted, and what happened is in the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, select, update

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.identity_tables import UserRow
from restock.adapters.database.journal import append_audit
from restock.errors import AuthenticationError, DataError
from restock.operations.identity.passwords import PasswordCheck, check_password, require_good_password
from restock.operations.identity.sessions import NewSession, Session, begin_session, end_session
from restock.operations.identity.throttle import attempt_keys, begin_attempt, forgive_attempt
from restock.operations.identity.users import User, find_user, fold_username, set_password

# What the audit log calls somebody who is not known.
NOBODY = "nobody"


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """Somebody who signed in.

    Attributes:
        user: who.
        session: theirs, from now on.
    """

    user: User
    session: NewSession


def sign_in(engine: Engine, username: str, password: str, *, address: str, now: datetime) -> SignedIn:
    """Return a new session of a user.

    The password is looked at outside of any transaction: it takes long, and others want to write meanwhile.

    Args:
        engine: the database.
        username: as it was typed.
        password: as it was typed.
        address: where the request came from.
        now: the time, UTC.

    Raises:
        AuthenticationError: no such user, a disabled one, or not their password; which of these is not said.
        TooManyAttemptsError: signing in failed too often.
    """
    name = _known_form(username)
    keys = attempt_keys(name, address)
    with write_transaction(engine) as connection:
        begin_attempt(connection, keys, now=now)
    kept, is_active = _read_hash(engine, name)
    check = check_password(password, kept)
    if name is None or not check.is_right or not is_active:
        _note_failure(engine, name if kept is not None else None, address=address, now=now)
        raise AuthenticationError("the username or the password is wrong, or the user is disabled.")
    with write_transaction(engine) as connection:
        # What was right a moment ago must still be: another process may have changed it meanwhile.
        if _still(connection, name) != (kept, True):
            raise AuthenticationError("the user changed meanwhile. Sign in again.")
        forgive_attempt(connection, keys)
        _keep_new_hash(connection, name, check)
        session = begin_session(connection, name, now=now)
        append_audit(connection, actor=name, action="sign_in", subject=name, now=now, details={"address": address})
        return SignedIn(user=find_user(connection, name), session=session)


def sign_out(engine: Engine, session: Session, *, now: datetime) -> None:
    """End a session."""
    name = session.principal.name
    with write_transaction(engine) as connection:
        end_session(connection, session)
        append_audit(connection, actor=name, action="sign_out", subject=name, now=now, details={})


def change_password(
    engine: Engine, session: Session, *, old_password: str, new_password: str, address: str, now: datetime
) -> None:
    """Change the password of whoever is signed in; their other sessions end.

    Raises:
        AuthenticationError: the old password is wrong.
        DataError: the new one can't be used, or is the old one.
        TooManyAttemptsError: that happened too often.
    """
    name = session.principal.name
    require_good_password(new_password, username=name)
    keys = attempt_keys(name, address)
    with write_transaction(engine) as connection:
        begin_attempt(connection, keys, now=now)
    kept, _ = _read_hash(engine, name)
    if not check_password(old_password, kept).is_right:
        _note_failure(engine, name, address=address, now=now)
        raise AuthenticationError("the old password is wrong.")
    if new_password == old_password:
        with write_transaction(engine) as connection:
            forgive_attempt(connection, keys)
        raise DataError("the new password must not be the old one.")
    with write_transaction(engine) as connection:
        forgive_attempt(connection, keys)
        set_password(connection, name, new_password, actor=name, now=now, keep_session=session.sha256)


def _known_form(username: str) -> str | None:
    try:
        return fold_username(username)
    except DataError:
        return None


def _read_hash(engine: Engine, username: str | None) -> tuple[str | None, bool]:
    with read_transaction(engine) as connection:
        return _still(connection, username)


def _still(connection: Connection, username: str | None) -> tuple[str | None, bool]:
    """Return what is kept of a user's password, and whether they are active; nothing of nobody."""
    statement = select(UserRow.password_hash, UserRow.is_active).where(UserRow.username == (username or ""))
    row = connection.execute(statement).one_or_none()
    return (None, False) if row is None else (row.password_hash, bool(row.is_active))


def _keep_new_hash(connection: Connection, username: str, check: PasswordCheck) -> None:
    if check.new_hash is not None:
        connection.execute(update(UserRow).where(UserRow.username == username).values(password_hash=check.new_hash))


def _note_failure(engine: Engine, username: str | None, *, address: str, now: datetime) -> None:
    # What was typed for a name that is not known may be a password.
    with write_transaction(engine) as connection:
        append_audit(
            connection,
            actor=NOBODY,
            action="fail_to_sign_in",
            subject=username or NOBODY,
            now=now,
            details={"address": address},
        )
