from __future__ import annotations

import itertools
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.errors import InsufficientHistoryError
from restock.timeline import Frequency, add_periods, backtest_cutoffs, period_index


@given(
    day=st.dates(date(2000, 1, 1), date(2050, 1, 1)),
    periods=st.integers(-500, 500),
    frequency=st.sampled_from(Frequency),
)
def test_period_index_undoes_add_periods(day, periods, frequency):
    assert period_index(add_periods(day, periods, frequency=frequency), day, frequency=frequency) == periods


def test_period_index_off_the_weekly_grid_is_refused():
    with pytest.raises(ValueError, match="2024-01-03 is not a whole number of weekly periods after 2024-01-01"):
        period_index(date(2024, 1, 3), date(2024, 1, 1), frequency=Frequency.WEEKLY)


@given(
    horizon=st.integers(1, 30),
    n_windows=st.integers(1, 6),
    step=st.integers(1, 30),
    frequency=st.sampled_from(Frequency),
)
def test_backtest_cutoffs_end_on_the_last_period_and_keep_their_step(horizon, n_windows, step, frequency):
    first = date(2020, 1, 6)
    last = add_periods(first, 400, frequency=frequency)
    cutoffs = backtest_cutoffs(
        first,
        last,
        horizon=horizon,
        n_windows=n_windows,
        step_periods=step,
        minimum_history_periods=14,
        frequency=frequency,
    )
    assert add_periods(cutoffs[-1], horizon, frequency=frequency) == last
    steps = {period_index(b, a, frequency=frequency) for a, b in itertools.pairwise(cutoffs)}
    assert steps <= {step}


def test_backtest_cutoffs_with_too_little_history_say_how_much_is_needed():
    with pytest.raises(InsufficientHistoryError, match=r"needs >= 56 \(112 periods in all"):
        backtest_cutoffs(
            date(2024, 1, 1),
            date(2024, 3, 1),
            horizon=28,
            n_windows=2,
            step_periods=28,
            minimum_history_periods=56,
            frequency=Frequency.DAILY,
        )
