"""Runs in MLflow: one experiment per model type, a parent run per pipeline, a child run per family.

MLflow is imported on first use only: it takes seconds. `tracking_entries` holds what is logged in MLflow's own types,
`tracking_registry` the registered versions and aliases, `logged_model` the script that a logged model runs.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from restock.adapters.provenance import Provenance
from restock.adapters.tracking_entries import (
    as_dataset_inputs,
    as_metrics,
    flatten,
    forecaster_signature,
    scores_as_metrics,
)
from restock.errors import TRY_AGAIN, RestockError
from restock.settings import Settings
from restock.timeline import Frequency

logger = logging.getLogger(__name__)

PIPELINE_TAG = "restock.pipeline"
REUSED_TAG = "restock.reused_from"
PARENT_TAG, NAME_TAG = "mlflow.parentRunId", "mlflow.runName"
_CREDENTIALS = re.compile(r"//[^/@\s]+@")
# MLflow's limits: entries of one log_batch call.
_BATCH_METRICS, _BATCH_PARAMS = 1000, 100
# MLflow's own defaults phone home, draw bars over ours, and retry a server that is down for minutes.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class TrackingError(RestockError):
    """MLflow can't be reached, or refused what it was asked."""

    exit_code = TRY_AGAIN
    http_status = 503
    title = "The tracking store did not do this"


@dataclass(frozen=True, kw_only=True)
class TrackingPlace:
    """Where runs are kept.

    Attributes:
        uri: MLflow's tracking address.
        artifacts_dir: folder for artifacts; None where a server decides.
    """

    uri: str
    artifacts_dir: Path | None


@dataclass(frozen=True, kw_only=True)
class FamilyRun:
    """What one family's training is tracked by.

    Attributes:
        family: name of the family.
        params: the params that it read, nested.
        data_hashes: SHA-256 of each validated table that it was trained on, by name.
        scores: rows of `score_backtest`, one family.
        model_dir: folder that `save_forecaster` wrote.
        frequency: length of one period.
        horizon: longest horizon, periods.
        cutoff: last period trained on.
        seconds: wall time of training and back-test.
        peak_rss_mb: peak memory of the process, MB.
        provenance: code and libraries.
        plots: pictures to keep with the run.
        tags: more tags.
    """

    family: str
    params: dict[str, Any]
    data_hashes: dict[str, str]
    scores: pl.DataFrame
    model_dir: Path
    frequency: Frequency
    horizon: int
    cutoff: date
    seconds: float
    peak_rss_mb: float
    provenance: Provenance
    plots: tuple[Path, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)


def tracking_place(settings: Settings) -> TrackingPlace:
    """Return where the settings say that runs are kept: by default a database and a folder in the workspace."""
    uri = settings.tracking_uri
    is_server = urlsplit(uri).scheme in ("http", "https", "databricks")
    return TrackingPlace(uri=uri, artifacts_dir=None if is_server else settings.home / "mlartifacts")


@contextmanager
def connect(place: TrackingPlace) -> Iterator[Any]:
    """Yield an MLflow client; its failures become TrackingErrors, without an address that may hold a password.

    Raises:
        TrackingError: MLflow is not installed, can't be reached, or refuses.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise TrackingError(f"MLflow is not installed ({error}). Install it: make setup.") from error
    # Importing it sets its own levels.
    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    before = mlflow.get_tracking_uri()
    try:
        # Not all of MLflow's calls keep to the client's address: some look at the one that is set.
        mlflow.set_tracking_uri(place.uri)
        _prepare_store(place)
        yield mlflow.MlflowClient(tracking_uri=place.uri, registry_uri=place.uri)
    # requests' errors are OSErrors; a database whose file can't be made fails in SQLAlchemy.
    except (MlflowException, SQLAlchemyError, OSError) as error:
        where = urlsplit(place.uri).scheme + "://" + (urlsplit(place.uri).hostname or "")
        words = _CREDENTIALS.sub("//", " ".join(str(error).split()))[:300]
        raise TrackingError(
            f"MLflow at {where} failed: {words}. Check RESTOCK_MLFLOW_TRACKING_URI and that the server is up."
        ) from error
    finally:
        mlflow.set_tracking_uri(before)


@cache
def _prepare_store(place: TrackingPlace) -> None:
    """Let one process at a time make or migrate a database: MLflow's own migrations fail where two run at once."""
    if place.artifacts_dir is None:
        return
    from mlflow import MlflowClient

    with _lock_store(place):
        MlflowClient(tracking_uri=place.uri, registry_uri=place.uri).search_experiments(max_results=1)


