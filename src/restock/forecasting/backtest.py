"""The rolling-origin back-test: forecasts as they would have been made, beside what happened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl

from restock.forecasting.censoring import mask_censored
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.features import OriginFeatures
from restock.forecasting.forecast import DemandForecast
from restock.forecasting.metrics import ALL_SEGMENTS, quantile_column, row_losses, summarise_losses
from restock.forecasting.panel import DemandPanel
from restock.forecasting.segments import segment_series
from restock.params import FamilyName, Params
from restock.timeline import backtest_cutoffs


def find_cutoffs(panel: DemandPanel, params: Params) -> tuple[date, ...]:
    """Return the cutoffs of the back-test, oldest first.

    Raises:
        InsufficientHistoryError: the history can't hold the windows.
    """
    return backtest_cutoffs(
        panel.start,
        panel.last_observed,
        horizon=params.forecasting.horizon,
        n_windows=params.backtest.n_windows,
        step_periods=params.backtest.step_periods,
        minimum_history_periods=params.backtest.minimum_history_periods,
        frequency=panel.frequency,
    )


def run_backtest(
    panel: DemandPanel,
    *,
    family: FamilyName,
    params: Params,
    features: OriginFeatures | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Return the forecasts of every window beside what was sold.

    With `backtest.refit: first` the family is fitted once, before the oldest window, and forecasts each window from the
    data up to its cutoff; with `each` it is fitted anew at every cutoff. Nothing after a cutoff is used for its window.

    Args:
        panel: history.
        family: which family.
        params: all params.
        features: origin features of the panel, where they are at hand (rows up to a cutoff are the same for any panel
            that is cut off later).
        on_progress: called with (done, total), windows.

    Returns:
        one row a (series, cutoff, date): sku, location, cutoff, date, horizon, demand (sales; null where not listed),
        is_censored, family, mean_units and one column a quantile, such as `q0.05`. Series not yet listed at a cutoff
        are left out of its window.

    Raises:
        InsufficientHistoryError: the history can't hold the windows.
    """
    cutoffs = find_cutoffs(panel, params)
    windows = []
    forecaster = None
    for done, cutoff in enumerate(cutoffs):
        known = panel.observed_until(cutoff)
        if forecaster is None or params.backtest.refit == "each":
            usable = None if features is None else _until(features, known.observed_periods)
            forecaster = fit_forecaster(family, known, params=params, features=usable)
        forecast = forecaster.forecast(known, horizon=params.forecasting.horizon)
        windows.append(
            _beside_sales(forecast, panel, family=family, max_stockout_share=params.features.max_stockout_share)
        )
        if on_progress is not None:
            on_progress(done + 1, len(cutoffs))
    return pl.concat(windows)


def _until(features: OriginFeatures, periods: int) -> OriginFeatures:
    """Return the features of the first periods."""
    return OriginFeatures(names=features.names, values=features.values[:, :periods])


def _beside_sales(
    forecast: DemandForecast, panel: DemandPanel, *, family: FamilyName, max_stockout_share: float
) -> pl.DataFrame:
    """Return one window: the forecast beside the sales of its periods."""
    n_series, horizon = forecast.mean_units.shape
    first = panel.index_of(forecast.cutoff) + 1
    sold = panel.sales_units[:, first : first + horizon]
    is_censored = ~np.isnan(sold) & np.isnan(
        mask_censored(panel, max_stockout_share=max_stockout_share)[:, first : first + horizon]
    )
    is_listed = ~np.isnan(panel.sales_units[:, :first]).all(axis=1)
    dates = np.array(forecast.dates, dtype="datetime64[D]")
    window = forecast.series[np.repeat(np.arange(n_series), horizon)].with_columns(
        pl.lit(forecast.cutoff).alias("cutoff"),
        pl.Series("date", np.tile(dates, n_series)),
        pl.Series("horizon", np.tile(np.arange(1, horizon + 1, dtype=np.int32), n_series)),
        pl.Series("demand", sold.reshape(-1)).fill_nan(None),
        pl.Series("is_censored", is_censored.reshape(-1)),
        pl.lit(family).alias("family"),
        pl.Series("mean_units", forecast.mean_units.reshape(-1)),
        *(
            pl.Series(quantile_column(quantile), forecast.quantile_units[:, :, place].reshape(-1))
            for place, quantile in enumerate(forecast.quantiles)
        ),
    )
    return window.filter(np.repeat(is_listed, horizon))


