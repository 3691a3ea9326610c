"""Totals over groups of series: forecast on their own, they steer the series that they are the totals of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from restock.forecasting.cross_section.history import Codes, group_codes
from restock.forecasting.panel import DemandPanel, FloatArray

# Periods whose mean sales say how much a series' price, promotion and stockouts count in its group's.
_WEIGHT_PERIODS = 28
_SMALLEST_WEIGHT_UNITS = 0.05
# No total may multiply or divide its series by more.
_LARGEST_PULL = 2.0


def panel_of_totals(panel: DemandPanel, *, by: tuple[str, ...]) -> tuple[DemandPanel, Codes]:
    """Return the panel whose series are the totals of groups, and which of them each series belongs to.

    Sales are summed; prices, promotions and stockouts are means, each series weighted by what it sold in the last 28
    observed periods; a period is a holiday where it is one for at least half of the series.

    Args:
        panel: history, with what is known ahead; of later periods than its last observed one only plans are read.
        by: columns of `panel.series` that a group shares. In the totals, `location` is the region.

    Returns:
        the totals, n_groups series in the order of the codes; codes, shape (n_series,).
    """
    code = group_codes(panel.series, by)
    n_groups = int(code.max()) + 1
    recent = slice(max(0, panel.observed_periods - _WEIGHT_PERIODS), panel.observed_periods)
    usual = np.nan_to_num(panel.sales_units[:, recent]).mean(axis=1)
    weight = np.maximum(usual, _SMALLEST_WEIGHT_UNITS).astype(np.float64)
    total_weight = np.bincount(code, weight, n_groups)[:, None]

    def summed(values: FloatArray) -> FloatArray:
        return np.stack([np.bincount(code, column, n_groups) for column in values.T], axis=1).astype(np.float32)

    def weighted(values: FloatArray) -> FloatArray:
        return (summed(values * weight[:, None]) / total_weight).astype(np.float32)

    sales = summed(np.nan_to_num(panel.sales_units))
    sales[:, panel.observed_periods :] = np.nan
    stockout = weighted(np.nan_to_num(panel.stockout_share))
    stockout[:, panel.observed_periods :] = np.nan
    first = (
        panel.series.with_columns(code=pl.Series(code)).unique("code", keep="first", maintain_order=True).sort("code")
    )
    totals = replace(
        panel,
        series=first.with_columns(location=pl.col("region")).drop("code"),
        sales_units=sales,
        stockout_share=stockout,
        unit_price=weighted(np.nan_to_num(panel.unit_price, nan=1.0)),
        is_promoted=weighted(panel.is_promoted),
        is_holiday=(weighted(panel.is_holiday) >= 0.5).astype(np.float32),  # half
        # Known of single series; of a total the share of the time stands in.
        in_stock_demand_share=None,
    )
    return totals, code


def pull_to_totals(units: FloatArray, totals: FloatArray, *, code: Codes, share: float) -> FloatArray:
    """Return the forecasts of series, moved so that they add up to something between their own sum and the total's.

    Args:
        units: shape (n_series, n_periods), units, >= 0.
        totals: shape (n_groups, n_periods), units, >= 0: what the groups were forecast to sell.
        code: shape (n_series,), the group of each series.
        share: 0 keeps the series' own sum, 1 gives the totals; between, their weighted geometric mean.

    Example:
        >>> series, total = np.array([[2.0], [2.0]]), np.array([[6.25]])
        >>> pull_to_totals(series, total, code=np.array([0, 0]), share=0.5).tolist()
        [[2.5], [2.5]]
    """
    own = np.stack([np.bincount(code, column, len(totals)) for column in units.T], axis=1)
    factor = np.where(own > 0, totals / np.maximum(own, 1e-9), 1.0)
    pull = np.clip(factor, 1 / _LARGEST_PULL, _LARGEST_PULL) ** share
    return (units * pull[code]).astype(np.float32)
