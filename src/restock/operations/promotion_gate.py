"""The promotion gate: conditions with their figures, decided from back-tests alone; pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from restock.forecasting.backtest import paired_pinball
from restock.params import PromotionParams
from restock.statistics.bootstrap import paired_bootstrap

BEATS_BASELINE = "beats_seasonal_naive"
BEATS_SERVED = "beats_served_version"
SIMULATED_COST = "keeps_simulated_cost"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One condition of the gate.

    Attributes:
        name: stable name.
        has_passed: whether it holds; None where it is not available, which does not stand in the way.
        detail: one sentence for people, with the figures.
        figures: what decided it.
    """

    name: str
    has_passed: bool | None
    detail: str
    figures: dict[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate says of a candidate.

    Attributes:
        conditions: all of them.
    """

    conditions: tuple[Condition, ...]

    @property
    def has_passed(self) -> bool:
        """Whether no condition failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Condition, ...]:
        """The conditions that failed."""
        return tuple(condition for condition in self.conditions if condition.has_passed is False)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain values; a condition that is not available says so in words."""
        conditions = [asdict(condition) for condition in self.conditions]
        for condition in conditions:
            passed = condition.pop("has_passed")
            condition["passed"] = "not available" if passed is None else passed
        return {"passed": self.has_passed, "conditions": conditions}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the gate's comparisons go by.

    Attributes:
        quantiles: levels that the pinball loss is taken over.
        promotion: confidence and resamples.
        seed: of the bootstrap.
    """

    quantiles: tuple[float, ...]
    promotion: PromotionParams
    seed: int


@dataclass(frozen=True, kw_only=True)
class ServedVersion:
    """The served version, as the gate sees it.

    Attributes:
        version: its number.
        backtest: its recipe's back-test on the candidate's data and windows; None where none was made.
        is_same_recipe: whether the candidate was made by the same recipe.
        newer_because: what is newer in a candidate of the same recipe; empty where nothing is.
        unusable_because: why its recipe could not be back-tested; empty where it could.
    """

    version: int
    backtest: pl.DataFrame | None = None
    is_same_recipe: bool = False
    newer_because: str = ""
    unusable_because: str = ""


def judge_candidate(
    candidate: pl.DataFrame,
    *,
    is_baseline: bool,
    baseline: pl.DataFrame,
    served: ServedVersion | None,
    rules: Rules,
    simulated_cost: Condition | None = None,
) -> Verdict:
    """Return the gate's verdict.

    Args:
        candidate: the candidate's back-test, as `run_backtest` returns it.
        is_baseline: whether the candidate is the seasonal naive itself; it then only has to beat what is served.
        baseline: the seasonal naive's back-test on the same data and windows.
        served: what is served; None for the first promotion.
        rules: what comparisons go by.
        simulated_cost: from `compare_costs`; None where nothing could be simulated.
    """
    if is_baseline:
        first = Condition(name=BEATS_BASELINE, has_passed=None, detail="the candidate is the seasonal naive itself")
    else:
        first = compare_pinball(BEATS_BASELINE, candidate, baseline, rules=rules, against="seasonal naive")
    cost = simulated_cost or Condition(
        name=SIMULATED_COST, has_passed=None, detail="no replenishment cost was simulated"
    )
    return Verdict(conditions=(first, _judge_against_served(candidate, served, rules=rules), cost))


def compare_costs(
    name: str, costs: pl.DataFrame, *, rules: Rules, against: str, must_be_lower: bool = False
) -> Condition:
    """Return whether the candidate's simulated cost is not above the incumbent's beyond luck, by sku in the same past.

    Args:
        name: name of the condition.
        costs: columns sku, candidate, incumbent: currency over the simulated periods.
        rules: confidence, resamples, seed.
        against: what the incumbent is called.
        must_be_lower: whether the candidate must be cheaper beyond luck, and not only not dearer.
    """
    if costs.is_empty() or costs["incumbent"].sum() <= 0:
        detail = f"nothing to compare with {against}: {costs.height} skus, cost {costs['incumbent'].sum():g}"
        return Condition(name=name, has_passed=None, detail=detail)
    result = paired_bootstrap(
        costs["candidate"].to_numpy(),
        costs["incumbent"].to_numpy(),
        clusters=costs["sku"].to_numpy(),
        n_resamples=rules.promotion.n_resamples,
        confidence=rules.promotion.confidence,
        seed=rules.seed,
    )
    bound, word = (result.upper, "most") if must_be_lower else (result.lower, "least")
    needed = "needs to be below 0" if must_be_lower else "must not be above 0"
    return Condition(
        name=name,
        has_passed=bound < 0 if must_be_lower else bound <= 0,
        detail=(
            f"simulated replenishment cost {result.relative_difference:+.2%} against {against}, with "
            f"{result.confidence:.0%} confidence at {word} {bound:+.2%} ({result.n_clusters} skus); {needed}"
        ),
        figures={
            "relative_difference": result.relative_difference,
            "lower": result.lower,
            "upper": result.upper,
            "confidence": result.confidence,
            "share_better": result.share_better,
            "n_skus": result.n_clusters,
            "candidate_cost": round(float(costs["candidate"].sum()), 2),
            "incumbent_cost": round(float(costs["incumbent"].sum()), 2),
        },
    )


