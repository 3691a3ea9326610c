"""Each learned family beats seasonal naive on demo companies that no param was chosen on."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from restock.forecasting.backtest import run_backtest, score_backtest
from restock.forecasting.panel import build_demand_panel
from restock.params import read_params
from restock.simulation.company import simulate_demo_company

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("seasonal_naive", "random_forest", "xgboost", "neural")


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [101, 102, 103, 104, 105])
def test_learned_families_beat_the_baseline_on_demo_companies(seed):
    params = read_params(ROOT / "params.yaml", profile="demo")
    tables = simulate_demo_company(params.simulation, seed=seed).tables
    panel = build_demand_panel(
        tables["sales"],
        tables["products"],
        locations=tables["locations"],
        calendar=tables["calendar"],
        frequency=params.forecasting.frequency,
        horizon=params.forecasting.horizon,
    )
    backtests = pl.concat(run_backtest(panel, family=family, params=params) for family in FAMILIES)
    overall = score_backtest(backtests, panel, params=params).filter(
        pl.col("segment") == "all", pl.col("cutoff").is_null()
    )
    print(overall.select("family", "pinball", "wape", "rmsse", "bias", "coverage_80"))
    scores = {row["family"]: row for row in overall.iter_rows(named=True)}
    for family in FAMILIES[1:]:
        for metric in ("pinball", "wape", "rmsse"):
            assert scores[family][metric] < scores["seasonal_naive"][metric], (family, metric)
