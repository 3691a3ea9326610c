from __future__ import annotations

import json

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from restock.adapters.database.engine import open_database, write_transaction
from restock.cli.app import app


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """Return the address of a fresh ledger that the command works on."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setenv("RESTOCK_DATABASE_URL", url)
    assert CliRunner().invoke(app, ["ledger", "migrate"]).exit_code == 0
    return url


def test_ledger_verify_of_an_empty_ledger_finds_nothing_wrong(ledger):
    done = CliRunner().invoke(app, ["ledger", "verify", "--json"])
    assert json.loads(done.stdout) == {"movements": 0, "balances": 0, "seals": 0}


def test_ledger_verify_names_the_balance_that_differs(ledger):
    with write_transaction(open_database(ledger)) as connection:
        connection.execute(text("INSERT INTO balances VALUES ('A', 'S', '', 5, 1)"))
    done = CliRunner().invoke(app, ["ledger", "verify"])
    assert "the balance of A at S is recorded as 5, its lines add up to 0" in str(done.exception)
    assert done.exception.exit_code == 6


@pytest.mark.parametrize("command", ["verify", "seal"])
def test_ledger_without_tables_says_how_to_make_them(tmp_path, monkeypatch, command):
    monkeypatch.setenv("RESTOCK_DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    done = CliRunner().invoke(app, ["ledger", command])
    assert "it has no tables, expected 0001. Bring it there: restock ledger migrate" in str(done.exception)
