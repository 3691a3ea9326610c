"""Copulas across time: the conversions are the published ones, and what is fitted is positive definite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import integrate, stats

from restock.statistics.copulas import (
    factor_lags,
    lag_kernels,
    lag_matrix,
    normal_scores,
    score_variances,
    to_normal_correlation,
    to_rank_correlation,
)


@pytest.mark.parametrize(("normal", "rank"), [(0.0, 0.0), (0.5, 0.482584), (-0.8, -0.785939), (1.0, 1.0)])
def test_to_rank_correlation_gives_the_published_relation(normal, rank):
    # 6 / pi arcsin(r / 2): Kruskal (1958), eq. 5.7.
    assert to_rank_correlation(np.array([normal]))[0] == pytest.approx(rank, abs=1e-5)
    assert to_normal_correlation(np.array([rank]))[0] == pytest.approx(normal, abs=1e-5)


def test_to_rank_correlation_is_what_spearman_finds_in_a_sample():
    rng = np.random.default_rng(0)
    first = rng.normal(size=200_000)
    second = 0.6 * first + 0.8 * rng.normal(size=first.size)
    found = stats.spearmanr(first, second).statistic
    assert to_rank_correlation(np.array([0.6]))[0] == pytest.approx(found, abs=0.006)


@settings(max_examples=50, deadline=None)
@given(low=st.floats(0.001, 0.99), width=st.floats(0.001, 0.9))
def test_normal_scores_are_means_of_truncated_normals(low, width):
    high = min(low + width, 0.999)
    expected = stats.truncnorm.mean(stats.norm.ppf(low), stats.norm.ppf(high))
    assert normal_scores(np.array([low]), np.array([high]))[0] == pytest.approx(expected, abs=1e-6)


def test_normal_scores_of_a_continuous_outcome_are_its_normal_quantile():
    at = np.array([0.025, 0.5, 0.975])
    np.testing.assert_allclose(normal_scores(at, at), [-1.959964, 0, 1.959964], atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0.01, 0.99))
def test_score_variances_agree_with_numerical_integration(share):
    border = stats.norm.ppf(share)
    low = integrate.quad(lambda z: z * stats.norm.pdf(z), -np.inf, border)[0] ** 2 / share
    high = integrate.quad(lambda z: z**2 * stats.norm.pdf(z), border, np.inf)[0]
    assert score_variances(np.array([share]))[0] == pytest.approx(low + high, abs=1e-6)


def test_score_variances_undo_what_point_masses_hide():
    rng = np.random.default_rng(1)
    latent = rng.normal(size=(400_000, 2))
    latent[:, 1] = 0.3 * latent[:, 0] + np.sqrt(1 - 0.09) * latent[:, 1]
    levels = stats.norm.cdf(latent)
    zero = np.array([0.4, 0.7])
    low, high = np.where(levels < zero, 0.0, levels), np.where(levels < zero, zero, levels)
    scores = np.stack([normal_scores(low[:, side], high[:, side]) for side in (0, 1)])
    found = (scores[0] * scores[1]).mean() / score_variances(zero).prod()
    assert (scores[0] * scores[1]).mean() < 0.22
    assert found == pytest.approx(0.3, abs=0.02)


@settings(max_examples=50, deadline=None)
@given(weights=arrays(np.float64, 11, elements=st.floats(0, 5)), season=st.sampled_from([7, 52]))
def test_lag_kernels_any_mixture_is_positive_definite(weights, season):
    kernels = lag_kernels(28, season_periods=season)
    smallest = np.linalg.eigvalsh(lag_matrix(weights @ kernels)).min()
    assert smallest >= -1e-9 * max(1.0, weights.sum())


@pytest.mark.parametrize("horizon", [1, 5, 28])
def test_factor_lags_nearer_periods_do_not_depend_on_the_horizon(horizon):
    by_lag = np.array([0.5, 0.3, 0.2]) @ lag_kernels(28, season_periods=7)[[0, 4, 7]]
    whole = factor_lags(by_lag)
    np.testing.assert_allclose(whole @ whole.T, lag_matrix(by_lag), atol=2e-6)
    np.testing.assert_allclose(factor_lags(by_lag[:horizon]), whole[:horizon, :horizon], atol=1e-12)


def test_factor_lags_refuses_what_no_process_has():
    with pytest.raises(ValueError, match="not positive definite"):
        factor_lags(np.array([1.0, 0.9, -0.9]))
