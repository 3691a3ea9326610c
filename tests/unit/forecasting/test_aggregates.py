"""Totals as a panel: they add up, a stockout does not lower them, and nothing looks ahead."""

from __future__ import annotations

import numpy as np
import pytest

from restock.forecasting.aggregates import aggregate_panel, repair_censored
from restock.forecasting.reconcile import build_hierarchy


def totals_of(panel):
    return aggregate_panel(panel, build_hierarchy(panel.series), max_stockout_share=0.0)


def test_aggregate_panel_sums_sales_and_averages_plans(make_panel):
    panel = make_panel()
    panel.stockout_share[:] = 0
    totals = totals_of(panel)
    observed = panel.observed_periods
    np.testing.assert_allclose(
        totals.sales_units[0, :observed], np.nansum(panel.sales_units[:, :observed], axis=0), rtol=1e-6
    )
    assert np.isnan(totals.sales_units[:, observed:]).all()
    np.testing.assert_allclose(totals.is_promoted[0], panel.is_promoted.mean(axis=0), rtol=1e-5)
    place = totals.series["sku"].to_list().index("L1")
    members = panel.series["location"].to_numpy() == "L1"
    np.testing.assert_allclose(totals.unit_price[place], panel.unit_price[members].mean(axis=0), rtol=1e-5)


def test_repair_censored_takes_the_mean_of_the_same_weekday_before(make_panel):
    panel = make_panel(n_series=2)
    panel.stockout_share[:] = 0
    panel.stockout_share[0, 50] = 0.5
    panel.sales_units[0, [22, 29, 36, 43]] = [4, 8, 2, 6]
    panel.sales_units[0, 50] = 1
    repaired = repair_censored(panel, max_stockout_share=0.0)
    assert repaired[0, 50] == 5
    repaired[0, 50] = 1
    np.testing.assert_array_equal(repaired, panel.sales_units[:, : panel.observed_periods])


def test_repair_censored_never_lowers_what_was_sold(make_panel):
    panel = make_panel()
    sold = panel.sales_units[:, : panel.observed_periods]
    repaired = repair_censored(panel, max_stockout_share=0.0)
    assert (repaired >= sold)[~np.isnan(sold)].all()
    assert (np.isnan(repaired) == np.isnan(sold)).all()


@pytest.mark.parametrize("day", [60, 90])
def test_aggregate_panel_does_not_look_ahead(make_panel, with_other_future, day):
    panel = make_panel()
    changed = with_other_future(panel, panel.date_of(day))
    for one, other in zip(
        (totals_of(panel).sales_units, totals_of(panel).unit_price),
        (totals_of(changed).sales_units, totals_of(changed).unit_price),
        strict=True,
    ):
        np.testing.assert_array_equal(one[:, : day + 1], other[:, : day + 1])
