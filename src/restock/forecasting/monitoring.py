"""Is a forecaster still to be trusted: its inputs beside those of its training, its forecasts beside what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.panel import DemandPanel, FloatArray
from restock.params import MonitoringParams
from restock.statistics.drift import population_stability_index

Kind = Literal["staleness", "input_drift", "coverage", "bias"]
# The interval whose coverage is watched, and its nominal share.
BAND = (0.1, 0.9)
BAND_SHARE = 0.8


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One figure that is watched.

    Attributes:
        kind: what sort.
        subject: which input; "forecasts" for those of the forecasts.
        value: the figure; None where there is too little to judge.
        limit: what it must not exceed (or, for coverage, the largest distance from the nominal share).
        is_breached: whether it does.
        detail: the figure in words.
    """

    kind: Kind
    subject: str
    value: float | None
    limit: float
    is_breached: bool
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return the finding ready for JSON."""
        return asdict(self)


def input_samples(panel: DemandPanel, columns: slice, *, reference: slice) -> dict[str, NDArray[np.float32]]:
    """Return the values of each watched input in a range of periods, one flat array an input.

    Sales and prices are in multiples of the series' own mean over the reference, so that a large series does not drown
    a small one and growth of the assortment is no drift.

    Args:
        panel: history.
        columns: the periods to sample.
        reference: the periods whose mean scales sales and prices.
    """

    def scaled(values: FloatArray) -> FloatArray:
        known = ~np.isnan(values[:, reference])
        total = np.where(known, values[:, reference], 0).sum(axis=1, dtype=np.float64)
        level = total / np.maximum(known.sum(axis=1), 1)
        ratio = values[:, columns] / np.where(level > 0, level, np.nan)[:, None]
        return ratio.astype(np.float32)

    return {
        "units_sold": scaled(panel.sales_units).ravel(),
        "unit_price": scaled(panel.unit_price).ravel(),
        "is_promoted": np.where(np.isnan(panel.sales_units[:, columns]), np.nan, panel.is_promoted[:, columns]).ravel(),
        "stockout_share": panel.stockout_share[:, columns].ravel(),
    }


def judge_staleness(panel: DemandPanel, *, as_of: date, params: MonitoringParams) -> Finding:
    """Return how many whole periods before `as_of` the sales end: nothing else can be judged on sales that don't come.

    Args:
        panel: history up to now.
        as_of: the day at whose end it is judged.
        params: the limit.
    """
    missing = (as_of - panel.last_observed).days // panel.frequency.days
    return Finding(
        kind="staleness",
        subject="sales",
        value=float(missing),
        limit=float(params.max_stale_periods),
        is_breached=missing > params.max_stale_periods,
        detail=f"sales end on {panel.last_observed}, {missing} periods before {as_of}, allowed "
        f"{params.max_stale_periods}",
    )


def judge_inputs(panel: DemandPanel, *, trained_periods: int, params: MonitoringParams) -> list[Finding]:
    """Return the drift of every input: periods since the training against those before its cutoff.

    Args:
        panel: history up to now.
        trained_periods: how many of the observed periods the model was trained on, at least 1.
        params: windows and limits.
    """
    last = panel.observed_periods
    recent = slice(max(trained_periods, last - params.window_periods), last)
    reference = slice(max(0, trained_periods - params.reference_periods), trained_periods)
    n_recent = recent.stop - recent.start
    before = input_samples(panel, reference, reference=reference)
    now = input_samples(panel, recent, reference=reference)
    findings = []
    for name, values in now.items():
        value = None
        if n_recent < params.minimum_periods:
            detail = f"{n_recent} periods since the training, {params.minimum_periods} are needed"
        elif np.isnan(values).all() or np.isnan(before[name]).all():
            detail = "not known in these data"
        else:
            value = round(population_stability_index(before[name], values), 4)
            detail = f"PSI {value:.3f} over the last {n_recent} periods, limit {params.max_psi:g}"
        findings.append(
            Finding(
                kind="input_drift",
                subject=name,
                value=value,
                limit=params.max_psi,
                is_breached=value is not None and value > params.max_psi,
                detail=detail,
            )
        )
    return findings


def judge_outcomes(outcomes: pl.DataFrame, *, params: MonitoringParams) -> list[Finding]:
    """Return coverage and bias of past forecasts against what happened.

    Args:
        outcomes: one row a forecast period that has passed in stock: columns date, low_units, high_units (the ends of
            `BAND`; null where the forecasts have no such quantile), mean_units and demand_units.
        params: limits and the fewest periods to judge on.
    """
    n_periods = outcomes["date"].n_unique()
    if n_periods < params.minimum_periods:
        few = f"forecasts of {n_periods} periods have come true, {params.minimum_periods} are needed"
        return [_unknown("coverage", params.max_coverage_gap, few), _unknown("bias", params.max_bias, few)]
    covered = outcomes.select(
        pl.col("demand_units").is_between(pl.col("low_units"), pl.col("high_units")).mean()
    ).item()
    demand, mean = float(outcomes["demand_units"].sum()), float(outcomes["mean_units"].sum())
    found = [_coverage_finding(covered, outcomes, limit=params.max_coverage_gap)]
    if demand <= 0:
        return [*found, _unknown("bias", params.max_bias, "no demand at all")]
    bias = mean / demand - 1
    found.append(
        Finding(
            kind="bias",
            subject="forecasts",
            value=round(bias, 4),
            limit=params.max_bias,
            is_breached=abs(bias) > params.max_bias,
            detail=f"forecast {bias:+.1%} of the demand of {n_periods} periods, allowed +-{params.max_bias:.0%}",
        )
    )
    return found


def _coverage_finding(covered: float | None, outcomes: pl.DataFrame, *, limit: float) -> Finding:
    """Return how many demands lay within the band; unknown for a version whose quantiles lack its ends."""
    if covered is None:
        low, high = BAND
        return _unknown("coverage", limit, f"the kept forecasts have no quantiles {low:g} and {high:g}")
    n_judged = outcomes.select((pl.col("low_units").is_not_null() & pl.col("high_units").is_not_null()).sum()).item()
    return Finding(
        kind="coverage",
        subject="forecasts",
        value=round(covered, 4),
        limit=limit,
        is_breached=abs(covered - BAND_SHARE) > limit,
        detail=f"{covered:.1%} of {n_judged:,} demands within the {BAND_SHARE:.0%} interval, "
        f"allowed {BAND_SHARE:.0%} +- {limit:.0%}",
    )


def _unknown(kind: Kind, limit: float, detail: str) -> Finding:
    return Finding(kind=kind, subject="forecasts", value=None, limit=limit, is_breached=False, detail=detail)


def asks_for_retraining(findings: list[Finding], *, earlier_requests: Mapping[str, str], model_version: str) -> bool:
    """Return whether the findings call for training anew: something is breached, and nobody has asked for it lately.

    Args:
        findings: all of them.
        earlier_requests: day and model version of the requests within the cooldown.
        model_version: the version that is watched.
    """
    # Training anew on the same old sales mends nothing.
    is_drifting = any(finding.is_breached and finding.kind != "staleness" for finding in findings)
    return is_drifting and model_version not in earlier_requests.values()
