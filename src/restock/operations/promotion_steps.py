"""Promotion of a candidate of any type: steps in a fixed order, each of which may be the last that a crash allows.

Until the step `serve` replaces current.json the old version is served; after it, the new one. What a crash leaves is
tidied, and what was finished is taken over, by the next promotion.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from restock.adapters.provenance import Provenance, read_provenance
from restock.adapters.registry import (
    Action,
    Change,
    ModelType,
    change_lock,
    never_served,
    next_version,
    publish_version,
    read_current,
    read_metadata,
    seal_version,
    set_current,
    start_version,
    tidy,
    verify_version,
    version_folder,
)
from restock.adapters.storage import read_json
from restock.adapters.tracking import TrackingPlace, tracking_place
from restock.adapters.workspace import run_dvc
from restock.errors import ConfigurationError, DataError, GateRefusedError, NotFoundError, TamperedVersionError
from restock.operations.mirror import Registrable, try_challenge, try_mirror, try_register
from restock.operations.promotion_gate import Verdict
from restock.operations.version_files import METRICS_FILE
from restock.params import ModelName
from restock.settings import Settings

logger = logging.getLogger(__name__)


class CandidateRefusedError(GateRefusedError):
    """A candidate did not pass the gate.

    Attributes:
        verdict: every condition with its figures.
    """

    def __init__(self, message: str, *, verdict: Verdict) -> None:
        super().__init__(message)
        self.verdict = verdict

    def members(self) -> dict[str, object]:
        """Return the conditions."""
        return {"gate": self.verdict.to_json()}


@dataclass(frozen=True, kw_only=True)
class PromotionRequest:
    """What someone asks for.

    Attributes:
        reason: why, for the record.
        promoted_by: who.
        family: which family; None for the one that evaluation names.
        override: why a refusal of the gate is to be overridden; None where it is not.
    """

    reason: str
    promoted_by: str
    family: ModelName | None = None
    override: str | None = None

    def __post_init__(self) -> None:
        for name in ("reason", "promoted_by", "override"):
            value = getattr(self, name)
            if value is not None and not value.strip():
                raise ConfigurationError(f"{name} must say something, got {value!r}.")


@dataclass(frozen=True, kw_only=True)
class PromotionResult:
    """What was promoted.

    Attributes:
        version: its number.
        previous: the version served before; None for the first.
        family: name of the family.
        verdict: the gate's.
        override: why a refusal was overridden; None where there was none.
        metrics: as in metrics.json.
        warnings: what did not work and stands in nobody's way, such as MLflow being away.
    """

    version: int
    previous: int | None
    family: str
    verdict: Verdict
    override: str | None
    metrics: dict[str, Any]
    warnings: tuple[str, ...]


class Promotable(Protocol):
    """A candidate of one model type, with what decides on it and what a version of that type holds."""

    @property
    def model_type(self) -> ModelType:
        """Type of model."""
        ...

    @property
    def candidate(self) -> Registrable:
        """What is to be promoted.

        Raises:
            RestockError: it is missing or broken.
        """
        ...

    def judge(self) -> Verdict:
        """Return the gate's verdict; what it rests on is kept for the version's documents."""
        ...

    def compare(self) -> dict[str, Any]:
        """Return what goes into metrics.json."""
        ...

    def describe(self, *, version: int, provenance: Provenance, now: datetime) -> dict[str, Any]:
        """Return what metadata.json says of the version itself."""
        ...

    def write(self, folder: Path, *, metadata: dict[str, Any], metrics: dict[str, Any]) -> None:
        """Write the version's files into an empty folder, and prove that they work."""
        ...


@dataclass(kw_only=True)
class _Promotion:
    """A promotion under way: what was asked for, and what the steps so far found or made."""

    promotable: Promotable
    request: PromotionRequest
    root: Path
    home: Path
    models_dir: Path
    place: TrackingPlace
    orchestration_run: str | None
    now: datetime
    verdict: Verdict = field(init=False)
    previous: int | None = None
    version: int = 0
    is_taken_over: bool = False
    registered: str | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    building: Path | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def override(self) -> str | None:
        """The reason of an override that was needed."""
        return None if self.verdict.has_passed else self.request.override

    @property
    def model_type(self) -> ModelType:
        """Type of model."""
        return self.promotable.model_type

    def describe(self) -> dict[str, Any]:
        """Return what the version's metadata say of the promotion."""
        return {
            "promoted_by": self.request.promoted_by,
            "reason": self.request.reason,
            "override": self.override,
            "gate": self.verdict.to_json(),
            "replaces": self.previous,
        }


def run_promotion(
    promotable: Promotable,
    settings: Settings,
    request: PromotionRequest,
    *,
    now: datetime,
    after_step: Callable[[str], None] | None = None,
) -> PromotionResult:
    """Promote a candidate, and return which version it became; from then on it is served.

    Args:
        promotable: the candidate.
        settings: the workspace and the tracking address.
        request: what is asked for.
        now: the present, UTC.
        after_step: called with the name of each step of `STEPS` once it is done.

    Raises:
        CandidateRefusedError: the gate refused it and there is no override; what is served stays.
        RestockError: the candidate can't be judged or written, or `dvc add` failed; what is served stays.
    """
    job = _Promotion(
        promotable=promotable,
        request=request,
        root=settings.root,
        home=settings.home,
        models_dir=settings.models_dir,
        place=tracking_place(settings),
        orchestration_run=settings.orchestration_run,
        now=now,
    )
    with change_lock(job.models_dir, job.model_type):
        for name, step in _STEPS:
            step(job)
            logger.debug("promotion: %s is done", name)
            if after_step is not None:
                after_step(name)
    return PromotionResult(
        version=job.version,
        previous=job.previous,
        family=promotable.candidate.family,
        verdict=job.verdict,
        override=job.override,
        metrics=job.metrics,
        warnings=tuple(job.warnings),
    )


