"""`restock benchmark`: its one line of JSON, its run in MLflow, and what it refuses."""

from __future__ import annotations

import json

import polars as pl
import pytest
import typer
import yaml
from typer.testing import CliRunner

from restock.adapters.tracking import connect, tracking_place
from restock.adapters.workspace import project_root
from restock.cli import benchmark
from restock.errors import ConfigurationError, DataError
from restock.params import merge_values
from restock.settings import Settings
from tests.conftest import SMALL_VALUES


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    folder = tmp_path / "workspace"
    folder.mkdir()
    values = yaml.safe_load((project_root() / "params.yaml").read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(yaml.safe_dump(merge_values(values, SMALL_VALUES)), encoding="utf-8")
    (folder / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    monkeypatch.setenv("RESTOCK_WORKSPACE", str(folder))
    return folder


def run(*arguments):
    app = typer.Typer()
    benchmark.register(app)
    return CliRunner().invoke(app, ["benchmark", *(str(argument) for argument in arguments)])


def test_benchmark_freshretailnet_prints_one_json_line_and_tracks_the_run(
    workspace,
    write_freshretailnet,
    write_planned,
    tmp_path,
):
    out = tmp_path / "predictions.parquet"
    done = run(
        "freshretailnet", "--data", write_freshretailnet(), "--out", out, "--planned", write_planned(),
        "--families", "seasonal_naive,xgboost", "--seed", 5,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert {"benchmark", "seconds", "peak_rss_mb", "rows", "score", "baselines", "family", "seed"} <= set(found)
    assert (found["benchmark"], found["rows"], found["seed"]) == ("freshretailnet", 24 * 40, 5)
    assert set(found["baselines"]) == {"mean_of_last_14_days", "seasonal_naive"}
    assert out.exists()
    with connect(tracking_place(Settings(workspace=workspace))) as client:
        experiment = client.get_experiment_by_name("benchmarks")
        (tracked,) = client.search_runs([experiment.experiment_id])
    assert tracked.info.status == "FINISHED"
    assert tracked.data.metrics["wape_sales"] == pytest.approx(found["score"]["wape_sales"], abs=1e-5)
    assert tracked.data.params["family"] == found["family"]
    assert "restock.sha256.daily_train.parquet" in tracked.data.tags


def refused(*arguments):
    done = run(*arguments)
    assert isinstance(done.exception, DataError | ConfigurationError), done.exception
    assert done.exception.exit_code == 2
    return str(done.exception)


def test_benchmark_on_a_folder_without_the_files_exits_2(workspace, tmp_path):
    for name in ("freshretailnet", "m5"):
        assert "does not exist" in refused(name, "--data", tmp_path / "nowhere")
        assert f"which format {name} needs" in refused(name, "--data", tmp_path)


def test_benchmark_on_wrong_columns_exits_2(workspace, write_freshretailnet, write_m5):
    data = write_freshretailnet()
    pl.read_parquet(data / "series.parquet").drop("city_id").write_parquet(data / "series.parquet")
    assert "city_id" in refused("freshretailnet", "--data", data)
    data = write_m5()
    (data / "calendar.csv").write_text("date,d\n2016-03-28,d_1886\n", encoding="utf-8")
    assert "does not hold the m5 layout" in refused("m5", "--data", data)


def test_benchmark_on_planned_days_that_do_not_follow_the_data_exits_2(
    workspace,
    write_freshretailnet,
    write_planned,
):
    message = refused("freshretailnet", "--data", write_freshretailnet(), "--planned", write_planned(first_day=41))
    assert "plans days 41 to 54 (14 days), expected 40 to 53" in message


def test_benchmark_with_an_unknown_family_exits_2(workspace, tmp_path):
    assert "got prophet" in refused("m5", "--data", tmp_path, "--families", "xgboost,prophet")


def test_benchmark_with_an_output_that_can_not_be_written_exits_2(workspace, write_m5, tmp_path):
    for out in (tmp_path, tmp_path / "nowhere" / "means.parquet"):
        assert "can't be written" in refused("m5", "--data", write_m5(f"m5_{out.name}"), "--out", out)
