import numpy as np

from restock.simulation.catalogue import create_catalogue
from restock.simulation.demand import draw_demand
from restock.simulation.streams import Stream, random_stream


def _draws(mean: float, n_skus: int = 40, n_days: int = 20_000):
    catalogue = create_catalogue(n_skus, 200, rng=random_stream(3, Stream.CATALOGUE))
    units = np.full((n_skus, 1, n_days), mean)
    return catalogue, draw_demand(units, catalogue, rng=random_stream(3, Stream.DEMAND)).demand_units[:, 0]


def test_draw_demand_mean_is_the_given_mean():
    _, demand = _draws(2.0)
    # The largest standard deviation here is about 4, so a mean of 20,000 days is good to 0.03; 5 of those.
    np.testing.assert_allclose(demand.mean(axis=1), 2.0, atol=0.15)


def test_draw_demand_regular_article_has_the_negative_binomial_variance():
    catalogue, demand = _draws(4.0)
    regular = ~catalogue.is_intermittent
    expected = 4.0 + 16.0 / catalogue.dispersion[regular]
    # A sample variance of 20,000 draws is good to about 1.2 %; 5 of those.
    np.testing.assert_allclose(demand[regular].var(axis=1), expected, rtol=0.06)


def test_draw_demand_intermittent_article_has_the_compound_poisson_share_of_zeros():
    catalogue, demand = _draws(0.3)
    rare = catalogue.is_intermittent
    assert rare.any()
    zeros = (demand[rare] == 0).mean(axis=1)
    np.testing.assert_allclose(zeros, np.exp(-0.3 / catalogue.batch_units[rare]), atol=0.02)


def test_latent_mean_local_level_is_correlated_between_days(company_plan):
    demand = company_plan.demand
    is_full = (demand.mean_units > 0).all(axis=2) & (demand.mean_units.mean(axis=2) > 2)
    noise = np.log(demand.mean_units[is_full])
    # Week, price and promotion are shared by the stores: what is left of one store beside the others is its level.
    rest = noise - noise.mean(axis=1, keepdims=True)
    lag = 7
    correlation = np.mean([np.corrcoef(row[:-lag], row[lag:])[0, 1] for row in rest])
    assert correlation > 0.3


def test_know_effects_promotion_lifts_demand(company_plan):
    n_days = company_plan.days.n_days
    promoted = company_plan.prices.is_promoted[:, :n_days]
    mean = company_plan.demand.mean_units.sum(axis=1)
    is_regular = (company_plan.catalogue.launch_day == 0) & promoted.any(axis=1)
    lift = [
        row[flag].mean() / row[~flag].mean() for row, flag in zip(mean[is_regular], promoted[is_regular], strict=True)
    ]
    assert np.mean(lift) > 1.5
