"""A search over a small workspace, as people run it: begun, killed, gone on with, applied, queued."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
import yaml

from restock.adapters.storage import read_json
from restock.adapters.tracking import NAME_TAG, PARENT_TAG
from restock.errors import ConfigurationError, InsufficientHistoryError
from restock.forecasting.search_space import SEARCH_SPACES
from restock.params import merge_values, read_params
from restock.pipeline.features import run_features
from restock.pipeline.tune import run_tune, study_key
from restock.settings import Settings
from tests.pipeline.promotion import ROOT, copy_workspace, params_of, settings_of, write_history, write_params

# One tree that learns by heart: nearly anything is better.
FAMILY = "random_forest"
POOR = {"families": {FAMILY: {"n_trees": 1, "min_samples_leaf": 1, "max_features": 0.1}}}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("tuned") / "workspace"
    write_history(workspace)
    write_params(workspace, POOR)
    run_features(settings_of(workspace).data_dir, params_of(workspace))
    return workspace


@pytest.fixture
def workspace(template, tmp_path):
    return copy_workspace(template, tmp_path / "workspace")


def start(workspace, *arguments):
    environment = os.environ | {"RESTOCK_WORKSPACE": str(workspace), "RESTOCK_LOG_LEVEL": "WARNING"}
    return subprocess.Popen(
        [sys.executable, "-m", "restock", "tune", *arguments],
        env=environment,
        cwd=workspace,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def tune(workspace, *arguments):
    process = start(workspace, *arguments)
    out, err = process.communicate()
    return process.returncode, out, err


def ended_trials(workspace):
    file = workspace / "data" / "tuning" / f"{FAMILY}.db"
    if not file.exists():
        return []
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        try:
            return database.execute(
                "SELECT number, state FROM trials WHERE state IN ('COMPLETE', 'PRUNED') ORDER BY number"
            ).fetchall()
        except sqlite3.OperationalError:  # not made yet
            return []


def runs_of(workspace):
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=settings_of(workspace).tracking_uri)
    experiment = client.get_experiment_by_name("demand_forecasting")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if PARENT_TAG not in run.data.tags]
    return parents, [run for run in runs if PARENT_TAG in run.data.tags]


def test_tune_finds_better_values_compares_them_on_unseen_windows_and_tracks_every_trial(workspace):
    params = params_of(workspace)
    seen = []
    report = run_tune(FAMILY, settings_of(workspace), params, n_trials=4, on_trial=lambda *pair: seen.append(pair))
    assert seen == [(done, 4) for done in range(1, 5)]
    assert report["trials"] == 4
    assert report["inner"]["pinball_best"] < report["inner"]["pinball_in_force"]
    assert max(report["inner"]["cutoffs"]) < min(report["outer"]["cutoffs"])
    assert report["outer"]["upper"] < 0
    assert report["in_force"]["n_trees"] == 1
    assert report["best"].keys() == SEARCH_SPACES[FAMILY].keys()
    assert not report["is_applied"]
    assert params_of(workspace) == params
    assert read_json(workspace / "data" / "reports" / "tuning" / f"{FAMILY}.json") == report
    (parent,), children = runs_of(workspace)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["pinball_best"] == report["outer"]["pinball_best"]
    assert "families.random_forest.n_trees" not in parent.data.params
    assert {run.data.tags[NAME_TAG] for run in children} == {f"trial {number}" for number in range(4)}
    assert len(children) == 4


def test_tune_applied_writes_what_is_better_and_the_search_goes_on_from_there(workspace):
    before = (workspace / "params.yaml").read_text(encoding="utf-8")
    report = run_tune(FAMILY, settings_of(workspace), params_of(workspace), n_trials=5, is_applied=True)
    assert report["is_applied"]
    section = params_of(workspace).families.random_forest
    assert {name: getattr(section, name) for name in report["best"]} == report["best"]
    expected = merge_values(yaml.safe_load(before), {"families": {FAMILY: report["best"]}})
    assert yaml.safe_load((workspace / "params.yaml").read_text(encoding="utf-8")) == expected
    # The same study: what is in force now was its best trial, and nothing is better than itself.
    again = run_tune(FAMILY, settings_of(workspace), params_of(workspace), n_trials=5, is_applied=True)
    assert (again["study"], again["trials"], again["best"]) == (report["study"], 5, report["best"])
    assert again["outer"]["relative_difference"] == 0
    assert not again["is_applied"]
    assert len(runs_of(workspace)[1]) == 5


def test_tune_killed_in_mid_search_goes_on_with_the_trials_that_it_has(workspace):
    process = start(workspace, FAMILY, "--trials", "400")
    try:
        deadline = time.monotonic() + 200
        while len(ended_trials(workspace)) < 2:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = ended_trials(workspace)
    wanted = len(kept) + 2
    code, out, err = tune(workspace, FAMILY, "--trials", str(wanted), "--json")
    assert code == 0, err
    report = json.loads(out)[FAMILY]
    assert report["trials"] == wanted
    ended = ended_trials(workspace)
    assert ended[: len(kept)] == kept
    assert len(ended) == wanted
    # Each trial has one run, also that which the kill left between the study and MLflow.
    (parent,), children = runs_of(workspace)
    assert parent.info.status == "FINISHED"
    names = [run.data.tags[NAME_TAG] for run in children]
    assert sorted(names) == sorted(f"trial {number}" for number, _ in ended)


def test_tune_without_a_tracking_store_warns_and_loses_nothing(workspace, caplog):
    away = Settings(workspace=workspace, mlflow_tracking_uri="http://127.0.0.1:9")
    report = run_tune("statistical", away, params_of(workspace), n_trials=2)
    assert report["trials"] == 2
    assert [record.message for record in caplog.records if "the search is not tracked" in record.message]
    # Given again with a store, the trials that it has get their runs.
    run_tune("statistical", settings_of(workspace), params_of(workspace), n_trials=2)
    assert len(runs_of(workspace)[1]) == 2


def test_tune_queue_without_git_is_refused_before_the_search(workspace):
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=workspace, check=True)
    with pytest.raises(ConfigurationError, match="can't keep experiments"):
        run_tune(FAMILY, settings_of(workspace), params_of(workspace), n_trials=2, n_queued=1)
    assert not (workspace / "data" / "tuning").exists()


def test_tune_applied_and_queued_at_once_is_refused_before_the_search(workspace):
    with pytest.raises(ConfigurationError, match="--apply changes the params that queued experiments start from"):
        run_tune(FAMILY, settings_of(workspace), params_of(workspace), n_trials=2, is_applied=True, n_queued=1)
    assert not (workspace / "data" / "tuning").exists()


def test_tune_whose_values_can_not_be_applied_keeps_its_report_and_its_run(workspace, monkeypatch):
    def refuse(*_):
        raise ConfigurationError("no plain value")

    monkeypatch.setattr("restock.pipeline.tune.set_param_values", refuse)
    with pytest.raises(ConfigurationError, match="no plain value"):
        run_tune(FAMILY, settings_of(workspace), params_of(workspace), n_trials=3, is_applied=True)
    report = read_json(workspace / "data" / "reports" / "tuning" / f"{FAMILY}.json")
    assert (report["trials"], report["is_applied"]) == (3, False)
    assert report["outer"]["upper"] < 0
    assert runs_of(workspace)[0][0].info.status == "FINISHED"


def test_tune_too_little_history_before_the_back_test_is_refused(workspace):
    write_params(workspace, {"backtest": {"n_windows": 12}})
    with pytest.raises(InsufficientHistoryError, match="the oldest of 3 backtest windows would have"):
        run_tune(FAMILY, settings_of(workspace), params_of(workspace), n_trials=2)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("seasonal_naive",), "'seasonal_naive' has nothing to search. Tune one of statistical, random_forest"),
        (("prophet",), "'prophet' has nothing to search"),
        (("xgboost", "--apply", "--queue", "2"), "--apply changes the params that queued experiments start from"),
        (("xgboost", "--trials", "0"), "Invalid value for '--trials'"),
    ],
)
def test_tune_command_wrong_input_is_explained(workspace, arguments, match):
    code, _, err = tune(workspace, *arguments)
    assert code == 2
    assert match in " ".join(err.split())
    assert "Traceback" not in err


def test_tune_command_says_what_was_found_and_what_to_do(workspace):
    code, out, err = tune(workspace, FAMILY, "--trials", "4")
    assert code == 0, err
    assert "random_forest: 4 trials" in out
    assert "back-test, 2 windows no trial has seen: pinball" in out
    assert "to try them: dvc exp run -S families.random_forest." in err


def test_study_key_follows_what_makes_trials_comparable_and_nothing_else(workspace):
    params = params_of(workspace)
    hashes = {"sales": "a"}
    key = study_key(FAMILY, params, data_hashes=hashes)
    assert key == study_key(FAMILY, params, data_hashes=dict(hashes))
    write_params(workspace, {"families": {FAMILY: {"n_trees": 77}, "xgboost": {"n_rounds": 7}}})
    assert study_key(FAMILY, params_of(workspace), data_hashes=hashes) == key
    for changes in ({"forecasting": {"horizon": 6}}, {"seed": 1}, {"features": {"lags": [0, 2]}}):
        write_params(workspace, changes)
        assert study_key(FAMILY, params_of(workspace), data_hashes=hashes) != key
    assert study_key(FAMILY, params, data_hashes={"sales": "b"}) != key
    assert study_key("xgboost", params, data_hashes=hashes) != key


def test_params_of_the_checkout_lie_within_what_is_searched():
    params = read_params(ROOT / "params.yaml")
    for family, space in SEARCH_SPACES.items():
        for name, each in space.items():
            assert each.low <= getattr(getattr(params.families, family), name) <= each.high, f"{family}.{name}"
