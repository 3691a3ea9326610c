"""Every input that a family reads has one driver; a new one without any fails here."""

from dataclasses import replace

import numpy as np
import pytest

from restock.forecasting.explanation.drivers import Driver, driver_of
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.families.neural_windows import calendar_harmonics, calendar_names, future_names
from restock.forecasting.features import build_origin_features, origin_feature_names
from restock.forecasting.training_rows import row_feature_names
from restock.params import read_params
from restock.timeline import Frequency
from tests.conftest import ROOT

PARAMS = read_params(ROOT / "params.yaml")


@pytest.fixture
def layout(request, make_panel, small_params):
    """How the neural family lays out windows of a frequency."""
    neural = {"epochs": 1, "training_windows": 100, "lookback_periods": 112}
    params = small_params(forecasting={"frequency": request.param}, families={"neural": neural})
    panel = replace(make_panel(n_series=4), frequency=request.param)
    return fit_forecaster("neural", panel, params=params).layout


every_layout = pytest.mark.parametrize("layout", list(Frequency), indirect=True)


@every_layout
def test_driver_of_knows_every_feature_of_rows_and_windows(layout, make_panel):
    frequency = layout.frequency
    features = build_origin_features(make_panel(n_series=2, n_periods=60), PARAMS.features)
    names = {*origin_feature_names(PARAMS.features), *row_feature_names(features), *future_names(layout)}
    drivers = {name: driver_of(name, frequency=frequency) for name in names}
    assert {Driver.LEVEL, Driver.TREND, Driver.SEASON, Driver.PRICE, Driver.PROMOTION, Driver.HOLIDAY} <= set(
        drivers.values()
    )
    assert (Driver.WEEKDAY in drivers.values()) == (frequency is Frequency.DAILY)


@pytest.mark.parametrize("name", ["rain_millimetres", "year_season_index", ""])
def test_driver_of_an_input_without_one_driver_is_an_error_that_says_where_to_name_it(name):
    with pytest.raises(ValueError, match=r"must have one driver, got \d\. Name it in .*drivers\.py"):
        driver_of(name, frequency=Frequency.DAILY)


@every_layout
def test_future_names_are_as_many_as_the_numbers_and_the_calendar_s_repeat_as_they_say(layout):
    names = future_names(layout)
    assert len(names) == layout.future_width == len(set(names))
    days = np.datetime64("2024-01-01") + np.arange(28)
    values = calendar_harmonics(days, frequency=layout.frequency)
    for place, name in enumerate(calendar_names(layout.frequency)):
        repeats = np.allclose(values[:7, place], values[7:14, place], atol=1e-5)
        assert repeats == name.startswith("week_"), name
