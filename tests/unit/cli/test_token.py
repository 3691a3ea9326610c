import pytest
import typer
from typer.testing import CliRunner

from restock.cli import token
from restock.errors import AuthenticationError
from restock.operations.access import Role, TokenFile


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("RESTOCK_TOKENS_FILE", str(tmp_path / "tokens.json"))
    app = typer.Typer()
    token.register(app)

    def invoke(*arguments):
        return CliRunner().invoke(app, ["token", *arguments])

    return invoke


def test_token_create_prints_only_the_token_on_stdout(run, tmp_path):
    done = run("create", "--name", "me", "--role", "planner")
    assert done.exit_code == 0
    principal = TokenFile(tmp_path / "tokens.json").verify(done.stdout.strip())
    assert (principal.name, principal.role) == ("me", Role.PLANNER)


def test_token_create_unknown_role_names_the_roles(run):
    done = run("create", "--name", "me", "--role", "king")
    assert done.exit_code == 2
    assert "reader" in done.stderr


def test_token_list_never_shows_tokens_or_hashes(run, tmp_path):
    secret = run("create", "--name", "me", "--role", "reader").stdout.strip()
    for arguments in (["list"], ["list", "--json"]):
        listed = run(*arguments).stdout
        assert "me" in listed
        assert secret not in listed
        assert "sha256" not in listed


def test_token_revoke_ends_its_validity(run, tmp_path):
    secret = run("create", "--name", "me", "--role", "reader").stdout.strip()
    assert run("revoke", "me").exit_code == 0
    with pytest.raises(AuthenticationError, match="revoked"):
        TokenFile(tmp_path / "tokens.json").verify(secret)
