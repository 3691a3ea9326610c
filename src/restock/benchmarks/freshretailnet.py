"""FreshRetailNet-50K: two weeks of fresh food ahead, as sales and as the demand behind stockouts.

Two forecasts per series and day. Demand is what a day in stock sells; `sales_mean` is learned from all days as they
were sold, and so holds the usual share of stockouts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.sources.freshretailnet import FIRST_DAY
from restock.adapters.sources.requests import SourceFormat
from restock.adapters.storage import write_frame
from restock.adapters.usage import peak_rss_mb
from restock.benchmarks.family_race import (
    CROSS_SECTION,
    SHRUNKEN_LEVELS,
    Contender,
    Score,
    ShowProgress,
    race_families,
)
from restock.benchmarks.fresh_cross_section import FITTED_LEVELS, at_levels, forecast_with_peers, observed_levels
from restock.benchmarks.layout_panel import (
    in_file_order,
    known_before,
    read_layout_columns,
    read_layout_panel,
    without_plan,
)
from restock.benchmarks.planned_days import PlannedDays, read_planned_days
from restock.benchmarks.result import BenchmarkResult
from restock.errors import ConfigurationError, DataError
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.params import Params, change_params
from restock.statistics.quantiles import interpolate_quantiles, order_quantiles, pinball_loss
from restock.timeline import Frequency

logger = logging.getLogger(__name__)

NAME = "freshretailnet"
QUANTILES = tuple(round(0.05 * step, 2) for step in range(1, 20))
HORIZON_DAYS = 14
HELD_OUT_DAYS = 7
BASELINE_DAYS = 14
# A learned level costs time, and its neighbours tell it: these are fitted, the other ones of `QUANTILES` are linear
# between them.
_FITTED_QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
_DAILY_FILE = "daily_train.parquet"
# Only the mean of the forecast of sales is used; a family wants three levels or more.
_SALES_QUANTILES = (0.25, 0.5, 0.75)
# A day with more of it without stock is left out: none of it for demand, nothing left out for sales.
_MAX_STOCKOUT_SHARE = {"demand": 0.0, "sales": 1.0}
_COVERAGE = (0.1, 0.9)
# How much of a window's bias is expected of the next one: the slope over the windows after cutoffs 47 to 68
# (docs/forecasting.md).
_BIAS_THAT_STAYS = 0.5


@dataclass(frozen=True, kw_only=True)
class DailyForecast:
    """Sales and demand of many series over some days.

    Attributes:
        sales_mean: shape (n_series, n_days), expected sales given usual availability, units.
        demand_mean: same shape, expected uncensored demand, units.
        demand_quantiles: shape (n_series, n_days, n_quantiles), units, levels `QUANTILES`.
        fitted_quantiles: same, levels `FITTED_LEVELS`: what can be calibrated; None where a family gives none.
    """

    sales_mean: FloatArray
    demand_mean: FloatArray
    demand_quantiles: FloatArray
    fitted_quantiles: FloatArray | None = None


def run_freshretailnet(
    data: Path,
    params: Params,
    *,
    families: Sequence[Contender],
    planned: Path | None,
    out: Path | None,
    progress: ShowProgress,
) -> BenchmarkResult:
    """Back-test on the last 7 days of `data`; with `out`, refit the best family on all of it and write 14 days.

    Args:
        data: folder in the compact layout.
        params: seed, families and sizes; horizon, quantiles and what is known ahead are the benchmark's own.
        families: families to choose from.
        planned: parquet or CSV file of the coming days' discounts and activities. Without it, nothing of the plan is
            read, neither for the forecast nor for the back-test.
        out: parquet file of the forecasts.
        progress: shows a step.

    Raises:
        DataError: the data or the plan can't be read as what they are meant to be.
    """
    begun = time.monotonic()
    with progress("reading") as _:
        panel, series_ids = read_series(data, _demand_params(params, has_plan=planned is not None))
        plan = None
        if planned is not None:
            plan = read_planned_days(planned, series_ids=series_ids, first_day=_next_day(panel), n_days=HORIZON_DAYS)
    logger.info("read %d series x %d days up to %s", panel.n_series, panel.observed_periods, panel.last_observed)
    known = known_before(panel, held_out_days=HELD_OUT_DAYS, has_plan=plan is not None)
    held_out = slice(known.observed_periods, panel.observed_periods)
    sales, is_in_stock = panel.sales_units[:, held_out], panel.stockout_share[:, held_out] == 0
    if not np.nansum(np.where(is_in_stock, sales, 0)) > 0:
        raise DataError(f"the last {HELD_OUT_DAYS} days have no sales on days without a stockout, so nothing to score.")

    found_levels: tuple[float, ...] = FITTED_LEVELS

    def back_test(family: Contender) -> Score:
        nonlocal found_levels
        forecast = forecast_days(known, family=family, params=params, has_plan=plan is not None, progress=progress)
        if forecast.fitted_quantiles is not None:
            found_levels = observed_levels(forecast.fitted_quantiles, sales_units=sales, is_in_stock=is_in_stock)
        return score_days(forecast, sales_units=sales, is_in_stock=is_in_stock)

    race = race_families(families, back_test, by=_mean_wape)
    if out is not None:
        with_plan = without_plan(panel) if plan is None else lay_plan(panel, plan)
        forecast = forecast_days(
            with_plan, family=race.best, params=params, has_plan=plan is not None, progress=progress
        )
        if forecast.fitted_quantiles is not None:
            # The days that were held out tell how often sales stayed below each quantile: the written ones are those.
            forecast = replace(
                forecast, demand_quantiles=at_levels(forecast.fitted_quantiles, found_levels, wanted=QUANTILES)
            )
            forecast = less_bias(forecast, race.scores[race.best])
        write_frame(as_predictions(forecast, series_ids=series_ids, first_day=_next_day(panel)), out)
    return BenchmarkResult(
        benchmark=NAME,
        family=race.best,
        seed=params.seed,
        rows=panel.n_series * panel.observed_periods,
        seconds=time.monotonic() - begun,
        peak_rss_mb=peak_rss_mb(),
        score=race.scores[race.best],
        baselines={
            f"mean_of_last_{BASELINE_DAYS}_days": score_baseline(known, sales_units=sales, is_in_stock=is_in_stock),
            "seasonal_naive": race.scores["seasonal_naive"],
        },
        families=race.scores,
        back_test_seconds=race.seconds,
        skipped=race.skipped,
        setting={
            "is_plan_known": plan is not None,
            "has_refitted_and_written": out is not None,
            "held_out_days": HELD_OUT_DAYS,
            "cutoff": known.last_observed.isoformat(),
            "n_series": panel.n_series,
        },
    )


def read_series(data: Path, params: Params) -> tuple[DemandPanel, NDArray[np.int64]]:
    """Return the panel, series in the order of series.parquet, and their ids.

    Raises:
        DataError: a file is missing or does not hold what the layout says, or the holidays end before the horizon.
    """
    panel = read_layout_panel(data, params, source_format=SourceFormat.FRESHRETAILNET)
    daily = read_layout_columns(data / _DAILY_FILE, ["series_id", "day", "sale_amount_x100", "stockout_mask"])
    repeated = daily.height - daily.select("series_id", "day").n_unique()
    if repeated:
        raise DataError(f"{_DAILY_FILE} holds {repeated} rows of a series and day that it holds before, expected none.")
    series = read_layout_columns(data / "series.parquet", ["series_id", "store_id", "product_id"])
    names = series.select(sku=pl.format("P{}", "product_id"), location=pl.format("S{}", "store_id"))
    panel = in_file_order(panel, names, file="series.parquet")
    holidays = read_layout_columns(data / "calendar_holidays.parquet", ["store_id", "day", "holiday_flag"])
    last_holiday, last_day = int(holidays["day"].to_numpy().max(initial=0)), _next_day(panel) + HORIZON_DAYS - 1
    if last_holiday < last_day:
        raise DataError(f"calendar_holidays.parquet ends on day {last_holiday}, expected {last_day} or later.")
    return panel, series["series_id"].cast(pl.Int64).to_numpy()


def lay_plan(panel: DemandPanel, plan: PlannedDays) -> DemandPanel:
    """Return the panel with the plan in the days after its last observed one."""
    ahead = slice(panel.observed_periods, panel.observed_periods + plan.price_factor.shape[1])
    bare = without_plan(panel)
    bare.unit_price[:, ahead] = plan.price_factor
    bare.is_promoted[:, ahead] = plan.is_promoted
    return bare


def forecast_days(
    panel: DemandPanel, *, family: Contender, params: Params, has_plan: bool, progress: ShowProgress
) -> DailyForecast:
    """Return the forecast of the days after the panel's last observed one.

    Args:
        panel: history, with the plan where there is one.
        family: which family.
        params: seed, families and sizes.
        has_plan: whether the family may read prices and promotions of the days ahead.
        progress: shows a step.

    Raises:
        InsufficientHistoryError: there is nothing to learn from.
    """
    if family == CROSS_SECTION:
        sales_mean, demand_mean, levels = forecast_with_peers(
            panel, horizon=HORIZON_DAYS, has_plan=has_plan, seed=params.seed, progress=progress
        )
        return DailyForecast(
            sales_mean=sales_mean,
            demand_mean=demand_mean,
            demand_quantiles=at_levels(levels, FITTED_LEVELS, wanted=QUANTILES),
            fitted_quantiles=levels,
        )
    if family == SHRUNKEN_LEVELS:
        raise ConfigurationError(f"{family} reads no stockouts or prices; name another of --families.")
    demand_params = _demand_params(params, has_plan=has_plan)
    with progress(f"{family}: demand, up to {panel.last_observed}") as advance:
        fitted = fit_forecaster(family, panel, params=demand_params, on_progress=advance)
        demand = fitted.forecast(panel, horizon=HORIZON_DAYS)
    with progress(f"{family}: sales, up to {panel.last_observed}") as advance:
        fitted = fit_forecaster(family, panel, params=_sales_params(demand_params), on_progress=advance)
        sales = fitted.forecast(panel, horizon=HORIZON_DAYS)
    return DailyForecast(
        sales_mean=sales.mean_units,
        demand_mean=demand.mean_units,
        demand_quantiles=order_quantiles(interpolate_quantiles(demand.quantile_units, _FITTED_QUANTILES, QUANTILES)),
    )


def less_bias(forecast: DailyForecast, score: Score) -> DailyForecast:
    """Return the forecast with half of the bias of the back-test taken off both means; its quantiles stay.

    Args:
        forecast: of the days after the ones that were scored.
        score: of the same family: `wpe_sales` and `wpe_in_stock`, > -1.
    """
    sales, demand = (1 / (1 + _BIAS_THAT_STAYS * score[name]) for name in ("wpe_sales", "wpe_in_stock"))
    return replace(
        forecast,
        sales_mean=(forecast.sales_mean * np.float32(sales)).astype(np.float32),
        demand_mean=(forecast.demand_mean * np.float32(demand)).astype(np.float32),
    )


def score_days(forecast: DailyForecast, *, sales_units: FloatArray, is_in_stock: NDArray[np.bool_]) -> Score:
    """Return how good the forecast of the first days was.

    - `wape_sales`, `wpe_sales`: of `sales_mean`, over all days. WAPE: sum of absolute errors / sum of sales. WPE: sum
      of errors / sum of sales; positive is over-forecasting.
    - `wape_in_stock`, `wpe_in_stock`: of the mean demand, over days without a stockout, where sales are demand.
    - `pinball`, `coverage_80`: of the demand's quantiles, over the same days; mean over the levels, no factor 2, units;
      share of days within q0.10 to q0.90.

    Args:
        forecast: as many days or more.
        sales_units: shape (n_series, n_days), units; NaN, before a series is listed, is not scored.
        is_in_stock: same shape: no stockout in any selling hour.

    Source: Wang et al. 2025, arXiv:2505.16319, section 5 (WAPE and WPE).
    """
    n_days = sales_units.shape[1]
    is_known = ~np.isnan(sales_units)
    is_demand = is_known & is_in_stock
    sales, demand = sales_units[is_known].astype(np.float64), sales_units[is_demand].astype(np.float64)
    sales_error = forecast.sales_mean[:, :n_days][is_known] - sales
    demand_error = forecast.demand_mean[:, :n_days][is_demand] - demand
    quantiles = forecast.demand_quantiles[:, :n_days][is_demand].astype(np.float64)
    low, high = (quantiles[:, QUANTILES.index(level)] for level in _COVERAGE)
    return {
        "wape_sales": float(np.abs(sales_error).sum() / sales.sum()),
        "wpe_sales": float(sales_error.sum() / sales.sum()),
        "wape_in_stock": float(np.abs(demand_error).sum() / demand.sum()),
        "wpe_in_stock": float(demand_error.sum() / demand.sum()),
        "pinball": float(pinball_loss(demand, quantiles, QUANTILES).mean()),
        "coverage_80": float(((demand >= low) & (demand <= high)).mean()),
    }


def score_baseline(panel: DemandPanel, *, sales_units: FloatArray, is_in_stock: NDArray[np.bool_]) -> Score:
    """Return the score of the mean of the last 14 days: of all of them for sales, of those in stock for demand."""
    past = slice(max(0, panel.observed_periods - BASELINE_DAYS), panel.observed_periods)
    recent = panel.sales_units[:, past]
    sales_mean = _row_means(recent, otherwise=np.zeros(panel.n_series, dtype=np.float32))
    in_stock = np.where(panel.stockout_share[:, past] == 0, recent, np.float32(np.nan))
    demand_mean = _row_means(in_stock, otherwise=sales_mean)
    shape = sales_units.shape
    points = DailyForecast(
        sales_mean=np.broadcast_to(sales_mean[:, None], shape),
        demand_mean=np.broadcast_to(demand_mean[:, None], shape),
        demand_quantiles=np.broadcast_to(demand_mean[:, None, None], (*shape, len(QUANTILES))),
    )
    score = score_days(points, sales_units=sales_units, is_in_stock=is_in_stock)
    return {name: value for name, value in score.items() if name not in ("pinball", "coverage_80")}


def as_predictions(forecast: DailyForecast, *, series_ids: NDArray[np.int64], first_day: int) -> pl.DataFrame:
    """Return the forecast as rows: series_id, day, sales_mean, mean and one column a quantile, `q0.05` to `q0.95`."""
    n_series, n_days = forecast.sales_mean.shape
    quantiles = forecast.demand_quantiles.reshape(n_series * n_days, -1)
    return pl.DataFrame(
        {
            "series_id": np.repeat(series_ids, n_days),
            "day": np.tile(np.arange(first_day, first_day + n_days, dtype=np.int32), n_series),
            "sales_mean": forecast.sales_mean.reshape(-1),
            "mean": forecast.demand_mean.reshape(-1),
            **{f"q{level:.2f}": quantiles[:, place] for place, level in enumerate(QUANTILES)},
        }
    )


def _row_means(values: FloatArray, *, otherwise: FloatArray) -> FloatArray:
    """Return the mean of the known values of every row, and `otherwise` where none is known."""
    count = np.count_nonzero(~np.isnan(values), axis=1)
    mean: FloatArray = np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), otherwise)
    return mean.astype(np.float32)


def _mean_wape(score: Score) -> float:
    """Return what families are ranked by: both forecasts count alike."""
    return (score["wape_sales"] + score["wape_in_stock"]) / 2


def _next_day(panel: DemandPanel) -> int:
    """Return the number of the day after the last observed one, in the layout's own count."""
    return (panel.last_observed - FIRST_DAY).days + 1


def _demand_params(params: Params, *, has_plan: bool) -> Params:
    return change_params(
        params,
        {
            "features": {
                "known_ahead": ["is_promoted", "unit_price"] if has_plan else [],
                "max_stockout_share": _MAX_STOCKOUT_SHARE["demand"],
                # The score counts days in stock alone, which are quieter than those that sold out.
                "recover_from_share": 1.0,
            },
            "forecasting": {
                "frequency": Frequency.DAILY.value,
                "horizon": HORIZON_DAYS,
                "quantiles": list(_FITTED_QUANTILES),
            },
        },
    )


def _sales_params(demand_params: Params) -> Params:
    return change_params(
        demand_params,
        {
            "features": {"max_stockout_share": _MAX_STOCKOUT_SHARE["sales"]},
            "forecasting": {"quantiles": list(_SALES_QUANTILES)},
        },
    )
