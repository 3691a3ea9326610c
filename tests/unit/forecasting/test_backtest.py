"""What a back-test holds, when it refits, and how it is scored and compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from restock.errors import InsufficientHistoryError
from restock.forecasting.backtest import find_cutoffs, paired_pinball, run_backtest, score_backtest
from restock.forecasting.features import build_origin_features

QUANTILES = (0.1, 0.5, 0.9)
CUTOFF = date(2024, 1, 31)


def forecasts(family, values, *, demand, is_censored=None):
    """Rows of one series and cutoff, each forecast one value at every quantile and as the mean."""
    n = len(values)
    return pl.DataFrame(
        {
            "sku": ["A"] * n,
            "location": ["L"] * n,
            "cutoff": [CUTOFF] * n,
            "date": [CUTOFF + timedelta(days=ahead + 1) for ahead in range(n)],
            "demand": demand,
            "is_censored": is_censored or [False] * n,
            "family": [family] * n,
            "mean_units": values,
            "q0.1": values,
            "q0.5": values,
            "q0.9": values,
        }
    )


def test_run_backtest_has_a_row_for_every_listed_series_window_and_horizon(make_panel, small_params):
    panel, params = make_panel(n_series=3, n_periods=60), small_params()
    # The last series is first sold between the two cutoffs, on day 45: the older window does not know it.
    sales = panel.sales_units.copy()
    sales[-1, :45] = np.nan
    sales[-1, 45:60] = 2
    panel = replace(panel, sales_units=sales)
    backtest = run_backtest(panel, family="seasonal_naive", params=params)
    cutoffs = find_cutoffs(panel, params)
    assert cutoffs == (panel.date_of(39), panel.date_of(49))
    rows = backtest.group_by("cutoff", "sku").len().sort("cutoff", "sku").rows()
    names = panel.series["sku"].to_list()
    expected = [(cutoff, sku, 10) for cutoff, known in zip(cutoffs, (names[:2], names), strict=True) for sku in known]
    assert rows == expected
    assert backtest.filter(pl.col("cutoff") == cutoffs[0], pl.col("sku") == names[0])["horizon"].to_list() == [
        *range(1, 11)
    ]


def test_run_backtest_stands_forecasts_beside_the_sales_of_their_date(make_panel, small_params):
    panel, params = make_panel(), small_params()
    backtest = run_backtest(panel, family="seasonal_naive", params=params)
    for row in backtest.sample(40, seed=1).iter_rows(named=True):
        series, period = panel.series["sku"].to_list().index(row["sku"]), panel.index_of(row["date"])
        assert row["date"] == row["cutoff"] + timedelta(days=row["horizon"])
        assert row["demand"] == panel.sales_units[series, period]
        assert row["is_censored"] == (panel.stockout_share[series, period] > 0)
        # A season of 7 days: horizon 8 is forecast from the day after horizon 1's, two weeks back.
        lag = 7 * -(-row["horizon"] // 7)
        if not panel.stockout_share[series, period - lag] > 0:
            assert row["mean_units"] == panel.sales_units[series, period - lag]


def test_run_backtest_refits_at_each_cutoff_only_where_asked(make_panel, small_params):
    panel = make_panel()
    once, anew = (
        run_backtest(panel, family="xgboost", params=small_params(backtest={"refit": refit}))
        for refit in ("first", "each")
    )
    oldest, newest = find_cutoffs(panel, small_params())
    means = [
        [backtest.filter(pl.col("cutoff") == cutoff)["mean_units"].to_numpy() for backtest in (once, anew)]
        for cutoff in (oldest, newest)
    ]
    np.testing.assert_array_equal(*means[0])
    assert not np.array_equal(*means[1])


def test_run_backtest_with_features_at_hand_gives_the_same_forecasts(make_panel, small_params):
    panel, params = make_panel(), small_params()
    features = build_origin_features(panel, params.features)
    with_features = run_backtest(panel, family="xgboost", params=params, features=features)
    assert with_features.equals(run_backtest(panel, family="xgboost", params=params))


def test_run_backtest_reports_every_window(make_panel, small_params):
    reported = []
    run_backtest(
        make_panel(), family="seasonal_naive", params=small_params(), on_progress=lambda *done: reported.append(done)
    )
    assert reported == [(1, 2), (2, 2)]


def test_run_backtest_of_too_short_a_history_is_refused(make_panel, small_params):
    with pytest.raises(InsufficientHistoryError, match="the oldest of 2 backtest windows would have 20 periods"):
        run_backtest(make_panel(n_periods=40), family="seasonal_naive", params=small_params())


def test_score_backtest_scales_rmsse_by_the_history_up_to_the_cutoff(make_panel, small_params):
    panel = make_panel(n_series=1, n_periods=33)
    sales = np.full_like(panel.sales_units, np.nan)
    # Up to the cutoff, 31 January, sales go 1, 3, 1, 3, ...: every squared step is 4. What comes after must not count.
    sales[0, :31] = 1 + 2 * (np.arange(31) % 2)
    sales[0, 31:33] = [100, 0]
    series = panel.series.with_columns(sku=pl.lit("A"), location=pl.lit("L"))
    params = small_params(forecasting={"quantiles": list(QUANTILES)})
    scores = score_backtest(
        forecasts("f", [97.0, 4.0], demand=[100.0, 0.0]),
        replace(panel, series=series, sales_units=sales),
        params=params,
    )
    overall = scores.filter(pl.col("segment") == "all", pl.col("cutoff").is_null()).row(0, named=True)
    # Errors -3 and 4: the mean square is 12.5, over 4.
    assert overall["rmsse"] == pytest.approx((12.5 / 4) ** 0.5)
    assert overall["wape"] == pytest.approx(7 / 100)
    assert overall["bias"] == pytest.approx(1 / 100)


def test_score_backtest_segments_add_up_to_all(make_panel, small_params):
    panel, params = make_panel(), small_params()
    backtests = pl.concat(run_backtest(panel, family=f, params=params) for f in ("seasonal_naive", "xgboost"))
    scores = score_backtest(backtests, panel, params=params)
    assert scores.select("family", "cutoff", "segment").is_duplicated().sum() == 0
    for family in ("seasonal_naive", "xgboost"):
        own = scores.filter(pl.col("family") == family)
        total = own.filter(pl.col("segment") == "all", pl.col("cutoff").is_null())["n_scored"].item()
        parts = own.filter(pl.col("segment") != "all", pl.col("cutoff").is_not_null())
        assert parts["n_scored"].sum() == total == backtests.filter(family=family)["is_censored"].not_().sum()
        pooled = (parts["pinball"] * parts["n_scored"]).sum() / total
        assert pooled == pytest.approx(
            own.filter(pl.col("segment") == "all", pl.col("cutoff").is_null())["pinball"].item(), rel=1e-5
        )


def test_paired_pinball_compares_only_rows_that_both_can_score():
    candidate = forecasts("new", [8.0, 5.0, 1.0], demand=[10.0, 9.0, 2.0], is_censored=[False, True, False])
    incumbent = forecasts("old", [14.0, 5.0], demand=[10.0, 9.0], is_censored=[False, True])
    pairs = paired_pinball(candidate, incumbent, quantiles=QUANTILES)
    # Only the first day: 2 too low costs 0.2, 1 and 1.8, over 3; 4 too high costs 3.6, 2 and 0.4, over 3.
    assert pairs.rows() == [("A", "L", CUTOFF, pytest.approx(1.0), pytest.approx(2.0))]
