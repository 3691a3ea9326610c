"""A panel as the cross-section model reads it: running sums of every series and of the groups that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.panel import DemandPanel, FloatArray

Sums = NDArray[np.float64]
Codes = NDArray[np.intp]

# Groups whose prices, promotions and sales are features: each is one attribute, or two that are crossed.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "sku": ("sku",),
    "location": ("location",),
    "subcategory": ("subcategory",),
    "category": ("category",),
    "region": ("region",),
    "sku_region": ("sku", "region"),
}


@dataclass(frozen=True, kw_only=True)
class PanelHistory:
    """What is known of every series, with running sums so that any window is two look-ups.

    Attributes:
        sales: shape (n_series, n_observed), units; 0 before a series is listed.
        in_stock_share: same shape, 0-1; 1 where the share without stock is unknown.
        price: shape (n_series, n_periods), currency per unit; the plan after the observed periods. 1 where unknown.
        is_promoted: same shape, 0 or 1.
        is_holiday: same shape, 0 or 1.
        codes: group -> shape (n_series,), which group a series belongs to.
        sums: running sum over the periods of each of `sales`, `squares`, `zeros`, `stockouts`, `price`, `promoted`;
            shape (n_series, n + 1), the first column 0.
        group_price: group -> mean price of its series; shape (n_groups, n_periods).
        group_promoted: group -> share of its series that are promoted; same shape.
    """

    sales: FloatArray
    in_stock_share: FloatArray
    price: FloatArray
    is_promoted: FloatArray
    is_holiday: FloatArray
    codes: Mapping[str, Codes]
    sums: Mapping[str, Sums]
    group_price: Mapping[str, Sums]
    group_promoted: Mapping[str, Sums]

    @property
    def n_series(self) -> int:
        """How many series there are."""
        return int(self.sales.shape[0])

    @property
    def n_observed(self) -> int:
        """How many periods hold sales."""
        return int(self.sales.shape[1])


def build_panel_history(panel: DemandPanel) -> PanelHistory:
    """Return the running sums of `panel`; of later periods than its last observed one only what is planned is read."""
    observed = panel.observed_periods
    sales = np.nan_to_num(panel.sales_units[:, :observed])
    in_stock = 1 - np.nan_to_num(panel.stockout_share[:, :observed])
    price = np.nan_to_num(panel.unit_price, nan=1.0)
    codes = {name: group_codes(panel.series, attributes) for name, attributes in GROUPS.items()}
    return PanelHistory(
        sales=sales,
        in_stock_share=in_stock.astype(np.float32),
        price=price,
        is_promoted=panel.is_promoted,
        is_holiday=panel.is_holiday,
        codes=codes,
        sums={
            "sales": running_sum(sales),
            "squares": running_sum(sales * sales),
            "zeros": running_sum((sales == 0).astype(np.float32)),
            "stockouts": running_sum(1 - in_stock),
            "price": running_sum(price),
            "promoted": running_sum(panel.is_promoted),
        },
        group_price={name: group_means(price, code) for name, code in codes.items()},
        group_promoted={name: group_means(panel.is_promoted, code) for name, code in codes.items()},
    )


def running_sum(values: NDArray[np.floating]) -> Sums:
    """Return the running sum along the periods, with a column of 0 before the first."""
    return np.concatenate(
        [np.zeros((values.shape[0], 1)), np.cumsum(values, axis=1, dtype=np.float64)], axis=1, dtype=np.float64
    )


def window_mean(sums: Sums, origin: int, periods: int) -> FloatArray:
    """Return the mean over the last `periods` up to and with `origin`, fewer where the history is shorter.

    Example:
        >>> window_mean(running_sum(np.array([[1.0, 2.0, 6.0]])), 2, 2).tolist()
        [4.0]
    """
    first = max(0, origin + 1 - periods)
    mean = (sums[:, origin + 1] - sums[:, first]) / (origin + 1 - first)
    return mean.astype(np.float32)


def group_means(values: NDArray[np.floating], code: Codes) -> Sums:
    """Return the mean over the series of each group; shape (n_groups, n_periods)."""
    count = np.bincount(code)
    return np.stack([np.bincount(code, column) for column in values.T], axis=1) / count[:, None]


def group_codes(series: pl.DataFrame, attributes: tuple[str, ...]) -> Codes:
    """Return which group each series belongs to, numbered in the order of the attributes; shape (n_series,)."""
    return series.select(pl.struct(attributes).rank("dense") - 1).to_series().to_numpy().astype(np.intp)
