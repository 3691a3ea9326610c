"""Shrunken levels: a known pattern comes back, thin evidence is shrunk, and nothing of the future is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.forecasting.shrunken_levels import (
    LevelMemory,
    count_dispersion,
    count_quantiles,
    forecast_levels,
    levels_of_volatility,
)

WEEKDAYS = np.arange(56 + 14) % 7
WEEKEND = np.where(WEEKDAYS >= 5, 2.0, 0.6)


def known_ahead(n_series: int) -> dict[str, np.ndarray]:
    one_group = np.zeros(n_series, dtype=np.intp)
    return {
        "weekdays": WEEKDAYS,
        "is_event": np.zeros((1, 70), dtype=bool),
        "groups": one_group,
        "items": np.arange(n_series),
        "peers": one_group,
    }


def test_forecast_levels_of_a_steady_pattern_repeats_it() -> None:
    sales = np.full((30, 1), 20.0) * WEEKEND[None, :56]
    forecast = forecast_levels(sales, n_ahead=14, **known_ahead(30))
    # The pseudo-period of 1 that every factor is shrunk to costs a few percent.
    np.testing.assert_allclose(forecast, 20.0 * np.tile(WEEKEND[56:], (30, 1)), rtol=0.07)


def test_forecast_levels_shrinks_a_series_without_sales_toward_its_peers() -> None:
    sales = np.full((20, 56), 5.0)
    sales[0] = 0
    forecast = forecast_levels(sales, n_ahead=7, **known_ahead(20))
    assert 0 < forecast[0].mean() < 2
    assert forecast[1].mean() == pytest.approx(5.0, rel=0.05)


def test_forecast_levels_shrinks_toward_the_prior_by_its_share() -> None:
    # Weights of 1 and no pattern: (56 own + worth x prior) / (56 + worth), worth = 5 + 4 / prior.
    sales, memory = np.full((20, 56), 4.0), LevelMemory(decay=0.0, drift_decay=0.0, trend_prior_units=1e12)
    prior_levels = np.full(20, 10.0)
    forecast = forecast_levels(sales, n_ahead=7, prior_levels=prior_levels, memory=memory, **known_ahead(20))
    prior = 0.3 * 4.0 + 0.7 * 10.0
    worth = 5.0 + 4.0 / prior
    np.testing.assert_allclose(forecast, (56 * 4.0 + worth * prior) / (56 + worth), rtol=1e-6)


def test_forecast_levels_follows_a_sku_that_lately_sells_twice_as_much_everywhere() -> None:
    sales = np.full((40, 56), 10.0)
    sales[:4, -14:] = 20.0
    items = np.repeat(np.arange(10), 4)
    known = known_ahead(40) | {"items": items}
    shared = forecast_levels(sales, n_ahead=7, **known)
    alone = forecast_levels(sales, n_ahead=7, memory=LevelMemory(trend_prior_units=1e12), **known)
    assert shared[0].mean() > alone[0].mean() * 1.1
    assert shared[0].mean() < 21.0
    np.testing.assert_allclose(shared[4:], alone[4:], rtol=0.04)


def test_forecast_levels_takes_what_all_series_did_for_the_group_not_for_each() -> None:
    # All double in the last week: with a group's level that forgets nothing, what every series had in common stays out.
    rng = np.random.default_rng(3)
    level = rng.uniform(5, 50, 40)
    sales = np.tile(level[:, None], (1, 56))
    sales[:, -7:] *= 2
    forecast = forecast_levels(sales, n_ahead=7, memory=LevelMemory(drift_decay=0.0), **known_ahead(40))
    assert (forecast.mean(axis=1) / level).mean() == pytest.approx(63 / 56, rel=0.1)


def test_forecast_levels_follow_the_half_of_the_month() -> None:
    phases = (np.arange(70) % 28 >= 14).astype(int)
    sales = np.tile(np.where(phases[:56] == 0, 120.0, 80.0), (10, 1))
    forecast = forecast_levels(sales, n_ahead=14, phases=phases, **known_ahead(10))
    without = forecast_levels(sales, n_ahead=14, **known_ahead(10))
    assert abs(forecast.mean() - 120.0) < abs(without.mean() - 120.0) / 2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 20.0))
def test_forecast_levels_is_never_negative_and_follows_the_order_of_the_series(seed: int, mean: float) -> None:
    rng = np.random.default_rng(seed)
    sales = rng.poisson(mean, (12, 56)).astype(float)
    known = known_ahead(12) | {"items": np.arange(12) // 3, "peers": np.arange(12) % 2}
    forecast = forecast_levels(sales, n_ahead=14, **known)
    assert (forecast >= 0).all()
    order = rng.permutation(12)
    moved = known | {name: known[name][order] for name in ("groups", "items", "peers")}
    np.testing.assert_allclose(forecast_levels(sales[order], n_ahead=14, **moved), forecast[order], rtol=1e-9)


def test_levels_of_volatility_recover_the_rate_of_poisson_series() -> None:
    rng = np.random.default_rng(7)
    rate = np.exp(rng.uniform(-1, 3, 400))
    long = rng.poisson(rate[:, None], (400, 1500))
    volatility = (np.diff(long, axis=1) ** 2).mean(axis=1)
    seen = rng.poisson(rate[:, None], (400, 28)).mean(axis=1)
    expected = levels_of_volatility(volatility, seen, groups=np.arange(400) % 2)
    assert np.abs(np.log(expected / rate)).mean() < np.abs(np.log((seen + 0.02) / rate)).mean() / 2


def test_levels_of_volatility_of_a_group_that_never_sold_are_zero() -> None:
    volatility = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    levels = np.array([1.0, 2.0, 3.0, 0.0, 0.0, 0.0])
    expected = levels_of_volatility(volatility, levels, groups=np.repeat([0, 1], 3))
    assert expected[3:].tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(expected[:3], levels[:3], rtol=0.05)


def test_count_dispersion_by_hand() -> None:
    # Squares 1 + 1 + 4 + 4 = 10, x 4/3 for the fitted mean, / 8 units expected; the group's mean is worth 4 periods.
    sales, expected = np.array([[1.0, 3.0, 0.0, 4.0], [2.0, 2.0, 2.0, 2.0]]), np.full((2, 4), 2.0)
    found = count_dispersion(sales, expected, groups=np.zeros(2, dtype=np.intp), prior_periods=4.0)
    own = 10 * 4 / 3 / 8
    np.testing.assert_allclose(found, [(4 * own + 4 * own / 2) / 8, (4 * own / 2) / 8])


def test_count_dispersion_of_negative_binomial_counts_is_theirs() -> None:
    counts = np.random.default_rng(2).negative_binomial(4.0, 1 / 3, (300, 56)).astype(float)
    expected = np.tile(counts.mean(axis=1, keepdims=True), (1, 56))
    found = count_dispersion(counts, expected, groups=np.zeros(300, dtype=np.intp))
    assert found.mean() == pytest.approx(3.0, rel=0.05)


def test_count_quantiles_increase_and_hold_the_mass_at_zero() -> None:
    quantiles = count_quantiles(np.array([[0.2, 3.0]]), np.array([1.5]), quantiles=(0.1, 0.5, 0.9, 0.99))
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    assert quantiles[0, 0, :2].tolist() == [0.0, 0.0]


def test_count_quantiles_of_no_dispersion_are_those_of_a_poisson() -> None:
    # P(X <= 7) = 0.8666 and P(X <= 8) = 0.9319 for a Poisson of mean 5.
    assert count_quantiles(np.array([[5.0]]), np.array([0.5]), quantiles=(0.86, 0.93)).tolist() == [[[7.0, 8.0]]]
