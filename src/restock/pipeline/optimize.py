"""Stage `optimize`: the candidate's back-test in, a policy tuned by simulated money out, beside what others cost."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from restock.adapters.panel_files import load_panel
from restock.adapters.provenance import read_provenance
from restock.adapters.registry import ModelType
from restock.adapters.storage import sha256_of, write_json
from restock.adapters.tracking import TrackingError, log_artifacts, log_measurement, tracking_place
from restock.adapters.usage import peak_rss_mb
from restock.operations.candidates import choose_family, read_backtest, read_candidate
from restock.operations.replenishment.cost_evidence import read_replenishment_tables
from restock.operations.replenishment.judgement import CLASSICAL, PLANNER, Judgement, cost_gap, judge_rules
from restock.operations.replenishment.policy import write_policy
from restock.operations.replenishment.policy_candidate import (
    ATTEMPTS_FILE,
    COSTS_FILE,
    TRAINING_FILE,
    policy_folder,
    policy_recipe,
)
from restock.operations.replenishment.simulation import build_simulation
from restock.params import Params
from restock.pipeline.run_tracking import orchestration_tags
from restock.settings import Settings
from restock.tables import SUPPLY_TERMS

logger = logging.getLogger(__name__)

_TYPE = ModelType.OPTIMIZATION


def run_optimize(
    settings: Settings, params: Params, *, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Tune the policy, judge it beside other rules, write its candidate folder and metrics, and return the metrics.

    Where there are no supply terms there is nothing to order: the metrics say so, and no candidate is left. The run is
    tracked in MLflow.

    Args:
        settings: the workspace.
        params: all params in force.
        on_progress: called with (done, total), simulations.

    Raises:
        NotFoundError: nothing was evaluated yet.
        InsufficientHistoryError: the back-test has no window.
    """
    begun = time.monotonic()
    data_dir = settings.data_dir
    folder = policy_folder(data_dir)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    report = data_dir / "reports" / "optimization.json"
    tables = read_replenishment_tables(data_dir)
    if tables[SUPPLY_TERMS.name].is_empty():
        reason = "there are no supply terms: ingest who delivers what to where (table supply_terms)"
        metrics: dict[str, Any] = {"is_available": False, "reason": reason}
        write_json(folder / TRAINING_FILE, metrics)
        write_json(report, metrics)
        logger.warning("optimize: %s", reason)
        return metrics
    panel = load_panel(data_dir / "features")
    candidate = read_candidate(data_dir, choose_family(data_dir))
    simulation = build_simulation(read_backtest(candidate), panel, tables, params=params)
    judged = judge_rules(simulation, on_progress=on_progress)
    metrics = summarise(judged)
    write_policy(judged.multiples, folder)
    judged.costs.write_parquet(folder / COSTS_FILE, compression="zstd")
    attempts = [
        {"shortage_multiples": {str(group): value for group, value in one.multiples.items()}, "costs": dict(one.costs)}
        for one in judged.attempts
    ]
    write_json(folder / ATTEMPTS_FILE, attempts)
    training = {
        "model_type": _TYPE.value,
        "family": "simulated_policy",
        "params": policy_recipe(params),
        "cutoff": panel.last_observed.isoformat(),
        "frequency": panel.frequency.value,
        "first_judged": judged.first_judged.isoformat(),
        "judged_periods": judged.n_periods,
        "forecast": {"family": candidate.family, "content_sha256": candidate.content_sha256},
        "data_hashes": _hashes(data_dir, tables) | candidate.data_hashes,
        "seconds": round(time.monotonic() - begun, 3),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }
    run_id = _track(settings, training, metrics=metrics, files=sorted(folder.iterdir()))
    write_json(folder / TRAINING_FILE, training | {"mlflow_run_id": run_id})
    write_json(report, metrics)
    logger.info("optimize: cost %.2f, %+.1f %% against the best classical rule", *_headline(metrics))
    return metrics


def summarise(judged: Judgement) -> dict[str, Any]:
    """Return the metrics: the tuned policy, what every rule costs, and where the planner's cost comes from."""
    rules = judged.summary()
    classical = min(CLASSICAL, key=lambda name: rules[name]["cost"])
    cheapest = rules[classical]["cost"]
    return {
        "is_available": True,
        "shortage_multiples": {str(group): value for group, value in sorted(judged.multiples.items())},
        "judged_periods": judged.n_periods,
        "tuned_on_judged": judged.tuned_on_judged,
        "rules": rules,
        "best_classical": classical,
        "change_against_best_classical": round(rules[PLANNER]["cost"] / cheapest - 1, 6) if cheapest else 0.0,
        "gap": cost_gap(rules),
    }


def _headline(metrics: dict[str, Any]) -> tuple[float, float]:
    return metrics["rules"][PLANNER]["cost"], 100 * metrics["change_against_best_classical"]


def _hashes(data_dir: Path, tables: dict[str, Any]) -> dict[str, str]:
    paths = {name: data_dir / "validated" / f"{name}.parquet" for name in tables}
    return {name: sha256_of(path) for name, path in paths.items() if path.exists()}


def _track(settings: Settings, training: dict[str, Any], *, metrics: dict[str, Any], files: list[Path]) -> str | None:
    """Log the tuning in MLflow and return its run's id, or None where MLflow failed."""
    figures = {f"{rule}/{name}": value for rule, values in metrics["rules"].items() for name, value in values.items()}
    figures |= {f"gap/{name}": value for name, value in metrics["gap"].items()}
    figures |= {
        "change_against_best_classical": metrics["change_against_best_classical"],
        "duration_seconds": training["seconds"],
        "peak_rss_mb": training["peak_rss_mb"],
    }
    hashes = {f"restock.sha256.{name}": value for name, value in training["data_hashes"].items()}
    try:
        place = tracking_place(settings)
        run_id = log_measurement(
            place,
            experiment=_TYPE.value,
            name=f"policy {date.fromisoformat(training['cutoff'])}",
            params=training["params"] | {"shortage_multiples": metrics["shortage_multiples"]},
            metrics=figures,
            tags=hashes | orchestration_tags(settings) | {"restock.cutoff": training["cutoff"]},
            provenance=read_provenance(settings.root),
        )
        log_artifacts(place, run_id, files, folder="policy")
    except TrackingError as error:
        logger.warning("the tuning of the policy is not tracked: %s", error)
        return None
    return run_id
