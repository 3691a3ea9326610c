"""The dependence that back-tests show: found where it was put, never by looking ahead, and the same after storage."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from restock.forecasting import dependence as module
from restock.forecasting.backtest import find_cutoffs, run_backtest
from restock.forecasting.dependence import (
    SHARED,
    DemandDependence,
    describe_series,
    fit_dependence,
    independence,
    learn_dependence,
)
from restock.forecasting.metrics import quantile_column
from restock.forecasting.segments import fit_segment_rule
from restock.params import read_params
from restock.statistics.copulas import to_rank_correlation
from tests.conftest import ROOT

QUANTILES = (0.01, 0.025, *(n / 20 for n in range(1, 20)), 0.975, 0.99)
HORIZON = 14
RULE_PARAMS = read_params(ROOT / "params.yaml").evaluation


def made_up(*, level, of_sku, zero_share=0.0, n_skus=40, n_locations=5, n_windows=4, seed=0):
    """Return a back-test of exponential demands and its series.

    The normal scores of a window share a level of variance `level` of the series and `of_sku` of the sku.
    """
    rng = np.random.default_rng(seed)
    skus = [f"S{n:02d}" for n in range(n_skus) for _ in range(n_locations)]
    locations = [f"L{n}" for _ in range(n_skus) for n in range(n_locations)]
    series = pl.DataFrame(
        {
            "sku": skus,
            "location": locations,
            "category": [f"C{n // 10}" for n in range(n_skus) for _ in range(n_locations)],
            "subcategory": [""] * len(skus),
            "region": [f"R{n % 2}" for _ in range(n_skus) for n in range(n_locations)],
        }
    )
    frames = []
    for window in range(n_windows):
        cutoff = date(2024, 1, 1) + timedelta(days=HORIZON * window)
        shared = np.repeat(rng.normal(size=n_skus), n_locations)[:, None]
        own = rng.normal(size=(len(skus), 1))
        noise = rng.normal(size=(len(skus), HORIZON))
        scores = np.sqrt(of_sku) * shared + np.sqrt(level) * own + np.sqrt(1 - level - of_sku) * noise
        share = stats.norm.cdf(scores)
        demand = np.where(share < zero_share, 0.0, -np.log(np.clip(1 - share, 1e-9, 1)))
        frames.append(
            series.select("sku", "location")[np.repeat(np.arange(len(skus)), HORIZON)].with_columns(
                cutoff=pl.lit(cutoff),
                horizon=pl.Series(np.tile(np.arange(1, HORIZON + 1), len(skus))),
                date=pl.Series(np.tile([cutoff + timedelta(days=n) for n in range(1, HORIZON + 1)], len(skus))),
                demand=pl.Series(demand.reshape(-1)),
                is_censored=pl.Series(rng.random(demand.size) < 0.05),
                mean_units=pl.lit(1.0),
                **{quantile_column(q): pl.lit(0.0 if q <= zero_share else float(-np.log(1 - q))) for q in QUANTILES},
            )
        )
    return pl.concat(frames), series


def fitted(backtest, series, *, shrinkage_pairs=2000.0):
    segments = backtest.select("sku", "location", "cutoff").unique().with_columns(segment=pl.lit("A-smooth"))
    return fit_dependence(
        backtest,
        segments,
        series,
        rule=None,
        horizon=HORIZON,
        quantiles=QUANTILES,
        season_periods=7,
        shrinkage_pairs=shrinkage_pairs,
    )


@pytest.mark.parametrize("zero_share", [0.0, 0.5])
def test_fit_dependence_finds_what_a_series_and_its_sku_share(zero_share):
    found = fitted(*made_up(level=0.15, of_sku=0.2, zero_share=zero_share, n_skus=150, n_windows=6))
    by_lag = np.array(found.by_segment["A-smooth"])
    # Point masses are undone to first order only.
    assert by_lag.mean() == pytest.approx(to_rank_correlation(np.array([0.35]))[0], abs=0.05)
    assert np.mean(found.shared["sku"]) == pytest.approx(to_rank_correlation(np.array([0.2]))[0], abs=0.04)
    for name in ("region", "location", "category"):
        assert np.mean(found.shared[name]) < 0.03


def test_fit_dependence_of_unrelated_demands_is_next_to_none():
    found = fitted(*made_up(level=0.0, of_sku=0.0))
    assert np.abs(found.by_segment["all"]).max() < 0.03
    assert max(max(lags) for lags in found.shared.values()) < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_fit_dependence_always_gives_lags_that_can_be_drawn(seed):
    rng = np.random.default_rng(seed)
    backtest, series = made_up(level=0.1, of_sku=0.1, n_skus=6, n_locations=2, n_windows=2, seed=seed)
    # Whatever happened, however odd.
    backtest = backtest.with_columns(demand=pl.Series(rng.gamma(0.2, 5, backtest.height)))
    found = fitted(backtest, series, shrinkage_pairs=0.0)
    lags = found.to_lags()
    for by_lag in (*lags.own.values(), *lags.shared.values()):
        places = np.abs(np.arange(HORIZON)[:, None] - np.arange(HORIZON))
        assert np.linalg.eigvalsh(by_lag[places]).min() > -1e-8
    total = lags.own["all"][0] + sum(by_lag[0] for by_lag in lags.shared.values())
    assert total == pytest.approx(1.0)


def test_fit_dependence_chunks_change_nothing(monkeypatch):
    backtest, series = made_up(level=0.1, of_sku=0.1, n_skus=4, n_windows=2)
    whole = fitted(backtest, series)
    monkeypatch.setattr(module, "_CHUNK_ROWS", 77)
    assert fitted(backtest, series) == whole


def test_fit_dependence_of_one_series_shares_nothing():
    backtest, series = made_up(level=0.3, of_sku=0.0, n_skus=1, n_locations=1, n_windows=30)
    found = fitted(backtest, series)
    assert max(max(lags) for lags in found.shared.values()) == 0
    assert np.mean(found.by_segment["A-smooth"]) > 0.1


def test_fit_dependence_of_nothing_is_independence():
    backtest, series = made_up(level=0.1, of_sku=0.1, n_skus=2, n_windows=1)
    assert fitted(backtest.clear(), series) == independence(HORIZON, rule=None)


def test_to_lags_adds_up_to_the_rank_correlations_of_the_tables(make_panel, small_params):
    panel = make_panel()
    backtest, series = made_up(level=0.15, of_sku=0.2)
    found = replace(fitted(backtest, series), rule=fit_segment_rule(panel, params=RULE_PARAMS))
    own, shared = found.to_tables(cutoff=date(2024, 3, 1), model_version="model_version_1")
    lags = found.to_lags()
    whole = lags.own["A-smooth"] + sum(lags.shared.values())
    kept = own.filter(pl.col("segment") == "A-smooth").sort("lag")
    np.testing.assert_allclose(to_rank_correlation(whole[1:]), kept["rank_correlation"].to_numpy(), atol=1e-9)
    assert kept["lag"].to_list() == list(range(1, HORIZON))
    assert shared.filter(pl.col("shared") == "sku")["lag"].to_list() == list(range(HORIZON))
    assert set(shared["shared"]) == set(SHARED)


def test_dependence_comes_back_from_json(make_panel):
    panel = make_panel()
    found = replace(fitted(*made_up(level=0.15, of_sku=0.2)), rule=fit_segment_rule(panel, params=RULE_PARAMS))
    assert DemandDependence.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_of_panel_series_of_unknown_segments_follow_all(make_panel):
    panel = make_panel()
    rule = fit_segment_rule(panel, params=RULE_PARAMS)
    first = str(rule.assign(panel)[0])
    lags = (0.0,) * 9
    dependence = DemandDependence(
        rule=rule, by_segment={"all": lags, first: lags}, shared=dict.fromkeys(SHARED, (0.0,) * 10)
    )
    kinds = dependence.of_panel(panel).kinds
    assert kinds[0] == first
    assert set(kinds) == {first, "all"}
    assert describe_series(panel.series, list(kinds)).groups["all"] == ["all"] * panel.n_series


@pytest.fixture
def params(small_params):
    return small_params(backtest={"n_windows": 4, "step_periods": 10})


def test_learn_dependence_does_not_look_ahead(make_panel, with_other_future, params):
    panel = make_panel()
    cutoffs = find_cutoffs(panel, params)
    changed = with_other_future(panel, cutoffs[2])
    found = [
        learn_dependence(
            run_backtest(one, family="seasonal_naive", params=params), one.observed_until(cutoffs[2]), params=params
        )
        for one in (panel, changed)
    ]
    assert found[0] == found[1]
    assert any(value > 0 for value in found[0].by_segment["all"])


def test_learn_dependence_leaves_the_oldest_window_out_once_there_are_others(make_panel, params):
    panel = make_panel()
    cutoffs = find_cutoffs(panel, params)
    backtest = run_backtest(panel, family="seasonal_naive", params=params)
    odd = backtest.with_columns(
        demand=pl.when(pl.col("cutoff") == cutoffs[0]).then(pl.col("demand") + 50).otherwise(pl.col("demand"))
    )
    for cutoff, is_alone in ((cutoffs[1], True), (cutoffs[2], False)):
        known = panel.observed_until(cutoff)
        same = learn_dependence(backtest, known, params=params) == learn_dependence(odd, known, params=params)
        assert same is not is_alone
