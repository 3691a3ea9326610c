from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.workspace import project_root
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
    assert re.search(r"it has no tables, expected \d+. Bring it there: restock ledger migrate", str(done.exception))


@pytest.fixture
def small_demo(tmp_path, monkeypatch):
    """Return a workspace whose demo company is small."""
    text = (project_root() / "params.yaml").read_text(encoding="utf-8")
    for name, value in (("n_skus", 6), ("n_stores", 1), ("n_days", 120)):
        text = re.sub(rf"^  {name}: \d+", f"  {name}: {value}", text, flags=re.MULTILINE)
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    monkeypatch.setenv("RESTOCK_WORKSPACE", str(tmp_path))
    return tmp_path


def test_ledger_post_demo_then_verify_and_ingest_it(small_demo):
    first = json.loads(CliRunner().invoke(app, ["ledger", "post-demo", "--json"]).stdout)
    again = json.loads(CliRunner().invoke(app, ["ledger", "post-demo", "--json"]).stdout)
    assert first["posted"] > 500
    assert (again["posted"], again["known"]) == (0, first["posted"])
    verified = json.loads(CliRunner().invoke(app, ["ledger", "verify", "--json"]).stdout)
    assert verified["movements"] == first["posted"]
    ingested = json.loads(CliRunner().invoke(app, ["ingest", "--source", "ledger", "--json"]).stdout)
    assert ingested["rows"]["movements"] == first["posted"]
    assert (
        json.loads(CliRunner().invoke(app, ["ingest", "--source", "ledger", "--json"]).stdout)["status"] == "unchanged"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--source", "erp"], "--source must be ledger, got 'erp'"),
        (["--source", "ledger", "--table", "sales"], "has fixed tables and columns"),
        (["--format", "ledger", "x.csv"], "is read with --source ledger"),
    ],
)
def test_ingest_source_that_does_not_fit_is_refused(small_demo, options, words):
    done = CliRunner().invoke(app, ["ingest", *options])
    assert words in str(done.exception)
