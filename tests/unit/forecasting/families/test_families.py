"""What every family must do, and that each learned one beats the baseline."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from restock.adapters.model_files import load_forecaster, save_forecaster
from restock.errors import DataError, HorizonError, InsufficientHistoryError, NotFoundError
from restock.forecasting.backtest import run_backtest, score_backtest
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.families.seasonal_naive import fit_seasonal_naive
from restock.timeline import Frequency

FAMILIES = ["seasonal_naive", "statistical", "random_forest", "xgboost", "neural"]


@pytest.fixture
def fitted(request, make_panel, small_params):
    return fit_forecaster(request.param, make_panel(), params=small_params())


every_family = pytest.mark.parametrize("fitted", FAMILIES, indirect=True)


@every_family
def test_forecast_is_sorted_non_negative_and_as_long_as_asked(fitted, make_panel, small_params):
    panel = make_panel(seed=2)
    forecast = fitted.forecast(panel, horizon=4)
    assert forecast.quantile_units.shape == (panel.n_series, 4, len(small_params().forecasting.quantiles))
    assert (np.diff(forecast.quantile_units, axis=2) >= 0).all()
    assert (forecast.quantile_units >= 0).all()
    assert (forecast.mean_units >= 0).all()
    assert forecast.dates[0] == panel.date_of(panel.observed_periods)
    assert forecast.cutoff == panel.last_observed


@every_family
def test_forecast_beyond_the_trained_horizon_is_refused(fitted, make_panel):
    for horizon in (0, 11):
        with pytest.raises(HorizonError, match=f"got {horizon}"):
            fitted.forecast(make_panel(), horizon=horizon)


@every_family
def test_forecast_of_one_series_is_the_same_as_among_all(fitted, make_panel):
    panel = make_panel(seed=3)
    together = fitted.forecast(panel, horizon=10)
    alone = fitted.forecast(panel.select(np.array([4])), horizon=10)
    np.testing.assert_allclose(alone.quantile_units[0], together.quantile_units[4], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(alone.mean_units[0], together.mean_units[4], rtol=1e-4, atol=1e-4)


@every_family
def test_forecast_of_odd_series_is_finite(fitted, make_panel):
    panel = make_panel()
    young = panel.observed_until(panel.start)
    strangers = panel.series.with_columns(pl.lit("never seen").alias("category"), pl.lit("nowhere").alias("location"))
    odd = [
        replace(young, series=strangers),
        replace(panel, unit_price=np.full_like(panel.unit_price, np.nan)),
        replace(panel, sales_units=np.where(np.isnan(panel.sales_units), np.nan, 0).astype(np.float32)),
        replace(panel, stockout_share=np.ones_like(panel.stockout_share)),
    ]
    for history in odd:
        forecast = fitted.forecast(history, horizon=10)
        assert np.isfinite(forecast.quantile_units).all()
        assert np.isfinite(forecast.mean_units).all()


@every_family
def test_saved_forecaster_gives_the_same_forecast(fitted, make_panel, tmp_path):
    panel = make_panel(seed=4)
    save_forecaster(fitted, tmp_path)
    loaded = load_forecaster(tmp_path)
    assert (loaded.family, loaded.horizon, loaded.quantiles) == (fitted.family, fitted.horizon, fitted.quantiles)
    before, after = fitted.forecast(panel, horizon=10), loaded.forecast(panel, horizon=10)
    np.testing.assert_allclose(after.quantile_units, before.quantile_units, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(after.mean_units, before.mean_units, rtol=1e-5, atol=1e-5)
    names = [path.name for path in tmp_path.rglob("*")]
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib", ".h5"))]


@pytest.mark.parametrize("family", ["random_forest", "xgboost", "neural"])
def test_fit_with_the_same_seed_gives_the_same_forecast(family, make_panel, small_params):
    panel = make_panel()
    first, second = (
        fit_forecaster(family, panel, params=small_params()).forecast(panel, horizon=10).quantile_units
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_learned_families_beat_the_baseline(make_panel, small_params):
    panel = make_panel(n_series=24, n_periods=200)
    params = small_params(families={"neural": {"epochs": 12, "training_windows": 3000, "learning_rate": 0.01}})
    backtests = pl.concat(run_backtest(panel, family=family, params=params) for family in FAMILIES)
    scores = score_backtest(backtests, panel, params=params).filter(
        pl.col("segment") == "all", pl.col("cutoff").is_null()
    )
    by_family = {row["family"]: row for row in scores.iter_rows(named=True)}
    for family in FAMILIES[1:]:
        for metric in ("pinball", "wape"):
            assert by_family[family][metric] < by_family["seasonal_naive"][metric], (family, metric)


def test_seasonal_naive_repeats_the_last_known_season(make_panel, small_params):
    panel = make_panel(n_series=1, n_periods=21)
    sales = np.arange(31, dtype=np.float32)[None, :]
    stockout = np.zeros_like(sales)
    stockout[0, 20] = 0.5
    forecaster = fit_seasonal_naive(replace(panel, sales_units=sales, stockout_share=stockout), params=small_params())
    forecast = forecaster.forecast(replace(panel, sales_units=sales, stockout_share=stockout), horizon=8)
    # The last day was cut off by a stockout: the same weekday of the week before stands in.
    np.testing.assert_array_equal(forecast.mean_units[0], [14, 15, 16, 17, 18, 19, 13, 14])


def test_seasonal_naive_quantiles_are_those_of_its_own_past_errors(make_panel, small_params):
    panel = make_panel(n_series=1, n_periods=120)
    rng = np.random.default_rng(0)
    sales = (100 + rng.normal(0, 5, (1, 130))).astype(np.float32)
    history = replace(panel, sales_units=sales, stockout_share=np.zeros_like(sales))
    forecast = fit_seasonal_naive(history, params=small_params()).forecast(history, horizon=1)
    errors = (sales[0, 7:120] - sales[0, :113])[-56:]
    expected = sales[0, 113] + np.quantile(errors, small_params().forecasting.quantiles)
    np.testing.assert_allclose(forecast.quantile_units[0, 0], expected, rtol=1e-5)


def test_fit_without_anything_to_learn_from_says_so(make_panel, small_params):
    panel = make_panel(n_periods=120)
    nothing = replace(panel, stockout_share=np.ones_like(panel.stockout_share))
    with pytest.raises(InsufficientHistoryError, match="no series has two observed periods with stock"):
        fit_forecaster("xgboost", nothing, params=small_params())


def test_load_forecaster_of_before_demand_was_recovered_masks_as_it_did(make_panel, small_params, tmp_path):
    params = small_params(features={"recover_from_share": 1.0, "silence_probability": 1.0})
    fitted, panel = fit_forecaster("neural", make_panel(), params=params), make_panel(seed=4)
    save_forecaster(fitted, tmp_path)
    path = tmp_path / "forecaster.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    described["max_stockout_share"] = described.pop("censoring")["max_stockout_share"]
    path.write_text(json.dumps(described), encoding="utf-8")
    after = load_forecaster(tmp_path).forecast(panel, horizon=10)
    np.testing.assert_allclose(after.mean_units, fitted.forecast(panel, horizon=10).mean_units, rtol=1e-5, atol=1e-5)


def test_load_forecaster_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(NotFoundError, match=r"forecaster\.json is missing"):
        load_forecaster(tmp_path)
    (tmp_path / "forecaster.json").write_text('{"family": "oracle"}', encoding="utf-8")
    with pytest.raises(DataError, match="names family 'oracle'"):
        load_forecaster(tmp_path)


def test_load_forecaster_refuses_a_forest_of_untrusted_types(make_panel, small_params, tmp_path):
    import skops.io

    save_forecaster(fit_forecaster("random_forest", make_panel(), params=small_params()), tmp_path)
    skops.io.dump({"forest": pytest.approx}, tmp_path / "model.skops")
    with pytest.raises(DataError, match="types that a random forest is not made of"):
        load_forecaster(tmp_path)


every_tree_file = pytest.mark.parametrize(
    ("family", "name"),
    [
        ("xgboost", "model.ubj"),
        ("xgboost", "mean.ubj"),
        ("random_forest", "model.skops"),
        ("random_forest", "leaf_targets.npz"),
    ],
)


@every_tree_file
def test_load_forecaster_names_a_file_that_is_missing(family, name, make_panel, small_params, tmp_path):
    save_forecaster(fit_forecaster(family, make_panel(), params=small_params()), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(NotFoundError, match=f"{re.escape(name)} is missing"):
        load_forecaster(tmp_path)


@every_tree_file
@pytest.mark.parametrize("kept_share", [0.0, 0.5], ids=["other content", "cut short"])
def test_load_forecaster_names_a_file_that_is_broken(family, name, kept_share, make_panel, small_params, tmp_path):
    save_forecaster(fit_forecaster(family, make_panel(), params=small_params()), tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * kept_share)] or b"not a model")
    with pytest.raises(DataError, match=rf"{re.escape(name)} is not .* can read"):
        load_forecaster(tmp_path)


def change_description(folder, changes):
    path = folder / "forecaster.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(changes(described)), encoding="utf-8")


JSON_FAMILIES = ["seasonal_naive", "statistical", "random_forest", "xgboost"]


@pytest.mark.parametrize("family", JSON_FAMILIES)
def test_load_forecaster_names_what_its_description_lacks(family, make_panel, small_params, tmp_path):
    save_forecaster(fit_forecaster(family, make_panel(), params=small_params()), tmp_path)
    change_description(tmp_path, lambda described: {name: described[name] for name in ("family", "schema_version")})
    with pytest.raises(DataError, match=r"forecaster\.json lacks '(horizon|quantiles)'"):
        load_forecaster(tmp_path)


def test_load_forecaster_names_what_the_features_of_its_description_lack(make_panel, small_params, tmp_path):
    save_forecaster(fit_forecaster("xgboost", make_panel(), params=small_params()), tmp_path)
    change_description(tmp_path, lambda described: described | {"features": {}})
    with pytest.raises(DataError, match=r"forecaster\.json is not what save_forecaster writes: .*recover_from_share: "):
        load_forecaster(tmp_path)


@pytest.mark.parametrize("family", JSON_FAMILIES)
def test_load_forecaster_refuses_another_schema(family, make_panel, small_params, tmp_path):
    save_forecaster(fit_forecaster(family, make_panel(), params=small_params()), tmp_path)
    change_description(tmp_path, lambda described: described | {"schema_version": 99})
    with pytest.raises(DataError, match=r"has schema 99, expected [12]\. Train again"):
        load_forecaster(tmp_path)


@pytest.mark.parametrize("is_loaded", [False, True], ids=["fitted", "loaded"])
def test_boosters_forecast_on_one_thread(is_loaded, make_panel, small_params, tmp_path):
    forecaster = fit_forecaster("xgboost", make_panel(), params=small_params())
    if is_loaded:
        save_forecaster(forecaster, tmp_path)
        forecaster = load_forecaster(tmp_path)
    for booster in (forecaster.predictor.quantile_booster, forecaster.predictor.mean_booster):
        assert json.loads(booster.save_config())["learner"]["generic_param"]["nthread"] == "1"


@pytest.mark.parametrize("family", FAMILIES)
def test_forecast_of_weekly_history_is_finite_and_steps_by_weeks(family, make_panel, small_params):
    panel = replace(make_panel(n_series=4), frequency=Frequency.WEEKLY)
    params = small_params(forecasting={"frequency": "weekly"}, features={"rolling_windows": [4, 13]})
    forecast = fit_forecaster(family, panel, params=params).forecast(panel, horizon=10)
    assert np.isfinite(forecast.quantile_units).all()
    assert forecast.dates[1] - forecast.dates[0] == timedelta(days=7)
