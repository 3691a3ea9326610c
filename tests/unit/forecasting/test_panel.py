from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from restock.adapters.panel_files import load_features, load_panel, save_features, save_panel
from restock.errors import DataError, NotFoundError
from restock.forecasting.features import build_origin_features
from restock.forecasting.panel import build_demand_panel
from restock.forecasting.unsold import join_panels
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES
from restock.timeline import Frequency

START = date(2024, 1, 1)


def build(rows, *, frequency=Frequency.DAILY, horizon=2, calendar=None, extra=None):
    frame = pl.DataFrame(rows, schema=["sku", "location", "date", "units_sold", "unit_price"], orient="row")
    frame = frame.cast({"unit_price": pl.Float64})
    sales = SALES.conform(frame if extra is None else frame.hstack(extra))
    products = PRODUCTS.conform(
        pl.DataFrame({"sku": ["A"], "name": ["a"], "category_path": ["Food > Dairy"], "unit_price": [9.0]})
    )
    return build_demand_panel(
        sales,
        products,
        locations=LOCATIONS.empty(),
        calendar=calendar if calendar is not None else CALENDAR.empty(),
        frequency=frequency,
        horizon=horizon,
    )


def day(n):
    return START + timedelta(days=n)


def test_build_demand_panel_fills_gaps_with_zero_and_leaves_the_time_before_listing_unknown():
    panel = build([("A", "L", day(1), 3, 2.0), ("A", "L", day(3), 4, None), ("B", "L", day(0), 1, None)])
    np.testing.assert_array_equal(panel.sales_units[0, :6], [np.nan, 3, 0, 4, np.nan, np.nan])
    assert panel.last_observed == day(3)


def test_build_demand_panel_fills_prices_forward_and_never_back():
    panel = build([("A", "L", day(0), 1, None), ("A", "L", day(1), 3, 2.0), ("B", "L", day(0), 1, None)])
    np.testing.assert_array_equal(panel.unit_price[0, :4], [9, 2, 2, 2])
    assert np.isnan(panel.unit_price[1]).all()


def test_build_demand_panel_takes_categories_from_the_path():
    panel = build([("A", "L", day(0), 1, None), ("B", "L", day(0), 1, None)])
    assert panel.series.select("category", "subcategory").rows() == [("Food", "Dairy"), ("", "")]


def test_build_demand_panel_marks_holidays_everywhere_or_at_their_location():
    calendar = CALENDAR.conform(
        pl.DataFrame({"date": [day(1), day(2), day(9)], "location": [None, "M", None], "is_holiday": [True] * 3})
    )
    panel = build([("A", "L", day(0), 1, None), ("A", "M", day(0), 1, None)], calendar=calendar)
    np.testing.assert_array_equal(panel.is_holiday[:, :3], [[0, 1, 0], [0, 1, 1]])
    # The holiday of day 9 lies beyond the horizon, and is seen all the same.
    assert panel.is_holiday[0, 9] == 1


def test_build_demand_panel_of_no_sales_or_off_the_grid_is_refused():
    with pytest.raises(DataError, match="table sales has no rows"):
        build([])
    with pytest.raises(DataError, match="1 sales rows lie off the weekly grid that begins on 2024-01-01"):
        build([("A", "L", day(0), 1, None), ("A", "L", day(5), 1, None)], frequency=Frequency.WEEKLY)


def test_observed_until_hides_what_came_later_and_keeps_the_plans(make_panel):
    panel = make_panel()
    cut = panel.observed_until(panel.date_of(50))
    assert np.isnan(cut.sales_units[:, 51:]).all()
    np.testing.assert_array_equal(cut.is_promoted, panel.is_promoted)
    with pytest.raises(ValueError, match="lies outside the observed periods"):
        panel.observed_until(panel.date_of(panel.observed_periods))


def test_extended_repeats_the_last_price_and_plans_no_promotion(make_panel):
    panel = make_panel()
    longer = panel.extended(30)
    assert longer.n_periods == panel.observed_periods + 30
    np.testing.assert_array_equal(longer.unit_price[:, -1], panel.unit_price[:, -1])
    assert not longer.is_promoted[:, panel.n_periods :].any()
    assert panel.extended(5) is panel


def test_saved_panel_and_features_come_back_the_same(make_panel, small_params, tmp_path):
    panel = make_panel()
    features = build_origin_features(panel, small_params().features)
    save_panel(panel, tmp_path)
    save_features(features, tmp_path)
    loaded = load_panel(tmp_path)
    assert loaded.series.equals(panel.series)
    np.testing.assert_array_equal(loaded.sales_units, panel.sales_units)
    again = load_features(tmp_path, n_series=panel.n_series)
    assert again.names == features.names
    np.testing.assert_array_equal(again.values, features.values)


def test_demand_shares_in_stock_follow_the_panel_wherever_it_is_cut_joined_or_saved(make_panel, tmp_path):
    panel = make_panel()
    shares = np.full(panel.sales_units.shape, np.nan, dtype=np.float32)
    shares[:, : panel.observed_periods : 2] = 0.75
    known = replace(panel, in_stock_demand_share=shares)
    found = known.demand_share_in_stock()
    np.testing.assert_array_equal(found[:, 0], 0.75)
    # Where only the time is known, demand is spread evenly over it.
    np.testing.assert_array_equal(found[:, 1], 1 - panel.stockout_share[:, 1])
    assert np.isnan(known.observed_until(panel.date_of(50)).in_stock_demand_share[:, 51:]).all()
    assert known.extended(40).in_stock_demand_share.shape == (panel.n_series, known.extended(40).n_periods)
    np.testing.assert_array_equal(known.select(np.array([2])).in_stock_demand_share, shares[[2]])
    joined = join_panels(known, panel)
    np.testing.assert_array_equal(joined.in_stock_demand_share[: panel.n_series], shares)
    assert np.isnan(joined.in_stock_demand_share[panel.n_series :]).all()
    assert join_panels(panel, panel).in_stock_demand_share is None
    save_panel(known, tmp_path)
    np.testing.assert_array_equal(load_panel(tmp_path).in_stock_demand_share, shares)


def test_build_demand_panel_reads_the_share_of_demand_in_stock_where_a_source_knows_it():
    rows = [("A", "L", day(0), 1, None), ("A", "L", day(1), 1, None)]
    assert build(rows).in_stock_demand_share is None
    shares = pl.DataFrame({"in_stock_demand_share": [0.25, None]})
    panel = build(rows, extra=shares)
    np.testing.assert_array_equal(panel.in_stock_demand_share[0, :2], np.float32([0.25, np.nan]))


def test_load_features_that_are_missing_names_the_stage(tmp_path):
    with pytest.raises(NotFoundError, match="dvc repro features"):
        load_features(tmp_path, n_series=1)
