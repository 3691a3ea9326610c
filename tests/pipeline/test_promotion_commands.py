"""The commands promote, rollback and models, and promotion in a DVC repository, as people run them."""

import json
import os
import subprocess
import sys

import pytest

from restock.adapters.registry import ModelType, version_folder
from restock.adapters.workspace import run_dvc
from tests.pipeline.promotion import promote_in, settings_of

TYPE = "demand_forecasting"


def restock(workspace, *arguments):
    settings = settings_of(workspace)
    environment = os.environ | {
        "RESTOCK_WORKSPACE": str(workspace),
        "RESTOCK_MLFLOW_TRACKING_URI": settings.tracking_uri,
        "RESTOCK_LOG_LEVEL": "WARNING",
    }
    return subprocess.run(
        [sys.executable, "-m", "restock", *arguments],
        env=environment,
        cwd=workspace,
        capture_output=True,
        text=True,
        check=False,
    )


def test_promote_command_shows_steps_and_figures_and_answers_json(served):
    done = restock(served, "promote", TYPE, "--reason", "better", "--by", "ann", "--json")
    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout)
    assert (reply["version"], reply["previous"], reply["family"]) == (2, 1, "xgboost")
    assert "gate: beats_served_version: passed: pinball loss -" in done.stderr
    assert "version 2 (xgboost) is served, after version 1" in done.stderr


def test_promote_command_refused_exits_4_without_a_traceback(served):
    done = restock(served, "promote", TYPE, "--reason", "again", "--family", "seasonal_naive")
    assert done.returncode == 4
    assert "nothing new to serve" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("promote", TYPE, "--reason", "x", "--family", "prophet"), "family must be one of"),
        (("promote", "vision_counting", "--reason", "x"), "no stage makes candidates of vision_counting yet"),
        (("rollback", "optimization", "--reason", "x"), "nothing of type optimization is served"),
    ],
)
def test_commands_wrong_input_is_explained_without_a_traceback(trained, arguments, match):
    done = restock(trained, *arguments)
    assert done.returncode != 0
    assert match in done.stderr
    assert "Traceback" not in done.stderr


def test_rollback_and_models_commands_tell_what_is_served(served):
    promote_in(served)
    assert restock(served, "rollback", TYPE, "--reason", "over-forecasts").returncode == 0
    listed = restock(served, "models")
    assert listed.returncode == 0, listed.stderr
    assert "seasonal_naive" in listed.stdout
    rows = json.loads(restock(served, "models", TYPE, "--json").stdout)
    assert [(row["version"], row["state"]) for row in rows] == [(1, "served"), (2, "previous")]
    assert rows[1]["pinball"] < rows[1]["baseline_pinball"]


def test_models_command_repairs_the_aliases(served):
    done = restock(served, "models", "--repair")
    assert done.returncode == 0, done.stderr
    assert "demand_forecasting: MLflow's aliases: nothing to repair" in done.stderr


def test_models_command_nothing_promoted_says_what_next(trained):
    assert "no version was promoted yet" in restock(trained, "models").stderr


def test_promote_in_a_dvc_repository_tracks_the_version(served):
    run_dvc(["init", "--no-scm", "--quiet"], folder=served)
    promote_in(served)
    folder = version_folder(served / "models", ModelType.DEMAND_FORECASTING, 2)
    assert folder.with_name("model_version_2.dvc").is_file()
    before = (folder / "metadata.json").read_bytes()
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    run_dvc(["checkout", "--quiet", str(folder.relative_to(served)) + ".dvc"], folder=served)
    assert (folder / "metadata.json").read_bytes() == before
