"""The two forecasting benchmarks end to end on the real files, which are not part of the project."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from restock.benchmarks.freshretailnet import run_freshretailnet
from restock.benchmarks.m5 import run_m5
from restock.params import read_params

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
FRESHRETAILNET, M5 = DATA / "freshretailnet", DATA / "m5_walmart_last8weeks"

pytestmark = [pytest.mark.long, pytest.mark.timeout(3_600)]


@contextmanager
def silent(_description):
    yield lambda _done, _total: None


@pytest.mark.skipif(not FRESHRETAILNET.is_dir(), reason=f"{FRESHRETAILNET} is not here")
def test_run_freshretailnet_beats_its_baselines_within_its_limits(tmp_path):
    out, params = tmp_path / "predictions.parquet", read_params(ROOT / "params.yaml")
    result = run_freshretailnet(FRESHRETAILNET, params, families=["xgboost"], planned=None, out=out, progress=silent)
    for baseline in result.baselines.values():
        assert result.score["wape_sales"] < baseline["wape_sales"]
        assert result.score["wape_in_stock"] < baseline["wape_in_stock"]
    assert result.peak_rss_mb < 8_000
    assert pl.read_parquet(out).height == 50_000 * 14


@pytest.mark.skipif(not M5.is_dir(), reason=f"{M5} is not here")
def test_run_m5_beats_its_baselines_within_its_limits(tmp_path):
    out, quantiles = tmp_path / "means.parquet", tmp_path / "quantiles.parquet"
    params = read_params(ROOT / "params.yaml")
    result = run_m5(M5, params, families=["xgboost"], out=out, quantiles_out=quantiles, progress=silent)
    for baseline in result.baselines.values():
        assert result.score["wrmsse_level12"] < baseline["wrmsse_level12"]
    assert result.peak_rss_mb < 8_000
    assert pl.read_parquet(out).columns[1] == "d_1942"
    assert pl.read_parquet(quantiles).height == 30_490 * 9
