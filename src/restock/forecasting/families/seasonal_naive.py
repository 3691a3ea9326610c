"""The baseline every figure is reported beside: the last season repeated, with the spread of its own past errors."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import numpy as np

from restock.forecasting.censoring import mask_censored, series_scale
from restock.forecasting.forecast import DemandForecast, check_horizon
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.params import Params
from restock.statistics.quantiles import empirical_quantiles, order_quantiles

# Fewer past errors than this say too little about one series: the pooled, scaled errors stand in.
_FEWEST_ERRORS = 20


@dataclass(frozen=True, kw_only=True)
class SeasonalNaive:
    """The last season repeated; its quantiles are the point plus the quantiles of its own past errors.

    Attributes:
        horizon: longest horizon, periods.
        quantiles: probability levels.
        season_periods: periods after which the season repeats.
        residual_periods: how far back past errors are taken, periods.
        max_stockout_share: share of a period without stock above which it is masked.
        pooled_errors: shape (n_seasons_ahead, n_quantiles): quantiles of all series' errors in units of their scale.
    """

    family: ClassVar[str] = "seasonal_naive"
    horizon: int
    quantiles: tuple[float, ...]
    season_periods: int
    residual_periods: int
    max_stockout_share: float
    pooled_errors: tuple[tuple[float, ...], ...]

    def forecast(self, panel: DemandPanel, *, horizon: int) -> DemandForecast:
        """Return the forecast of every series for the periods after its last observed one.

        Raises:
            HorizonError: `horizon` is longer than the model's.
        """
        check_horizon(horizon, longest=self.horizon)
        sales = mask_censored(panel, max_stockout_share=self.max_stockout_share)
        scale = series_scale(sales)[:, -1]
        last_season = _last_known_season(sales, self.season_periods)
        ahead = np.arange(1, horizon + 1)
        mean_units = last_season[:, (ahead - 1) % self.season_periods]
        quantile_units = np.empty((*mean_units.shape, len(self.quantiles)), dtype=np.float32)
        for seasons in range(1, ceil(horizon / self.season_periods) + 1):
            is_in_season = np.ceil(ahead / self.season_periods) == seasons
            errors = self._error_quantiles(sales, scale, seasons=seasons)
            quantile_units[:, is_in_season] = mean_units[:, is_in_season, None] + errors[:, None, :]
        return DemandForecast(
            series=panel.series.select("sku", "location"),
            cutoff=panel.last_observed,
            dates=tuple(panel.date_of(panel.observed_periods - 1 + int(step)) for step in ahead),
            quantiles=self.quantiles,
            quantile_units=order_quantiles(quantile_units),
            mean_units=mean_units,
        )

    def _error_quantiles(self, sales: FloatArray, scale: FloatArray, *, seasons: int) -> FloatArray:
        """Return quantiles of the errors of a forecast so many seasons ahead; shape (n_series, n_quantiles), units."""
        errors = seasonal_errors(sales, self.season_periods * seasons, self.residual_periods)
        pooled = np.asarray(self.pooled_errors[seasons - 1], dtype=np.float32)[None, :] * scale[:, None]
        if errors.shape[1] < _FEWEST_ERRORS:
            return pooled
        has_enough = np.count_nonzero(~np.isnan(errors), axis=1) >= _FEWEST_ERRORS
        own = empirical_quantiles(errors, self.quantiles).astype(np.float32)
        return np.where(has_enough[:, None], own, pooled)


def fit_seasonal_naive(panel: DemandPanel, *, params: Params) -> SeasonalNaive:
    """Return the baseline, with the pooled errors that stand in where a series has few of its own.

    Args:
        panel: history; only observed periods are used.
        params: features.max_stockout_share, forecasting.horizon and quantiles, families.seasonal_naive.
    """
    season = panel.frequency.season_periods
    residual_periods = params.families.seasonal_naive.residual_periods
    sales = mask_censored(panel, max_stockout_share=params.features.max_stockout_share)
    scale = series_scale(sales)[:, -1:]
    quantiles = params.forecasting.quantiles
    pooled = []
    for seasons in range(1, ceil(params.forecasting.horizon / season) + 1):
        errors = seasonal_errors(sales, season * seasons, residual_periods) / scale
        row = empirical_quantiles(errors.reshape(1, -1), quantiles)[0] if errors.size else np.zeros(len(quantiles))
        pooled.append(tuple(float(value) for value in np.nan_to_num(row)))
    return SeasonalNaive(
        horizon=params.forecasting.horizon,
        quantiles=quantiles,
        season_periods=season,
        residual_periods=residual_periods,
        max_stockout_share=params.features.max_stockout_share,
        pooled_errors=tuple(pooled),
    )


def seasonal_errors(sales: FloatArray, lag: int, residual_periods: int) -> FloatArray:
    """Return sales minus those `lag` periods before, over the last `residual_periods`; NaN where either is unknown."""
    if sales.shape[1] <= lag:
        return np.empty((sales.shape[0], 0), dtype=np.float32)
    return (sales[:, lag:] - sales[:, :-lag])[:, -residual_periods:]


def _last_known_season(sales: FloatArray, season_periods: int) -> FloatArray:
    """Return the last known value at every position of the coming season; shape (n_series, season_periods), units.

    A position that is unknown in the last season is looked up in the one before, and so on; one that was never known
    gets the mean of what is known, 0 where nothing is.
    """
    n_series, n_periods = sales.shape
    seasons = ceil(n_periods / season_periods)
    padded = np.full((n_series, seasons * season_periods), np.nan, dtype=np.float32)
    padded[:, -n_periods:] = sales
    stacked = padded.reshape(n_series, seasons, season_periods)
    is_known = ~np.isnan(stacked)
    newest = seasons - 1 - np.argmax(is_known[:, ::-1], axis=1)
    value = np.take_along_axis(stacked, newest[:, None, :], axis=1)[:, 0]
    count = np.count_nonzero(is_known, axis=(1, 2))
    mean = np.nansum(stacked, axis=(1, 2)) / np.maximum(count, 1)
    return np.where(np.isnan(value), mean[:, None], value).astype(np.float32)
