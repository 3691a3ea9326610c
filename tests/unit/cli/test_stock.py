from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from restock.cli.app import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the command on a fresh ledger, in a folder of its own."""
    monkeypatch.setenv("RESTOCK_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["ledger", "migrate"]).exit_code == 0
    return lambda *arguments: CliRunner().invoke(app, ["stock", *arguments])


@pytest.fixture
def products(tmp_path):
    path = tmp_path / "products.csv"
    path.write_text("sku,name,unit_price\n007,=Tea,2.50\n,Nameless,1\n")
    return path


def test_stock_import_tells_what_became_of_the_rows(run, products):
    done = run("import", str(products))
    assert done.exit_code == 0, done.output
    assert "products (restock)" in done.stdout
    assert "rows: 2; written: 1, unchanged: 0, left out: 0, refused: 1" in done.stdout
    assert "line 3: sku is empty" in done.stdout


def test_stock_import_again_says_that_nothing_changed(run, products):
    first = json.loads(run("import", str(products), "--json").stdout)
    again = json.loads(run("import", str(products), "--json").stdout)
    assert (first["is_repeated"], again["is_repeated"], again["import"]) == (False, True, first["import"])
    assert "nothing changed" in run("import", str(products)).stdout


def test_stock_import_dry_run_keeps_nothing(run, products, tmp_path):
    done = run("import", str(products), "--dry-run", "--rejections", str(tmp_path / "refused.csv"))
    assert "nothing was kept" in done.stdout
    assert (tmp_path / "refused.csv").read_text().splitlines() == [
        "sku,name,unit_price,reason",
        ',Nameless,1,"line 3: sku is empty, expected a name or number."',
    ]
    assert run("export", "products").stdout.splitlines()[1:] == []


def test_stock_export_writes_a_file_or_standard_output(run, products, tmp_path):
    run("import", str(products))
    assert "007,'=Tea," in run("export", "products").stdout
    target = tmp_path / "products.xlsx"
    done = run("export", "products", "--format", "xlsx", "-o", str(target))
    assert done.exit_code == 0, done.output
    assert target.read_bytes().startswith(b"PK")
    assert [path.name for path in tmp_path.glob(".*.part")] == []
    assert "Variant SKU" in run("export", "products", "--layout", "shopify").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "nothing.csv"], "nothing.csv does not exist"),
        (["import", "products.csv", "--kind", "weather"], "--kind must be one of products"),
        (["import", "products.csv", "--decimal-mark", ";"], "--decimal-mark must be . or ,"),
        (["export", "weather"], "KIND must be one of products"),
        (["export", "stock", "--format", "pdf"], "--format must be one of csv, xlsx"),
        (["export", "stock", "--supplier", "S"], "stock can't be chosen by supplier"),
        (["export", "stock", "-o", "no/such/folder/x.csv"], "can't be written"),
    ],
)
def test_stock_options_that_do_not_fit_are_named(run, products, arguments, message):
    done = run(*arguments)
    assert done.exit_code != 0
    assert message in str(done.exception)
