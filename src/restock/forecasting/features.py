"""What is known about every series at every period: row t of a series uses its periods up to t and nothing later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.censoring import SCALE_PERIODS, censoring_rule, rolling_sums, running_sums, series_scale
from restock.forecasting.known_demand import known_demand
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.params import FeatureParams

# Series whose features are computed at a time, in series x periods: few enough that sums stay in the processor's cache.
_CHUNK_CELLS = 100_000
_PROMOTION_WINDOW_PERIODS = 28
_STOCKOUT_WINDOWS_PERIODS = (7, 28)
# Same weekday of the last weeks (same week of the last years): how many seasons back a season mean reaches.
_SEASONS_IN_MEAN = (1, 4, 8)

SCALE = "scale_units"
PRICE_LEVEL = "price_level"


@dataclass(frozen=True, kw_only=True)
class OriginFeatures:
    """Features of every (series, period), as seen at the end of the period.

    Attributes:
        names: name of each feature. `scale_units` is what scales the others (and the target); names in
            `season_names` hold units of their own period and are read at the target's place in an earlier season.
        values: shape (n_series, n_periods, n_features), float32; NaN is unknown.
    """

    names: tuple[str, ...]
    values: FloatArray

    def column(self, name: str) -> FloatArray:
        """Return one feature; shape (n_series, n_periods)."""
        return self.values[:, :, self.names.index(name)]


def season_names() -> tuple[str, ...]:
    """Return the features that are read one or more seasons before the target, in units."""
    return tuple(f"season_mean_{seasons}" for seasons in _SEASONS_IN_MEAN)


def origin_feature_names(params: FeatureParams) -> tuple[str, ...]:
    """Return the names of the origin features, in the order in which they are built."""
    names = [SCALE, PRICE_LEVEL, "log_scale", "log_age", "log_periods_since_sale", "known_share"]
    names += [f"lag_{lag}" for lag in params.lags]
    for window in params.rolling_windows:
        names += [f"mean_{window}", f"deviation_{window}", f"zero_share_{window}"]
    names += ["promoted_share", "promoted_level", "price_ratio"]
    names += [f"stockout_share_{window}" for window in _STOCKOUT_WINDOWS_PERIODS]
    return (*names, *season_names())


def build_origin_features(panel: DemandPanel, params: FeatureParams) -> OriginFeatures:
    """Return the features of every observed period of every series.

    Periods that a stockout cut off are masked, or their demand recovered, before any lag or rolling statistic; how much
    stock was missing is a feature of its own. Lags and rolling statistics are in units of the series' scale at that
    period.

    Args:
        panel: history; nothing after its last observed period is read.
        params: lags, windows (periods) and what counts as censored.
    """
    names = origin_feature_names(params)
    values = np.empty((panel.n_series, panel.observed_periods, len(names)), dtype=np.float32)
    step = max(1, _CHUNK_CELLS // max(1, panel.observed_periods))
    for first in range(0, panel.n_series, step):
        rows = np.arange(first, min(first + step, panel.n_series))
        built = _build_chunk(panel.select(rows) if len(rows) < panel.n_series else panel, params)
        for column, name in enumerate(names):
            values[rows, :, column] = built[name]
    return OriginFeatures(names=names, values=values)


def _build_chunk(panel: DemandPanel, params: FeatureParams) -> dict[str, FloatArray]:
    """Return the features of a few series by name, each of shape (n_series, observed_periods)."""
    sales = known_demand(panel, censoring_rule(params)).units
    scale = series_scale(sales)
    built = {SCALE: scale, "log_scale": np.log(scale)}
    built |= _history_features(panel.sales_units[:, : panel.observed_periods], sales)
    for lag in params.lags:
        built[f"lag_{lag}"] = shifted(sales, lag) / scale
    is_zero = np.where(np.isnan(sales), np.float32(np.nan), sales == 0).astype(np.float32)
    known, squares, zeros = running_sums(sales), running_sums(sales * sales), running_sums(is_zero)
    for window in params.rolling_windows:
        mean = known.window_mean(window)
        # Of the population; rounding may push a variance of zero below it.
        deviation = np.sqrt(np.maximum(squares.window_mean(window) - mean * mean, 0))
        built[f"mean_{window}"] = mean / scale
        built[f"deviation_{window}"] = deviation / scale
        built[f"zero_share_{window}"] = zeros.window_mean(window)
    built |= _price_and_promotion_features(panel, sales / scale)
    stockout = running_sums(np.nan_to_num(panel.stockout_share[:, : panel.observed_periods]))
    for window in _STOCKOUT_WINDOWS_PERIODS:
        built[f"stockout_share_{window}"] = stockout.window_mean(window)
    for name, seasons in zip(season_names(), _SEASONS_IN_MEAN, strict=True):
        built[name] = _season_mean(sales, panel.frequency.season_periods, seasons=seasons)
    return built


def shifted(values: FloatArray, periods: int) -> FloatArray:
    """Return `values` as they were that many periods before; NaN before the first."""
    if periods == 0:
        return values
    moved = np.full_like(values, np.nan)
    moved[:, periods:] = values[:, :-periods]
    return moved


def _history_features(sales: FloatArray, uncensored: FloatArray) -> dict[str, FloatArray]:
    """Return age, periods since the last sale and the share of the last periods that is known."""
    period = np.arange(sales.shape[1])
    is_listed = ~np.isnan(sales)
    age = np.cumsum(is_listed, axis=1)
    last_sale = np.maximum.accumulate(np.where(np.nan_to_num(sales) > 0, period, -1), axis=1)
    since = np.where(last_sale >= 0, period - last_sale, age)
    _, known = rolling_sums(uncensored, SCALE_PERIODS)
    return {
        "log_age": np.log1p(age).astype(np.float32),
        "log_periods_since_sale": np.log1p(since).astype(np.float32),
        "known_share": known / np.float32(SCALE_PERIODS),
    }


def _price_and_promotion_features(panel: DemandPanel, scaled_sales: FloatArray) -> dict[str, FloatArray]:
    """Return how promotions and prices have been up to each period."""
    promoted = panel.is_promoted[:, : panel.observed_periods]
    price = panel.unit_price[:, : panel.observed_periods]
    price_level = running_sums(price).window_mean(SCALE_PERIODS)
    smallest = np.float32(1e-6)
    on_promotion = np.where(promoted > 0, scaled_sales, np.float32(np.nan))
    return {
        PRICE_LEVEL: price_level,
        "promoted_share": running_sums(promoted).window_mean(_PROMOTION_WINDOW_PERIODS),
        "promoted_level": running_sums(on_promotion).window_mean(panel.observed_periods),
        "price_ratio": (price / np.maximum(price_level, smallest)).astype(np.float32, copy=False),
    }


def _season_mean(values: FloatArray, season_periods: int, *, seasons: int) -> FloatArray:
    """Return the mean of the known values at the same place of this and the seasons before, NaN where none is known."""
    stacked = [
        shifted(values, back * season_periods) for back in range(seasons) if back * season_periods < values.shape[1]
    ]
    known = sum((~np.isnan(layer)).astype(np.float32) for layer in stacked)
    total = sum(np.nan_to_num(layer) for layer in stacked)
    mean: NDArray[np.float32] = np.where(known > 0, total / np.maximum(known, 1), np.float32(np.nan))
    return mean
