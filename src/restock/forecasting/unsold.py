"""Series that were never sold: rows of the panel without a history, for a forecast to begin with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.panel import DemandPanel, FloatArray


def unsold_series(panel: DemandPanel, attributes: pl.DataFrame) -> DemandPanel:
    """Return series on the grid of `panel` whose sales and stockouts are unknown throughout.

    Their price is the list price, they have no promotion, and the holidays of their location: those of the panel's
    series there, or where there is none, those that all locations share.

    Args:
        panel: history of other series, at least one.
        attributes: one row a series, columns as `panel.series`.
    """
    shape = attributes.height, panel.n_periods
    unknown = np.full(shape, np.nan, dtype=np.float32)
    price = attributes["list_price"].cast(pl.Float32).fill_null(float("nan")).to_numpy()
    peers = panel.series["location"].to_list()
    first_row = dict(zip(reversed(peers), range(len(peers) - 1, -1, -1), strict=True))
    shared = panel.is_holiday.min(axis=0)
    holidays = [
        panel.is_holiday[first_row[location]] if location in first_row else shared
        for location in attributes["location"].to_list()
    ]
    return replace(
        panel,
        series=attributes.select(panel.series.columns).cast(panel.series.schema),
        sales_units=unknown,
        stockout_share=unknown.copy(),
        unit_price=np.repeat(price[:, None], panel.n_periods, axis=1),
        is_promoted=np.zeros(shape, dtype=np.float32),
        is_holiday=np.array(holidays, dtype=np.float32).reshape(shape),
        in_stock_demand_share=None,
    )


def join_panels(one: DemandPanel, other: DemandPanel) -> DemandPanel:
    """Return the series of two panels of one grid, those of `one` first.

    Raises:
        ValueError: the grids differ.
    """
    grids = [(panel.start, panel.frequency, panel.observed_periods, panel.n_periods) for panel in (one, other)]
    if grids[0] != grids[1]:
        raise ValueError(f"panels must share one grid, got {grids[0]} and {grids[1]}")
    return replace(
        one,
        series=pl.concat([one.series, other.series]),
        sales_units=np.concatenate([one.sales_units, other.sales_units]),
        stockout_share=np.concatenate([one.stockout_share, other.stockout_share]),
        unit_price=np.concatenate([one.unit_price, other.unit_price]),
        is_promoted=np.concatenate([one.is_promoted, other.is_promoted]),
        is_holiday=np.concatenate([one.is_holiday, other.is_holiday]),
        in_stock_demand_share=_joined_shares(one, other),
    )


def _joined_shares(one: DemandPanel, other: DemandPanel) -> FloatArray | None:
    """Return the in-stock demand shares of both, NaN where one of them knows none."""
    shares = [one.in_stock_demand_share, other.in_stock_demand_share]
    if all(share is None for share in shares):
        return None
    unknown = [np.full(panel.sales_units.shape, np.nan, dtype=np.float32) for panel in (one, other)]
    return np.concatenate([blank if share is None else share for share, blank in zip(shares, unknown, strict=True)])


def sorted_rows(series: pl.DataFrame) -> NDArray[np.intp]:
    """Return the rows of a panel's series in order of sku, then location."""
    rows: NDArray[np.intp] = series.with_row_index("row").sort("sku", "location")["row"].to_numpy().astype(np.intp)
    return rows
