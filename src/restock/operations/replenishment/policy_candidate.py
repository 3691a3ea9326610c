"""What stage `optimize` left for promotion: a tuned policy, what it and other rules cost, and how it was made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.registry import ModelType
from restock.adapters.storage import read_json
from restock.errors import DataError, NotFoundError
from restock.operations.replenishment.policy import Policy, read_policy
from restock.params import Params

TRAINING_FILE, COSTS_FILE, ATTEMPTS_FILE = "training.json", "costs.parquet", "attempts.json"
_OPTIMIZE_AGAIN = "Run the stage: dvc repro optimize."
# What decides a policy beside the data and the forecasts.
_MADE_BY = ("seed", "backtest", "evaluation", "paths", "replenishment")


@dataclass(frozen=True, kw_only=True)
class PolicyCandidate:
    """A tuned policy.

    Attributes:
        family: how it was made.
        folder: where the stage left it.
        policy: what it says; without a version.
        costs: columns rule, sku, holding, shortage, ordering, waste, ...: every rule over the judged periods.
        training: as in training.json.
        content_sha256: SHA-256 over policy, recipe, data and forecasts: what this candidate is.
        mlflow_run_id: the run that tracked it; None where it was not tracked.
    """

    family: str
    folder: Path
    policy: Policy
    costs: pl.DataFrame
    training: dict[str, Any]
    content_sha256: str
    mlflow_run_id: str | None

    @property
    def model_dir(self) -> Path:
        """Folder with its files."""
        return self.folder

    @property
    def cutoff(self) -> date:
        """Last period that it was tuned on."""
        return date.fromisoformat(self.training["cutoff"])


def policy_folder(data_dir: Path) -> Path:
    """Return where stage `optimize` leaves its candidate."""
    return data_dir / "candidates" / ModelType.OPTIMIZATION


def policy_recipe(params: Params) -> dict[str, Any]:
    """Return the slice of the params that decides what the stage gives."""
    return params.model_dump(mode="json", include=set(_MADE_BY))


def read_policy_candidate(data_dir: Path) -> PolicyCandidate:
    """Return what stage `optimize` left.

    Raises:
        NotFoundError: it was not run, or there was nothing to order.
        DataError: its folder is not what it writes.
    """
    folder = policy_folder(data_dir)
    try:
        training = read_json(folder / TRAINING_FILE)
    except NotFoundError as error:
        raise NotFoundError(f"no policy was tuned: {error} {_OPTIMIZE_AGAIN}") from error
    if training.get("is_available") is False:
        raise NotFoundError(f"no policy was tuned: {training['reason']}.")
    policy = read_policy(folder, version=None)
    try:
        identity = {name: training[name] for name in ("family", "params", "cutoff", "data_hashes", "forecast")}
        identity["shortage_multiples"] = {str(key): value for key, value in policy.shortage_multiples.items()}
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return PolicyCandidate(
            family=training["family"],
            folder=folder,
            policy=policy,
            costs=pl.read_parquet(folder / COSTS_FILE),
            training=training,
            content_sha256=hashlib.sha256(text.encode()).hexdigest(),
            mlflow_run_id=training.get("mlflow_run_id"),
        )
    except (KeyError, TypeError, FileNotFoundError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{folder} is not what stage optimize writes: {error!r}. {_OPTIMIZE_AGAIN}") from error
