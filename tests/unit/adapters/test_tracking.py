"""Runs in a real tracking store: a SQLite database and a folder."""

import json
import multiprocessing
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from restock.adapters.model_files import save_forecaster
from restock.adapters.provenance import Provenance
from restock.adapters.tracking import (
    REUSED_TAG,
    FamilyRun,
    TrackingError,
    TrackingPlace,
    close_pipeline_run,
    connect,
    link_reused_run,
    log_artifacts,
    log_family_run,
    open_pipeline_run,
    tracking_place,
)
from restock.adapters.tracking_registry import (
    Alias,
    clear_stale_challenger,
    read_aliases,
    register_version,
    set_aliases,
    set_challenger,
)
from restock.forecasting.families.seasonal_naive import SeasonalNaive
from restock.settings import Settings
from restock.timeline import Frequency

EXPERIMENT = "demand_forecasting"
MODEL = SeasonalNaive(
    horizon=7,
    quantiles=(0.1, 0.5, 0.9),
    season_periods=7,
    residual_periods=56,
    max_stockout_share=0.0,
    pooled_errors=((-1.0, 0.0, 1.0),),
)
PROVENANCE = Provenance(
    git_commit="c0ffee",
    has_local_changes=False,
    dvc_lock_sha256="d" * 64,
    library_versions={"restock": "0.1.0", "numpy": "2"},
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracking")
    return TrackingPlace(uri=f"sqlite:///{folder}/mlflow.db", artifacts_dir=folder / "artifacts")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "model"
    save_forecaster(MODEL, folder)
    return folder


def make_scores():
    cutoffs = (None, date(2024, 5, 1), date(2024, 5, 8))
    return pl.DataFrame(
        [
            {"family": "seasonal_naive", "cutoff": cutoff, "segment": segment, "pinball": place + 0.5, "wape": None}
            for place, cutoff in enumerate(cutoffs)
            for segment in ("all", "A-smooth")
        ],
        schema_overrides={"cutoff": pl.Date, "wape": pl.Float64},
    )


def make_run(model_dir, **changes):
    given = {
        "family": "seasonal_naive",
        "params": {"seed": 1, "families": {"seasonal_naive": {"residual_periods": 56}}, "lags": [1, 2]},
        "data_hashes": {"sales": "a" * 64, "products": "b" * 64},
        "scores": make_scores(),
        "model_dir": model_dir,
        "frequency": Frequency.DAILY,
        "horizon": 7,
        "cutoff": date(2024, 5, 15),
        "seconds": 1.5,
        "peak_rss_mb": 200.0,
        "provenance": PROVENANCE,
    }
    return FamilyRun(**(given | changes))


@pytest.fixture(scope="module")
def logged(place, model_dir):
    """Return the ids of a parent and of its child."""
    parent = open_pipeline_run(place, experiment=EXPERIMENT, pipeline_key="first")
    return parent, log_family_run(place, make_run(model_dir), experiment=EXPERIMENT, parent_run_id=parent)


def read_run(place, run_id):
    with connect(place) as client:
        return client.get_run(run_id)


def test_tracking_place_by_default_lies_in_the_workspace(tmp_path):
    place = tracking_place(Settings(workspace=tmp_path))
    assert place.uri == f"sqlite:///{tmp_path.resolve()}/mlflow.db"
    assert place.artifacts_dir == tmp_path.resolve() / "mlartifacts"


def test_tracking_place_of_a_server_leaves_artifacts_to_it(tmp_path):
    assert tracking_place(Settings(workspace=tmp_path, mlflow_tracking_uri="http://mlflow:5000")).artifacts_dir is None


def test_open_pipeline_run_again_finds_the_same(place):
    opened = [open_pipeline_run(place, experiment=EXPERIMENT, pipeline_key="same") for _ in range(2)]
    assert opened[0] == opened[1]
    assert open_pipeline_run(place, experiment=EXPERIMENT, pipeline_key="other") != opened[0]


def test_open_pipeline_run_from_three_processes_on_a_fresh_store_makes_one(tmp_path):
    place = TrackingPlace(uri=f"sqlite:///{tmp_path}/mlflow.db", artifacts_dir=tmp_path / "artifacts")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow"])
    named = {"experiment": EXPERIMENT, "pipeline_key": "raced"}
    processes = [context.Process(target=open_pipeline_run, args=(place,), kwargs=named) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with connect(place) as client:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        assert len(client.search_runs([experiment.experiment_id])) == 1


def test_close_pipeline_run_finishes_it_with_its_outcome(place):
    run_id = open_pipeline_run(place, experiment=EXPERIMENT, pipeline_key="to close")
    close_pipeline_run(place, run_id, tags={"restock.candidate": "xgboost"}, metrics={"pinball": 0.25})
    run = read_run(place, run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["restock.candidate"] == "xgboost"
    assert run.data.metrics == {"pinball": 0.25}


def test_log_family_run_is_a_finished_child_with_params_and_provenance(place, logged):
    parent, child = logged
    run = read_run(place, child)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.tags["mlflow.runName"] == "seasonal_naive"
    assert run.data.tags["restock.git_commit"] == "c0ffee"
    assert run.data.tags["restock.dvc_lock_sha256"] == "d" * 64
    given = {"seed": "1", "families.seasonal_naive.residual_periods": "56", "lags": "[1, 2]"}
    assert run.data.params.items() >= given.items()
    assert run.data.metrics["duration_seconds"] == 1.5
    assert run.data.metrics["peak_rss_mb"] == 200.0


def test_log_family_run_metrics_are_per_segment_and_window(place, logged):
    run = read_run(place, logged[1])
    assert run.data.metrics["pinball/all"] == 0.5
    assert run.data.metrics["pinball/A-smooth"] == 0.5
    assert not any("wape" in name for name in run.data.metrics)
    with connect(place) as client:
        history = client.get_metric_history(logged[1], "window/pinball/all")
    assert [(entry.step, entry.value) for entry in history] == [(0, 1.5), (1, 2.5)]


def test_log_family_run_names_its_data_by_hash(place, logged):
    inputs = read_run(place, logged[1]).inputs.dataset_inputs
    named = {each.dataset.name: (each.dataset.digest, {tag.key: tag.value for tag in each.tags}) for each in inputs}
    assert named["sales"][0] == "a" * 36
    assert named["products"][1]["restock.sha256"] == "b" * 64


def test_log_family_run_model_is_logged_without_pickle(place, logged):
    files = [path for path in place.artifacts_dir.rglob("*") if path.is_file()]
    assert any(path.name == "MLmodel" for path in files)
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".joblib")]


def test_logged_model_forecasts_a_sales_frame(place, logged):
    import mlflow
    import pandas as pd

    model_id = read_run(place, logged[1]).outputs.model_outputs[0].model_id
    with connect(place):
        model = mlflow.pyfunc.load_model(f"models:/{model_id}")
    days = [date(2024, 1, 1) + timedelta(days=day) for day in range(84)]
    sales = pd.DataFrame(
        {"sku": "S1", "location": "L1", "date": pd.to_datetime(days), "units_sold": np.tile(np.arange(7.0), 12)}
    )
    forecast = model.predict(sales, params={"horizon": 3})
    assert model.metadata.signature.outputs.input_names() == list(forecast.columns)
    assert len(forecast) == 3 * len(MODEL.quantiles)
    # 84 days from 0 to 6 over and over: the next three are 0, 1, 2.
    assert forecast["mean_demand_units"].unique().tolist() == [0.0, 1.0, 2.0]
    assert len(model.predict(sales)) == 7 * len(MODEL.quantiles)


def test_log_artifacts_keeps_files_in_a_folder(place, logged, tmp_path):
    picture = tmp_path / "fan.png"
    picture.write_bytes(b"png")
    log_artifacts(place, logged[0], [picture], folder="plots")
    with connect(place) as client:
        assert [entry.path for entry in client.list_artifacts(logged[0], "plots")] == ["plots/fan.png"]


def test_link_reused_run_is_a_child_with_the_same_figures(place, logged):
    parent = open_pipeline_run(place, experiment=EXPERIMENT, pipeline_key="second")
    linked = [link_reused_run(place, logged[1], parent_run_id=parent) for _ in range(2)]
    assert linked[0] == linked[1] != logged[1]
    run, original = read_run(place, linked[0]), read_run(place, logged[1])
    assert run.data.tags[REUSED_TAG] == logged[1]
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.metrics == original.data.metrics
    assert run.data.params == original.data.params
    assert len(run.inputs.dataset_inputs) == 2
    with connect(place) as client:
        assert len(client.get_metric_history(linked[0], "window/pinball/all")) == 2


def test_link_reused_run_of_the_same_pipeline_is_the_run_itself(place, logged):
    assert link_reused_run(place, logged[1], parent_run_id=logged[0]) == logged[1]


def test_link_reused_run_that_the_store_does_not_know_fails(place, logged):
    with pytest.raises(TrackingError, match="MLflow at sqlite:// failed"):
        link_reused_run(place, "0" * 32, parent_run_id=logged[0])


def test_connect_does_not_show_a_password(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    place = TrackingPlace(uri="http://user:hunter2@127.0.0.1:9", artifacts_dir=None)
    with pytest.raises(TrackingError, match=r"MLflow at http://127\.0\.0\.1 failed") as failed:
        open_pipeline_run(place, experiment=EXPERIMENT, pipeline_key="x")
    assert "hunter2" not in str(failed.value)


def test_connect_leaves_the_tracking_address_as_it_was(place):
    import mlflow

    before = mlflow.get_tracking_uri()
    with connect(place):
        assert mlflow.get_tracking_uri() == place.uri
    assert mlflow.get_tracking_uri() == before


def register(place, folder, content, *, version=1, run_id=None):
    return register_version(
        place,
        EXPERIMENT,
        content_sha256=content,
        model_version=version,
        run_id=run_id,
        folder=folder,
        description="test",
    )


def test_register_version_again_finds_the_same(place, model_dir):
    first = register(place, model_dir, "same")
    assert register(place, model_dir, "same") == first
    assert register(place, model_dir, "same", version=2) != first
    assert register(place, model_dir, "another") != first


def test_register_version_source_is_the_logged_model_where_there_is_one(place, model_dir, logged):
    tracked = register(place, model_dir, "tracked", run_id=logged[1])
    lost = register(place, model_dir, "lost", run_id="0" * 32)
    model_id = read_run(place, logged[1]).outputs.model_outputs[0].model_id
    with connect(place) as client:
        assert client.get_model_version(EXPERIMENT, tracked).source == f"models:/{model_id}"
        assert client.get_model_version(EXPERIMENT, lost).source == model_dir.as_uri()


def test_set_aliases_changes_only_what_differs(place, model_dir):
    version = register(place, model_dir, "aliased")
    set_aliases(place, EXPERIMENT, {Alias.CHAMPION: version, Alias.PREVIOUS: version})
    assert set_aliases(place, EXPERIMENT, {Alias.CHAMPION: version, Alias.PREVIOUS: None}) == ("previous",)
    assert read_aliases(place, EXPERIMENT)["champion"] == version
    assert "previous" not in read_aliases(place, EXPERIMENT)


@pytest.mark.parametrize(("minutes_later", "stays"), [(-1, True), (1, False)])
def test_clear_stale_challenger_only_where_it_was_refused_before_the_change(place, model_dir, minutes_later, stays):
    from datetime import UTC, datetime

    refused = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
    set_challenger(place, EXPERIMENT, register(place, model_dir, "refused"), refused_at_utc=refused)
    clear_stale_challenger(place, EXPERIMENT, changed_at_utc=refused + timedelta(minutes=minutes_later))
    assert ("challenger" in read_aliases(place, EXPERIMENT)) is stays


def test_provenance_tags_hold_library_versions(place, logged):
    assert json.loads(read_run(place, logged[1]).data.tags["restock.libraries"])["restock"] == "0.1.0"
