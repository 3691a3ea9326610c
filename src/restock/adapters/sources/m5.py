"""M5 (Walmart) in its compact layout: the last weeks of units, all prices, the calendar with events and SNAP days."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from restock.adapters.sources.columnar import read_columns
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import LINE, RawTable, build_raw_table
from restock.errors import DataError
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES

FILES = ("sales_d1886_d1941.parquet", "series.parquet", "sell_prices.parquet", "calendar.csv")
_SALES_FILE = FILES[0]
SNAP_EVENT = "SNAP"


def read_m5(files: Mapping[str, Path]) -> tuple[RawTable, ...]:
    """Return sales, products, locations and calendar.

    A series' weeks before its first price are left out: the article was not on sale. Any event of the calendar counts
    as a holiday; SNAP days (food aid is paid out, per state) are events of the stores concerned and no holidays.

    Args:
        files: path by name, for each of `FILES`.

    Raises:
        DataError: a file can't be read or lacks a column, or the files don't fit together.
    """
    series = read_columns(files["series.parquet"], file="series.parquet").with_columns(
        series_row=pl.col(LINE) - 1, sku=pl.col("item_id"), location=pl.col("store_id")
    )
    days = read_days(files)
    mapping = SourceMapping()
    return (
        build_raw_table(_sales(files, series, days=days), SALES, mapping=mapping, file=_SALES_FILE),
        build_raw_table(list_products(series), PRODUCTS, mapping=mapping, file="series.parquet"),
        build_raw_table(list_locations(series), LOCATIONS, mapping=mapping, file="series.parquet"),
        build_raw_table(list_calendar(days, series), CALENDAR, mapping=mapping, file="calendar.csv"),
    )


def read_days(files: Mapping[str, Path]) -> pl.DataFrame:
    """Return the calendar; LINE is the line of calendar.csv."""
    try:
        days = pl.read_csv(files["calendar.csv"], try_parse_dates=True, row_index_name=LINE, row_index_offset=2)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"calendar.csv can't be read: {error}.") from error
    return days.with_columns(pl.col(LINE).cast(pl.Int64), pl.col("wm_yr_wk").cast(pl.Int32))


def _sales(files: Mapping[str, Path], series: pl.DataFrame, *, days: pl.DataFrame) -> pl.DataFrame:
    """Return one row a series and day on sale; LINE is the row of the file, which holds a series."""
    wide = read_columns(files[_SALES_FILE], file=_SALES_FILE)
    if wide["id"].to_list() != series["id"].to_list():
        raise DataError(f"{_SALES_FILE} and series.parquet hold other series. Take both files from the same copy.")
    prices = read_columns(files["sell_prices.parquet"], file="sell_prices.parquet").select(
        pl.col("series_row").cast(pl.Int64), pl.col("wm_yr_wk").cast(pl.Int32), "sell_price_cents"
    )
    attributes = series.select("series_row", "sku", "location", first_week=pl.col("first_price_wm_yr_wk"))
    named = wide.drop("id").with_columns(series_row=pl.col(LINE) - 1).join(attributes, on="series_row")
    return unfold_sales(named, days=days, prices=prices)


def unfold_sales(wide: pl.DataFrame, *, days: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """Return wide sales as one row a series and day on sale: the weeks before a series' first price are left out.

    Args:
        wide: LINE, `series_row`, `sku`, `location`, `first_week` and a column of units for each day `d_N`.
        days: `d`, `date` and `wm_yr_wk` of every day.
        prices: `series_row`, `wm_yr_wk` and `sell_price_cents`.
    """
    attributes = wide.select(LINE, "series_row", "sku", "location", pl.col("first_week").cast(pl.Int32))
    weeks = days.filter(pl.col("d").is_in(wide.columns)).select("d", "date", "wm_yr_wk")
    return (
        wide.unpivot(weeks["d"].to_list(), index=LINE, variable_name="d", value_name="units_sold")
        .join(weeks, on="d", how="inner")
        .join(attributes, on=LINE, how="inner")
        .filter(pl.col("wm_yr_wk") >= pl.col("first_week"))
        .join(prices, on=["series_row", "wm_yr_wk"], how="left")
        .sort("series_row", "date")
        .select(LINE, "sku", "location", "date", "units_sold", unit_price=pl.col("sell_price_cents") / 100)
    )


def list_products(series: pl.DataFrame) -> pl.DataFrame:
    """Return one row an article, with its category and department."""
    return series.unique("item_id", keep="first", maintain_order=True).select(
        LINE, "sku", name="item_id", category_path=pl.format("{} > {}", "cat_id", "dept_id")
    )


def list_locations(series: pl.DataFrame) -> pl.DataFrame:
    """Return one row a store, with its state."""
    return series.unique("store_id", keep="first", maintain_order=True).select(
        LINE, "location", region="state_id", kind=pl.lit("store")
    )


def list_calendar(days: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    """Return the events that hold everywhere and the SNAP days of each store."""
    event = pl.concat_str("event_name_1", "event_name_2", separator=" / ", ignore_nulls=True).replace("", None)
    everywhere = days.select(
        LINE, "date", location=pl.lit(""), is_holiday=pl.col("event_name_1").is_not_null(), event=event
    )
    snap = (
        days.unpivot(["snap_CA", "snap_TX", "snap_WI"], index=[LINE, "date"], variable_name="state_id")
        .filter(pl.col("value") == 1)
        .with_columns(pl.col("state_id").str.strip_prefix("snap_"))
    )
    stores = series.select("location", "state_id").unique(maintain_order=True)
    local = snap.join(stores, on="state_id").sort(LINE, "location")
    snap_days = local.select(LINE, "date", "location", is_holiday=pl.lit(False), event=pl.lit(SNAP_EVENT))  # noqa: FBT003
    return pl.concat([everywhere, snap_days])
