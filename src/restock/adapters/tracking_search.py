"""A hyper-parameter search in MLflow: a run of its own, with a child run a trial, logged as the trials end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from restock.adapters.provenance import Provenance
from restock.adapters.studies import Trial
from restock.adapters.tracking import (
    NAME_TAG,
    PARENT_TAG,
    TrackingPlace,
    connect,
    find_experiment,
    log_batches,
    open_pipeline_run,
    provenance_tags,
)
from restock.adapters.tracking_entries import as_metrics, flatten

PRUNED_TAG = "restock.pruned"
_FINISHED = "FINISHED"
_TRIAL_NAME = "trial "


@dataclass(frozen=True, kw_only=True)
class SearchRun:
    """The run of a search.

    Attributes:
        place: where it is kept.
        experiment_id: MLflow's identifier of the model type's experiment.
        run_id: the parent of the trials' runs.
    """

    place: TrackingPlace
    experiment_id: str
    run_id: str


def open_search(
    place: TrackingPlace,
    *,
    experiment: str,
    identity: str,
    name: str,
    params: dict[str, Any],
    tags: dict[str, str],
    provenance: Provenance,
) -> SearchRun:
    """Return the run of a search, made where there is none yet; a search that goes on finds its own.

    Args:
        place: where runs are kept.
        experiment: the model type.
        identity: what no other search has.
        name: of the run.
        params: what all trials share.
        tags: more tags.
        provenance: code and libraries.

    Raises:
        TrackingError: MLflow failed.
    """
    run_id = open_pipeline_run(
        place, experiment=experiment, pipeline_key=f"search {identity}", tags={**tags, **provenance_tags(provenance)}
    )
    with connect(place) as client:
        log_batches(client, run_id, params=flatten(params), tags={NAME_TAG: name})
        experiment_id = find_experiment(client, place, experiment)
    return SearchRun(place=place, experiment_id=experiment_id, run_id=run_id)


def find_logged(search: SearchRun) -> set[int]:
    """Return the numbers of the trials that have a run; one that a killed process left unfinished is withdrawn.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(search.place) as client:
        logged = set()
        for run in _children(client, search.experiment_id, parent=search.run_id):
            if run.info.status == _FINISHED:
                logged.add(int(run.data.tags[NAME_TAG].removeprefix(_TRIAL_NAME)))
            else:
                client.delete_run(run.info.run_id)
        return logged


def log_trials(search: SearchRun, trials: Sequence[Trial]) -> None:
    """Log trials that have no run yet: values as params, mean pinball loss after each window by step.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(search.place) as client:
        for trial in trials:
            name = f"{_TRIAL_NAME}{trial.number}"
            tags = {PARENT_TAG: search.run_id, NAME_TAG: name, PRUNED_TAG: str(trial.loss is None).lower()}
            run_id = str(client.create_run(search.experiment_id, tags=tags).info.run_id)
            steps = [
                metric
                for step, loss in enumerate(trial.losses)
                for metric in as_metrics({"pinball_so_far": loss}, step=step)
            ]
            outcome = {"seconds": trial.seconds} | ({} if trial.loss is None else {"pinball": trial.loss})
            log_batches(client, run_id, metrics=[*steps, *as_metrics(outcome)], params=flatten(dict(trial.values)))
            client.set_terminated(run_id)


def close_search(search: SearchRun, *, metrics: dict[str, float]) -> None:
    """Mark a search as finished, with its outcome.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(search.place) as client:
        log_batches(client, search.run_id, metrics=as_metrics(metrics))
        client.set_terminated(search.run_id)


def _children(client: Any, experiment_id: str, *, parent: str) -> list[Any]:
    """Return all child runs of a run."""
    found: list[Any] = []
    token = None
    while True:
        page = client.search_runs([experiment_id], filter_string=f"tags.`{PARENT_TAG}` = '{parent}'", page_token=token)
        found += page
        token = page.token
        if not token:
            return found