def _tidy(job: _Promotion) -> None:
    """Remove what a crash left half done, and let MLflow follow what it kept MLflow from hearing of."""
    tidy(job.models_dir, job.model_type)
    current = read_current(job.models_dir, job.model_type)
    job.previous = None if current is None else current.served
    if current is not None:
        try_mirror(job.models_dir, job.model_type, place=job.place)


def _judge(job: _Promotion) -> None:
    """Ask the gate; a refused candidate becomes the challenger, unless the refusal is overridden."""
    verdict = job.verdict = job.promotable.judge()
    candidate = job.promotable.candidate
    if verdict.has_passed:
        return
    figures = "; ".join(f"{condition.name}: {condition.detail}" for condition in verdict.failed)
    if job.request.override is None:
        try_challenge(candidate, job.model_type, now=job.now, place=job.place)
        stays = "nothing is served" if job.previous is None else f"version {job.previous} stays served"
        raise CandidateRefusedError(
            f"the gate refused {candidate.family}: {figures}. So {stays}. To promote it all the same, say why: "
            '--override "..."',
            verdict=verdict,
        )
    logger.warning("the gate refused %s (%s), overridden: %s", candidate.family, figures, job.request.override)


def _register(job: _Promotion) -> None:
    """Settle the version's number, and register it in MLflow so that its metadata can name the registered version."""
    taken_over = _find_unfinished(job)
    job.is_taken_over = taken_over is not None
    job.version = taken_over or next_version(job.models_dir, job.model_type)
    job.registered, warning = try_register(
        job.promotable.candidate, job.model_type, version=job.version, place=job.place
    )
    job.warnings += [warning] if warning else []


def _build(job: _Promotion) -> None:
    job.metrics = job.promotable.compare() | {"replaces": _read_replaced(job)}
    if job.is_taken_over:
        return
    job.building = start_version(job.models_dir, job.model_type)
    job.promotable.write(job.building, metadata=_describe(job), metrics=job.metrics)


def _seal(job: _Promotion) -> None:
    if job.building is not None:
        seal_version(job.building, _describe(job))


def _publish(job: _Promotion) -> None:
    if job.building is not None:
        publish_version(job.building, job.version)


def _track_data(job: _Promotion) -> None:
    """Give the version to DVC, where the workspace is a DVC repository."""
    if not (job.home / ".dvc").is_dir():
        return
    folder = version_folder(job.models_dir, job.model_type, job.version)
    # --wait-for-lock: a killed promotion's `dvc add` may still be at work. --no-relink: DVC leaves the published files
    # as they are instead of putting links in their place.
    run_dvc(["--wait-for-lock", "add", "--quiet", "--no-relink", str(folder.relative_to(job.home))], folder=job.home)


def _serve(job: _Promotion) -> None:
    change = Change(
        served=job.version,
        previous=job.previous,
        changed_at_utc=job.now,
        changed_by=job.request.promoted_by,
        reason=job.request.reason,
        action=Action.PROMOTE,
        override=job.override,
    )
    set_current(job.models_dir, job.model_type, change)


def _mirror(job: _Promotion) -> None:
    warning = try_mirror(job.models_dir, job.model_type, place=job.place)
    job.warnings += [warning] if warning else []


def _read_replaced(job: _Promotion) -> dict[str, Any] | None:
    """Return what the replaced version's own metrics.json says, on the windows of its day; None where it can't."""
    if job.previous is None:
        return None
    path = version_folder(job.models_dir, job.model_type, job.previous) / METRICS_FILE
    try:
        recorded = read_json(path)
        return {"version": job.previous, "windows": recorded["windows"], "overall": recorded["overall"]["candidate"]}
    except (NotFoundError, DataError, KeyError, TypeError) as error:
        logger.warning("the metrics of version %d are left out of the new version's: %s", job.previous, error)
        return {"version": job.previous}


def _describe(job: _Promotion) -> dict[str, Any]:
    mlflow = {"run_id": job.promotable.candidate.mlflow_run_id, "registered_version": job.registered}
    own = job.promotable.describe(version=job.version, provenance=read_provenance(job.root), now=job.now)
    return own | job.describe() | {"mlflow": mlflow, "orchestration_run": job.orchestration_run}


def _find_unfinished(job: _Promotion) -> int | None:
    """Return a version that an interrupted promotion of the same candidate, by and for the same, had published."""
    wanted = job.describe() | {"content_sha256": job.promotable.candidate.content_sha256}
    for version in never_served(job.models_dir, job.model_type):
        try:
            metadata = read_metadata(job.models_dir, job.model_type, version)
            if all(metadata.get(key) == value for key, value in wanted.items()):
                verify_version(job.models_dir, job.model_type, version)
                logger.warning("version %d was published but never served, it is taken over", version)
                return version
        except TamperedVersionError as error:
            logger.warning("version %d was never served and is left alone: %s", version, error)
    return None


_STEPS: tuple[tuple[str, Callable[[_Promotion], None]], ...] = (
    ("tidy", _tidy),
    ("gate", _judge),
    ("register", _register),
    ("build", _build),
    ("seal", _seal),
    ("publish", _publish),
    ("track", _track_data),
    ("serve", _serve),
    ("mirror", _mirror),
)
STEPS: tuple[str, ...] = tuple(name for name, _ in _STEPS)
