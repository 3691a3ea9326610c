"""The workspaces of single runs: own params, own outputs; batches, cache, models and MLflow runs shared with a home."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from restock.adapters.batch_files import read_batches
from restock.adapters.storage import write_json, write_text
from restock.adapters.workspace import run_dvc, write_pipeline
from restock.errors import ConfigurationError, NotFoundError
from restock.params import PARAMS_FILE, merge_values, parse_params, read_param_values
from restock.settings import HOME_FILE

logger = logging.getLogger(__name__)

RUNS_FOLDER = ".runs"
LATEST_RUN = "latest"
_EVALUATED = Path("data", "reports", "evaluation", "candidate.json")
# Changes as they are written on a command line: section.key=value.
_ASSIGNMENT = "="


def create_run_workspace(folder: Path, *, home: Path, changes: Sequence[str] = ()) -> None:
    """Make `folder` the workspace of one run over the batches that `home` has now; again changes nothing.

    The batches are linked, not copied: they are append-only. DVC's cache is the home's, so that a stage which any run
    has done before is taken from there.

    Args:
        folder: where; made if missing.
        home: workspace whose params, batches, cache, models and MLflow runs it uses.
        changes: params to change, each `section.key=value` with a YAML value, as in `dvc exp run -S`.

    Raises:
        NotFoundError: `home` has no batch yet.
        ConfigurationError: a change is not an assignment, or the changed params are not valid.
    """
    home, folder = home.resolve(), folder.resolve()
    values = apply_changes(read_param_values(home / PARAMS_FILE), changes)
    parse_params(values, origin=f"{home / PARAMS_FILE} with {', '.join(changes) or 'no change'}")
    batches = folder / "data" / "batches.json"
    if not batches.exists():
        listed = read_batches(home / "data")
        if not listed:
            raise NotFoundError(
                f"workspace {home} has no batch to train on. Ingest one first: restock ingest sales.csv, or trigger "
                "ingest_sales."
            )
        write_json(batches, {"batches": listed})
    write_pipeline(folder, values)
    raw = folder / "data" / "raw"
    if not raw.is_symlink():
        raw.symlink_to(os.path.relpath(home / "data" / "raw", raw.parent))
    if (home / ".dvc").is_dir():
        cache = run_dvc(["cache", "dir"], folder=home).strip()
        run_dvc(["config", "cache.dir", os.path.relpath(cache, folder / ".dvc")], folder=folder)
    # Last: what has a home is a complete run workspace.
    write_text(folder / HOME_FILE, os.path.relpath(home, folder) + "\n")
    logger.info("run workspace %s is ready (home %s)", folder, home)


def apply_changes(values: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Return param values with `section.key=value` assignments applied; the values are YAML.

    Raises:
        ConfigurationError: a change is not an assignment, or its value is not YAML.

    Example:
        >>> apply_changes({"seed": 1, "backtest": {"n_windows": 3}}, ["backtest.n_windows=5"])
        {'seed': 1, 'backtest': {'n_windows': 5}}
    """
    for change in changes:
        path, found, text = change.partition(_ASSIGNMENT)
        keys = path.strip().split(".")
        if not found or not all(keys):
            raise ConfigurationError(f"a change of params must read section.key=value, got {change!r}.")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"the value in {change!r} is not YAML: {error}") from error
        for key in reversed(keys):
            value = {key: value}
        values = merge_values(values, value)
    return values


def find_run(home: Path, run: str) -> Path:
    """Return the workspace of a run under `home`: the one named, or for LATEST_RUN the last one that was evaluated.

    Raises:
        NotFoundError: there is no such run, or none was evaluated.
    """
    runs = home / RUNS_FOLDER
    if run != LATEST_RUN:
        folder = runs / run
        # A name must not lead out of the folder of runs.
        if Path(run).name != run or not (folder / HOME_FILE).is_file():
            known = ", ".join(sorted(path.parent.name for path in runs.glob(f"*/{HOME_FILE}"))[-5:]) or "none yet"
            raise NotFoundError(f"there is no run {run!r} in {runs}; the last ones are: {known}.")
        return folder
    evaluated = sorted(runs.glob(f"*/{_EVALUATED.as_posix()}"), key=lambda path: path.stat().st_mtime)
    if not evaluated:
        raise NotFoundError(f"no run in {runs} was evaluated yet. Trigger train_demand_forecasting first.")
    return evaluated[-1].parents[len(_EVALUATED.parts) - 1]
