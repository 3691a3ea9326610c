"""The whole pipeline through DVC, small: repro, a no-op, an experiment, metric and plot diffs, push and pull."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from restock.adapters.workspace import create_workspace

SMALL = {
    "simulation": {"n_skus": 8, "n_stores": 2, "n_days": 160},
    "features": {"lags": [0, 6], "rolling_windows": [7, 28]},
    "forecasting": {
        "horizon": 7,
        "quantiles": [0.1, 0.5, 0.9],
        "families": ["seasonal_naive", "xgboost"],
        "training_rows": 3000,
    },
    "backtest": {"n_windows": 2, "step_periods": 7},
    "families": {"xgboost": {"n_rounds": 8, "learning_rate": 0.3, "max_depth": 4}},
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace that is a git repository of its own, so that DVC can keep experiments."""
    folder = tmp_path_factory.mktemp("pipeline") / "run"
    create_workspace(folder, profile="demo")
    values = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    for section, changes in SMALL.items():
        for key, value in changes.items():
            values[section][key] = values[section][key] | value if isinstance(value, dict) else value
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    shutil.rmtree(folder / ".dvc")
    (folder / ".gitignore").write_text(
        "mlflow.db*\nmlartifacts/\n.dvcstore/\ndata/tuning/\ndata/reports/tuning/\n", encoding="utf-8"
    )
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "init", "--quiet")
    run(folder, "dvc", "config", "core.analytics", "false")
    run(folder, "dvc", "remote", "add", "--default", "local", str(folder / ".dvcstore"))
    commit(folder, "start")
    run(folder, "dvc", "repro")
    commit(folder, "first run")
    return folder


def run(folder: Path, *command: str) -> str:
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "RESTOCK_WORKSPACE": str(folder),
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org",
    }  # fmt: skip
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


def run_queue(folder: Path) -> str:
    """Run the queued experiments to their end, as a person does, and return the queue's last word."""
    run(folder, "env", "--unset", "RESTOCK_WORKSPACE", "dvc", "queue", "start")
    deadline = time.monotonic() + 240
    while True:
        status = run(folder, "dvc", "queue", "status")
        if "Queued" not in status and "Running" not in status:
            return status
        assert time.monotonic() < deadline, status
        time.sleep(1)


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "-m", message)


def test_repro_leaves_a_candidate_with_metrics_beside_the_baseline(workspace):
    metrics = json.loads((workspace / "data/reports/metrics.json").read_text(encoding="utf-8"))
    assert set(metrics["families"]) == {"seasonal_naive", "xgboost", "ensemble"}
    assert {"pinball", "wape", "bias", "rmsse", "coverage_80"} <= set(metrics["families"]["xgboost"])
    assert metrics["families"]["xgboost"]["pinball"] < metrics["families"]["seasonal_naive"]["pinball"]
    candidate = json.loads((workspace / "data/reports/evaluation/candidate.json").read_text(encoding="utf-8"))
    assert candidate["family"] in ("xgboost", "ensemble")
    assert metrics["windows"]["ensemble"]["n_windows"] == 2
    assert (workspace / "data/combined/demand_forecasting/model/members/xgboost/model.ubj").is_file()
    assert (workspace / "data/candidates/demand_forecasting/xgboost/model/model.ubj").is_file()


def test_repro_again_runs_nothing_and_leaves_git_clean(workspace):
    output = run(workspace, "dvc", "repro")
    assert "Running stage" not in output
    assert run(workspace, "git", "status", "--porcelain") == ""


def test_repro_with_the_same_seed_gives_the_same_metrics(workspace):
    before = (workspace / "data/reports/metrics.json").read_bytes()
    run(workspace, "dvc", "repro", "--force", "--single-item", "train@xgboost")
    run(workspace, "dvc", "repro", "--force", "--single-item", "combine")
    run(workspace, "dvc", "repro", "--force", "--single-item", "evaluate")
    assert (workspace / "data/reports/metrics.json").read_bytes() == before
    run(workspace, "git", "checkout", "--", "dvc.lock")
    run(workspace, "dvc", "checkout", "--force")


def test_runs_are_tracked_as_a_parent_and_a_child_per_family(workspace):
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{workspace}/mlflow.db")
    experiment = client.get_experiment_by_name("demand_forecasting")
    runs = client.search_runs([experiment.experiment_id])
    parents = [found for found in runs if "mlflow.parentRunId" not in found.data.tags]
    children = [found for found in runs if "mlflow.parentRunId" in found.data.tags]
    assert parents
    assert {found.data.tags["restock.family"] for found in children} == {"seasonal_naive", "xgboost", "ensemble"}
    tracked = next(found for found in children if found.data.tags["restock.family"] == "xgboost")
    assert {"pinball/all", "wape/all", "duration_seconds", "peak_rss_mb"} <= set(tracked.data.metrics)
    assert tracked.data.params["families.xgboost.n_rounds"] == "8"
    assert {dataset.dataset.name for dataset in tracked.inputs.dataset_inputs} >= {"sales", "products"}
    assert tracked.data.tags["restock.dvc_lock_sha256"]
    locked = yaml.safe_load((workspace / "dvc.lock").read_text(encoding="utf-8"))["stages"]["validate"]["outs"]
    kept = {entry["path"]: entry["md5"] for entry in locked}
    assert tracked.data.tags["restock.dvc_hash_of_validated"] == kept["data/validated"]
    pictures = {entry.path for entry in client.list_artifacts(tracked.info.run_id, "plots")}
    assert {"plots/forecast_fans.png", "plots/calibration.png", "plots/residuals_by_horizon.png"} <= pictures


