"""The posterior of a partly stocked period's demand: against simulation, and what must hold whatever is sold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.forecasting.latent_demand import recover_demand

# The first call imports scipy.stats.
unhurried = settings(deadline=None)
shares = st.floats(0, 1)
units = st.floats(0, 500)
lots = st.floats(0.05, 20)


def recover(sold, share, usual, lot=1.0, rate_size=8.0):
    return recover_demand(
        np.array([sold], dtype=float),
        in_stock_share=np.array([share], dtype=float),
        usual_units=np.array([usual], dtype=float),
        lot_units=np.array([lot], dtype=float),
        rate_size=rate_size,
    )


@unhurried
@given(sold=units, share=shares, usual=units, lot=lots)
def test_recover_demand_is_never_below_what_was_sold(sold, share, usual, lot):
    found = recover(sold, share, usual, lot)
    assert found.mean_units[0] >= sold
    assert found.variance_units[0] >= 0
    assert 0 <= found.weight[0] <= 1
    assert (found.quantiles((0.1, 0.5, 0.9))[0] >= sold).all()


@unhurried
@given(sold=units, share=shares, more=shares, usual=units, lot=lots)
def test_recover_demand_falls_with_the_share_in_stock_and_its_weight_rises(sold, share, more, usual, lot):
    low, high = sorted((share, more))
    less_stock, more_stock = recover(sold, low, usual, lot), recover(sold, high, usual, lot)
    assert less_stock.mean_units[0] >= more_stock.mean_units[0] * (1 - 1e-9)
    assert less_stock.weight[0] <= more_stock.weight[0] + 1e-9


@unhurried
@given(sold=units, usual=units, lot=lots)
def test_recover_demand_of_a_period_in_stock_throughout_is_what_was_sold(sold, usual, lot):
    found = recover(sold, 1.0, usual, lot)
    assert found.mean_units[0] == pytest.approx(sold)
    assert found.variance_units[0] == 0
    assert found.weight[0] == 1
    np.testing.assert_allclose(found.quantiles((0.05, 0.95)), sold)


def test_recover_demand_without_any_stock_is_the_usual_demand():
    found = recover(0.0, 0.0, 6.0)
    assert found.mean_units[0] == pytest.approx(6.0)
    assert found.variance_units[0] == pytest.approx(6 + 36 / 8)  # the negative binomial's own
    assert found.weight[0] == pytest.approx(0.0)


@pytest.mark.parametrize(("sold", "share", "usual"), [(3, 0.4, 8.0), (9, 0.6, 8.0), (0, 0.3, 2.0), (30, 0.7, 40.0)])
def test_recover_demand_agrees_with_simulated_days_that_sold_as_much(sold, share, usual):
    rng = np.random.default_rng(11)
    rate = rng.gamma(8.0, usual / 8.0, 4_000_000)
    chosen = rate[rng.poisson(share * rate) == sold]
    demand = sold + rng.poisson((1 - share) * chosen)
    found = recover(sold, share, usual)
    n = len(demand)
    assert n > 20_000
    assert found.mean_units[0] == pytest.approx(demand.mean(), abs=4 * demand.std() / n**0.5)
    assert found.variance_units[0] == pytest.approx(demand.var(), rel=0.03)  # four standard errors of a variance
    np.testing.assert_allclose(found.quantiles((0.1, 0.5, 0.9))[0], np.quantile(demand, (0.1, 0.5, 0.9)), atol=1)


def test_recover_demand_is_unbiased_where_good_days_sell_out_and_sales_over_share_are_not():
    # A shelf of 6: the share in stock is the moment at which the sixth customer comes, if he comes.
    rng = np.random.default_rng(3)
    rate = rng.gamma(8.0, 7.0 / 8.0, 200_000)
    demand = rng.poisson(rate)
    is_out = demand >= 6
    share = np.ones(len(demand))
    share[is_out] = rng.beta(6, demand[is_out] - 6 + 1)
    sold = np.minimum(demand, 6).astype(float)
    found = recover_demand(
        sold, in_stock_share=share, usual_units=np.full(len(sold), 7.0), lot_units=np.ones(len(sold)), rate_size=8.0
    )
    assert found.mean_units[is_out].mean() == pytest.approx(demand[is_out].mean(), rel=0.005)
    assert (sold / share)[is_out].mean() > 1.1 * demand[is_out].mean()
    assert sold[is_out].mean() < 0.8 * demand[is_out].mean()
    low, high = found.quantiles((0.05, 0.95))[is_out].T
    inside = ((demand[is_out] >= low) & (demand[is_out] <= high)).mean()
    assert 0.90 <= inside <= 0.97  # discrete: an interval of 90 % holds a little more


def test_draws_have_the_mean_and_the_spread_of_the_posterior():
    many = recover_demand(
        np.full(200_000, 2.0),
        in_stock_share=np.full(200_000, 0.3),
        usual_units=np.full(200_000, 5.0),
        lot_units=np.full(200_000, 0.5),
    )
    drawn = many.draw(np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(many.mean_units[0], rel=0.01)
    assert drawn.var() == pytest.approx(many.variance_units[0], rel=0.03)
    assert drawn.min() >= 2
