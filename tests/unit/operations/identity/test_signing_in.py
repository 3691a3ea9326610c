from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.identity_tables import LoginFailureRow, SessionRow, UserRow
from restock.errors import AuthenticationError, DataError, PermissionDeniedError
from restock.operations.access import PrincipalKind, Role
from restock.operations.identity import signing_in
from restock.operations.identity.passwords import PasswordCheck
from restock.operations.identity.sessions import (
    begin_session,
    end_session,
    extend_session,
    find_session,
    require_csrf_token,
)
from restock.operations.identity.signing_in import change_password, sign_in, sign_out
from restock.operations.identity.throttle import TooManyAttemptsError, attempt_keys
from restock.operations.identity.users import UserChange, UserDraft, change_user, create_user

PASSWORD = "correct horse battery"
HOME = "10.0.0.1"


@pytest.fixture
def anna(engine, clock):
    draft = UserDraft(username="anna", role=Role.MANAGER, password=PASSWORD)
    with write_transaction(engine) as connection:
        return create_user(connection, draft, actor="test", now=clock.now)


@pytest.fixture
def quick(monkeypatch):
    """Let checking a password take no time: how often it may be tried is what is tested."""
    tried = []

    def check(password, kept):
        tried.append(password)
        return PasswordCheck(is_right=kept is not None and password == PASSWORD)

    monkeypatch.setattr(signing_in, "check_password", check)
    return tried


def attempt(engine, clock, password="wrong", username="anna", address=HOME):
    try:
        return sign_in(engine, username, password, address=address, now=clock.now)
    except (AuthenticationError, TooManyAttemptsError) as error:
        return error


def look(engine, cookie, clock):
    with read_transaction(engine) as connection:
        return find_session(connection, cookie, now=clock.now)


def test_sign_in_opens_a_session_and_keeps_only_hashes(engine, anna, clock, read_audit):
    signed = sign_in(engine, "Anna", PASSWORD, address=HOME, now=clock.now)
    session = look(engine, signed.session.cookie, clock)
    assert (session.principal.name, session.principal.role, session.principal.kind) == (
        "anna",
        Role.MANAGER,
        PrincipalKind.USER,
    )
    assert session.expires_at == clock.now + timedelta(hours=12)
    with read_transaction(engine) as connection:
        row = str(connection.execute(select(SessionRow.__table__)).one())
    assert signed.session.cookie not in row
    assert signed.session.csrf_token not in row
    assert read_audit()[-1] == ("anna", "sign_in", "anna", {"address": HOME})
    assert signed.session.cookie not in str(read_audit())


@pytest.mark.parametrize("username", ["anna", "nobody", "a b", "x" * 500, "' OR 1=1 --"])
def test_sign_in_wrong_name_or_password_says_the_same(engine, anna, clock, quick, username, read_audit):
    with pytest.raises(AuthenticationError, match="username or the password is wrong, or the user is disabled"):
        sign_in(engine, username, "wrong", address=HOME, now=clock.now)
    actor, action, subject, _ = read_audit()[-1]
    assert (actor, action, subject) == ("nobody", "fail_to_sign_in", "anna" if username == "anna" else "nobody")
    # A password is looked at for whomever, so that the time tells nothing.
    assert quick == ["wrong"]


def test_sign_in_of_a_disabled_user_is_refused(engine, anna, clock):
    with write_transaction(engine) as connection:
        change_user(connection, "anna", UserChange(is_active=False), actor="test", now=clock.now)
    assert isinstance(attempt(engine, clock, PASSWORD), AuthenticationError)


def test_sign_in_keeps_the_password_with_todays_parameters(engine, anna, clock):
    from argon2 import PasswordHasher

    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    with write_transaction(engine) as connection:
        connection.execute(update(UserRow).values(password_hash=old))
    attempt(engine, clock, PASSWORD)
    with read_transaction(engine) as connection:
        assert "m=65536,t=3,p=4" in connection.execute(select(UserRow.password_hash)).scalar_one()


