import json

import pytest
import typer
from typer.testing import CliRunner

from restock.adapters.database.engine import open_database
from restock.cli import user
from restock.errors import AuthenticationError, ConfigurationError, ConflictError, DataError
from restock.operations.identity.signing_in import sign_in

PASSWORD = "correct horse battery"


@pytest.fixture
def engine(tmp_path):
    return open_database(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.fixture
def run(engine, monkeypatch):
    monkeypatch.setenv("RESTOCK_DATABASE_URL", str(engine.url))
    app = typer.Typer()
    user.register(app)

    def invoke(*arguments, typed=None):
        return CliRunner().invoke(app, ["user", *arguments], input=typed)

    return invoke


def try_to_sign_in(engine, password):
    from datetime import UTC, datetime

    return sign_in(engine, "anna", password, address="127.0.0.1", now=datetime.now(UTC)).user


def test_user_create_reads_the_password_from_standard_input(run, engine):
    done = run("create", "Anna", "--role", "manager", "--display-name", "Anna B.", typed=f"{PASSWORD}\n")
    assert done.exit_code == 0
    assert PASSWORD not in done.output
    signed_in = try_to_sign_in(engine, PASSWORD)
    assert (signed_in.username, signed_in.display_name, signed_in.must_change_password) == ("anna", "Anna B.", True)


@pytest.mark.parametrize(
    ("typed", "error"), [("short\n", DataError), ("", ConfigurationError), ("\n", ConfigurationError)]
)
def test_user_create_without_a_good_password_adds_nobody(run, typed, error):
    assert isinstance(run("create", "anna", "--role", "manager", typed=typed).exception, error)
    assert json.loads(run("list", "--json").stdout) == []


def test_user_list_shows_no_password(run):
    run("create", "anna", "--role", "manager", typed=f"{PASSWORD}\n")
    for arguments in (["list"], ["list", "--json"]):
        listed = run(*arguments).stdout
        assert "anna" in listed
        assert "argon2" not in listed


def test_user_password_lets_in_with_the_new_one_alone(run, engine):
    run("create", "anna", "--role", "manager", typed=f"{PASSWORD}\n")
    assert run("password", "anna", typed="another horse battery\n").exit_code == 0
    with pytest.raises(AuthenticationError, match="wrong"):
        try_to_sign_in(engine, PASSWORD)
    assert try_to_sign_in(engine, "another horse battery").username == "anna"


def test_user_disable_and_enable(run, engine):
    run("create", "anna", "--role", "manager", typed=f"{PASSWORD}\n")
    assert "'anna' is disabled" in run("disable", "anna").stderr
    with pytest.raises(AuthenticationError, match="wrong, or the user is disabled"):
        try_to_sign_in(engine, PASSWORD)
    assert "'anna' is active" in run("enable", "anna").stderr
    assert try_to_sign_in(engine, PASSWORD).username == "anna"


def test_user_disable_the_last_admin_is_refused(run):
    run("create", "root", "--role", "admin", typed=f"{PASSWORD}\n")
    assert isinstance(run("disable", "root").exception, ConflictError)
