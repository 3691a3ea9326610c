"""Splitting a number: against orders counted one by one, a quadrature, and what must hold for any numbers."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from restock.statistics.attribution import log_mean_parts, round_to_sum, shapley_values

worths = st.integers(1, 5).flatmap(lambda n: arrays(np.float64, (2**n,), elements=st.floats(-1e3, 1e3)))


def by_orders(values):
    """Return Shapley values by letting the players come in every order."""
    n_players = len(values).bit_length() - 1
    orders = list(permutations(range(n_players)))
    parts = np.zeros(n_players)
    for order in orders:
        there = 0
        for player in order:
            parts[player] += values[there | 1 << player] - values[there]
            there |= 1 << player
    return parts / len(orders)


def test_shapley_values_of_the_glove_game_are_those_of_the_textbooks():
    # One left glove (player 0), two right ones; only a pair is worth 1 (Shapley and Shubik 1969).
    values = np.array([1.0 if bits & 1 and bits & 6 else 0.0 for bits in range(8)])
    np.testing.assert_allclose(shapley_values(values), [2 / 3, 1 / 6, 1 / 6])


@given(worths)
def test_shapley_values_are_means_over_all_orders_and_sum_to_what_all_bring(values):
    parts = shapley_values(values)
    np.testing.assert_allclose(parts, by_orders(values), atol=1e-8)
    assert parts.sum() == pytest.approx(values[-1] - values[0], abs=1e-8)


@given(worths, st.floats(-10, 10))
def test_shapley_values_of_a_player_that_always_adds_the_same_is_that(values, added):
    # One more player, who adds the same to every coalition: with 0 it is a dummy.
    parts = shapley_values(np.concatenate([values, values + added]))
    assert parts[-1] == pytest.approx(added, abs=1e-9)
    np.testing.assert_allclose(parts[:-1], shapley_values(values), atol=1e-8)


@given(arrays(np.float64, (4,), elements=st.floats(-100, 100)))
def test_shapley_values_of_players_that_bring_the_same_are_equal(by_size):
    values = np.array([by_size[bits.bit_count()] for bits in range(8)])
    np.testing.assert_allclose(np.ptp(shapley_values(values)), 0, atol=1e-9)


def test_shapley_values_keep_the_axes_of_series_and_periods():
    values = np.random.default_rng(0).normal(size=(8, 3, 5))
    parts = shapley_values(values)
    assert parts.shape == (3, 3, 5)
    np.testing.assert_allclose(parts[:, 2, 4], by_orders(values[:, 2, 4]))


def test_shapley_values_of_half_a_game_are_refused():
    with pytest.raises(ValueError, match="got 6"):
        shapley_values(np.zeros(6))


@given(
    arrays(np.float64, (4,), elements=st.floats(-2, 2)),
    st.floats(0.01, 1e4),
)
def test_log_mean_parts_are_the_integral_along_the_factors_and_sum_exactly(logs, base):
    total = base * np.exp(logs.sum())
    parts = log_mean_parts(logs, base=np.array(base), total=np.array(total))
    assert parts.sum() == pytest.approx(total - base, rel=1e-9, abs=1e-9 * base)
    # All factors grow together, by equal steps of the logarithm: the middle rule over 4,000 steps.
    steps = (np.arange(4000) + 0.5) / 4000
    integral = logs * (base * np.exp(steps * logs.sum())).mean()
    np.testing.assert_allclose(parts, integral, rtol=1e-4, atol=1e-6 * base)


def test_log_mean_parts_of_factors_that_cancel_are_finite():
    parts = log_mean_parts(np.array([0.5, -0.5]), base=np.array(3.0), total=np.array(3.0))
    np.testing.assert_allclose(parts, [1.5, -1.5])


@given(arrays(np.float64, (3, 5), elements=st.floats(-1e4, 1e4)), st.integers(-1, 4))
def test_round_to_sum_adds_up_digit_by_digit_and_moves_no_part_by_a_whole_step(parts, decimals):
    total = parts.sum(axis=1)
    rounded = round_to_sum(parts, total, decimals=decimals)
    step = 10.0**-decimals
    np.testing.assert_allclose(rounded.sum(axis=1) / step, np.rint(total / step), atol=1e-6)
    assert (np.abs(rounded - parts) < step * (1 + 1e-6)).all()
    np.testing.assert_allclose(rounded / step, np.rint(rounded / step), atol=1e-6)
