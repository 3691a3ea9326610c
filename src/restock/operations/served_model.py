"""The model version that a service serves: found by current.json, checked by checksums and golden replay, then used."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from restock.adapters.model_files import load_forecaster
from restock.adapters.registry import read_current, read_metadata, verify_version
from restock.adapters.storage import read_json
from restock.forecasting.forecast import DemandForecaster
from restock.operations.golden import replay_golden
from restock.operations.path_recipe import PathRecipe, read_path_recipe
from restock.timeline import Frequency

# After loading, hardly anything in memory dies: fewer and shorter collections keep them out of the requests' tail.
_COLLECTION_THRESHOLDS = (20_000, 20, 50)


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A promoted version, loaded and found to be what was promoted.

    Attributes:
        model_type: the folder under models/.
        version: `model_version_N`.
        family: name of the family.
        training_cutoff: last period that it was trained on.
        training_data_hash: hash of the data it was trained on.
        frequency: length of one period.
        forecaster: the model.
        paths: how its sample paths are drawn; None for a version from before there were paths.
    """

    model_type: str
    version: str
    family: str
    training_cutoff: date
    training_data_hash: str
    frequency: Frequency
    forecaster: DemandForecaster
    paths: PathRecipe | None = None


def find_served_version(models_dir: Path, model_type: str) -> int | None:
    """Return which version current.json names, or None where nothing is promoted.

    Raises:
        DataError: current.json can't be read.
    """
    current = read_current(models_dir, model_type)
    return None if current is None else current.served


def load_served_model(models_dir: Path, model_type: str, version: int) -> ServedModel:
    """Return a version, once its files are what was promoted and it reproduces its golden outputs.

    Raises:
        NotFoundError: the version is missing.
        TamperedVersionError: a file differs from its checksum, is missing or was added.
        GoldenReplayError: the model does not reproduce its golden outputs.
        DataError: its files can't be read.
    """
    folder = verify_version(models_dir, model_type, version)
    metadata = read_metadata(models_dir, model_type, version)
    golden = read_json(folder / "golden.json")
    forecaster = load_forecaster(folder)
    replay_golden(forecaster, golden)
    return ServedModel(
        model_type=model_type,
        version=folder.name,
        family=forecaster.family,
        training_cutoff=date.fromisoformat(metadata["cutoff"]),
        training_data_hash=metadata["data_hash"],
        frequency=Frequency(golden["frequency"]),
        forecaster=forecaster,
        paths=read_path_recipe(folder),
    )


def settle_memory() -> None:
    """Collect what a swap left behind, then keep what stays out of every later collection.

    Without it the full collections that a large model makes slow fall into requests: they are most of the p99.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTION_THRESHOLDS)
