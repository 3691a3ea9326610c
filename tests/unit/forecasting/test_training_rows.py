"""Which rows are learned from, and which plans they may read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from restock.errors import InsufficientHistoryError
from restock.forecasting.families.tabular import prepare_rows


def rows_of(panel, params):
    rows, _ = prepare_rows(panel, params=params, features=None)
    return rows


def test_sample_training_rows_never_targets_a_period_cut_off_by_a_stockout(make_panel, small_params):
    panel = make_panel(n_series=2)
    # Sales of exactly 7 wherever there was stock, and a telling 900 where there was none.
    is_short = panel.stockout_share > 0
    sales = np.where(is_short, 900, 7).astype(np.float32)
    params = small_params(features={"recover_from_share": 1.0})
    rows = rows_of(replace(panel, sales_units=np.where(np.isnan(panel.sales_units), np.nan, sales)), params)
    # The scale is 7 too, so every target is one scale.
    np.testing.assert_allclose(rows.targets, 1.0, rtol=1e-6)


def test_sample_training_rows_targets_draws_of_what_was_cut_off_with_less_weight(make_panel, small_params):
    panel = make_panel(n_series=3)
    # Eight every day, half of it where half of the day had stock.
    sales = np.where(panel.stockout_share > 0, 4, 8).astype(np.float32)
    sales[:, panel.observed_periods :] = np.nan
    panel = replace(panel, sales_units=sales)
    rows = rows_of(panel, small_params(features={"recover_from_share": 0.3, "silence_probability": 1.0}))
    units = rows.targets * np.exp(rows.inputs[:, rows.names.index("log_scale")])
    full = rows.weights > rows.weights.max() * 0.9
    np.testing.assert_allclose(units[full], 8, atol=0.01)
    drawn = units[~full]
    assert 0.02 < len(drawn) / len(units) < 0.15  # 6 % of the days
    assert drawn.min() >= 4 - 0.01
    assert drawn.std() > 0.5
    assert drawn.mean() == pytest.approx(8, rel=0.1)
    assert 0.3 < rows.weights[~full].mean() / rows.weights[full].mean() < 0.8


def test_sample_training_rows_gives_as_many_as_asked_within_the_horizon(make_panel, small_params):
    params = small_params()
    rows = rows_of(make_panel(), params)
    horizon = rows.inputs[:, rows.names.index("horizon")]
    assert len(rows.targets) == len(rows.weights) == len(rows.inputs) == params.forecasting.training_rows
    assert rows.inputs.shape[1] == len(rows.names)
    assert set(horizon) == set(range(1, params.forecasting.horizon + 1))
    assert rows.weights.mean() == pytest.approx(1.0, rel=1e-5)


def test_sample_training_rows_reaches_back_only_as_far_as_asked(make_panel, small_params):
    params = small_params(forecasting={"training_periods": 28})
    panel = make_panel(n_series=3)
    sales = panel.sales_units.copy()
    sales[:, : panel.observed_periods - 28] = 0
    sales[:, panel.observed_periods - 28 : panel.observed_periods] = 5
    rows = rows_of(replace(panel, sales_units=sales), params)
    assert rows.targets.min() > 0


def test_sample_training_rows_follow_the_seed(make_panel, small_params):
    first, same, other = (rows_of(make_panel(), small_params(seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.inputs, same.inputs)
    assert not np.array_equal(first.targets, other.targets)


@pytest.mark.parametrize(("known_ahead", "column"), [("is_promoted", "is_promoted"), ("unit_price", "price_change")])
def test_sample_training_rows_read_a_plan_only_where_it_is_known_ahead(known_ahead, column, make_panel, small_params):
    panel = make_panel()
    plans = {
        "is_promoted": np.tile(np.arange(panel.n_periods, dtype=np.float32) % 2, (panel.n_series, 1)),
        "unit_price": np.tile(1 + np.arange(panel.n_periods, dtype=np.float32) % 2, (panel.n_series, 1)),
    }
    panel = replace(panel, **plans)
    with_plan, without = (
        rows_of(panel, small_params(features={"known_ahead": names})) for names in ([known_ahead], [])
    )
    place, horizon = with_plan.names.index(column), with_plan.inputs[:, with_plan.names.index("horizon")]
    differs = with_plan.inputs[:, place] != without.inputs[:, place]
    # Both plans alternate by day, so the target's differs from the cutoff's exactly at odd horizons.
    np.testing.assert_array_equal(differs, horizon % 2 == 1)


def test_sample_training_rows_of_one_single_period_is_refused(make_panel, small_params):
    panel = make_panel()
    with pytest.raises(InsufficientHistoryError, match="no series has two observed periods with stock"):
        rows_of(panel.observed_until(panel.start), small_params())
