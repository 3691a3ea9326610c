"""What counts as usual: level, price, and plans with something taken from them."""

from dataclasses import replace

import numpy as np
import pytest

from restock.forecasting.explanation.drivers import Driver
from restock.forecasting.explanation.usual import split_plan, usual_days, usual_level
from tests.unit.forecasting.explanation.plans import flattened, written


@pytest.fixture
def plain(make_panel):
    """One series of 70 periods that sells 5 a period at 2.00, with 10 planned periods ahead."""
    return flattened(make_panel(n_series=1, n_periods=70), units=5)


def test_usual_level_leaves_out_promotions_holidays_stockouts_and_what_is_older_than_56(plain):
    odd = {60: 100.0, 61: 0.0, 62: 50.0, 3: 1000.0}
    panel = written(plain, sales_units=odd, is_promoted={60: 1.0}, stockout_share={61: 0.4}, is_holiday={62: 1.0})
    assert usual_level(panel).tolist() == [5.0]
    # Not marked, the same cells count: 56 periods with 53 times 5 in them.
    assert usual_level(written(plain, sales_units=odd)).tolist() == pytest.approx([(53 * 5 + 150) / 56])


def test_usual_level_with_few_usual_periods_takes_all_known_ones_and_without_sales_is_zero(plain):
    always = replace(plain, is_promoted=np.ones_like(plain.is_promoted))
    assert usual_level(always).tolist() == [5.0]
    old = written(plain, sales_units=dict.fromkeys(range(10, 70), np.nan))
    assert usual_level(old).tolist() == [5.0]
    never = replace(plain, sales_units=np.full_like(plain.sales_units, np.nan))
    assert usual_level(never).tolist() == [0.0]


def test_split_plan_takes_a_cut_price_as_regular_price_times_discount(plain):
    panel = written(plain, unit_price={72: 1.5, 73: 2.2}, is_promoted={72: 1.0})
    plan = split_plan(panel)
    assert plan.usual_price.tolist() == [[2.0]]
    np.testing.assert_allclose(plan.regular_price[0, 1:5], [2.0, 2.0, 2.2, 2.0], rtol=1e-6)
    np.testing.assert_allclose(plan.discount[0, 1:5], [1.0, 0.75, 1.0, 1.0], rtol=1e-6)
    assert plan.drivers == (Driver.PRICE, Driver.PROMOTION)


def test_without_takes_only_what_is_dropped_and_leaves_the_history(plain):
    panel = written(
        plain, unit_price={72: 1.5, 73: 2.2, 65: 1.8}, is_promoted={72: 1.0, 65: 1.0}, is_holiday={71: 1.0, 66: 1.0}
    )
    plan = split_plan(panel)
    no_promotion = plan.without(frozenset({Driver.PROMOTION}))
    np.testing.assert_allclose(no_promotion.unit_price[0, 71:75], [2.0, 2.0, 2.2, 2.0], rtol=1e-6)
    assert no_promotion.is_promoted[0, 70:].sum() == 0
    usual_price = plan.without(frozenset({Driver.PRICE}))
    np.testing.assert_allclose(usual_price.unit_price[0, 71:75], [2.0, 1.5, 2.0, 2.0], rtol=1e-6)
    assert usual_price.is_promoted[0, 72] == 1
    no_holiday = plan.without(frozenset({Driver.HOLIDAY}))
    assert no_holiday.is_holiday[0].tolist() == [float(period == 66) for period in range(80)]
    assert plan.without(frozenset({Driver.HOLIDAY}), holidays_from=60).is_holiday.sum() == 0
    for one in (no_promotion, usual_price, no_holiday):
        np.testing.assert_array_equal(one.unit_price[:, :70], panel.unit_price[:, :70])
        np.testing.assert_array_equal(one.is_promoted[:, :70], panel.is_promoted[:, :70])
    assert plan.without(frozenset()) is panel


def test_drivers_of_a_plain_plan_are_none_and_a_holiday_reaches_over_the_cutoff(plain):
    assert split_plan(plain).drivers == ()
    assert split_plan(written(plain, is_holiday={60: 1.0})).drivers == (Driver.HOLIDAY,)
    assert split_plan(written(plain, is_holiday={50: 1.0})).drivers == ()


def test_split_plan_without_any_price_changes_nothing(plain):
    panel = replace(plain, unit_price=np.full_like(plain.unit_price, np.nan))
    plan = split_plan(written(panel, is_promoted={72: 1.0}))
    assert plan.drivers == (Driver.PROMOTION,)
    assert np.isnan(plan.without(frozenset({Driver.PROMOTION})).unit_price).all()


@pytest.mark.parametrize("season", [7, 52])
def test_usual_days_lie_at_different_places_of_the_season_within_56_periods(season):
    n_days, apart = usual_days(season)
    offsets = apart * np.arange(n_days)
    assert len(set(offsets % season)) == n_days
    assert offsets.max() < 56
