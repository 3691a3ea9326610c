"""Segments of series: how much they matter (ABC by revenue) and how regularly they sell (intermittence)."""

from __future__ import annotations

import numpy as np
import polars as pl

from restock.forecasting.panel import DemandPanel
from restock.params import EvaluationParams


def segment_series(panel: DemandPanel, *, params: EvaluationParams) -> pl.DataFrame:
    """Return the segment of every series, such as "A-smooth", from the panel's observed periods.

    ABC: series in order of revenue (units x price, units alone where no price is known); class A holds the first share
    of the total, B the next, C the rest. Intermittence by the mean interval between periods with sales (ADI) and the
    squared coefficient of variation (CV2) of the sizes: smooth, intermittent, erratic, lumpy.

    Args:
        panel: history; cut it off at the oldest cutoff to keep later periods out.
        params: shares of A and B, borders of ADI and CV2.

    Returns:
        columns sku, location, segment, in the order of the panel.

    Source: Syntetos, Boylan and Croston (2005), On the categorization of demand patterns, fig. 3.
    """
    sales = panel.sales_units[:, : panel.observed_periods].astype(np.float64)
    price = panel.unit_price[:, : panel.observed_periods]
    revenue = np.nansum(sales * np.where(np.isnan(price), 1.0, price), axis=1)
    order = np.argsort(-revenue, kind="stable")
    # A series belongs to the class in which its revenue begins, so that the largest is always A.
    begins = np.cumsum(revenue[order]) - revenue[order]
    total = max(revenue.sum(), 1e-12)
    abc = np.empty(panel.n_series, dtype="<U1")
    abc[order] = np.array(["A", "B", "C"])[np.searchsorted(params.abc_shares, begins / total, side="right")]

    is_sold = sales > 0
    n_sold = np.maximum(is_sold.sum(axis=1), 1)
    interval = np.count_nonzero(~np.isnan(sales), axis=1) / n_sold
    mean = np.where(is_sold, sales, 0).sum(axis=1) / n_sold
    variance = np.where(is_sold, (sales - mean[:, None]) ** 2, 0).sum(axis=1) / n_sold
    variability = variance / np.maximum(mean, 1e-12) ** 2
    is_rare, is_varied = interval > params.intermittence_interval, variability > params.variability
    kind = np.select([is_rare & is_varied, is_rare, is_varied], ["lumpy", "intermittent", "erratic"], "smooth")
    segment = np.char.add(np.char.add(abc, "-"), kind)
    return panel.series.select("sku", "location").with_columns(segment=pl.Series(segment))
