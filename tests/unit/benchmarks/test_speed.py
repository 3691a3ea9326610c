"""The speed figures: the peers compute what ours do, on the same rows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from restock.benchmarks import ledger_posting
from restock.benchmarks.feature_speed import as_long_sales, measure_feature_speed, peer_features
from restock.benchmarks.growth import measure_growth, repeat_series
from restock.benchmarks.ledger_posting import measure_posting
from restock.benchmarks.planning_speed import measure_planning, measure_sharing
from restock.benchmarks.policy_speed import measure_policy_speed
from restock.benchmarks.prediction_speed import load_xgboost, measure_prediction_speed
from restock.benchmarks.results_page import read_results, render_page
from restock.benchmarks.smoothing_speed import measure_smoothing_speed
from restock.errors import DataError, NotReadyError
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.features import build_origin_features


def test_peer_features_equal_ours_where_nothing_is_censored(make_panel, small_params):
    made = make_panel()
    panel, params = replace(made, stockout_share=np.zeros_like(made.stockout_share)), small_params().features
    features = build_origin_features(panel, params)
    theirs = peer_features(panel.frequency, params)(as_long_sales(panel))
    scale = features.column("scale_units")
    period = (theirs["ds"] - panel.start).dt.total_days().to_numpy()
    # Their row is about a target, ours about the period before it.
    row, before = theirs["unique_id"].to_numpy()[period > 0], period[period > 0] - 1
    names = {f"lag_{lag}": f"lag{lag + 1}" for lag in params.lags}
    names |= {
        f"mean_{window}": f"rolling_mean_lag1_window_size{window}_min_samples1" for window in params.rolling_windows
    }
    for ours, name in names.items():
        found = (features.column(ours) * scale)[row, before]
        expected = theirs[name].to_numpy()[period > 0]
        # Their first row of a late starter has no history, where ours has a row of unknowns.
        assert np.isnan(found[np.isnan(expected)]).all(), ours
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg=ours)


def test_measure_feature_speed_counts_every_row(make_panel, small_params):
    panel = make_panel()
    found = measure_feature_speed(panel, small_params().features)
    assert found["rows"] == panel.n_series * panel.observed_periods
    assert found["mlforecast_features"] == 3 + 2 * 2
    assert found["ratio"] > 0


def test_measure_prediction_speed_leaves_the_forecaster_as_it_is(make_panel, small_params):
    panel = make_panel()
    forecaster = fit_forecaster("xgboost", panel, params=small_params())
    before = forecaster.forecast(panel, horizon=10).quantile_units
    found = measure_prediction_speed(forecaster, panel)
    assert (found["rows"], found["quantiles"]) == (panel.n_series * 10, 7)
    np.testing.assert_array_equal(forecaster.forecast(panel, horizon=10).quantile_units, before)


def test_measure_growth_times_each_count_and_gives_the_slope(make_panel, small_params):
    panel = make_panel(n_periods=120)
    found = measure_growth(panel, small_params(), counts=(20, 60))
    assert [size["series"] for size in found["sizes"]] == [20, 60]
    assert all(size["seconds"] >= size["fit_seconds"] > 0 for size in found["sizes"])
    by_hand = np.log(found["sizes"][1]["seconds"] / found["sizes"][0]["seconds"]) / np.log(3)
    # Seconds are rounded to hundredths.
    assert found["slope"] == pytest.approx(by_hand, abs=0.1)
    assert all(size["cpu_seconds"] > 0 for size in found["sizes"])


def test_repeat_series_gives_each_repetition_locations_of_its_own(make_panel):
    panel = make_panel()
    repeated = repeat_series(panel, 2 * panel.n_series + 1)
    assert repeated.series.select("sku", "location").is_unique().all()
    np.testing.assert_array_equal(repeated.sales_units[panel.n_series], panel.sales_units[0])


@pytest.mark.real
def test_measure_smoothing_speed_compares_with_statsforecast(make_panel):
    found = measure_smoothing_speed(make_panel(n_periods=180))
    assert found["statsforecast_seconds"] > 0
    # The same model on the same data: a grid of weights may lose a little to an optimiser, not more.
    assert found["wape"] <= 1.1 * found["statsforecast_wape"]


@pytest.mark.real
def test_measure_policy_speed_finds_stockpyls_costs():
    found = measure_policy_speed()
    assert set(found) == {"newsvendor", "reorder_point", "order_up_to", "wagner_whitin", "guaranteed_service"}
    assert all(speed["seconds"] > 0 and speed["stockpyl_seconds"] > 0 for speed in found.values())


def test_render_page_shows_policies_of_the_lost_sales_benchmark():
    figures = {"lead_time_4_penalty_9_above_optimum_pct": 0.01}
    result = RESULT | {
        "benchmark": "lost-sales", "family": "projected_stockout", "score": figures, "skipped": {},
        "baselines": {"base_stock": {"lead_time_4_penalty_9_above_optimum_pct": 6.36}},
        "families": {"projected_stockout": figures}, "setting": {"runs": 600, "parameters": {"a": {"b": 1}}},
    }  # fmt: skip
    page = render_page({"machine": {}, "versions": {}}, [result], measured_on=date(2026, 1, 2))
    assert "| lead time 4 penalty 9 above optimum pct | 6.3600 | 0.0100 |" in page
    assert "runs: 600" in page
    assert "parameters" not in page


def test_measure_planning_times_orders_curves_and_a_budget_kept_exactly():
    found = measure_planning(n_lines=120, n_paths=20, horizon=14, n_threads=1)
    assert found["seconds"] == pytest.approx(
        found["plan_seconds"] + found["curve_seconds"] + found["budget_seconds"], abs=0.02
    )
    assert found["gap"] <= 1e-6
    page = render_page({"machine": {}, "versions": {}, "planning": found}, [], measured_on=date(2024, 1, 2))
    assert "plan of 120 lines x 20 paths x 14 periods, lost sales: orders" in page


def test_measure_sharing_times_ever_more_that_lines_share():
    found = measure_sharing(n_lines=600, time_limit_seconds=2.0)
    assert list(found) == ["budget", "budget_and_rooms", "budget_rooms_and_suppliers"]
    assert found["budget"]["gap"] <= 1e-6
    page = render_page({"machine": {}, "versions": {}, "sharing": found}, [], measured_on=date(2024, 1, 2))
    assert "that share budget rooms and suppliers" in page


def test_render_page_shows_policies_beside_stockpyl():
    speed = {"order_up_to": {"seconds": 0.0003, "stockpyl_seconds": 0.04, "ratio": 133.3}}
    page = render_page({"machine": {}, "versions": {}, "policies": speed}, [], measured_on=date(2026, 1, 1))
    assert (
        "| order up to, a textbook instance, the same cost | 0.300 ms | stockpyl: 40.000 ms | 133.3 x faster |" in page
    )


def test_load_xgboost_without_a_model_says_how_to_make_one(tmp_path):
    with pytest.raises(NotReadyError, match="dvc repro train@xgboost"):
        load_xgboost(tmp_path / "model")


RESULT = {
    "benchmark": "m5", "seconds": 12.3, "peak_rss_mb": 900, "rows": 1_000, "family": "xgboost", "seed": 1,
    "score": {"wrmsse_level12": 0.9}, "baselines": {"mean_of_last_28_days": {"wrmsse_level12": 1.25}},
    "families": {"xgboost": {"wrmsse_level12": 0.9}}, "skipped": {"neural": "too little history"},
    "setting": {"held_out_days": 28},
}  # fmt: skip


def test_render_page_shows_scores_beside_baselines():
    figures = {"machine": {"cores": "2"}, "versions": {"python": "3.11"}, "no_op_repro": {"seconds_median_of_5": 1.5}}
    page = render_page(figures, [RESULT], measured_on=date(2026, 1, 2))
    assert "Measured on 2026-01-02" in page
    assert "| `dvc repro` with nothing to do | 1.50 s | - | - |" in page
    assert "|  | mean of last 28 days | xgboost (chosen) |\n| --- | --- | --- |" in page
    assert "| WRMSSE, level 12 | 1.2500 | 0.9000 |" in page
    assert "Left out: neural, because too little history" in page


def test_read_results_reads_what_is_printed(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps(RESULT) + "\n\n", encoding="utf-8")
    assert read_results(path) == [RESULT]
    path.write_text('{"seconds": 1}\n', encoding="utf-8")
    with pytest.raises(DataError, match="holds a line that is no result"):
        read_results(path)
    with pytest.raises(DataError, match="can't be read as JSON lines"):
        read_results(tmp_path / "missing.jsonl")


def test_measure_posting_compares_with_raw_rows_and_is_shown_on_the_page(monkeypatch):
    monkeypatch.setattr(ledger_posting, "find_programs", lambda: None)
    found = measure_posting(n_movements=300, batch=100, repeats=1, n_single=5)
    assert found.keys() == {"sqlite"}
    assert found["sqlite"]["ratio"] > 0
    page = render_page({"machine": {}, "versions": {}, "ledger": found}, [], measured_on=date(2026, 1, 1))
    assert "| movements posted to SQLite, 100 a transaction |" in page
    assert "| one movement posted to SQLite: p50 (p99) |" in page
