"""What training left for promotion: a fitted model, its back-test and the recipe it was made by."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.registry import ModelType
from restock.adapters.storage import checksums_of, read_json
from restock.errors import DataError, NotFoundError
from restock.operations.stored_history import hash_history
from restock.params import FamilyName, ModelName, Params, merge_values, parse_params
from restock.timeline import Frequency

BASELINE: FamilyName = "seasonal_naive"
_TRAIN_AGAIN = "Train again: dvc repro."
# What the forecast is asked for is today's affair; how it is made is the recipe's.
_ASKED_FOR = ("horizon", "quantiles", "frequency")
_MADE_BY = ("seed", "features", "families", "evaluation", "ensemble", "calibration", "cold_start")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One trained family.

    Attributes:
        family: name of the family.
        folder: where training left it.
        recipe: the slice of the params that it was made by.
        cutoff: last period trained on.
        frequency: length of one period.
        horizon: longest horizon, periods.
        quantiles: probability levels.
        data_hashes: SHA-256 of each validated table that it was trained on, by name.
        data_hash: SHA-256 over them, as stored history has it.
        files: SHA-256 of each of the model's files.
        content_sha256: SHA-256 over the model's files, recipe, data and cutoff: what this candidate is.
        mlflow_run_id: the run that tracked the training; None where it was not tracked.
    """

    family: ModelName
    folder: Path
    recipe: dict[str, Any]
    cutoff: date
    frequency: Frequency
    horizon: int
    quantiles: tuple[float, ...]
    data_hashes: dict[str, str]
    data_hash: str
    files: dict[str, str]
    content_sha256: str
    mlflow_run_id: str | None

    @property
    def model_dir(self) -> Path:
        """Folder that `save_forecaster` wrote."""
        return self.folder / "model"


def choose_family(data_dir: Path) -> ModelName:
    """Return the family that evaluation names as the candidate.

    Raises:
        NotFoundError: nothing was evaluated yet.
    """
    try:
        named = read_json(data_dir / "reports" / "evaluation" / "candidate.json")
    except NotFoundError as error:
        raise NotFoundError(f"no candidate was evaluated yet: {error} Run the pipeline first: dvc repro.") from error
    family: ModelName = named["family"]
    return family


def candidate_folder(data_dir: Path, family: ModelName) -> Path:
    """Return where training leaves a family, or combining the ensemble.

    The ensemble lies apart: the folder of the families is what it is made from.
    """
    if family == "ensemble":
        return data_dir / "combined" / ModelType.DEMAND_FORECASTING
    return data_dir / "candidates" / ModelType.DEMAND_FORECASTING / family


def read_candidate(data_dir: Path, family: ModelName) -> Candidate:
    """Return what training left of a family.

    Raises:
        NotFoundError: the family was not trained.
        DataError: its folder is not what training writes.
    """
    folder = candidate_folder(data_dir, family)
    try:
        training = read_json(folder / "training.json")
        files = checksums_of(folder / "model")
    except NotFoundError as error:
        raise NotFoundError(f"family {family} was not trained: {error} {_TRAIN_AGAIN}") from error
    if not files:
        raise NotFoundError(f"{folder / 'model'} holds no model. {_TRAIN_AGAIN}")
    try:
        if training["family"] != family:
            raise DataError(f"{folder} holds family {training['family']!r}, expected {family!r}. {_TRAIN_AGAIN}")
        identity = {name: training[name] for name in ("family", "params", "cutoff", "data_hashes")}
        return Candidate(
            family=family,
            folder=folder,
            recipe=training["params"],
            cutoff=date.fromisoformat(training["cutoff"]),
            frequency=Frequency(training["frequency"]),
            horizon=int(training["horizon"]),
            quantiles=tuple(float(level) for level in training["quantiles"]),
            data_hashes=training["data_hashes"],
            data_hash=hash_history(training["data_hashes"]),
            files=files,
            content_sha256=_digest(identity | {"files": files}),
            mlflow_run_id=training.get("mlflow_run_id"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / 'training.json'} is not what training writes: {error!r}. {_TRAIN_AGAIN}") from error


def read_backtest(candidate: Candidate) -> pl.DataFrame:
    """Return a candidate's back-test.

    Raises:
        NotFoundError: it is missing.
    """
    path = candidate.folder / "backtest.parquet"
    try:
        return pl.read_parquet(path)
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} is missing. {_TRAIN_AGAIN}") from error


def apply_recipe(recipe: dict[str, Any], params: Params) -> Params:
    """Return `params` with a recipe's way of making a model; what is asked for, and over which windows, stays.

    Raises:
        ConfigurationError: this version of restock does not know the recipe.
    """
    forecasting = {key: value for key, value in recipe.get("forecasting", {}).items() if key not in _ASKED_FOR}
    made_by = {key: recipe[key] for key in _MADE_BY if key in recipe}
    values = merge_values(params.model_dump(mode="json"), made_by | {"forecasting": forecasting})
    return parse_params(values, origin="the recipe of the served version")


def is_same_recipe(family: ModelName, params: Params, *, other_family: str, other_params: Params) -> bool:
    """Return whether two ways of making a model are the same, whatever they are asked for and back-tested on."""
    if family != other_family:
        return False

    def essence(values: Params) -> tuple[Any, ...]:
        sampled = values.forecasting.training_rows, values.forecasting.training_periods
        made_by = values.seed, values.features, sampled
        if family != "ensemble":
            return *made_by, getattr(values.families, family)
        members = values.forecasting.families
        sections = tuple(getattr(values.families, member) for member in members)
        return *made_by, members, sections, values.evaluation, values.ensemble, values.calibration, values.cold_start

    return essence(params) == essence(other_params)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
