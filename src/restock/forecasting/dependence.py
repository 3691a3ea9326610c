"""How demands hang together beyond their own quantiles: across the horizon, and between series.

Learned from back-tests: where a forecast was too low on one day, was it too low on the next, on the series beside it in
the same store, of the same sku elsewhere? Each outcome becomes a normal score by its own forecast's quantiles; the
covariances of the scores by lag are fitted by mixtures of kernels, so that they are positive definite, and kept as rank
correlations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.calibration import ALL_SERIES
from restock.forecasting.metrics import quantile_column
from restock.forecasting.panel import DemandPanel
from restock.forecasting.segments import SegmentRule, fit_segment_rule, segments_by_cutoff
from restock.params import EvaluationParams, Params
from restock.statistics.copulas import (
    lag_kernels,
    normal_scores,
    score_variances,
    to_normal_correlation,
    to_rank_correlation,
)
from restock.statistics.paths import CopulaLags, PathSeries, series_key
from restock.statistics.quantile_functions import probability_bounds
from restock.tables import DEMAND_COMOVEMENT, DEMAND_DEPENDENCE

Floats = NDArray[np.float64]

# What series share, from wide to narrow.
SHARED = (ALL_SERIES, "region", "category", "location", "sku")
# Back-test rows that are scored at a time: bounds memory.
_CHUNK_ROWS = 250_000
# Of the unit variance of a score, at most this is shared with other series.
_LARGEST_SHARED = 0.9
# Holds the sum of the kernels to what the lags leave of the unit variance.
_VARIANCE_WEIGHT = 1_000.0


@dataclass(frozen=True, kw_only=True)
class DemandDependence:
    """How demand of one series hangs together across the horizon, and with that of others, as plain numbers.

    Attributes:
        rule: how a series finds its segment.
        by_segment: by segment ("all" for any other): rank correlation at lags 1, 2, ... periods, all causes together.
        shared: by what series share ("all": everything), rank correlation at lags 0, 1, ... periods that two series
            have because they share it, and it alone.
    """

    rule: SegmentRule
    by_segment: Mapping[str, tuple[float, ...]]
    shared: Mapping[str, tuple[float, ...]]

    def to_lags(self) -> CopulaLags:
        """Return the covariances of normal scores that paths are drawn with."""
        shared = {name: to_normal_correlation(np.array(lags)) for name, lags in self.shared.items()}
        common = sum(shared.values(), np.zeros(len(self.by_segment[ALL_SERIES]) + 1))
        own = {
            name: np.concatenate([[1.0], to_normal_correlation(np.array(lags))]) - common
            for name, lags in self.by_segment.items()
        }
        return CopulaLags(own=own, shared=shared)

    def of_panel(self, panel: DemandPanel) -> PathSeries:
        """Return what paths of the panel's series need to know of them."""
        return self.known_kinds(describe_series(panel.series, [str(name) for name in self.rule.assign(panel)]))

    def known_kinds(self, series: PathSeries) -> PathSeries:
        """Return the series with "all" for every segment without lags of its own."""
        return replace(series, kinds=[kind if kind in self.by_segment else ALL_SERIES for kind in series.kinds])

    def to_tables(self, *, cutoff: date, model_version: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return tables `demand_dependence` and `demand_comovement`."""
        tables = []
        for table, by_name, name, first in (
            (DEMAND_DEPENDENCE, self.by_segment, "segment", 1),
            (DEMAND_COMOVEMENT, self.shared, "shared", 0),
        ):
            rows = [
                {name: key, "cutoff": cutoff, "model_version": model_version, "lag": lag, "rank_correlation": value}
                for key, lags in sorted(by_name.items())
                for lag, value in enumerate(lags, start=first)
            ]
            tables.append(table.conform(pl.DataFrame(rows, schema=table.polars_schema)))
        return tables[0], tables[1]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "rule": {
                "abc_revenues": list(self.rule.abc_revenues),
                "evaluation": self.rule.evaluation.model_dump(mode="json"),
            },
            "by_segment": {name: list(lags) for name, lags in sorted(self.by_segment.items())},
            "shared": {name: list(self.shared[name]) for name in SHARED},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `to_json` gave.

        Raises:
            KeyError: a key is missing.
            ValueError: lags are not as many everywhere, or no correlations, or those of "all" are missing.
        """
        rule = stored["rule"]
        by_segment = {name: tuple(lags) for name, lags in stored["by_segment"].items()}
        shared = {name: tuple(stored["shared"][name]) for name in SHARED}
        if ALL_SERIES not in by_segment:
            raise ValueError(f"by_segment lacks {ALL_SERIES!r}, has {sorted(by_segment)}")
        n_lags = len(by_segment[ALL_SERIES])
        for lags_by_name, expected in ((by_segment, n_lags), (shared, n_lags + 1)):
            for name, lags in lags_by_name.items():
                _check_lags(name, lags, n_lags=expected)
        return cls(
            rule=SegmentRule(
                abc_revenues=tuple(rule["abc_revenues"]), evaluation=EvaluationParams.model_validate(rule["evaluation"])
            ),
            by_segment=by_segment,
            shared=shared,
        )


def _check_lags(name: str, lags: tuple[float, ...], *, n_lags: int) -> None:
    """Refuse what paths can't be drawn with.

    Raises:
        ValueError: it can't.
    """
    if len(lags) != n_lags:
        raise ValueError(f"{name} has {len(lags)} lags, expected {n_lags}")
    if not all(abs(value) <= 1 for value in lags):
        raise ValueError(f"{name} must hold correlations of -1 to 1, got {lags}")


def describe_series(series: pl.DataFrame, segments: list[str]) -> PathSeries:
    """Return series as paths are drawn of them.

    Args:
        series: columns of `SERIES_COLUMNS`, in array order.
        segments: of each series.
    """
    return PathSeries(
        keys=[series_key(sku, location) for sku, location in series.select("sku", "location").iter_rows()],
        kinds=segments,
        groups={
            name: [ALL_SERIES] * series.height if name == ALL_SERIES else series[name].to_list() for name in SHARED
        },
    )


def independence(horizon: int, *, rule: SegmentRule) -> DemandDependence:
    """Return the dependence of demands that have nothing to do with each other."""
    return DemandDependence(
        rule=rule,
        by_segment={ALL_SERIES: (0.0,) * (horizon - 1)},
        shared=dict.fromkeys(SHARED, (0.0,) * horizon),
    )


def learn_dependence(
    backtest: pl.DataFrame, panel: DemandPanel, *, segments: pl.DataFrame | None = None, params: Params
) -> DemandDependence:
    """Return the dependence that a model's back-test shows as of the panel's last observed period.

    The oldest window counts only while it is the only one that is known: nothing had weighted or corrected its
    forecasts yet, so their common error is not that of forecasts to come.

    Args:
        backtest: rows of `run_backtest`, one model; windows and dates after the last observed period are not read.
        panel: history.
        segments: columns sku, location, cutoff, segment: of every series as of each window; None: found here.
        params: forecasting, evaluation, paths.
    """
    last = panel.last_observed
    known = backtest.filter(pl.col("cutoff") < last, pl.col("date") <= last)
    cutoffs = sorted(set(known["cutoff"].to_list()))
    if len(cutoffs) > 1:
        known = known.filter(pl.col("cutoff") > cutoffs[0])
    return fit_dependence(
        known,
        segments_by_cutoff(panel, cutoffs, params=params.evaluation) if segments is None else segments,
        panel.series,
        rule=fit_segment_rule(panel, params=params.evaluation),
        horizon=params.forecasting.horizon,
        quantiles=params.forecasting.quantiles,
        season_periods=panel.frequency.season_periods,
        shrinkage_pairs=params.paths.shrinkage_pairs,
    )


def fit_dependence(
    backtest: pl.DataFrame,
    segments: pl.DataFrame,
    series: pl.DataFrame,
    *,
    rule: SegmentRule,
    horizon: int,
    quantiles: tuple[float, ...],
    season_periods: int,
    shrinkage_pairs: float,
) -> DemandDependence:
    """Return the dependence that back-test windows show; that of unrelated demands where nothing is known.

    Args:
        backtest: rows of `run_backtest`, one model, only of what is known. Censored rows are left out.
        segments: columns sku, location, cutoff, segment: of every series as of each window.
        series: the panel's series.
        rule: how a series finds its segment from now on.
        horizon: periods of a window.
        quantiles: levels of the back-test.
        season_periods: length of the season.
        shrinkage_pairs: weight of all series' correlations in a segment's, pairs of periods.
    """
    known = backtest.filter(~pl.col("is_censored"), pl.col("demand").is_not_null())
    if known.is_empty():
        return independence(horizon, rule=rule)
    windows = known.select("sku", "location", "cutoff").unique().sort("cutoff", "sku", "location")
    grid = _score_grid(known, windows, quantiles=quantiles, horizon=horizon)
    labels = windows.join(series, on=["sku", "location"], how="left", maintain_order="left").join(
        segments, on=["sku", "location", "cutoff"], how="left", maintain_order="left"
    )
    kernels = lag_kernels(horizon, season_periods=season_periods)
    shared = _fit_shared(grid, labels, kernels=kernels)
    common = sum(shared.values(), np.zeros(horizon))
    products, weights = _own_products(grid)
    overall = products.sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-9)
    names = labels["segment"].fill_null(ALL_SERIES).to_numpy().astype(str)
    by_segment = {ALL_SERIES: _fit_own(overall, common, kernels=kernels)}
    for name in sorted(set(names.tolist()) - {ALL_SERIES}):
        rows = names == name
        pulled = (products[rows].sum(axis=0) + shrinkage_pairs * overall) / np.maximum(
            weights[rows].sum(axis=0) + shrinkage_pairs, 1e-9
        )
        by_segment[name] = _fit_own(pulled, common, kernels=kernels)
    return DemandDependence(
        rule=rule,
        by_segment={name: tuple(to_rank_correlation(lags[1:]).tolist()) for name, lags in by_segment.items()},
        shared={name: tuple(to_rank_correlation(lags).tolist()) for name, lags in shared.items()},
    )


