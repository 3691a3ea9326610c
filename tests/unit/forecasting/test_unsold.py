from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from restock.forecasting.unsold import join_panels, sorted_rows, unsold_series


@pytest.fixture
def attributes(make_panel):
    """A sku at a location of the panel, and one at a location that it does not have."""
    first = make_panel().series[:1]
    new = [first.with_columns(sku=pl.lit("AAA")), first.with_columns(sku=pl.lit("ZZZ"), location=pl.lit("elsewhere"))]
    return pl.concat(new)


def test_unsold_series_have_unknown_sales_their_list_price_and_the_holidays_of_their_location(make_panel, attributes):
    panel = make_panel()
    panel.is_holiday[0, 3:5] = 1
    panel.is_holiday[:, 9] = 1
    new = unsold_series(panel, attributes)
    assert new.series["sku"].to_list() == ["AAA", "ZZZ"]
    assert np.isnan(new.sales_units).all()
    assert (new.is_promoted == 0).all()
    np.testing.assert_array_equal(new.is_holiday[0], panel.is_holiday[0])
    np.testing.assert_array_equal(new.is_holiday[1], panel.is_holiday.min(axis=0))
    assert (new.unit_price == np.float32(attributes["list_price"][0])).all()


def test_join_panels_keeps_every_series_and_sorted_rows_orders_them(make_panel, attributes):
    panel = make_panel()
    together = join_panels(panel, unsold_series(panel, attributes))
    ordered = together.select(sorted_rows(together.series))
    keys = ordered.series.select("sku", "location").rows()
    assert keys == sorted(keys)
    assert ordered.n_series == panel.n_series + 2
    kept = np.isin(ordered.series["sku"].to_numpy(), panel.series["sku"].to_numpy())
    np.testing.assert_array_equal(ordered.sales_units[kept], panel.sales_units)


def test_join_panels_of_other_grids_is_refused(make_panel):
    with pytest.raises(ValueError, match="share one grid"):
        join_panels(make_panel(), make_panel(n_periods=60))
