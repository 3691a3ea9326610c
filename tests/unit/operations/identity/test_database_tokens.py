from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.identity_tables import ApiTokenRow, UserRow
from restock.errors import AuthenticationError, NotReadyError
from restock.operations.access import Principal, Role, Scope
from restock.operations.identity.database_tokens import DatabaseTokens
from restock.operations.identity.opening import open_identity
from restock.operations.identity.tokens import revoke_named
from tests.unit.operations.identity.test_tokens import add_user


@pytest.fixture
def verifier(engine, clock):
    verifier = DatabaseTokens(engine, now=clock, clock=clock.seconds)
    yield verifier
    verifier.close()


@pytest.fixture
def settle(engine, clock):
    """Return a function that lets the second pass within which PostgreSQL is not asked again."""
    return lambda: clock.forward(seconds=1.0 if engine.dialect.name == "postgresql" else 0)


def test_verify_known_token_returns_its_principal(verifier, make_token):
    token = make_token("me", role=Role.OPERATOR, scopes=[Scope.STOCK_READ])
    expected = Principal(name="me", role=Role.OPERATOR, scopes=frozenset({Scope.STOCK_READ}))
    assert verifier.verify(token) == expected


def test_verify_token_of_a_user_names_the_user(engine, verifier, make_token, clock):
    add_user(engine, "anna", clock.now)
    token = make_token("phone", username="anna", role=Role.MANAGER)
    assert verifier.verify(token).name == "anna"


@pytest.mark.parametrize("token", ["", "rst_anything"])
def test_verify_without_any_token_says_how_to_create_one(verifier, token):
    with pytest.raises(AuthenticationError, match=r"no token exists yet.*restock token create"):
        verifier.verify(token)


@pytest.mark.parametrize("token", ["rst_unknown", "\ud800", "x" * 10_000, "' OR 1=1 --"])
def test_verify_unknown_token_is_refused(verifier, make_token, token):
    make_token()
    with pytest.raises(AuthenticationError, match="unknown, expired or revoked"):
        verifier.verify(token)


def test_verify_missing_token_is_refused(verifier, make_token):
    make_token()
    with pytest.raises(AuthenticationError, match="no token came"):
        verifier.verify("")


def test_verify_sees_tokens_created_and_revoked_meanwhile(engine, verifier, make_token, clock, settle):
    first = make_token("a")
    assert verifier.verify(first).name == "a"
    settle()
    second = make_token("b")
    assert verifier.verify(second).name == "b"
    with write_transaction(engine) as connection:
        revoke_named(connection, "a", actor="test", now=clock.now)
    settle()
    with pytest.raises(AuthenticationError, match="revoked"):
        verifier.verify(first)
    assert verifier.verify(second).name == "b"


def test_verify_expired_token_is_refused_from_its_instant_on(verifier, make_token, clock):
    token = make_token(expires_at=clock.now + timedelta(days=1))
    clock.forward(hours=23)
    assert verifier.verify(token).name == "me"
    clock.forward(hours=1)
    with pytest.raises(AuthenticationError, match="expired"):
        verifier.verify(token)


def test_verify_token_of_a_disabled_user_is_refused(engine, verifier, make_token, clock, settle):
    add_user(engine, "anna", clock.now)
    token = make_token("phone", username="anna", role=Role.MANAGER)
    assert verifier.verify(token).name == "anna"
    with write_transaction(engine) as connection:
        connection.execute(update(UserRow).values(is_active=False, version=UserRow.version + 1))
    settle()
    with pytest.raises(AuthenticationError, match="no token exists"):
        verifier.verify(token)


def test_verify_token_replaced_by_hand_is_noticed_within_a_second(engine, verifier, make_token, clock):
    first = make_token("a")
    assert verifier.verify(first).name == "a"
    with write_transaction(engine) as connection:
        connection.execute(delete(ApiTokenRow))
    second = make_token("b")
    clock.forward(seconds=1)
    with pytest.raises(AuthenticationError, match="unknown"):
        verifier.verify(first)
    assert verifier.verify(second).name == "b"


def test_verify_reads_the_tokens_again_only_where_they_changed(engine, verifier, make_token, clock, monkeypatch):
    token, reads = make_token(), []
    read = DatabaseTokens.__init__.__globals__["_read_tokens"]
    monkeypatch.setitem(DatabaseTokens.__init__.__globals__, "_read_tokens", lambda one: reads.append(1) or read(one))
    for _ in range(100):
        verifier.verify(token)
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("INSERT INTO erp_cursors VALUES ('a', 'b', 'in', '', '2024-01-01 00:00:00+00:00')")
    for _ in range(100):
        verifier.verify(token)
    assert len(reads) == 1


def test_verify_without_a_database_lets_nobody_in_and_makes_no_file(tmp_path):
    path = tmp_path / "none.db"
    with pytest.raises(AuthenticationError, match="restock token create"):
        DatabaseTokens(open_database(f"sqlite:///{path}")).verify("rst_x")
    assert not path.exists()


def test_verify_database_without_tables_lets_nobody_in(tmp_path):
    (tmp_path / "empty.db").touch()
    with pytest.raises(AuthenticationError, match="restock token create"):
        DatabaseTokens(open_database(f"sqlite:///{tmp_path / 'empty.db'}")).verify("rst_x")


def test_verify_database_that_is_none_lets_nobody_in_and_does_not_name_it(tmp_path):
    path = tmp_path / "broken.db"
    path.write_text("not a database, and longer than any header of one would have to be " * 10)
    with pytest.raises(NotReadyError, match="does not answer") as refused:
        DatabaseTokens(open_database(f"sqlite:///{path}")).verify("rst_x")
    assert "broken" not in str(refused.value)


def test_verify_database_that_was_removed_or_replaced_lets_nobody_in(tmp_path, clock):
    from restock.operations.identity.tokens import TokenDraft, create_token

    def make(path):
        with write_transaction(open_identity(f"sqlite:///{path}")) as connection:
            return create_token(connection, TokenDraft(name="me", role=Role.ADMIN), actor="test", now=clock.now).secret

    path, other = tmp_path / "ledger.db", tmp_path / "other.db"
    token, other_token = make(path), make(other)
    verifier = DatabaseTokens(open_database(f"sqlite:///{path}"))
    assert verifier.verify(token).name == "me"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    with pytest.raises(AuthenticationError, match="no token exists"):
        verifier.verify(token)
    other.rename(path)
    for suffix in ("-wal", "-shm"):
        if Path(f"{other}{suffix}").exists():
            Path(f"{other}{suffix}").rename(f"{path}{suffix}")
    with pytest.raises(AuthenticationError, match="unknown"):
        verifier.verify(token)
    assert verifier.verify(other_token).name == "me"


def test_open_identity_makes_a_file_that_only_its_owner_may_read(tmp_path):
    open_identity(f"sqlite:///{tmp_path / 'new' / 'ledger.db'}").dispose()
    assert stat.S_IMODE((tmp_path / "new" / "ledger.db").stat().st_mode) == 0o600
