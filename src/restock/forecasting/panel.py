"""Sales as a dense panel: one row a series, one column a period, so that features are array operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import DataError
from restock.timeline import Frequency, add_periods, period_index

FloatArray = NDArray[np.float32]

CATEGORY_SEPARATOR = " > "
# A holiday further away than this has no pull on sales. The grid reaches as far beyond the horizon, so that a forecast
# sees the holidays just after it as a back-test does.
HOLIDAY_REACH_PERIODS = 14
SERIES_COLUMNS = ("sku", "location", "category", "subcategory", "region", "list_price")


@dataclass(frozen=True, kw_only=True)
class DemandPanel:
    """Sales of many series on one regular grid, with what is known ahead beyond the last observed period.

    Attributes:
        series: one row a series in array order, columns `SERIES_COLUMNS`; unknown text is "", unknown price null.
        start: first period of the grid.
        frequency: length of one period.
        observed_periods: how many periods from `start` hold observations; columns after that are plans.
        sales_units: shape (n_series, n_periods), units; NaN before a series' first sale and after the last observed
            period. A period without a row between the two is a zero.
        stockout_share: same shape, 0-1; NaN means unknown.
        unit_price: same shape, currency per unit; filled forward, by the list price before the first one; NaN where
            neither is known. After the observed periods: the plan, or the last price.
        is_promoted: same shape, 0 or 1. After the observed periods: the plan, or 0.
        is_holiday: same shape, 0 or 1.
        in_stock_demand_share: same shape, 0-1: share of a period's usual demand that falls into its time with stock;
            NaN where only the share of the time is known. None: nowhere known.
    """

    series: pl.DataFrame
    start: date
    frequency: Frequency
    observed_periods: int
    sales_units: FloatArray
    stockout_share: FloatArray
    unit_price: FloatArray
    is_promoted: FloatArray
    is_holiday: FloatArray
    in_stock_demand_share: FloatArray | None = None

    @property
    def n_series(self) -> int:
        """How many series there are."""
        return int(self.sales_units.shape[0])

    @property
    def n_periods(self) -> int:
        """How many periods the grid has, planned ones included."""
        return int(self.sales_units.shape[1])

    @property
    def last_observed(self) -> date:
        """The last period with observations."""
        return self.date_of(self.observed_periods - 1)

    def date_of(self, index: int) -> date:
        """Return the first day of the period at `index`."""
        return add_periods(self.start, index, frequency=self.frequency)

    def index_of(self, day: date) -> int:
        """Return the index of the period that begins on `day`; it may lie outside the grid."""
        return period_index(day, self.start, frequency=self.frequency)

    def demand_share_in_stock(self) -> FloatArray:
        """Return the share of each period's usual demand that falls into its time with stock, 0-1; NaN is unknown.

        Where only the share of the time is known, demand counts as spread evenly over it.
        """
        even = 1 - self.stockout_share
        if self.in_stock_demand_share is None:
            return even
        return np.where(np.isnan(self.in_stock_demand_share), even, self.in_stock_demand_share)

    def select(self, rows: NDArray[np.intp]) -> DemandPanel:
        """Return the panel of the series at `rows`, in that order."""
        return replace(
            self,
            series=self.series[rows],
            sales_units=self.sales_units[rows],
            stockout_share=self.stockout_share[rows],
            unit_price=self.unit_price[rows],
            is_promoted=self.is_promoted[rows],
            is_holiday=self.is_holiday[rows],
            in_stock_demand_share=None if self.in_stock_demand_share is None else self.in_stock_demand_share[rows],
        )

    def observed_until(self, cutoff: date) -> DemandPanel:
        """Return the panel as it was known at the end of `cutoff`: later sales and stockouts are NaN.

        Prices, promotions and holidays after the cutoff stay, as the plan; `FeatureParams.known_ahead` decides whether
        a family may read them.

        Raises:
            ValueError: `cutoff` lies outside the observed periods.
        """
        keep = self.index_of(cutoff) + 1
        if not 1 <= keep <= self.observed_periods:
            raise ValueError(f"cutoff {cutoff} lies outside the observed periods {self.start} to {self.last_observed}")
        sales, stockout = self.sales_units.copy(), self.stockout_share.copy()
        sales[:, keep:] = np.nan
        stockout[:, keep:] = np.nan
        known = replace(self, observed_periods=keep, sales_units=sales, stockout_share=stockout)
        if self.in_stock_demand_share is None:
            return known
        in_stock = self.in_stock_demand_share.copy()
        in_stock[:, keep:] = np.nan
        return replace(known, in_stock_demand_share=in_stock)

    def extended(self, horizon: int) -> DemandPanel:
        """Return the panel with the grid long enough for `horizon` periods after the last observed one.

        Added periods have the last price, no promotion and no holiday.
        """
        missing = self.observed_periods + horizon - self.n_periods
        if missing <= 0:
            return self

        def padded(values: FloatArray, fill: FloatArray | float) -> FloatArray:
            tail = np.empty((self.n_series, missing), dtype=np.float32)
            tail[:] = fill
            return np.concatenate([values, tail], axis=1)

        return replace(
            self,
            sales_units=padded(self.sales_units, np.nan),
            stockout_share=padded(self.stockout_share, np.nan),
            unit_price=padded(self.unit_price, self.unit_price[:, -1:]),
            is_promoted=padded(self.is_promoted, 0.0),
            is_holiday=padded(self.is_holiday, 0.0),
            in_stock_demand_share=None
            if self.in_stock_demand_share is None
            else padded(self.in_stock_demand_share, np.nan),
        )


def build_demand_panel(
    sales: pl.DataFrame,
    products: pl.DataFrame,
    *,
    locations: pl.DataFrame,
    calendar: pl.DataFrame,
    frequency: Frequency,
    horizon: int,
) -> DemandPanel:
    """Return the panel of every (sku, location) in `sales`, sorted by sku then location.

    Args:
        sales: table `sales`, at least one row, keys unique.
        products: table `products`; a sku without a row gets empty categories.
        locations: table `locations`; a location without a row gets an empty region.
        calendar: table `calendar`; rows beyond the last sale are what is known ahead.
        frequency: length of one period; every date must lie on its grid.
        horizon: periods to forecast; the grid extends them and `HOLIDAY_REACH_PERIODS` beyond the last observed one.

    Raises:
        DataError: `sales` is empty, or a date lies off the grid.
    """
    if sales.is_empty():
        raise DataError("table sales has no rows, expected at least one. Ingest sales first: restock ingest --help.")
    start, last = _date_bounds(sales)
    columns = _columns_of(sales, start, frequency=frequency)
    observed_periods = period_index(last, start, frequency=frequency) + 1
    n_periods = observed_periods + horizon + HOLIDAY_REACH_PERIODS
    series = series_attributes(sales.select("sku", "location").unique(), products, locations=locations)
    places = series.select("sku", "location").with_row_index("row")
    keys = sales.select("sku", "location")
    rows = keys.join(places, on=["sku", "location"], how="left", maintain_order="left")["row"].to_numpy()

    def grid(name: str, fill: float) -> FloatArray:
        values = np.full((series.height, n_periods), fill, dtype=np.float32)
        values[rows, columns] = sales[name].cast(pl.Float32).fill_null(float("nan")).to_numpy()
        return values

    sales_units = grid("units_sold", 0.0)
    first_sale = np.full(series.height, n_periods, dtype=np.int64)
    np.minimum.at(first_sale, rows, columns)
    period = np.arange(n_periods)
    sales_units[(period < first_sale[:, None]) | (period >= observed_periods)] = np.nan
    unit_price = _filled_prices(grid("unit_price", np.nan), series["list_price"].to_numpy())
    return DemandPanel(
        series=series,
        start=start,
        frequency=frequency,
        observed_periods=observed_periods,
        sales_units=sales_units,
        stockout_share=grid("stockout_share", np.nan),
        unit_price=unit_price,
        is_promoted=np.nan_to_num(grid("is_promoted", 0.0)),
        is_holiday=_holiday_grid(calendar, series["location"], start=start, n_periods=n_periods, frequency=frequency),
        in_stock_demand_share=_known_grid(sales, grid),
    )


def _columns_of(sales: pl.DataFrame, start: date, *, frequency: Frequency) -> NDArray[np.int64]:
    """Return the index of each row's period.

    Raises:
        DataError: a date lies off the grid.
    """
    days = sales.select(days=(pl.col("date") - start).dt.total_days())["days"]
    off_grid = sales.filter(days % frequency.days != 0)
    if not off_grid.is_empty():
        raise DataError(
            f"{off_grid.height} sales rows lie off the {frequency} grid that begins on {start}, the first on "
            f"{off_grid['date'][0]}. Set params.yaml: forecasting.frequency to match the data."
        )
    columns: NDArray[np.int64] = days.to_numpy() // frequency.days
    return columns


def _known_grid(sales: pl.DataFrame, grid: Callable[[str, float], FloatArray]) -> FloatArray | None:
    """Return the grid of the in-stock demand shares, None where a source knows none."""
    name = "in_stock_demand_share"
    if name not in sales.columns or sales[name].null_count() == sales.height:
        return None
    return grid(name, np.nan)


def _date_bounds(sales: pl.DataFrame) -> tuple[date, date]:
    first, last = sales["date"].min(), sales["date"].max()
    if not isinstance(first, date) or not isinstance(last, date):
        raise DataError("table sales has no dates, expected one on every row.")
    return first, last


def series_attributes(keys: pl.DataFrame, products: pl.DataFrame, *, locations: pl.DataFrame) -> pl.DataFrame:
    """Return one row a series with its static attributes, columns `SERIES_COLUMNS`, sorted by sku then location.

    Args:
        keys: columns sku and location, unique.
        products: table `products`; a sku without a row gets empty categories.
        locations: table `locations`; a location without a row gets an empty region.
    """
    levels = pl.col("category_path").str.split(CATEGORY_SEPARATOR)
    catalogue = products.select(
        "sku",
        category=levels.list.get(0, null_on_oob=True),
        subcategory=levels.list.get(1, null_on_oob=True),
        list_price=pl.col("unit_price").cast(pl.Float32),
    )
    return (
        keys.select("sku", "location")
        .sort("sku", "location")
        .join(catalogue, on="sku", how="left")
        .join(locations.select("location", "region"), on="location", how="left")
        .with_columns(pl.col("category", "subcategory", "region").fill_null(""))
        .select(SERIES_COLUMNS)
        .sort("sku", "location")
    )


def _filled_prices(prices: FloatArray, list_price: NDArray[np.float32]) -> FloatArray:
    """Return prices filled forward, and by the list price before the first one; never backward, which would leak."""
    filled = pl.DataFrame(prices.T).fill_nan(None).fill_null(strategy="forward")
    values = filled.cast(pl.Float32).fill_null(float("nan")).to_numpy().T
    return np.where(np.isnan(values), list_price[:, None].astype(np.float32), values)


def _holiday_grid(
    calendar: pl.DataFrame, location: pl.Series, *, start: date, n_periods: int, frequency: Frequency
) -> FloatArray:
    """Return 1 where a period of a series' location holds a holiday."""
    values = np.zeros((location.len(), n_periods), dtype=np.float32)
    holidays = calendar.filter(pl.col("is_holiday")).with_columns(
        column=(pl.col("date") - start).dt.total_days() // frequency.days, location=pl.col("location").fill_null("")
    )
    holidays = holidays.filter(pl.col("column").is_between(0, n_periods - 1))
    everywhere = holidays.filter(pl.col("location") == "")["column"].to_numpy()
    values[:, everywhere] = 1.0
    local = (
        location.to_frame("location")
        .with_row_index("row")
        .join(holidays.select("location", "column"), on="location", how="inner")
    )
    values[local["row"].to_numpy(), local["column"].to_numpy()] = 1.0
    return values
