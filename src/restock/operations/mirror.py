"""MLflow's view of models/: registered versions and aliases, brought in line with current.json."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Protocol

from restock.adapters.registry import ModelType, read_current, read_metadata, version_folder
from restock.adapters.tracking import TrackingError, TrackingPlace
from restock.adapters.tracking_registry import (
    Alias,
    clear_stale_challenger,
    register_version,
    set_aliases,
    set_challenger,
)
from restock.errors import NotFoundError, TamperedVersionError

logger = logging.getLogger(__name__)


class Registrable(Protocol):
    """What MLflow has to know of a candidate of any model type."""

    @property
    def family(self) -> str:
        """Name of the family."""
        ...

    @property
    def content_sha256(self) -> str:
        """What this candidate is."""
        ...

    @property
    def mlflow_run_id(self) -> str | None:
        """The run that tracked how it was made; None where that was not tracked."""
        ...

    @property
    def model_dir(self) -> Path:
        """Folder with its files."""
        ...


def repair_mirror(models_dir: Path, model_type: ModelType, *, place: TrackingPlace) -> tuple[str, ...]:
    """Let MLflow's aliases follow current.json, registering what it does not know, and return the aliases changed.

    Raises:
        TrackingError: MLflow failed.
        NotFoundError: nothing of this type was ever promoted.
    """
    current = read_current(models_dir, model_type)
    if current is None:
        raise NotFoundError(f"nothing of type {model_type} was promoted yet, so there is nothing to mirror.")
    changed = set_aliases(
        place,
        model_type,
        {
            Alias.CHAMPION: _registered(models_dir, model_type, current.served, place=place),
            Alias.PREVIOUS: _registered(models_dir, model_type, current.previous, place=place),
        },
    )
    clear_stale_challenger(place, model_type, changed_at_utc=current.changed_at_utc)
    return changed


def try_mirror(models_dir: Path, model_type: ModelType, *, place: TrackingPlace) -> str | None:
    """Do what `repair_mirror` does; a failure is logged and returned: the mirror never decides what is served."""
    try:
        repair_mirror(models_dir, model_type, place=place)
    except TrackingError as error:
        message = f"MLflow's aliases of {model_type} were not updated: {error} Later: restock models --repair"
        logger.warning("%s", message)
        return message
    return None


def try_register(
    candidate: Registrable, model_type: ModelType, *, version: int, place: TrackingPlace
) -> tuple[str | None, str | None]:
    """Return the number under which MLflow knows a candidate that becomes `version`, or None and what went wrong."""
    try:
        number = register_version(
            place,
            model_type,
            content_sha256=candidate.content_sha256,
            model_version=version,
            run_id=candidate.mlflow_run_id,
            folder=candidate.model_dir,
            description=f"models/{model_type}/model_version_{version}, family {candidate.family}",
        )
    except TrackingError as error:
        message = f"MLflow did not register the version: {error} Later: restock models --repair"
        logger.warning("%s", message)
        return None, message
    return number, None


def try_challenge(candidate: Registrable, model_type: ModelType, *, now: datetime, place: TrackingPlace) -> None:
    """Let the alias `challenger` name a candidate that the gate refused; a failure is logged."""
    try:
        number = register_version(
            place,
            model_type,
            content_sha256=candidate.content_sha256,
            model_version=None,
            run_id=candidate.mlflow_run_id,
            folder=candidate.model_dir,
            description=f"refused by the gate, family {candidate.family}",
        )
        set_challenger(place, model_type, number, refused_at_utc=now)
    except TrackingError as error:
        logger.warning("MLflow did not register the refused candidate: %s", error)


def _registered(models_dir: Path, model_type: ModelType, version: int | None, *, place: TrackingPlace) -> str | None:
    """Return the number under which MLflow knows a version, registering it where it does not."""
    if version is None:
        return None
    try:
        metadata = read_metadata(models_dir, model_type, version)
    except (NotFoundError, TamperedVersionError) as error:
        logger.warning("MLflow's alias for version %d is left out: %s", version, error)
        return None
    return register_version(
        place,
        model_type,
        content_sha256=metadata["content_sha256"],
        model_version=version,
        run_id=metadata["mlflow"]["run_id"],
        folder=version_folder(models_dir, model_type, version),
        description=f"models/{model_type}/model_version_{version}, family {metadata['family']}",
    )
