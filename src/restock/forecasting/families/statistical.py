"""The statistical floor: exponential smoothing, chosen per series by how it sells and how long it is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.censoring import SMALLEST_SCALE_UNITS, mask_censored
from restock.forecasting.forecast import DemandForecast, check_horizon
from restock.forecasting.panel import DemandPanel
from restock.params import Params
from restock.statistics.quantiles import empirical_quantiles, order_quantiles
from restock.statistics.smoothing import SmoothedSeries, smooth_by_theta, smooth_intermittent, smooth_seasons

Floats = NDArray[np.float64]

SEASONS, THETA, INTERMITTENT = "seasons", "theta", "intermittent"
METHODS = (SEASONS, THETA, INTERMITTENT)
# Errors are pooled among series of a like level: counts of one or two units a period err in steps, large ones smoothly.
LEVEL_BORDERS_UNITS = (0.1, 0.3, 1.0, 3.0, 10.0)
_FEWEST_ERRORS = 300
_ERROR_ORIGINS = 4


@dataclass(frozen=True, kw_only=True)
class StatisticalForecaster:
    """Smoothing methods refitted on the history at hand; what is stored is how they are chosen and how they err.

    Attributes:
        horizon: longest horizon, periods.
        quantiles: probability levels.
        season_periods: periods after which the season repeats.
        history_periods: how far back the methods look, periods.
        seasonal_periods: known periods below which a series is too short for a season of its own.
        intermittence_interval: mean periods between sales above which demand is intermittent.
        max_stockout_share: share of a period without stock above which it is masked.
        errors: by method, shape (n_levels, n_quantiles): quantiles of past errors in units of a series' one-period
            error, for levels between `LEVEL_BORDERS_UNITS`.
    """

    family: ClassVar[str] = "statistical"
    horizon: int
    quantiles: tuple[float, ...]
    season_periods: int
    history_periods: int
    seasonal_periods: int
    intermittence_interval: float
    max_stockout_share: float
    errors: Mapping[str, tuple[tuple[float, ...], ...]]

    def forecast(self, panel: DemandPanel, *, horizon: int) -> DemandForecast:
        """Return the forecast of every series for the periods after its last observed one.

        Raises:
            HorizonError: `horizon` is longer than the model's.
        """
        check_horizon(horizon, longest=self.horizon)
        sales = mask_censored(panel, max_stockout_share=self.max_stockout_share).astype(np.float64)
        smoothed, method = self.smooth(sales, horizon=horizon)
        points, level = np.maximum(smoothed.forecast_units, 0), _levels(smoothed)
        table = np.array([self.errors[name] for name in METHODS])
        units = points[..., None] + (table[method, level] * smoothed.error_units[:, None])[:, None, :]
        return DemandForecast(
            series=panel.series.select("sku", "location"),
            cutoff=panel.last_observed,
            dates=tuple(panel.date_of(panel.observed_periods - 1 + step) for step in range(1, horizon + 1)),
            quantiles=self.quantiles,
            quantile_units=order_quantiles(units).astype(np.float32),
            mean_units=points.astype(np.float32),
        )

    def smooth(self, sales: Floats, *, horizon: int) -> tuple[SmoothedSeries, NDArray[np.intp]]:
        """Return what each series' method gives, and the position in `METHODS` of each.

        Args:
            sales: shape (n_series, n_periods), units; NaN is unknown.
            horizon: periods.
        """
        known = sales[:, -self.history_periods :]
        method = self._choose(known)
        forecast = np.zeros((len(known), horizon))
        error = np.full(len(known), SMALLEST_SCALE_UNITS)
        smoothers: dict[str, Callable[[Floats], SmoothedSeries]] = {
            SEASONS: lambda rows: smooth_seasons(rows, season_periods=self.season_periods, horizon=horizon),
            THETA: lambda rows: smooth_by_theta(rows, horizon=horizon),
            INTERMITTENT: lambda rows: smooth_intermittent(rows, horizon=horizon),
        }
        for place, name in enumerate(METHODS):
            rows = np.flatnonzero(method == place)
            if rows.size:
                found = smoothers[name](known[rows])
                forecast[rows] = found.forecast_units
                error[rows] = np.maximum(found.error_units, SMALLEST_SCALE_UNITS)
        return SmoothedSeries(forecast_units=forecast, error_units=error), method

    def _choose(self, known: Floats) -> NDArray[np.intp]:
        """Return the position in `METHODS` of every series' method, by its own history."""
        n_known = np.count_nonzero(~np.isnan(known), axis=1)
        interval = n_known / np.maximum(np.count_nonzero(known > 0, axis=1), 1)
        is_long = n_known >= self.seasonal_periods
        # A season of its own needs sales on most periods; what sells more rarely has a rate.
        names = np.where(interval > self.intermittence_interval, 2, np.where(is_long, 0, 1))
        return names.astype(np.intp)


