"""Nothing is learned from periods after the cutoff: change the future and see no difference."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restock.forecasting.backtest import find_cutoffs, run_backtest
from restock.forecasting.censoring import mask_censored
from restock.forecasting.families.tabular import prepare_rows
from restock.forecasting.features import build_origin_features
from restock.forecasting.group_levels import build_group_history
from restock.forecasting.segments import segment_series

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(cutoff_index=st.integers(0, 119), seed=st.integers(0, 2**16), panel_seed=st.integers(0, 50))
def test_origin_features_see_nothing_after_their_period(
    cutoff_index, seed, panel_seed, make_panel, small_params, with_other_future
):
    panel, params = make_panel(seed=panel_seed), small_params().features
    cutoff = panel.date_of(cutoff_index)
    before = build_origin_features(panel, params).values[:, : cutoff_index + 1]
    changed = with_other_future(panel, cutoff, plans=True, seed=seed)
    after = build_origin_features(changed, params).values[:, : cutoff_index + 1]
    np.testing.assert_array_equal(before, after)


@few
@given(cutoff_index=st.integers(0, 119), seed=st.integers(0, 2**16))
def test_group_levels_see_nothing_after_their_period(cutoff_index, seed, make_panel, with_other_future):
    panel = make_panel()
    changed = with_other_future(panel, panel.date_of(cutoff_index), plans=True, seed=seed)
    levels = [
        build_group_history(history, mask_censored(history, max_stockout_share=0.0)).at(cutoff_index)
        for history in (panel, changed)
    ]
    assert levels[0] == levels[1]


@few
@given(cutoff_index=st.integers(0, 119))
def test_origin_features_of_a_shorter_history_are_the_same_rows(cutoff_index, make_panel, small_params):
    panel, params = make_panel(), small_params().features
    whole = build_origin_features(panel, params).values
    cut = build_origin_features(panel.observed_until(panel.date_of(cutoff_index)), params).values
    np.testing.assert_allclose(cut, whole[:, : cutoff_index + 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ["seasonal_naive", "statistical", "random_forest", "xgboost", "neural"])
@pytest.mark.parametrize("known_ahead", [[], ["is_promoted", "unit_price"]], ids=["nothing ahead", "plans ahead"])
def test_backtest_forecasts_do_not_change_with_the_future(
    family, known_ahead, make_panel, small_params, with_other_future
):
    panel, params = make_panel(), small_params(features={"known_ahead": known_ahead})
    oldest = find_cutoffs(panel, params)[0]
    changed = with_other_future(panel, oldest, plans=not known_ahead)
    forecasts = [
        run_backtest(history, family=family, params=params)
        .filter(pl.col("cutoff") == oldest)
        .drop("demand", "is_censored")
        for history in (panel, changed)
    ]
    assert forecasts[0].equals(forecasts[1])


def test_backtest_forecasts_do_change_with_known_plans(make_panel, small_params, with_other_future):
    panel, params = make_panel(), small_params()
    oldest = find_cutoffs(panel, params)[0]
    made = [
        run_backtest(history, family="xgboost", params=params).filter(pl.col("cutoff") == oldest)["mean_units"]
        for history in (panel, with_other_future(panel, oldest, plans=True))
    ]
    assert not made[0].equals(made[1])


def test_training_rows_stay_within_the_observed_periods(make_panel, small_params, with_other_future):
    panel, params = make_panel(), small_params()
    cutoff = panel.date_of(80)
    rows = [
        prepare_rows(history.observed_until(cutoff), params=params, features=None)[0]
        for history in (panel, with_other_future(panel, cutoff))
    ]
    np.testing.assert_array_equal(rows[0].inputs, rows[1].inputs)
    np.testing.assert_array_equal(rows[0].targets, rows[1].targets)


def test_segments_of_the_back_test_see_nothing_after_the_oldest_cutoff(make_panel, small_params, with_other_future):
    panel, params = make_panel(), small_params()
    oldest = find_cutoffs(panel, params)[0]
    changed = with_other_future(panel, oldest, plans=True)
    segments = [
        segment_series(history.observed_until(oldest), params=params.evaluation) for history in (panel, changed)
    ]
    assert segments[0].equals(segments[1])
