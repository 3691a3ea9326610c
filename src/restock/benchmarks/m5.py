"""M5 (Walmart) from its last eight weeks: four weeks ahead, scored as the competition does at its lowest level."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.sources.columnar import read_columns
from restock.adapters.sources.m5 import FILES
from restock.adapters.sources.requests import SourceFormat
from restock.adapters.storage import write_frame
from restock.adapters.usage import peak_rss_mb
from restock.benchmarks.family_race import SHRUNKEN_LEVELS, Contender, Score, ShowProgress, change_params, race_families
from restock.benchmarks.layout_panel import in_file_order, known_before, read_layout_columns, read_layout_panel
from restock.benchmarks.result import BenchmarkResult
from restock.errors import ConfigurationError, DataError
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.forecast import DemandForecast
from restock.forecasting.panel import DemandPanel
from restock.forecasting.shrunken_levels import count_quantiles, forecast_levels
from restock.params import Params
from restock.statistics.quantiles import pinball_loss
from restock.timeline import Frequency

logger = logging.getLogger(__name__)

NAME = "m5"
QUANTILES = (0.005, 0.025, 0.165, 0.25, 0.5, 0.75, 0.835, 0.975, 0.995)
HORIZON_DAYS = 28
HELD_OUT_DAYS = 28
BASELINE_DAYS = 28
# Below it the ratio of variance to mean is noise, units per day.
_SMALLEST_MEAN_UNITS = 0.02
# Days that the dispersion of a store's department is worth beside a series' own.
_DISPERSION_PRIOR_DAYS = 10.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class WalmartSeries:
    """What the files hold, series in the order of the files.

    Attributes:
        panel: history, with the prices of the coming weeks.
        ids: the competition's name of each series.
        last_day: number of the last observed day, such as 1941.
        weights: shape (n_series,), each series' share of the dollar sales, `weight_level12`.
        scales: shape (n_series,), units squared, `rmsse_scale_d1_d1941_approx`.
        groups: columns `store_department`, `item` and `item_state`, codes from 0, one row a series.
        is_snap: shape (n_store_departments, n_days): food stamps are paid out in its state; coming days too.
    """

    panel: DemandPanel
    ids: list[str]
    last_day: int
    weights: Floats
    scales: Floats
    groups: pl.DataFrame
    is_snap: NDArray[np.bool_]


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
    with progress("reading") as _:
        walmart = read_walmart(data, own_params)
    panel = walmart.panel
    logger.info("read %d series x %d days up to %s", panel.n_series, panel.observed_periods, panel.last_observed)
    # Prices of the weeks to come are part of the competition's data, and so are those of the held-out days.
    known = known_before(panel, held_out_days=HELD_OUT_DAYS, has_plan=True)
    sold = _sold(panel)[:, known.observed_periods :]

    def forecast(family: Contender, history: DemandPanel) -> DemandForecast:
        with progress(f"{family}: up to {history.last_observed}") as advance:
            if family == SHRUNKEN_LEVELS:
                return forecast_walmart(walmart, history)
            if family == "cross_section":
                raise ConfigurationError(f"m5 has too few days for {family}; name another of --families.")
            fitted = fit_forecaster(family, history, params=own_params, on_progress=advance)
            return fitted.forecast(history, horizon=HORIZON_DAYS)

    def score(mean: Floats, quantile_units: Floats | None) -> Score:
        found = score_means(mean, sold=sold, weights=walmart.weights, scales=walmart.scales)
        if quantile_units is not None:
            found["scaled_pinball"] = score_quantiles(
                quantile_units, QUANTILES, sold=sold, weights=walmart.weights, scales=walmart.scales
            )
        return found

    def back_test(family: Contender) -> Score:
        made = forecast(family, known)
        return score(made.mean_units.astype(np.float64), made.quantile_units.astype(np.float64))

    race = race_families(families, back_test, by=lambda found: found["wrmsse_level12"])
    if out is not None or quantiles_out is not None:
        made = forecast(race.best, panel)
        if out is not None:
            write_frame(as_means(made, walmart), out)
        if quantiles_out is not None:
            write_frame(as_quantiles(made, walmart), quantiles_out)
    recent = _sold(known)[:, -BASELINE_DAYS:].mean(axis=1, keepdims=True)
    return BenchmarkResult(
        benchmark=NAME,
        family=race.best,
        seed=params.seed,
        rows=panel.n_series * panel.observed_periods,
        seconds=time.monotonic() - begun,
        peak_rss_mb=peak_rss_mb(),
        score=race.scores[race.best],
        baselines={
            f"mean_of_last_{BASELINE_DAYS}_days": score(np.broadcast_to(recent, sold.shape), None),
            "seasonal_naive": race.scores["seasonal_naive"],
        },
        families=race.scores,
        back_test_seconds=race.seconds,
        skipped=race.skipped,
        setting={
            "has_refitted_and_written": out is not None or quantiles_out is not None,
            "held_out_days": HELD_OUT_DAYS,
            "cutoff": known.last_observed.isoformat(),
            "n_series": panel.n_series,
        },
    )


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


def read_walmart(data: Path, params: Params) -> WalmartSeries:
    """Return the series of a folder in the compact M5 layout.

    Raises:
        DataError: a file is missing or does not hold what the layout says, or calendar or prices end too early.
    """
    panel = read_layout_panel(data, params, source_format=SourceFormat.M5)
    figures = ["weight_level12", "rmsse_scale_d1_d1941_approx"]
    series = read_layout_columns(
        data / "series.parquet", ["id", "item_id", "store_id", "dept_id", "state_id", *figures]
    )
    weights, scales = (series[name].cast(pl.Float64).to_numpy() for name in figures)
    if scales.min() <= 0:
        raise DataError(f"series.parquet: column {figures[1]!r} holds {scales.min()}, expected values above 0.")
    names = series.select(sku="item_id", location="store_id")
    groups = series.select(
        store_department=_code("store_id", "dept_id"),
        item=_code("item_id"),
        item_state=_code("item_id", "state_id"),
        state="state_id",
    )
    panel = in_file_order(panel, names, file="series.parquet")
    days = [
        int(name.removeprefix("d_"))
        for name in read_columns(data / FILES[0], file=FILES[0]).columns
        if name[:2] == "d_"
    ]
    last_day = max(days)
    return WalmartSeries(
        panel=_with_coming_prices(panel, data, last_day=last_day),
        ids=series["id"].to_list(),
        last_day=last_day,
        weights=weights,
        scales=scales,
        groups=groups,
        is_snap=_read_snap_days(data, groups, last_day=last_day, n_days=panel.observed_periods + HORIZON_DAYS),
    )


def forecast_walmart(walmart: WalmartSeries, history: DemandPanel) -> DemandForecast:
    """Return shrunken levels times day factors, with negative binomial quantiles, after the last day of `history`."""
    sold, groups = _sold(history), walmart.groups
    n_days = sold.shape[1]
    store_department, item, peers = (
        groups[name].to_numpy().astype(np.intp) for name in ("store_department", "item", "item_state")
    )
    first = history.start.weekday()
    mean = forecast_levels(
        sold,
        n_ahead=HORIZON_DAYS,
        weekdays=(first + np.arange(n_days + HORIZON_DAYS)) % 7,
        is_event=walmart.is_snap[:, : n_days + HORIZON_DAYS],
        groups=store_department,
        items=item,
        peers=peers,
    )
    ratio = sold.var(axis=1) / np.maximum(sold.mean(axis=1), _SMALLEST_MEAN_UNITS)
    of_group = (np.bincount(store_department, ratio) / np.bincount(store_department))[store_department]
    dispersion = (n_days * ratio + _DISPERSION_PRIOR_DAYS * of_group) / (n_days + _DISPERSION_PRIOR_DAYS)
    return DemandForecast(
        series=history.series.select("sku", "location"),
        cutoff=history.last_observed,
        dates=tuple(history.date_of(n_days + ahead) for ahead in range(HORIZON_DAYS)),
        quantiles=QUANTILES,
        quantile_units=count_quantiles(mean, dispersion, quantiles=QUANTILES).astype(np.float32),
        mean_units=mean.astype(np.float32),
    )


def _read_snap_days(data: Path, groups: pl.DataFrame, *, last_day: int, n_days: int) -> NDArray[np.bool_]:
    """Return on which days food stamps are paid out for each store and department, up to the last day to forecast."""
    wanted = [f"d_{day}" for day in range(last_day + HORIZON_DAYS - n_days + 1, last_day + HORIZON_DAYS + 1)]
    calendar = pl.read_csv(data / "calendar.csv").filter(pl.col("d").is_in(wanted))
    states = groups.group_by("store_department").agg(pl.col("state").first()).sort("store_department")["state"]
    return np.stack([calendar[f"snap_{state}"].cast(pl.Int64).to_numpy() == 1 for state in states])


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


def _code(*columns: str) -> pl.Expr:
    return pl.struct(*columns).rank("dense") - 1


def _day_columns(units: NDArray[np.float32], last_day: int) -> dict[str, NDArray[np.float32]]:
    return {f"d_{last_day + 1 + ahead}": np.ascontiguousarray(units[:, ahead]) for ahead in range(units.shape[1])}


def _with_coming_prices(panel: DemandPanel, data: Path, *, last_day: int) -> DemandPanel:
    """Return the panel with the prices of the days to forecast; where a series has none, the last one stays."""
    calendar = pl.read_csv(data / "calendar.csv", columns=["d", "wm_yr_wk"])
    coming = pl.DataFrame({"d": [f"d_{last_day + ahead}" for ahead in range(1, HORIZON_DAYS + 1)]}).join(
        calendar, on="d", how="inner", maintain_order="left"
    )
    if coming.height < HORIZON_DAYS:
        raise DataError(f"calendar.csv holds {coming.height} of the days after d_{last_day}, expected {HORIZON_DAYS}.")
    prices = read_layout_columns(data / "sell_prices.parquet", ["series_row", "wm_yr_wk", "sell_price_cents"])
    last_week, needed_week = (int(frame["wm_yr_wk"].to_numpy().max(initial=0)) for frame in (prices, coming))
    if last_week < needed_week:
        raise DataError(f"sell_prices.parquet ends in week {last_week}, expected {needed_week} or later.")
    planned = coming.with_row_index("ahead").join(
        prices.with_columns(pl.col("wm_yr_wk").cast(pl.Int64)), on="wm_yr_wk", how="inner"
    )
    unit_price = panel.unit_price.copy()
    columns = panel.observed_periods + planned["ahead"].to_numpy().astype(np.intp)
    unit_price[planned["series_row"].to_numpy().astype(np.intp), columns] = planned["sell_price_cents"].to_numpy() / 100
    return replace(panel, unit_price=unit_price)


def _sold(panel: DemandPanel) -> Floats:
    """Return the observed sales, 0 before a series is on sale, as the competition counts it."""
    return np.nan_to_num(panel.sales_units[:, : panel.observed_periods].astype(np.float64))


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
