from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from restock.adapters.workspace import project_root
from restock.cli import contract, ingest
from restock.errors import BatchRefusedError, ConfigurationError

TEXT = "sku,location,date,units_sold\nA,L,2024-05-01,1\nB,L,2024-05-01,2\n"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text((project_root() / name).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setenv("RESTOCK_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "sales.csv").write_text(TEXT, encoding="utf-8")
    return tmp_path


def run(*arguments):
    app = typer.Typer()
    ingest.register(app)
    contract.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_ingest_json_names_batch_and_rows_and_then_says_unchanged(workspace):
    first = json.loads(run("ingest", workspace / "sales.csv", "--json").stdout)
    assert (first["status"], first["rows"], first["rejected_rows"]) == ("accepted", {"sales": 2}, 0)
    again = run("ingest", workspace / "sales.csv")
    assert again.exit_code == 0
    assert "nothing changed" in again.output


def test_ingest_dry_run_shows_columns_rows_and_rejected_and_writes_nothing(workspace):
    (workspace / "sales.csv").write_text(TEXT + "C,L,2024-05-01,x\n", encoding="utf-8")
    shown = run("ingest", workspace / "sales.csv", "--dry-run")
    assert shown.exit_code == 0
    for words in ("units_sold", "3 rows, 1 would be rejected", "units_sold_type: 1", "would be refused"):
        assert words in shown.output
    assert not (workspace / "data").exists()
    described = json.loads(run("ingest", workspace / "sales.csv", "--dry-run", "--json").stdout)
    assert described["status"] == "would be refused"
    assert described["tables"]["sales"]["rejected_by_rule"] == {"units_sold_type": 1}


def test_ingest_refused_batch_raises_with_exit_code_3(workspace):
    (workspace / "sales.csv").write_text(TEXT + "A,L,2024-05-01,1\n", encoding="utf-8")
    failed = run("ingest", workspace / "sales.csv")
    assert isinstance(failed.exception, BatchRefusedError)
    assert failed.exception.exit_code == 3


def test_ingest_unknown_format_is_named(workspace):
    failed = run("ingest", workspace / "sales.csv", "--format", "xls")
    assert isinstance(failed.exception, ConfigurationError)
    assert "got 'xls'" in str(failed.exception)


def test_ingest_manifest_with_a_source_is_refused(workspace):
    assert isinstance(run("ingest", "x.csv", "--manifest").exception, ConfigurationError)


def test_ingest_then_manifest_then_validate_writes_the_validated_tables(workspace):
    assert run("ingest", workspace / "sales.csv").exit_code == 0
    assert run("ingest", "--manifest").exit_code == 0
    figures = json.loads(run("validate", "--json").stdout)
    assert figures["rows"]["sales"] == 2
    assert (workspace / "data" / "validated" / "sales.parquet").is_file()


def test_contract_render_check_passes_on_the_checkout():
    assert run("contract", "render", "--check").exit_code == 0


def test_ingest_dry_run_shows_which_names_were_taken_for_ours(workspace):
    path = workspace / "sales.csv"
    path.write_text("Item ID,Day,Demand,Price,Promo\nA,2024-05-01,3,1.5,0\n", encoding="utf-8")
    described = json.loads(run("ingest", path, "--dry-run", "--json").stdout)["tables"]["sales"]
    assert described["columns"] == {
        "sku": "Item ID",
        "date": "Day",
        "units_sold": "Demand",
        "unit_price": "Price",
        "is_promoted": "Promo",
        "location": "= main (the file names no location)",
    }
    assert described["first_rows"][0]["location"] == "main"
    assert "Read under other names: sku from Item ID" in run_and_read_report(path)


def run_and_read_report(path):
    done = json.loads(run("ingest", path, "--json").stdout)
    return Path(done["report"]).read_text(encoding="utf-8")


def test_ingest_sql_reads_the_query_and_keeps_no_secret(workspace, monkeypatch):
    with sqlite3.connect(workspace / "till.db") as connection:
        connection.execute(
            "CREATE TABLE till AS SELECT 'A' AS sku, 'L' AS location, '2024-05-01' AS date, 2 AS units_sold"
        )
    monkeypatch.setenv("TILL_URL", f"sqlite:///{workspace}/till.db")
    options = ("--sql", "env:TILL_URL", "--query", "SELECT * FROM till", "--table", "sales", "--json")
    first = json.loads(run("ingest", *options).stdout)
    assert (first["status"], first["rows"]) == ("accepted", {"sales": 1})
    assert json.loads(run("ingest", *options).stdout)["status"] == "unchanged"
    described = json.loads((workspace / "data" / "raw" / first["batch"] / "batch.json").read_text(encoding="utf-8"))
    assert (described["format"], described["sources"]) == ("sql", ["sqlite:/till.db"])
    assert not (workspace / "data" / ".staging").exists()


@pytest.mark.parametrize(
    "options",
    [("--sql", "sqlite://"), ("--query", "SELECT 1"), ("--sql", "sqlite://", "--query", "SELECT 1")],
)
def test_ingest_sql_without_query_or_table_is_refused(workspace, options):
    failed = run("ingest", *options)
    assert isinstance(failed.exception, ConfigurationError)
    assert "--table" in str(failed.exception) or "go together" in str(failed.exception)


def test_ingest_url_is_fetched_and_nothing_of_it_stays(workspace):
    url = f"file://{workspace}/sales.csv"
    assert json.loads(run("ingest", url, "--json").stdout)["rows"] == {"sales": 2}
    assert not (workspace / "data" / ".staging").exists()


def test_ingest_watch_once_takes_up_what_stands_still(workspace):
    inbox = workspace / "inbox"
    inbox.mkdir()
    (inbox / "sales.csv").write_text(TEXT, encoding="utf-8")
    done = run("ingest", "--watch", inbox, "--once", "--every", "0.01", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["outcome"] == "ingested"
    again = run("ingest", "--watch", inbox, "--once", "--every", "0.01", "--json")
    assert again.stdout == ""


def test_ingest_watch_ends_cleanly_on_sigterm(workspace):
    inbox = workspace / "inbox"
    inbox.mkdir()
    (inbox / "sales.csv").write_text(TEXT, encoding="utf-8")
    command = [sys.executable, "-m", "restock", "ingest", "--watch", str(inbox), "--every", "0.05", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=workspace) as watching:
        line = watching.stdout.readline()
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(timeout=60) == 0
    assert json.loads(line)["outcome"] == "ingested"
    assert (inbox / "sales.csv").is_file()


def test_ingest_watch_with_a_source_is_refused(workspace):
    assert isinstance(run("ingest", "x.csv", "--watch", workspace).exception, ConfigurationError)
