"""The folder models/: immutable, checksummed versions per model type; current.json alone says what is served.

    models/<type>/model_version_N/   written once; metadata.json holds the SHA-256 of every other file and of itself
    models/<type>/current.json       what is served, what came before, and every change with who, when and why
    models/<type>/.building-*        a promotion under way, or what a crash left of one
    models/<type>/.lock              held by whoever changes the folder; the kernel frees it when the process dies

Nothing here knows what a model is: the same folder rules hold for every type.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from restock.adapters.storage import checksums_of, read_json, sync_directory, sync_file, write_json, write_text
from restock.errors import DataError, NotFoundError, TamperedVersionError

logger = logging.getLogger(__name__)

METADATA_FILE = "metadata.json"
CURRENT_FILE = "current.json"
_LOCK_FILE = ".lock"
_BUILDING_PREFIX = ".building-"
_VERSION_FOLDER = re.compile(r"model_version_([1-9][0-9]*)")
_FILES_KEY, _SELF_KEY = "files", "metadata_sha256"
# Promoted files are read-only: an editor opened on one by mistake does not change what is served.
_READ_ONLY = 0o444


class ModelType(StrEnum):
    """The kinds of model that are promoted, each a folder under models/."""

    DEMAND_FORECASTING = "demand_forecasting"
    ANOMALY_DETECTION = "anomaly_detection"
    OPTIMIZATION = "optimization"
    VISION_COUNTING = "vision_counting"


class Action(StrEnum):
    """What changed which version is served."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


