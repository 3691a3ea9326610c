"""The FreshRetailNet benchmark: its scores against figures by hand, its forecasts on a made-up data set."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from restock.benchmarks.freshretailnet import (
    HELD_OUT_DAYS,
    QUANTILES,
    DailyForecast,
    as_predictions,
    forecast_days,
    less_bias,
    read_series,
    run_freshretailnet,
    score_baseline,
    score_days,
)
from restock.benchmarks.layout_panel import known_before
from restock.errors import DataError, InsufficientHistoryError
from tests.unit.conftest import N_DAYS, fresh_daily

FAMILIES = ("seasonal_naive", "xgboost")


def spread(low, high, shape):
    """Return quantiles that rise evenly from low at 0.05 to high at 0.95."""
    return np.broadcast_to(np.linspace(low, high, len(QUANTILES), dtype=np.float32), (*shape, len(QUANTILES)))


def test_score_days_equals_figures_by_hand():
    sales = np.array([[2.0, 4.0], [1.0, np.nan]], dtype=np.float32)
    is_in_stock = np.array([[True, False], [True, True]])
    forecast = DailyForecast(
        sales_mean=np.array([[3.0, 3.0, 9.0], [2.0, 5.0, 9.0]], dtype=np.float32),
        demand_mean=np.array([[1.0, 9.0, 9.0], [1.5, 9.0, 9.0]], dtype=np.float32),
        demand_quantiles=spread(2.0, 2.0, (2, 3)),
    )
    score = score_days(forecast, sales_units=sales, is_in_stock=is_in_stock)
    # Known days sell 2, 4 and 1; errors +1, -1 and +1. In-stock days sell 2 and 1; errors -1 and +0.5.
    assert score["wape_sales"] == pytest.approx(3 / 7)
    assert score["wpe_sales"] == pytest.approx(1 / 7)
    assert score["wape_in_stock"] == pytest.approx(1.5 / 3)
    assert score["wpe_in_stock"] == pytest.approx(-0.5 / 3)
    # All quantiles are 2: no loss where 2 is sold, (1 - level) x 1 where 1 is sold, whose mean is 0.5.
    assert score["pinball"] == pytest.approx(0.25)
    assert score["coverage_80"] == pytest.approx(0.5)


def test_score_days_within_the_band_is_covered():
    sales = np.array([[2.0, 6.9, 7.1]], dtype=np.float32)
    # q0.10 is 0.5 and q0.90 is 8.5 of the way from 0 to 9 in 18 steps; the last day lies above 7.
    forecast = DailyForecast(
        sales_mean=sales, demand_mean=sales, demand_quantiles=spread(0.0, 7.0 / 17 * 18, sales.shape)
    )
    score = score_days(forecast, sales_units=sales, is_in_stock=np.ones_like(sales, dtype=bool))
    assert score["coverage_80"] == pytest.approx(2 / 3)


def test_less_bias_takes_half_of_the_bias_off_both_means():
    units = np.full((3, 14), 2.1, dtype=np.float32)
    forecast = DailyForecast(sales_mean=units, demand_mean=units, demand_quantiles=spread(1.0, 3.0, (3, 14)))
    lower = less_bias(forecast, {"wpe_sales": 0.1, "wpe_in_stock": -0.1})
    np.testing.assert_allclose(lower.sales_mean, 2.0, rtol=1e-6)
    np.testing.assert_allclose(lower.demand_mean, 2.1 / 0.95, rtol=1e-6)
    np.testing.assert_array_equal(lower.demand_quantiles, forecast.demand_quantiles)


def test_score_baseline_takes_in_stock_days_for_demand(write_freshretailnet, small_params):
    daily = fresh_daily().with_columns(
        sale_amount_x100=pl.when(pl.col("stockout_mask") == 4).then(300).otherwise(100).cast(pl.Int16)
    )
    panel, _ = read_series(write_freshretailnet(daily=daily), small_params())
    known = known_before(panel, held_out_days=HELD_OUT_DAYS, has_plan=False)
    held_out = slice(known.observed_periods, panel.observed_periods)
    sales, is_in_stock = panel.sales_units[:, held_out], panel.stockout_share[:, held_out] == 0
    score = score_baseline(known, sales_units=sales, is_in_stock=is_in_stock)
    # In-stock days sell 3, always: their mean over the last 14 days is exact.
    assert score["wape_in_stock"] == pytest.approx(0, abs=1e-6)
    assert score["wape_sales"] > 0.1


def test_read_series_follows_the_file(write_freshretailnet, small_params):
    panel, series_ids = read_series(write_freshretailnet(), small_params())
    assert series_ids.tolist() == list(range(24))
    daily = fresh_daily()["sale_amount_x100"].to_numpy().reshape(24, N_DAYS) / 100
    np.testing.assert_allclose(panel.sales_units[:, :N_DAYS], daily, rtol=1e-6)
    # Hour 2 is no selling hour: such a day is in stock.
    masks = fresh_daily()["stockout_mask"].to_numpy().reshape(24, N_DAYS)
    np.testing.assert_array_equal(panel.stockout_share[:, :N_DAYS] == 0, masks == 4)


def test_as_predictions_has_the_contract_columns():
    forecast = DailyForecast(
        sales_mean=np.ones((2, 3), dtype=np.float32),
        demand_mean=np.ones((2, 3), dtype=np.float32),
        demand_quantiles=spread(0.0, 1.0, (2, 3)),
    )
    frame = as_predictions(forecast, series_ids=np.array([7, 9]), first_day=76)
    levels = [f"q0.{n:02d}" for n in range(5, 100, 5)]
    assert frame.columns == ["series_id", "day", "sales_mean", "mean", *levels]
    assert frame["series_id"].to_list() == [7, 7, 7, 9, 9, 9]
    assert frame["day"].to_list() == [76, 77, 78] * 2


@pytest.mark.parametrize("has_plan", [False, True])
def test_run_freshretailnet_writes_fourteen_days_and_repeats_itself(
    has_plan, write_freshretailnet, write_planned, small_params, silent, tmp_path
):
    data, params = write_freshretailnet(), small_params()
    planned = write_planned() if has_plan else None
    outs = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    results = [
        run_freshretailnet(data, params, families=FAMILIES, planned=planned, out=out, progress=silent) for out in outs
    ]
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert results[0].family == "xgboost"
    assert results[0].score["wape_sales"] < results[0].baselines["seasonal_naive"]["wape_sales"]
    assert results[0].setting["is_plan_known"] is has_plan
    frame = pl.read_parquet(outs[0])
    assert frame.height == 24 * 14
    assert sorted(frame["day"].unique()) == list(range(N_DAYS, N_DAYS + 14))
    quantiles = frame.select(pl.col("^q0.*$")).to_numpy()
    assert (quantiles >= 0).all()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert frame.null_count().sum_horizontal().item() == 0


def test_run_freshretailnet_sales_lie_below_demand(write_freshretailnet, small_params, silent, tmp_path):
    # A third of the days lose 30 % of their demand: sales are about a tenth below it.
    out = tmp_path / "out.parquet"
    run_freshretailnet(
        write_freshretailnet(), small_params(), families=["xgboost"], planned=None, out=out, progress=silent
    )
    frame = pl.read_parquet(out)
    assert frame["sales_mean"].sum() < 0.97 * frame["mean"].sum()


def test_run_freshretailnet_follows_the_plan(write_freshretailnet, write_planned, small_params, silent, tmp_path):
    data, means = write_freshretailnet(), []
    for activity in (0, 1):
        out = tmp_path / f"{activity}.parquet"
        planned = write_planned(f"plan{activity}.csv", activity=activity)
        run_freshretailnet(data, small_params(), families=["xgboost"], planned=planned, out=out, progress=silent)
        means.append(pl.read_parquet(out)["mean"].sum())
    # Activities double the demand.
    assert means[1] > 1.3 * means[0]


def held_out_changed():
    """Return daily_train with everything about the held-out days changed."""
    is_held_out = pl.col("day") >= N_DAYS - HELD_OUT_DAYS
    return fresh_daily().with_columns(
        sale_amount_x100=pl.when(is_held_out).then(3_000).otherwise("sale_amount_x100").cast(pl.Int16),
        stockout_mask=pl.when(is_held_out).then(0xFFFFFF).otherwise("stockout_mask").cast(pl.Int32),
        discount_x1000=pl.when(is_held_out).then(100).otherwise("discount_x1000").cast(pl.Int16),
        activity_flag=pl.when(is_held_out).then(1 - pl.col("activity_flag")).otherwise("activity_flag").cast(pl.Int8),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_forecast_days_do_not_see_the_held_out_days(family, write_freshretailnet, small_params, silent):
    forecasts = []
    for name, daily in (("as_it_was", fresh_daily()), ("changed", held_out_changed())):
        panel, _ = read_series(write_freshretailnet(name, daily=daily), small_params())
        known = known_before(panel, held_out_days=HELD_OUT_DAYS, has_plan=False)
        forecasts.append(forecast_days(known, family=family, params=small_params(), has_plan=False, progress=silent))
    np.testing.assert_array_equal(forecasts[0].sales_mean, forecasts[1].sales_mean)
    np.testing.assert_array_equal(forecasts[0].demand_quantiles, forecasts[1].demand_quantiles)


def test_forecast_days_with_a_plan_see_only_the_plan(write_freshretailnet, small_params, silent):
    plan_columns = ["discount_x1000", "activity_flag"]
    changed = held_out_changed().with_columns(fresh_daily().select(plan_columns))
    forecasts = []
    for name, daily in (("as_it_was", fresh_daily()), ("sales", changed), ("plan", held_out_changed())):
        panel, _ = read_series(write_freshretailnet(name, daily=daily), small_params())
        known = known_before(panel, held_out_days=HELD_OUT_DAYS, has_plan=True)
        forecasts.append(
            forecast_days(known, family="xgboost", params=small_params(), has_plan=True, progress=silent).demand_mean
        )
    np.testing.assert_array_equal(forecasts[0], forecasts[1])
    assert (forecasts[0][:, :HELD_OUT_DAYS] != forecasts[2][:, :HELD_OUT_DAYS]).any()


def test_run_freshretailnet_short_holidays_are_refused(write_freshretailnet, small_params, silent):
    data = write_freshretailnet(calendar_days=N_DAYS + 3)
    with pytest.raises(DataError, match=rf"calendar_holidays.parquet ends on day {N_DAYS + 2}, expected {N_DAYS + 13}"):
        run_freshretailnet(data, small_params(), families=FAMILIES, planned=None, out=None, progress=silent)


def test_run_freshretailnet_few_days_are_refused(write_freshretailnet, small_params, silent):
    data = write_freshretailnet(daily=fresh_daily(n_days=20))
    with pytest.raises(InsufficientHistoryError, match="the data have 20 days, needs >= 21"):
        run_freshretailnet(data, small_params(), families=FAMILIES, planned=None, out=None, progress=silent)


def test_read_series_without_sales_is_refused(write_freshretailnet, small_params):
    data = write_freshretailnet(daily=fresh_daily())
    kept = pl.read_parquet(data / "daily_train.parquet").filter(pl.col("series_id") != 5)
    kept.write_parquet(data / "daily_train.parquet")
    with pytest.raises(DataError, match=r"series.parquet names 1 series without any sales"):
        read_series(data, small_params())


def test_read_series_named_twice_is_refused(write_freshretailnet, small_params):
    data = write_freshretailnet()
    series = pl.read_parquet(data / "series.parquet").with_columns(product_id=pl.lit(1, dtype=pl.Int16))
    series.write_parquet(data / "series.parquet")
    with pytest.raises(DataError, match=r"series.parquet names 20 series twice"):
        read_series(data, small_params())


def test_read_series_day_held_twice_is_refused(write_freshretailnet, small_params):
    daily = fresh_daily()
    data = write_freshretailnet(daily=pl.concat([daily, daily.tail(2)]))
    with pytest.raises(DataError, match=r"daily_train.parquet holds 2 rows of a series and day that it holds before"):
        read_series(data, small_params())


def test_run_freshretailnet_held_out_days_all_out_of_stock_are_refused(write_freshretailnet, small_params, silent):
    data = write_freshretailnet(daily=held_out_changed())
    with pytest.raises(DataError, match="the last 7 days have no sales on days without a stockout"):
        run_freshretailnet(data, small_params(), families=FAMILIES, planned=None, out=None, progress=silent)
