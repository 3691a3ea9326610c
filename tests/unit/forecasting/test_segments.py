from __future__ import annotations

from dataclasses import replace

import numpy as np

from restock.forecasting.segments import segment_series


def test_segment_series_names_volume_and_pattern(make_panel, small_params):
    panel = make_panel(n_series=4)
    sales = np.full_like(panel.sales_units, np.nan)
    days = panel.observed_periods
    sales[0, :days] = 100
    sales[1, :days] = np.where(np.arange(days) % 2 == 0, 1.0, 30.0)
    sales[2, :days] = np.where(np.arange(days) % 4 == 0, 3.0, 0.0)
    sales[3, :days] = np.where(np.arange(days) % 4 == 0, np.where(np.arange(days) % 8 == 0, 1.0, 12.0), 0.0)
    price = np.ones_like(panel.unit_price)
    found = segment_series(replace(panel, sales_units=sales, unit_price=price), params=small_params().evaluation)
    # Revenue shares 85.1, 13.2, 0.6 and 1.4 %: the second begins at 85, the last two beyond 95 %.
    assert found["segment"].to_list() == ["A-smooth", "B-erratic", "C-intermittent", "C-lumpy"]


def test_segment_series_that_never_sold_has_one_too(make_panel, small_params):
    panel = make_panel(n_series=2)
    empty = replace(panel, sales_units=np.full_like(panel.sales_units, np.nan))
    assert set(segment_series(empty, params=small_params().evaluation)["segment"]) == {"A-smooth"}
