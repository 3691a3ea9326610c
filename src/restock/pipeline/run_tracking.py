"""How the stages' runs hang together in MLflow: a parent run per pipeline, a child per family."""

from __future__ import annotations

import hashlib
import logging
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.provenance import Provenance, read_dvc_hash, read_provenance
from restock.adapters.storage import read_json, sha256_of
from restock.adapters.tracking import (
    FamilyRun,
    TrackingError,
    close_pipeline_run,
    link_reused_run,
    log_artifacts,
    log_family_run,
    open_pipeline_run,
    tracking_place,
)
from restock.settings import Settings
from restock.timeline import Frequency

logger = logging.getLogger(__name__)

PLOTS_FOLDER = "plots"


def name_pipeline(settings: Settings, provenance: Provenance) -> str:
    """Return what identifies a pipeline's run in each of its stages: its data, its params and its code."""
    parts = [
        sha256_of(settings.data_dir / "manifest.json"),
        sha256_of(settings.params_file),
        provenance.git_commit or "",
    ]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def track_training(
    settings: Settings, training: dict[str, Any], *, model_dir: Path, scores: pl.DataFrame
) -> str | None:
    """Log one family's training and return its run's id, or None where MLflow failed: `track_evaluation` tries again.

    Args:
        settings: where runs are kept.
        training: what the stage found: model_type, family, params, cutoff, horizon, frequency, data_hashes, seconds and
            peak_rss_mb.
        model_dir: the saved forecaster; pictures in `plots/` beside it are kept with the run.
        scores: rows of `score_backtest` of the family.
    """
    try:
        place, provenance = tracking_place(settings), read_provenance(settings.root)
        parent = _open_parent(settings, training["model_type"], provenance=provenance)
        run = _family_run(settings, training, model_dir=model_dir, scores=scores, provenance=provenance)
        return log_family_run(place, run, experiment=training["model_type"], parent_run_id=parent)
    except TrackingError as error:
        # The model is trained and saved; hours of work must not fail for a server that is down.
        logger.warning(
            "the run of %s is not tracked yet, the evaluate stage tries again: %s", training["family"], error
        )
        return None


def track_evaluation(
    settings: Settings,
    folders: list[Path],
    *,
    scores: pl.DataFrame,
    path_scores: pl.DataFrame,
    pictures: list[Path],
    candidate: dict[str, str],
) -> None:
    """Complete the pipeline's run: every family a child, the pictures and the outcome on the parent.

    Where MLflow fails, that is logged as a warning: the evaluation stands in its files.

    Args:
        settings: where runs are kept.
        folders: each family's candidate folder, with training.json and model/.
        scores: rows of `score_backtest` of all families.
        path_scores: rows of `judge_paths` of the candidate.
        pictures: plots and the report.
        candidate: model_type, family and reason.
    """
    try:
        place, provenance = tracking_place(settings), read_provenance(settings.root)
        model_type = candidate["model_type"]
        parent = _open_parent(settings, model_type, provenance=provenance)
        for folder in folders:
            training = read_json(folder / "training.json")
            own = scores.filter(pl.col("family") == training["family"])
            if training["mlflow_run_id"] is None:
                run = _family_run(settings, training, model_dir=folder / "model", scores=own, provenance=provenance)
                log_family_run(place, run, experiment=model_type, parent_run_id=parent)
            else:
                link_reused_run(place, training["mlflow_run_id"], parent_run_id=parent)
        log_artifacts(place, parent, pictures, folder="evaluation")
        best = scores.filter(
            pl.col("family") == candidate["family"], pl.col("cutoff").is_null(), pl.col("segment") == "all"
        ).row(0, named=True)
        metrics = {name: best[name] for name in ("pinball", "wape", "bias", "rmsse") if best[name] is not None}
        metrics |= _path_metrics(path_scores)
        close_pipeline_run(place, parent, tags={"restock.candidate": candidate["family"]}, metrics=metrics)
    except TrackingError as error:
        logger.warning("the evaluation is not tracked: %s", error)


def _path_metrics(path_scores: pl.DataFrame) -> dict[str, float]:
    """Return the scores of sample paths by a name each, such as `paths.dependence.series.28.coverage_80`."""
    return {
        f"paths.{row['drawn_with']}.{row['level']}.{row['periods']}.{name}": value
        for row in path_scores.iter_rows(named=True)
        for name, value in row.items()
        if name not in ("drawn_with", "level", "periods", "n_scored") and value is not None
    }


def _open_parent(settings: Settings, model_type: str, *, provenance: Provenance) -> str:
    tags = {
        "restock.git_commit": provenance.git_commit or "",
        "restock.workspace": settings.root.name,
        **orchestration_tags(settings),
    }
    return open_pipeline_run(
        tracking_place(settings),
        experiment=model_type,
        pipeline_key=name_pipeline(settings, provenance),
        tags=tags,
    )


def _family_run(
    settings: Settings, training: dict[str, Any], *, model_dir: Path, scores: pl.DataFrame, provenance: Provenance
) -> FamilyRun:
    return FamilyRun(
        family=training["family"],
        params=training["params"],
        data_hashes=training["data_hashes"],
        scores=scores,
        model_dir=model_dir,
        frequency=Frequency(training["frequency"]),
        horizon=training["horizon"],
        cutoff=date.fromisoformat(training["cutoff"]),
        seconds=training["seconds"],
        peak_rss_mb=training["peak_rss_mb"],
        provenance=provenance,
        tags={
            "restock.dvc_hash_of_validated": read_dvc_hash(settings.root, "data/validated") or "",
            **orchestration_tags(settings),
        },
        plots=tuple(sorted((model_dir.parent / PLOTS_FOLDER).glob("*.png"))),
    )


def orchestration_tags(settings: Settings) -> dict[str, str]:
    """Return the tag that leads back to the Airflow run, where one started this."""
    return {} if settings.orchestration_run is None else {"restock.airflow_run": settings.orchestration_run}
