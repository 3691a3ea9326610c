"""The Walmart series of the M5 layout: sales, coming prices, food stamp days, and what the competition scales by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.sources.columnar import read_columns
from restock.adapters.sources.m5 import FILES
from restock.adapters.sources.requests import SourceFormat
from restock.benchmarks.layout_panel import in_file_order, read_layout_columns, read_layout_panel
from restock.errors import DataError
from restock.forecasting.panel import DemandPanel
from restock.params import Params

HORIZON_DAYS = 28
# Mean squared day-to-day difference of each series from its first sale on, by the last day that it covers.
SCALE_COLUMNS = {1913: "rmsse_scale_d1_d1913", 1941: "rmsse_scale_d1_d1941_approx"}

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class WalmartSeries:
    """What the files hold, series in the order of the files.

    Attributes:
        panel: history, with the prices of the coming weeks.
        ids: the competition's name of each series.
        last_day: number of the last observed day, such as 1941.
        scales: by the last day that it covers, shape (n_series,), units squared.
        groups: columns `store_department`, `department`, `item` and `item_state`, codes from 0, one row a series.
        is_snap: shape (n_store_departments, n_days): food stamps are paid out in its state; coming days too.
    """

    panel: DemandPanel
    ids: list[str]
    last_day: int
    scales: dict[int, Floats]
    groups: pl.DataFrame
    is_snap: NDArray[np.bool_]

    def scale_at(self, last_day: int) -> Floats:
        """Return the latest scale that holds nothing after a day, units squared.

        Raises:
            DataError: every one covers a later day.
        """
        known = [day for day in self.scales if day <= last_day]
        if not known:
            raise DataError(
                f"series.parquet: no scale up to d_{last_day}, expected one of {', '.join(SCALE_COLUMNS.values())} "
                "that ends by then. Give more days of sales."
            )
        return self.scales[max(known)]


def read_walmart(data: Path, params: Params) -> WalmartSeries:
    """Return the series of a folder in the compact M5 layout.

    Raises:
        DataError: a file is missing or does not hold what the layout says, or calendar or prices end too early.
    """
    panel = read_layout_panel(data, params, source_format=SourceFormat.M5)
    series = read_layout_columns(
        data / "series.parquet", ["id", "item_id", "store_id", "dept_id", "state_id", *SCALE_COLUMNS.values()]
    )
    scales = {day: series[name].cast(pl.Float64).to_numpy() for day, name in SCALE_COLUMNS.items()}
    for day, scale in scales.items():
        if scale.min() <= 0:
            raise DataError(
                f"series.parquet: column {SCALE_COLUMNS[day]!r} holds {scale.min()}, expected values above 0."
            )
    names = series.select(sku="item_id", location="store_id")
    groups = series.select(
        store_department=_code("store_id", "dept_id"),
        department=_code("dept_id"),
        item=_code("item_id"),
        item_state=_code("item_id", "state_id"),
        state="state_id",
    )
    panel = in_file_order(panel, names, file="series.parquet")
    days = [
        int(name.removeprefix("d_"))
        for name in read_columns(data / FILES[0], file=FILES[0]).columns
        if name[:2] == "d_"
    ]
    last_day = max(days)
    return WalmartSeries(
        panel=_with_coming_prices(panel, data, last_day=last_day),
        ids=series["id"].to_list(),
        last_day=last_day,
        scales=scales,
        groups=groups,
        is_snap=_read_snap_days(data, groups, last_day=last_day, n_days=panel.observed_periods + HORIZON_DAYS),
    )


def units_sold(panel: DemandPanel) -> Floats:
    """Return the observed sales, 0 before a series is on sale, as the competition counts it."""
    return np.nan_to_num(panel.sales_units[:, : panel.observed_periods].astype(np.float64))


def _read_snap_days(data: Path, groups: pl.DataFrame, *, last_day: int, n_days: int) -> NDArray[np.bool_]:
    """Return on which days food stamps are paid out for each store and department, up to the last day to forecast."""
    wanted = [f"d_{day}" for day in range(last_day + HORIZON_DAYS - n_days + 1, last_day + HORIZON_DAYS + 1)]
    calendar = pl.read_csv(data / "calendar.csv").filter(pl.col("d").is_in(wanted))
    states = groups.group_by("store_department").agg(pl.col("state").first()).sort("store_department")["state"]
    return np.stack([calendar[f"snap_{state}"].cast(pl.Int64).to_numpy() == 1 for state in states])


def _with_coming_prices(panel: DemandPanel, data: Path, *, last_day: int) -> DemandPanel:
    """Return the panel with the prices of the days to forecast; where a series has none, the last one stays."""
    calendar = pl.read_csv(data / "calendar.csv", columns=["d", "wm_yr_wk"])
    coming = pl.DataFrame({"d": [f"d_{last_day + ahead}" for ahead in range(1, HORIZON_DAYS + 1)]}).join(
        calendar, on="d", how="inner", maintain_order="left"
    )
    if coming.height < HORIZON_DAYS:
        raise DataError(f"calendar.csv holds {coming.height} of the days after d_{last_day}, expected {HORIZON_DAYS}.")
    prices = read_layout_columns(data / "sell_prices.parquet", ["series_row", "wm_yr_wk", "sell_price_cents"])
    last_week, needed_week = (int(frame["wm_yr_wk"].to_numpy().max(initial=0)) for frame in (prices, coming))
    if last_week < needed_week:
        raise DataError(f"sell_prices.parquet ends in week {last_week}, expected {needed_week} or later.")
    planned = coming.with_row_index("ahead").join(
        prices.with_columns(pl.col("wm_yr_wk").cast(pl.Int64)), on="wm_yr_wk", how="inner"
    )
    unit_price = panel.unit_price.copy()
    columns = panel.observed_periods + planned["ahead"].to_numpy().astype(np.intp)
    unit_price[planned["series_row"].to_numpy().astype(np.intp), columns] = planned["sell_price_cents"].to_numpy() / 100
    return replace(panel, unit_price=unit_price)


def _code(*columns: str) -> pl.Expr:
    return pl.struct(*columns).rank("dense") - 1
