"""What the promotion gate is shown: the candidate's, the baseline's and the served version's back-tests."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from restock.adapters.registry import ModelType, read_current, read_metadata, verify_version
from restock.adapters.storage import read_table, sha256_of
from restock.errors import ConfigurationError, DataError, NotFoundError, TamperedVersionError
from restock.forecasting.combination import run_model_backtest
from restock.forecasting.panel import DemandPanel, build_demand_panel
from restock.operations.candidates import (
    BASELINE,
    Candidate,
    apply_recipe,
    is_same_recipe,
    read_backtest,
    read_candidate,
)
from restock.operations.promotion_gate import Rules, ServedVersion, Verdict, judge_candidate
from restock.operations.replenishment.cost_evidence import judge_simulated_cost, read_replenishment_tables
from restock.operations.stored_history import HISTORY_TABLES
from restock.operations.version_files import PARAMS_FILE
from restock.params import ModelName, Params
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What decides, and what the version's documents are written from.

    Attributes:
        tables: the validated tables, by name.
        panel: the history.
        candidate: the candidate's back-test.
        baseline: the seasonal naive's.
        served: the served version; None where nothing is served.
        verdict: the gate's.
    """

    tables: dict[str, pl.DataFrame]
    panel: DemandPanel
    candidate: pl.DataFrame
    baseline: pl.DataFrame
    served: ServedVersion | None
    verdict: Verdict


