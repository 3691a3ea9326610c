"""The mirror of models/ in MLflow: a registered model per type, a registered version per version, and its aliases.

current.json alone says what is served; the aliases follow it and are set anew whenever it is read for that purpose.
"""

from __future__ import annotations

import logging
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from restock.adapters.tracking import TrackingPlace, connect

logger = logging.getLogger(__name__)

VERSION_TAG = "restock.model_version"
CONTENT_TAG = "restock.content_sha256"
REFUSED_TAG = "restock.refused_at_utc"


class Alias(StrEnum):
    """The names under which MLflow's users find a version."""

    CHAMPION = "champion"
    PREVIOUS = "previous"
    CHALLENGER = "challenger"


def register_version(
    place: TrackingPlace,
    model_type: str,
    *,
    content_sha256: str,
    model_version: int | None,
    run_id: str | None,
    folder: Path,
    description: str,
) -> str:
    """Return the number under which MLflow has registered these files, registering them where it has not.

    A promotion that was interrupted and runs again finds what it registered before.

    Args:
        place: where runs are kept.
        model_type: name of the registered model.
        content_sha256: what the files are.
        model_version: number in models/; None for a candidate that was not promoted.
        run_id: the run that trained it; its logged model becomes the source where it is still there.
        folder: the files, as the source where there is no logged model.
        description: one line for people.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(place) as client:
        _ensure_registered_model(client, model_type)
        wanted = "" if model_version is None else str(model_version)
        candidates = client.search_model_versions(
            f"name = '{model_type}' and tag.`{CONTENT_TAG}` = '{content_sha256}'", max_results=1000
        )
        for known in candidates:
            if known.tags.get(VERSION_TAG) == wanted:
                return str(known.version)
        model_id = None if run_id is None else _find_logged_model(client, run_id)
        made = client.create_model_version(
            model_type,
            source=folder.resolve().as_uri() if model_id is None else f"models:/{model_id}",
            run_id=None if model_id is None else run_id,
            model_id=model_id,
            tags={VERSION_TAG: wanted, CONTENT_TAG: content_sha256},
            description=description,
        )
        return str(made.version)


def set_aliases(place: TrackingPlace, model_type: str, wanted: dict[Alias, str | None]) -> tuple[str, ...]:
    """Let each alias name the registered version given, none where it is None, and return those that had to change.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(place) as client:
        _ensure_registered_model(client, model_type)
        present = _aliases(client, model_type)
        changed = []
        for alias, version in wanted.items():
            if present.get(alias) == version:
                continue
            if version is None:
                client.delete_registered_model_alias(model_type, alias.value)
            else:
                client.set_registered_model_alias(model_type, alias.value, version)
            changed.append(alias.value)
        return tuple(changed)


def set_challenger(place: TrackingPlace, model_type: str, version: str, *, refused_at_utc: datetime) -> None:
    """Let the alias `challenger` name a candidate that the gate refused.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(place) as client:
        client.set_model_version_tag(model_type, version, REFUSED_TAG, refused_at_utc.isoformat())
        client.set_registered_model_alias(model_type, Alias.CHALLENGER.value, version)


def clear_stale_challenger(place: TrackingPlace, model_type: str, *, changed_at_utc: datetime) -> None:
    """Take the alias `challenger` from a candidate that was refused before the served version last changed.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(place) as client:
        version = _aliases(client, model_type).get(Alias.CHALLENGER)
        if version is None:
            return
        refused = client.get_model_version(model_type, version).tags.get(REFUSED_TAG)
        if refused is None or datetime.fromisoformat(refused) < changed_at_utc:
            client.delete_registered_model_alias(model_type, Alias.CHALLENGER.value)


def read_aliases(place: TrackingPlace, model_type: str) -> dict[str, str]:
    """Return the registered version behind each alias.

    Raises:
        TrackingError: MLflow failed.
    """
    with connect(place) as client:
        _ensure_registered_model(client, model_type)
        return _aliases(client, model_type)


def _aliases(client: Any, model_type: str) -> dict[str, str]:
    aliases = client.get_registered_model(model_type).aliases
    return {str(alias): str(version) for alias, version in aliases.items()}


def _ensure_registered_model(client: Any, model_type: str) -> None:
    from mlflow.exceptions import MlflowException

    # Asked for first: making one that exists is an error, and so an exception per call.
    if client.search_registered_models(f"name = '{model_type}'", max_results=1):
        return
    try:
        client.create_registered_model(model_type, description="Mirror of models/; promoted by `restock promote`.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _find_logged_model(client: Any, run_id: str) -> str | None:
    """Return the id of the model that a run logged, or None where the run or its model is not in this store."""
    from mlflow.exceptions import MlflowException

    try:
        outputs = client.get_run(run_id).outputs
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        logger.warning("MLflow has no run %s; the registered version points to the files instead", run_id)
        return None
    models = outputs.model_outputs if outputs else []
    return str(models[0].model_id) if models else None
