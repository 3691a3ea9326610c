import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from restock.statistics.drift import population_stability_index

SAMPLES = arrays(np.float64, st.integers(20, 200), elements=st.floats(-1e6, 1e6))


def test_population_stability_index_two_bins_matches_the_formula():
    # Half of the reference is 0, half 1; of the recent values a quarter and three quarters.
    reference, recent = np.repeat([0.0, 1.0], 5_000), np.repeat([0.0, 1.0], [2_500, 7_500])
    expected = (0.25 - 0.5) * np.log(0.25 / 0.5) + (0.75 - 0.5) * np.log(0.75 / 0.5)
    # The pseudo-counts move shares of 10,000 values by less than 1e-4.
    assert population_stability_index(reference, recent) == pytest.approx(expected, abs=1e-3)


def test_population_stability_index_unknown_values_are_left_out():
    values = np.arange(100.0)
    with_gaps = np.concatenate([values, np.full(50, np.nan)])
    assert population_stability_index(with_gaps, values) == population_stability_index(values, values)


def test_population_stability_index_nothing_known_is_refused():
    with pytest.raises(ValueError, match="need a known value, got 1 and 0"):
        population_stability_index(np.array([1.0]), np.array([np.nan]))


@given(SAMPLES, SAMPLES)
def test_population_stability_index_is_never_negative(reference, recent):
    assert population_stability_index(reference, recent) >= 0


@given(SAMPLES, SAMPLES, st.floats(0.1, 10))
def test_population_stability_index_does_not_depend_on_the_unit(reference, recent, factor):
    rounded = np.round(reference), np.round(recent)
    # Powers of two scale floats exactly, so that ties stay ties.
    scale = 2.0 ** np.round(np.log2(factor))
    assert population_stability_index(*(scale * part for part in rounded)) == population_stability_index(*rounded)
