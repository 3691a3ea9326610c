"""The ensemble's back-test looks back only, and what is served averages as the back-test does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from restock.adapters.model_files import load_forecaster, save_forecaster
from restock.errors import HorizonError
from restock.forecasting.backtest import find_cutoffs, run_backtest
from restock.forecasting.combination import combine_backtests, run_model_backtest
from restock.forecasting.families.ensemble import EnsembleForecaster, SegmentWeights
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.segments import fit_segment_rule, segment_series

FAMILIES = ("seasonal_naive", "statistical", "xgboost")
KEYS = ["sku", "location", "cutoff", "date"]


@pytest.fixture
def params(small_params):
    return small_params(
        forecasting={"families": list(FAMILIES)},
        backtest={"n_windows": 3, "step_periods": 10},
        ensemble={"smallest_segment_rows": 40, "smallest_weight": 0.05},
        calibration={"mean_windows": 2, "shrinkage_rows": 50},
    )


def run_all(panel, params):
    return {family: run_backtest(panel, family=family, params=params) for family in FAMILIES}


def test_combine_backtests_gives_the_oldest_window_equal_weights_of_the_learned_families(make_panel, params):
    panel = make_panel()
    backtests = run_all(panel, params)
    combined = combine_backtests(backtests, panel, params=params)
    oldest = find_cutoffs(panel, params)[0]
    weights = combined.weights_by_cutoff[oldest]
    assert dict(zip(weights.members, weights.overall, strict=True)) == {
        "seasonal_naive": 0.0,
        "statistical": 0.0,
        "xgboost": 1.0,
    }
    values = ["mean_units", "q0.05", "q0.5", "q0.95"]
    ours, learned = (
        frame.filter(pl.col("cutoff") == oldest).sort(KEYS).select(values)
        for frame in (combined.backtest, backtests["xgboost"])
    )
    np.testing.assert_allclose(ours.to_numpy(), learned.to_numpy(), rtol=1e-6)


def test_combine_backtests_averages_each_window_with_its_weights(make_panel, small_params):
    params = small_params(
        forecasting={"families": list(FAMILIES)},
        backtest={"n_windows": 3},
        ensemble={"smallest_segment_rows": 40},
        calibration={"strength": 0.0},
    )
    panel = make_panel()
    backtests = run_all(panel, params)
    combined = combine_backtests(backtests, panel, params=params)
    newest = find_cutoffs(panel, params)[-1]
    known = panel.observed_until(newest)
    segments = fit_segment_rule(known, params=params.evaluation).assign(known)
    of_series = dict(zip(panel.series.select("sku", "location").rows(), segments, strict=True))
    weights = combined.weights_by_cutoff[newest]
    assert weights.by_segment
    rows = {family: frame.filter(pl.col("cutoff") == newest).sort(KEYS) for family, frame in backtests.items()}
    ours = combined.backtest.filter(pl.col("cutoff") == newest).sort(KEYS)
    for place in range(0, ours.height, 7):
        own = weights.by_segment.get(of_series[ours["sku"][place], ours["location"][place]], weights.overall)
        for column in ("mean_units", "q0.5", "q0.95"):
            expected = sum(w * rows[family][column][place] for w, family in zip(own, weights.members, strict=True))
            assert ours[column][place] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_combine_backtests_corrects_a_window_by_the_windows_before_it(make_panel, params):
    panel = make_panel()
    backtests = run_all(panel, params)
    plain, corrected = (
        combine_backtests(
            backtests, panel, params=params.model_copy(update={"calibration": calibration})
        ).backtest.sort(KEYS)
        for calibration in (params.calibration.model_copy(update={"strength": 0.0}), params.calibration)
    )
    oldest = find_cutoffs(panel, params)[0]
    is_first = plain["cutoff"] == oldest
    assert plain.filter(is_first).equals(corrected.filter(is_first))
    assert not plain.filter(~is_first).equals(corrected.filter(~is_first))


def test_combine_backtests_does_not_change_with_the_future(make_panel, params, with_other_future):
    panel = make_panel()
    cutoffs = find_cutoffs(panel, params)
    # Sales change after the second cutoff: neither of the first two windows may see it, in weights or in segments.
    changed = with_other_future(panel, cutoffs[1], plans=False)
    before, after = (
        combine_backtests(run_all(history, params), history, params=params) for history in (panel, changed)
    )
    for cutoff in cutoffs[:2]:
        assert before.weights_by_cutoff[cutoff] == after.weights_by_cutoff[cutoff]
    assert before.weights_by_cutoff[cutoffs[2]] != after.weights_by_cutoff[cutoffs[2]]
    kept = [*KEYS, "mean_units", "q0.05", "q0.5", "q0.95"]
    one, other = (
        found.backtest.filter(pl.col("cutoff") <= cutoffs[1]).select(kept).sort(KEYS) for found in (before, after)
    )
    assert one.equals(other)


def test_combine_backtests_uses_no_outcome_after_the_cutoff_where_windows_overlap(
    make_panel, small_params, with_other_future
):
    params = small_params(
        forecasting={"families": ["seasonal_naive", "statistical"]},
        backtest={"n_windows": 3, "step_periods": 4},
        ensemble={"smallest_segment_rows": 20},
    )
    panel = make_panel()
    cutoffs = find_cutoffs(panel, params)
    changed = with_other_future(panel, cutoffs[1], plans=False)
    before, after = (
        combine_backtests(
            {name: run_backtest(history, family=name, params=params) for name in params.forecasting.families},
            history,
            params=params,
        ).weights_by_cutoff[cutoffs[1]]
        for history in (panel, changed)
    )
    assert before == after


def test_combine_backtests_refuses_back_tests_of_other_rows(make_panel, params):
    panel = make_panel()
    backtests = run_all(panel, params)
    with pytest.raises(ValueError, match="differ in their series or windows"):
        combine_backtests(backtests | {"xgboost": backtests["xgboost"][1:]}, panel, params=params)


def test_run_model_backtest_of_the_ensemble_is_that_of_its_families(make_panel, params):
    panel = make_panel()
    found = run_model_backtest(panel, name="ensemble", params=params)
    # Two fits on several threads add up in other orders; weights pass the difference on.
    assert_frame_equal(
        found, combine_backtests(run_all(panel, params), panel, params=params).backtest, rel_tol=1e-3, abs_tol=1e-3
    )


@pytest.fixture
def ensemble(make_panel, params):
    panel = make_panel()
    combined = combine_backtests(run_all(panel, params), panel, params=params)
    members = {family: fit_forecaster(family, panel, params=params) for family in combined.weights.members}
    return EnsembleForecaster(
        horizon=10,
        quantiles=params.forecasting.quantiles,
        rule=combined.rule,
        weights=combined.weights,
        members=members,
        calibration=combined.calibration,
        cold_start=combined.cold_start,
    )


def test_ensemble_is_saved_with_its_members_and_forecasts_the_same(ensemble, make_panel, tmp_path):
    panel = make_panel(seed=4)
    save_forecaster(ensemble, tmp_path)
    loaded = load_forecaster(tmp_path)
    assert (loaded.family, loaded.horizon, loaded.quantiles) == ("ensemble", 10, ensemble.quantiles)
    assert {path.name for path in (tmp_path / "members").iterdir()} == set(ensemble.weights.members)
    before, after = ensemble.forecast(panel, horizon=10), loaded.forecast(panel, horizon=10)
    np.testing.assert_allclose(after.quantile_units, before.quantile_units, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(after.mean_units, before.mean_units, rtol=1e-5, atol=1e-5)


def test_ensemble_of_one_series_is_the_same_as_among_all(ensemble, make_panel):
    panel = make_panel(seed=3)
    together = ensemble.forecast(panel, horizon=7)
    alone = ensemble.forecast(panel.select(np.array([4])), horizon=7)
    np.testing.assert_allclose(alone.quantile_units[0], together.quantile_units[4], rtol=1e-4, atol=1e-4)
    assert (np.diff(together.quantile_units, axis=2) >= 0).all()
    with pytest.raises(HorizonError, match="got 11"):
        ensemble.forecast(panel, horizon=11)


def test_ensemble_of_a_series_never_sold_is_what_its_attributes_tell(ensemble, make_panel):
    panel = make_panel(seed=3)
    nothing = replace(panel, sales_units=np.full_like(panel.sales_units, np.nan))
    found = ensemble.forecast(nothing, horizon=10)
    quantile_units, mean_units = ensemble.cold_start.forecast_new(nothing, horizon=10)
    np.testing.assert_allclose(found.mean_units, mean_units, rtol=1e-5)
    np.testing.assert_allclose(found.quantile_units, quantile_units, rtol=1e-5)
    assert found.mean_units.min() > 0


def test_segment_weights_without_unused_drop_what_counts_nowhere():
    weights = SegmentWeights(
        members=("seasonal_naive", "statistical", "xgboost"),
        overall=(0.0, 0.0, 1.0),
        by_segment={"C-lumpy": (0.0, 0.25, 0.75)},
    )
    kept = weights.without_unused()
    assert kept.members == ("statistical", "xgboost")
    assert kept.of(np.array(["C-lumpy", "unknown"])).tolist() == [[0.25, 0.75], [0.0, 1.0]]


def test_segment_rule_agrees_with_the_segments_of_the_panel_it_was_fitted_on(make_panel, small_params):
    # As long as the rule looks back, so that both see the same sales; and all listed from the first day.
    panel = make_panel(n_series=30, n_periods=100)
    panel = replace(panel, sales_units=np.where(np.arange(110) < 100, np.nan_to_num(panel.sales_units), np.nan))
    params = small_params().evaluation
    expected = segment_series(panel, params=params)["segment"].to_list()
    rule = fit_segment_rule(panel, params=params)
    assert rule.assign(panel).tolist() == expected
    assert rule.assign(panel.select(np.array([3])))[0] == expected[3]
