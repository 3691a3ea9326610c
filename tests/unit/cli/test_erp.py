from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from restock.cli.app import app
from tests.erp_servers import serve
from tests.odoo_server import DATABASE, PASSWORD, USERNAME, OdooServer


def call(*arguments):
    return CliRunner().invoke(app, ["erp", *arguments])


@pytest.fixture
def odoo(tmp_path, monkeypatch):
    """Return a small Odoo that the settings name, beside a fresh ledger."""
    monkeypatch.setenv("RESTOCK_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    assert CliRunner().invoke(app, ["ledger", "migrate"]).exit_code == 0
    server = OdooServer()
    server.put_product("COLA")
    server.put_product("LONG", name="x" * 600)
    server.main = server.put_warehouse("WH")
    with serve(server):
        monkeypatch.setenv("RESTOCK_ODOO_URL", server.url)
        monkeypatch.setenv("RESTOCK_ODOO_DATABASE", DATABASE)
        monkeypatch.setenv("RESTOCK_ODOO_USERNAME", USERNAME)
        monkeypatch.setenv("RESTOCK_ODOO_PASSWORD", PASSWORD)
        yield server


def test_erp_sync_tells_what_it_did_and_status_why_not_more(odoo):
    done = call("sync", "odoo")
    assert done.exit_code == 0, done.output
    assert "product in: 2 read: 1 created, 0 changed, 0 unchanged, 1 rejected" in done.stdout
    told = call("status").stdout
    assert "odoo: finished" in told
    assert "erpnext: never exchanged" in told
    assert "at most 500 characters" in told


def test_erp_sync_json_dry_run_leaves_everything_as_it_is(odoo):
    told = json.loads(call("sync", "odoo", "--dry-run", "--json", "--kinds", "location,product").stdout)
    assert {(each["kind"], each["created"]) for each in told["kinds"] if each["direction"] == "in"} == {
        ("location", 1),
        ("product", 1),
    }
    [state] = [each for each in json.loads(call("status", "--json").stdout)["systems"] if each["system"] == "odoo"]
    assert state["kinds"] == []


def test_erp_sync_stock_lists_the_differences(odoo):
    call("sync", "odoo")
    number = next(row["id"] for row in odoo.tables["product.product"].values() if row["default_code"] == "COLA")
    odoo.put_quant(number, odoo.main, 7.0)
    done = call("sync", "odoo", "--kinds", "stock", "--direction", "in")
    assert "stock of COLA at WH: 0 here, 7 there" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sync", "odoo", "--kinds", "stuff"], "kind 'stuff' is unknown, expected location, supplier"),
        (["sync", "erpnext"], "RESTOCK_ERPNEXT_URL, RESTOCK_ERPNEXT_KEY, RESTOCK_ERPNEXT_SECRET must be set"),
        (["sync", "odoo", "--adjust"], "--kinds stock --direction in --adjust"),
    ],
)
def test_erp_sync_that_cannot_be_says_what_is_missing(odoo, arguments, words):
    done = call(*arguments)
    assert (done.exit_code, words in str(done.exception)) == (1, True)


def test_erp_sync_where_nobody_answers_may_be_tried_again(odoo, monkeypatch):
    monkeypatch.setenv("RESTOCK_ODOO_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)
    done = call("sync", "odoo")
    assert done.exception.exit_code == 75
    assert PASSWORD not in str(done.exception)
