from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from restock.errors import InsufficientHistoryError
from restock.forecasting.backtest import find_cutoffs, run_backtest
from restock.forecasting.features import build_origin_features
from restock.forecasting.metrics import row_losses
from restock.forecasting.search_space import SEARCH_SPACES
from restock.forecasting.tuning import inner_cutoffs, inner_panel, judge_window, with_values
from restock.timeline import add_periods

HORIZON = 10


@pytest.mark.parametrize("family", SEARCH_SPACES)
def test_search_space_holds_params_of_the_family_and_its_ends_are_valid(family, small_params):
    params = small_params()
    for end in ("low", "high"):
        values = {
            name: int(getattr(each, end)) if each.is_integer else getattr(each, end)
            for name, each in SEARCH_SPACES[family].items()
        }
        section = getattr(with_values(params, family, values).families, family)
        assert {name: getattr(section, name) for name in values} == values
    assert all(each.low < each.high for each in SEARCH_SPACES[family].values())


def test_search_spaces_leave_the_baseline_as_it_is():
    assert "seasonal_naive" not in SEARCH_SPACES


def test_inner_windows_end_before_the_back_test_s_oldest_cutoff(make_panel, small_params):
    panel, params = make_panel(), small_params()
    oldest = find_cutoffs(panel, params)[0]
    inner = inner_panel(panel, params)
    cutoffs = inner_cutoffs(inner, params, n_windows=3)
    assert len(cutoffs) == 3
    assert list(cutoffs) == sorted(cutoffs)
    assert all(add_periods(cutoff, HORIZON, frequency=panel.frequency) <= oldest for cutoff in cutoffs)
    assert np.isnan(inner.sales_units[:, panel.index_of(oldest) + 1 :]).all()


def test_inner_cutoffs_too_little_history_before_the_back_test_is_refused(make_panel, small_params):
    panel, params = make_panel(n_periods=70), small_params()
    with pytest.raises(InsufficientHistoryError, match="the oldest of 3 backtest windows would have"):
        inner_cutoffs(inner_panel(panel, params), params, n_windows=3)


@pytest.mark.parametrize("family", ["statistical", "xgboost"])
@pytest.mark.parametrize("has_features", [False, True])
def test_judge_window_sees_nothing_of_the_back_test(family, has_features, make_panel, small_params, with_other_future):
    panel, params = make_panel(), small_params()
    oldest = find_cutoffs(panel, params)[0]
    other = with_other_future(panel, oldest)
    losses = []
    for each in (panel, other):
        inner = inner_panel(each, params)
        features = build_origin_features(each, params.features) if has_features else None
        losses.append(
            [
                judge_window(inner, cutoff=cutoff, family=family, params=params, features=features)
                for cutoff in inner_cutoffs(inner, params, n_windows=2)
            ]
        )
    assert losses[0] == losses[1]
    # What is judged does count: other sales before the oldest cutoff give other losses.
    inner = inner_panel(replace(panel, sales_units=panel.sales_units * 3), params)
    newest = inner_cutoffs(inner, params, n_windows=2)[-1]
    assert judge_window(inner, cutoff=newest, family=family, params=params) != losses[0][-1]


def test_judge_window_is_the_loss_of_a_back_test_that_ends_with_the_window(make_panel, small_params):
    panel, params = make_panel(), small_params()
    inner = inner_panel(panel, params)
    cutoff = inner_cutoffs(inner, params, n_windows=2)[0]
    rows = run_backtest(
        panel.observed_until(add_periods(cutoff, HORIZON, frequency=panel.frequency)),
        family="seasonal_naive",
        params=small_params(backtest={"n_windows": 1}),
    )
    assert set(rows["cutoff"]) == {cutoff}
    expected = row_losses(rows, params.forecasting.quantiles)["pinball"].drop_nulls().mean()
    found = judge_window(inner, cutoff=cutoff, family="seasonal_naive", params=params)
    assert found == pytest.approx(expected, rel=1e-12)


def test_judge_window_without_demand_to_score_is_refused(make_panel, small_params):
    panel, params = make_panel(), small_params()
    cutoff = inner_cutoffs(inner_panel(panel, params), params, n_windows=1)[0]
    after = slice(panel.index_of(cutoff) + 1, None)
    stockout = panel.stockout_share.copy()
    stockout[:, after] = 1.0
    censored = inner_panel(replace(panel, stockout_share=stockout), params)
    with pytest.raises(InsufficientHistoryError, match=f"no demand after {cutoff} can be scored"):
        judge_window(censored, cutoff=cutoff, family="seasonal_naive", params=params)
