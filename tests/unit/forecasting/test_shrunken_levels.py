"""Shrunken levels: a known pattern comes back, and nothing of the future is read."""

from __future__ import annotations

import numpy as np
import pytest

from restock.forecasting.shrunken_levels import count_quantiles, day_factors, forecast_levels

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
    np.testing.assert_allclose(forecast, 20.0 * np.tile(WEEKEND[56:], (30, 1)), rtol=0.06)


def test_forecast_levels_shrinks_a_series_without_sales_toward_its_peers() -> None:
    sales = np.full((20, 56), 5.0)
    sales[0] = 0
    forecast = forecast_levels(sales, n_ahead=7, **known_ahead(20) | {"weekdays": WEEKDAYS})
    assert 0 < forecast[0].mean() < 1
    assert forecast[1].mean() == pytest.approx(5.0, rel=0.05)


def test_day_factors_find_an_event_beside_the_weekday() -> None:
    rng = np.random.default_rng(5)
    is_event = rng.random((1, 70)) < 0.3
    sales = 50.0 * WEEKEND[None, :56] * np.where(is_event[:, :56], 1.5, 1.0)
    factors = day_factors(sales, weekdays=WEEKDAYS, is_event=is_event, groups=np.zeros(1, dtype=np.intp))
    monday = WEEKDAYS == 0
    ratio = factors[0, monday & is_event[0]].mean() / factors[0, monday & ~is_event[0]].mean()
    assert ratio == pytest.approx(1.5, rel=0.1)


def test_count_quantiles_increase_and_hold_the_mass_at_zero() -> None:
    quantiles = count_quantiles(np.array([[0.2, 3.0]]), np.array([1.5]), quantiles=(0.1, 0.5, 0.9, 0.99))
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    assert quantiles[0, 0, :2].tolist() == [0.0, 0.0]


def test_count_quantiles_of_no_dispersion_are_those_of_a_poisson() -> None:
    # P(X <= 7) = 0.8666 and P(X <= 8) = 0.9319 for a Poisson of mean 5.
    assert count_quantiles(np.array([[5.0]]), np.array([0.5]), quantiles=(0.86, 0.93)).tolist() == [[[7.0, 8.0]]]
