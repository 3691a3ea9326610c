"""Sales that a stockout cut off are not demand: where they are, and what remains when they are masked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.panel import DemandPanel, FloatArray
from restock.params import FeatureParams

SCALE_PERIODS = 56
# Keeps the scale of a series that never sold away from zero, units per period.
SMALLEST_SCALE_UNITS = 0.05


@dataclass(frozen=True, kw_only=True)
class CensoringRule:
    """What counts as cut off by a stockout, and what is made of it.

    Attributes:
        max_stockout_share: a period with a larger known share of it without stock is cut off; with 1, none is.
        recover_from_share: share of the usual demand that must fall into the time with stock for the rest to be
            recovered; 1 recovers nothing.
        silence_probability: an unflagged stockout that is as probable cuts a period off; with 1, none does.
    """

    max_stockout_share: float
    recover_from_share: float = 1.0
    silence_probability: float = 1.0

    @property
    def recovers(self) -> bool:
        """Whether anything can be recovered."""
        return self.max_stockout_share < 1 and self.recover_from_share < 1

    @property
    def finds_silences(self) -> bool:
        """Whether silences are looked for."""
        return self.max_stockout_share < 1 and self.silence_probability < 1


def censoring_rule(params: FeatureParams) -> CensoringRule:
    """Return the rule that params.yaml gives."""
    return CensoringRule(
        max_stockout_share=params.max_stockout_share,
        recover_from_share=params.recover_from_share,
        silence_probability=params.silence_probability,
    )


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


@dataclass(frozen=True, kw_only=True)
class RunningSums:
    """Sums over the periods up to and with each, from which those of any window follow.

    Attributes:
        total: shape (n_series, n_periods), sum of the known values.
        count: same shape, how many are known.
    """

    total: NDArray[np.float64]
    count: NDArray[np.float64]

    def window(self, periods: int) -> tuple[FloatArray, FloatArray]:
        """Return the sum and the count of the known values in the last `periods`, up to and with each period.

        Returns:
            two arrays of the shape of `total`; both 0 where nothing is known.
        """
        return _windowed(self.total, periods), _windowed(self.count, periods)

    def window_mean(self, periods: int) -> FloatArray:
        """Return the mean of the known values in the last `periods`; NaN where none is known."""
        total, count = self.window(periods)
        return np.where(count > 0, total / np.maximum(count, 1), np.float32(np.nan))


def running_sums(values: FloatArray) -> RunningSums:
    """Return the running sums of `values`, shape (n_series, n_periods); NaN is unknown."""
    is_known = ~np.isnan(values)
    # float64: cumulative sums in float32 lose units on long, large series.
    return RunningSums(
        total=np.cumsum(np.where(is_known, values, 0), axis=1, dtype=np.float64),
        count=np.cumsum(is_known, axis=1, dtype=np.float64),
    )


def rolling_sums(values: FloatArray, window: int) -> tuple[FloatArray, FloatArray]:
    """Return the sum and the count of the known values in the last `window` periods, up to and with each period.

    Args:
        values: shape (n_series, n_periods); NaN is unknown.
        window: periods.

    Returns:
        two arrays of the shape of `values`; both 0 where nothing is known.
    """
    return running_sums(values).window(window)


def _windowed(running: NDArray[np.float64], periods: int) -> FloatArray:
    found = running.astype(np.float32)
    found[:, periods:] = running[:, periods:] - running[:, :-periods]
    return found


def series_scale(uncensored_sales: FloatArray) -> FloatArray:
    """Return the scale of every series at every period: the mean of its known sales in the last 56, never zero.

    Args:
        uncensored_sales: shape (n_series, n_periods), units; NaN where unknown or censored.

    Returns:
        same shape, units per period, >= SMALLEST_SCALE_UNITS.
    """
    total, count = rolling_sums(uncensored_sales, SCALE_PERIODS)
    return np.maximum(total / np.maximum(count, 1), np.float32(SMALLEST_SCALE_UNITS))
