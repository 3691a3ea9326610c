"""M5 (Walmart) from its last eight weeks: four weeks ahead, scored as the competition does at its lowest level."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.storage import write_frame
from restock.adapters.usage import peak_rss_mb
from restock.benchmarks.family_race import SHRUNKEN_LEVELS, Contender, Score, ShowProgress, race_families
from restock.benchmarks.layout_panel import known_before
from restock.benchmarks.result import BenchmarkResult
from restock.benchmarks.walmart_series import HORIZON_DAYS, WalmartSeries, read_walmart, units_sold
from restock.errors import ConfigurationError
from restock.forecasting.day_factors import day_factors, expected_sales
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.forecast import DemandForecast
from restock.forecasting.panel import DemandPanel
from restock.forecasting.shrunken_levels import (
    count_dispersion,
    count_quantiles,
    forecast_levels,
    levels_of_volatility,
)
from restock.params import Params, change_params
from restock.statistics.quantiles import pinball_loss
from restock.timeline import Frequency

logger = logging.getLogger(__name__)

NAME = "m5"
QUANTILES = (0.005, 0.025, 0.165, 0.25, 0.5, 0.75, 0.835, 0.975, 0.995)
HELD_OUT_DAYS = 28
BASELINE_DAYS = 28
# The competition weighs a series by its dollar sales of the days before the forecast.
WEIGHT_DAYS = 28
# Days of the month in its first half; wages and most food stamps are paid out in it.
_FIRST_HALF_DAYS = 15
# Below it the ratio of variance to mean is noise, units per day.
_SMALLEST_MEAN_UNITS = 0.02
# Weight of the dispersion of all years beside that of the days at hand.
_YEARS_SHARE = 0.3

Floats = NDArray[np.float64]


def run_m5(
    data: Path,
    params: Params,
    *,
    families: Sequence[Contender],
    out: Path | None,
    quantiles_out: Path | None,
    progress: ShowProgress,
) -> BenchmarkResult:
    """Back-test on the last 28 days of `data`; with an output file, refit the best family on all of it and write 28.

    Args:
        data: folder in the compact layout.
        params: seed, families and sizes; horizon, quantiles and what is known ahead are the benchmark's own.
        families: families to choose from.
        out: parquet file of the means.
        quantiles_out: parquet file of the quantiles.
        progress: shows a step.

    Raises:
        DataError: the data can't be read as what they are meant to be.
    """
    begun = time.monotonic()
    own_params = _m5_params(params)
    with progress("reading"):
        walmart = read_walmart(data, own_params)
    panel = walmart.panel
    logger.info("read %d series x %d days up to %s", panel.n_series, panel.observed_periods, panel.last_observed)
    # Prices of the weeks to come are part of the competition's data, and so are those of the held-out days.
    known = known_before(panel, held_out_days=HELD_OUT_DAYS, has_plan=True)
    held_out = _HeldOut(
        sold=units_sold(panel)[:, known.observed_periods :],
        weights=dollar_weights(known),
        scales=walmart.scale_at(walmart.last_day - HELD_OUT_DAYS),
    )

    def back_test(family: Contender) -> Score:
        made = _forecast(family, walmart, known, params=own_params, progress=progress)
        return held_out.score(made.mean_units.astype(np.float64), made.quantile_units.astype(np.float64))

    race = race_families(families, back_test, by=lambda found: found["wrmsse_level12"])
    is_written = out is not None or quantiles_out is not None
    if is_written:
        made = _forecast(race.best, walmart, panel, params=own_params, progress=progress)
        _write(made, walmart, out=out, quantiles_out=quantiles_out)
    return BenchmarkResult(
        benchmark=NAME,
        family=race.best,
        seed=params.seed,
        rows=panel.n_series * panel.observed_periods,
        seconds=time.monotonic() - begun,
        peak_rss_mb=peak_rss_mb(),
        score=race.scores[race.best],
        baselines={
            f"mean_of_last_{BASELINE_DAYS}_days": held_out.score(_recent_means(known), None),
            "seasonal_naive": race.scores["seasonal_naive"],
        },
        families=race.scores,
        back_test_seconds=race.seconds,
        skipped=race.skipped,
        setting={"has_refitted_and_written": is_written} | _setting(known),
    )


@dataclass(frozen=True, kw_only=True)
class _HeldOut:
    """What forecasts of the held-out days are scored by: arguments of `score_means`."""

    sold: Floats
    weights: Floats
    scales: Floats

    def score(self, mean: Floats, quantile_units: Floats | None) -> Score:
        """Return the scores of means, and of quantiles where there are any."""
        found = score_means(mean, sold=self.sold, weights=self.weights, scales=self.scales)
        if quantile_units is not None:
            found["scaled_pinball"] = score_quantiles(
                quantile_units, QUANTILES, sold=self.sold, weights=self.weights, scales=self.scales
            )
        return found


def _forecast(
    family: Contender, walmart: WalmartSeries, history: DemandPanel, *, params: Params, progress: ShowProgress
) -> DemandForecast:
    """Return a family's forecast after the last day of `history`.

    Raises:
        ConfigurationError: the family can't forecast it.
    """
    with progress(f"{family}: up to {history.last_observed}") as advance:
        if family == SHRUNKEN_LEVELS:
            return forecast_walmart(walmart, history)
        if family == "cross_section":
            raise ConfigurationError(f"m5 has too few days for {family}; name another of --families.")
        fitted = fit_forecaster(family, history, params=params, on_progress=advance)
        return fitted.forecast(history, horizon=HORIZON_DAYS)


def _setting(known: DemandPanel) -> dict[str, Any]:
    """Return what the families were back-tested on."""
    return {
        "held_out_days": HELD_OUT_DAYS,
        "cutoff": known.last_observed.isoformat(),
        "n_series": known.n_series,
    }


def _recent_means(known: DemandPanel) -> Floats:
    """Return the mean of the latest days for every held-out one; shape (n_series, HELD_OUT_DAYS), units per day."""
    recent = units_sold(known)[:, -BASELINE_DAYS:].mean(axis=1, keepdims=True)
    return np.broadcast_to(recent, (known.n_series, HELD_OUT_DAYS))


def _write(made: DemandForecast, walmart: WalmartSeries, *, out: Path | None, quantiles_out: Path | None) -> None:
    """Write the files that are asked for."""
    if out is not None:
        write_frame(as_means(made, walmart), out)
    if quantiles_out is not None:
        write_frame(as_quantiles(made, walmart), quantiles_out)


def dollar_weights(history: DemandPanel) -> Floats:
    """Return each series' share of the dollar sales of the last days known, as the competition weighs; (n_series,).

    Source: Makridakis, Spiliotis and Assimakopoulos (2022), The M5 Accuracy Competition, section 3.3.
    """
    days = slice(max(0, history.observed_periods - WEIGHT_DAYS), history.observed_periods)
    prices = np.nan_to_num(history.unit_price[:, days].astype(np.float64))
    dollars = (units_sold(history)[:, days] * prices).sum(axis=1)
    return np.asarray(dollars / dollars.sum())


def score_means(mean: Floats, *, sold: Floats, weights: Floats, scales: Floats) -> Score:
    """Return `wrmsse_level12` and `bias` of the means.

    WRMSSE at level 12: sum over series of weight x sqrt(mean squared error over the days / scale). Bias: sum of errors
    / sum of sales; positive is over-forecasting.

    Args:
        mean: shape (n_series, n_days), units.
        sold: same shape, units.
        weights: shape (n_series,), summing to 1.
        scales: shape (n_series,), mean squared day-to-day difference of the series' history, units squared.

    Source: Makridakis, Spiliotis and Assimakopoulos (2022), The M5 Accuracy Competition, eq. 1 and 2.

    Example:
        >>> ones = np.ones((1, 2))
        >>> score_means(3 * ones, sold=ones, weights=np.ones(1), scales=np.array([16.0]))
        {'wrmsse_level12': 0.5, 'bias': 2.0}
    """
    mean_squares = ((mean - sold) ** 2).mean(axis=1)
    return {
        "wrmsse_level12": float((weights * np.sqrt(mean_squares / scales)).sum()),
        "bias": float((mean - sold).sum() / sold.sum()),
    }


def score_quantiles(
    quantile_units: Floats, quantiles: Sequence[float], *, sold: Floats, weights: Floats, scales: Floats
) -> float:
    """Return the weighted scaled pinball loss: per series the mean over days and levels, over the root of its scale.

    The competition's own WSPL divides by the mean absolute difference instead, which the compact files do not hold: its
    published values can't be compared with this one.

    Args:
        quantile_units: shape (n_series, n_days, n_quantiles), units.
        quantiles: levels.
        sold: shape (n_series, n_days), units.
        weights: shape (n_series,), summing to 1.
        scales: shape (n_series,), mean squared day-to-day difference of the series' history, units squared.

    Source: Makridakis et al. (2022), The M5 Uncertainty Competition, eq. 1, with the scale of WRMSSE.
    """
    losses = pinball_loss(sold, quantile_units, quantiles).mean(axis=(1, 2))
    return float((weights * losses / np.sqrt(scales)).sum())


def forecast_walmart(walmart: WalmartSeries, history: DemandPanel) -> DemandForecast:
    """Return shrunken levels times day factors, with negative binomial quantiles, after the last day of `history`."""
    sold = units_sold(history)
    n_days = sold.shape[1]
    store_department, department, item, peers = (
        walmart.groups[name].to_numpy().astype(np.intp)
        for name in ("store_department", "department", "item", "item_state")
    )
    dates = [history.date_of(day) for day in range(n_days + HORIZON_DAYS)]
    weekdays = np.array([date.weekday() for date in dates])
    is_snap = walmart.is_snap[:, : n_days + HORIZON_DAYS]
    volatility = walmart.scale_at(walmart.last_day - (walmart.panel.observed_periods - n_days))
    prior_levels = levels_of_volatility(volatility, sold.mean(axis=1), groups=department)
    mean = forecast_levels(
        sold,
        n_ahead=HORIZON_DAYS,
        weekdays=weekdays,
        is_event=is_snap,
        groups=store_department,
        items=item,
        peers=peers,
        phases=np.array([int(date.day > _FIRST_HALF_DAYS) for date in dates]),
        prior_levels=prior_levels,
    )
    factors = day_factors(sold, weekdays=weekdays, is_event=is_snap, groups=store_department)[store_department]
    recent = count_dispersion(sold, expected_sales(sold, factors[:, :n_days]), groups=store_department)
    # Half the mean squared difference of two days is the variance of one.
    of_years = volatility / 2 / np.maximum(prior_levels, _SMALLEST_MEAN_UNITS)
    dispersion = (1 - _YEARS_SHARE) * recent + _YEARS_SHARE * np.maximum(of_years, 1.0)
    return DemandForecast(
        series=history.series.select("sku", "location"),
        cutoff=history.last_observed,
        dates=tuple(dates[n_days:]),
        quantiles=QUANTILES,
        quantile_units=count_quantiles(mean, dispersion, quantiles=QUANTILES).astype(np.float32),
        mean_units=mean.astype(np.float32),
    )


def as_means(forecast: DemandForecast, walmart: WalmartSeries) -> pl.DataFrame:
    """Return the means as the competition wants them: id and one column a day."""
    return pl.DataFrame({"id": walmart.ids} | _day_columns(forecast.mean_units, walmart.last_day))


def as_quantiles(forecast: DemandForecast, walmart: WalmartSeries) -> pl.DataFrame:
    """Return the quantiles, one row a series and level: id, quantile and one column a day."""
    n_series, n_days, n_quantiles = forecast.quantile_units.shape
    rows = forecast.quantile_units.transpose(0, 2, 1).reshape(n_series * n_quantiles, n_days)
    keys = {
        "id": np.repeat(np.array(walmart.ids, dtype=object), n_quantiles).tolist(),
        "quantile": np.tile(np.array(forecast.quantiles), n_series),
    }
    return pl.DataFrame(keys | _day_columns(rows, walmart.last_day))


def _day_columns(units: NDArray[np.float32], last_day: int) -> dict[str, NDArray[np.float32]]:
    return {f"d_{last_day + 1 + ahead}": np.ascontiguousarray(units[:, ahead]) for ahead in range(units.shape[1])}


def _m5_params(params: Params) -> Params:
    return change_params(
        params,
        {
            "features": {"known_ahead": ["unit_price"]},
            "forecasting": {
                "frequency": Frequency.DAILY.value,
                "horizon": HORIZON_DAYS,
                "quantiles": list(QUANTILES),
            },
        },
    )
