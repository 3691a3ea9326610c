"""Cold start: what a series without a history of its own will sell, from the attributes it shares with others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.censoring import mask_censored
from restock.forecasting.forecast import DemandForecast
from restock.forecasting.group_levels import season_position
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.params import Params
from restock.statistics.quantiles import empirical_quantiles, order_quantiles

Floats = NDArray[np.float64]

# From broad to narrow: each explains what the ones before leave. The sku itself counts where other locations sell it.
ATTRIBUTES = ("category", "subcategory", "location", "sku")
# Series that a group's own level is worth less than, so that a group of one is only half believed.
_PRIOR_SERIES = 1.0
_PRIOR_LAUNCHES = 10.0
_LEVEL_PERIODS = 112
_FEWEST_KNOWN_PERIODS = 28
_SMALLEST_LEVEL_UNITS = 0.02
_N_FOLDS = 5
LEVEL_BORDERS_UNITS = (0.3, 1.0, 3.0, 10.0)
_FEWEST_RATIOS = 500
# What a level that is off by a factor e either way would give: where too few series tell.
_PRIOR_RATIO_SD = 1.0


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """Levels by attribute, and how far demand lay from them for series that were treated as new.

    Attributes:
        quantiles: probability levels.
        max_stockout_share: share of a period without stock above which it is masked.
        attribute_periods: known periods of its own that a series' attributes are worth.
        young_periods: known periods from which a series' own forecast stands alone.
        log_level: natural log of the typical mean demand of a series, units per period.
        effects: attribute -> name -> what is added to the log level.
        price_slope: what one more in the log of the price, against the subcategory's mean, adds to the log level.
        log_prices: subcategory -> mean natural log of the list price.
        launch_factor: mean demand of a series' first periods, in shares of what its attributes tell.
        season_index: category -> mean demand at each place of the season over the mean of all; "" stands for any.
        ratios: shape (2, n_levels, n_quantiles + 1): quantiles, then the mean, of demand over what the attributes tell;
            first for skus sold nowhere, then for skus sold at other locations; by level between `LEVEL_BORDERS_UNITS`.
    """

    quantiles: tuple[float, ...]
    max_stockout_share: float
    attribute_periods: float
    young_periods: int
    log_level: float
    effects: Mapping[str, Mapping[str, float]]
    price_slope: float
    log_prices: Mapping[str, float]
    launch_factor: float
    season_index: Mapping[str, tuple[float, ...]]
    ratios: tuple[tuple[tuple[float, ...], ...], ...]

    def blend(self, learned: DemandForecast, panel: DemandPanel) -> DemandForecast:
        """Return `learned` with the young series drawn towards what their attributes tell; others are as they were.

        A series with n known periods counts its own forecast n / (n + attribute_periods).

        Args:
            learned: of the series of `panel`, in their order.
            panel: history.
        """
        share = self.own_share(panel)
        rows = np.flatnonzero(share < 1)
        if not rows.size:
            return learned
        quantile_units, mean_units = self.forecast_new(panel.select(rows), horizon=learned.horizon)
        own = share[rows].astype(np.float32)
        blended_quantiles, blended_means = learned.quantile_units.copy(), learned.mean_units.copy()
        blended_quantiles[rows] = (
            own[:, None, None] * learned.quantile_units[rows] + (1 - own[:, None, None]) * quantile_units
        )
        blended_means[rows] = own[:, None] * learned.mean_units[rows] + (1 - own[:, None]) * mean_units
        return replace(learned, quantile_units=np.sort(blended_quantiles, axis=-1), mean_units=blended_means)

    def own_share(self, panel: DemandPanel) -> Floats:
        """Return how much the own forecast of every series counts, 0 without and 1 with enough known periods."""
        sales = mask_censored(panel, max_stockout_share=self.max_stockout_share)
        known = np.count_nonzero(~np.isnan(sales), axis=1)
        return np.where(known < self.young_periods, known / (known + self.attribute_periods), 1.0)

    def forecast_new(self, panel: DemandPanel, *, horizon: int) -> tuple[FloatArray, FloatArray]:
        """Return quantiles, shape (n_series, horizon, n_quantiles), and mean, shape (n_series, horizon), in units.

        No sales are read: what is forecast is what the attributes alone tell.
        """
        level = np.exp(self.log_levels(panel.series)) * self.launch_factor
        is_sold_elsewhere = panel.series["sku"].is_in(list(self.effects["sku"])).to_numpy().astype(np.intp)
        place = np.searchsorted(LEVEL_BORDERS_UNITS, level, side="right")
        ratios = np.array(self.ratios)[is_sold_elsewhere, place]
        periods = panel.observed_periods + np.arange(horizon)
        positions = season_position(panel.start, periods, frequency=panel.frequency)
        expected = level[:, None] * self._seasons(panel.series)[:, positions]
        quantile_units = order_quantiles(expected[:, :, None] * ratios[:, None, :-1])
        return quantile_units.astype(np.float32), (expected * ratios[:, None, -1]).astype(np.float32)

    def log_levels(self, series: pl.DataFrame) -> Floats:
        """Return the natural log of the mean demand that every series' attributes tell, units per period."""
        total = np.full(series.height, self.log_level)
        for attribute in ATTRIBUTES:
            total += _look_up(series[attribute], self.effects[attribute])
        return total + self.price_slope * _price_ranks(series, self.log_prices)

    def _seasons(self, series: pl.DataFrame) -> Floats:
        """Return the season index of every series; shape (n_series, season_periods)."""
        return np.array([self.season_index.get(name, self.season_index[""]) for name in series["category"].to_list()])


