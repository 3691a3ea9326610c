"""Weights of quantile averages beside a search over all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.statistics.quantile_averages import fit_average_weights
from restock.statistics.quantiles import pinball_loss

QUANTILES = (0.1, 0.5, 0.9)


def three_forecasts(seed=0, n_rows=400):
    """Truth, and three forecasts of it: too low, too high, too wide."""
    rng = np.random.default_rng(seed)
    level = rng.uniform(5, 20, n_rows)
    truth = rng.normal(level, 2)
    spread = np.array([-1.28, 0, 1.28]) * 2
    return truth, np.stack([level[:, None] - 2 + spread, level[:, None] + 3 + spread, level[:, None] + 3 * spread])


def total_loss(weights, truth, forecasts, towards, pull):
    def mean_loss(chosen):
        return pinball_loss(truth, np.tensordot(chosen, forecasts, axes=1), QUANTILES).mean()

    return mean_loss(weights) / mean_loss(towards) + pull * np.sum((weights - towards) ** 2)


@pytest.mark.parametrize("pull", [0.0, 0.2])
def test_fit_average_weights_loses_no_more_than_the_best_of_a_fine_grid(pull):
    truth, forecasts = three_forecasts()
    towards = np.full(3, 1 / 3)
    found = fit_average_weights(truth, forecasts, quantiles=QUANTILES, towards=towards, pull=pull)
    steps = np.linspace(0, 1, 41)
    grid = [np.array([a, b, 1 - a - b]) for a in steps for b in steps if a + b <= 1 + 1e-12]
    best = min(total_loss(weights, truth, forecasts, towards, pull) for weights in grid)
    assert total_loss(found, truth, forecasts, towards, pull) <= best + 1e-4


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), pull=st.floats(0, 5))
def test_fit_average_weights_is_a_share_of_each_and_never_worse_than_what_it_is_drawn_towards(seed, pull):
    truth, forecasts = three_forecasts(seed, n_rows=60)
    towards = np.array([0.5, 0.5, 0.0])
    found = fit_average_weights(truth, forecasts, quantiles=QUANTILES, towards=towards, pull=pull)
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)
    assert total_loss(found, truth, forecasts, towards, pull) <= total_loss(towards, truth, forecasts, towards, pull)


def test_fit_average_weights_with_a_strong_pull_stays_where_it_is_drawn():
    truth, forecasts = three_forecasts()
    found = fit_average_weights(truth, forecasts, quantiles=QUANTILES, towards=np.array([0.2, 0.3, 0.5]), pull=1e4)
    np.testing.assert_allclose(found, [0.2, 0.3, 0.5], atol=1e-3)


def test_fit_average_weights_of_a_perfect_forecast_takes_it_alone():
    truth, forecasts = three_forecasts()
    perfect = np.stack([forecasts[0], np.repeat(truth[:, None], 3, axis=1)])
    found = fit_average_weights(truth, perfect, quantiles=QUANTILES, towards=np.array([0.5, 0.5]), pull=0.0)
    assert found[1] > 0.99