def compare_pinball(
    name: str, candidate: pl.DataFrame, incumbent: pl.DataFrame, *, rules: Rules, against: str
) -> Condition:
    """Return whether the candidate's pinball loss is lower than the incumbent's beyond luck, on the same windows.

    It is where, with the rules' confidence, the relative difference lies below zero: a paired bootstrap over series.

    Args:
        name: name of the condition.
        candidate: its back-test.
        incumbent: the other's back-test.
        rules: confidence, resamples, quantiles, seed.
        against: what the incumbent is called.
    """
    windows = sorted(set(candidate["cutoff"].to_list()))
    others = sorted(set(incumbent["cutoff"].to_list()))
    if windows != others:
        return Condition(
            name=name,
            has_passed=False,
            detail=(
                f"the back-tests have other windows: the candidate's cutoffs are {', '.join(map(str, windows))}, those "
                f"of {against} {', '.join(map(str, others))}. Train both on the same data: dvc repro."
            ),
        )
    losses = paired_pinball(candidate, incumbent, quantiles=rules.quantiles)
    incumbent_loss = losses["incumbent"].sum()
    if losses.is_empty() or incumbent_loss <= 0:
        return Condition(
            name=name,
            has_passed=False,
            detail=f"nothing to compare with {against}: {losses.height} cases, loss {incumbent_loss:g} units",
        )
    result = paired_bootstrap(
        losses["candidate"].to_numpy(),
        losses["incumbent"].to_numpy(),
        clusters=losses.select(pl.concat_str("sku", "location", separator="\x1f")).to_series().to_numpy(),
        n_resamples=rules.promotion.n_resamples,
        confidence=rules.promotion.confidence,
        seed=rules.seed,
    )
    return Condition(
        name=name,
        has_passed=result.upper < 0,
        detail=(
            f"pinball loss {result.relative_difference:+.2%} against {against}, with {result.confidence:.0%} "
            f"confidence at most {result.upper:+.2%} ({result.n_clusters} series, {len(windows)} windows); "
            "needs to be below 0"
        ),
        figures={
            "relative_difference": result.relative_difference,
            "lower": result.lower,
            "upper": result.upper,
            "confidence": result.confidence,
            "share_better": result.share_better,
            "n_series": result.n_clusters,
            "n_windows": len(windows),
        },
    )


def _judge_against_served(candidate: pl.DataFrame, served: ServedVersion | None, *, rules: Rules) -> Condition:
    if served is None:
        return Condition(name=BEATS_SERVED, has_passed=None, detail="nothing is served yet")
    figures: dict[str, float | int | str] = {"served_version": served.version}
    if served.unusable_because:
        return Condition(
            name=BEATS_SERVED,
            has_passed=False,
            detail=f"version {served.version} can't be compared with: {served.unusable_because}",
            figures=figures,
        )
    if served.is_same_recipe:
        # Both would give the same back-test: what a retraining brings is newer data.
        is_newer = bool(served.newer_because)
        detail = (
            f"same recipe as version {served.version}, newer data: {served.newer_because}"
            if is_newer
            else f"same recipe and same data as version {served.version}: nothing new to serve"
        )
        return Condition(name=BEATS_SERVED, has_passed=is_newer, detail=detail, figures=figures)
    if served.backtest is None:
        raise ValueError("a served version of another recipe needs a back-test of it")
    against = f"version {served.version}"
    condition = compare_pinball(BEATS_SERVED, candidate, served.backtest, rules=rules, against=against)
    return Condition(
        name=condition.name,
        has_passed=condition.has_passed,
        detail=condition.detail,
        figures=figures | condition.figures,
    )
