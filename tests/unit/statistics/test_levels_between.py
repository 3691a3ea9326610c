"""Levels between those that a model gives."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from restock.statistics.quantile_functions import between_by_normal_score, even_by_normal_score

LEVELS = (0.005, 0.01, 0.025, *(round(0.05 * step, 2) for step in range(1, 20)), 0.975, 0.99, 0.995)


def test_even_by_normal_score_keeps_the_outermost_the_median_and_the_80_percent_band():
    assert even_by_normal_score(LEVELS, 5) == (0.005, 0.1, 0.5, 0.9, 0.995)
    assert even_by_normal_score(LEVELS, 9) == (0.005, 0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975, 0.995)
    assert even_by_normal_score(LEVELS, 60) == LEVELS


@given(st.integers(3, 30))
def test_even_by_normal_score_gives_increasing_levels_of_those_there_are(wanted):
    found = even_by_normal_score(LEVELS, wanted)
    assert list(found) == sorted(set(found))
    assert {LEVELS[0], 0.5, LEVELS[-1]} <= set(found) <= set(LEVELS)
    assert len(found) <= wanted + 1


def test_between_by_normal_score_is_exact_where_the_root_is_normal():
    law = NormalDist(6, 1.2)
    given_levels = (0.01, 0.5, 0.99)
    values = np.array([law.inv_cdf(level) ** 2 for level in given_levels])
    found = between_by_normal_score(values, given_levels, (0.05, 0.2, 0.5, 0.75, 0.98))
    expected = [law.inv_cdf(level) ** 2 for level in (0.05, 0.2, 0.5, 0.75, 0.98)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("mean", [4, 30, 300])
def test_between_by_normal_score_comes_within_a_unit_of_a_poisson_law(mean):
    given_levels = even_by_normal_score(LEVELS, 5)
    found = between_by_normal_score(poisson.ppf(given_levels, mean), given_levels, LEVELS)
    assert np.abs(found - poisson.ppf(LEVELS, mean)).max() <= 1.0


@given(st.lists(st.floats(0, 1e4), min_size=5, max_size=5))
def test_between_by_normal_score_is_sorted_within_its_neighbours_and_keeps_the_given(values):
    given_levels = even_by_normal_score(LEVELS, 5)
    known = np.sort(np.array(values))
    found = between_by_normal_score(known, given_levels, LEVELS)
    assert (np.diff(found) >= -1e-9 * (1 + known[-1])).all()
    np.testing.assert_allclose(found[[LEVELS.index(level) for level in given_levels]], known, rtol=1e-9, atol=1e-9)


def test_between_by_normal_score_refuses_a_level_beyond():
    with pytest.raises(ValueError, match=r"within 0\.1 to 0\.9"):
        between_by_normal_score(np.array([1.0, 2.0, 3.0]), (0.1, 0.5, 0.9), (0.95,))
