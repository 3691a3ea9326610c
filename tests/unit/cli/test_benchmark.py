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


def test_benchmark_recovery_reads_the_hourly_sample(workspace, write_freshretailnet, write_hourly):
    data = write_freshretailnet()
    write_hourly(data)
    done = run("recovery", "--data", data, "--seed", 3)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert (found["benchmark"], found["seed"], found["setting"]["data"]) == ("recovery", 3, "freshretailnet")
    assert found["score"]["wape"] < found["baselines"]["sales_as_they_are"]["wape"]


def test_benchmark_recovery_without_data_simulates(workspace):
    values = yaml.safe_load((workspace / "params.yaml").read_text(encoding="utf-8"))
    small = {"simulation": {"n_skus": 20, "n_stores": 2, "n_days": 150}}
    (workspace / "params.yaml").write_text(yaml.safe_dump(merge_values(values, small)), encoding="utf-8")
    done = run("recovery")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["setting"]["data"] == "demo company"
    assert found["setting"]["silences_so_far"]["threshold"] == 0.7


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


LOST_SALES = (
    "lost-sales", "--lead-time", 2, "--long-lead-time", 4, "--bound-lead-time", 1, "--runs", 100, "--run-periods", 100
)  # fmt: skip


def test_benchmark_lost_sales_prints_costs_beside_the_optimum_and_tracks_the_run(workspace):
    done = run(*LOST_SALES, "--penalty", 9, "--penalty", 4, "--seed", 5)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert (found["benchmark"], found["family"], found["seed"]) == ("lost-sales", "projected_stockout", 5)
    # Zipkin (2008), table 3: lead time 2 and penalties 4 and 9; lead time 1 bounds the longer one.
    optima = found["setting"]["optima"]
    assert optima["lead_time_2_penalty_4_optimum"] == pytest.approx(4.40, abs=0.005)
    assert optima["lead_time_2_penalty_9_optimum"] == pytest.approx(6.09, abs=0.005)
    assert optima["lead_time_4_penalty_9_lower_bound"] == pytest.approx(5.44, abs=0.005)
    assert 0 <= found["score"]["demand_1_lead_time_4_penalty_4_above_optimum_pct"] < 0.5
    assert 0 <= found["score"]["worst_above_optimum_pct"] < 0.5
    for name, figures in found["baselines"].items():
        assert figures["lead_time_2_penalty_9_above_optimum_pct"] > 0, name
    for policy in ("base_stock", "capped_base_stock", "projected_level"):
        # Exactly known: Zipkin's optimum at lead time 4 is 6.8359, within the simulated interval and its bias.
        cost, half_width = (
            found["baselines"][policy][f"lead_time_4_penalty_9_{name}"] for name in ("cost", "half_width")
        )
        assert cost + 2 * half_width > 6.8359
    with connect(tracking_place(Settings(workspace=workspace))) as client:
        experiment = client.get_experiment_by_name("benchmarks")
        (tracked,) = client.search_runs([experiment.experiment_id])
    kept = tracked.data.metrics["worst_above_optimum_pct"]
    assert kept == pytest.approx(found["score"]["worst_above_optimum_pct"], abs=1e-5)


def test_benchmark_lost_sales_with_one_seed_gives_one_answer(workspace):
    answers = []
    for _ in range(2):
        short = ("--lead-time", 1, "--long-lead-time", 2, "--penalty", 4)
        found = json.loads(run(*LOST_SALES, *short).stdout.strip().splitlines()[-1])
        answers.append({name: found[name] for name in ("score", "baselines", "setting", "seed")})
    assert answers[0] == answers[1]


def test_benchmark_lost_sales_bounded_by_a_longer_lead_time_exits_2(workspace):
    assert "must be below --long-lead-time 4" in refused("lost-sales", "--long-lead-time", 4, "--bound-lead-time", 4)
