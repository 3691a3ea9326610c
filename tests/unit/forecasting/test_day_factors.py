"""Day factors: patterns that were put in come out, and thin evidence adds nothing."""

from __future__ import annotations

import numpy as np
import pytest

from restock.forecasting.day_factors import day_factors, finer_weekday_factors, group_index, phase_factors

WEEKDAYS = np.arange(56 + 14) % 7
WEEKEND = np.where(WEEKDAYS >= 5, 2.0, 0.6)
ONE_GROUP = np.zeros(2, dtype=np.intp)


def test_day_factors_find_an_event_beside_the_weekday() -> None:
    rng = np.random.default_rng(5)
    is_event = rng.random((1, 70)) < 0.3
    sales = 50.0 * WEEKEND[None, :56] * np.where(is_event[:, :56], 1.5, 1.0)
    factors = day_factors(sales, weekdays=WEEKDAYS, is_event=is_event, groups=np.zeros(1, dtype=np.intp))
    monday = WEEKDAYS == 0
    ratio = factors[0, monday & is_event[0]].mean() / factors[0, monday & ~is_event[0]].mean()
    assert ratio == pytest.approx(1.5, rel=0.1)


def test_finer_weekday_factors_follow_many_units_and_ignore_few() -> None:
    sales = np.stack([1000 * WEEKEND[:56], 0.01 * WEEKEND[:56]])
    flat = np.ones((2, 70))
    found = finer_weekday_factors(sales, flat, weekdays=WEEKDAYS, groups=np.arange(2), prior_units=300.0)
    np.testing.assert_allclose(found[0], WEEKEND / WEEKEND[:7].mean(), rtol=0.05)
    np.testing.assert_allclose(found[1], 1.0, atol=0.001)


def test_finer_weekday_factors_by_hand() -> None:
    # Mondays sold 8 where the mean says 7 weeks x 1: (8 + 10) / (8 x 1.75 / 1.75 + 10), the rest likewise.
    sales, weekdays = np.ones((1, 14)), np.arange(14) % 7
    sales[0, weekdays == 0] = 8.0
    found = finer_weekday_factors(sales, np.ones((1, 14)), weekdays=weekdays, groups=np.zeros(1, int), prior_units=10.0)
    assert found[0, 0] == pytest.approx((16 + 10) / (2 * 2.0 + 10))
    assert found[0, 1] == pytest.approx((2 + 10) / (2 * 2.0 + 10))


def test_phase_factors_by_hand() -> None:
    # Two series of one group: 12 a day in the first half, 8 in the second, mean 10; seven pseudo-days of 1.
    phases = np.repeat([0, 1, 0], [14, 14, 3])
    sales = np.tile(np.where(phases[:28] == 0, 6.0, 4.0), (2, 1))
    found = phase_factors(sales, np.ones((2, 31)), phases=phases, groups=ONE_GROUP, n_groups=1)
    first, second = (14 * 13 / 11 + 7) / 21, (14 * 9 / 11 + 7) / 21
    np.testing.assert_allclose(found[0], np.where(phases == 0, first, second))


def test_group_index_is_one_where_factors_explain_everything() -> None:
    sales = 7.0 * np.tile(WEEKEND[:56], (2, 1))
    found = group_index(sales, np.tile(WEEKEND, (2, 1)), groups=ONE_GROUP, n_groups=1)
    np.testing.assert_allclose(found, 1.0)
