import json
from datetime import UTC, datetime, timedelta

import pytest
import typer
from typer.testing import CliRunner

from restock.adapters.database.engine import open_database
from restock.cli import token
from restock.errors import AuthenticationError
from restock.operations.access import Role, Scope
from restock.operations.identity.database_tokens import DatabaseTokens


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def run(url, monkeypatch):
    monkeypatch.setenv("RESTOCK_DATABASE_URL", url)
    app = typer.Typer()
    token.register(app)

    def invoke(*arguments):
        return CliRunner().invoke(app, ["token", *arguments])

    return invoke


def test_token_create_prints_only_the_token_on_stdout(run, url):
    done = run("create", "--name", "me", "--role", "supply_chain")
    assert done.exit_code == 0
    principal = DatabaseTokens(open_database(url)).verify(done.stdout.strip())
    assert (principal.name, principal.role) == ("me", Role.SUPPLY_CHAIN)


def test_token_create_unknown_role_names_the_roles(run):
    done = run("create", "--name", "me", "--role", "king")
    assert done.exit_code == 2
    assert "supply_chain" in done.stderr


def test_token_create_narrowed_and_expiring_is_both(run, url):
    arguments = ("--scope", "metrics", "--scope", "describe", "--expires-in-days", "2")
    secret = run("create", "--name", "scraper", "--role", "service", *arguments).stdout.strip()
    principal = DatabaseTokens(open_database(url)).verify(secret)
    assert principal.granted == {Scope.METRICS, Scope.DESCRIBE}
    later = DatabaseTokens(open_database(url), now=lambda: datetime.now(UTC) + timedelta(days=3))
    with pytest.raises(AuthenticationError, match="expired"):
        later.verify(secret)


def test_token_list_never_shows_tokens_or_hashes(run):
    secret = run("create", "--name", "me", "--role", "service").stdout.strip()
    for arguments in (["list"], ["list", "--json"]):
        listed = run(*arguments).stdout
        assert "me" in listed
        assert secret not in listed
        assert "sha256" not in listed
    assert json.loads(run("list", "--json").stdout)[0]["scopes"] is None


def test_token_revoke_ends_its_validity(run, url):
    secret = run("create", "--name", "me", "--role", "service").stdout.strip()
    run("create", "--name", "other", "--role", "service")
    assert run("revoke", "me").exit_code == 0
    with pytest.raises(AuthenticationError, match="revoked"):
        DatabaseTokens(open_database(url)).verify(secret)
