"""Intraday profiles and the share of demand that the hours in stock hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.forecasting.intraday import fit_intraday_profiles, in_stock_demand_share


def test_fit_intraday_profiles_draws_a_small_group_towards_all():
    hourly = np.array([[900.0, 100.0], [0.0, 1.0]])
    profiles = fit_intraday_profiles(hourly, group=np.array([0, 1]), n_groups=3, prior_units=100)
    overall = np.array([900, 101]) / 1001
    np.testing.assert_allclose(profiles[1], (np.array([0, 1]) + 100 * overall) / 101)
    np.testing.assert_allclose(profiles[2], overall)  # a group without a day
    np.testing.assert_allclose(profiles.sum(axis=1), 1)


def test_fit_intraday_profiles_without_any_sale_is_even():
    np.testing.assert_allclose(fit_intraday_profiles(np.zeros((2, 4)), group=np.zeros(2, int), n_groups=1), 0.25)


@given(st.lists(st.booleans(), min_size=5, max_size=5), st.integers(0, 100))
def test_in_stock_demand_share_and_that_of_the_other_hours_add_up(hours, seed):
    profile = np.random.default_rng(seed).dirichlet(np.ones(5))[None, :]
    one = np.array([hours])
    share = in_stock_demand_share(one, profile, group=np.zeros(1, int))
    rest = in_stock_demand_share(~one, profile, group=np.zeros(1, int))
    assert share[0] + rest[0] == pytest.approx(1)
    assert share[0] == pytest.approx(profile[0][one[0]].sum())


def test_in_stock_demand_share_of_a_whole_day_is_exactly_one():
    profile = np.full((1, 16), 1 / 16) * 0.9999999
    assert in_stock_demand_share(np.ones((1, 16), bool), profile, group=np.zeros(1, int))[0] == 1.0