def fit_statistical(panel: DemandPanel, *, params: Params) -> StatisticalForecaster:
    """Return the forecaster with the errors that its methods made from some earlier periods of the panel.

    Args:
        panel: history; only observed periods are used.
        params: features.max_stockout_share, forecasting.horizon and quantiles, evaluation.intermittence_interval,
            families.statistical.
    """
    own, asked = params.families.statistical, params.forecasting
    season = panel.frequency.season_periods
    unfitted = StatisticalForecaster(
        horizon=asked.horizon,
        quantiles=asked.quantiles,
        season_periods=season,
        history_periods=own.history_periods,
        seasonal_periods=own.seasonal_periods,
        intermittence_interval=params.evaluation.intermittence_interval,
        max_stockout_share=params.features.max_stockout_share,
        errors={},
    )
    sales = mask_censored(panel, max_stockout_share=params.features.max_stockout_share).astype(np.float64)
    errors, methods, levels = [], [], []
    for back in range(1, _ERROR_ORIGINS + 1):
        origin = sales.shape[1] - back * asked.horizon
        if origin < min(2 * season, sales.shape[1] // 2):
            break
        found, method = unfitted.smooth(sales[:, :origin], horizon=asked.horizon)
        actual = sales[:, origin : origin + asked.horizon]
        is_listed = ~np.isnan(sales[:, :origin]).all(axis=1)
        scaled = (actual - np.maximum(found.forecast_units, 0)) / found.error_units[:, None]
        errors.append(scaled[is_listed])
        methods.append(method[is_listed])
        levels.append(_levels(found)[is_listed])
    return _with_errors(unfitted, errors, methods=methods, levels=levels)


def _levels(smoothed: SmoothedSeries) -> NDArray[np.intp]:
    """Return the position of every series' level between `LEVEL_BORDERS_UNITS`."""
    level = np.maximum(smoothed.forecast_units, 0).mean(axis=1)
    found: NDArray[np.intp] = np.searchsorted(LEVEL_BORDERS_UNITS, level, side="right").astype(np.intp)
    return found


def _with_errors(
    unfitted: StatisticalForecaster,
    errors: list[Floats],
    *,
    methods: list[NDArray[np.intp]],
    levels: list[NDArray[np.intp]],
) -> StatisticalForecaster:
    """Return the forecaster with pooled errors; what too few errors tell is told by all, or by the normal law."""
    quantiles = unfitted.quantiles
    by_law = np.array([NormalDist().inv_cdf(quantile) for quantile in quantiles])
    pooled = np.concatenate(errors) if errors else np.empty((0, 1))
    method = np.concatenate(methods) if methods else np.empty(0, dtype=np.intp)
    level = np.concatenate(levels) if levels else np.empty(0, dtype=np.intp)

    def measured(is_in: NDArray[np.bool_], otherwise: Floats) -> Floats:
        chosen = pooled[is_in].reshape(1, -1)
        if np.count_nonzero(~np.isnan(chosen)) < _FEWEST_ERRORS:
            return otherwise
        found: Floats = empirical_quantiles(chosen, quantiles)[0]
        return found

    everywhere = measured(np.ones(len(pooled), dtype=bool), by_law)
    table = {}
    for place, name in enumerate(METHODS):
        of_method = measured(method == place, everywhere)
        table[name] = tuple(
            tuple(float(value) for value in measured((method == place) & (level == step), of_method))
            for step in range(len(LEVEL_BORDERS_UNITS) + 1)
        )
    return replace(unfitted, errors=table)
