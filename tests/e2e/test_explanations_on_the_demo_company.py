"""What explanations say of promotions and weekdays, beside what the demo company was made with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from restock.benchmarks.demo_company import simulate_panel
from restock.forecasting.explanation.drivers import Driver
from restock.forecasting.explanation.explain import explain_forecast
from restock.forecasting.families.fit import fit_forecaster
from restock.params import read_params
from restock.simulation.company import found_company
from restock.simulation.demand import know_effects
from restock.simulation.streams import Stream, random_stream
from restock.timeline import add_periods

ROOT = Path(__file__).resolve().parents[2]
SEED = 7


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("family", ["random_forest", "xgboost", "neural"])
def test_explained_promotions_and_weekdays_are_near_the_true_ones(family):
    params = read_params(ROOT / "params.yaml", profile="demo")
    horizon = params.forecasting.horizon
    panel, _ = simulate_panel(params, seed=SEED)
    known = panel.observed_until(add_periods(panel.last_observed, -horizon, frequency=panel.frequency))
    told = explain_forecast(fit_forecaster(family, known, params=params), known, horizon=horizon)

    company = found_company(params.simulation, seed=SEED)
    rate = random_stream(SEED, Stream.DEMAND_RATE)
    effects = know_effects(company.catalogue, company.days, company.prices, rng=rate)
    sku = np.array([company.catalogue.sku.index(name) for name in panel.series["sku"]])
    store = np.array([company.chain.location.index(name) for name in panel.series["location"]])
    ahead = slice(known.observed_periods, known.observed_periods + horizon)
    mean_units = company.demand.mean_units[sku, store, ahead]

    def added(log_effect):
        return mean_units * (1 - np.exp(-log_effect))

    weekly = effects.weekly[sku, ahead]
    weekly = weekly - np.log(np.exp(weekly[:, :7]).mean(axis=1, keepdims=True))
    promoted = told.is_promoted & (mean_units > 0)
    assert promoted.sum() > 300
    true, said = added(effects.promotion[sku, ahead])[promoted], told.driver_units[Driver.PROMOTION][promoted]
    assert np.corrcoef(said, true)[0, 1] > 0.85
    assert said.sum() == pytest.approx(true.sum(), rel=0.25)
    true, said = added(weekly)[mean_units > 0], told.driver_units[Driver.WEEKDAY][mean_units > 0]
    assert np.corrcoef(said, true)[0, 1] > 0.85
