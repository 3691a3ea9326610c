"""Promotion of a demand forecaster: its candidate, its evidence, and what a version of it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from restock.adapters.provenance import Provenance
from restock.adapters.registry import ModelType
from restock.forecasting.dependence import learn_dependence
from restock.operations.candidates import Candidate, choose_family, read_candidate
from restock.operations.gate_evidence import Evidence, gather_evidence
from restock.operations.path_recipe import PathRecipe
from restock.operations.promotion_gate import Verdict
from restock.operations.promotion_steps import PromotionRequest, PromotionResult, run_promotion
from restock.operations.version_files import compare_metrics, describe_version, write_version_files
from restock.params import Params
from restock.settings import Settings


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
        after_step: called with the name of each of the promotion's steps once it is done.
        on_progress: called with (done, total) windows where the served recipe has to be back-tested.

    Raises:
        CandidateRefusedError: the gate refused it and there is no override; what is served stays.
        NotFoundError: a file that training or validation writes is missing.
        DataError: candidate, baseline and validated data don't belong together.
        GoldenReplayError: the model does not forecast the same twice.
        RestockError: `dvc add` failed; what is served stays.
    """
    promotable = _TrainedForecaster(
        params=params,
        request=request,
        data_dir=settings.data_dir,
        models_dir=settings.models_dir,
        on_progress=on_progress,
    )
    return run_promotion(promotable, settings, request, now=now, after_step=after_step)


@dataclass(kw_only=True)
class _TrainedForecaster:
    """What training left of a family."""

    params: Params
    request: PromotionRequest
    data_dir: Path
    models_dir: Path
    on_progress: Callable[[int, int], None] | None
    evidence: Evidence = field(init=False)

    @property
    def model_type(self) -> ModelType:
        """Type of model."""
        return ModelType.DEMAND_FORECASTING

    @cached_property
    def candidate(self) -> Candidate:
        """The family that was asked for, or that evaluation named."""
        return read_candidate(self.data_dir, self.request.family or choose_family(self.data_dir))

    def judge(self) -> Verdict:
        """Return the gate's verdict on its back-test."""
        self.evidence = gather_evidence(
            self.candidate,
            self.params,
            data_dir=self.data_dir,
            models_dir=self.models_dir,
            on_progress=self.on_progress,
        )
        return self.evidence.verdict

    def compare(self) -> dict[str, Any]:
        """Return its metrics beside those of the baseline and of what it replaces."""
        served = self.evidence.served
        return compare_metrics(
            self.evidence.candidate,
            self.evidence.baseline,
            replaced=None if served is None else served.backtest,
            panel=self.evidence.panel,
            params=self.params,
        )

    def describe(self, *, version: int, provenance: Provenance, now: datetime) -> dict[str, Any]:
        """Return what metadata.json says of the version itself."""
        return describe_version(self.candidate, version=version, provenance=provenance, now=now)

    def write(self, folder: Path, *, metadata: dict[str, Any], metrics: dict[str, Any]) -> None:
        """Write model, golden forecasts, path recipe and documents."""
        write_version_files(
            folder,
            self.candidate,
            metadata=metadata,
            metrics=metrics,
            tables=self.evidence.tables,
            paths=PathRecipe(
                dependence=learn_dependence(self.evidence.candidate, self.evidence.panel, params=self.params),
                seed=self.params.seed,
                n_paths=self.params.paths.n_paths,
            ),
        )
