"""Tracking against a real MLflow server over HTTP, as `RESTOCK_MLFLOW_TRACKING_URI` sets it."""

from __future__ import annotations

import socket
import sys

import pytest

from restock.adapters.processes import start_process, stop_process, wait_until_ready
from restock.adapters.storage import read_json
from restock.adapters.tracking import connect, open_pipeline_run, tracking_place
from restock.adapters.tracking_registry import Alias, read_aliases
from restock.operations.promote import promote
from restock.pipeline.train import run_train
from restock.settings import Settings
from tests.pipeline.promotion import NOW, make_request, params_of


@pytest.fixture
def server(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, record, log = f"http://127.0.0.1:{port}", tmp_path / "server.json", tmp_path / "server.log"
    process = start_process(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *(
                "--backend-store-uri",
                f"sqlite:///{tmp_path}/server.db",
                "--artifacts-destination",
                str(tmp_path / "kept"),
            ),
        ],
        record=record,
        log=log,
        environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
        folder=tmp_path,
    )
    try:
        wait_until_ready(f"{address}/health", process=process, log=log, timeout_seconds=120)
        yield address
    finally:
        stop_process(record)


@pytest.mark.real
def test_pipeline_runs_are_found_again_on_a_server(server, tmp_path, monkeypatch):
    monkeypatch.setenv("RESTOCK_MLFLOW_TRACKING_URI", server)
    place = tracking_place(Settings(workspace=tmp_path))
    assert place.artifacts_dir is None
    first = open_pipeline_run(place, experiment="demand_forecasting", pipeline_key="a" * 64)
    assert open_pipeline_run(place, experiment="demand_forecasting", pipeline_key="a" * 64) == first
    with connect(place) as client:
        assert client.get_run(first).data.tags["restock.pipeline"] == "a" * 64
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.real
def test_training_and_promotion_reach_a_server(server, trained):
    settings = Settings(workspace=trained, mlflow_tracking_uri=server)
    params = params_of(trained)
    for family in params.forecasting.families:
        run_train(family, settings, params)
    result = promote(settings, params, make_request(family="xgboost"), now=NOW)
    assert result.warnings == ()
    place = tracking_place(settings)
    assert set(read_aliases(place, "demand_forecasting")) >= {Alias.CHAMPION}
    training = read_json(trained / "data/candidates/demand_forecasting/xgboost/training.json")
    with connect(place) as client:
        run = client.get_run(training["mlflow_run_id"])
        assert run.data.tags["restock.family"] == "xgboost"
        assert "plots/calibration.png" in {entry.path for entry in client.list_artifacts(run.info.run_id, "plots")}
