"""Scores of whole paths against slow references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.statistics.path_metrics import energy_score, rank_bounds, variogram_score


def sample(seed, periods=4, n_paths=9):
    rng = np.random.default_rng(seed)
    return rng.gamma(1, 3, periods), rng.gamma(1, 3, (periods, n_paths))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_energy_score_agrees_with_loops_over_all_pairs(seed):
    observed, paths = sample(seed)
    drawn = list(paths.T)
    away = np.mean([np.sqrt(((path - observed) ** 2).sum()) for path in drawn])
    between = np.mean([[np.sqrt(((one - other) ** 2).sum()) for other in drawn] for one in drawn])
    assert energy_score(observed, paths) == pytest.approx(away - between / 2, rel=1e-9)


def test_energy_score_of_one_period_is_the_published_crps_of_a_normal():
    # CRPS of N(0, 1) at 0 is (sqrt(2) - 1) / sqrt(pi) = 0.2336950: Gneiting and Raftery (2007), eq. 21.
    paths = np.random.default_rng(0).normal(size=(1, 4000))
    assert energy_score(np.array([0.0]), paths) == pytest.approx(0.2336950, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_variogram_score_agrees_with_loops_over_all_pairs(seed):
    observed, paths = sample(seed)
    terms = [
        (abs(observed[i] - observed[j]) ** 0.5 - np.mean(np.abs(paths[i] - paths[j]) ** 0.5)) ** 2
        for i in range(4)
        for j in range(i + 1, 4)
    ]
    assert variogram_score(observed, paths) == pytest.approx(np.mean(terms), rel=1e-9)


def test_scores_prefer_the_dependence_that_is_true():
    rng = np.random.default_rng(3)
    together = np.repeat(rng.normal(size=(1, 500)), 6, axis=0) + 0.2 * rng.normal(size=(6, 500))
    apart = np.stack([rng.permutation(row) for row in together])
    truths = np.repeat(rng.normal(size=(1, 200)), 6, axis=0) + 0.2 * rng.normal(size=(6, 200))
    for score in (energy_score, variogram_score):
        of_true, of_wrong = (np.mean([score(truth, paths) for truth in truths.T]) for paths in (together, apart))
        assert of_true < of_wrong


def test_rank_bounds_span_the_paths_that_are_equal():
    low, high = rank_bounds(np.array([0.0, 5.0]), np.array([[0.0, 0.0, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0]]))
    assert (low.tolist(), high.tolist()) == ([0.0, 1.0], [0.5, 1.0])
