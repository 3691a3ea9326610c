"""The first admin: somebody has to be able to get in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine

from restock.adapters.database.engine import write_transaction
from restock.adapters.database.identity_tables import UserRow
from restock.adapters.database.table_locks import lock_table
from restock.operations.access import Role
from restock.operations.identity.passwords import make_password
from restock.operations.identity.users import UserDraft, create_user, has_users

FIRST_ADMIN = "admin"


def create_first_admin(engine: Engine, *, actor: str, now: datetime) -> str | None:
    """Return the password of a first admin, made where there is no user yet; None where there is one.

    It is kept nowhere, and has to be changed when they sign in.

    Args:
        engine: the database.
        actor: what starts for the first time.
        now: the time, UTC.
    """
    with write_transaction(engine) as connection:
        lock_table(connection, UserRow)
        if has_users(connection):
            return None
        password = make_password()
        draft = UserDraft(username=FIRST_ADMIN, role=Role.ADMIN, password=password, must_change_password=True)
        create_user(connection, draft, actor=actor, now=now)
        return password
