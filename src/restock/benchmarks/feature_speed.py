"""How many feature rows a second are computed, beside mlforecast's same lags and rolling statistics."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any, cast

import numpy as np
import polars as pl

from restock.adapters.usage import peak_rss_mb
from restock.errors import ConfigurationError
from restock.forecasting.features import build_origin_features
from restock.forecasting.panel import DemandPanel
from restock.params import FeatureParams
from restock.timeline import Frequency

_REPEATS = 3
_POLARS_FREQUENCY = {Frequency.DAILY: "1d", Frequency.WEEKLY: "1w"}


def measure_feature_speed(panel: DemandPanel, params: FeatureParams) -> dict[str, Any]:
    """Return rows per second of our features and of mlforecast's, each the median of three runs that take turns.

    `ratio` compares rows, `ratio_of_values` rows x features: ours has about twice as many.

    mlforecast computes the lags and the rolling means and deviations, on as many threads as there are cores. Ours are
    those and more: zero shares, prices, promotions, stockouts, seasons, with stockouts masked. Neither time holds
    reading or reshaping the sales. The peak is that of the whole process so far.

    Args:
        panel: history.
        params: lags and windows.

    Raises:
        ConfigurationError: mlforecast is not installed.
    """
    sales = as_long_sales(panel)
    compute_peer = peer_features(panel.frequency, params)
    ours, theirs = [], []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        features = build_origin_features(panel, params)
        ours.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        peer = compute_peer(sales)
        theirs.append(time.perf_counter() - begun)
    rows = panel.n_series * panel.observed_periods
    rows_per_second, peer_rows_per_second = rows / median(ours), sales.height / median(theirs)
    ratio, peer_width = rows_per_second / peer_rows_per_second, peer.width - sales.width
    return {
        "rows": rows,
        "features": len(features.names),
        "seconds": round(median(ours), 3),
        "rows_per_second": round(rows_per_second),
        "mlforecast_features": peer_width,
        "mlforecast_seconds": round(median(theirs), 3),
        "mlforecast_rows_per_second": round(peer_rows_per_second),
        "ratio": round(ratio, 2),
        "ratio_of_values": round(ratio * len(features.names) / peer_width, 2),
        "peak_rss_mb": round(peak_rss_mb()),
    }


def as_long_sales(panel: DemandPanel) -> pl.DataFrame:
    """Return the observed sales as mlforecast reads them: unique_id, ds and y, one row a series and listed period."""
    observed = panel.sales_units[:, : panel.observed_periods]
    series, period = np.nonzero(~np.isnan(observed))
    dates = np.datetime64(panel.start) + period * np.timedelta64(panel.frequency.days, "D")
    return pl.DataFrame({"unique_id": series, "ds": dates, "y": observed[series, period]})


def peer_features(frequency: Frequency, params: FeatureParams) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return mlforecast's computation of the same lags and rolling statistics: long sales in, with columns added out.

    mlforecast counts from the target: its lag 1 is our lag 0, the newest sales known.

    Raises:
        ConfigurationError: mlforecast is not installed.
    """
    try:
        from mlforecast import MLForecast
        from mlforecast.lag_transforms import RollingMean, RollingStd
    except ImportError as error:
        raise ConfigurationError(
            f"mlforecast, the peer of the features, is not installed ({error}). Install it: make setup."
        ) from error
    rolling: list[Any] = [
        transform
        for window in params.rolling_windows
        for transform in (RollingMean(window, min_samples=1), RollingStd(window, min_samples=2))
    ]
    peer = MLForecast(
        models={},
        freq=_POLARS_FREQUENCY[frequency],
        lags=[lag + 1 for lag in params.lags],
        lag_transforms={1: rolling},
        num_threads=os.cpu_count() or 1,
    )

    def compute(sales: pl.DataFrame) -> pl.DataFrame:
        return cast("pl.DataFrame", peer.preprocess(sales, dropna=False, static_features=[]))

    return compute
