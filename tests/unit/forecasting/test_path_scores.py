"""The back-test of sums: persistent errors are covered with the dependence and missed without; totals reconciled."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from restock.forecasting.backtest import find_cutoffs, run_backtest
from restock.forecasting.metrics import quantile_column
from restock.forecasting.path_scores import DEPENDENT, INDEPENDENT, SERIES_LEVEL, judge_paths
from restock.forecasting.reconciliation_scores import BOTTOM_UP, OWN, judge_reconciliation


@pytest.fixture
def params(small_params):
    return small_params(backtest={"n_windows": 4, "step_periods": 10}, paths={"n_paths": 100})


def with_persistent_errors(backtest, quantiles, *, seed=0):
    """Return a back-test of exponential quantiles whose outcomes share a level within each series and window."""
    rng = np.random.default_rng(seed)
    keys = backtest.select("sku", "location", "cutoff")
    level = keys.unique(maintain_order=True)
    level = level.with_columns(level=pl.Series(rng.normal(size=level.height)))
    shift = keys.join(level, on=["sku", "location", "cutoff"], how="left", maintain_order="left")["level"].to_numpy()
    scores = np.sqrt(0.4) * shift + np.sqrt(0.6) * rng.normal(size=backtest.height)
    return backtest.with_columns(
        demand=pl.Series(-np.log(1 - stats.norm.cdf(scores))).cast(pl.Float32),
        is_censored=pl.lit(value=False),
        **{quantile_column(q): pl.lit(float(-np.log(1 - q))).cast(pl.Float32) for q in quantiles},
    )


def row_of(scores, drawn_with, level=SERIES_LEVEL, periods=10):
    return scores.filter(
        pl.col("drawn_with") == drawn_with, pl.col("level") == level, pl.col("periods") == periods
    ).row(0, named=True)


def test_judge_paths_the_dependence_covers_sums_of_persistent_errors(make_panel, params):
    panel = make_panel(n_series=150)
    backtest = run_backtest(panel, family="seasonal_naive", params=params)
    scores = judge_paths(with_persistent_errors(backtest, params.forecasting.quantiles), panel, params=params)
    learned, none = row_of(scores, DEPENDENT), row_of(scores, INDEPENDENT)
    assert learned["coverage_80"] == pytest.approx(0.8, abs=0.05)
    assert learned["upper_0.95"] == pytest.approx(0.95, abs=0.03)
    assert none["coverage_80"] < 0.6
    for name in ("pinball", "energy_score", "variogram_score"):
        assert learned[name] < none[name]


def test_judge_paths_counts_known_days_only(make_panel, params):
    panel = make_panel()
    backtest = run_backtest(panel, family="seasonal_naive", params=params)
    changed = backtest.with_columns(demand=pl.when(pl.col("is_censored")).then(999.0).otherwise(pl.col("demand")))
    assert judge_paths(backtest, panel, params=params).equals(judge_paths(changed, panel, params=params))


def test_judge_paths_of_one_window_has_nothing_to_learn_from(make_panel, params):
    panel = make_panel()
    backtest = run_backtest(panel, family="seasonal_naive", params=params)
    newest = backtest.filter(pl.col("cutoff") == pl.col("cutoff").max())
    assert judge_paths(newest, panel, params=params).is_empty()


def test_judge_reconciliation_bottom_up_keeps_the_series_and_every_method_adds_up(make_panel, params):
    panel = make_panel()
    backtest = run_backtest(panel, family="statistical", params=params)
    scores = judge_reconciliation(backtest, panel, params=params)
    table = {(row["method"], row["level"]): row for row in scores.iter_rows(named=True)}
    assert table[BOTTOM_UP, "series"]["wape"] == table[OWN, "series"]["wape"]
    for method in set(scores["method"]) - {OWN}:
        biases = [row["bias"] for (name, _), row in table.items() if name == method]
        # What adds up has one bias at every level.
        np.testing.assert_allclose(biases, biases[0], atol=1e-9)
    assert table["mint", "all"]["n_nodes"] == 1
    assert table["mint", "series"]["n_nodes"] == panel.n_series


def test_judge_reconciliation_does_not_look_ahead(make_panel, with_other_future, params):
    panel = make_panel()
    cutoffs = find_cutoffs(panel, params)
    last = panel.date_of(panel.index_of(cutoffs[2]) + params.forecasting.horizon)
    changed = with_other_future(panel, last)
    found = []
    for one in (panel, changed):
        backtest = run_backtest(one, family="statistical", params=params).filter(pl.col("cutoff") <= cutoffs[2])
        known = one.observed_until(last)
        own = params.model_copy(update={"backtest": params.backtest.model_copy(update={"n_windows": 3})})
        found.append(judge_reconciliation(backtest, known, params=own))
    assert found[0].equals(found[1])
    assert found[0].height > 0
