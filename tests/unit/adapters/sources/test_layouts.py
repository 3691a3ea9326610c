"""The two compact layouts, read from a slice of the real files."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from restock.adapters.sources import freshretailnet, m5
from restock.adapters.sources.formats import build_request
from restock.adapters.sources.raw_table import LINE
from restock.errors import DataError
from restock.operations.row_judgement import judge_rows

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
FRESHRETAILNET = DATA / "freshretailnet"
M5 = DATA / "m5_walmart_last8weeks"
TODAY = date(2026, 1, 1)

needs_freshretailnet = pytest.mark.skipif(not FRESHRETAILNET.is_dir(), reason=f"{FRESHRETAILNET} is not here")
needs_m5 = pytest.mark.skipif(not M5.is_dir(), reason=f"{M5} is not here")


@pytest.fixture
def freshretailnet_slice(tmp_path):
    for name in freshretailnet.FILES:
        frame = pl.scan_parquet(FRESHRETAILNET / name)
        rows = frame.filter(pl.col("series_id") < 30) if name != "calendar_holidays.parquet" else frame.head(180)
        rows.collect().write_parquet(tmp_path / name)
    return {name: tmp_path / name for name in freshretailnet.FILES}


@pytest.fixture
def m5_slice(tmp_path):
    n_series = 40
    for name in ("sales_d1886_d1941.parquet", "series.parquet"):
        pl.scan_parquet(M5 / name).head(n_series).collect().write_parquet(tmp_path / name)
    prices = pl.scan_parquet(M5 / "sell_prices.parquet").filter(pl.col("series_row") < n_series)
    prices.collect().write_parquet(tmp_path / "sell_prices.parquet")
    shutil.copy(M5 / "calendar.csv", tmp_path)
    return {name: tmp_path / name for name in m5.FILES}


def accepted(raws):
    judged = {raw.table.name: judge_rows(raw, today=TODAY) for raw in raws}
    assert all(item.n_rejected_rows == 0 for item in judged.values())
    return {name: item.accepted for name, item in judged.items()}


@needs_freshretailnet
def test_read_freshretailnet_slice_carries_the_files_values(freshretailnet_slice):
    tables = accepted(freshretailnet.read_freshretailnet(freshretailnet_slice))
    daily = pl.read_parquet(freshretailnet_slice["daily_train.parquet"])
    sales = tables["sales"]
    assert sales.height == daily.height == 30 * 76
    assert sales["units_sold"].sum() == pytest.approx(daily["sale_amount_x100"].sum() / 100, rel=1e-12)
    assert (sales["date"].min(), sales["date"].max()) == (date(2024, 3, 28), date(2024, 6, 11))
    # The first row of the file, counted by hand: mask 16776711 has 13 of the hours 6 to 21 set.
    assert sales.row(0) == ("P4", "S0", date(2024, 3, 28), 0.5, 0.882, True, 13 / 16, None)
    assert tables["products"].row(by_predicate=pl.col("sku") == "P4", named=True)["category_path"] == "29 > 78 > 82"
    assert set(tables["locations"]["region"]) == {"C0"}
    assert (
        tables["calendar"]["is_holiday"].sum()
        == 2
        * pl.read_parquet(freshretailnet_slice["calendar_holidays.parquet"])
        .filter(pl.col("store_id") == 0)["holiday_flag"]
        .sum()
    )


def test_read_freshretailnet_with_hourly_sales_weighs_the_hours_by_their_demand(write_freshretailnet, write_hourly):
    folder = write_freshretailnet()
    names = [*freshretailnet.FILES, freshretailnet.HOURLY_FILE]
    write_hourly(folder)
    sales = accepted(freshretailnet.read_freshretailnet({name: folder / name for name in names}))["sales"]
    short, whole = (sales.filter(pl.col("stockout_share") > 0), sales.filter(pl.col("stockout_share") == 0))
    assert (whole["in_stock_demand_share"] == 1).all()
    # Hours 18 to 21 are a quarter of the selling hours; each sells half as much as an earlier one.
    assert short["stockout_share"].unique().to_list() == [0.25]
    np.testing.assert_allclose(short["in_stock_demand_share"].to_numpy(), 12 / 14, atol=0.01)


def test_build_request_takes_the_hourly_file_along_where_it_is_there(write_freshretailnet, write_hourly):
    folder = write_freshretailnet()
    assert freshretailnet.HOURLY_FILE not in build_request([folder]).files
    write_hourly(folder)
    assert freshretailnet.HOURLY_FILE in build_request([folder]).files


@needs_freshretailnet
def test_read_freshretailnet_unknown_series_names_its_row(freshretailnet_slice):
    path = freshretailnet_slice["series.parquet"]
    pl.read_parquet(path).head(29).write_parquet(path)
    with pytest.raises(DataError, match=r"76 rows have a series_id that series.parquet lacks.*29 in row 2205"):
        freshretailnet.read_freshretailnet(freshretailnet_slice)


@needs_m5
def test_read_m5_slice_carries_the_files_values(m5_slice):
    tables = accepted(m5.read_m5(m5_slice))
    wide = pl.read_parquet(m5_slice["sales_d1886_d1941.parquet"])
    sales = tables["sales"]
    assert sales["units_sold"].sum() == wide.drop("id").sum_horizontal().sum()
    assert (sales["date"].min(), sales["date"].max()) == (date(2016, 3, 28), date(2016, 5, 22))
    assert sales.row(0)[:4] == ("HOBBIES_1_001", "CA_1", date(2016, 3, 28), 1.0)
    prices = pl.read_parquet(m5_slice["sell_prices.parquet"])
    last = prices.filter(pl.col("series_row") == 0).sort("wm_yr_wk").filter(pl.col("wm_yr_wk") <= 11617)
    final = sales.filter(pl.col("sku") == "HOBBIES_1_001", pl.col("date") == date(2016, 5, 20))
    assert final["unit_price"].item() == last["sell_price_cents"][-1] / 100
    assert tables["products"]["category_path"][0] == "HOBBIES > HOBBIES_1"
    assert tables["locations"].rows() == [("CA_1", "store", "CA", None)]


@needs_m5
def test_read_m5_calendar_has_events_everywhere_and_snap_days_by_store(m5_slice):
    calendar = accepted(m5.read_m5(m5_slice))["calendar"]
    super_bowl = calendar.filter(pl.col("date") == date(2011, 2, 6), pl.col("location") == "")
    assert super_bowl.rows() == [(date(2011, 2, 6), "", True, "SuperBowl")]
    snap = calendar.filter(pl.col("event") == m5.SNAP_EVENT)
    assert set(snap["location"]) == {"CA_1"}
    assert not snap["is_holiday"].any()


@needs_m5
def test_read_m5_files_that_do_not_fit_are_refused(m5_slice):
    path = m5_slice["series.parquet"]
    pl.read_parquet(path).reverse().write_parquet(path)
    with pytest.raises(DataError, match="hold other series"):
        m5.read_m5(m5_slice)


@needs_m5
def test_read_m5_lines_are_the_rows_of_the_file(m5_slice):
    sales = m5.read_m5(m5_slice)[0].frame
    assert sales.filter(pl.col("sku") == "HOBBIES_1_002")[LINE].unique().to_list() == [2]
