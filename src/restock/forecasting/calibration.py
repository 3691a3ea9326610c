"""Quantiles corrected by what earlier back-test windows showed: as many demands below each as its level says.

Three corrections, each learned per segment and drawn towards what all series show:

- quantiles below a small border become zero, so that the forecast share of zeros is the observed one;
- levels are exchanged: the quantile served at p is the raw one at the level below which a share p of demand fell, by
  horizon. That has no unit, keeps zeros at zero and makes a point mass at zero where one is missing;
- the mean is multiplied by a factor where every window, on its own, shows a bias of the same sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.forecast import DemandForecast
from restock.forecasting.metrics import quantile_column
from restock.params import CalibrationParams
from restock.statistics.conformal import invert_coverage, probability_coverage
from restock.statistics.quantile_functions import extrapolate_quantiles, probability_bounds
from restock.statistics.quantiles import order_quantiles

ALL_SERIES = "all"
_KEYS = ["sku", "location", "cutoff"]
# Levels beyond the outermost ones at which coverage is measured, as shares of what the outermost leaves.
_BEYOND = (0.4, 0.75, 0.9)
# Rows that a correction of one segment and horizon bin is learned from: more would only cost time.
_LARGEST_SAMPLE_ROWS = 50_000
# A border above half of the smallest sale would turn sales into zeros.
_ZERO_BORDERS_SHARE = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What to change in a forecast, as plain numbers.

    Attributes:
        quantiles: levels that are served, those of the raw forecast.
        horizon_bins: last horizon of each bin but the last, periods, increasing.
        raw_levels: by segment ("all" for any other): per horizon bin, the raw level served at each of `quantiles`.
        zero_border_units: by segment: raw quantiles below it become zero, units per period.
        mean_factors: by segment: factor of the mean.
    """

    quantiles: tuple[float, ...]
    horizon_bins: tuple[int, ...]
    raw_levels: Mapping[str, tuple[tuple[float, ...], ...]]
    zero_border_units: Mapping[str, float]
    mean_factors: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "quantiles": list(self.quantiles),
            "horizon_bins": list(self.horizon_bins),
            "raw_levels": {name: [list(row) for row in rows] for name, rows in sorted(self.raw_levels.items())},
            "zero_border_units": dict(sorted(self.zero_border_units.items())),
            "mean_factors": dict(sorted(self.mean_factors.items())),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `to_json` gave.

        Raises:
            KeyError: a key is missing.
        """
        return cls(
            quantiles=tuple(stored["quantiles"]),
            horizon_bins=tuple(stored["horizon_bins"]),
            raw_levels={name: tuple(tuple(row) for row in rows) for name, rows in stored["raw_levels"].items()},
            zero_border_units=dict(stored["zero_border_units"]),
            mean_factors=dict(stored["mean_factors"]),
        )


def no_calibration(quantiles: tuple[float, ...]) -> Calibration:
    """Return the calibration that changes nothing."""
    return Calibration(
        quantiles=quantiles,
        horizon_bins=(),
        raw_levels={ALL_SERIES: (quantiles,)},
        zero_border_units={ALL_SERIES: 0.0},
        mean_factors={ALL_SERIES: 1.0},
    )


def fit_calibration(
    backtest: pl.DataFrame, segments: pl.DataFrame, *, quantiles: tuple[float, ...], params: CalibrationParams
) -> Calibration:
    """Return the corrections that back-test windows call for.

    Args:
        backtest: rows of `run_backtest`, one family, only of what is known: windows and dates up to the cutoff that the
            calibration is for. Censored rows are left out.
        segments: columns sku, location, cutoff, segment: of every series as of each window.
        quantiles: levels of the back-test.
        params: calibration.

    Returns:
        the calibration; one that changes nothing where there is no row to learn from.
    """
    known = backtest.filter(~pl.col("is_censored"), pl.col("demand").is_not_null())
    known = known.join(segments, on=_KEYS, how="left").with_columns(
        pl.col("segment").fill_null(ALL_SERIES), bin=_bins(known["horizon"].to_numpy(), params.horizon_bins)
    )
    neutral = no_calibration(quantiles)
    if known.is_empty() or params.strength == 0:
        return neutral
    names = known["segment"].unique().sort().to_list()
    borders = {ALL_SERIES: 0.0} | {
        name: _fit_zero_border(known.filter(pl.col("segment") == name), quantiles) for name in names
    }
    knots = _knots(quantiles)
    counted = _count_coverage(known, quantiles, borders=borders, knots=knots)
    return replace(
        neutral,
        horizon_bins=params.horizon_bins,
        raw_levels=_fit_levels(counted, names, quantiles=quantiles, knots=knots, params=params),
        zero_border_units=borders,
        mean_factors=_fit_mean_factors(known, names, params=params),
    )


def calibrate(forecast: DemandForecast, calibration: Calibration, *, segments: NDArray[np.str_]) -> DemandForecast:
    """Return the forecast with its quantiles and mean corrected: sorted, >= 0, zeros kept.

    Args:
        forecast: quantiles at the levels of `calibration`.
        calibration: from `fit_calibration`.
        segments: shape (n_series,), segment of every series.

    Raises:
        ValueError: the levels differ.
    """
    if forecast.quantiles != calibration.quantiles:
        raise ValueError(f"forecast has levels {forecast.quantiles}, the calibration {calibration.quantiles}")
    n_series, horizon, n_quantiles = forecast.quantile_units.shape
    series_segments = np.repeat(np.asarray(segments, dtype=str), horizon)
    horizons = np.tile(np.arange(1, horizon + 1), n_series)
    units, factors = _corrected(
        forecast.quantile_units.reshape(-1, n_quantiles), series_segments, horizons=horizons, calibration=calibration
    )
    return replace(
        forecast,
        quantile_units=units.reshape(forecast.quantile_units.shape).astype(np.float32),
        mean_units=(forecast.mean_units * factors.reshape(n_series, horizon)).astype(np.float32),
    )


def calibrate_rows(backtest: pl.DataFrame, calibration: Calibration, *, segments: pl.DataFrame) -> pl.DataFrame:
    """Return back-test rows with quantiles and mean corrected, as `calibrate` does for a forecast.

    Args:
        backtest: rows of `run_backtest`.
        calibration: learned from earlier windows.
        segments: columns sku, location, cutoff, segment.
    """
    columns = [quantile_column(level) for level in calibration.quantiles]
    names = backtest.join(segments, on=_KEYS, how="left", maintain_order="left")["segment"].fill_null(ALL_SERIES)
    units, factors = _corrected(
        backtest.select(columns).to_numpy(),
        names.to_numpy().astype(str),
        horizons=backtest["horizon"].to_numpy(),
        calibration=calibration,
    )
    return backtest.with_columns(
        (pl.col("mean_units") * pl.Series(factors)).cast(backtest.schema["mean_units"]),
        *(pl.Series(name, units[:, place]).cast(backtest.schema[name]) for place, name in enumerate(columns)),
    )


def calibrate_windows(
    backtest: pl.DataFrame, segments: pl.DataFrame, *, quantiles: tuple[float, ...], params: CalibrationParams
) -> tuple[pl.DataFrame, Calibration]:
    """Return the back-test as it would have been served, and the calibration for forecasts to come.

    Each window is corrected by what was known at its cutoff: earlier windows, dates up to the cutoff. The oldest one is
    left as it is. The calibration that is returned learns from all windows.

    Args:
        backtest: rows of `run_backtest`, one family.
        segments: columns sku, location, cutoff, segment.
        quantiles: levels of the back-test.
        params: calibration.
    """
    windows = []
    for cutoff in sorted(set(backtest["cutoff"].to_list())):
        known = _known_at(backtest, cutoff)
        fitted = fit_calibration(known, segments, quantiles=quantiles, params=params)
        windows.append(calibrate_rows(backtest.filter(pl.col("cutoff") == cutoff), fitted, segments=segments))
    return pl.concat(windows), fit_calibration(backtest, segments, quantiles=quantiles, params=params)


def coverage_by_segment(
    backtest: pl.DataFrame, segments: pl.DataFrame, *, quantiles: tuple[float, ...]
) -> pl.DataFrame:
    """Return how often demand lay within each quantile, by segment, beside what the level says.

    Args:
        backtest: rows of `run_backtest`.
        segments: columns sku, location, cutoff, segment.
        quantiles: levels of the back-test.

    Returns:
        columns family, segment ("all" included), quantile, covered_share (a point mass counts by the share of it that
        lies below the level), n_scored.
    """
    known = backtest.filter(~pl.col("is_censored"), pl.col("demand").is_not_null())
    known = known.join(segments, on=_KEYS, how="left").with_columns(pl.col("segment").fill_null(ALL_SERIES))
    columns = [quantile_column(level) for level in quantiles]
    tables = []
    both = pl.concat([known, known.with_columns(segment=pl.lit(ALL_SERIES))])
    for (family, segment), rows in both.group_by(["family", "segment"], maintain_order=True):
        units = rows.select(columns).to_numpy().astype(np.float64)
        low, high = probability_bounds(rows["demand"].to_numpy().astype(np.float64), units, quantiles)
        share = probability_coverage(low, high, np.asarray(quantiles))
        tables.append(
            pl.DataFrame({"quantile": quantiles, "covered_share": share}).select(
                pl.lit(family).alias("family"), pl.lit(segment).alias("segment"), pl.all(), n_scored=pl.lit(rows.height)
            )
        )
    return pl.concat(tables).sort("family", "segment", "quantile")


def _known_at(backtest: pl.DataFrame, cutoff: date) -> pl.DataFrame:
    return backtest.filter(pl.col("cutoff") < cutoff, pl.col("date") <= cutoff)


def _bins(horizons: NDArray[np.integer[Any]], horizon_bins: tuple[int, ...]) -> pl.Series:
    return pl.Series(np.searchsorted(np.array(horizon_bins, dtype=np.int64), horizons, side="left"), dtype=pl.Int64)


def _knots(quantiles: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the levels at which coverage is measured, from 0 to 1."""
    low, left = quantiles[0], 1 - quantiles[-1]
    beyond = [quantiles[-1] + left * share for share in _BEYOND]
    return np.array([0.0, low / 4, low / 2, *quantiles, *beyond, 1.0])