def fit_cold_start(panel: DemandPanel, *, params: Params) -> ColdStart:
    """Return what attributes tell about demand, learned from the observed periods of `panel` and nothing after them.

    How wide the forecasts are is measured, not assumed: every fifth of the skus (then: of the series) is treated as new
    in turn, its level told from the attributes of the others, and what it sold laid over that.

    Args:
        panel: history.
        params: forecasting.quantiles, features.max_stockout_share, cold_start.
    """
    sales = mask_censored(panel, max_stockout_share=params.features.max_stockout_share).astype(np.float64)
    known = np.count_nonzero(~np.isnan(sales), axis=1)
    rows = np.flatnonzero(known >= min(_FEWEST_KNOWN_PERIODS, sales.shape[1]))
    sales, series = sales[rows], panel.series[rows]
    latest = sales[:, -_LEVEL_PERIODS:]
    count = np.count_nonzero(~np.isnan(latest), axis=1)
    logs = np.log(np.maximum(np.nansum(latest, axis=1) / np.maximum(count, 1), _SMALLEST_LEVEL_UNITS))
    empty = ColdStart(
        quantiles=params.forecasting.quantiles,
        max_stockout_share=params.features.max_stockout_share,
        attribute_periods=params.cold_start.attribute_periods,
        young_periods=params.cold_start.young_periods,
        log_level=float(np.log(_SMALLEST_LEVEL_UNITS)),
        effects={attribute: {} for attribute in ATTRIBUTES},
        price_slope=0.0,
        log_prices={},
        launch_factor=1.0,
        season_index=_season_index(sales, series, panel=panel),
        ratios=_prior_ratios(params.forecasting.quantiles),
    )
    if not rows.size:
        return empty
    fitted = _with_levels(empty, series, logs=logs)
    first = np.argmax(~np.isnan(sales), axis=1)
    # Held before the first period of the grid, a series may be of any age; later it was launched.
    is_launch = first >= panel.frequency.season_periods
    fitted = replace(fitted, launch_factor=_launch_factor(sales, logs, rows=np.flatnonzero(is_launch), first=first))
    return replace(fitted, ratios=_measured_ratios(fitted, sales, series=series, logs=logs, panel=panel))


def _with_levels(empty: ColdStart, series: pl.DataFrame, *, logs: Floats) -> ColdStart:
    """Return the levels fitted on some series, attribute by attribute on what is left, each mean drawn towards zero."""
    log_level = float(logs.mean())
    prices = series.with_columns(log=pl.col("list_price").cast(pl.Float64).log())
    means = prices.filter(pl.col("log").is_finite()).group_by("subcategory").agg(pl.col("log").mean())
    log_prices = dict(means.sort("subcategory").iter_rows())
    rest = logs - log_level
    effects: dict[str, dict[str, float]] = {}
    slope = 0.0
    for attribute in ATTRIBUTES:
        if attribute == "sku":
            # Before the sku itself, which would explain its price away.
            rank = _price_ranks(series, log_prices)
            slope = float(rank @ rest / (rank @ rank + _PRIOR_SERIES))
            rest = rest - slope * rank
        names, code = np.unique(series[attribute].to_numpy().astype(str), return_inverse=True)
        sums, counts = np.bincount(code, rest), np.bincount(code)
        effect = sums / (counts + _PRIOR_SERIES)
        rest = rest - effect[code]
        effects[attribute] = {str(name): float(value) for name, value in zip(names, effect, strict=True)}
    return replace(empty, log_level=log_level, effects=effects, price_slope=slope, log_prices=log_prices)


def _launch_factor(sales: Floats, logs: Floats, *, rows: NDArray[np.intp], first: NDArray[np.intp]) -> float:
    """Return the geometric mean of first sales over later level, drawn towards 1 where few were launched."""
    starts = [np.nanmean(sales[row, first[row] : first[row] + _FEWEST_KNOWN_PERIODS], dtype=np.float64) for row in rows]
    if not starts:
        return 1.0
    away = np.log(np.maximum(starts, _SMALLEST_LEVEL_UNITS)) - logs[rows]
    return float(np.exp(away.sum() / (len(away) + _PRIOR_LAUNCHES)))


