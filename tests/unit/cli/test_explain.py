"""`restock explain`: a sentence, a picture and a table for people, one JSON value for machines."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from restock.cli.app import app
from tests.serving.running import FIRST, SKUS, STORES, promote_version, serve_version, write_history

LAST = FIRST + timedelta(days=119)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    write_history(folder)
    serve_version(folder, promote_version(folder, family="xgboost"))
    return folder


@pytest.fixture
def call(workspace, monkeypatch):
    monkeypatch.setenv("RESTOCK_WORKSPACE", str(workspace))

    def invoke(*arguments):
        return CliRunner().invoke(app, ["explain", SKUS[0], STORES[0], "--as-of", str(LAST), *arguments])

    return invoke


def test_explain_json_holds_parts_that_sum_to_the_forecast(call):
    done = call("--horizon", "7", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["sku"], told["location"], told["model_version"]) == (SKUS[0], STORES[0], "model_version_1")
    assert len(told["periods"]) == 7
    for period in told["periods"]:
        assert sum(period["parts"].values()) == pytest.approx(period["mean_units"], abs=1e-9)
    assert sum(told["parts"].values()) == pytest.approx(told["mean_units"], abs=1e-9)
    assert set(told["parts"]) == {"level", "trend", "weekday", "season", "price", "promotion", "holiday"}


def test_explain_shows_sentence_waterfall_and_table(call):
    done = call("--horizon", "7")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert " units in the 7 days from Tue 30 Apr: " in lines[0]
    assert "assumed: no promotion planned" in lines
    assert any(line.startswith("level") and "█" in line for line in lines)
    assert any(line.startswith("total") for line in lines)
    assert sum("2024-0" in line and "│" in line for line in lines) == 7
    assert "made now, by model_version_1 (xgboost), cutoff 2024-04-29" in done.stdout


def test_explain_inputs_shows_the_strongest_ones(call):
    lines = call("--horizon", "7", "--inputs", "2").stdout.splitlines()
    begins = next(n for n, line in enumerate(lines) if line.startswith("Inputs of the boosted trees"))
    names = [line.split("│")[1].strip() for line in lines[begins:] if line.startswith("│")]
    assert len(names) == 5
    assert (names[0], *names[3:]) == ("average row", "other inputs", "other members")


def test_explain_horizon_too_long_says_so(call):
    done = call("--horizon", "99")
    assert done.exit_code == 1
    assert "horizon must be 1 to 14" in str(done.exception)