def test_experiment_changes_one_param_and_shows_in_the_diffs(workspace):
    try:
        run(workspace, "dvc", "exp", "run", "--set-param", "families.xgboost.n_rounds=2", "--name", "two-rounds")
        metrics = json.loads(run(workspace, "dvc", "metrics", "diff", "--json"))
        changed = metrics["data/reports/metrics.json"]["families.xgboost.pinball"]
        assert changed["diff"] > 0
        assert "families.seasonal_naive.pinball" not in metrics["data/reports/metrics.json"]
        params = json.loads(run(workspace, "dvc", "params", "diff", "--json"))
        assert params["params.yaml"]["families.xgboost.n_rounds"] == {"old": 8, "new": 2, "diff": -6}
        run(workspace, "dvc", "plots", "diff", "--out", "plots-diff")
        page = (workspace / "plots-diff" / "index.html").read_text(encoding="utf-8")
        assert "<img" in page
        assert "<script" not in page
        assert "two-rounds" in run(workspace, "dvc", "exp", "show", "--csv")
    finally:
        shutil.rmtree(workspace / "plots-diff", ignore_errors=True)
        run(workspace, "git", "checkout", "--", ".")
        run(workspace, "dvc", "checkout", "--force")


def test_tune_queues_its_best_trials_which_train_as_experiments_of_their_own(workspace):
    before = (workspace / "params.yaml").read_bytes()
    try:
        # Given again, nothing is queued twice.
        for _ in range(2):
            tuned = run(workspace, "restock", "tune", "xgboost", "--trials", "3", "--queue", "1", "--json")
        report = json.loads(tuned)["xgboost"]
        (name,) = report["queued"]
        waiting = run(workspace, "dvc", "queue", "status")
        assert (waiting.count(name), waiting.count("Queued")) == (1, 1)
        assert run_queue(workspace).count("Success") == 1
        assert run(workspace, "git", "status", "--porcelain") == ""
        assert (workspace / "params.yaml").read_bytes() == before
        shown = json.loads(run(workspace, "dvc", "exp", "diff", "HEAD", name, "--json"))
        changed = shown["params"]["params.yaml"]
        searched = {key.rpartition(".")[2]: each["new"] for key, each in changed.items()}
        assert searched.items() <= report["best"].items()
        assert "families.xgboost.pinball" in shown["metrics"]["data/reports/metrics.json"]
        run(workspace, "dvc", "exp", "apply", name)
        params = yaml.safe_load((workspace / "params.yaml").read_text(encoding="utf-8"))
        assert report["best"].items() <= params["families"]["xgboost"].items()
        # DVC has removed the folder that it ran in; its run in MLflow is among those of the workspace.
        assert report["best"]["n_rounds"] in tracked_rounds(workspace)
    finally:
        run(workspace, "git", "checkout", "--", ".")
        run(workspace, "dvc", "checkout", "--force")


def tracked_rounds(workspace: Path) -> set[int]:
    """Return the rounds of all trainings of XGBoost that MLflow knows."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{workspace}/mlflow.db")
    experiment = client.get_experiment_by_name("demand_forecasting")
    runs = client.search_runs([experiment.experiment_id], filter_string="tags.`restock.family` = 'xgboost'")
    return {int(found.data.params["families.xgboost.n_rounds"]) for found in runs}


def test_an_experiment_that_would_write_elsewhere_is_refused(workspace):
    folder = workspace / ".dvc" / "tmp" / "exps" / "tmp1"
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "restock", "params"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"RESTOCK_WORKSPACE": str(workspace)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "env -u RESTOCK_WORKSPACE dvc queue start" in " ".join(done.stderr.split())


def test_push_then_pull_brings_the_data_back(workspace):
    run(workspace, "dvc", "push")
    model = workspace / "data/candidates/demand_forecasting/xgboost/model/model.ubj"
    before = model.read_bytes()
    shutil.rmtree(workspace / ".dvc" / "cache")
    shutil.rmtree(workspace / "data" / "candidates")
    shutil.rmtree(workspace / "data" / "validated")
    run(workspace, "git", "checkout", "--", ".")
    run(workspace, "dvc", "pull")
    assert model.read_bytes() == before
    assert "Running stage" not in run(workspace, "dvc", "repro")