@dataclass(frozen=True, kw_only=True)
class _ScoreGrid:
    """Normal scores of every window: shape (n_windows x series, horizon), 0 where demand is not known."""

    scores: Floats
    variances: Floats


def _score_grid(
    known: pl.DataFrame, windows: pl.DataFrame, *, quantiles: tuple[float, ...], horizon: int
) -> _ScoreGrid:
    place = known.select("sku", "location", "cutoff").join(
        windows.with_row_index("row"), on=["sku", "location", "cutoff"], how="left", maintain_order="left"
    )
    rows, columns = place["row"].to_numpy(), known["horizon"].to_numpy() - 1
    scores, variances = np.zeros((windows.height, horizon)), np.zeros((windows.height, horizon))
    names = [quantile_column(level) for level in quantiles]
    for first in range(0, known.height, _CHUNK_ROWS):
        part = known[first : first + _CHUNK_ROWS]
        at = rows[first : first + _CHUNK_ROWS], columns[first : first + _CHUNK_ROWS]
        units = part.select(names).to_numpy().astype(np.float64)
        low, high = probability_bounds(part["demand"].to_numpy().astype(np.float64), units, quantiles)
        scores[at] = normal_scores(low, high)
        variances[at] = score_variances(probability_bounds(np.zeros(part.height), units, quantiles)[1])
    return _ScoreGrid(scores=scores, variances=variances)


