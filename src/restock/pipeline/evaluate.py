"""Stage `evaluate`: back-tests of all families in, scores beside seasonal naive, plots and the candidate out."""

from __future__ import annotations

import logging
import shutil
from typing import Any

import polars as pl

from restock.adapters.panel_files import load_panel
from restock.adapters.plots import write_evaluation_plots
from restock.adapters.report_page import SumScores
from restock.adapters.storage import write_json
from restock.forecasting.backtest import score_backtest
from restock.forecasting.combination import ENSEMBLE
from restock.forecasting.metrics import ALL_SEGMENTS, METRICS, summarise_windows
from restock.forecasting.path_scores import judge_paths
from restock.forecasting.reconciliation_scores import judge_reconciliation
from restock.operations.candidates import candidate_folder, read_backtest, read_candidate
from restock.params import ModelName, Params
from restock.pipeline.run_tracking import track_evaluation
from restock.pipeline.train import MODEL_TYPE
from restock.settings import Settings

logger = logging.getLogger(__name__)

BASELINE = "seasonal_naive"
CANDIDATE_FILE = "candidate.json"
# Ranked by what the forecast is used for: the whole distribution, not its middle.
RANKING_METRIC = "pinball"


def run_evaluate(settings: Settings, params: Params) -> dict[str, Any]:
    """Write scores, plots and the candidate's name to data/reports, complete the MLflow run, and return the metrics.

    Raises:
        NotFoundError: a family, or the ensemble, has no back-test.
    """
    data_dir = settings.data_dir
    panel = load_panel(data_dir / "features")
    names: tuple[ModelName, ...] = (*params.forecasting.families, ENSEMBLE)
    folders = [candidate_folder(data_dir, name) for name in names]
    by_name = {name: read_backtest(read_candidate(data_dir, name)) for name in names}
    backtests = _same_columns(list(by_name.values()))
    scores = score_backtest(backtests, panel, params=params)
    metrics = summarise(scores)
    # Where the ensemble is one family alone, that family is the candidate.
    best = min(names, key=lambda name: (metrics["families"][name][RANKING_METRIC], name == ENSEMBLE))
    path_scores = judge_paths(by_name[best], panel, params=params)
    reconciled = judge_reconciliation(by_name[best], panel, params=params)
    metrics |= {"paths": summarise_paths(path_scores), "reconciliation": summarise_levels(reconciled)}
    folder = data_dir / "reports" / "evaluation"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scores.write_parquet(folder / "scores.parquet")
    path_scores.write_parquet(folder / "path_scores.parquet")
    reconciled.write_parquet(folder / "reconciliation_scores.parquet")
    sums = SumScores(paths=path_scores, reconciliation=reconciled)
    written = write_evaluation_plots(backtests, scores, panel=panel, folder=folder, sums=sums)
    candidate = {
        "model_type": MODEL_TYPE,
        "family": best,
        "reason": f"lowest {RANKING_METRIC} of {len(names) - 1} families and their ensemble over all back-test windows",
    }
    write_json(folder / CANDIDATE_FILE, candidate)
    write_json(data_dir / "reports" / "metrics.json", metrics)
    track_evaluation(
        settings, folders, scores=scores, path_scores=path_scores, pictures=list(written), candidate=candidate
    )
    logger.info("evaluate: %s is best of %s", best, ", ".join(metrics["families"]))
    return metrics


def _same_columns(backtests: list[pl.DataFrame]) -> pl.DataFrame:
    """Return back-tests as one frame."""
    return pl.concat(frame.select(backtests[0].columns) for frame in backtests)


def summarise_paths(path_scores: pl.DataFrame) -> dict[str, Any]:
    """Return the scores of sample paths as a nested mapping: way of drawing -> level -> periods -> score.

    Args:
        path_scores: from `judge_paths`.
    """
    found: dict[str, Any] = {}
    for row in path_scores.iter_rows(named=True):
        drawn_with, level, periods = (row.pop(key) for key in ("drawn_with", "level", "periods"))
        values = {name: round(value, 6) for name, value in row.items() if value is not None}
        found.setdefault(drawn_with, {}).setdefault(level, {})[str(periods)] = values
    return found


def summarise_levels(reconciled: pl.DataFrame) -> dict[str, Any]:
    """Return the scores of reconciliation as a nested mapping: method -> level -> score.

    Args:
        reconciled: from `judge_reconciliation`.
    """
    found: dict[str, Any] = {}
    for row in reconciled.iter_rows(named=True):
        scores = {"wape": round(row["wape"], 6), "bias": round(row["bias"], 6)}
        found.setdefault(row["method"], {})[row["level"]] = scores
    return found


def summarise(scores: pl.DataFrame) -> dict[str, Any]:
    """Return the metrics of every family as a nested mapping.

    Overall, beside seasonal naive (also in the segment where that goes worst), their mean and spread over the windows,
    and per segment.

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
        if row["segment"] == ALL_SEGMENTS:
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
    for family, changes in against_naive.items():
        by_segment = [
            of_segment[family]["pinball"] / of_segment[BASELINE]["pinball"] - 1
            for of_segment in segments.values()
            if of_segment[BASELINE].get("pinball") and "pinball" in of_segment[family]
        ]
        if by_segment:
            changes["pinball_of_worst_segment"] = round(max(by_segment), 6)
    windows = {
        row.pop("family"): {name: round(value, 6) for name, value in row.items() if value is not None}
        for row in summarise_windows(scores).to_dicts()
    }
    return {
        "families": families,
        "change_against_seasonal_naive": against_naive,
        "windows": windows,
        "segments": segments,
    }
