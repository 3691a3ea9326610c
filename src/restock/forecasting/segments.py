"""Segments of series: how much they matter (ABC by revenue) and how regularly they sell (intermittence)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.panel import DemandPanel
from restock.params import EvaluationParams

# A rule looks back as far as a stored golden history reaches, so that a series has one segment wherever it is seen.
_RULE_PERIODS = 112


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
    abc = _classes(_revenue(panel, periods=panel.observed_periods), params.abc_shares)
    segment = np.char.add(np.char.add(abc, "-"), _kinds(sales, params))
    return panel.series.select("sku", "location").with_columns(segment=pl.Series(segment))


@dataclass(frozen=True, kw_only=True)
class SegmentRule:
    """How a series finds its segment by its own latest history, alone or among others.

    Attributes:
        abc_revenues: revenue a period from which a series is of class A, and from which of class B, currency.
        evaluation: borders of ADI and CV2.
    """

    abc_revenues: tuple[float, float]
    evaluation: EvaluationParams

    def assign(self, panel: DemandPanel) -> NDArray[np.str_]:
        """Return the segment of every series of `panel`, such as "A-smooth"."""
        sales = _latest(panel.sales_units, panel).astype(np.float64)
        revenue = _revenue(panel, periods=_RULE_PERIODS) / _known_periods(sales)
        lowest_of_a, lowest_of_b = self.abc_revenues
        abc = np.select([revenue >= lowest_of_a, revenue >= lowest_of_b], ["A", "B"], "C")
        return np.char.add(np.char.add(abc, "-"), _kinds(sales, self.evaluation))


def fit_segment_rule(panel: DemandPanel, *, params: EvaluationParams) -> SegmentRule:
    """Return the rule by which `panel`'s series fall into classes of the asked shares of revenue.

    Args:
        panel: history; only the latest of its observed periods count.
        params: shares of A and B, borders of ADI and CV2.
    """
    revenue = _revenue(panel, periods=_RULE_PERIODS)
    per_period = revenue / _known_periods(_latest(panel.sales_units, panel))
    classes = _classes(per_period, params.abc_shares)

    def lowest(of_classes: tuple[str, ...]) -> float:
        return float(per_period[np.isin(classes, of_classes)].min(initial=per_period.max(initial=0.0)))

    return SegmentRule(abc_revenues=(lowest(("A",)), lowest(("A", "B"))), evaluation=params)


def segments_by_cutoff(panel: DemandPanel, cutoffs: Sequence[date], *, params: EvaluationParams) -> pl.DataFrame:
    """Return the segment of every series as its history up to each cutoff says: sku, location, cutoff, segment."""
    tables = []
    for cutoff in cutoffs:
        known = panel.observed_until(cutoff)
        segment = fit_segment_rule(known, params=params).assign(known)
        tables.append(
            panel.series.select("sku", "location").with_columns(cutoff=pl.lit(cutoff), segment=pl.Series(segment))
        )
    return pl.concat(tables)


def _latest(values: NDArray[np.float32], panel: DemandPanel) -> NDArray[np.float32]:
    return values[:, max(0, panel.observed_periods - _RULE_PERIODS) : panel.observed_periods]


def _known_periods(sales: NDArray[np.floating]) -> NDArray[np.intp]:
    known: NDArray[np.intp] = np.maximum(np.count_nonzero(~np.isnan(sales), axis=1), 1)
    return known


def _revenue(panel: DemandPanel, *, periods: int) -> NDArray[np.float64]:
    """Return the revenue of every series over its last periods, currency; units where no price is known."""
    latest = slice(max(0, panel.observed_periods - periods), panel.observed_periods)
    price = panel.unit_price[:, latest]
    earned = panel.sales_units[:, latest].astype(np.float64) * np.where(np.isnan(price), 1.0, price)
    revenue: NDArray[np.float64] = np.nansum(earned, axis=1)
    return revenue


def _classes(revenue: NDArray[np.float64], abc_shares: tuple[float, float]) -> NDArray[np.str_]:
    """Return A, B or C for every series."""
    order = np.argsort(-revenue, kind="stable")
    # A series belongs to the class in which its revenue begins, so that the largest is always A.
    begins = np.cumsum(revenue[order]) - revenue[order]
    total = max(revenue.sum(), 1e-12)
    abc = np.empty(len(revenue), dtype="<U1")
    abc[order] = np.array(["A", "B", "C"])[np.searchsorted(abc_shares, begins / total, side="right")]
    return abc


def _kinds(sales: NDArray[np.float64], params: EvaluationParams) -> NDArray[np.str_]:
    """Return smooth, intermittent, erratic or lumpy for every series."""
    is_sold = sales > 0
    n_sold = np.maximum(is_sold.sum(axis=1), 1)
    interval = np.count_nonzero(~np.isnan(sales), axis=1) / n_sold
    mean = np.where(is_sold, sales, 0).sum(axis=1) / n_sold
    variance = np.where(is_sold, (sales - mean[:, None]) ** 2, 0).sum(axis=1) / n_sold
    variability = variance / np.maximum(mean, 1e-12) ** 2
    is_rare, is_varied = interval > params.intermittence_interval, variability > params.variability
    return np.select([is_rare & is_varied, is_rare, is_varied], ["lumpy", "intermittent", "erratic"], "smooth")
