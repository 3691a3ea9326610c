"""`restock up` as a new ML engineer meets it: trigger training, compare in MLflow, promote, see the service follow."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from restock.adapters.workspace import create_workspace
from restock.params import merge_values
from tests.dags.conftest import LAST_DAY, SMALL, write_sales

pytestmark = pytest.mark.real
N_DAGS = len(list((Path(__file__).resolve().parents[2] / "dags").glob("*.py")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def restock(*arguments, environment, is_checked=True):
    done = subprocess.run(
        [sys.executable, "-m", "restock", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert not is_checked or done.returncode == 0, done.stdout + done.stderr
    return done


def call(url, *, body=None, token=None, method=None):
    request = urllib.request.Request(
        url,
        method=method or ("GET" if body is None else "POST"),
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


class Airflow:
    """Airflow's REST API, signed in."""

    def __init__(self, url, password):
        self.url = url
        self.token = call(f"{url}/auth/token", body={"username": "admin", "password": password})["access_token"]
        # The DAG files are read in the first seconds after the start.
        deadline = time.monotonic() + 120
        while call(f"{url}/api/v2/dags", token=self.token)["total_entries"] < N_DAGS:
            assert time.monotonic() < deadline, "the DAGs were not read"
            time.sleep(1)

    def run(self, dag, form):
        """Trigger a DAG as its form does, wait for its end and return state and seconds."""
        begun = time.monotonic()
        made = call(
            f"{self.url}/api/v2/dags/{dag}/dagRuns", body={"logical_date": None, "conf": form}, token=self.token
        )
        while True:
            run = call(f"{self.url}/api/v2/dags/{dag}/dagRuns/{made['dag_run_id']}", token=self.token)
            if run["state"] in ("success", "failed"):
                return run["state"], time.monotonic() - begun
            assert time.monotonic() - begun < 600, f"{dag} took too long"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """Start everything on free ports; return (workspace, environment, what was printed)."""
    home = tmp_path_factory.mktemp("up") / "home"
    create_workspace(home)
    params = home / "params.yaml"
    params.write_text(yaml.safe_dump(merge_values(yaml.safe_load(params.read_text()), SMALL)), encoding="utf-8")
    write_sales(home / "sales.csv")
    ports = {f"RESTOCK_{name}_PORT": str(free_port()) for name in ("FORECAST", "PLANNING", "MLFLOW", "AIRFLOW")}
    environment = os.environ | {"RESTOCK_WORKSPACE": str(home)} | ports
    printed = restock("up", environment=environment).stderr
    try:
        yield home, environment, printed
    finally:
        restock("down", environment=environment, is_checked=False)


def place(environment, name):
    return f"http://127.0.0.1:{environment[f'RESTOCK_{name}_PORT']}"


@pytest.fixture(scope="module")
def airflow(up):
    _, environment, printed = up
    password = re.search(r"password \(shown this once; kept in .*\): (\S+)", printed)[1]
    return Airflow(place(environment, "AIRFLOW"), password)


@pytest.mark.timeout(1500)
def test_from_trigger_to_a_served_version(up, airflow):
    home, environment, printed = up
    assert airflow.run("ingest_sales", {"source": "sales.csv"})[0] == "success"
    state, _ = airflow.run("train_demand_forecasting", {"families": ["xgboost"], "cutoffs": 2})
    assert state == "success"

    mlflow = place(environment, "MLFLOW")
    experiment = call(f"{mlflow}/api/2.0/mlflow/experiments/get-by-name?experiment_name=demand_forecasting")
    runs = call(
        f"{mlflow}/api/2.0/mlflow/runs/search",
        body={"experiment_ids": [experiment["experiment"]["experiment_id"]], "max_results": 100},
    )["runs"]
    names = {run["info"]["run_name"] for run in runs}
    assert {"xgboost", "seasonal_naive"} <= names

    forecast = place(environment, "FORECAST")
    with pytest.raises(urllib.error.HTTPError, match="503"):
        call(f"{forecast}/readyz")
    assert airflow.run("promote_model", {"reason": "the first one", "override": "small data"})[0] == "success"
    assert served(forecast) == "model_version_1"
    token = re.search(r"first token for the forecast service \(shown this once\): (\S+)", printed)[1]
    body = {"sku": "SKU-1", "location": "L1", "horizon": 3, "quantiles": [0.5]}
    assert call(f"{forecast}/forecast", body=body, token=token)["model"]["version"] == "model_version_1"

    changes = ["families.xgboost.n_rounds=40"]
    airflow.run("train_demand_forecasting", {"families": ["xgboost"], "cutoffs": 2, "changes": changes})
    assert airflow.run("promote_model", {"reason": "more rounds", "override": "small data"})[0] == "success"
    assert served(forecast) == "model_version_2"
    assert airflow.run("rollback_model", {"reason": "take it back"})[0] == "success"
    assert served(forecast) == "model_version_1"
    assert (home / "models" / "demand_forecasting" / "current.json").exists()


def served(forecast):
    """Return the version that the service answers with, once it has followed the last change."""
    time.sleep(3)  # The service looks every second.
    return call(f"{forecast}/readyz")["model"]["model_version"]


@pytest.mark.timeout(900)
def test_backfill_fills_the_days_asked_for(up, airflow):
    home, _, _ = up
    call(f"{airflow.url}/api/v2/dags/daily_forecast", body={"is_paused": False}, token=airflow.token, method="PATCH")
    call(
        f"{airflow.url}/api/v2/backfills",
        body={
            "dag_id": "daily_forecast",
            "from_date": f"{LAST_DAY}T00:00:00Z",
            "to_date": "2024-05-31T00:00:00Z",
            "max_active_runs": 1,
        },
        token=airflow.token,
    )
    folder = home / "data" / "forecasts" / "demand_forecasting"
    expected = {f"as_of={day}" for day in (LAST_DAY, "2024-05-30", "2024-05-31")}
    deadline = time.monotonic() + 300
    while {path.parent.name for path in folder.glob("*/forecast.json")} != expected:
        assert time.monotonic() < deadline, sorted(folder.glob("*"))
        time.sleep(1)


def test_a_killed_service_comes_back(up):
    _, environment, _ = up
    before = json.loads(restock("status", "--json", environment=environment).stdout)["services"]["mlflow"]
    os.kill(before["pid"], 9)
    deadline = time.monotonic() + 120
    while True:
        done = restock("status", "--json", environment=environment, is_checked=False)
        now = json.loads(done.stdout)["services"]["mlflow"]
        if now["restarts"] == 1 and now["state"] == "healthy":
            break
        assert time.monotonic() < deadline, now
        time.sleep(1)


def test_down_leaves_nothing_running(up):
    home, environment, _ = up
    restock("down", environment=environment)
    marks = [path for path in Path("/proc").glob("[0-9]*/environ") if _mentions(path, str(home))]
    assert marks == []
    assert restock("status", environment=environment, is_checked=False).returncode == 1


def _mentions(path, text):
    try:
        return f"RESTOCK_WORKSPACE={text}\0".encode() in path.read_bytes() + b"\0"
    except OSError:
        return False
