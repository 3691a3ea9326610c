"""The demo company with other seeds: how far the ensemble lies below seasonal naive, segment by segment."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import polars as pl

from restock.adapters.usage import peak_rss_mb
from restock.benchmarks.family_race import BASELINE, ShowProgress
from restock.benchmarks.result import BenchmarkResult
from restock.forecasting.backtest import paired_pinball, run_backtest, score_backtest
from restock.forecasting.combination import ENSEMBLE, combine_backtests
from restock.forecasting.metrics import ALL_SEGMENTS
from restock.forecasting.panel import DemandPanel, build_demand_panel
from restock.forecasting.segments import segment_series
from restock.params import FamilyName, Params
from restock.simulation.company import simulate_demo_company
from restock.statistics.bootstrap import paired_bootstrap

logger = logging.getLogger(__name__)

NAME = "demo"
_FIGURES = {"pinball": "pinball", "wape": "wape", "wpe": "bias", "rmsse": "rmsse", "coverage_80": "coverage_80"}


@dataclass(frozen=True, kw_only=True)
class CompanyScores:
    """How families and ensemble did on one company, over all windows.

    Attributes:
        rows: rows of sales simulated.
        scores: from `score_backtest`, all windows: one row a (family, segment).
        paired: columns segment, cluster (seed and series), candidate and incumbent: mean pinball loss of the ensemble
            and of seasonal naive per (series, window), units.
        seconds: wall time of each family's back-test.
    """

    rows: int
    scores: pl.DataFrame
    paired: pl.DataFrame
    seconds: dict[str, float]


def run_demo(params: Params, *, seeds: Sequence[int], progress: ShowProgress) -> BenchmarkResult:
    """Back-test every family and the ensemble on one company a seed, and compare with seasonal naive by segment.

    The simulation alone follows from the seed of a company; the families keep that of `params`.

    Args:
        params: all params, as for a demo workspace.
        seeds: of the companies; to judge by, take such as no param was chosen on.
        progress: shows a step.
    """
    begun = time.monotonic()
    companies = [score_company(seed, params, progress=progress) for seed in seeds]
    names: tuple[str, ...] = (*params.forecasting.families, ENSEMBLE)
    families = {name: _mean_figures(companies, name) for name in names}
    segments = _compare_segments(companies, params)
    listed = [values["change"] for name, values in segments.items() if name != ALL_SEGMENTS]
    score = families[ENSEMBLE] | {
        "change": segments[ALL_SEGMENTS]["change"],
        "change_of_worst_segment": max(listed),
        "upper_95_of_worst_segment": max(values["upper_95"] for values in segments.values()),
    }
    return BenchmarkResult(
        benchmark=NAME,
        family=ENSEMBLE,
        seed=params.seed,
        rows=sum(company.rows for company in companies),
        seconds=time.monotonic() - begun,
        peak_rss_mb=peak_rss_mb(),
        score=score,
        baselines={BASELINE: families[BASELINE]},
        families=families,
        back_test_seconds={
            name: sum(company.seconds[name] for company in companies) for name in params.forecasting.families
        },
        segments=segments,
        setting={
            "companies": list(seeds),
            "windows": params.backtest.n_windows,
            "horizon": params.forecasting.horizon,
            "quantiles": len(params.forecasting.quantiles),
        },
    )


def score_company(seed: int, params: Params, *, progress: ShowProgress) -> CompanyScores:
    """Return how families and ensemble did on the company of one seed."""
    panel, n_rows = simulate_panel(params, seed=seed)
    backtests: dict[FamilyName, pl.DataFrame] = {}
    seconds: dict[str, float] = {}
    for family in params.forecasting.families:
        begun = time.monotonic()
        with progress(f"company {seed}: {family}") as advance:
            backtests[family] = run_backtest(panel, family=family, params=params, on_progress=advance)
        seconds[family] = time.monotonic() - begun
    with progress(f"company {seed}: ensemble") as _:
        combined = combine_backtests(backtests, panel, params=params).backtest
    together = pl.concat(frame.select(combined.columns) for frame in (*backtests.values(), combined))
    scores = score_backtest(together, panel, params=params).filter(pl.col("cutoff").is_null())
    paired = paired_pinball(combined, backtests[BASELINE], quantiles=params.forecasting.quantiles)
    logger.info("company %d: %d series, %s", seed, panel.n_series, {name: round(s, 1) for name, s in seconds.items()})
    return CompanyScores(
        rows=n_rows,
        scores=scores,
        paired=_with_segment(paired, panel, seed=seed, params=params),
        seconds=seconds,
    )


def simulate_panel(params: Params, *, seed: int) -> tuple[DemandPanel, int]:
    """Return the panel of the demo company of a seed, and how many rows of sales it has.

    Args:
        params: simulation, and forecasting.frequency and horizon.
        seed: of the company.
    """
    tables = simulate_demo_company(params.simulation, seed=seed).tables
    panel = build_demand_panel(
        tables["sales"],
        tables["products"],
        locations=tables["locations"],
        calendar=tables["calendar"],
        frequency=params.forecasting.frequency,
        horizon=params.forecasting.horizon,
    )
    return panel, tables["sales"].height


def _with_segment(paired: pl.DataFrame, panel: DemandPanel, *, seed: int, params: Params) -> pl.DataFrame:
    """Return the losses with the segment that `score_backtest` puts a series in, and what is resampled together."""
    oldest = min(paired["cutoff"].to_list())
    segments = segment_series(panel.observed_until(oldest), params=params.evaluation)
    return paired.join(segments, on=["sku", "location"], how="left").select(
        "segment", "candidate", "incumbent", cluster=pl.format("{} {} {}", pl.lit(seed), "sku", "location")
    )


def _mean_figures(companies: Sequence[CompanyScores], family: str) -> dict[str, float]:
    """Return the mean of a family's figures over the companies, each counting alike, and their spread."""
    rows = pl.concat(
        company.scores.filter(pl.col("family") == family, pl.col("segment") == ALL_SEGMENTS) for company in companies
    )
    found = {name: _mean(rows[column]) for name, column in _FIGURES.items() if column in rows.columns}
    return found | {"pinball_sd": _spread(rows["pinball"])}


