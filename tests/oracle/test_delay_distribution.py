"""Censored, shrunken distributions against published figures and the slow formulas of their papers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betaln

from restock.replenishment.delay_distribution import (
    likeliest_strength,
    log_likelihood,
    shrunken_shares,
    starting_shares,
)

TIMES = (0.8, 1.0, 2.7, 3.1, 5.4, 7.0, 9.2, 12.1, 99.0)
DEATHS, LOSSES = (0.8, 3.1, 5.4, 9.2), (1.0, 2.7, 7.0, 12.1)


def of_kaplan_and_meier():
    came, still_open = np.zeros((1, len(TIMES))), np.zeros((1, len(TIMES)))
    came[0, [TIMES.index(time) for time in DEATHS]] = 1
    still_open[0, [TIMES.index(time) for time in LOSSES]] = 1
    return came, still_open


def test_shrunken_shares_without_prior_are_those_of_kaplan_and_meier():
    came, still_open = of_kaplan_and_meier()
    prior = np.full((1, len(TIMES)), 1 / len(TIMES))
    survival = 1 - np.cumsum(shrunken_shares(came, still_open, prior=prior, strength=0.0)[0])
    # Kaplan, Meier (1958), section 2.1: 7/8, 7/10, 21/40, 21/80.
    published = {0.8: 0.875, 3.1: 0.7, 5.4: 0.525, 9.2: 0.2625}
    assert {time: survival[TIMES.index(time)] for time in published} == pytest.approx(published, abs=1e-9)


@pytest.mark.parametrize("strength", [0.5, 4.0, 30.0])
def test_shrunken_shares_are_those_of_susarla_and_van_ryzin(strength):
    came, still_open = of_kaplan_and_meier()
    prior = np.random.default_rng(3).dirichlet(np.ones(len(TIMES)))
    found = 1 - np.cumsum(shrunken_shares(came, still_open, prior=prior[None, :], strength=strength)[0])
    n = came.sum() + still_open.sum()
    for place in range(len(TIMES) - 1):
        later = sum(came[0, place + 1 :]) + sum(still_open[0, place + 1 :])
        survival = (strength * prior[place + 1 :].sum() + later) / (strength + n)
        for lost in range(place + 1):
            above = strength * prior[lost + 1 :].sum() + came[0, lost + 1 :].sum() + still_open[0, lost + 1 :].sum()
            survival *= (above + still_open[0, lost]) / above
        assert found[place] == pytest.approx(survival, abs=1e-12)


def test_shrunken_shares_without_open_orders_are_the_weighted_average():
    came = np.array([[3.0, 0.0, 5.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    prior = np.array([[0.1, 0.4, 0.4, 0.1]])
    found = shrunken_shares(came, np.zeros_like(came), prior=prior, strength=6.0)
    assert found == pytest.approx((6 * prior + came) / (6 + came.sum(axis=1, keepdims=True)), abs=1e-12)


def test_shrunken_shares_negative_strength_raises():
    with pytest.raises(ValueError, match=r"strength must be >= 0, got -1"):
        shrunken_shares(np.ones((1, 2)), np.zeros((1, 2)), prior=np.array([[0.5, 0.5]]), strength=-1)


def test_log_likelihood_of_two_days_is_beta_binomial():
    came = np.array([[3.0, 4.0], [0.0, 2.0]])
    found = log_likelihood(came, np.zeros_like(came), prior=np.array([[0.3, 0.7]]), strength=5.0)
    expected = sum(betaln(1.5 + early, 3.5 + late) - betaln(1.5, 3.5) for early, late in came)
    assert found == pytest.approx(expected, abs=1e-12)


def test_likeliest_strength_is_weak_where_groups_differ_and_strong_where_they_do_not():
    rng = np.random.default_rng(5)
    alike = rng.multinomial(40, [0.6, 0.3, 0.1], size=200).astype(float)
    unlike = np.array([rng.multinomial(40, rng.dirichlet([1.2, 0.6, 0.2])) for _ in range(200)], dtype=float)
    prior = np.array([[0.6, 0.3, 0.1]])
    assert likeliest_strength(alike, np.zeros_like(alike), prior=prior) == 128
    assert likeliest_strength(unlike, np.zeros_like(unlike), prior=prior) == pytest.approx(2, abs=1)


def test_starting_shares_half_of_late_orders_take_as_long_again():
    days = np.arange(-2, 400)
    above = 1 - np.cumsum(starting_shares(days))
    assert above[days == 0].item() == pytest.approx(0.5)
    for late in (0, 3, 20):
        assert above[days == late + late + 1].item() / above[days == late].item() == pytest.approx(0.5)
