"""The plan of the coming days: exactly the series and days asked for, or refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from restock.benchmarks.planned_days import read_planned_days
from restock.errors import DataError
from tests.unit.conftest import N_DAYS

IDS = np.arange(24)


def read(path):
    return read_planned_days(path, series_ids=IDS, first_day=N_DAYS, n_days=14)


@pytest.mark.parametrize("name", ["plan.parquet", "plan.csv"])
def test_read_planned_days_in_any_row_order_gives_series_by_day(name, write_planned):
    path = write_planned(name)
    frame = pl.read_csv(path) if name.endswith(".csv") else pl.read_parquet(path)
    last_cell = (pl.col("series_id") == 23) & (pl.col("day") == N_DAYS + 13)
    frame = frame.with_columns(
        discount_x1000=pl.when(last_cell).then(750).otherwise("discount_x1000"),
        activity_flag=pl.when(last_cell).then(1).otherwise("activity_flag"),
    ).reverse()
    frame.write_csv(path) if name.endswith(".csv") else frame.write_parquet(path)
    plan = read(path)
    assert plan.price_factor.shape == (24, 14)
    assert plan.price_factor[23, 13] == pytest.approx(0.75)
    assert plan.is_promoted.sum() == plan.is_promoted[23, 13] == 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda plan: plan.with_columns(pl.col("day") + 1), r"plans days 41 to 54 \(14 days\), expected 40 to 53"),
        (lambda plan: plan.filter(pl.col("day") < 50), r"plans days 40 to 49 \(10 days\), expected 40 to 53"),
        (lambda plan: plan.clear(), "plans days none, expected 40 to 53"),
        (lambda plan: plan.head(-1), "plans series 23 on day 53 0 times, expected every series and day once"),
        (lambda plan: pl.concat([plan, plan.head(1)]), "plans series 0 on day 40 2 times"),
        (lambda plan: plan.with_columns(pl.col("series_id") + 1), "plans series 24, which series.parquet lacks"),
        (lambda plan: plan.drop("activity_flag"), "lacks activity_flag, expected the columns series_id"),
        (lambda plan: plan.with_columns(day=pl.lit("Monday")), "can't be read as a plan"),
        (
            lambda plan: plan.with_columns(discount_x1000=pl.when(pl.col("day") > 40).then("discount_x1000")),
            "column 'discount_x1000' has 24 empty values",
        ),
    ],
)
def test_read_planned_days_that_do_not_fit_are_refused(spoil, message, write_planned):
    path = write_planned()
    spoil(pl.read_parquet(path)).write_parquet(path)
    with pytest.raises(DataError, match=message):
        read(path)


def test_read_planned_days_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"plan.parquet can't be read as a plan"):
        read(tmp_path / "plan.parquet")
