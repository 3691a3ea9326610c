"""Stage `evaluate`: back-tests of all families in, scores beside seasonal naive, plots and the candidate out."""

from __future__ import annotations

import logging
import shutil
from typing import Any

import polars as pl

from restock.adapters.panel_files import load_panel
from restock.adapters.plots import write_evaluation_plots
from restock.adapters.storage import write_json
from restock.forecasting.backtest import score_backtest
from restock.forecasting.metrics import METRICS
from restock.operations.candidates import read_backtest, read_candidate
from restock.params import Params
from restock.pipeline.run_tracking import track_evaluation
from restock.pipeline.train import MODEL_TYPE, candidate_folder
from restock.settings import Settings

logger = logging.getLogger(__name__)

BASELINE = "seasonal_naive"
CANDIDATE_FILE = "candidate.json"
# Ranked by what the forecast is used for: the whole distribution, not its middle.
RANKING_METRIC = "pinball"


def run_evaluate(settings: Settings, params: Params) -> dict[str, Any]:
    """Write scores, plots and the candidate's name to data/reports, complete the MLflow run, and return the metrics.

    Raises:
        NotFoundError: a family has no back-test.
    """
    data_dir = settings.data_dir
    panel = load_panel(data_dir / "features")
    folders = [candidate_folder(data_dir, family) for family in params.forecasting.families]
    backtests = pl.concat(read_backtest(read_candidate(data_dir, family)) for family in params.forecasting.families)
    scores = score_backtest(backtests, panel, params=params)
    metrics = summarise(scores)
    best = min(metrics["families"], key=lambda family: metrics["families"][family][RANKING_METRIC])
    folder = data_dir / "reports" / "evaluation"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scores.write_parquet(folder / "scores.parquet")
    written = write_evaluation_plots(backtests, scores, panel=panel, folder=folder)
    candidate = {
        "model_type": MODEL_TYPE,
        "family": best,
        "reason": f"lowest {RANKING_METRIC} of {len(metrics['families'])} families over all back-test windows",
    }
    write_json(folder / CANDIDATE_FILE, candidate)
    write_json(data_dir / "reports" / "metrics.json", metrics)
    track_evaluation(settings, folders, scores=scores, pictures=list(written), candidate=candidate)
    logger.info("evaluate: %s is best of %s", best, ", ".join(metrics["families"]))
    return metrics


def summarise(scores: pl.DataFrame) -> dict[str, Any]:
    """Return the metrics of every family, overall, per segment and beside seasonal naive, as a nested mapping.

    Args:
        scores: one row a (family, cutoff, segment) with one column a metric; cutoff null means all windows, segment
            "all" means every series.
    """
    overall = scores.filter(pl.col("cutoff").is_null())

    def rounded(row: dict[str, Any]) -> dict[str, float]:
        return {metric: round(row[metric], 6) for metric in METRICS if row.get(metric) is not None}

    families: dict[str, dict[str, float]] = {}
    segments: dict[str, dict[str, dict[str, float]]] = {}
    for row in overall.sort("family", "segment").iter_rows(named=True):
        if row["segment"] == "all":
            families[row["family"]] = rounded(row)
        else:
            segments.setdefault(row["segment"], {})[row["family"]] = rounded(row)
    naive = families[BASELINE]
    against_naive = {
        family: {
            metric: round(values[metric] / naive[metric] - 1, 6)
            for metric in ("pinball", "wape", "rmsse")
            if naive.get(metric)
        }
        for family, values in families.items()
    }
    return {"families": families, "change_against_seasonal_naive": against_naive, "segments": segments}
