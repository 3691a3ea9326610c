"""The back-test of sample paths: are sums of demand covered as often as they should be, over time and over series?

Every window is drawn with the dependence that earlier windows show, and beside it as if all demands were independent.
Only days whose demand is known count, in what is observed and in what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.dependence import SHARED, DemandDependence, describe_series, independence, learn_dependence
from restock.forecasting.metrics import quantile_column
from restock.forecasting.panel import DemandPanel
from restock.forecasting.segments import segments_by_cutoff
from restock.forecasting.totals import group_members, sum_members
from restock.params import Params
from restock.statistics.conformal import probability_coverage
from restock.statistics.path_metrics import energy_score, rank_bounds, variogram_score
from restock.statistics.paths import PathSeries, iterate_paths
from restock.statistics.quantiles import pinball_loss

Floats = NDArray[np.float64]

DEPENDENT, INDEPENDENT = "dependence", "independence"
SERIES_LEVEL = "series"
UPPER_LEVELS = (0.9, 0.95, 0.975)
# Sums that replenishment asks for; a shorter horizon is judged as a whole.
_SPANS_PERIODS = (7, 14, 28)
# Series whose paths are judged, at even steps: enough for coverage within a percent, whatever the panel's size.
_MOST_SERIES = 5_000
# Of those, windows whose whole path is scored: pairs of paths cost most.
_MOST_SCORED = 2_000
_SCHEMA = pl.Schema(
    {
        "drawn_with": pl.String(),
        "level": pl.String(),
        "periods": pl.Int64(),
        "n_scored": pl.Int64(),
        "coverage_80": pl.Float64(),
        **{f"upper_{level:g}": pl.Float64() for level in UPPER_LEVELS},
        "pinball": pl.Float64(),
        "energy_score": pl.Float64(),
        "variogram_score": pl.Float64(),
    }
)


def judge_paths(backtest: pl.DataFrame, panel: DemandPanel, *, params: Params) -> pl.DataFrame:
    """Return how well paths of a back-test cover sums of demand, with the estimated dependence and without any.

    The oldest window is left out: nothing is known before it.

    Args:
        backtest: rows of `run_backtest`, one model, two windows or more.
        panel: the history it was made from.
        params: seed, forecasting.quantiles, evaluation, paths.

    Returns:
        columns drawn_with ("dependence" or "independence"), level ("series", or what is added up over: all, region,
        category, location, sku), periods (how many are added up), n_scored, coverage_80 (share of sums within the
        central 80 %), upper_0.9, upper_0.95, upper_0.975 (share not above that quantile), pinball (mean over sums and
        quantiles, units); on level "series" at the
        longest span also energy_score and variogram_score, means over series and windows. No row where there is only
        one window.
    """
    cutoffs = sorted(set(backtest["cutoff"].to_list()))
    chosen = panel.series.select("sku", "location")
    chosen = chosen.gather_every(max(1, -(-chosen.height // _MOST_SERIES)))
    judged = backtest.join(chosen, on=["sku", "location"], how="semi")
    segments = segments_by_cutoff(panel, cutoffs, params=params.evaluation)
    windows = []
    for cutoff in cutoffs[1:]:
        learned = learn_dependence(backtest, panel.observed_until(cutoff), segments=segments, params=params)
        rows = judged.filter(pl.col("cutoff") == cutoff).join(
            segments, on=["sku", "location", "cutoff"], how="left", maintain_order="left"
        )
        none = independence(params.forecasting.horizon, rule=learned.rule)
        window = _window_of(rows, panel, params=params)
        for name, dependence in ((DEPENDENT, learned), (INDEPENDENT, none)):
            windows.append(_judge_window(window, drawn_with=name, dependence=dependence, params=params))
    return _pool(windows)


@dataclass(frozen=True, kw_only=True)
class _Window:
    """One window as arrays, series in order: what was observed is 0 where it is not known."""

    units: NDArray[np.float32]
    demand: Floats
    is_known: NDArray[np.bool_]
    series: PathSeries

    def spans(self) -> list[int]:
        """Return over how many periods sums are judged."""
        horizon = self.demand.shape[1]
        return sorted({min(span, horizon) for span in _SPANS_PERIODS})


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """What one window gave: rank bounds and pinball losses by (level, span), and the scores of whole paths."""

    drawn_with: str
    sums: list[tuple[str, int, Floats, Floats, Floats]]
    energy_scores: list[float]
    variogram_scores: list[float]


def _window_of(rows: pl.DataFrame, panel: DemandPanel, *, params: Params) -> _Window:
    """Return the rows of one cutoff, with column segment, as arrays."""
    horizon, quantiles = params.forecasting.horizon, params.forecasting.quantiles
    rows = rows.sort("sku", "location", "horizon")
    first = rows.filter(pl.col("horizon") == 1)
    shape = (first.height, horizon)
    demand = rows["demand"].cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(shape)
    is_known = ~rows["is_censored"].to_numpy().reshape(shape) & ~np.isnan(demand)
    attributes = first.select("sku", "location", "segment").join(
        panel.series, on=["sku", "location"], how="left", maintain_order="left"
    )
    units = rows.select([quantile_column(level) for level in quantiles]).to_numpy()
    return _Window(
        units=units.reshape(*shape, len(quantiles)),
        demand=np.where(is_known, demand, 0.0),
        is_known=is_known,
        series=describe_series(attributes, attributes["segment"].to_list()),
    )


def _judge_window(window: _Window, *, drawn_with: str, dependence: DemandDependence, params: Params) -> _Judged:
    """Return the rank bounds of every sum of one window, and the scores of whole paths."""
    quantiles = params.forecasting.quantiles
    judged = _Judged(drawn_with=drawn_with, sums=[], energy_scores=[], variogram_scores=[])
    members = {level: group_members(window.series.groups[level])[1] for level in SHARED}
    totals = {
        level: np.zeros((member.shape[0], window.demand.shape[1], params.paths.n_paths))
        for level, member in members.items()
    }
    step = max(1, -(-len(window.demand) // _MOST_SCORED))
    for block, drawn in iterate_paths(
        window.units,
        quantiles,
        series=dependence.known_kinds(window.series),
        lags=dependence.to_lags(),
        n_paths=params.paths.n_paths,
        seed=params.seed,
    ):
        demand, is_known = window.demand[block], window.is_known[block]
        paths = drawn * is_known[..., None]
        for level, member in members.items():
            totals[level] += sum_members(member[:, block], paths)
        for span in window.spans():
            has_known = is_known[:, :span].any(axis=1)
            sums = demand[has_known, :span].sum(axis=1)
            drawn_sums = paths[has_known, :span].sum(axis=1)
            judged.sums.append((SERIES_LEVEL, span, *_judge_sums(sums, drawn_sums, quantiles=quantiles)))
        for row in range(0, len(paths), step):
            periods = np.flatnonzero(is_known[row])
            if periods.size > 1:
                judged.energy_scores.append(energy_score(demand[row, periods], paths[row, periods]))
                judged.variogram_scores.append(variogram_score(demand[row, periods], paths[row, periods]))
    for level, member in members.items():
        observed = sum_members(member, window.demand)
        for span in (1, *window.spans()):
            sums = observed[:, :span].sum(axis=1)
            judged.sums.append(
                (level, span, *_judge_sums(sums, totals[level][:, :span].sum(axis=1), quantiles=quantiles))
            )
    return judged


def _judge_sums(observed: Floats, sums: Floats, *, quantiles: tuple[float, ...]) -> tuple[Floats, Floats, Floats]:
    """Return the rank bounds of sums and their mean pinball loss over the quantiles; each of shape (n,)."""
    units = np.quantile(sums, quantiles, axis=1, method="hazen").T
    return *rank_bounds(observed, sums), pinball_loss(observed, units, quantiles).mean(axis=1)


def _pool(windows: list[_Judged]) -> pl.DataFrame:
    """Return one row a way of drawing, level and span."""
    pooled: dict[tuple[str, str, int], list[tuple[Floats, Floats, Floats]]] = {}
    for window in windows:
        for level, span, low, high, loss in window.sums:
            pooled.setdefault((window.drawn_with, level, span), []).append((low, high, loss))
    longest = max((span for _, _, span in pooled), default=0)
    knots = np.array([0.1, *UPPER_LEVELS])
    rows = []
    for (name, level, span), parts in pooled.items():
        low, high, loss = (np.concatenate([part[side] for part in parts]) for side in range(3))
        covered = probability_coverage(low, high, knots)
        row = {"drawn_with": name, "level": level, "periods": span, "n_scored": low.size}
        row |= {"coverage_80": float(covered[1] - covered[0])}
        row |= {f"upper_{upper:g}": float(share) for upper, share in zip(UPPER_LEVELS, covered[1:], strict=True)}
        row["pinball"] = float(loss.mean()) if loss.size else None
        if level == SERIES_LEVEL and span == longest:
            own = [window for window in windows if window.drawn_with == name]
            row["energy_score"] = _mean([score for window in own for score in window.energy_scores])
            row["variogram_score"] = _mean([score for window in own for score in window.variogram_scores])
        rows.append(row)
    return pl.DataFrame(rows, schema=_SCHEMA).sort("level", "periods", "drawn_with")


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
