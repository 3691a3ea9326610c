import hashlib
import json
import stat
import threading

import pytest

from restock.errors import AuthenticationError, ConfigurationError, NotFoundError, PermissionDeniedError
from restock.operations.access import (
    ROLE_PERMISSIONS,
    Permission,
    Principal,
    Role,
    TokenFile,
    create_token,
    list_tokens,
    read_tokens,
    revoke_token,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "secrets" / "tokens.json"


def test_create_token_writes_only_the_hash_readable_by_its_owner_alone(path):
    token = create_token(path, "me", role=Role.READER)
    content = path.read_text()
    assert token not in content
    assert json.loads(content)["tokens"][0]["sha256"] == hashlib.sha256(token.encode()).hexdigest()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_create_token_twice_gives_different_tokens(path):
    assert create_token(path, "a", role=Role.READER) != create_token(path, "b", role=Role.READER)


def test_create_token_name_in_use_is_refused(path):
    create_token(path, "me", role=Role.READER)
    with pytest.raises(ConfigurationError, match="restock token revoke me"):
        create_token(path, "me", role=Role.ADMIN)


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "-x", "a\n"])
def test_create_token_bad_name_is_refused(path, name):
    with pytest.raises(ConfigurationError, match="1 to 64 letters"):
        create_token(path, name, role=Role.READER)


def test_create_token_from_many_threads_loses_none(path):
    threads = [
        threading.Thread(target=create_token, args=(path, f"t{n}"), kwargs={"role": Role.READER}) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {record.name for record in read_tokens(path)} == {f"t{n}" for n in range(8)}


def test_verify_known_token_returns_its_principal(path):
    token = create_token(path, "me", role=Role.PLANNER)
    assert TokenFile(path).verify(token) == Principal(name="me", role=Role.PLANNER)


def test_verify_without_tokens_file_says_how_to_create_one(path):
    with pytest.raises(AuthenticationError, match="restock token create"):
        TokenFile(path).verify("rst_anything")


def test_verify_unknown_token_is_refused(path):
    create_token(path, "me", role=Role.READER)
    with pytest.raises(AuthenticationError, match="unknown or revoked"):
        TokenFile(path).verify("rst_unknown")


def test_verify_missing_token_is_refused(path):
    create_token(path, "me", role=Role.READER)
    with pytest.raises(AuthenticationError, match="no token came"):
        TokenFile(path).verify("")


def test_verify_sees_tokens_created_and_revoked_meanwhile(path):
    verifier = TokenFile(path)
    first = create_token(path, "a", role=Role.READER)
    assert verifier.verify(first).name == "a"
    second = create_token(path, "b", role=Role.READER)
    assert verifier.verify(second).name == "b"
    revoke_token(path, "a")
    with pytest.raises(AuthenticationError, match="unknown or revoked"):
        verifier.verify(first)
    assert verifier.verify(second).name == "b"


def test_verify_file_that_others_may_read_lets_nobody_in(path):
    token = create_token(path, "me", role=Role.READER)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        TokenFile(path).verify(token)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"schema_version": 2, "tokens": []}', '{"tokens": [{"name": "x"}]}', "\xff"]
)
def test_verify_broken_file_lets_nobody_in(path, content):
    path.parent.mkdir()
    path.write_text(content, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="is not valid"):
        TokenFile(path).verify("rst_x")


def test_revoke_token_unknown_name_names_the_valid_ones(path):
    create_token(path, "me", role=Role.READER)
    with pytest.raises(NotFoundError, match="valid tokens: me"):
        revoke_token(path, "you")


def test_revoke_token_keeps_its_record_and_frees_its_name(path):
    create_token(path, "me", role=Role.READER)
    revoke_token(path, "me")
    assert list_tokens(path) == ()
    create_token(path, "me", role=Role.ADMIN)
    assert [(record.role, record.revoked_at_utc is None) for record in read_tokens(path)] == [
        (Role.READER, False),
        (Role.ADMIN, True),
    ]


def test_require_permission_of_another_role_names_roles_that_have_it():
    with pytest.raises(PermissionDeniedError, match="reader"):
        Principal(name="scraper", role=Role.MONITOR).require(Permission.FORECAST)


def test_role_permissions_cover_every_role_and_admin_may_everything():
    assert set(ROLE_PERMISSIONS) == set(Role)
    assert ROLE_PERMISSIONS[Role.ADMIN] == frozenset(Permission)