def _compare_segments(companies: Sequence[CompanyScores], params: Params) -> dict[str, dict[str, Any]]:
    """Return, for all series and for every segment, the ensemble beside seasonal naive."""
    scores = pl.concat(
        company.scores.with_columns(company=pl.lit(place)) for place, company in enumerate(companies)
    ).filter(pl.col("n_scored") > 0)
    paired = pl.concat(company.paired for company in companies)
    compared = {}
    for segment in [ALL_SEGMENTS, *sorted(set(paired["segment"].to_list()))]:
        in_segment = scores.filter(pl.col("segment") == segment)
        ours = in_segment.filter(pl.col("family") == ENSEMBLE)
        naive = in_segment.filter(pl.col("family") == BASELINE)
        by_company = ours.join(naive, on="company", suffix="_naive").select(
            pl.col("pinball") / pl.col("pinball_naive") - 1
        )["pinball"]
        losses = paired if segment == ALL_SEGMENTS else paired.filter(pl.col("segment") == segment)
        resampled = paired_bootstrap(
            losses["candidate"].to_numpy(),
            losses["incumbent"].to_numpy(),
            clusters=losses["cluster"].to_numpy(),
            n_resamples=params.promotion.n_resamples,
            confidence=0.95,
            seed=params.seed,
        )
        weight = ours["n_scored"] / ours["n_scored"].sum()
        pinball, baseline = (float((frame["pinball"] * weight).sum()) for frame in (ours, naive))
        figures = {
            "companies": ours.height,
            "series": resampled.n_clusters,
            "pinball": round(pinball, 5),
            BASELINE: round(baseline, 5),
            "change": round(pinball / baseline - 1, 4),
            "change_sd": round(_spread(by_company), 4),
            "worst_company": round(_largest(by_company), 4),
            "upper_95": round(resampled.upper, 4),
            "wape": round(_mean(ours["wape"]), 4),
            "wpe": round(_mean(ours["bias"]), 4),
            "coverage_80": round(_mean(ours["coverage_80"]), 4),
        }
        # Where nothing was sold there is nothing to relate an error to.
        compared[segment] = {name: value for name, value in figures.items() if not isnan(value)}
    return compared


def _mean(values: pl.Series) -> float:
    """Return the mean of the known values, NaN where there is none."""
    known = values.drop_nulls().to_list()
    return sum(known) / len(known) if known else float("nan")


def _spread(values: pl.Series) -> float:
    """Return the sample standard deviation, 0 for a single value."""
    found = values.std()
    return float(found) if isinstance(found, float) else 0.0


def _largest(values: pl.Series) -> float:
    return max(values.drop_nulls().to_list(), default=float("nan"))
