"""Stage `combine`: the families' back-tests in, their weighted ensemble out, a candidate as any other."""

from __future__ import annotations

import logging
import shutil
import time
from typing import Any

from restock.adapters.ensemble_files import assemble_ensemble
from restock.adapters.model_files import load_forecaster
from restock.adapters.panel_files import load_panel
from restock.adapters.plots import write_evaluation_plots
from restock.adapters.storage import write_json
from restock.adapters.usage import peak_rss_mb
from restock.errors import DataError
from restock.forecasting.backtest import score_backtest
from restock.forecasting.combination import ENSEMBLE, combine_backtests
from restock.forecasting.families.ensemble import SegmentWeights
from restock.forecasting.metrics import ALL_SEGMENTS, METRICS
from restock.operations.candidates import Candidate, candidate_folder, read_backtest, read_candidate
from restock.params import Params
from restock.pipeline.run_tracking import PLOTS_FOLDER, track_training
from restock.pipeline.train import BACKTEST_FILE, MODEL_FOLDER, MODEL_TYPE, TRAINING_FILE
from restock.settings import Settings

logger = logging.getLogger(__name__)

WEIGHTS_FILE = "weights.json"


def ensemble_recipe(params: Params) -> dict[str, Any]:
    """Return the slice of the params that decides what the ensemble is: its families' recipes and its own."""
    families = params.forecasting.families
    return {
        "seed": params.seed,
        "features": params.features.model_dump(mode="json"),
        "forecasting": params.forecasting.model_dump(mode="json"),
        "backtest": params.backtest.model_dump(mode="json"),
        "families": {family: getattr(params.families, family).model_dump(mode="json") for family in families},
        "evaluation": params.evaluation.model_dump(mode="json"),
        "ensemble": params.ensemble.model_dump(mode="json"),
        "calibration": params.calibration.model_dump(mode="json"),
        "cold_start": params.cold_start.model_dump(mode="json"),
    }


def run_combine(settings: Settings, params: Params) -> dict[str, Any]:
    """Weight the trained families, write the ensemble's candidate folder and metrics, and return them and the weights.

    The run is tracked in MLflow.

    Raises:
        NotFoundError: a family was not trained, or the features are missing.
        DataError: the families were not trained on the same data.
    """
    begun = time.monotonic()
    data_dir = settings.data_dir
    panel = load_panel(data_dir / "features")
    candidates = {family: read_candidate(data_dir, family) for family in params.forecasting.families}
    first = _check_alike(list(candidates.values()))
    backtests = {family: read_backtest(candidate) for family, candidate in candidates.items()}
    combined = combine_backtests(backtests, panel, params=params)
    backtest_seconds = time.monotonic() - begun

    folder = candidate_folder(data_dir, ENSEMBLE)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    combined.backtest.write_parquet(folder / BACKTEST_FILE, compression="zstd")
    assemble_ensemble(
        folder / MODEL_FOLDER,
        weights=combined.weights,
        rule=combined.rule,
        calibration=combined.calibration,
        cold_start=combined.cold_start,
        model_dirs={family: candidate.model_dir for family, candidate in candidates.items()},
        load_member=load_forecaster,
    )
    scores = score_backtest(combined.backtest, panel, params=params)
    write_evaluation_plots(combined.backtest, scores, panel=panel, folder=folder / PLOTS_FOLDER)
    overall = scores.filter(scores["cutoff"].is_null(), scores["segment"] == ALL_SEGMENTS).row(0, named=True)
    metrics = {metric: round(overall[metric], 6) for metric in METRICS if overall.get(metric) is not None}
    by_cutoff = {cutoff.isoformat(): _named(weights) for cutoff, weights in combined.weights_by_cutoff.items()}
    write_json(folder / WEIGHTS_FILE, {"served": _named(combined.weights), "back_test": by_cutoff})
    training = {
        "model_type": MODEL_TYPE,
        "family": ENSEMBLE,
        "params": ensemble_recipe(params),
        "cutoff": panel.last_observed.isoformat(),
        "frequency": panel.frequency.value,
        "horizon": params.forecasting.horizon,
        "quantiles": list(params.forecasting.quantiles),
        "data_hashes": first.data_hashes,
        "members": {family: candidates[family].content_sha256 for family in combined.weights.members},
        "backtest_seconds": round(backtest_seconds, 3),
        "seconds": round(time.monotonic() - begun, 3),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }
    run_id = track_training(settings, training, model_dir=folder / MODEL_FOLDER, scores=scores)
    write_json(folder / TRAINING_FILE, training | {"mlflow_run_id": run_id})
    write_json(data_dir / "reports" / "train" / f"{ENSEMBLE}.json", metrics)
    logger.info("combine: pinball %.4f of %s", metrics["pinball"], ", ".join(combined.weights.members))
    return {"metrics": metrics, "weights": _named(combined.weights)}


def _check_alike(candidates: list[Candidate]) -> Candidate:
    """Return the first of the candidates, once all were trained on the same data for the same question.

    Raises:
        DataError: they were not.
    """
    first = candidates[0]
    for other in candidates[1:]:
        asked, answered = (
            (one.data_hash, one.cutoff, one.horizon, one.quantiles, one.frequency) for one in (first, other)
        )
        if asked != answered:
            raise DataError(
                f"{first.family} and {other.family} were trained on other data or for another horizon or other "
                "quantiles; only forecasts of the same can be combined. Train both again: dvc repro."
            )
    return first


def _named(weights: SegmentWeights) -> dict[str, dict[str, float]]:
    """Return the weights by segment and family, "all" for the segments without weights of their own."""

    def by_family(row: tuple[float, ...]) -> dict[str, float]:
        return {family: round(weight, 6) for family, weight in zip(weights.members, row, strict=True) if weight > 0}

    return {
        ALL_SEGMENTS: by_family(weights.overall),
        **{name: by_family(row) for name, row in sorted(weights.by_segment.items())},
    }
