"""Families and their ensemble beat seasonal naive on demo companies that no param was chosen on."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from restock.benchmarks.demo_company import simulate_panel
from restock.forecasting.backtest import run_backtest, score_backtest
from restock.forecasting.combination import combine_backtests
from restock.params import read_params

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("seasonal_naive", "statistical", "random_forest", "xgboost", "neural")
# Change of the ensemble's pinball loss against seasonal naive, in every segment.
_BAR = -0.15


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [101, 102, 103, 104, 105])
def test_families_and_ensemble_beat_the_baseline_on_demo_companies(seed):
    params = read_params(ROOT / "params.yaml", profile="demo")
    panel, _ = simulate_panel(params, seed=seed)
    backtests = {family: run_backtest(panel, family=family, params=params) for family in FAMILIES}
    combined = combine_backtests(backtests, panel, params=params).backtest
    columns = combined.columns
    together = pl.concat(frame.select(columns) for frame in (*backtests.values(), combined))
    all_windows = score_backtest(together, panel, params=params).filter(pl.col("cutoff").is_null())
    overall = all_windows.filter(pl.col("segment") == "all")
    print(overall.select("family", "pinball", "wape", "rmsse", "bias", "coverage_80"))
    scores = {row["family"]: row for row in overall.iter_rows(named=True)}
    for family in (*FAMILIES[1:], "ensemble"):
        for metric in ("pinball", "wape", "rmsse"):
            assert scores[family][metric] < scores["seasonal_naive"][metric], (family, metric)
    by_segment = all_windows.pivot(on="family", index="segment", values="pinball").with_columns(
        change=pl.col("ensemble") / pl.col("seasonal_naive") - 1
    )
    print(by_segment.select("segment", "change"))
    assert by_segment["change"].max() <= _BAR
