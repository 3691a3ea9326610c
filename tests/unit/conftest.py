"""Small made-up data sets in the compact layouts, as their publishers' files hold them."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

N_DAYS = 40
WEEK = np.array([1.0, 0.8, 0.9, 1.0, 1.6, 2.2, 0.6])


@contextmanager
def no_progress(_description):
    yield lambda _done, _total: None


@pytest.fixture
def silent():
    """Return what shows no progress."""
    return no_progress


def fresh_daily(n_stores=4, n_products=6, n_days=N_DAYS, seed=3):
    """Return daily_train: a weekly pattern, activities that raise sales, stockouts that cut them off."""
    rng = np.random.default_rng(seed)
    n_series, day = n_stores * n_products, np.arange(n_days)
    activity = (rng.random((n_series, n_days)) < 0.25).astype(int)
    level = rng.uniform(0.5, 3, (n_series, 1))
    demand = rng.gamma(8, level * WEEK[day % 7] * (1 + activity) / 8)
    is_out = rng.random((n_series, n_days)) < 0.3
    # Hours 18 to 23 without stock; hour 2 alone is no selling hour.
    mask = np.where(is_out, sum(1 << hour for hour in range(18, 24)), 1 << 2)
    return pl.DataFrame(
        {
            "series_id": np.repeat(np.arange(n_series), n_days).astype(np.int32),
            "day": np.tile(day, n_series).astype(np.uint8),
            "sale_amount_x100": np.rint(np.where(is_out, demand * 0.7, demand) * 100).astype(np.int16).reshape(-1),
            "stockout_mask": mask.astype(np.int32).reshape(-1),
            "discount_x1000": np.where(activity, 800, 1000).astype(np.int16).reshape(-1),
            "activity_flag": activity.astype(np.int8).reshape(-1),
        }
    )


@pytest.fixture
def write_freshretailnet(tmp_path):
    """Return a function that writes the layout's files and returns their folder."""

    def write(name="fresh", *, daily=None, calendar_days=N_DAYS + 14):
        folder = tmp_path / name
        folder.mkdir()
        daily = fresh_daily() if daily is None else daily
        ids = np.arange(daily["series_id"].n_unique())
        series = pl.DataFrame(
            {
                "series_id": ids.astype(np.int32),
                "city_id": (ids // 12).astype(np.int16),
                "store_id": (ids // 6).astype(np.int16),
                "management_group_id": np.zeros(len(ids), dtype=np.int16),
                "first_category_id": (ids % 6 // 3).astype(np.int16),
                "second_category_id": (ids % 6 // 2).astype(np.int16),
                "third_category_id": (ids % 6).astype(np.int16),
                # Descending within a store, so that the file's order is not the panel's.
                "product_id": (100 - ids % 6).astype(np.int16),
            }
        )
        stores, day = series["store_id"].n_unique(), np.arange(calendar_days)
        calendar = pl.DataFrame(
            {
                "store_id": np.repeat(np.arange(stores), calendar_days).astype(np.int16),
                "day": np.tile(day, stores).astype(np.uint8),
                "holiday_flag": np.tile(day % 7 >= 5, stores).astype(np.int8),
            }
        )
        daily.write_parquet(folder / "daily_train.parquet")
        series.write_parquet(folder / "series.parquet")
        calendar.write_parquet(folder / "calendar_holidays.parquet")
        return folder

    return write


@pytest.fixture
def write_hourly():
    """Return a function that writes the layout's hourly sales: every series' days, spread over the hours in stock.

    Hours 6 to 17 hold twice as much as hours 18 to 21 each; other hours hold nothing.
    """

    def write(folder):
        daily = pl.read_parquet(folder / "daily_train.parquet")
        profile = np.zeros(24)
        profile[6:18], profile[18:22] = 2, 1
        in_stock = (daily["stockout_mask"].to_numpy()[:, None] >> np.arange(24) & 1) == 0
        share = in_stock * profile
        units = daily["sale_amount_x100"].to_numpy()[:, None] * share / share.sum(axis=1, keepdims=True)
        hours = {f"h{hour:02d}": units[:, hour] for hour in range(24)}
        daily.select("series_id", "day").with_columns(
            **{name: pl.Series(values) for name, values in hours.items()}
        ).write_parquet(folder / "hourly_train_sample.parquet")

    return write


@pytest.fixture
def write_planned(tmp_path):
    """Return a function that writes a plan of the 14 days after the data."""

    def write(name="planned.parquet", *, activity=0, first_day=N_DAYS, n_days=14, n_series=24):
        frame = pl.DataFrame(
            {
                "series_id": np.repeat(np.arange(n_series), n_days),
                "day": np.tile(np.arange(first_day, first_day + n_days), n_series),
                "discount_x1000": np.full(n_series * n_days, 800 if activity else 1000),
                "activity_flag": np.full(n_series * n_days, activity),
            }
        )
        path = tmp_path / name
        frame.write_csv(path) if name.endswith(".csv") else frame.write_parquet(path)
        return path

    return write


@pytest.fixture
def write_m5(tmp_path):
    """Return a function that writes the layout's files and returns their folder."""

    def write(name="m5", *, n_days=63, change=lambda units: units, price_weeks=None):
        folder = tmp_path / name
        folder.mkdir()
        rng = np.random.default_rng(5)
        items, stores = [f"FOODS_1_{n:03d}" for n in range(1, 9)], ["TX_1", "CA_1"]
        keys = [(item, store) for store in stores for item in items]
        first, day = 1886, np.arange(n_days)
        units = rng.poisson(rng.uniform(0.5, 5, (len(keys), 1)) * WEEK[day % 7])
        units = change(units)
        weeks = 100 + np.arange(n_days + 28) // 7
        dates = [date(2016, 3, 28) + timedelta(days=int(n)) for n in range(n_days + 28)]
        calendar = pl.DataFrame(
            {
                "date": dates,
                "wm_yr_wk": weeks,
                "d": [f"d_{first + n}" for n in range(n_days + 28)],
                "event_name_1": [("Easter" if n == 20 else None) for n in range(n_days + 28)],
                "event_name_2": pl.Series([None] * (n_days + 28), dtype=pl.String),
                "snap_CA": [int(n % 10 == 0) for n in range(n_days + 28)],
                "snap_TX": [int(n % 10 == 1) for n in range(n_days + 28)],
                "snap_WI": [0] * (n_days + 28),
            }
        )
        calendar.write_csv(folder / "calendar.csv")
        series = pl.DataFrame(
            {
                "id": [f"{item}_{store}" for item, store in keys],
                "item_id": [item for item, _ in keys],
                "dept_id": ["FOODS_1"] * len(keys),
                "cat_id": ["FOODS"] * len(keys),
                "store_id": [store for _, store in keys],
                "state_id": [store[:2] for _, store in keys],
                "weight_level12": np.full(len(keys), 1 / len(keys)),
                "rmsse_scale_d1_d1913": rng.uniform(1, 4, len(keys)),
                "rmsse_scale_d1_d1941_approx": rng.uniform(1, 4, len(keys)),
                "first_price_wm_yr_wk": np.full(len(keys), 100, dtype=np.int32),
            }
        )
        series.write_parquet(folder / "series.parquet")
        wide = {f"d_{first + n}": units[:, n].astype(np.int16) for n in range(n_days)}
        pl.DataFrame({"id": series["id"]} | wide).write_parquet(folder / "sales_d1886_d1941.parquet")
        known_weeks = np.unique(weeks)[:price_weeks]
        prices = pl.DataFrame(
            {
                "series_row": np.repeat(np.arange(len(keys)), len(known_weeks)).astype(np.int16),
                "wm_yr_wk": np.tile(known_weeks, len(keys)).astype(np.int16),
                "sell_price_cents": np.tile(200 + known_weeks, len(keys)).astype(np.int32),
            }
        )
        prices.write_parquet(folder / "sell_prices.parquet")
        return folder

    return write