def _own_products(grid: _ScoreGrid) -> tuple[Floats, Floats]:
    """Return the sums over pairs of periods of a window, by lag: of score products, and of variance products."""
    return _lag_products(grid.scores), _lag_products(grid.variances)


def _lag_products(values: Floats) -> Floats:
    """Return, of every row, the sum of products of values a lag apart; shape (n_rows, n_lags)."""
    horizon = values.shape[1]
    return np.stack([(values[:, : horizon - lag] * values[:, lag:]).sum(axis=1) for lag in range(horizon)], axis=1)


def _fit_shared(grid: _ScoreGrid, labels: pl.DataFrame, *, kernels: Floats) -> dict[str, Floats]:
    """Return what each shared attribute contributes to the covariance of two series' scores, by lag.

    The mean product over all pairs of series that share one attribute is the sum of what that attribute and every other
    contributes, the others by how many of the pairs share them too. One least-squares problem with weights of kernels
    >= 0 takes them apart.
    """
    from scipy.optimize import nnls  # type: ignore[import-untyped]  # scipy ships no types

    n_kernels, horizon = kernels.shape
    targets, rows = [], []
    own, own_weights = (values.sum(axis=0) for values in _own_products(grid))
    precision = np.sqrt(horizon - np.arange(horizon))
    for first in SHARED:
        products = _group_products(grid.scores, labels, [first]) - own
        pairs = _group_products(grid.variances, labels, [first]) - own_weights
        # Too few pairs (one series only): nothing is shared.
        usable = pairs > 1e-6
        targets.append(np.where(usable, products / np.maximum(pairs, 1e-6), 0.0) * precision)
        blocks = []
        for second in SHARED:
            both = pairs if second == first else _group_products(grid.variances, labels, [first, second]) - own_weights
            share = np.where(usable, both / np.maximum(pairs, 1e-6), float(second == first))
            blocks.append((kernels * share * precision).T)
        rows.append(np.concatenate(blocks, axis=1))
    weights, _ = nnls(np.concatenate(rows), np.concatenate(targets))
    found = {name: weights[place * n_kernels :][:n_kernels] @ kernels for place, name in enumerate(SHARED)}
    # Back-tests that went wrong altogether show more than the unit variance; something must be left to a series alone.
    excess = max(1.0, sum(float(lags[0]) for lags in found.values()) / _LARGEST_SHARED)
    return {name: lags / excess for name, lags in found.items()}


def _group_products(values: Floats, labels: pl.DataFrame, shared: list[str]) -> Floats:
    """Return the sum by lag of products within groups of one window: every row with every other, itself included."""
    by = [pl.col("cutoff"), *(pl.col(name) for name in shared if name != ALL_SERIES)]
    code = labels.select(pl.struct(by).rank("dense")).to_series().to_numpy() - 1
    sums = np.zeros((int(code.max()) + 1, values.shape[1]))
    np.add.at(sums, code, values)
    products: Floats = _lag_products(sums).sum(axis=0)
    return products


def _fit_own(covariance: Floats, common: Floats, *, kernels: Floats) -> Floats:
    """Return the whole covariance by lag, its lag 0 exactly 1: what is shared and a mixture of kernels for the rest."""
    from scipy.optimize import nnls

    horizon = len(covariance)
    precision = np.sqrt(horizon - np.arange(horizon)) / np.sqrt(horizon)
    precision[0] = _VARIANCE_WEIGHT
    target = covariance - common
    target[0] = 1 - common[0]
    weights, _ = nnls((kernels * precision).T, target * precision)
    mixture: Floats = weights @ kernels
    # Rounding apart it is there already.
    found: Floats = mixture * ((1 - common[0]) / mixture[0]) + common
    return found