@contextmanager
def _lock_store(place: TrackingPlace) -> Iterator[None]:
    """Hold the lock of a store on this machine; a server looks after itself."""
    if place.artifacts_dir is None:
        yield
        return
    place.artifacts_dir.mkdir(parents=True, exist_ok=True)
    with (place.artifacts_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def open_pipeline_run(
    place: TrackingPlace, *, experiment: str, pipeline_key: str, tags: dict[str, str] | None = None
) -> str:
    """Return the id of the parent run of a pipeline, made where there is none yet.

    Stages are processes of their own and may run side by side: whoever comes first makes the run, the others find it.

    Args:
        place: where runs are kept.
        experiment: the model type.
        pipeline_key: what identifies the pipeline's run, the same in each of its stages.
        tags: kept with a newly made run.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(place) as client, _lock_store(place):
        experiment_id = find_experiment(client, place, experiment)
        found = _find_pipeline_runs(client, experiment_id, pipeline_key)
        if found:
            return found[0]
        name = {NAME_TAG: f"pipeline {pipeline_key[:12]}"}
        run = client.create_run(experiment_id, tags={**(tags or {}), PIPELINE_TAG: pipeline_key, **name})
        made = str(run.info.run_id)
        # On a server two stages may both have found none: the older run wins, and the younger is withdrawn.
        first = _find_pipeline_runs(client, experiment_id, pipeline_key)[0]
        if first != made:
            client.delete_run(made)
        return first


def close_pipeline_run(place: TrackingPlace, run_id: str, *, tags: dict[str, str], metrics: dict[str, float]) -> None:
    """Mark a pipeline's run as finished, with its outcome.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(place) as client:
        log_batches(client, run_id, metrics=as_metrics(metrics), tags=tags)
        client.set_terminated(run_id)


def log_family_run(place: TrackingPlace, run: FamilyRun, *, experiment: str, parent_run_id: str) -> str:
    """Log one family's training as a child run, with its data, metrics, plots and model, and return the run's id.

    Metrics over all windows are named `pinball/all`, `pinball/A-smooth` and so on; per window `window/pinball/all`,
    with the window's number as step, oldest 0.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(place) as client:
        experiment_id = find_experiment(client, place, experiment)
        tags = {
            **run.tags,
            **provenance_tags(run.provenance),
            "restock.family": run.family,
            "restock.cutoff": run.cutoff.isoformat(),
            PARENT_TAG: parent_run_id,
            NAME_TAG: run.family,
        }
        run_id = str(client.create_run(experiment_id, tags=tags).info.run_id)
        measured = {"duration_seconds": run.seconds, "peak_rss_mb": run.peak_rss_mb}
        log_batches(
            client,
            run_id,
            metrics=[*as_metrics(measured), *scores_as_metrics(run.scores)],
            params=flatten(run.params),
        )
        client.log_inputs(run_id, datasets=as_dataset_inputs(run.data_hashes))
        for plot in run.plots:
            client.log_artifact(run_id, str(plot), artifact_path="plots")
        _log_model(run, run_id=run_id)
        return run_id


def log_artifacts(place: TrackingPlace, run_id: str, files: Sequence[Path], *, folder: str) -> None:
    """Keep files with a run, in a folder of its artifacts.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(place) as client:
        for path in files:
            client.log_artifact(run_id, str(path), artifact_path=folder)


def link_reused_run(place: TrackingPlace, run_id: str, *, parent_run_id: str) -> str:
    """Return the child of a pipeline's run that stands for a training which DVC took from its cache.

    Args:
        place: where runs are kept.
        run_id: the run that trained it. Where it already is a child of the parent, it is returned itself.
        parent_run_id: the present pipeline's run.

    Raises:
        TrackingError: MLflow failed, or has no such run.
    """
    with connect(place) as client:
        source = client.get_run(run_id)
        if source.data.tags.get(PARENT_TAG) == parent_run_id:
            return run_id
        experiment_id = source.info.experiment_id
        known = client.search_runs(
            [experiment_id],
            filter_string=f"tags.`{PARENT_TAG}` = '{parent_run_id}' and tags.`{REUSED_TAG}` = '{run_id}'",
            max_results=1,
        )
        if known:
            return str(known[0].info.run_id)
        kept = {
            name: value for name, value in source.data.tags.items() if name.startswith("restock.") or name == NAME_TAG
        }
        tags = {**kept, REUSED_TAG: run_id, PARENT_TAG: parent_run_id}
        made = str(client.create_run(experiment_id, tags=tags).info.run_id)
        metrics = [metric for key in source.data.metrics for metric in client.get_metric_history(run_id, key)]
        log_batches(client, made, metrics=metrics, params=dict(source.data.params))
        client.log_inputs(made, datasets=source.inputs.dataset_inputs)
        client.set_terminated(made)
        return made


def log_measurement(
    place: TrackingPlace,
    *,
    experiment: str,
    name: str,
    params: dict[str, Any],
    metrics: dict[str, float],
    tags: dict[str, str],
    provenance: Provenance,
) -> str:
    """Log a run that stands for itself, such as a benchmark's, and return its id.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(place) as client:
        experiment_id = find_experiment(client, place, experiment)
        named = {**tags, **provenance_tags(provenance), NAME_TAG: name}
        run_id = str(client.create_run(experiment_id, tags=named).info.run_id)
        log_batches(client, run_id, metrics=as_metrics(metrics), params=flatten(params))
        client.set_terminated(run_id)
        return run_id


def find_experiment(client: Any, place: TrackingPlace, name: str) -> str:
    """Return the id of an experiment, made where there is none."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        location = None if place.artifacts_dir is None else (place.artifacts_dir / name).resolve().as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            # Another stage made it in between; if not, the error below says what is wrong.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _find_pipeline_runs(client: Any, experiment_id: str, pipeline_key: str) -> list[str]:
    """Return the ids of the parent runs of a pipeline, oldest first."""
    runs = client.search_runs(
        [experiment_id],
        filter_string=f"tags.`{PIPELINE_TAG}` = '{pipeline_key}'",
        order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
        max_results=5,
    )
    parents = [run for run in runs if PARENT_TAG not in run.data.tags]
    return [run.info.run_id for run in sorted(parents, key=lambda run: (run.info.start_time, run.info.run_id))]


def provenance_tags(provenance: Provenance) -> dict[str, str]:
    """Return the tags that say which code and libraries made a run."""
    tags = {
        "restock.git_commit": provenance.git_commit,
        "restock.dvc_lock_sha256": provenance.dvc_lock_sha256,
        "restock.libraries": json.dumps(provenance.library_versions, sort_keys=True),
    }
    if provenance.has_local_changes is not None:
        tags["restock.has_local_changes"] = str(provenance.has_local_changes).lower()
    return {name: value for name, value in tags.items() if value is not None}


def log_batches(
    client: Any,
    run_id: str,
    *,
    metrics: Sequence[Any] = (),
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> None:
    """Log in as few calls as MLflow takes."""
    from mlflow.entities import Param, RunTag

    entries = [Param(name, value) for name, value in (params or {}).items()]
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in (tags or {}).items()])
    for first in range(0, len(entries), _BATCH_PARAMS):
        client.log_batch(run_id, params=entries[first : first + _BATCH_PARAMS])
    for first in range(0, len(metrics), _BATCH_METRICS):
        client.log_batch(run_id, metrics=metrics[first : first + _BATCH_METRICS])


def _log_model(run: FamilyRun, *, run_id: str) -> None:
    """Log the model's folder as a pyfunc model made from a script, so that nothing is pickled; ends the run."""
    import mlflow

    with warnings.catch_warnings(), mlflow.start_run(run_id=run_id):
        # The signature is given; an example would make MLflow run the model once more.
        warnings.filterwarnings("ignore", message=".*input example")
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("logged_model.py")),
            artifacts={"model": str(run.model_dir)},
            signature=forecaster_signature(),
            pip_requirements=[f"restock=={run.provenance.library_versions['restock']}"],
            model_config={"frequency": run.frequency.value, "horizon": run.horizon},
        )
