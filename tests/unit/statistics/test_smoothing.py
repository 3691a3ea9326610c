"""Smoothing of many series beside one series at a time, written out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.statistics.smoothing import smooth_by_theta, smooth_intermittent, smooth_seasons

SEASON, AHEAD = 7, 10


def seasonal_series(*, n_series=5, n_periods=90, seed=1, n_unknown=60):
    rng = np.random.default_rng(seed)
    week = np.array([1.0, 0.8, 0.9, 1.0, 1.4, 1.9, 0.5])
    values = rng.poisson(rng.uniform(2, 20, (n_series, 1)) * week[np.arange(n_periods) % SEASON]).astype(float)
    values.reshape(-1)[rng.choice(values.size, n_unknown, replace=False)] = np.nan
    return values


def smooth_one_by_hand(values, alpha, beta, gamma):
    """Hyndman et al. (2008), (A,Ad,A) in error-correction form with damping 0.9; unknown periods move nothing."""
    known = [value for value in values if not np.isnan(value)]
    level, trend = float(np.mean(known[: 2 * SEASON])), 0.0
    season = [
        float(np.mean([v for v in values[place::SEASON] if not np.isnan(v)]) - np.mean(known))
        for place in range(SEASON)
    ]
    errors = []
    for period, value in enumerate(values):
        expected = level + 0.9 * trend
        level, trend = expected, 0.9 * trend
        if not np.isnan(value):
            error = value - expected - season[period % SEASON]
            errors.append(error)
            level, trend = level + alpha * error, trend + beta * error
            season[period % SEASON] += gamma * error
    forecast = []
    for ahead in range(1, AHEAD + 1):
        damped = sum(0.9**step for step in range(1, ahead + 1))
        forecast.append(level + damped * trend + season[(len(values) + ahead - 1) % SEASON])
    return np.mean(np.square(errors[SEASON:])), forecast


def test_smooth_seasons_equals_the_best_of_the_recursions_written_out():
    values = seasonal_series()
    found = smooth_seasons(values, season_periods=SEASON, horizon=AHEAD)
    for row, series in enumerate(values):
        tried = [
            smooth_one_by_hand(series, alpha, alpha * share, gamma)
            for alpha, share, gamma in product((0.03, 0.07, 0.15, 0.3), (0.0, 0.1), (0.0, 0.05, 0.15))
        ]
        mean_square, forecast = min(tried, key=lambda pair: pair[0])
        np.testing.assert_allclose(found.forecast_units[row], forecast, rtol=1e-9)
        assert found.error_units[row] == pytest.approx(np.sqrt(mean_square), rel=1e-9)


def test_smooth_seasons_of_a_pure_season_repeats_it():
    week = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    found = smooth_seasons(np.tile(week, 6)[None, :], season_periods=7, horizon=14)
    np.testing.assert_allclose(found.forecast_units[0], np.tile(week, 2), atol=1e-9)
    assert found.error_units[0] == pytest.approx(0, abs=1e-9)


def test_smooth_by_theta_of_a_line_goes_on_at_half_its_slope():
    line = 5 + 2.0 * np.arange(200)
    found = smooth_by_theta(line[None, :], horizon=4)
    # Simple smoothing with weight a lags a line by slope x (1 - a) / a; the grid's largest weight fits it best.
    level = line[-1] - 2 * (1 - 0.5) / 0.5
    np.testing.assert_allclose(found.forecast_units[0], level + 0.5 * 2 * np.arange(1, 5), rtol=1e-9)


def test_smooth_intermittent_equals_the_best_of_the_recursions_written_out():
    rng = np.random.default_rng(4)
    values = np.where(rng.random((4, 80)) < 0.3, rng.integers(1, 6, (4, 80)), 0).astype(float)
    values[1, 10:20] = np.nan
    found = smooth_intermittent(values, horizon=3)
    for row, series in enumerate(values):
        known = series[~np.isnan(series)]
        tried = []
        for size_weight, chance_weight in product((0.05, 0.1, 0.3), (0.02, 0.05, 0.1, 0.2)):
            chance, size, squares = (known > 0).mean(), known[known > 0].mean(), 0.0
            for value in known:
                squares += (value - chance * size) ** 2
                size += size_weight * (value - size) if value > 0 else 0
                chance += chance_weight * ((value > 0) - chance)
            tried.append((squares, chance * size))
        np.testing.assert_allclose(found.forecast_units[row], min(tried)[1], rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.1, 50), seed=st.integers(0, 100))
def test_smoothing_follows_the_unit_of_measure(factor, seed):
    values = seasonal_series(n_series=3, n_periods=40, n_unknown=5, seed=seed)
    for smooth in (
        lambda units: smooth_seasons(units, season_periods=SEASON, horizon=AHEAD),
        lambda units: smooth_by_theta(units, horizon=AHEAD),
        lambda units: smooth_intermittent(units, horizon=AHEAD),
    ):
        one, other = smooth(values), smooth(values * factor)
        np.testing.assert_allclose(other.error_units, one.error_units * factor, rtol=1e-6)


def test_smoothing_of_nothing_known_is_finite():
    nothing = np.full((2, 30), np.nan)
    for found in (
        smooth_seasons(nothing, season_periods=SEASON, horizon=2),
        smooth_by_theta(nothing, horizon=2),
        smooth_intermittent(nothing, horizon=2),
        smooth_seasons(np.empty((0, 30)), season_periods=SEASON, horizon=2),
    ):
        assert np.isfinite(found.forecast_units).all()
        assert np.isfinite(found.error_units).all()
