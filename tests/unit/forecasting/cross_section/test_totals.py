"""Totals of groups: sums, weighted means, nothing from after the last observed period, and the pull toward them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from restock.forecasting.cross_section.totals import panel_of_totals, pull_to_totals
from tests.unit.forecasting.cross_section.test_cross_section import OBSERVED, make_panel


def test_panel_of_totals_sums_the_sales_of_each_group() -> None:
    panel = make_panel()
    totals, code = panel_of_totals(panel, by=("sku", "region"))
    assert totals.n_series == panel.series["sku"].n_unique()
    for group in (0, 7):
        expected = panel.sales_units[code == group, :OBSERVED].sum(axis=0)
        np.testing.assert_allclose(totals.sales_units[group, :OBSERVED], expected, rtol=1e-5)
    assert np.isnan(totals.sales_units[:, OBSERVED:]).all()
    named = panel.series["sku"].to_numpy()
    assert all(totals.series["sku"][int(group)] == sku for group, sku in zip(code, named, strict=True))


def test_panel_of_totals_weights_prices_by_recent_sales_alone() -> None:
    panel = make_panel()
    totals, code = panel_of_totals(panel, by=("sku", "region"))
    weight = panel.sales_units[:, OBSERVED - 28 : OBSERVED].mean(axis=1)
    mine = code == 3
    expected = np.average(panel.unit_price[mine], axis=0, weights=weight[mine])
    np.testing.assert_allclose(totals.unit_price[3], expected, rtol=1e-5)

    cut = panel.observed_until(panel.date_of(34))
    changed = panel.sales_units.copy()
    changed[:, 35:] = 500.0
    later = replace(panel, sales_units=changed).observed_until(panel.date_of(34))
    for name in ("sales_units", "unit_price", "is_promoted", "stockout_share"):
        one, other = (getattr(panel_of_totals(each, by=("sku",))[0], name) for each in (cut, later))
        np.testing.assert_array_equal(one, other, err_msg=name)


def test_panel_of_totals_has_no_in_stock_demand_share_of_single_series() -> None:
    panel = make_panel()
    known = replace(panel, in_stock_demand_share=np.full(panel.sales_units.shape, 0.7, dtype=np.float32))
    totals, _ = panel_of_totals(known, by=("sku", "region"))
    assert totals.demand_share_in_stock().shape == totals.sales_units.shape


@pytest.mark.parametrize(("share", "expected"), [(0.0, 4.0), (0.5, 5.0), (1.0, 6.25)])
def test_pull_to_totals_moves_the_sum_by_the_share(share: float, expected: float) -> None:
    units = np.array([[1.0], [3.0], [0.0]], dtype=np.float32)
    pulled = pull_to_totals(units, np.array([[6.25], [9.0]], dtype=np.float32), code=np.array([0, 0, 1]), share=share)
    assert pulled[:2].sum() == pytest.approx(expected)
    assert pulled[1, 0] == pytest.approx(3 * pulled[0, 0])
    # A group that sells nothing stays at nothing: there is no share to move.
    assert pulled[2, 0] == 0
