"""Sales that a stockout cut off are not demand: where they are, and what remains when they are masked."""

from __future__ import annotations

import numpy as np

from restock.forecasting.panel import DemandPanel, FloatArray

SCALE_PERIODS = 56
# Keeps the scale of a series that never sold away from zero, units per period.
SMALLEST_SCALE_UNITS = 0.05


def mask_censored(panel: DemandPanel, *, max_stockout_share: float) -> FloatArray:
    """Return observed sales with NaN where a stockout cut them off.

    Args:
        panel: history.
        max_stockout_share: a period with a larger known share of it without stock is masked; unknown shares count as
            in stock.

    Returns:
        shape (n_series, observed_periods), units.
    """
    sales = panel.sales_units[:, : panel.observed_periods]
    # NaN compares false: an unknown share does not mask.
    is_censored = panel.stockout_share[:, : panel.observed_periods] > max_stockout_share
    return np.where(is_censored, np.float32(np.nan), sales)


def rolling_sums(values: FloatArray, window: int) -> tuple[FloatArray, FloatArray]:
    """Return the sum and the count of the known values in the last `window` periods, up to and with each period.

    Args:
        values: shape (n_series, n_periods); NaN is unknown.
        window: periods.

    Returns:
        two arrays of the shape of `values`; both 0 where nothing is known.
    """
    is_known = ~np.isnan(values)

    def windowed(addends: np.ndarray) -> FloatArray:
        # float64 while summing: cumulative sums in float32 lose units on long, large series.
        total = np.cumsum(addends, axis=1, dtype=np.float64)
        total[:, window:] -= total[:, :-window].copy()
        return total.astype(np.float32)

    return windowed(np.where(is_known, values, 0)), windowed(is_known)


def series_scale(uncensored_sales: FloatArray) -> FloatArray:
    """Return the scale of every series at every period: the mean of its known sales in the last 56, never zero.

    Args:
        uncensored_sales: shape (n_series, n_periods), units; NaN where unknown or censored.

    Returns:
        same shape, units per period, >= SMALLEST_SCALE_UNITS.
    """
    total, count = rolling_sums(uncensored_sales, SCALE_PERIODS)
    return np.maximum(total / np.maximum(count, 1), np.float32(SMALLEST_SCALE_UNITS))
