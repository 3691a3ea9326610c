"""Stage `train`: one family back-tested over the cutoffs, then fitted on all data."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from typing import Any

from restock.adapters.model_files import save_forecaster
from restock.adapters.panel_files import load_features, load_panel
from restock.adapters.plots import write_evaluation_plots
from restock.adapters.storage import read_json, write_json
from restock.adapters.usage import peak_rss_mb
from restock.forecasting.backtest import run_backtest, score_backtest
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.metrics import ALL_SEGMENTS, METRICS
from restock.operations.candidates import candidate_folder
from restock.params import FamilyName, Params
from restock.pipeline.features import DATA_HASHES_FILE
from restock.pipeline.run_tracking import PLOTS_FOLDER, track_training
from restock.settings import Settings

logger = logging.getLogger(__name__)

MODEL_TYPE = "demand_forecasting"
BACKTEST_FILE = "backtest.parquet"
TRAINING_FILE = "training.json"
MODEL_FOLDER = "model"


def recipe_of(params: Params, family: FamilyName) -> dict[str, Any]:
    """Return the slice of the params that decides what training `family` gives."""
    return {
        "seed": params.seed,
        "features": params.features.model_dump(mode="json"),
        "forecasting": params.forecasting.model_dump(mode="json", exclude={"families"}),
        "backtest": params.backtest.model_dump(mode="json"),
        "families": {family: getattr(params.families, family).model_dump(mode="json")},
    }


def run_train(
    family: FamilyName, settings: Settings, params: Params, *, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Back-test and fit `family`, write its candidate folder and its metrics, and return the metrics over all windows.

    The run is tracked in MLflow.

    Raises:
        NotFoundError: the features are missing.
        InsufficientHistoryError: the history can't hold the windows.
    """
    begun = time.monotonic()
    data_dir = settings.data_dir
    panel = load_panel(data_dir / "features")
    features = load_features(data_dir / "features", n_series=panel.n_series)
    logger.info("train %s: %d series up to %s", family, panel.n_series, panel.last_observed)
    backtest = run_backtest(panel, family=family, params=params, features=features)
    backtest_seconds = time.monotonic() - begun
    forecaster = fit_forecaster(family, panel, params=params, features=features, on_progress=on_progress)
    scores = score_backtest(backtest, panel, params=params)
    overall = scores.filter(scores["cutoff"].is_null(), scores["segment"] == ALL_SEGMENTS).row(0, named=True)
    metrics = {metric: round(overall[metric], 6) for metric in METRICS if overall.get(metric) is not None}

    folder = candidate_folder(data_dir, family)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    backtest.write_parquet(folder / BACKTEST_FILE, compression="zstd")
    save_forecaster(forecaster, folder / MODEL_FOLDER)
    write_evaluation_plots(backtest, scores, panel=panel, folder=folder / PLOTS_FOLDER)
    seconds = time.monotonic() - begun
    training = {
        "model_type": MODEL_TYPE,
        "family": family,
        "params": recipe_of(params, family),
        "cutoff": panel.last_observed.isoformat(),
        "frequency": panel.frequency.value,
        "horizon": params.forecasting.horizon,
        "quantiles": list(params.forecasting.quantiles),
        "data_hashes": read_json(data_dir / "features" / DATA_HASHES_FILE),
        "backtest_seconds": round(backtest_seconds, 3),
        "seconds": round(seconds, 3),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }
    run_id = track_training(settings, training, model_dir=folder / MODEL_FOLDER, scores=scores)
    write_json(folder / TRAINING_FILE, training | {"mlflow_run_id": run_id})
    # Seconds and memory stay out of the metric file: DVC compares it, and they differ from run to run.
    write_json(data_dir / "reports" / "train" / f"{family}.json", metrics)
    logger.info("train %s: pinball %.4f, WAPE %.4f, %.1f s", family, metrics["pinball"], metrics["wape"], seconds)
    return metrics