def test_sign_in_after_five_failures_waits_twice_as_long_each_time(engine, anna, clock, quick):
    for _ in range(5):
        assert isinstance(attempt(engine, clock), AuthenticationError)
    waits = []
    for _ in range(8):
        refused = attempt(engine, clock)
        assert isinstance(refused, TooManyAttemptsError)
        waits.append(refused.seconds)
        # Whoever is told to wait is not heard, whatever they send; nor does it make the wait longer.
        assert attempt(engine, clock, PASSWORD).seconds == refused.seconds
        clock.forward(seconds=refused.seconds)
        assert isinstance(attempt(engine, clock), AuthenticationError)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128]


def test_sign_in_a_user_whom_others_fail_for_is_out_for_a_minute_at_most(engine, anna, clock, quick):
    for number in range(40):
        refused = attempt(engine, clock, address=f"10.1.0.{number}")
        if isinstance(refused, TooManyAttemptsError):
            assert refused.seconds <= 60
            clock.forward(seconds=refused.seconds)
    clock.forward(minutes=1)
    assert attempt(engine, clock, PASSWORD, address=HOME).user.username == "anna"


def test_sign_in_an_address_that_tries_many_users_has_to_wait(engine, anna, clock, quick):
    for number in range(5):
        assert isinstance(attempt(engine, clock, username=f"user-{number}"), AuthenticationError)
    assert isinstance(attempt(engine, clock, PASSWORD), TooManyAttemptsError)
    assert attempt(engine, clock, PASSWORD, address="10.0.0.2").user.username == "anna"


def test_sign_in_of_ones_own_wins_no_guesses_at_others(engine, anna, clock, quick):
    for _ in range(4):
        attempt(engine, clock, username="boss")
        assert attempt(engine, clock, PASSWORD).user.username == "anna"
    attempt(engine, clock, username="boss")
    assert isinstance(attempt(engine, clock, username="boss"), TooManyAttemptsError)


def test_sign_in_success_forgets_the_users_failures(engine, anna, clock, quick):
    for number in range(4):
        attempt(engine, clock, address=f"10.1.0.{number}")
    attempt(engine, clock, PASSWORD)
    with read_transaction(engine) as connection:
        left = connection.execute(select(LoginFailureRow.who).order_by(LoginFailureRow.who)).scalars().all()
    assert left == [f"address:10.1.0.{number}" for number in range(4)]


def test_sign_in_many_guesses_at_once_get_no_further_than_one_after_another(engine, anna, clock, quick):
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(attempt(engine, clock))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(quick) == 5
    assert sum(isinstance(outcome, TooManyAttemptsError) for outcome in outcomes) == 7


def test_sign_in_failures_are_forgotten_after_an_hour(engine, anna, clock, quick):
    for _ in range(5):
        attempt(engine, clock)
    clock.forward(hours=1, seconds=1)
    for _ in range(5):
        assert isinstance(attempt(engine, clock), AuthenticationError)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("10.0.0.1", "address:10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "address:10.0.0.1"),
        ("unix socket", "address:unknown"),
    ],
)
def test_attempt_keys_of_an_address(address, key):
    assert attempt_keys(None, address) == ("user:?", key)


def test_find_session_is_over_after_twelve_hours_without_use(engine, anna, clock):
    cookie = attempt(engine, clock, PASSWORD).session.cookie
    clock.forward(hours=11, minutes=59)
    session = look(engine, cookie, clock)
    assert session.is_due
    clock.forward(minutes=1)
    with pytest.raises(AuthenticationError, match="unknown or over"):
        look(engine, cookie, clock)


def test_extend_session_goes_on_with_use_for_a_week_at_most(engine, anna, clock):
    cookie, begun = attempt(engine, clock, PASSWORD).session.cookie, clock.now
    while True:
        clock.forward(hours=2)
        try:
            session = look(engine, cookie, clock)
        except AuthenticationError:
            break
        if session.is_due:
            with write_transaction(engine) as connection:
                extend_session(connection, session, now=clock.now)
    assert clock.now - begun == timedelta(days=7)


@pytest.mark.parametrize("cookie", ["", "x", "x" * 10_000, "\ud800"])
def test_find_session_unknown_cookie_is_refused(engine, anna, clock, cookie):
    with pytest.raises(AuthenticationError, match="Sign in again"):
        look(engine, cookie, clock)