def score_backtest(backtests: pl.DataFrame, panel: DemandPanel, *, params: Params) -> pl.DataFrame:
    """Return the metrics of every family, per cutoff and segment and over all of them.

    Args:
        backtests: rows of `run_backtest`, of one or more families.
        panel: the history they were made from.
        params: evaluation, forecasting.quantiles.

    Returns:
        columns family, cutoff (null: all windows), segment ("all": every series), n_scored, n_censored and the metrics
        of `summarise_losses`. Segments are those of the oldest cutoff, so that no later period decides them.
    """
    cutoffs = sorted(set(backtests["cutoff"].to_list()))
    segments = segment_series(panel.observed_until(cutoffs[0]), params=params.evaluation)
    losses = (
        row_losses(backtests, params.forecasting.quantiles)
        .join(segments, on=["sku", "location"], how="left")
        .join(_difference_scales(panel, cutoffs), on=["sku", "location", "cutoff"], how="left")
    )
    no_cutoff, every = pl.lit(None, dtype=pl.Date).alias("cutoff"), pl.lit(ALL_SEGMENTS).alias("segment")
    tables = [
        summarise_losses(losses, ["family", "cutoff", "segment"]),
        summarise_losses(losses, ["family", "cutoff"]).with_columns(every),
        summarise_losses(losses, ["family", "segment"]).with_columns(no_cutoff),
        summarise_losses(losses, ["family"]).with_columns(no_cutoff, every),
    ]
    return pl.concat(tables, how="diagonal").sort("family", "cutoff", "segment", nulls_last=False)


def _difference_scales(panel: DemandPanel, cutoffs: list[date]) -> pl.DataFrame:
    """Return the mean squared one-period difference of every series' history up to each cutoff, units squared."""
    squares = np.diff(panel.sales_units.astype(np.float64), axis=1) ** 2
    tables = []
    for cutoff in cutoffs:
        known = squares[:, : panel.index_of(cutoff)]
        count = np.count_nonzero(~np.isnan(known), axis=1)
        scale = np.nansum(known, axis=1) / np.maximum(count, 1)
        tables.append(
            panel.series.select("sku", "location").with_columns(
                cutoff=pl.lit(cutoff), difference_scale=pl.Series(scale)
            )
        )
    return pl.concat(tables)


def paired_pinball(candidate: pl.DataFrame, incumbent: pl.DataFrame, *, quantiles: tuple[float, ...]) -> pl.DataFrame:
    """Return the mean pinball loss of two back-tests per (series, cutoff), on the rows that both hold.

    Args:
        candidate: rows of `run_backtest`, one family.
        incumbent: likewise, of the same history and windows.
        quantiles: levels that both hold.

    Returns:
        columns sku, location, cutoff, candidate, incumbent (units), only where both could be scored.
    """
    keys = ["sku", "location", "cutoff", "date"]
    tables = [
        row_losses(frame, quantiles).select(*keys, pl.col("pinball").alias(name)).drop_nulls()
        for name, frame in (("candidate", candidate), ("incumbent", incumbent))
    ]
    return (
        tables[0]
        .join(tables[1], on=keys, how="inner")
        .group_by("sku", "location", "cutoff")
        .agg(pl.col("candidate").mean(), pl.col("incumbent").mean())
        .sort("sku", "location", "cutoff")
    )