def _measured_ratios(
    fitted: ColdStart, sales: Floats, *, series: pl.DataFrame, logs: Floats, panel: DemandPanel
) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Return the ratios of demand to what attributes tell of series treated as new, by kind of newness and level."""
    last = sales[:, -_FEWEST_KNOWN_PERIODS:]
    periods = panel.observed_periods - last.shape[1] + np.arange(last.shape[1])
    positions = season_position(panel.start, periods, frequency=panel.frequency)
    seasons = fitted._seasons(series)[:, positions]  # noqa: SLF001  (of the same module)
    skus = series["sku"].rank("dense").to_numpy().astype(np.intp)
    measured = []
    # A whole sku is new, then one of its locations.
    for fold in (skus % _N_FOLDS, np.arange(len(skus)) % _N_FOLDS):
        level = np.empty(len(skus))
        for held in range(_N_FOLDS):
            inside = fold != held
            if not inside.any():
                inside = np.ones(len(skus), dtype=bool)
            told = _with_levels(fitted, series.filter(inside), logs=logs[inside])
            level[~inside] = np.exp(told.log_levels(series.filter(~inside)))
        measured.append(_ratio_table(last, level[:, None] * seasons, level=level, fitted=fitted))
    return tuple(measured)


def _ratio_table(sold: Floats, told: Floats, *, level: Floats, fitted: ColdStart) -> tuple[tuple[float, ...], ...]:
    """Return quantiles and mean of sold over told units of every level; where few tell, those of all, or the prior.

    The mean is one sum over the other, so that what is forecast adds up to what was sold.
    """

    def measured(rows: NDArray[np.bool_], otherwise: tuple[float, ...]) -> tuple[float, ...]:
        is_known = ~np.isnan(sold[rows])
        units, expected = sold[rows][is_known], told[rows][is_known]
        if units.size < _FEWEST_RATIOS:
            return otherwise
        found = empirical_quantiles((units / expected)[None, :], fitted.quantiles)[0]
        return (*(float(value) for value in found), float(units.sum() / expected.sum()))

    place = np.searchsorted(LEVEL_BORDERS_UNITS, level, side="right")
    everywhere = measured(np.ones(len(level), dtype=bool), fitted.ratios[0][0])
    return tuple(measured(place == step, everywhere) for step in range(len(LEVEL_BORDERS_UNITS) + 1))


def _prior_ratios(quantiles: tuple[float, ...]) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Return the ratios of a lognormal law with mean 1."""
    from statistics import NormalDist

    shift = -(_PRIOR_RATIO_SD**2) / 2
    row = (*(float(np.exp(shift + _PRIOR_RATIO_SD * NormalDist().inv_cdf(level))) for level in quantiles), 1.0)
    return ((row,) * (len(LEVEL_BORDERS_UNITS) + 1),) * 2


def _season_index(sales: Floats, series: pl.DataFrame, *, panel: DemandPanel) -> dict[str, tuple[float, ...]]:
    """Return the season of every category: mean demand at a place over that of all, near 1 where little is known."""
    season = panel.frequency.season_periods
    periods = panel.observed_periods - sales.shape[1] + np.arange(sales.shape[1])
    positions = season_position(panel.start, periods, frequency=panel.frequency)
    categories = series["category"].to_numpy().astype(str)
    index = {}
    for name in ["", *np.unique(categories)]:
        own = sales if name == "" else sales[categories == name]
        total = np.array([np.nansum(own[:, positions == place]) for place in range(season)])
        count = np.array([np.count_nonzero(~np.isnan(own[:, positions == place])) for place in range(season)])
        mean = total.sum() / max(count.sum(), 1)
        # As if every place had been seen a few times more, at the mean.
        drawn = (total + season * mean) / (count + season)
        index[str(name)] = tuple((drawn / mean).tolist()) if mean > 0 else (1.0,) * season
    return index


def _look_up(names: pl.Series, effects: Mapping[str, float]) -> Floats:
    """Return the effect of every name; 0 for one that was never seen."""
    return np.array([effects.get(name, 0.0) for name in names.to_list()])


def _price_ranks(series: pl.DataFrame, log_prices: Mapping[str, float]) -> Floats:
    """Return the log of every list price against its subcategory's mean; 0 where either is unknown."""
    price = series["list_price"].cast(pl.Float64).fill_null(0.0).to_numpy()
    mean = np.array([log_prices.get(name, np.nan) for name in series["subcategory"].to_list()], dtype=np.float64)
    is_known = (price > 0) & ~np.isnan(mean)
    return np.where(is_known, np.log(np.where(price > 0, price, 1.0)) - np.where(is_known, mean, 0.0), 0.0)
