"""How the cost of training and forecasting grows with the number of series."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from restock.adapters.usage import peak_rss_mb
from restock.errors import InsufficientHistoryError
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.features import build_origin_features
from restock.forecasting.panel import DemandPanel
from restock.params import Params, change_params

SERIES_COUNTS = (1_000, 5_000, 20_000, 50_000)
_PERIODS = 76
_HORIZON = 14
_ROWS_PER_SERIES = 8


def measure_growth(panel: DemandPanel, params: Params, *, counts: tuple[int, ...] = SERIES_COUNTS) -> dict[str, Any]:
    """Return the seconds from panel to trained quantiles and a forecast, for more and more series, and their slope.

    Each count: the panel's series, repeated, its last 76 observed periods; features, the XGBoost family fitted on 8
    rows a series with all quantiles of params.yaml, 14 periods forecast. The slope is that of log(seconds) over
    log(series): 1 is linear growth, below 1 less, as a fixed cost a round weighs more on few series. The processor's
    seconds, which don't depend on what else the machine does, have a slope of their own.

    Args:
        panel: history; its series are repeated up to each count.
        params: families.xgboost and quantiles.
        counts: increasing numbers of series.

    Raises:
        InsufficientHistoryError: the panel has fewer than 76 observed periods.
    """
    if panel.observed_periods < _PERIODS:
        raise InsufficientHistoryError(
            f"the panel has {panel.observed_periods} observed periods, needs >= {_PERIODS}. Ingest more history."
        )
    recent = last_periods(panel, _PERIODS)
    rows = []
    for count in counts:
        repeated = repeat_series(recent, count)
        sized = change_params(
            params, {"forecasting": {"horizon": _HORIZON, "training_rows": max(_ROWS_PER_SERIES * count, 1_000)}}
        )
        begun, worked = time.perf_counter(), time.process_time()
        features = build_origin_features(repeated, sized.features)
        built = time.perf_counter()
        forecaster = fit_forecaster("xgboost", repeated, params=sized, features=features)
        fitted = time.perf_counter()
        forecaster.forecast(repeated, horizon=_HORIZON)
        done = time.perf_counter()
        rows.append(
            {
                "series": count,
                "features_seconds": round(built - begun, 2),
                "fit_seconds": round(fitted - built, 2),
                "forecast_seconds": round(done - fitted, 2),
                "seconds": round(done - begun, 2),
                "cpu_seconds": round(time.process_time() - worked, 2),
            }
        )
    return {
        "periods": _PERIODS,
        "horizon": _HORIZON,
        "quantiles": len(params.forecasting.quantiles),
        "sizes": rows,
        "slope": _slope(rows, "seconds"),
        "cpu_slope": _slope(rows, "cpu_seconds"),
        "peak_rss_mb": round(peak_rss_mb()),
    }


def _slope(rows: list[dict[str, Any]], figure: str) -> float:
    """Return the slope of the log of a figure over the log of the number of series."""
    logs = np.log([[row["series"], row[figure]] for row in rows])
    return round(float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]), 2)


def last_periods(panel: DemandPanel, periods: int) -> DemandPanel:
    """Return the panel from so many periods before the end of its observed ones on."""
    first = panel.observed_periods - periods
    return replace(
        panel,
        start=panel.date_of(first),
        observed_periods=periods,
        sales_units=panel.sales_units[:, first:],
        stockout_share=panel.stockout_share[:, first:],
        unit_price=panel.unit_price[:, first:],
        is_promoted=panel.is_promoted[:, first:],
        is_holiday=panel.is_holiday[:, first:],
        in_stock_demand_share=None if panel.in_stock_demand_share is None else panel.in_stock_demand_share[:, first:],
    )


def repeat_series(panel: DemandPanel, count: int) -> DemandPanel:
    """Return a panel of `count` series: those of `panel`, again and again, each repetition at locations of its own."""
    rows = np.arange(count) % panel.n_series
    repeated = panel.select(rows)
    again = pl.Series(np.arange(count) // panel.n_series)
    return replace(repeated, series=repeated.series.with_columns(location=pl.format("{}-{}", "location", again)))
