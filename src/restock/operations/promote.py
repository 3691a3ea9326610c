"""Promotion of a demand forecaster: steps in a fixed order, each of which may be the last that a crash lets happen.

Until the step `serve` replaces current.json the old version is served; after it, the new one. What a crash leaves is
tidied, and what was finished is taken over, by the next promotion.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from restock.adapters.provenance import read_provenance
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
from restock.forecasting.dependence import learn_dependence
from restock.operations.candidates import Candidate, choose_family, read_candidate
from restock.operations.gate_evidence import Evidence, gather_evidence
from restock.operations.mirror import try_challenge, try_mirror, try_register
from restock.operations.path_recipe import PathRecipe
from restock.operations.promotion_gate import Verdict
from restock.operations.version_files import METRICS_FILE, compare_metrics, describe_version, write_version_files
from restock.params import ModelName, Params
from restock.settings import Settings

logger = logging.getLogger(__name__)

_TYPE = ModelType.DEMAND_FORECASTING


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


@dataclass(kw_only=True)
class _Promotion:
    """A promotion under way: what was asked for, and what the steps so far found or made."""

    request: PromotionRequest
    params: Params
    root: Path
    home: Path
    data_dir: Path
    models_dir: Path
    place: TrackingPlace
    orchestration_run: str | None
    now: datetime
    on_progress: Callable[[int, int], None] | None
    candidate: Candidate = field(init=False)
    evidence: Evidence = field(init=False)
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
        return None if self.evidence.verdict.has_passed else self.request.override

    def describe(self) -> dict[str, Any]:
        """Return what the version's metadata say of the promotion."""
        return {
            "promoted_by": self.request.promoted_by,
            "reason": self.request.reason,
            "override": self.override,
            "gate": self.evidence.verdict.to_json(),
            "replaces": self.previous,
        }


