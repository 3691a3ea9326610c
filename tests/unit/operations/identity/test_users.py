from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.identity_tables import LoginFailureRow, SessionRow
from restock.errors import ConflictError, DataError, NotFoundError, VersionConflictError
from restock.operations.access import Role
from restock.operations.identity import passwords
from restock.operations.identity.first_admin import create_first_admin
from restock.operations.identity.passwords import check_password, hash_password
from restock.operations.identity.sessions import begin_session
from restock.operations.identity.throttle import attempt_keys, begin_attempt
from restock.operations.identity.tokens import list_tokens
from restock.operations.identity.users import (
    UserChange,
    UserDraft,
    change_user,
    create_user,
    find_user,
    list_users,
    set_password,
)

PASSWORD = "correct horse battery"


@pytest.fixture
def add(engine, clock):
    """Return a function that adds a user."""

    def add_one(username, role=Role.OPERATOR, **draft):
        draft = {"password": PASSWORD} | draft
        with write_transaction(engine) as connection:
            return create_user(
                connection, UserDraft(username=username, role=role, **draft), actor="test", now=clock.now
            )

    return add_one


@pytest.fixture
def change(engine, clock):
    """Return a function that changes a user."""

    def change_one(username, *, expected_version=None, **values):
        with write_transaction(engine) as connection:
            return change_user(
                connection,
                username,
                UserChange(**values),
                actor="boss",
                now=clock.now,
                expected_version=expected_version,
            )

    return change_one


def test_create_user_folds_the_name_and_keeps_no_password(engine, add, read_audit):
    user = add("Anna.B", display_name="Anna B.")
    assert (user.username, user.role, user.has_password, user.version) == ("anna.b", Role.OPERATOR, True, 1)
    with read_transaction(engine) as connection:
        assert list_users(connection) == (user,)
        assert find_user(connection, "ANNA.b") == user
    assert read_audit() == [("test", "create_user", "anna.b", {"role": "operator", "has_password": True})]


@pytest.mark.parametrize("username", ["", "a b", "-a", "x" * 65, "ann\u00e4", "a\n", "\u212aelvin"])
def test_create_user_bad_name_is_refused(add, username):
    with pytest.raises(DataError, match="1 to 64 letters"):
        add(username)


@pytest.mark.parametrize(
    ("password", "complaint"),
    [
        ("elevenchars", "12 to 1000 characters, got 11"),
        ("x" * 1001, "12 to 1000 characters, got 1001"),
        ("warehouse-anna", "must not be the username"),
        ("ANNA-esuoheraw"[::-1].lower()[::-1], "must not be the username"),
        ("aaaaaaaaaaaab", "4 different characters"),
    ],
)
def test_create_user_weak_password_is_refused(add, password, complaint):
    with pytest.raises(DataError, match=complaint):
        add("warehouse-anna", password=password)


def test_create_user_name_in_use_in_any_case_is_refused(add, make_token):
    add("anna")
    with pytest.raises(ConflictError, match="a user named 'anna' exists"):
        add("ANNA")
    make_token("Till-1")
    with pytest.raises(ConflictError, match="a token is named 'till-1'"):
        add("till-1")


def test_change_user_writes_what_differs_and_counts_versions(add, change, clock, read_audit):
    add("anna")
    clock.forward(minutes=1)
    user = change("anna", role=Role.MANAGER, display_name="")
    assert (user.role, user.version, user.changed_at) == (Role.MANAGER, 2, clock.now)
    assert change("anna", role=Role.MANAGER) == user
    assert read_audit()[1:] == [("boss", "change_user", "anna", {"role": "manager"})]


def test_change_user_that_changed_meanwhile_is_refused(add, change):
    add("anna")
    change("anna", expected_version=1, display_name="Anna")
    with pytest.raises(VersionConflictError, match="at version 2, got 1"):
        change("anna", expected_version=1, role=Role.ADMIN)


def test_change_user_that_is_unknown_is_refused(change):
    with pytest.raises(NotFoundError, match="no user 'nobody'"):
        change("nobody", is_active=False)


