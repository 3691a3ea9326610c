"""The promoted policy: what simulation found the planner should reckon with, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from restock.adapters.registry import ModelType, read_current, verify_version
from restock.adapters.storage import read_json, write_json
from restock.errors import DataError
from restock.replenishment.policy_tuning import LineGroup

POLICY_FILE = "policy.json"
_SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the planner reckons with.

    Attributes:
        version: `model_version_N`; None where nothing is promoted and costs count as they are.
        shortage_multiples: of the shortage cost, by group of lines.
    """

    version: str | None
    shortage_multiples: Mapping[LineGroup, float]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        multiples = {group.value: value for group, value in self.shortage_multiples.items()}
        return {"version": self.version, "shortage_multiples": multiples}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `to_json` gave."""
        multiples = {LineGroup(name): value for name, value in stored["shortage_multiples"].items()}
        return cls(version=stored["version"], shortage_multiples=multiples)


UNTUNED = Policy(version=None, shortage_multiples={})


def write_policy(shortage_multiples: Mapping[LineGroup, float], folder: Path) -> None:
    """Write a policy into a candidate's or version's folder."""
    values = {group.value: multiple for group, multiple in sorted(shortage_multiples.items())}
    write_json(folder / POLICY_FILE, {"schema_version": _SCHEMA_VERSION, "shortage_multiples": values})


def read_policy(folder: Path, *, version: str | None) -> Policy:
    """Return the policy in a folder.

    Raises:
        NotFoundError: there is none.
        DataError: it is not what `write_policy` writes.
    """
    path = folder / POLICY_FILE
    stored: Any = read_json(path)
    try:
        if stored["schema_version"] != _SCHEMA_VERSION:
            raise DataError(
                f"{path} has schema version {stored['schema_version']}, expected {_SCHEMA_VERSION}. Promote anew."
            )
        multiples = {LineGroup(name): float(value) for name, value in stored["shortage_multiples"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is not what promotion writes: {error!r}. Promote the policy anew.") from error
    wrong = [f"{group}: {value}" for group, value in multiples.items() if not value > 0]
    if wrong:
        raise DataError(f"{path} holds {', '.join(wrong)}, expected multiples above 0. Promote the policy anew.")
    return Policy(version=version, shortage_multiples=multiples)


def load_served_policy(models_dir: Path) -> Policy:
    """Return the policy that is served, `UNTUNED` where none was promoted yet.

    Raises:
        TamperedVersionError: its files are not what was promoted.
        DataError: they can't be read.
    """
    current = read_current(models_dir, ModelType.OPTIMIZATION)
    if current is None:
        return UNTUNED
    folder = verify_version(models_dir, ModelType.OPTIMIZATION, current.served)
    return read_policy(folder, version=folder.name)