def promote(
    settings: Settings,
    params: Params,
    request: PromotionRequest,
    *,
    now: datetime,
    after_step: Callable[[str], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> PromotionResult:
    """Promote a candidate, and return which version it became; from then on it is served.

    Args:
        settings: the workspace and the tracking address.
        params: all params in force.
        request: what is asked for.
        now: the present, UTC.
        after_step: called with the name of each step of `STEPS` once it is done.
        on_progress: called with (done, total) windows where the served recipe has to be back-tested.

    Raises:
        CandidateRefusedError: the gate refused it and there is no override; what is served stays.
        NotFoundError: a file that training or validation writes is missing.
        DataError: candidate, baseline and validated data don't belong together.
        GoldenReplayError: the model does not forecast the same twice.
        RestockError: `dvc add` failed; what is served stays.
    """
    job = _Promotion(
        request=request,
        params=params,
        root=settings.root,
        home=settings.home,
        data_dir=settings.data_dir,
        models_dir=settings.models_dir,
        place=tracking_place(settings),
        orchestration_run=settings.orchestration_run,
        now=now,
        on_progress=on_progress,
    )
    with change_lock(job.models_dir, _TYPE):
        for name, step in _STEPS:
            step(job)
            logger.debug("promotion: %s is done", name)
            if after_step is not None:
                after_step(name)
    return PromotionResult(
        version=job.version,
        previous=job.previous,
        family=job.candidate.family,
        verdict=job.evidence.verdict,
        override=job.override,
        metrics=job.metrics,
        warnings=tuple(job.warnings),
    )


def _tidy(job: _Promotion) -> None:
    """Remove what a crash left half done, and let MLflow follow what it kept MLflow from hearing of."""
    tidy(job.models_dir, _TYPE)
    current = read_current(job.models_dir, _TYPE)
    job.previous = None if current is None else current.served
    if current is not None:
        try_mirror(job.models_dir, _TYPE, place=job.place)


def _judge(job: _Promotion) -> None:
    """Ask the gate; a refused candidate becomes the challenger, unless the refusal is overridden."""
    job.candidate = read_candidate(job.data_dir, job.request.family or choose_family(job.data_dir))
    job.evidence = gather_evidence(
        job.candidate, job.params, data_dir=job.data_dir, models_dir=job.models_dir, on_progress=job.on_progress
    )
    verdict = job.evidence.verdict
    if verdict.has_passed:
        return
    figures = "; ".join(f"{condition.name}: {condition.detail}" for condition in verdict.failed)
    if job.request.override is None:
        try_challenge(job.candidate, _TYPE, now=job.now, place=job.place)
        stays = "nothing is served" if job.previous is None else f"version {job.previous} stays served"
        raise CandidateRefusedError(
            f"the gate refused {job.candidate.family}: {figures}. So {stays}. To promote it all the same, say why: "
            '--override "..."',
            verdict=verdict,
        )
    logger.warning("the gate refused %s (%s), overridden: %s", job.candidate.family, figures, job.request.override)


def _register(job: _Promotion) -> None:
    """Settle the version's number, and register it in MLflow so that its metadata can name the registered version."""
    taken_over = _find_unfinished(job)
    job.is_taken_over = taken_over is not None
    job.version = taken_over or next_version(job.models_dir, _TYPE)
    job.registered, warning = try_register(job.candidate, _TYPE, version=job.version, place=job.place)
    job.warnings += [warning] if warning else []


def _build(job: _Promotion) -> None:
    served = job.evidence.served
    job.metrics = compare_metrics(
        job.evidence.candidate,
        job.evidence.baseline,
        replaced=None if served is None else served.backtest,
        panel=job.evidence.panel,
        params=job.params,
    ) | {"replaces": _read_replaced(job)}
    if job.is_taken_over:
        return
    job.building = start_version(job.models_dir, _TYPE)
    write_version_files(
        job.building,
        job.candidate,
        metadata=_describe(job),
        metrics=job.metrics,
        tables=job.evidence.tables,
        paths=PathRecipe(
            dependence=learn_dependence(job.evidence.candidate, job.evidence.panel, params=job.params),
            seed=job.params.seed,
            n_paths=job.params.paths.n_paths,
        ),
    )


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
    folder = version_folder(job.models_dir, _TYPE, job.version)
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
    set_current(job.models_dir, _TYPE, change)


def _mirror(job: _Promotion) -> None:
    warning = try_mirror(job.models_dir, _TYPE, place=job.place)
    job.warnings += [warning] if warning else []


def _read_replaced(job: _Promotion) -> dict[str, Any] | None:
    """Return what the replaced version's own metrics.json says, on the windows of its day; None where it can't."""
    if job.previous is None:
        return None
    path = version_folder(job.models_dir, _TYPE, job.previous) / METRICS_FILE
    try:
        recorded = read_json(path)
        return {"version": job.previous, "windows": recorded["windows"], "overall": recorded["overall"]["candidate"]}
    except (NotFoundError, DataError, KeyError, TypeError) as error:
        logger.warning("the metrics of version %d are left out of the new version's: %s", job.previous, error)
        return {"version": job.previous}


def _describe(job: _Promotion) -> dict[str, Any]:
    mlflow = {"run_id": job.candidate.mlflow_run_id, "registered_version": job.registered}
    return describe_version(
        job.candidate,
        version=job.version,
        provenance=read_provenance(job.root),
        now=job.now,
        promotion=job.describe() | {"mlflow": mlflow, "orchestration_run": job.orchestration_run},
    )


def _find_unfinished(job: _Promotion) -> int | None:
    """Return a version that an interrupted promotion of the same candidate, by and for the same, had published."""
    wanted = job.describe() | {"content_sha256": job.candidate.content_sha256}
    for version in never_served(job.models_dir, _TYPE):
        try:
            metadata = read_metadata(job.models_dir, _TYPE, version)
            if all(metadata.get(key) == value for key, value in wanted.items()):
                verify_version(job.models_dir, _TYPE, version)
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