@pytest.mark.parametrize("values", [{"is_active": False}, {"role": Role.OPERATOR}])
def test_change_user_the_last_admin_stays(add, change, values):
    add("root", Role.ADMIN)
    # One without a password can't sign in here.
    add("guest", Role.ADMIN, password=None)
    with pytest.raises(ConflictError, match="nobody would be left"):
        change("root", **values)
    add("deputy", Role.ADMIN)
    assert change("root", **values).version == 2


def test_change_user_others_may_change_where_there_is_no_admin(add, change):
    add("anna")
    assert not change("anna", is_active=False).is_active


@pytest.mark.parametrize("values", [{"is_active": False}, {"role": Role.ANALYST}])
def test_change_user_ends_their_sessions(engine, add, change, clock, values):
    add("anna")
    with write_transaction(engine) as connection:
        begin_session(connection, "anna", now=clock.now)
    change("anna", **values)
    with read_transaction(engine) as connection:
        assert connection.execute(select(func.count()).select_from(SessionRow)).scalar_one() == 0


def test_change_user_a_lower_role_revokes_tokens_beyond_it(engine, add, change, make_token):
    add("anna", Role.MANAGER)
    make_token("phone", username="anna", role=Role.MANAGER)
    make_token("scanner", username="anna", role=Role.OPERATOR)
    change("anna", role=Role.OPERATOR)
    with read_transaction(engine) as connection:
        live = [record.name for record in list_tokens(connection) if record.revoked_at is None]
    assert live == ["scanner"]


def test_create_token_beyond_its_owner_is_refused(add, make_token):
    add("anna", Role.OPERATOR)
    with pytest.raises(DataError, match="'anna' is operator, so a token of theirs can't be manager"):
        make_token("phone", username="anna", role=Role.MANAGER)


def test_set_password_ends_other_sessions_and_forgets_failures(engine, add, clock, read_audit):
    add("anna")
    with write_transaction(engine) as connection:
        kept = begin_session(connection, "anna", now=clock.now)
        begin_session(connection, "anna", now=clock.now)
        begin_attempt(connection, attempt_keys("anna", "10.0.0.1"), now=clock.now)
    from restock.operations.identity.tokens import hash_token

    with write_transaction(engine) as connection:
        user = set_password(
            connection,
            "anna",
            "another horse battery",
            actor="anna",
            now=clock.now + timedelta(seconds=1),
            keep_session=hash_token(kept.cookie),
        )
        assert connection.execute(select(SessionRow.sha256)).scalars().all() == [hash_token(kept.cookie)]
        assert connection.execute(select(LoginFailureRow.who)).scalars().all() == ["address:10.0.0.1"]
    assert (user.must_change_password, user.version) == (False, 2)
    assert "another horse" not in str(read_audit())


def test_create_first_admin_only_where_there_is_nobody(engine, clock, read_audit):
    password = create_first_admin(engine, actor="first start", now=clock.now)
    assert len(password) >= 20
    assert create_first_admin(engine, actor="first start", now=clock.now) is None
    with read_transaction(engine) as connection:
        (admin,) = list_users(connection)
    assert (admin.username, admin.role, admin.must_change_password) == ("admin", Role.ADMIN, True)
    assert password not in str(read_audit())


def test_check_password_is_right_for_the_password_alone():
    kept = hash_password(PASSWORD)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert check_password(PASSWORD, kept) == passwords.PasswordCheck(is_right=True)
    for wrong in ("", PASSWORD + "x", PASSWORD.upper(), "x" * 5_000, "\ud800"):
        assert not check_password(wrong, kept).is_right
    assert not check_password(PASSWORD, None).is_right
    assert not check_password(PASSWORD, "no hash at all").is_right


def test_check_password_in_another_unicode_form_is_the_same():
    assert check_password("cafe\u0301 au lait bien", hash_password("caf\u00e9 au lait bien")).is_right


def test_check_password_with_other_parameters_asks_to_be_kept_anew():
    from argon2 import PasswordHasher

    check = check_password(PASSWORD, PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD))
    assert check.is_right
    assert check.new_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_check_password_computes_as_much_for_nobody_as_for_somebody(monkeypatch):
    computed = []

    class Counting:
        def verify(self, kept, password):
            computed.append(kept[:24])
            raise passwords.VerifyMismatchError

        hash = passwords._HASHER.hash

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    check_password(PASSWORD, hash_password("somebody's password"))
    check_password(PASSWORD, None)
    assert computed[0] == computed[1]
