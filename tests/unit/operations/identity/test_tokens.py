from __future__ import annotations

import hashlib
import threading
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.identity_tables import ApiTokenRow, UserRow
from restock.errors import ConflictError, DataError, NotFoundError
from restock.operations.access import Role, Scope
from restock.operations.identity.tokens import list_tokens, revoke_named, revoke_token


def add_user(engine, username, now):
    row = {"username": username, "display_name": "", "role": "manager", "password_hash": None, "version": 1}
    row |= {"must_change_password": False, "is_active": True, "created_at_utc": now, "changed_at_utc": now}
    with write_transaction(engine) as connection:
        connection.execute(insert(UserRow), row)


def test_create_token_writes_only_the_hash(engine, make_token):
    token = make_token()
    with read_transaction(engine) as connection:
        row = connection.execute(select(ApiTokenRow.__table__)).one()
    assert token.startswith("rst_")
    assert token not in str(row)
    assert row.sha256 == hashlib.sha256(token.encode()).hexdigest()


def test_create_token_twice_gives_different_tokens(make_token):
    assert make_token("a") != make_token("b")


def test_create_token_name_in_use_is_refused(make_token):
    make_token("me")
    with pytest.raises(ConflictError, match="restock token revoke me"):
        make_token("me", role=Role.ADMIN)


def test_create_token_named_like_a_user_is_refused(engine, make_token, clock):
    add_user(engine, "anna", clock.now)
    with pytest.raises(ConflictError, match="'Anna' is the name of a user"):
        make_token("Anna")


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "-x", "a\n"])
def test_create_token_bad_name_is_refused(make_token, name):
    with pytest.raises(DataError, match="1 to 64 letters"):
        make_token(name)


def test_create_token_scope_beyond_the_role_is_refused(make_token):
    with pytest.raises(DataError, match="role operator has no scope identity:write"):
        make_token(role=Role.OPERATOR, scopes=[Scope.STOCK_READ, Scope.IDENTITY_WRITE])


def test_create_token_without_any_scope_is_refused(make_token):
    with pytest.raises(DataError, match="could do nothing"):
        make_token(scopes=[])


def test_create_token_that_expired_already_is_refused(make_token, clock):
    with pytest.raises(DataError, match="would have expired already"):
        make_token(expires_at=clock.now)


def test_create_token_of_an_unknown_user_is_refused(make_token):
    with pytest.raises(NotFoundError, match="there is no user 'nobody'"):
        make_token(username="nobody")


def test_create_token_of_one_name_from_many_threads_makes_one(engine, make_token):
    outcomes = []

    def make():
        try:
            outcomes.append(make_token("one"))
        except ConflictError:
            outcomes.append(None)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome is None for outcome in outcomes) == [False] + [True] * 5
    with read_transaction(engine) as connection:
        assert len(list_tokens(connection)) == 1


def test_create_and_revoke_token_leave_audit_entries_without_secrets(engine, make_token, clock, read_audit):
    token = make_token("me", scopes=[Scope.STOCK_READ], expires_at=clock.now + timedelta(days=1))
    with write_transaction(engine) as connection:
        revoke_named(connection, "me", actor="boss", now=clock.now)
    made, revoked = read_audit()
    assert made[:2] == ("test", "create_token")
    assert made[3] == {
        "name": "me",
        "role": "service",
        "username": None,
        "scopes": ["stock:read"],
        "expires_at_utc": "2024-05-02T12:00:00+00:00",
    }
    assert revoked[:2] == ("boss", "revoke_token")
    assert token not in str(read_audit())
    assert hashlib.sha256(token.encode()).hexdigest() not in str(read_audit())


def test_revoke_named_unknown_name_names_the_valid_ones(engine, make_token, clock):
    make_token("me")
    with (
        pytest.raises(NotFoundError, match="valid tokens: me"),
        write_transaction(engine) as connection,
    ):
        revoke_named(connection, "you", actor="test", now=clock.now)


def test_revoke_token_keeps_its_record_and_frees_its_name(engine, make_token, clock):
    make_token("me")
    with write_transaction(engine) as connection:
        revoke_named(connection, "me", actor="test", now=clock.now)
    clock.forward(seconds=1)
    make_token("me", role=Role.ADMIN)
    with read_transaction(engine) as connection:
        records = list_tokens(connection)
    assert [(record.role, record.revoked_at is None) for record in records] == [
        (Role.SERVICE, False),
        (Role.ADMIN, True),
    ]


def test_revoke_token_twice_keeps_the_first_time_and_one_audit_entry(engine, make_token, clock, read_audit):
    make_token("me")
    with write_transaction(engine) as connection:
        first = revoke_named(connection, "me", actor="test", now=clock.now)
        clock.forward(hours=1)
        assert revoke_token(connection, first.identifier, actor="test", now=clock.now) == first
    assert [entry[1] for entry in read_audit()] == ["create_token", "revoke_token"]


def test_list_tokens_of_a_user_shows_theirs_alone(engine, make_token, clock):
    add_user(engine, "anna", clock.now)
    make_token("till")
    make_token("phone", username="anna", role=Role.MANAGER)
    with read_transaction(engine) as connection:
        assert [record.name for record in list_tokens(connection, username="anna")] == ["phone"]