class Change(BaseModel):
    """One change of what is served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    served: int = Field(ge=1, description="Version served from then on.")
    previous: int | None = Field(ge=1, description="Version served before; null for the first.")
    changed_at_utc: datetime = Field(description="When.")
    changed_by: str = Field(description="Who.")
    reason: str = Field(description="Why.")
    action: Action = Field(description="Promotion of a new version, or rollback to an old one.")
    override: str | None = Field(default=None, description="Why a refusal of the gate was overridden; else null.")


class Current(Change):
    """What current.json holds: the last change, and all of them."""

    history: tuple[Change, ...] = Field(description="Every change, oldest first, the last one included.")


def type_folder(models_dir: Path, model_type: str) -> Path:
    """Return the folder of a model type."""
    return models_dir / model_type


def version_folder(models_dir: Path, model_type: str, version: int) -> Path:
    """Return the folder of a version, whether or not it exists."""
    return type_folder(models_dir, model_type) / f"model_version_{version}"


def list_versions(models_dir: Path, model_type: str) -> tuple[int, ...]:
    """Return the numbers of the versions that exist, ascending."""
    folder = type_folder(models_dir, model_type)
    if not folder.is_dir():
        return ()
    matches = (_VERSION_FOLDER.fullmatch(path.name) for path in folder.iterdir() if path.is_dir())
    return tuple(sorted(int(match[1]) for match in matches if match))


def next_version(models_dir: Path, model_type: str) -> int:
    """Return the number that the next version gets: numbers are never used twice, also where a folder is not here.

    A version that DVC tracks may be absent from this machine; its `model_version_N.dvc` and current.json still name it.
    """
    folder = type_folder(models_dir, model_type)
    tracked = (_VERSION_FOLDER.fullmatch(path.stem) for path in folder.glob("model_version_*.dvc"))
    current = read_current(models_dir, model_type)
    recorded = [change.served for change in current.history] if current else []
    return (
        max(
            [*list_versions(models_dir, model_type), *(int(match[1]) for match in tracked if match), *recorded],
            default=0,
        )
        + 1
    )


def read_current(models_dir: Path, model_type: str) -> Current | None:
    """Return which version is served and how it came to be, or None where nothing was ever promoted.

    Raises:
        DataError: current.json is not what `set_current` writes.
    """
    path = type_folder(models_dir, model_type) / CURRENT_FILE
    try:
        value = read_json(path)
    except NotFoundError:
        return None
    try:
        return Current.model_validate(value)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise DataError(
            f"{path} is not valid: {faults}. Take it back from git or a backup, or promote anew after moving it away."
        ) from error


def set_current(models_dir: Path, model_type: str, change: Change) -> Current:
    """Replace current.json by one that serves `change.served`, and return it; readers see the old file or the new one.

    Raises:
        NotFoundError: the version does not exist.
        DataError: the present current.json can't be read.
    """
    folder = version_folder(models_dir, model_type, change.served)
    if not folder.is_dir():
        raise NotFoundError(_missing_version(models_dir, model_type, change.served))
    before = read_current(models_dir, model_type)
    history = (*(before.history if before else ()), change)
    current = Current(**dict(change), history=history)
    write_json(type_folder(models_dir, model_type) / CURRENT_FILE, current.model_dump(mode="json"))
    logger.info("models/%s now serves %s (%s by %s)", model_type, folder.name, change.action, change.changed_by)
    return current


def verify_version(models_dir: Path, model_type: str, version: int) -> Path:
    """Return the folder of a version, once every file in it is what was promoted.

    Raises:
        NotFoundError: the version is missing.
        TamperedVersionError: a file differs from its checksum, is missing or was added; the message names it.
    """
    folder = version_folder(models_dir, model_type, version)
    recorded = read_metadata(models_dir, model_type, version)[_FILES_KEY]
    found = checksums_of(folder)
    found.pop(METADATA_FILE)
    faults = [
        *(f"{name} is missing" for name in sorted(recorded.keys() - found.keys())),
        *(f"{name} was added" for name in sorted(found.keys() - recorded.keys())),
        *(f"{name} was changed" for name in sorted(found.keys() & recorded.keys()) if found[name] != recorded[name]),
    ]
    if faults:
        raise TamperedVersionError(_tampered(folder, faults))
    return folder


def read_metadata(models_dir: Path, model_type: str, version: int) -> dict[str, Any]:
    """Return a version's metadata, once they are what was written; the other files are not looked at.

    Raises:
        NotFoundError: the version is missing.
        TamperedVersionError: metadata.json is missing or differs from its own checksum.
    """
    folder = version_folder(models_dir, model_type, version)
    if not folder.is_dir():
        raise NotFoundError(_missing_version(models_dir, model_type, version))
    path = folder / METADATA_FILE
    try:
        text = path.read_text(encoding="utf-8")
        metadata: dict[str, Any] = json.loads(text)
        claimed = metadata.pop(_SELF_KEY)
        is_whole = text == _render_metadata(metadata) and claimed == _metadata_digest(metadata)
    except FileNotFoundError as error:
        raise TamperedVersionError(_tampered(folder, [f"{METADATA_FILE} is missing"])) from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise TamperedVersionError(_tampered(folder, [f"{METADATA_FILE} was changed"])) from error
    if not is_whole or not isinstance(metadata.get(_FILES_KEY), dict):
        raise TamperedVersionError(_tampered(folder, [f"{METADATA_FILE} was changed"]))
    return metadata


def start_version(models_dir: Path, model_type: str) -> Path:
    """Return a new, empty folder to build a version in, on the disk where it will stay."""
    folder = type_folder(models_dir, model_type)
    folder.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=folder, prefix=_BUILDING_PREFIX))
    building.chmod(0o755)
    return building


def seal_version(building: Path, metadata: dict[str, Any]) -> None:
    """Write metadata.json with the checksum of every file in `building`, and make all of it durable and read-only.

    Raises:
        ValueError: `metadata` holds a key that is filled here.
    """
    if {_FILES_KEY, _SELF_KEY} & metadata.keys():
        raise ValueError(f"metadata must not hold {_FILES_KEY!r} or {_SELF_KEY!r}: they are filled in here")
    sealed = metadata | {_FILES_KEY: checksums_of(building)}
    write_text(building / METADATA_FILE, _render_metadata(sealed))
    folders = [building]
    for path in building.rglob("*"):
        if path.is_dir():
            folders.append(path)
        else:
            path.chmod(_READ_ONLY)
            sync_file(path)
    for folder in folders:
        sync_directory(folder)


def publish_version(building: Path, version: int) -> Path:
    """Rename a sealed folder to `model_version_<version>` beside it and return that.

    Raises:
        FileExistsError: the version exists; versions are never overwritten.
    """
    target = building.with_name(f"model_version_{version}")
    # rename(2) would silently replace an empty folder.
    if target.exists():
        raise FileExistsError(f"{target} exists; a version is never overwritten")
    building.rename(target)
    sync_directory(target.parent)
    return target


def write_version(models_dir: Path, model_type: str, *, build: Callable[[Path], None], metadata: dict[str, Any]) -> int:
    """Write a new version in one go and return its number; it is not served until `set_current`.

    Args:
        models_dir: the folder models/.
        model_type: which type.
        build: writes the version's files into the folder it is given.
        metadata: what metadata.json holds, without checksums and version number.
    """
    with change_lock(models_dir, model_type):
        version = next_version(models_dir, model_type)
        building = start_version(models_dir, model_type)
        try:
            build(building)
            seal_version(building, metadata | {"version": version})
            publish_version(building, version)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    return version


def tidy(models_dir: Path, model_type: str) -> tuple[str, ...]:
    """Remove what crashed promotions left half done and return the names; call it with the lock held.

    Folders under construction and temporary files go. A version that was published but never recorded in current.json
    is whole, so it stays: its number may be known elsewhere (DVC, MLflow) and must not come to mean something else. The
    next promotion takes it over if it would build the same; else it is listed as never served.
    """
    folder = type_folder(models_dir, model_type)
    removed = []
    for path in sorted(folder.glob(f"{_BUILDING_PREFIX}*")):
        shutil.rmtree(path)
        removed.append(path.name)
    for path in sorted(folder.glob(f".{CURRENT_FILE}.*.tmp")):
        path.unlink()
        removed.append(path.name)
    if removed:
        logger.warning("models/%s: removed what an interrupted promotion left: %s", model_type, ", ".join(removed))
    return tuple(removed)


def never_served(models_dir: Path, model_type: str) -> tuple[int, ...]:
    """Return the versions that exist but were never served, ascending."""
    current = read_current(models_dir, model_type)
    recorded = {change.served for change in current.history} if current else set()
    return tuple(version for version in list_versions(models_dir, model_type) if version not in recorded)


@contextmanager
def change_lock(models_dir: Path, model_type: str) -> Iterator[None]:
    """Hold the lock that whoever changes a model type's folder holds; waits for the one who has it."""
    folder = type_folder(models_dir, model_type)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("models/%s is being changed by another process, waiting for it", model_type)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def utc_text(moment: datetime) -> str:
    """Return an instant as ISO 8601 in UTC, to the second.

    Example:
        >>> utc_text(datetime(2024, 3, 1, 12, 30, tzinfo=UTC))
        '2024-03-01T12:30:00Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _metadata_digest(metadata: dict[str, Any]) -> str:
    content = json.dumps(metadata, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(content.encode()).hexdigest()


def _render_metadata(metadata: dict[str, Any]) -> str:
    """Return the text of metadata.json: the one way these values are written, so that any other byte shows."""
    stamped = metadata | {_SELF_KEY: _metadata_digest(metadata)}
    return json.dumps(stamped, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _missing_version(models_dir: Path, model_type: str, version: int) -> str:
    existing = ", ".join(map(str, list_versions(models_dir, model_type))) or "none"
    folder = version_folder(models_dir, model_type, version)
    hint = (
        f" It is tracked by DVC: dvc pull {folder.name}.dvc in {folder.parent}." if _dvc_file(folder).exists() else ""
    )
    return f"models/{model_type} has no version {version}, has {existing}.{hint}"


def _dvc_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.dvc")


def _tampered(folder: Path, faults: list[str]) -> str:
    return (
        f"{folder.parent.name}/{folder.name} is not what was promoted: {'; '.join(faults)}. Take the folder back from "
        f"DVC, git or a backup, or go to another version: restock rollback {folder.parent.name} --to N --reason ..."
    )
