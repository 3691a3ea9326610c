"""FreshRetailNet-50K in its compact layout: daily sales of fresh food with hourly stockout flags.

Source: Wang et al. 2025, "FreshRetailNet-50K", arXiv:2505.16319 (CC BY 4.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.sources.columnar import read_columns
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import LINE, RawTable, build_raw_table
from restock.errors import DataError
from restock.forecasting.intraday import fit_intraday_profiles, in_stock_demand_share
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES

FILES = ("daily_train.parquet", "series.parquet", "calendar_holidays.parquet")
# Sales by the hour, of some of the series: where it is there, it tells when in the day demand comes.
HOURLY_FILE = "hourly_train_sample.parquet"

# Day 0 of the layout.
FIRST_DAY = date(2024, 3, 28)
# Bit h of the mask is set where hour h was without stock; the publisher counts hours 6 to 21, when stores sell.
_SELLING_HOURS_MASK = 0x3FFFC0
FIRST_SELLING_HOUR = 6
SELLING_HOURS = 16
# Whose days share a profile: products of one kind sell at like hours, more so than the products of one store.
PROFILE_GROUP = "third_category_id"


def read_freshretailnet(files: Mapping[str, Path]) -> tuple[RawTable, ...]:
    """Return sales, products, locations and calendar.

    `units_sold` is the publisher's normalised amount, not pieces. `unit_price` is the publisher's price factor (1 =
    list price, no currency): the layout has no prices. `stockout_share`: share of the hours 6 to 21 without stock.
    `in_stock_demand_share`: what the hours of 6 to 21 with stock usually hold of the demand of these hours, by the
    profile of the third category; null without `HOURLY_FILE`.

    Args:
        files: path by name, for each of `FILES`; `HOURLY_FILE` where there is one.

    Raises:
        DataError: a file can't be read or lacks a column, or a series is not described.
    """
    series = read_columns(files["series.parquet"], file="series.parquet")
    mapping = SourceMapping()
    return (
        build_raw_table(_sales(files, series), SALES, mapping=mapping, file="daily_train.parquet"),
        build_raw_table(_products(series), PRODUCTS, mapping=mapping, file="series.parquet"),
        build_raw_table(_locations(series), LOCATIONS, mapping=mapping, file="series.parquet"),
        build_raw_table(_calendar(files), CALENDAR, mapping=mapping, file="calendar_holidays.parquet"),
    )


def _sku() -> pl.Expr:
    return pl.format("P{}", "product_id").alias("sku")


def _location() -> pl.Expr:
    return pl.format("S{}", "store_id").alias("location")


def _date() -> pl.Expr:
    return (pl.lit(FIRST_DAY) + pl.duration(days=pl.col("day").cast(pl.Int64))).alias("date")


def _sales(files: Mapping[str, Path], series: pl.DataFrame) -> pl.DataFrame:
    """Return one row a series and day; LINE is the row of daily_train.parquet."""
    columns = ["series_id", "day", "sale_amount_x100", "stockout_mask", "discount_x1000", "activity_flag"]
    daily = read_columns(files["daily_train.parquet"], file="daily_train.parquet", columns=columns)
    names = series.select("series_id", _sku(), _location())
    joined = daily.join(names, on="series_id", how="left", maintain_order="left")
    unknown = joined.filter(pl.col("sku").is_null())
    if unknown.height:
        raise DataError(
            f"daily_train.parquet: {unknown.height} rows have a series_id that series.parquet lacks, the first is "
            f"{unknown['series_id'][0]} in row {unknown[LINE][0]}. Take both files from the same copy."
        )
    hours = pl.col("stockout_mask").and_(_SELLING_HOURS_MASK).bitwise_count_ones()
    if HOURLY_FILE in files:
        joined = joined.with_columns(in_stock_demand_share=_demand_shares(joined, files[HOURLY_FILE], series))
    else:
        joined = joined.with_columns(in_stock_demand_share=pl.lit(None, dtype=pl.Float64))
    return joined.select(
        LINE,
        "sku",
        "location",
        _date(),
        units_sold=pl.col("sale_amount_x100") / 100,
        unit_price=pl.col("discount_x1000") / 1000,
        is_promoted=pl.col("activity_flag") == 1,
        stockout_share=hours / SELLING_HOURS,
        in_stock_demand_share="in_stock_demand_share",
    )


def _demand_shares(daily: pl.DataFrame, hourly_file: Path, series: pl.DataFrame) -> pl.Series:
    """Return the share of every day's usual demand that its selling hours with stock hold.

    Raises:
        DataError: the hourly file can't be read or lacks a column.
    """
    names = [f"h{hour:02d}" for hour in range(FIRST_SELLING_HOUR, FIRST_SELLING_HOUR + SELLING_HOURS)]
    hourly = read_columns(hourly_file, file=HOURLY_FILE, columns=["series_id", "day", *names])
    kinds = series.select("series_id", group=pl.col(PROFILE_GROUP).rank("dense").cast(pl.Int64) - 1)
    whole_days = hourly.join(
        daily.filter(pl.col("stockout_mask").and_(_SELLING_HOURS_MASK) == 0).select("series_id", "day"),
        on=["series_id", "day"],
        how="semi",
    ).join(kinds, on="series_id", how="inner")
    profiles = fit_intraday_profiles(
        whole_days.select(names).to_numpy().astype(np.float64) / 100,
        group=whole_days["group"].to_numpy(),
        n_groups=int(kinds["group"].max() or 0) + 1,  # type: ignore[arg-type]  # an integer column
    )
    group = daily.select("series_id").join(kinds, on="series_id", how="left", maintain_order="left")["group"].to_numpy()
    return pl.Series(in_stock_demand_share(_hours_in_stock(daily["stockout_mask"]), profiles, group=group))


def _hours_in_stock(masks: pl.Series) -> NDArray[np.bool_]:
    """Return whether each selling hour had stock; shape (n_days, SELLING_HOURS)."""
    hours = np.arange(FIRST_SELLING_HOUR, FIRST_SELLING_HOUR + SELLING_HOURS, dtype=np.int32)
    bits: NDArray[np.bool_] = (masks.to_numpy()[:, None] >> hours) & 1 == 0
    return bits


def _products(series: pl.DataFrame) -> pl.DataFrame:
    """Return one row a product; where series disagree on its categories the first one counts."""
    levels = pl.format("{} > {} > {}", "first_category_id", "second_category_id", "third_category_id")
    return series.unique("product_id", keep="first", maintain_order=True).select(
        LINE, _sku(), name=pl.format("product {}", "product_id"), category_path=levels
    )


def _locations(series: pl.DataFrame) -> pl.DataFrame:
    return series.unique("store_id", keep="first", maintain_order=True).select(
        LINE, _location(), region=pl.format("C{}", "city_id"), kind=pl.lit("store")
    )


def _calendar(files: Mapping[str, Path]) -> pl.DataFrame:
    columns = ["store_id", "day", "holiday_flag"]
    days = read_columns(files["calendar_holidays.parquet"], file="calendar_holidays.parquet", columns=columns)
    return days.select(LINE, _date(), _location(), is_holiday=pl.col("holiday_flag") == 1)
