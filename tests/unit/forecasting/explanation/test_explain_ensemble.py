"""Ensembles taken apart: members by their weights, and what calibration and cold start add."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restock.forecasting.calibration import no_calibration
from restock.forecasting.cold_start import fit_cold_start
from restock.forecasting.explanation.drivers import Driver, Remainder
from restock.forecasting.explanation.explain import explain_forecast
from restock.forecasting.families.ensemble import EnsembleForecaster, SegmentWeights
from restock.forecasting.segments import fit_segment_rule

HORIZON = 10

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def ensemble(fitted, make_panel, small_params):
    """Return a function that gives an ensemble of three families whose mean calibration raises by a tenth."""

    def build(*, panel, **changes):
        params = small_params()
        members = ("statistical", "xgboost", "neural")
        neutral = no_calibration(params.forecasting.quantiles)
        rule = fit_segment_rule(panel, params=params.evaluation)
        parts = {
            "calibration": replace(neutral, mean_factors={"all": 1.1}),
            "cold_start": fit_cold_start(panel, params=params),
        } | changes
        return EnsembleForecaster(
            horizon=HORIZON,
            quantiles=params.forecasting.quantiles,
            rule=rule,
            weights=SegmentWeights(
                members=members, overall=(0.5, 0.3, 0.2), by_segment={str(rule.assign(panel)[0]): (0.0, 1.0, 0.0)}
            ),
            members={family: fitted(family, make_panel(), params) for family in members},
            **parts,
        )

    return build


def young(panel, known_periods):
    """Return the panel with a history of its first series that is only so many periods long."""
    sales = panel.sales_units.copy()
    sales[0, : panel.observed_periods - known_periods] = np.nan
    return replace(panel, sales_units=sales)


@few
@given(panel_seed=st.integers(2, 2**16), horizon=st.integers(1, HORIZON), known=st.sampled_from([0, 1, 5, 100]))
def test_explain_forecast_of_an_ensemble_sums_to_what_it_serves(panel_seed, horizon, known, ensemble, make_panel):
    panel = young(make_panel(seed=panel_seed), known)
    forecaster = ensemble(panel=make_panel())
    explanation = explain_forecast(forecaster, panel, horizon=horizon)
    served = forecaster.forecast(panel, horizon=horizon).mean_units
    np.testing.assert_array_equal(explanation.mean_units, served)
    np.testing.assert_allclose(explanation.sum_units(), served, rtol=1e-6, atol=1e-6)
    assert set(explanation.remainder_units) == {Remainder.CALIBRATION, Remainder.COLD_START}


def test_explain_forecast_of_an_ensemble_is_its_members_by_their_weights(ensemble, make_panel):
    panel = make_panel(seed=3)
    forecaster = ensemble(panel=panel)
    explanation = explain_forecast(forecaster, panel, horizon=HORIZON)
    weights = forecaster.weights.of(forecaster.rule.assign(panel))
    assert len(np.unique(weights, axis=0)) == 2
    of_members = [
        explain_forecast(forecaster.members[name], panel, horizon=HORIZON) for name in forecaster.weights.members
    ]
    for driver in Driver:
        expected = sum(weights[:, n, None] * one.driver_units[driver] for n, one in enumerate(of_members))
        np.testing.assert_allclose(explanation.driver_units[driver], expected, rtol=1e-3, atol=1e-3, err_msg=driver)
    averaged = sum(weights[:, n, None] * one.mean_units for n, one in enumerate(of_members))
    np.testing.assert_allclose(explanation.remainder_units[Remainder.CALIBRATION], averaged / 10, rtol=1e-3, atol=1e-3)
    assert not explanation.remainder_units[Remainder.COLD_START].any()


def test_explain_forecast_of_a_young_series_names_what_its_attributes_tell(ensemble, make_panel):
    panel = young(make_panel(seed=3), 2)
    forecaster = ensemble(panel=make_panel())
    cold = explain_forecast(forecaster, panel, horizon=HORIZON).remainder_units[Remainder.COLD_START]
    own = 2 / (2 + forecaster.cold_start.attribute_periods)
    told = forecaster.cold_start.forecast_new(panel.select(np.array([0])), horizon=HORIZON)[1]
    np.testing.assert_allclose(cold[0], (1 - own) * told[0], rtol=1e-6)
    assert not cold[1:].any()
    never = explain_forecast(forecaster, young(panel, 0), horizon=HORIZON)
    np.testing.assert_allclose(never.remainder_units[Remainder.COLD_START][0], never.mean_units[0], rtol=1e-6)
    for units in never.driver_units.values():
        np.testing.assert_allclose(units[0], 0, atol=1e-6)


def test_explain_forecast_of_an_ensemble_without_corrections_has_no_remainder(ensemble, make_panel):
    forecaster = ensemble(panel=make_panel(), calibration=None, cold_start=None)
    assert explain_forecast(forecaster, make_panel(seed=3), horizon=HORIZON).remainder_units == {}
