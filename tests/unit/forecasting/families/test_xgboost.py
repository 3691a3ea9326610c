"""What is particular to the XGBoost family: batches, recency weights, and levels between the fitted ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xgboost

from restock.adapters.model_files import load_forecaster, save_forecaster
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.families.tabular import prepare_rows, prepare_sample
from restock.forecasting.families.xgboost import build_matrix


def test_rows_made_in_batches_are_the_rows_made_at_once(make_panel, small_params):
    panel, params = make_panel(), small_params()
    sample, _ = prepare_sample(panel, params=params, features=None)
    whole, _ = prepare_rows(panel, params=params, features=None)
    n_rows = len(sample.targets)
    parts = [sample.inputs(slice(first, first + 700)) for first in range(0, n_rows, 700)]
    np.testing.assert_array_equal(np.concatenate(parts), whole.inputs)


def test_build_matrix_in_batches_holds_the_same_rows_and_trains_as_well(make_panel, small_params):
    sample, _ = prepare_sample(make_panel(), params=small_params(), features=None)
    matrices = [build_matrix(sample, half_life_periods=100, batch_rows=size) for size in (10**6, 300)]
    for field in ("label", "weight"):
        first, second = (matrix.get_float_info(field) for matrix in matrices)
        np.testing.assert_array_equal(first, second)
    assert matrices[0].num_row() == matrices[1].num_row() == len(sample.targets)
    assert matrices[1].feature_names == list(sample.names)
    losses = []
    for matrix in matrices:
        booster = xgboost.train({"objective": "reg:tweedie", "max_depth": 4, "max_bin": 64}, matrix, num_boost_round=20)
        predicted = booster.inplace_predict(sample.inputs(slice(None)))
        losses.append(float(np.mean(np.abs(predicted - sample.targets))))
    # The borders of the bins come from sketches of the parts, so trees differ a little.
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_build_matrix_never_asks_for_more_rows_than_a_batch(make_panel, small_params):
    sample, _ = prepare_sample(make_panel(), params=small_params(), features=None)
    asked = []

    class Watched(type(sample)):
        def inputs(self, rows):
            made = super().inputs(rows)
            asked.append(len(made))
            return made

    watched = Watched(**{name: getattr(sample, name) for name in sample.__dataclass_fields__})
    build_matrix(watched, half_life_periods=100, batch_rows=256)
    assert max(asked) == 256
    assert sum(asked) >= len(sample.targets)


def test_build_matrix_counts_a_target_half_that_is_a_half_life_older(make_panel, small_params):
    sample, _ = prepare_sample(make_panel(), params=small_params(), features=None)
    weights = build_matrix(sample, half_life_periods=20).get_weight()
    share = weights / sample.weights
    newest, older = share[sample.age == sample.age.min()], share[sample.age == sample.age.min() + 20]
    np.testing.assert_allclose(older, newest[0] / 2, rtol=1e-5)
    assert weights.mean() == pytest.approx(1, rel=1e-5)


def test_recent_change_is_followed_with_a_short_half_life(make_panel, small_params):
    panel = make_panel(n_series=8)
    # Weekends double over the last six weeks: a season index that old rows contradict.
    factor = np.ones(panel.n_periods, dtype=np.float32)
    factor[panel.observed_periods - 42 :] = np.where(
        np.arange(panel.n_periods)[panel.observed_periods - 42 :] % 7 > 4, 3, 1
    )
    changed = replace(panel, sales_units=panel.sales_units * factor)
    weekend = np.arange(panel.observed_periods, panel.observed_periods + 7) % 7 > 4
    shares = []
    for half_life in (5.0, 5_000.0):
        params = small_params(families={"xgboost": {"half_life_periods": half_life, "n_rounds": 40}})
        mean = fit_forecaster("xgboost", changed, params=params).forecast(changed, horizon=7).mean_units.sum(axis=0)
        shares.append(mean[weekend].sum() / mean.sum())
    assert shares[0] > shares[1]


@pytest.mark.parametrize("fitted", [3, 5, 99])
def test_levels_between_the_fitted_ones_are_served_after_a_reload_too(fitted, make_panel, small_params, tmp_path):
    panel = make_panel()
    params = small_params(families={"xgboost": {"fitted_quantiles": fitted}})
    forecaster = fit_forecaster("xgboost", panel, params=params)
    levels = forecaster.predictor.fitted_quantiles
    assert len(levels) == min(fitted, len(params.forecasting.quantiles))
    assert {levels[0], levels[-1]} == {params.forecasting.quantiles[0], params.forecasting.quantiles[-1]}
    save_forecaster(forecaster, tmp_path)
    before, after = (one.forecast(panel, horizon=5) for one in (forecaster, load_forecaster(tmp_path)))
    assert before.quantile_units.shape[-1] == len(params.forecasting.quantiles)
    np.testing.assert_array_equal(before.quantile_units, after.quantile_units)
    np.testing.assert_array_equal(before.mean_units, after.mean_units)
