from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from restock.statistics.quantiles import (
    empirical_quantiles,
    integrate_quantiles,
    interpolate_quantiles,
    order_quantiles,
    pinball_loss,
)

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
values = st.floats(-1e4, 1e4, allow_nan=False, width=32)


@given(observed=arrays(np.float64, 7, elements=values), forecast=arrays(np.float64, (7, 5), elements=values))
def test_order_quantiles_never_raises_the_pinball_loss_of_non_negative_demand(observed, forecast):
    demand = np.abs(observed)
    before = pinball_loss(demand, np.maximum(forecast, 0), LEVELS).sum(axis=1)
    after = pinball_loss(demand, order_quantiles(forecast), LEVELS).sum(axis=1)
    assert (after <= before + 1e-6 * (1 + np.abs(before))).all()


def test_pinball_loss_at_the_median_is_half_the_absolute_error():
    loss = pinball_loss(np.array([3.0, 10.0]), np.array([[5.0], [4.0]]), (0.5,))
    np.testing.assert_allclose(loss[:, 0], [1.0, 3.0])


def test_pinball_loss_of_the_unknown_is_unknown():
    assert np.isnan(pinball_loss(np.array([np.nan]), np.array([[1.0]]), (0.5,))).all()


@given(arrays(np.float64, (4, 9), elements=values | st.just(float("nan"))))
def test_empirical_quantiles_equal_numpys_on_the_known_values(rows):
    found = empirical_quantiles(rows, LEVELS)
    for row, quantiles in zip(rows, found, strict=True):
        known = row[~np.isnan(row)]
        expected = np.quantile(known, LEVELS) if known.size else np.full(len(LEVELS), np.nan)
        np.testing.assert_allclose(quantiles, expected, rtol=1e-9, atol=1e-9)


@given(arrays(np.float64, 5, elements=values), st.lists(st.floats(0.1, 0.9), min_size=1, max_size=6))
def test_interpolate_quantiles_equals_numpys_interpolation(row, wanted):
    ordered = np.sort(row)
    expected = np.interp(wanted, LEVELS, ordered)
    np.testing.assert_allclose(interpolate_quantiles(ordered, LEVELS, wanted), expected, rtol=1e-9, atol=1e-7)


def test_interpolate_quantiles_outside_the_known_levels_is_refused():
    with pytest.raises(ValueError, match=r"levels must lie within 0\.1 to 0\.9, got \[0\.95\]"):
        interpolate_quantiles(np.zeros(5), LEVELS, (0.95,))


def test_integrate_quantiles_of_a_fine_grid_is_the_mean_of_the_exponential():
    levels = tuple(np.arange(0.0005, 1, 0.001))
    mean = integrate_quantiles(-np.log1p(-np.array(levels)), levels)
    # The grid's last cell is cut at level 0.9995: what lies beyond is worth less than 0.001.
    assert float(mean) == pytest.approx(1.0, abs=2e-3)
