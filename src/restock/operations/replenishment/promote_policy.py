"""Promotion of a planner's policy: it must cost less than the classical rules, and no more than the served policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from restock.adapters.panel_files import load_panel
from restock.adapters.provenance import Provenance
from restock.adapters.registry import ModelType, read_current, utc_text
from restock.adapters.storage import read_json, write_json, write_text
from restock.errors import DataError, RestockError
from restock.operations.candidates import choose_family, read_backtest, read_candidate
from restock.operations.model_card import render_policy_card
from restock.operations.promotion_gate import Condition, Rules, Verdict, compare_costs
from restock.operations.promotion_steps import PromotionRequest, PromotionResult, run_promotion
from restock.operations.replenishment.cost_evidence import read_replenishment_tables
from restock.operations.replenishment.judgement import (
    CLASSICAL,
    COSTS,
    PLANNER,
    cost_of_policy,
    summarise_costs,
)
from restock.operations.replenishment.policy import Policy, load_served_policy, read_policy, write_policy
from restock.operations.replenishment.policy_candidate import PolicyCandidate, read_policy_candidate
from restock.operations.replenishment.policy_golden import make_policy_golden, replay_policy_golden
from restock.operations.replenishment.simulation import build_simulation
from restock.operations.version_files import GOLDEN_FILE, METRICS_FILE, MODEL_CARD_FILE, PARAMS_FILE, SIGNATURE_FILE
from restock.params import Params
from restock.settings import Settings
from restock.tables import PLAN, QUANTILE_FORECAST

BEATS_CLASSICAL, KEEPS_COST = "beats_classical_rules", "keeps_cost_of_served_policy"
_SCHEMA_VERSION = 1


def promote_policy(
    settings: Settings,
    params: Params,
    request: PromotionRequest,
    *,
    now: datetime,
    after_step: Callable[[str], None] | None = None,
) -> PromotionResult:
    """Promote the policy that stage `optimize` left, and return which version it became; plans follow it from then on.

    Args:
        settings: the workspace and the tracking address.
        params: all params in force.
        request: what is asked for.
        now: the present, UTC.
        after_step: called with the name of each of the promotion's steps once it is done.

    Raises:
        CandidateRefusedError: the gate refused it and there is no override; what is served stays.
        NotFoundError: the stage was not run, or there was nothing to order.
        DataError: its folder is not what the stage writes.
        GoldenReplayError: the planner does not order the same twice.
        RestockError: `dvc add` failed; what is served stays.
    """
    if request.family is not None:
        raise DataError(f"a policy has no family, got {request.family!r}. Leave --family out.")
    promotable = _TunedPolicy(params=params, data_dir=settings.data_dir, models_dir=settings.models_dir)
    return run_promotion(promotable, settings, request, now=now, after_step=after_step)


def check_policy(folder: Path) -> Policy:
    """Return the policy of a version's folder, once the planner orders under it what it did when it was promoted.

    Raises:
        GoldenReplayError: it does not.
        DataError: its files can't be read.
    """
    policy = read_policy(folder, version=folder.name)
    replay_policy_golden(policy, read_json(folder / GOLDEN_FILE))
    return policy


@dataclass(kw_only=True)
class _TunedPolicy:
    """What stage `optimize` left."""

    params: Params
    data_dir: Path
    models_dir: Path
    verdict: Verdict = field(init=False)

    @property
    def model_type(self) -> ModelType:
        """Type of model."""
        return ModelType.OPTIMIZATION

    @cached_property
    def candidate(self) -> PolicyCandidate:
        """The policy in the workspace."""
        return read_policy_candidate(self.data_dir)

    def judge(self) -> Verdict:
        """Return the gate's verdict on what it cost in the judged periods."""
        rules = Rules(
            quantiles=self.params.forecasting.quantiles, promotion=self.params.promotion, seed=self.params.seed
        )
        by_rule = summarise_costs(self.candidate.costs)
        classical = min(CLASSICAL, key=lambda name: by_rule[name]["cost"])
        first = compare_costs(
            BEATS_CLASSICAL,
            _side_by_side(self.candidate.costs, PLANNER, self.candidate.costs, classical),
            rules=rules,
            against=f"{classical}, the cheapest classical rule",
            must_be_lower=True,
        )
        self.verdict = Verdict(conditions=(first, self._judge_against_served(rules)))
        return self.verdict

    def _judge_against_served(self, rules: Rules) -> Condition:
        current = read_current(self.models_dir, ModelType.OPTIMIZATION)
        if current is None:
            return Condition(name=KEEPS_COST, has_passed=None, detail="nothing is served yet")
        figures: dict[str, float | int | str] = {"served_version": current.served}
        try:
            served = load_served_policy(self.models_dir)
            if dict(served.shortage_multiples) == dict(self.candidate.policy.shortage_multiples):
                detail = f"the same policy as version {current.served}: nothing new to serve"
                return Condition(name=KEEPS_COST, has_passed=False, detail=detail, figures=figures)
            costs = self._cost_of(served)
        except RestockError as error:
            detail = f"version {current.served} can't be compared with: {error}"
            return Condition(name=KEEPS_COST, has_passed=False, detail=detail, figures=figures)
        found = compare_costs(
            KEEPS_COST,
            _side_by_side(self.candidate.costs, PLANNER, costs, PLANNER),
            rules=rules,
            against=f"version {current.served}",
        )
        return Condition(
            name=found.name, has_passed=found.has_passed, detail=found.detail, figures=figures | found.figures
        )

    def _cost_of(self, policy: Policy) -> pl.DataFrame:
        """Return what another policy costs in the candidate's judged periods."""
        forecaster = read_candidate(self.data_dir, choose_family(self.data_dir))
        if forecaster.content_sha256 != self.candidate.training["forecast"]["content_sha256"]:
            raise DataError(
                "the forecasts were made anew since the policy was tuned. Run the stage again: dvc repro optimize."
            )
        simulation = build_simulation(
            read_backtest(forecaster),
            load_panel(self.data_dir / "features"),
            read_replenishment_tables(self.data_dir),
            params=self.params,
        )
        return cost_of_policy(simulation, policy.shortage_multiples)

    def compare(self) -> dict[str, Any]:
        """Return what every rule cost, the candidate's first."""
        by_rule = summarise_costs(self.candidate.costs)
        others = {name: values for name, values in by_rule.items() if name != PLANNER}
        training = self.candidate.training
        return {
            "windows": [training["first_judged"], training["cutoff"]],
            "overall": {"candidate": by_rule[PLANNER], **others},
        }

    def describe(self, *, version: int, provenance: Provenance, now: datetime) -> dict[str, Any]:
        """Return what metadata.json says of the version itself."""
        training = self.candidate.training
        return {
            "schema_version": _SCHEMA_VERSION,
            "model_type": ModelType.OPTIMIZATION.value,
            "family": self.candidate.family,
            "version": version,
            "created_at_utc": utc_text(now),
            "content_sha256": self.candidate.content_sha256,
            "git_commit": provenance.git_commit,
            "has_local_changes": provenance.has_local_changes,
            "dvc_lock_sha256": provenance.dvc_lock_sha256,
            "data_hashes": training["data_hashes"],
            "forecast": training["forecast"],
            "cutoff": training["cutoff"],
            "frequency": training["frequency"],
            "library_versions": provenance.library_versions,
        }

    def write(self, folder: Path, *, metadata: dict[str, Any], metrics: dict[str, Any]) -> None:
        """Write policy, golden orders and documents, and prove that the planner orders the same again."""
        write_policy(self.candidate.policy.shortage_multiples, folder)
        write_json(folder / GOLDEN_FILE, make_policy_golden(self.candidate.policy))
        write_text(folder / PARAMS_FILE, yaml.safe_dump(self.candidate.training["params"], sort_keys=False, width=120))
        write_json(folder / METRICS_FILE, metrics)
        write_json(folder / SIGNATURE_FILE, _signature())
        write_text(folder / MODEL_CARD_FILE, render_policy_card(metadata, metrics))
        check_policy(folder)


def _side_by_side(own: pl.DataFrame, own_rule: str, other: pl.DataFrame, other_rule: str) -> pl.DataFrame:
    """Return columns sku, candidate, incumbent: what two rules cost by sku."""
    sides = [
        frame.filter(pl.col("rule") == rule).select("sku", pl.sum_horizontal(*COSTS).alias(name))
        for frame, rule, name in ((own, own_rule, "candidate"), (other, other_rule, "incumbent"))
    ]
    return sides[0].join(sides[1], on="sku", how="inner").sort("sku")


def _signature() -> dict[str, Any]:
    """Return the columns and types that planning under the policy reads and gives."""
    return {
        name: {
            table.name: [
                {"name": c.name, "type": c.type.value, "unit": c.unit, "is_nullable": c.is_nullable}
                for c in table.columns
            ]
        }
        for name, table in (("inputs", QUANTILE_FORECAST), ("outputs", PLAN))
    }
