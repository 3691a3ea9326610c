"""The versions of a model type as rows for people: what each is, how good it was, and whether it is served."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from restock.adapters.registry import (
    ModelType,
    list_versions,
    read_current,
    read_metadata,
    version_folder,
)
from restock.adapters.storage import read_json
from restock.errors import DataError, NotFoundError, TamperedVersionError
from restock.operations.candidates import BASELINE
from restock.operations.version_files import METRICS_FILE

State = Literal["served", "previous", "served before", "never served", "tampered with"]
_UNKNOWN = "?"


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """One version.

    Attributes:
        model_type: which type.
        version: its number.
        state: whether it is served, was served, or never was.
        family: name of the family.
        cutoff: last period trained on.
        pinball: mean pinball loss of the back-test, units; None where not known.
        baseline_pinball: the baseline's on the same windows.
        wape: weighted absolute percentage error of the mean forecast, share 0-1.
        baseline_wape: the baseline's on the same windows.
        created_at_utc: when it was promoted.
        promoted_by: who promoted it.
        reason: why.
        override: why a refusal of the gate was overridden; None where there was none.
        has_passed_gate: whether the gate let it pass.
    """

    model_type: str
    version: int
    state: State
    family: str
    cutoff: str
    pinball: float | None
    baseline_pinball: float | None
    wape: float | None
    baseline_wape: float | None
    created_at_utc: str
    promoted_by: str
    reason: str
    override: str | None
    has_passed_gate: bool | None

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return asdict(self)


def list_version_rows(models_dir: Path, model_type: ModelType) -> list[VersionRow]:
    """Return one row a version, oldest first; one that was served but is not on this machine says so.

    Checksums are not looked at, only that metadata.json is whole: the table is for looking, not for loading.

    Raises:
        DataError: current.json can't be read.
    """
    current = read_current(models_dir, model_type)
    served_once = {change.served for change in current.history} if current else set()
    rows = []
    for version in sorted(served_once | set(list_versions(models_dir, model_type))):
        state: State = "served before" if version in served_once else "never served"
        if current and version == current.served:
            state = "served"
        elif current and version == current.previous:
            state = "previous"
        rows.append(_row(models_dir, model_type, version, state))
    return rows


def _row(models_dir: Path, model_type: ModelType, version: int, state: State) -> VersionRow:
    try:
        metadata = read_metadata(models_dir, model_type, version)
    except TamperedVersionError:
        metadata, state = {}, "tampered with"
    except NotFoundError as error:
        metadata = {"reason": str(error)}
    try:
        overall = read_json(version_folder(models_dir, model_type, version) / METRICS_FILE)["overall"]
    except (NotFoundError, DataError, KeyError, TypeError):
        # Other types of model have other metrics; a tampered version may have none.
        overall = {}
    own, baseline = overall.get("candidate", {}), overall.get(BASELINE, {})
    return VersionRow(
        model_type=model_type.value,
        version=version,
        state=state,
        family=metadata.get("family", _UNKNOWN),
        cutoff=metadata.get("cutoff", _UNKNOWN),
        pinball=own.get("pinball"),
        baseline_pinball=baseline.get("pinball"),
        wape=own.get("wape"),
        baseline_wape=baseline.get("wape"),
        created_at_utc=metadata.get("created_at_utc", _UNKNOWN),
        promoted_by=metadata.get("promoted_by", _UNKNOWN),
        reason=metadata.get("reason", _UNKNOWN),
        override=metadata.get("override"),
        has_passed_gate=metadata.get("gate", {}).get("passed"),
    )