def gather_evidence(
    candidate: Candidate,
    params: Params,
    *,
    data_dir: Path,
    models_dir: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evidence:
    """Return the evidence on a candidate, the served version's recipe back-tested on today's data and windows.

    A back-test that training already made of that recipe on these data is taken; otherwise it is made here.

    Args:
        candidate: what is to be promoted.
        params: all params in force.
        data_dir: the workspace's data.
        models_dir: the folder models/.
        on_progress: called with (done, total) windows of a back-test made here.

    Raises:
        NotFoundError: a file that training or validation writes is missing.
        DataError: candidate, baseline and validated data don't belong together.
    """
    _check_up_to_date(candidate, params, validated=data_dir / "validated")
    tables = {
        table.name: read_table(data_dir / "validated" / f"{table.name}.parquet", table) for table in HISTORY_TABLES
    }
    panel = build_demand_panel(
        tables[SALES.name],
        tables[PRODUCTS.name],
        locations=tables[LOCATIONS.name],
        calendar=tables[CALENDAR.name],
        frequency=params.forecasting.frequency,
        horizon=params.forecasting.horizon,
    )
    baseline = read_candidate(data_dir, BASELINE)
    if baseline.data_hash != candidate.data_hash:
        raise DataError(
            f"{candidate.family} and {BASELINE} were trained on other data ({candidate.data_hash[:12]} and "
            f"{baseline.data_hash[:12]}). Train both on the same: dvc repro."
        )
    candidate_backtest, baseline_backtest = read_backtest(candidate), read_backtest(baseline)
    served = _find_served(candidate, params, panel=panel, folders=(data_dir, models_dir), on_progress=on_progress)
    rules = Rules(quantiles=params.forecasting.quantiles, promotion=params.promotion, seed=params.seed)
    incumbent, against = baseline_backtest, "seasonal naive"
    if served is not None and served.backtest is not None:
        incumbent, against = served.backtest, f"version {served.version}"
    verdict = judge_candidate(
        candidate_backtest,
        is_baseline=candidate.family == BASELINE,
        baseline=baseline_backtest,
        served=served,
        rules=rules,
        simulated_cost=judge_simulated_cost(
            candidate_backtest,
            incumbent,
            panel,
            read_replenishment_tables(data_dir),
            params=params,
            models_dir=models_dir,
            rules=rules,
            against=against,
        ),
    )
    return Evidence(
        tables=tables,
        panel=panel,
        candidate=candidate_backtest,
        baseline=baseline_backtest,
        served=served,
        verdict=verdict,
    )


def _check_up_to_date(candidate: Candidate, params: Params, *, validated: Path) -> None:
    """Refuse a candidate that was trained on other data, or for another question, than is in force."""
    asked = params.forecasting.horizon, params.forecasting.frequency, params.forecasting.quantiles
    if (candidate.horizon, candidate.frequency, candidate.quantiles) != asked:
        raise DataError(
            f"{candidate.family} was trained for horizon {candidate.horizon}, {candidate.frequency} periods and "
            f"quantiles {candidate.quantiles}, params.yaml asks for {asked[0]}, {asked[1]} and {asked[2]}. "
            "Train again: dvc repro."
        )
    for table in HISTORY_TABLES:
        path = validated / f"{table.name}.parquet"
        if not path.exists():
            raise NotFoundError(f"{path} is missing. Run the pipeline: dvc repro.")
        found, trained_on = sha256_of(path), candidate.data_hashes[table.name]
        if found != trained_on:
            raise DataError(
                f"{candidate.family} was trained on another {path.name} (SHA-256 {trained_on[:12]}) than is validated "
                f"now ({found[:12]}). Train again: dvc repro."
            )


def _find_served(
    candidate: Candidate,
    params: Params,
    *,
    panel: DemandPanel,
    folders: tuple[Path, Path],
    on_progress: Callable[[int, int], None] | None,
) -> ServedVersion | None:
    """Return the served version as the gate needs it."""
    data_dir, models_dir = folders
    current = read_current(models_dir, ModelType.DEMAND_FORECASTING)
    if current is None:
        return None
    version = current.served
    try:
        folder = verify_version(models_dir, ModelType.DEMAND_FORECASTING, version)
        metadata = read_metadata(models_dir, ModelType.DEMAND_FORECASTING, version)
        family: ModelName = metadata["family"]
        recipe = yaml.safe_load((folder / PARAMS_FILE).read_text(encoding="utf-8"))
        served_params = apply_recipe(recipe, params)
    except (NotFoundError, TamperedVersionError, ConfigurationError) as error:
        # A broken version must not keep a whole one out for ever: the gate says so, and an override decides.
        return ServedVersion(version=version, unusable_because=str(error))
    own_params = apply_recipe(candidate.recipe, params)
    if is_same_recipe(candidate.family, own_params, other_family=family, other_params=served_params):
        return ServedVersion(version=version, is_same_recipe=True, newer_because=_name_newer(candidate, metadata))
    known = _find_backtest(candidate, params, data_dir=data_dir, family=family, served_params=served_params)
    if known is not None:
        return ServedVersion(version=version, backtest=known)
    logger.info("back-testing the recipe of version %d (%s) on the data in force", version, family)
    backtest = run_model_backtest(panel, name=family, params=served_params, on_progress=on_progress)
    return ServedVersion(version=version, backtest=backtest)


def _find_backtest(
    candidate: Candidate, params: Params, *, data_dir: Path, family: ModelName, served_params: Params
) -> pl.DataFrame | None:
    """Return the back-test of the served recipe that training made on the candidate's data, None where it made none."""
    try:
        trained = read_candidate(data_dir, family)
    except NotFoundError:
        return None
    is_same = is_same_recipe(
        family, apply_recipe(trained.recipe, params), other_family=family, other_params=served_params
    )
    return read_backtest(trained) if is_same and trained.data_hash == candidate.data_hash else None


def _name_newer(candidate: Candidate, served: dict[str, Any]) -> str:
    """Return what a candidate of the served recipe brings that is new; empty where it brings nothing."""
    reasons = []
    if candidate.cutoff.isoformat() < served["cutoff"]:
        # Other data that end earlier are old data, not new ones.
        return ""
    if candidate.cutoff.isoformat() > served["cutoff"]:
        reasons.append(f"cutoff {candidate.cutoff} after {served['cutoff']}")
    if candidate.data_hash != served["data_hash"]:
        reasons.append(f"data {candidate.data_hash[:12]} instead of {served['data_hash'][:12]}")
    if (candidate.horizon, list(candidate.quantiles)) != (served["horizon"], served["quantiles"]):
        reasons.append("another horizon or other quantiles")
    return ", ".join(reasons)
