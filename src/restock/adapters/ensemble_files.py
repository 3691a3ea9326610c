"""An ensemble on disk: what combines as JSON, every member in a folder of its own, in its family's own format.

forecaster.json       weights, segments, calibration, cold start
members/<family>/     what `save_forecaster` writes of the family
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from restock.adapters.storage import read_json, write_json
from restock.errors import DataError
from restock.forecasting.calibration import Calibration
from restock.forecasting.cold_start import ColdStart
from restock.forecasting.families.ensemble import EnsembleForecaster, SegmentWeights
from restock.forecasting.forecast import DemandForecaster
from restock.forecasting.segments import SegmentRule
from restock.params import EvaluationParams, FamilyName

DESCRIPTION_FILE = "forecaster.json"
MEMBERS_FOLDER = "members"
_SCHEMA_VERSION = 1


def member_folder(folder: Path, family: FamilyName) -> Path:
    """Return where a member of the ensemble in `folder` lies."""
    return folder / MEMBERS_FOLDER / family


def save_ensemble(
    forecaster: EnsembleForecaster, folder: Path, *, save_member: Callable[[DemandForecaster, Path], None]
) -> None:
    """Write a fitted ensemble and its members into `folder`, which is made.

    Args:
        forecaster: fitted.
        folder: for the files.
        save_member: writes one member into a folder.
    """
    for family in forecaster.weights.members:
        save_member(forecaster.members[family], member_folder(folder, family))
    write_json(folder / DESCRIPTION_FILE, _describe(forecaster))


def assemble_ensemble(
    folder: Path,
    *,
    weights: SegmentWeights,
    rule: SegmentRule,
    calibration: Calibration,
    cold_start: ColdStart,
    model_dirs: Mapping[FamilyName, Path],
    load_member: Callable[[Path], DemandForecaster],
) -> EnsembleForecaster:
    """Write an ensemble of saved members into `folder` and return it as loaded from there.

    Args:
        folder: for the files; it is made.
        weights: how much each member counts.
        rule: how a series finds its segment.
        calibration: corrections of what the weights give.
        cold_start: what young series are told by.
        model_dirs: of every member, what `save_forecaster` wrote.
        load_member: reads one member.

    Raises:
        DataError: the members have different quantiles.
    """
    for family in weights.members:
        shutil.copytree(model_dirs[family], member_folder(folder, family))
    members = {family: load_member(member_folder(folder, family)) for family in weights.members}
    quantiles = {member.quantiles for member in members.values()}
    if len(quantiles) > 1:
        raise DataError(f"members {', '.join(members)} have different quantiles. Train them anew: dvc repro.")
    forecaster = EnsembleForecaster(
        horizon=min(member.horizon for member in members.values()),
        quantiles=quantiles.pop(),
        rule=rule,
        weights=weights,
        members=members,
        calibration=calibration,
        cold_start=cold_start,
    )
    write_json(folder / DESCRIPTION_FILE, _describe(forecaster))
    return forecaster


def load_ensemble(folder: Path, *, load_member: Callable[[Path], DemandForecaster]) -> EnsembleForecaster:
    """Return the ensemble that `save_ensemble` wrote.

    Raises:
        NotFoundError: a file is missing.
        DataError: a member's file is broken.
        KeyError: the description lacks an entry.
    """
    described = read_json(folder / DESCRIPTION_FILE)
    weights, rule = described["weights"], described["rule"]
    members = tuple(weights["members"])
    return EnsembleForecaster(
        horizon=described["horizon"],
        quantiles=tuple(described["quantiles"]),
        rule=SegmentRule(
            abc_revenues=tuple(rule["abc_revenues"]), evaluation=EvaluationParams.model_validate(rule["evaluation"])
        ),
        weights=SegmentWeights(
            members=members,
            overall=tuple(weights["overall"]),
            by_segment={name: tuple(row) for name, row in weights["by_segment"].items()},
        ),
        members={family: load_member(member_folder(folder, family)) for family in members},
        calibration=None if described["calibration"] is None else Calibration.from_json(described["calibration"]),
        cold_start=None if described["cold_start"] is None else _read_cold_start(described["cold_start"]),
    )


def _read_cold_start(described: dict[str, Any]) -> ColdStart:
    """Return what young series are told by, from its plain values."""
    values = {field.name: described[field.name] for field in fields(ColdStart)}
    return ColdStart(
        **values
        | {
            "quantiles": tuple(described["quantiles"]),
            "season_index": {name: tuple(index) for name, index in described["season_index"].items()},
            "ratios": tuple(tuple(tuple(row) for row in kind) for kind in described["ratios"]),
        }
    )


def _describe(forecaster: EnsembleForecaster) -> dict[str, Any]:
    weights, rule = forecaster.weights, forecaster.rule
    return {
        "schema_version": _SCHEMA_VERSION,
        "family": forecaster.family,
        "horizon": forecaster.horizon,
        "quantiles": list(forecaster.quantiles),
        "rule": {"abc_revenues": list(rule.abc_revenues), "evaluation": rule.evaluation.model_dump(mode="json")},
        "calibration": None if forecaster.calibration is None else forecaster.calibration.to_json(),
        "cold_start": None if forecaster.cold_start is None else asdict(forecaster.cold_start),
        "weights": {
            "members": list(weights.members),
            "overall": list(weights.overall),
            "by_segment": {name: list(row) for name, row in weights.by_segment.items()},
        },
    }
