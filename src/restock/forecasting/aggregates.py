"""The panel of aggregates: totals as series of their own, so that any family forecasts them."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.censoring import mask_censored
from restock.forecasting.panel import SERIES_COLUMNS, DemandPanel, FloatArray
from restock.forecasting.reconcile import Hierarchy
from restock.forecasting.totals import sum_members

# Seasons whose same period stands in for a censored one.
_STAND_IN_SEASONS = 4


def aggregate_panel(panel: DemandPanel, hierarchy: Hierarchy, *, max_stockout_share: float) -> DemandPanel:
    """Return the totals of `panel` as series of a panel, one a node above the series.

    Sales add up, censored ones repaired; price, promotion and holiday are means over the members; stockouts are gone.
    Every period is made of that period and earlier ones.

    Args:
        panel: history.
        hierarchy: of the panel's series.
        max_stockout_share: a period with a larger known share of it without stock is censored.
    """
    observed = panel.observed_periods
    repaired = repair_censored(panel, max_stockout_share=max_stockout_share)
    is_known = ~np.isnan(repaired)
    counted = sum_members(hierarchy.sums, is_known.astype(np.float64))
    sales = np.full((hierarchy.n_aggregates, panel.n_periods), np.nan, dtype=np.float32)
    total = sum_members(hierarchy.sums, np.where(is_known, repaired, 0.0))
    sales[:, :observed] = np.where(counted > 0, total, np.nan)

    def mean(values: FloatArray) -> FloatArray:
        # Every member counts alike: weights by sales would look ahead.
        is_there = ~np.isnan(values)
        count = sum_members(hierarchy.sums, is_there)
        added = sum_members(hierarchy.sums, np.where(is_there, values, 0.0))
        return np.where(count > 0, added / np.maximum(count, 1), np.nan).astype(np.float32)

    attributes = {"sku": list(hierarchy.names), "location": list(hierarchy.levels)}
    series = pl.DataFrame(attributes).with_columns(
        *(pl.lit("").alias(name) for name in ("subcategory", "region")),
        pl.Series("category", hierarchy.levels),
        pl.lit(None, dtype=panel.series.schema["list_price"]).alias("list_price"),
    )
    return DemandPanel(
        series=series.select(SERIES_COLUMNS),
        start=panel.start,
        frequency=panel.frequency,
        observed_periods=observed,
        sales_units=sales,
        stockout_share=np.full_like(sales, np.nan),
        unit_price=mean(panel.unit_price),
        is_promoted=mean(panel.is_promoted),
        is_holiday=mean(panel.is_holiday),
    )


def repair_censored(panel: DemandPanel, *, max_stockout_share: float) -> NDArray[np.float32]:
    """Return observed sales with censored periods raised to the mean of the same period of the seasons before.

    Only earlier periods are read, so that a repair never changes by what comes later.

    Returns:
        shape (n_series, observed_periods), units; NaN before a series' first sale.
    """
    season, observed = panel.frequency.season_periods, panel.observed_periods
    sold = panel.sales_units[:, :observed]
    known = mask_censored(panel, max_stockout_share=max_stockout_share)[:, :observed]
    repaired = sold.copy()
    for period in range(observed):
        is_censored = np.isnan(known[:, period]) & ~np.isnan(sold[:, period])
        first = period - _STAND_IN_SEASONS * season
        earlier = known[is_censored][:, max(first % season, first) : period : season]
        count = np.count_nonzero(~np.isnan(earlier), axis=1)
        mean = np.nansum(earlier, axis=1) / np.maximum(count, 1)
        repaired[is_censored, period] = np.maximum(sold[is_censored, period], mean)
    return repaired
