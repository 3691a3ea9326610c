"""A search in a real tracking store: a SQLite database and a folder."""

from __future__ import annotations

import pytest

from restock.adapters.provenance import Provenance
from restock.adapters.studies import Trial
from restock.adapters.tracking import NAME_TAG, PARENT_TAG, TrackingPlace, connect
from restock.adapters.tracking_search import PRUNED_TAG, close_search, find_logged, log_trials, open_search

EXPERIMENT = "demand_forecasting"
PROVENANCE = Provenance(git_commit="c0ffee", has_local_changes=False, dvc_lock_sha256=None, library_versions={"a": "1"})
TRIALS = (
    Trial(number=0, values={"max_depth": 6, "eta": 0.1}, losses=(2.0, 1.8, 1.9), loss=1.9, seconds=3.5),
    Trial(number=2, values={"max_depth": 9, "eta": 0.3}, losses=(4.0,), loss=None, seconds=1.0),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracking")
    return TrackingPlace(uri=f"sqlite:///{folder}/mlflow.db", artifacts_dir=folder / "artifacts")


def begin(place, identity):
    return open_search(
        place,
        experiment=EXPERIMENT,
        identity=identity,
        name="tune xgboost",
        params={"seed": 1, "forecasting": {"horizon": 7}},
        tags={"restock.airflow_run": "dag/run"},
        provenance=PROVENANCE,
    )


def children_of(search):
    with connect(search.place) as client:
        experiment_id = client.get_experiment_by_name(EXPERIMENT).experiment_id
        runs = client.search_runs([experiment_id], filter_string=f"tags.`{PARENT_TAG}` = '{search.run_id}'")
        return {run.data.tags[NAME_TAG]: run for run in runs}


def test_search_is_a_run_with_a_child_a_trial(place):
    search = begin(place, "one")
    log_trials(search, TRIALS[:1])
    log_trials(search, TRIALS[1:])
    close_search(search, metrics={"pinball_best": 1.8})
    with connect(place) as client:
        parent = client.get_run(search.run_id)
        first = children_of(search)["trial 0"]
        history = client.get_metric_history(first.info.run_id, "pinball_so_far")
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {"seed": "1", "forecasting.horizon": "7"}
    assert parent.data.metrics == {"pinball_best": 1.8}
    assert parent.data.tags["restock.airflow_run"] == "dag/run"
    assert (parent.data.tags[NAME_TAG], parent.data.tags["restock.git_commit"]) == ("tune xgboost", "c0ffee")
    assert [(each.step, each.value) for each in sorted(history, key=lambda each: each.step)] == [
        (0, 2.0), (1, 1.8), (2, 1.9),
    ]  # fmt: skip
    children = children_of(search)
    assert {name: run.data.tags[PRUNED_TAG] for name, run in children.items()} == {
        "trial 0": "false",
        "trial 2": "true",
    }
    assert children["trial 0"].data.params == {"max_depth": "6", "eta": "0.1"}
    assert children["trial 0"].data.metrics["pinball"] == 1.9
    assert "pinball" not in children["trial 2"].data.metrics
    assert all(run.info.status == "FINISHED" for run in children.values())


def test_search_that_goes_on_finds_its_run_and_another_does_not(place):
    first = begin(place, "same")
    log_trials(first, TRIALS[:1])
    again = begin(place, "same")
    assert find_logged(again) == {0}
    log_trials(again, TRIALS[1:])
    assert again.run_id == first.run_id != begin(place, "other").run_id
    assert set(children_of(again)) == {"trial 0", "trial 2"}


def test_trial_that_was_half_logged_is_logged_anew(place):
    search = begin(place, "killed")
    with connect(place) as client:
        experiment_id = client.get_experiment_by_name(EXPERIMENT).experiment_id
        half = client.create_run(experiment_id, tags={PARENT_TAG: search.run_id, NAME_TAG: "trial 0"}).info.run_id
    assert find_logged(search) == set()
    log_trials(search, TRIALS)
    children = children_of(search)
    assert set(children) == {"trial 0", "trial 2"}
    assert children["trial 0"].info.run_id != half
    assert children["trial 0"].data.metrics["pinball"] == 1.9
