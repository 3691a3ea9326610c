"""The committed documents are what the code says, and Great Expectations reads the suites as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import typer

from restock.adapters.contract_documents import find_drift, render_contract, write_documents
from restock.adapters.guide_documents import render_guide
from restock.cli.app import app
from restock.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]


def copy_documents(target: Path) -> None:
    shutil.copytree(ROOT / "expectations", target / "expectations")
    (target / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "data-dictionary.md", target / "docs")


def guide():
    return render_guide(ROOT, program=typer.main.get_command(app))


def test_committed_documents_are_what_the_tables_say():
    assert find_drift(ROOT) == [], "run: restock contract render"


def test_committed_guide_is_what_the_code_says():
    assert find_drift(ROOT, guide()) == [], "run: restock contract render"


def test_contract_render_check_passes_on_the_checkout_and_writes_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "restock", "contract", "render", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "the rendered documents match the code\n")


def test_find_drift_edited_and_missing_guide_names_each_with_its_source(tmp_path):
    documents = guide()
    assert set(write_documents(tmp_path, documents)) == set(documents)
    picture = tmp_path / "docs" / "architecture" / "pipeline.svg"
    picture.write_text(picture.read_text(encoding="utf-8").replace("validate", "check"), encoding="utf-8")
    (tmp_path / "docs" / "guide" / "commands.md").unlink()
    assert find_drift(tmp_path, documents) == [
        "docs/guide/commands.md is missing",
        "docs/architecture/pipeline.svg differs from dvc.yaml",
    ]


def test_find_drift_edited_missing_and_surplus_suite_names_each(tmp_path):
    copy_documents(tmp_path)
    folder = tmp_path / "expectations"
    edited = folder / "sales.json"
    edited.write_text(edited.read_text(encoding="utf-8").replace('"critical"', '"warning"'), encoding="utf-8")
    (folder / "stock.json").unlink()
    (folder / "orphan.json").write_text("{}", encoding="utf-8")
    assert find_drift(tmp_path) == [
        "expectations/sales.json differs from src/restock/tables",
        "expectations/stock.json is missing",
        "expectations/orphan.json belongs to no table",
    ]
    assert set(write_documents(tmp_path)) == {
        "expectations/sales.json",
        "expectations/stock.json",
        "expectations/orphan.json",
    }
    assert find_drift(tmp_path) == []
    assert write_documents(tmp_path) == []


@pytest.mark.parametrize("name", TABLES)
def test_suite_round_trips_through_great_expectations(name):
    from great_expectations.core.expectation_suite import ExpectationSuite

    suite = json.loads((ROOT / "expectations" / f"{name}.json").read_text(encoding="utf-8"))
    written = ExpectationSuite(**deepcopy(suite)).to_json_dict()
    written["meta"].pop("great_expectations_version")
    for key in ("id", "notes"):
        written.pop(key)
    assert json.loads(json.dumps(written)) == suite


@pytest.mark.parametrize("path", [name for name in render_contract() if name.endswith(".json")])
def test_suite_carries_no_id_and_no_version(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert '"id"' not in text
    assert "great_expectations_version" not in text


def test_every_suite_has_a_critical_key_and_every_source_suite_a_critical_rejected_share():
    for name, table in TABLES.items():
        suite = json.loads((ROOT / "expectations" / f"{name}.json").read_text(encoding="utf-8"))
        critical = {e["meta"]["rule"] for e in suite["expectations"] if e["severity"] == "critical"}
        assert f"{name}_key_unique" in critical
        assert {f"{column}_exists" for column in table.key} <= critical
        assert {f"{c.name}_not_in_future" for c in table.columns if c.is_past_only} <= critical
