"""Forecasts taken apart: numbers known in closed form, sums that are exact, and drivers that do nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restock.errors import HorizonError
from restock.forecasting.explanation.drivers import Driver, Remainder
from restock.forecasting.explanation.explain import explain_forecast
from restock.forecasting.explanation.situations import imagine_situations
from restock.forecasting.explanation.usual import split_plan, usual_level
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.features import SCALE, build_origin_features
from restock.forecasting.forecast import DemandForecast
from restock.forecasting.training_rows import row_feature_names
from restock.timeline import Frequency
from tests.unit.forecasting.explanation.plans import flattened, written

FAMILIES = ["seasonal_naive", "statistical", "random_forest", "xgboost", "neural"]
HORIZON = 10
DRIVERS_OF_PLAN = {Driver.PRICE, Driver.PROMOTION, Driver.HOLIDAY}


@dataclass(frozen=True)
class Multiplier:
    """10 units times a weekday, times 1.5 on promotion, times 2 at a holiday, over the price: a toy in closed form."""

    family: ClassVar[str] = "multiplier"
    horizon: int = 14
    quantiles: tuple[float, ...] = (0.5,)
    weekdays: tuple[float, ...] = (0.5, 1.0, 1.0, 1.0, 1.0, 1.5, 1.0)

    def forecast(self, panel, *, horizon):
        reaching = panel.extended(horizon)
        ahead = slice(panel.observed_periods, panel.observed_periods + horizon)
        dates = tuple(panel.date_of(panel.observed_periods + step) for step in range(horizon))
        mean = 10 * np.array([self.weekdays[day.weekday()] for day in dates])
        mean = mean * (1 + 0.5 * reaching.is_promoted[:, ahead]) * (1 + reaching.is_holiday[:, ahead])
        mean = (mean * 2 / reaching.unit_price[:, ahead]).astype(np.float32)
        return DemandForecast(
            series=panel.series.select("sku", "location"),
            cutoff=panel.last_observed,
            dates=dates,
            quantiles=self.quantiles,
            quantile_units=mean[..., None],
            mean_units=mean,
        )


@pytest.fixture
def plain(make_panel):
    """One series that sold 9 a day at 2.00 for 70 days, then 14 days ahead; the first day ahead is a Monday."""
    return flattened(make_panel(n_series=1, n_periods=70, horizon=14), units=9)


def test_explain_forecast_of_a_toy_gives_the_parts_known_in_closed_form(plain):
    # Tuesday: a promotion with a cut of a fifth. Saturday: a holiday. Thursday: the regular price rises to 2.50.
    panel = written(plain, unit_price={71: 1.6, 73: 2.5}, is_promoted={71: 1.0}, is_holiday={75: 1.0})
    explanation = explain_forecast(Multiplier(), panel, horizon=7)
    np.testing.assert_allclose(explanation.mean_units[0], [5, 18.75, 10, 8, 10, 30, 10])
    expected = {
        Driver.LEVEL: [9.0] * 7,
        # Everything being usual, the toy says 10 a day.
        Driver.TREND: [1.0] * 7,
        Driver.WEEKDAY: [-5, 0, 0, 0, 0, 5, 0],
        Driver.SEASON: [0.0] * 7,
        Driver.PRICE: [0, 0, 0, -2, 0, 0, 0],
        # 1.5 times at four fifths of the price.
        Driver.PROMOTION: [0, 8.75, 0, 0, 0, 0, 0],
        Driver.HOLIDAY: [0, 0, 0, 0, 0, 15, 0],
    }
    for driver, units in expected.items():
        np.testing.assert_allclose(explanation.driver_units[driver][0], units, atol=1e-5, err_msg=driver)


def test_explain_forecast_shares_what_two_drivers_do_together_equally(plain):
    panel = written(plain, unit_price={71: 2.5}, is_promoted={71: 1.0})
    panel = replace(panel, is_promoted=panel.is_promoted.copy())
    # The promotion's own price is above the regular one: promotion 1.5 / 1.25; then a holiday on the same day.
    both = written(panel, is_holiday={71: 1.0})
    parts = explain_forecast(Multiplier(), both, horizon=7).driver_units
    promotion, holiday = 1.5 / 1.25 - 1, 1.0
    together = 10 * promotion * holiday
    assert parts[Driver.PROMOTION][0, 1] == pytest.approx(10 * promotion + together / 2, rel=1e-6)
    assert parts[Driver.HOLIDAY][0, 1] == pytest.approx(10 * holiday + together / 2, rel=1e-6)


@dataclass(frozen=True)
class LinearPredictor:
    """A regressor that is a sum over named columns."""

    names: tuple[str, ...]
    slopes: dict[str, float]

    def predict_mean(self, inputs):
        columns = [self.names.index(name) for name in self.slopes]
        return (5 + inputs[:, columns] @ np.array(list(self.slopes.values()))).astype(np.float32)

    def predict(self, inputs):
        mean = self.predict_mean(inputs)
        return mean[:, None], mean


def tabular(panel, params, predictor):
    """Return a family of rows that asks `predictor`."""
    return replace(fit_forecaster("xgboost", panel, params=params), predictor=predictor)


def test_explain_forecast_of_rows_gives_slope_times_distance_from_the_usual(make_panel, small_params):
    params, panel = small_params(families={"xgboost": {"n_rounds": 1}}), make_panel(n_series=3, horizon=14)
    features = build_origin_features(panel, params.features)
    slopes = {"is_promoted": 2.0, "season_position": 0.1, "day_of_month": 0.05, "is_holiday": 1.0, "mean_7": 0.5}
    forecaster = tabular(panel, params, LinearPredictor(names=row_feature_names(features), slopes=slopes))
    parts = explain_forecast(forecaster, panel, horizon=HORIZON).driver_units
    scale = features.column(SCALE)[:, -1:]
    dates = [panel.date_of(panel.observed_periods + step) for step in range(HORIZON)]
    ahead = slice(panel.observed_periods, panel.observed_periods + HORIZON)
    np.testing.assert_allclose(parts[Driver.PROMOTION], 2 * panel.is_promoted[:, ahead] * scale, atol=1e-4)
    np.testing.assert_allclose(parts[Driver.HOLIDAY], 1 * panel.is_holiday[:, ahead] * scale, atol=1e-4)
    position = np.array([day.toordinal() % 7 for day in dates])
    np.testing.assert_allclose(parts[Driver.WEEKDAY], 0.1 * (position - 3) * scale, atol=1e-4)
    # Usual days: 7 that lie 8 apart, the last one at the cutoff.
    usual = np.mean([(panel.last_observed - timedelta(days=8 * back)).day - 1 for back in range(7)])
    month = np.array([day.day - 1 for day in dates])
    np.testing.assert_allclose(parts[Driver.SEASON], 0.05 * (month - usual) * scale, atol=1e-4)
    np.testing.assert_allclose(parts[Driver.PRICE], 0, atol=1e-4)
    np.testing.assert_allclose(parts[Driver.LEVEL], np.repeat(usual_level(panel)[:, None], HORIZON, axis=1))


few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("family", FAMILIES)
@few
@given(panel_seed=st.integers(2, 2**16), horizon=st.integers(1, HORIZON), n_series=st.integers(1, 13))
def test_explain_forecast_sums_to_the_forecast_of_every_family(
    family, panel_seed, horizon, n_series, fitted, make_panel, small_params
):
    forecaster = fitted(family, make_panel(), small_params())
    panel = make_panel(n_series=n_series, seed=panel_seed)
    explanation = explain_forecast(forecaster, panel, horizon=horizon)
    served = forecaster.forecast(panel, horizon=horizon)
    np.testing.assert_array_equal(explanation.mean_units, served.mean_units)
    np.testing.assert_allclose(explanation.sum_units(), served.mean_units, rtol=1e-6, atol=1e-6)
    assert explanation.dates == served.dates
    assert explanation.remainder_units == {}


@pytest.mark.parametrize("family", ["random_forest", "xgboost", "neural"])
def test_imagine_situations_are_forecasts_of_the_panel_with_the_plan_taken_away(
    family, fitted, make_panel, small_params
):
    forecaster = fitted(family, make_panel(), small_params())
    # A holiday ahead and none just before, so that the same panels can be made here.
    panel = make_panel(seed=5)
    panel = replace(panel, is_holiday=np.zeros_like(panel.is_holiday))
    panel = written(panel, is_holiday={123: 1.0}, unit_price=dict.fromkeys(range(120, 130), 9.0))
    plan = split_plan(panel)
    found = imagine_situations(forecaster, plan, horizon=HORIZON)
    assert set(found.drivers) == {Driver.WEEKDAY, Driver.SEASON} | DRIVERS_OF_PLAN
    for dropped in (set(), {Driver.PROMOTION}, {Driver.PRICE}, {Driver.HOLIDAY}, DRIVERS_OF_PLAN):
        bits = sum(1 << place for place, driver in enumerate(found.drivers) if driver not in dropped)
        expected = forecaster.forecast(plan.without(frozenset(dropped)), horizon=HORIZON).mean_units
        np.testing.assert_allclose(found.mean_units[bits], expected, rtol=1e-4, atol=1e-4, err_msg=str(dropped))


@pytest.mark.parametrize("family", ["random_forest", "xgboost"])
def test_explain_forecast_weekday_is_by_hand_the_mean_over_all_days_of_the_season(
    family, fitted, make_panel, small_params
):
    params = small_params()
    forecaster = fitted(family, make_panel(), params)
    panel = make_panel(n_series=1, seed=6)
    flat = np.zeros_like(panel.is_promoted)
    panel = replace(panel, is_promoted=flat, is_holiday=flat, unit_price=flat + 2).extended(14)
    found = imagine_situations(forecaster, split_plan(panel), horizon=HORIZON)
    assert found.drivers == (Driver.WEEKDAY, Driver.SEASON)
    features = build_origin_features(panel, params.features)
    names = row_feature_names(features)
    weekday = [n for n, name in enumerate(names) if "season" in name]
    rows = forecaster.rows_ahead(panel, features, horizon=14)
    scale = features.column(SCALE)[0, -1]
    for step in range(HORIZON):
        predicted = []
        for other in range(7):
            row = rows[step].copy()
            row[weekday] = rows[7 + other][weekday]
            predicted.append(float(forecaster.predictor.predict_mean(row[None])[0]))
        # Season as it is, weekday as usual: only the second bit.
        assert found.mean_units[2, 0, step] == pytest.approx(np.mean(predicted) * scale, rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_explain_forecast_of_drivers_that_are_as_usual_is_zero_to_the_last_digit(
    family, fitted, make_panel, small_params
):
    forecaster = fitted(family, make_panel(), small_params())
    panel = make_panel(seed=8)
    ahead = np.arange(panel.n_periods) >= panel.observed_periods - 14
    panel = replace(
        panel,
        is_promoted=np.where(ahead, 0, panel.is_promoted).astype(np.float32),
        is_holiday=np.where(ahead, 0, panel.is_holiday).astype(np.float32),
        unit_price=np.full_like(panel.unit_price, 2.0),
    )
    parts = explain_forecast(forecaster, panel, horizon=HORIZON).driver_units
    for driver in DRIVERS_OF_PLAN:
        assert not parts[driver].any()


def test_explain_forecast_of_a_plan_that_a_model_may_not_read_is_zero(make_panel, small_params):
    params = small_params(features={"known_ahead": []})
    forecaster = fit_forecaster("xgboost", make_panel(), params=params)
    parts = explain_forecast(forecaster, make_panel(seed=3), horizon=HORIZON).driver_units
    assert not parts[Driver.PROMOTION].any()
    assert not parts[Driver.PRICE].any()
    assert parts[Driver.WEEKDAY].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_explain_forecast_signs_are_those_of_the_demand_that_was_made_up(family, fitted, make_panel, small_params):
    changes = {"families": {"neural": {"epochs": 12, "training_windows": 3000, "learning_rate": 0.01}}}
    forecaster = fitted(family, make_panel(n_series=24, n_periods=200), small_params(**changes))
    panel = make_panel(n_series=24, n_periods=200, seed=4)
    explanation = explain_forecast(forecaster, panel, horizon=7)
    weekday = explanation.driver_units[Driver.WEEKDAY].sum(axis=0)
    days = [day.weekday() for day in explanation.dates]
    # Saturday sells 2.2 times, Sunday 0.3 times.
    assert weekday[days.index(5)] > 0 > weekday[days.index(6)]
    promotion = explanation.driver_units[Driver.PROMOTION]
    if family in {"random_forest", "xgboost", "neural"}:
        assert promotion[explanation.is_promoted].mean() > 0.2 * explanation.mean_units[explanation.is_promoted].mean()


def test_explain_forecast_sees_nothing_after_the_cutoff(fitted, make_panel, small_params, with_other_future):
    forecaster = fitted("xgboost", make_panel(), small_params())
    panel = make_panel(seed=3)
    cutoff = panel.date_of(99)
    before, after = (
        explain_forecast(forecaster, history.observed_until(cutoff), horizon=HORIZON)
        for history in (panel, with_other_future(panel, cutoff))
    )
    for part, units in before.parts().items():
        np.testing.assert_array_equal(units, after.parts()[part])


def test_explain_forecast_of_one_series_is_the_same_as_among_many(fitted, make_panel, small_params):
    forecaster = fitted("xgboost", make_panel(), small_params())
    panel = make_panel(n_series=70, seed=3)
    together = explain_forecast(forecaster, panel, horizon=HORIZON)
    alone = explain_forecast(forecaster, panel.select(np.array([66])), horizon=HORIZON)
    for part, units in alone.parts().items():
        np.testing.assert_allclose(units[0], together.parts()[part][66], rtol=1e-3, atol=1e-3, err_msg=part)


@pytest.mark.parametrize("family", FAMILIES)
def test_explain_forecast_of_weeks_has_a_season_and_no_weekday(family, make_panel, small_params):
    panel = replace(make_panel(n_series=4), frequency=Frequency.WEEKLY)
    params = small_params(forecasting={"frequency": "weekly"}, features={"rolling_windows": [4, 13]})
    forecaster = fit_forecaster(family, panel, params=params)
    explanation = explain_forecast(forecaster, panel, horizon=HORIZON)
    np.testing.assert_allclose(
        explanation.sum_units(), forecaster.forecast(panel, horizon=HORIZON).mean_units, rtol=1e-6
    )
    assert explanation.driver_units[Driver.SEASON].any()
    assert not explanation.driver_units[Driver.WEEKDAY].any()


def test_explain_forecast_beyond_the_trained_horizon_is_refused(fitted, make_panel, small_params):
    with pytest.raises(HorizonError, match="got 11"):
        explain_forecast(fitted("xgboost", make_panel(), small_params()), make_panel(), horizon=11)


def test_corrected_to_names_what_was_changed_afterwards(fitted, make_panel, small_params):
    explanation = explain_forecast(fitted("xgboost", make_panel(), small_params()), make_panel(seed=3), horizon=3)
    served = explanation.mean_units * 1.2
    corrected = explanation.corrected_to(served, Remainder.RECONCILIATION)
    np.testing.assert_allclose(corrected.remainder_units[Remainder.RECONCILIATION], 0.2 * explanation.mean_units)
    np.testing.assert_allclose(corrected.sum_units(), served)
    assert corrected.driver_units == explanation.driver_units


def test_explanation_whose_parts_do_not_sum_is_refused(fitted, make_panel, small_params):
    explanation = explain_forecast(fitted("xgboost", make_panel(), small_params()), make_panel(seed=3), horizon=3)
    with pytest.raises(ValueError, match="must sum to the forecast"):
        replace(explanation, mean_units=explanation.mean_units + 0.01)


def test_explain_forecast_refuses_a_family_whose_inputs_it_rebuilds_wrongly(make_panel, small_params):
    params, panel = small_params(families={"xgboost": {"n_rounds": 1}}), make_panel(n_series=2, horizon=14)
    names = row_feature_names(build_origin_features(panel, params.features))

    @dataclass(frozen=True)
    class TwoMinds(LinearPredictor):
        """Says one thing when asked for everything, another when asked for the mean alone."""

        def predict(self, inputs):
            mean = self.predict_mean(inputs) + 1
            return mean[:, None], mean

    with pytest.raises(ValueError, match="gives other means by rebuilt inputs"):
        explain_forecast(tabular(panel, params, TwoMinds(names=names, slopes={"mean_7": 1.0})), panel, horizon=3)


def test_explain_forecast_of_series_keeps_their_names(fitted, make_panel, small_params):
    panel = make_panel(seed=3)
    explanation = explain_forecast(fitted("statistical", make_panel(), small_params()), panel, horizon=2)
    assert explanation.series.equals(panel.series.select(pl.col("sku", "location")))


@pytest.mark.parametrize("family", FAMILIES)
def test_explain_forecast_of_odd_series_is_finite_and_sums(family, fitted, make_panel, small_params):
    forecaster, panel = fitted(family, make_panel(), small_params()), make_panel()
    strangers = panel.series.with_columns(pl.lit("never seen").alias("category"), pl.lit("nowhere").alias("location"))
    odd = [
        replace(panel.observed_until(panel.start), series=strangers),
        replace(panel, unit_price=np.full_like(panel.unit_price, np.nan)),
        replace(panel, sales_units=np.where(np.isnan(panel.sales_units), np.nan, 0).astype(np.float32)),
        replace(panel, stockout_share=np.ones_like(panel.stockout_share)),
        replace(panel, sales_units=np.full_like(panel.sales_units, np.nan)),
        replace(panel, is_promoted=np.ones_like(panel.is_promoted), unit_price=np.zeros_like(panel.unit_price)),
    ]
    for history in odd:
        explanation = explain_forecast(forecaster, history, horizon=HORIZON)
        assert all(np.isfinite(units).all() for units in explanation.parts().values())
        served = forecaster.forecast(history, horizon=HORIZON).mean_units
        np.testing.assert_allclose(explanation.sum_units(), served, rtol=1e-6, atol=1e-6)
