"""What attributes tell about a series without a history, and how it gives way to the history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restock.forecasting.cold_start import fit_cold_start
from restock.forecasting.families.seasonal_naive import fit_seasonal_naive
from restock.statistics.quantiles import pinball_loss

CATEGORY_LEVELS = {"Food": 20.0, "Toys": 2.0}
STORE_SHARES = {"North": 2.0, "South": 1.0, "West": 0.5}
WEEK = np.array([1.0, 0.8, 0.9, 1.0, 1.4, 1.9, 0.5])


@pytest.fixture
def chain(make_panel):
    """A panel whose levels are a product of category and store, with some spread among skus and a weekly season."""

    def build(*, n_skus=40, spread=0.2, n_periods=150, seed=3):
        panel = make_panel(n_series=n_skus * 3, n_periods=n_periods)
        rng = np.random.default_rng(seed)
        names = [f"SKU-{number:03d}" for number in range(n_skus)]
        kinds = list(CATEGORY_LEVELS)
        rows = [
            {"sku": name, "location": store, "category": kinds[place % 2], "subcategory": kinds[place % 2]}
            for place, name in enumerate(names)
            for store in sorted(STORE_SHARES)
        ]
        series = pl.DataFrame(rows).with_columns(region=pl.lit(""), list_price=pl.lit(2.0, dtype=pl.Float32))
        of_sku = np.repeat(np.exp(rng.normal(0, spread, n_skus)), 3)
        level = of_sku * [CATEGORY_LEVELS[row["category"]] * STORE_SHARES[row["location"]] for row in rows]
        days = np.arange(n_periods)
        sales = np.full_like(panel.sales_units, np.nan)
        sales[:, :n_periods] = rng.poisson(level[:, None] * WEEK[days % 7])
        return replace(
            panel,
            series=series.select(panel.series.columns),
            sales_units=sales,
            stockout_share=np.zeros_like(sales),
            unit_price=np.full_like(sales, 2.0),
            is_promoted=np.zeros_like(sales),
        )

    return build


def without(panel, is_new):
    """The others, and the new ones with nothing known."""
    new = panel.select(np.flatnonzero(is_new))
    return panel.select(np.flatnonzero(~is_new)), replace(new, sales_units=np.full_like(new.sales_units, np.nan))


def test_forecast_new_tells_the_level_of_category_and_store_and_the_days_of_the_week(chain, small_params):
    panel = chain()
    is_new = panel.series["sku"].is_in(["SKU-004", "SKU-005"]).to_numpy()
    others, new = without(panel, is_new)
    cold = fit_cold_start(others, params=small_params())
    _, mean = cold.forecast_new(new, horizon=7)
    for row, (category, store) in enumerate(new.series.select("category", "location").rows()):
        expected = CATEGORY_LEVELS[category] * STORE_SHARES[store]
        assert mean[row].mean() == pytest.approx(expected, rel=0.25)
    position = (panel.observed_periods + np.arange(7)) % 7
    np.testing.assert_allclose(mean[0] / mean[0].mean(), WEEK[position] / WEEK.mean(), rtol=0.1)


def test_forecast_new_at_another_store_knows_how_the_sku_sells_elsewhere(chain, small_params):
    panel = chain(spread=1.0)
    # One sku that sells far above its category, new in the West.
    sums = panel.select(np.arange(panel.n_series)).series.with_columns(
        units=pl.Series(np.nansum(panel.sales_units, axis=1))
    )
    best = sums.filter(pl.col("location") == "North", pl.col("category") == "Food").sort("units")["sku"][-1]
    is_new = ((panel.series["sku"] == best) & (panel.series["location"] == "West")).to_numpy()
    others, new = without(panel, is_new)
    cold = fit_cold_start(others, params=small_params())
    truth = float(np.nanmean(panel.sales_units[is_new]))
    told = float(cold.forecast_new(new, horizon=7)[1].mean())
    unknown = replace(new, series=new.series.with_columns(sku=pl.lit("SKU-NEW")))
    as_any = float(cold.forecast_new(unknown, horizon=7)[1].mean())
    assert abs(np.log(told / truth)) < abs(np.log(as_any / truth)) / 2


def test_forecast_new_is_as_wide_as_new_skus_differ(chain, small_params):
    panel, params = chain(n_skus=60, spread=0.8), small_params()
    is_new = (np.arange(panel.n_series) // 3) % 4 == 0
    others, new = without(panel, is_new)
    quantile_units, _ = fit_cold_start(others, params=params).forecast_new(
        new.observed_until(new.date_of(139)), horizon=10
    )
    truth = panel.sales_units[is_new, 140:150]
    place = [params.forecasting.quantiles.index(level) for level in (0.1, 0.9)]
    is_covered = (truth >= quantile_units[..., place[0]]) & (truth <= quantile_units[..., place[1]])
    assert 0.6 < is_covered.mean() < 0.95


def test_blend_with_no_history_beats_the_baseline_and_with_enough_leaves_it_alone(chain, small_params):
    panel, params = chain(), small_params()
    is_new = (np.arange(panel.n_series) // 3) % 4 == 0
    others, _ = without(panel, is_new)
    cutoff = panel.date_of(139)
    known = others.observed_until(cutoff)
    naive, cold = fit_seasonal_naive(known, params=params), fit_cold_start(known, params=params)
    truth = panel.sales_units[is_new, 140:150].astype(np.float64)
    for n_known in (0, 3, 14):
        young = panel.select(np.flatnonzero(is_new)).observed_until(cutoff)
        sales = young.sales_units.copy()
        sales[:, : 140 - n_known] = np.nan
        young = replace(young, sales_units=sales)
        own = naive.forecast(young, horizon=10)
        blended = cold.blend(own, young)
        losses = [
            pinball_loss(truth, found.quantile_units.astype(np.float64), found.quantiles).mean()
            for found in (own, blended)
        ]
        if n_known == 0:
            assert losses[1] < losses[0] / 3
        elif n_known == 14:
            assert blended is own
        share = n_known / (n_known + params.cold_start.attribute_periods) if n_known < 14 else 1.0
        told = cold.forecast_new(young, horizon=10)[1]
        np.testing.assert_allclose(blended.mean_units, share * own.mean_units + (1 - share) * told, rtol=1e-4)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cutoff_index=st.integers(20, 118), seed=st.integers(0, 2**16))
def test_fit_cold_start_sees_nothing_after_the_cutoff(cutoff_index, seed, make_panel, small_params, with_other_future):
    panel = make_panel()
    cutoff = panel.date_of(cutoff_index)
    changed = with_other_future(panel, cutoff, plans=True, seed=seed)
    one, other = (fit_cold_start(known.observed_until(cutoff), params=small_params()) for known in (panel, changed))
    assert one == other


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cutoff_index=st.integers(0, 118), seed=st.integers(0, 50))
def test_forecast_new_is_sorted_finite_and_non_negative(cutoff_index, seed, make_panel, small_params):
    panel = make_panel(seed=seed)
    known = panel.observed_until(panel.date_of(cutoff_index))
    quantile_units, mean_units = fit_cold_start(known, params=small_params()).forecast_new(known, horizon=10)
    assert np.isfinite(quantile_units).all()
    assert np.isfinite(mean_units).all()
    assert (quantile_units >= 0).all()
    assert (np.diff(quantile_units, axis=2) >= 0).all()