def test_find_session_of_who_must_change_the_password_has_no_scopes(engine, anna, clock):
    cookie = attempt(engine, clock, PASSWORD).session.cookie
    with write_transaction(engine) as connection:
        connection.execute(update(UserRow).values(must_change_password=True))
    session = look(engine, cookie, clock)
    assert session.must_change_password
    assert session.principal.granted == frozenset()


def test_require_csrf_token_of_another_session_is_refused(engine, anna, clock):
    with write_transaction(engine) as connection:
        mine, other = (begin_session(connection, "anna", now=clock.now) for _ in range(2))
    session = look(engine, mine.cookie, clock)
    with read_transaction(engine) as connection:
        require_csrf_token(connection, session, mine.csrf_token)
        for wrong in ("", other.csrf_token, mine.cookie, mine.csrf_token[:-1]):
            with pytest.raises(PermissionDeniedError, match="X-CSRF-Token is missing or not this session's"):
                require_csrf_token(connection, session, wrong)


def test_sign_out_ends_the_session(engine, anna, clock, read_audit):
    cookie = attempt(engine, clock, PASSWORD).session.cookie
    sign_out(engine, look(engine, cookie, clock), now=clock.now)
    with pytest.raises(AuthenticationError, match="unknown or over"):
        look(engine, cookie, clock)
    assert read_audit()[-1][:3] == ("anna", "sign_out", "anna")


def test_begin_session_forgets_sessions_that_are_over(engine, anna, clock):
    attempt(engine, clock, PASSWORD)
    clock.forward(days=1)
    attempt(engine, clock, PASSWORD)
    with read_transaction(engine) as connection:
        assert len(connection.execute(select(SessionRow.sha256)).all()) == 1


def test_change_password_keeps_this_session_and_ends_the_others(engine, anna, clock):
    here, there = (attempt(engine, clock, PASSWORD).session.cookie for _ in range(2))
    change_password(
        engine,
        look(engine, here, clock),
        old_password=PASSWORD,
        new_password="another horse battery",
        address=HOME,
        now=clock.now,
    )
    assert look(engine, here, clock).principal.name == "anna"
    with pytest.raises(AuthenticationError, match="unknown or over"):
        look(engine, there, clock)
    assert isinstance(attempt(engine, clock, PASSWORD), AuthenticationError)
    assert attempt(engine, clock, "another horse battery").user.username == "anna"


@pytest.mark.parametrize(
    ("old", "new", "error", "complaint"),
    [
        ("wrong", "another horse battery", AuthenticationError, "old password is wrong"),
        (PASSWORD, "short", DataError, "12 to 1000 characters"),
        (PASSWORD, PASSWORD, DataError, "must not be the old one"),
    ],
)
def test_change_password_that_can_not_be_is_refused(engine, anna, clock, old, new, error, complaint):
    session = look(engine, attempt(engine, clock, PASSWORD).session.cookie, clock)
    with pytest.raises(error, match=complaint):
        change_password(engine, session, old_password=old, new_password=new, address=HOME, now=clock.now)


def test_change_password_guesses_are_throttled_as_signing_in_is(engine, anna, clock, quick):
    session = look(engine, attempt(engine, clock, PASSWORD).session.cookie, clock)
    arguments = {"old_password": "wrong", "new_password": "another horse battery", "address": HOME, "now": clock.now}
    for _ in range(5):
        with pytest.raises(AuthenticationError, match="old password is wrong"):
            change_password(engine, session, **arguments)
    with pytest.raises(TooManyAttemptsError, match="Try again in 1 s"):
        change_password(engine, session, **arguments)


def test_end_session_leaves_the_others(engine, anna, clock):
    with write_transaction(engine) as connection:
        first, second = (begin_session(connection, "anna", now=clock.now) for _ in range(2))
    with write_transaction(engine) as connection:
        end_session(connection, find_session(connection, first.cookie, now=clock.now))
    assert look(engine, second.cookie, clock).principal.name == "anna"
