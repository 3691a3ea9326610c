"""The M5 benchmark: its scores against a slow reference, its forecasts on a made-up data set."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from restock.benchmarks.layout_panel import known_before
from restock.benchmarks.m5 import (
    HELD_OUT_DAYS,
    QUANTILES,
    dollar_weights,
    forecast_walmart,
    run_m5,
    score_means,
    score_quantiles,
)
from restock.benchmarks.walmart_series import read_walmart
from restock.errors import DataError, InsufficientHistoryError

FAMILIES = ("seasonal_naive", "xgboost")


def reference_scores(mean, quantiles, sold, weights, scales):
    """WRMSSE and scaled pinball, one number at a time."""
    wrmsse = pinball = 0.0
    for row, weight in enumerate(weights):
        squares = [(float(m) - float(s)) ** 2 for m, s in zip(mean[row], sold[row], strict=True)]
        wrmsse += weight * math.sqrt(sum(squares) / len(squares) / scales[row])
        losses = []
        for day, value in enumerate(sold[row]):
            for place, level in enumerate(QUANTILES):
                below = value - quantiles[row, day, place]
                losses.append(level * below if below >= 0 else (level - 1) * below)
        pinball += weight * sum(losses) / len(losses) / math.sqrt(scales[row])
    return wrmsse, pinball


def test_scores_equal_the_reference():
    rng = np.random.default_rng(11)
    sold = rng.poisson(2, (5, 28)).astype(float)
    mean, quantiles = rng.gamma(2, 1, (5, 28)), np.sort(rng.gamma(2, 1, (5, 28, len(QUANTILES))), axis=2)
    weights, scales = rng.dirichlet(np.ones(5)), rng.uniform(0.5, 4, 5)
    wrmsse, pinball = reference_scores(mean, quantiles, sold, weights, scales)
    found = score_means(mean, sold=sold, weights=weights, scales=scales)
    assert found["wrmsse_level12"] == pytest.approx(wrmsse, rel=1e-12)
    assert found["bias"] == pytest.approx((mean.sum() - sold.sum()) / sold.sum(), rel=1e-12)
    assert score_quantiles(quantiles, QUANTILES, sold=sold, weights=weights, scales=scales) == pytest.approx(
        pinball, rel=1e-12
    )


def test_dollar_weights_are_the_shares_of_the_last_28_days_alone(write_m5, small_params):
    walmart = read_walmart(write_m5(), small_params(forecasting={"horizon": 28}))
    panel = walmart.panel
    dollars = [
        sum(float(panel.sales_units[row, day]) * float(panel.unit_price[row, day]) for day in range(35, 63))
        for row in range(16)
    ]
    np.testing.assert_allclose(dollar_weights(panel), np.array(dollars) / sum(dollars), rtol=1e-6)


def test_scale_at_gives_none_that_covers_later_days(write_m5, small_params):
    walmart = read_walmart(write_m5(), small_params(forecasting={"horizon": 28}))
    assert walmart.scale_at(1940) is walmart.scales[1913]
    assert walmart.scale_at(1948) is walmart.scales[1941]
    with pytest.raises(DataError, match=r"no scale up to d_1912, expected one of rmsse_scale_d1_d1913"):
        walmart.scale_at(1912)


def test_forecast_walmart_reads_no_sales_and_no_scale_after_its_history(write_m5, small_params):
    def means(folder):
        walmart = read_walmart(folder, small_params(forecasting={"horizon": 28}))
        known = known_before(walmart.panel, held_out_days=28, has_plan=True)
        return forecast_walmart(walmart, known).mean_units

    def changed_units(units):
        changed = units.copy()
        changed[:, -28:] = 50
        return changed

    changed = write_m5("changed", change=changed_units)
    series = pl.read_parquet(changed / "series.parquet").with_columns(rmsse_scale_d1_d1941_approx=pl.lit(9.0))
    series.write_parquet(changed / "series.parquet")
    np.testing.assert_array_equal(means(write_m5()), means(changed))
    # What is known does reach the forecast.
    series.with_columns(rmsse_scale_d1_d1913=pl.col("rmsse_scale_d1_d1913").reverse()).write_parquet(
        changed / "series.parquet"
    )
    assert not np.array_equal(means(changed), means(write_m5("again")))


def test_read_walmart_follows_the_file_and_knows_coming_prices(write_m5, small_params):
    walmart = read_walmart(write_m5(), small_params(forecasting={"horizon": 28}))
    assert walmart.last_day == 1886 + 62
    assert walmart.ids[0] == "FOODS_1_001_TX_1"
    wide = pl.read_parquet(write_m5("again") / "sales_d1886_d1941.parquet").drop("id").to_numpy()
    np.testing.assert_array_equal(walmart.panel.sales_units[:, :63], wide)
    # Week 100 costs 3.00; the last of the 28 days to come lies in week 112.
    assert walmart.panel.unit_price[0, 0] == pytest.approx(3.00)
    assert walmart.panel.unit_price[:, 63 + 27].tolist() == pytest.approx([3.12] * 16)


def test_run_m5_writes_the_competition_columns_and_repeats_itself(write_m5, small_params, silent, tmp_path):
    data, outs = write_m5(), []
    for run in ("one", "two"):
        means, quantiles = tmp_path / f"{run}.parquet", tmp_path / f"{run}_quantiles.parquet"
        result = run_m5(data, small_params(), families=FAMILIES, out=means, quantiles_out=quantiles, progress=silent)
        outs.append((means, quantiles))
    assert [path.read_bytes() for path in outs[0]] == [path.read_bytes() for path in outs[1]]
    assert result.score["wrmsse_level12"] < result.baselines["seasonal_naive"]["wrmsse_level12"]
    assert set(result.baselines) == {"mean_of_last_28_days", "seasonal_naive"}
    days = [f"d_{1949 + ahead}" for ahead in range(28)]
    means, quantiles = (pl.read_parquet(path) for path in outs[0])
    assert means.columns == ["id", *days]
    assert quantiles.columns == ["id", "quantile", *days]
    ids = pl.read_parquet(data / "series.parquet")["id"].to_list()
    assert means["id"].to_list() == ids
    assert quantiles["id"].to_list() == [name for name in ids for _ in QUANTILES]
    assert quantiles["quantile"].to_list() == list(QUANTILES) * len(ids)
    values = quantiles.select(days).to_numpy().reshape(len(ids), len(QUANTILES), 28)
    assert (values >= 0).all()
    assert (np.diff(values, axis=1) >= 0).all()


def test_run_m5_back_test_does_not_see_the_held_out_sales(write_m5, small_params, silent):
    def doubled(units):
        changed = units.copy()
        changed[:, -HELD_OUT_DAYS:] = 50
        return changed

    forecasts = []
    for name, change in (("as_it_was", lambda units: units), ("changed", doubled)):
        seen = {}

        def score(mean, *, sold, weights, scales, seen=seen):
            seen.setdefault("mean", mean)
            return score_means(mean, sold=sold, weights=weights, scales=scales)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("restock.benchmarks.m5.score_means", score)
            run_m5(
                write_m5(name, change=change),
                small_params(),
                families=["xgboost"],
                out=None,
                quantiles_out=None,
                progress=silent,
            )
        forecasts.append(seen["mean"])
    np.testing.assert_array_equal(*forecasts)


def test_run_m5_family_without_enough_history_is_skipped_and_named(write_m5, small_params, silent):
    data = write_m5(n_days=56)
    result = run_m5(data, small_params(), families=["xgboost", "neural"], out=None, quantiles_out=None, progress=silent)
    assert result.family == "xgboost"
    assert "neural family needs a series with > 28" in result.skipped["neural"]
    with pytest.raises(InsufficientHistoryError, match="none of neural could be fitted"):
        run_m5(data, small_params(), families=["neural"], out=None, quantiles_out=None, progress=silent)


def test_read_walmart_prices_that_end_early_are_refused(write_m5, small_params):
    with pytest.raises(DataError, match=r"sell_prices.parquet ends in week 110, expected 112 or later"):
        read_walmart(write_m5(price_weeks=11), small_params(forecasting={"horizon": 28}))


def test_read_walmart_wrong_scale_is_refused(write_m5, small_params):
    data = write_m5()
    series = pl.read_parquet(data / "series.parquet").with_columns(rmsse_scale_d1_d1941_approx=pl.lit(0.0))
    series.write_parquet(data / "series.parquet")
    with pytest.raises(DataError, match=r"rmsse_scale_d1_d1941_approx' holds 0.0, expected values above 0"):
        read_walmart(data, small_params(forecasting={"horizon": 28}))
