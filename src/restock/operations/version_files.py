"""What lies in a version of a demand forecaster beside the model itself, written from what promotion knows."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from restock.adapters.model_files import load_forecaster
from restock.adapters.provenance import Provenance
from restock.adapters.registry import ModelType, utc_text
from restock.adapters.storage import checksums_of, write_json, write_text
from restock.errors import DataError
from restock.forecasting.backtest import score_backtest
from restock.forecasting.metrics import ALL_SEGMENTS, METRICS
from restock.forecasting.panel import DemandPanel
from restock.operations.candidates import BASELINE, Candidate
from restock.operations.golden import make_golden, replay_golden
from restock.operations.model_card import render_model_card
from restock.operations.path_recipe import DEPENDENCE_FILE, PathRecipe, write_path_recipe
from restock.operations.stored_history import HISTORY_TABLES
from restock.params import Params
from restock.schema import Table
from restock.tables import DEMAND_COMOVEMENT, DEMAND_DEPENDENCE, QUANTILE_FORECAST
from restock.timeline import Frequency

SCHEMA_VERSION = 1
PARAMS_FILE = "params.yaml"
METRICS_FILE = "metrics.json"
SIGNATURE_FILE = "signature.json"
GOLDEN_FILE = "golden.json"
MODEL_CARD_FILE = "MODEL_CARD.md"
_WRITTEN = {
    PARAMS_FILE,
    METRICS_FILE,
    SIGNATURE_FILE,
    GOLDEN_FILE,
    DEPENDENCE_FILE,
    MODEL_CARD_FILE,
    "metadata.json",
}

_OUTPUTS = (QUANTILE_FORECAST, DEMAND_DEPENDENCE, DEMAND_COMOVEMENT)


def write_version_files(
    folder: Path,
    candidate: Candidate,
    *,
    metadata: dict[str, Any],
    metrics: dict[str, Any],
    tables: dict[str, Any],
    paths: PathRecipe,
) -> None:
    """Copy the model into `folder` and write its documents beside it; the copy is loaded and replayed.

    Args:
        folder: empty.
        candidate: what is promoted.
        metadata: from `describe_version`.
        metrics: from `compare_metrics`.
        tables: the tables of `HISTORY_TABLES`, by name.
        paths: how its sample paths are drawn.

    Raises:
        DataError: a file of the model has the name of a document or was changed meanwhile, or the model is not of the
            candidate's family.
        GoldenReplayError: the model gives other forecasts the second time.
    """
    clash = _WRITTEN & {path.name for path in candidate.model_dir.iterdir()}
    if clash:
        raise DataError(f"{candidate.model_dir} holds {sorted(clash)}, which promotion writes itself. Rename them.")
    shutil.copytree(candidate.model_dir, folder, dirs_exist_ok=True)
    if checksums_of(folder) != candidate.files:
        raise DataError(
            f"{candidate.model_dir} was changed while it was promoted. Promote again once training is done."
        )
    forecaster = load_forecaster(folder)
    if forecaster.family != candidate.family:
        raise DataError(f"{candidate.model_dir} is family {forecaster.family}, expected {candidate.family}.")
    frequency = Frequency(metadata["frequency"])
    golden = make_golden(forecaster, tables, frequency=frequency, horizon=candidate.horizon)
    replay_golden(forecaster, golden)
    # One line: thousands of short records, which nobody reads line by line.
    write_text(folder / GOLDEN_FILE, json.dumps(golden, ensure_ascii=False, allow_nan=False) + "\n")
    write_path_recipe(paths, folder)
    write_text(folder / PARAMS_FILE, yaml.safe_dump(candidate.recipe, sort_keys=False, width=120))
    write_json(folder / METRICS_FILE, metrics)
    write_json(folder / SIGNATURE_FILE, describe_signature(candidate.quantiles, horizon=candidate.horizon))
    write_text(folder / MODEL_CARD_FILE, render_model_card(metadata, metrics))


def describe_version(
    candidate: Candidate,
    *,
    version: int,
    provenance: Provenance,
    now: datetime,
) -> dict[str, Any]:
    """Return a version's metadata, without its checksums and without what its promotion adds.

    Args:
        candidate: what is promoted.
        version: its number.
        provenance: code and libraries.
        now: the present.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "model_type": ModelType.DEMAND_FORECASTING.value,
        "family": candidate.family,
        "version": version,
        "created_at_utc": utc_text(now),
        "content_sha256": candidate.content_sha256,
        "git_commit": provenance.git_commit,
        "has_local_changes": provenance.has_local_changes,
        "dvc_lock_sha256": provenance.dvc_lock_sha256,
        "data_hashes": candidate.data_hashes,
        "data_hash": candidate.data_hash,
        "cutoff": candidate.cutoff.isoformat(),
        "frequency": candidate.frequency.value,
        "horizon": candidate.horizon,
        "quantiles": list(candidate.quantiles),
        "library_versions": provenance.library_versions,
    }


def compare_metrics(
    candidate: pl.DataFrame,
    baseline: pl.DataFrame,
    *,
    replaced: pl.DataFrame | None,
    panel: DemandPanel,
    params: Params,
) -> dict[str, Any]:
    """Return the metrics of a candidate beside its baseline and what it replaces, overall and per segment.

    Args:
        candidate: its back-test.
        baseline: the seasonal naive's, on the same windows.
        replaced: that of the replaced version's recipe on the same windows; None where there is none.
        panel: the history they were made from.
        params: evaluation, forecasting.quantiles.
    """
    named = {"candidate": candidate, BASELINE: baseline}
    if replaced is not None:
        named["replaced"] = replaced
    together = pl.concat(
        frame.select(candidate.columns).with_columns(family=pl.lit(name)) for name, frame in named.items()
    )
    scores = score_backtest(together, panel, params=params).filter(pl.col("cutoff").is_null())
    by_segment: dict[str, dict[str, Any]] = {}
    for row in scores.sort("segment", "family").iter_rows(named=True):
        values = {metric: round(row[metric], 6) for metric in METRICS if row.get(metric) is not None}
        by_segment.setdefault(row["segment"], {})[row["family"]] = values | {"n_scored": row["n_scored"]}
    overall = by_segment.pop(ALL_SEGMENTS)
    return {
        "windows": [day.isoformat() for day in sorted(set(candidate["cutoff"].to_list()))],
        "overall": overall,
        "segments": by_segment,
    }


def describe_signature(quantiles: tuple[float, ...], *, horizon: int) -> dict[str, Any]:
    """Return the columns and types that a forecaster reads and gives."""

    def columns(table: Table) -> list[dict[str, Any]]:
        return [
            {"name": c.name, "type": c.type.value, "unit": c.unit, "is_nullable": c.is_nullable} for c in table.columns
        ]

    return {
        "inputs": {table.name: columns(table) for table in HISTORY_TABLES},
        "parameters": {"horizon": {"type": "integer", "unit": "periods", "minimum": 1, "maximum": horizon}},
        "outputs": {table.name: columns(table) for table in _OUTPUTS},
        "quantiles": list(quantiles),
    }