def _fit_zero_border(known: pl.DataFrame, quantiles: tuple[float, ...]) -> float:
    """Return below which quantiles become zero, so that the forecast share of zeros comes closest to the observed."""
    demand = known["demand"].to_numpy()
    sold = demand[demand > 0]
    zero_share = 1 - sold.size / demand.size
    # A segment that hardly ever sells nothing has no point mass to make.
    if not sold.size or zero_share < quantiles[0]:
        return 0.0
    thinned = known.gather_every(-(-known.height // _LARGEST_SAMPLE_ROWS))
    units = thinned.select([quantile_column(level) for level in quantiles]).to_numpy().astype(np.float64)
    borders = np.array(_ZERO_BORDERS_SHARE) * float(np.quantile(sold, 0.05))
    expected = [float(probability_bounds(np.full(len(units), at), units, quantiles)[1].mean()) for at in borders]
    return float(borders[int(np.argmin(np.abs(np.array(expected) - zero_share)))])


def _count_coverage(
    known: pl.DataFrame, quantiles: tuple[float, ...], *, borders: Mapping[str, float], knots: NDArray[np.float64]
) -> dict[tuple[str, int], tuple[int, NDArray[np.float64]]]:
    """Return how many rows each (segment, horizon bin) has and how often demand lay within each knot."""
    columns = [quantile_column(level) for level in quantiles]
    counted = {}
    for (segment, place), rows in known.group_by(["segment", "bin"], maintain_order=True):
        taken = rows.gather_every(-(-rows.height // _LARGEST_SAMPLE_ROWS))
        units = _with_zeros(taken.select(columns).to_numpy().astype(np.float64), borders[str(segment)])
        low, high = probability_bounds(taken["demand"].to_numpy().astype(np.float64), units, quantiles)
        counted[str(segment), int(str(place))] = (rows.height, probability_coverage(low, high, knots))
    return counted


def _fit_levels(
    counted: Mapping[tuple[str, int], tuple[int, NDArray[np.float64]]],
    names: list[str],
    *,
    quantiles: tuple[float, ...],
    knots: NDArray[np.float64],
    params: CalibrationParams,
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Return the raw levels of every segment and horizon bin.

    Coverage is drawn from (segment, bin) to the segment, from the segment to all series, and from all to what the
    levels say: `shrinkage_rows` is the weight of the wider group, rows.
    """

    def pooled(keys: list[tuple[str, int]], towards: NDArray[np.float64]) -> NDArray[np.float64]:
        total = sum((counted[key][0] * counted[key][1] for key in keys), np.zeros_like(knots))
        n_rows = sum(counted[key][0] for key in keys)
        mixed: NDArray[np.float64] = (total + params.shrinkage_rows * towards) / (n_rows + params.shrinkage_rows)
        return mixed

    wanted = np.array(quantiles)

    def levels(covered: NDArray[np.float64]) -> tuple[float, ...]:
        found = invert_coverage(covered, knots, wanted)
        return tuple((wanted + params.strength * (found - wanted)).tolist())

    overall = pooled(list(counted), knots)
    n_bins = len(params.horizon_bins) + 1
    found = {ALL_SERIES: tuple(levels(pooled([k for k in counted if k[1] == at], overall)) for at in range(n_bins))}
    for name in names:
        of_segment = pooled([key for key in counted if key[0] == name], overall)
        keys = [[key for key in counted if key == (name, at)] for at in range(n_bins)]
        found[name] = tuple(levels(pooled(key, of_segment)) for key in keys)
    return found


def _fit_mean_factors(known: pl.DataFrame, names: list[str], *, params: CalibrationParams) -> dict[str, float]:
    """Return the mean's factor by segment: not 1 only where two or more windows err to the same side, every one."""
    per_window = known.group_by("segment", "cutoff").agg(pl.col("demand").sum(), pl.col("mean_units").sum())
    overall = per_window.group_by("cutoff").agg(pl.col("demand").sum(), pl.col("mean_units").sum())

    def factor(rows: pl.DataFrame) -> float:
        sold, expected = rows["demand"].to_numpy(), rows["mean_units"].to_numpy()
        sides = np.sign(sold - expected)
        if rows.height < params.mean_windows or abs(sides.sum()) < rows.height or expected.sum() <= 0:
            return 1.0
        # The weakest window's bias: what at least held everywhere.
        ratios = sold / np.maximum(expected, 1e-9)
        weakest = ratios[np.argmin(np.abs(ratios - 1))]
        return float(1 + params.mean_strength * (weakest - 1))

    by_segment = {name: factor(per_window.filter(pl.col("segment") == name)) for name in names}
    return {ALL_SERIES: factor(overall)} | by_segment


def _with_zeros(units: NDArray[np.float64], border: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(units < border, 0.0, units)


def _corrected(
    units: NDArray[np.floating[Any]],
    segments: NDArray[np.str_],
    *,
    horizons: NDArray[np.integer[Any]],
    calibration: Calibration,
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Return corrected quantiles, shape (n, n_quantiles), and the factor of every row's mean, shape (n,)."""
    bins = _bins(horizons, calibration.horizon_bins).to_numpy()
    corrected = units.astype(np.float64)
    factors = np.ones(len(units))
    names, position = np.unique(segments, return_inverse=True)
    for place, name in enumerate(names.tolist()):
        rows = np.flatnonzero(position == place)
        key = name if name in calibration.raw_levels else ALL_SERIES
        factors[rows] = calibration.mean_factors[key]
        corrected[rows] = _with_zeros(corrected[rows], calibration.zero_border_units[key])
        for at, levels in enumerate(calibration.raw_levels[key]):
            if levels == calibration.quantiles:
                continue
            of_bin = rows[bins[rows] == at]
            corrected[of_bin] = extrapolate_quantiles(corrected[of_bin], calibration.quantiles, np.array(levels))
    return order_quantiles(corrected), factors
