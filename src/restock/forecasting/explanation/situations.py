"""What a forecaster would say were only some drivers as they are, and the others as usual for the series.

The history is left as it is: what changes is what is ahead. Without a promotion, price or holiday the plan is the usual
one; without weekday or season the forecast is the mean over usual days, each weekday once, spread over the periods that
the level is taken from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.explanation.drivers import Driver, driver_of, drivers_of_calendar
from restock.forecasting.explanation.usual import UsualPlan, usual_days
from restock.forecasting.families.neural import NeuralForecaster
from restock.forecasting.families.neural_windows import calendar_harmonics, future_names
from restock.forecasting.families.seasonal_naive import SeasonalNaive
from restock.forecasting.families.statistical import StatisticalForecaster
from restock.forecasting.families.tabular import TabularForecaster
from restock.forecasting.features import SCALE, OriginFeatures, build_origin_features
from restock.forecasting.forecast import DemandForecaster
from restock.forecasting.panel import HOLIDAY_REACH_PERIODS, DemandPanel, FloatArray
from restock.forecasting.training_rows import RowPlaces, row_feature_names
from restock.timeline import Frequency

Floats = NDArray[np.float64]
Coalition = frozenset[Driver]


@dataclass(frozen=True, kw_only=True)
class Situations:
    """Means of a forecaster in every situation.

    Attributes:
        drivers: those that differ from the usual in any series; the others change nothing.
        mean_units: shape (2 ** n_drivers, n_series, horizon), units per period; bit i of the position says whether
            driver i is as it is, so that the first is the usual situation and the last the forecast.
    """

    drivers: tuple[Driver, ...]
    mean_units: Floats


def imagine_situations(forecaster: DemandForecaster, plan: UsualPlan, *, horizon: int) -> Situations:
    """Return what a family, which is no ensemble, forecasts in every situation.

    Args:
        forecaster: a fitted family; one of another kind than those of this project is asked for whole forecasts.
        plan: the plan ahead of its panel, which reaches over the horizon.
        horizon: periods.
    """
    if isinstance(forecaster, TabularForecaster):
        return _of_rows(forecaster, plan, horizon=horizon)
    if isinstance(forecaster, NeuralForecaster):
        return _of_windows(forecaster, plan, horizon=horizon)
    return _of_forecasts(forecaster, plan, horizon=horizon)


def _coalitions(drivers: Sequence[Driver]) -> list[Coalition]:
    """Return all sets of drivers, in the order of `Situations.mean_units`."""
    return [
        frozenset(driver for place, driver in enumerate(drivers) if bits >> place & 1)
        for bits in range(1 << len(drivers))
    ]


def _plans(plan: UsualPlan, *, holidays_from: int) -> dict[Coalition, DemandPanel]:
    """Return the panel under every part of the plan."""
    parts = _coalitions(plan.drivers)
    return {part: plan.without(frozenset(plan.drivers) - part, holidays_from=holidays_from) for part in parts}


def _of_rows(forecaster: TabularForecaster, plan: UsualPlan, *, horizon: int) -> Situations:
    """Return the situations of a family that learns from rows of features."""
    panel, frequency = plan.panel, plan.panel.frequency
    season, (n_days, apart) = frequency.season_periods, usual_days(frequency.season_periods)
    features = build_origin_features(panel, forecaster.features)
    names = row_feature_names(features)

    def rows(of: DemandPanel, *, turned: int = 0) -> FloatArray:
        places = RowPlaces(
            series=np.repeat(np.arange(panel.n_series), horizon),
            origin=np.full(panel.n_series * horizon, panel.observed_periods - 1),
            horizon=np.tile(np.arange(1, horizon + 1) + turned, panel.n_series),
        )
        return forecaster.rows_at(of, features, places).reshape(panel.n_series, horizon, len(names))

    # Of rows, holidays before the cutoff are read only for how long ago the last one was.
    first_near = max(0, panel.observed_periods - HOLIDAY_REACH_PERIODS)
    planned = _plans(plan, holidays_from=first_near)
    of_year = _columns(names, Driver.SEASON, frequency=frequency) if frequency is Frequency.DAILY else []
    earlier = _rows_of_usual_days(forecaster, panel, features=features)
    usual: dict[Coalition, list[FloatArray]] = {}
    for part, one in planned.items():
        reaching = one.extended(horizon + season)
        usual[part] = []
        for day in range(n_days):
            # The same plan at another place of the season.
            turn = day * apart % season
            donor = rows(_later_plan(reaching, turn), turned=turn)
            donor[:, :, of_year] = earlier[:, day, None][:, :, of_year]
            usual[part].append(donor)
    actual = {part: rows(one) for part, one in planned.items()}
    scale = features.column(SCALE)[:, panel.observed_periods - 1].astype(np.float64)

    def predict(blocks: FloatArray) -> Floats:
        scaled = np.maximum(forecaster.predictor.predict_mean(blocks.reshape(-1, len(names))), 0)
        return scaled.reshape(blocks.shape[:3]).astype(np.float64) * scale[:, None]

    return _of_columns(names, plan, actual=actual, usual=usual, predict=predict)


def _later_plan(panel: DemandPanel, periods: int) -> DemandPanel:
    """Return the panel with its plan that many periods later; the first ones of it stay."""
    if periods == 0:
        return panel
    first = panel.observed_periods

    def later(values: FloatArray) -> FloatArray:
        moved = values.copy()
        moved[:, first + periods :] = values[:, first:-periods]
        return moved

    return replace(
        panel,
        unit_price=later(panel.unit_price),
        is_promoted=later(panel.is_promoted),
        is_holiday=later(panel.is_holiday),
    )


def _rows_of_usual_days(forecaster: TabularForecaster, panel: DemandPanel, *, features: OriginFeatures) -> FloatArray:
    """Return the inputs about the usual days themselves, for what they say of the time of year.

    Shape (n_series, n_days, n_columns), newest first, as far back as the grid reaches.
    """
    n_days, apart = usual_days(panel.frequency.season_periods)
    target = np.maximum(panel.observed_periods - 1 - apart * np.arange(n_days), 1)
    places = RowPlaces(
        series=np.repeat(np.arange(panel.n_series), n_days),
        origin=np.tile(target - 1, panel.n_series),
        horizon=np.ones(panel.n_series * n_days, dtype=np.intp),
    )
    return forecaster.rows_at(panel, features, places).reshape(panel.n_series, n_days, -1)


def _of_windows(forecaster: NeuralForecaster, plan: UsualPlan, *, horizon: int) -> Situations:
    """Return the situations of the neural family."""
    panel, layout = plan.panel, forecaster.layout
    season, (n_days, apart) = layout.frequency.season_periods, usual_days(layout.frequency.season_periods)
    names = future_names(layout)
    planned = _plans(plan, holidays_from=panel.observed_periods)
    windows = {part: forecaster.windows_ahead(one) for part, one in planned.items()}
    served = windows[frozenset(plan.drivers)]
    of_year = [place for place, name in enumerate(names) if name.startswith("year_")]
    days = [panel.last_observed - timedelta(days=day * apart * layout.frequency.days) for day in range(n_days)]
    at_days = calendar_harmonics(np.array(days, dtype="datetime64[D]"), frequency=layout.frequency)
    # What repeats with the season: a horizon shorter than one turns among its own periods.
    turn_among = min(season, layout.horizon)
    usual = []
    for day in range(n_days):
        turned = served.future[:, (np.arange(layout.horizon) + day * apart) % turn_among]
        turned[:, :, of_year] = at_days[day, of_year]
        usual.append(turned)

    def predict(blocks: FloatArray) -> Floats:
        inputs = {
            name: np.concatenate([values] * len(blocks)) for name, values in served.as_inputs(slice(None)).items()
        }
        _, scaled = forecaster.serve(inputs | {"future": blocks.reshape(-1, *blocks.shape[2:])})
        means = scaled.reshape(blocks.shape[:3])[:, :, :horizon].astype(np.float64)
        return means * served.scale_units[:, None]

    actual = {part: window.future for part, window in windows.items()}
    # What is taken from usual days is no part of the plan.
    return _of_columns(names, plan, actual=actual, usual=dict.fromkeys(actual, usual), predict=predict)


def _columns(names: Sequence[str], driver: Driver, *, frequency: Frequency) -> list[int]:
    return [place for place, name in enumerate(names) if driver_of(name, frequency=frequency) is driver]


def _of_columns(
    names: Sequence[str],
    plan: UsualPlan,
    *,
    actual: Mapping[Coalition, FloatArray],
    usual: Mapping[Coalition, Sequence[FloatArray]],
    predict: Callable[[FloatArray], Floats],
) -> Situations:
    """Return the situations of a family whose inputs are columns that describe every period ahead.

    Args:
        names: of the columns.
        plan: the plan.
        actual: by the drivers of the plan that take part, shape (n_series, horizon, n_columns).
        usual: likewise, for every usual day: where columns of the calendar come from that do not take part.
        predict: means of blocks of inputs, shape (n_blocks, n_series, horizon), units.
    """
    frequency = plan.panel.frequency
    columns = {driver: _columns(names, driver, frequency=frequency) for driver in drivers_of_calendar(frequency)}
    drivers = (*columns, *plan.drivers)
    blocks, counts = [], []
    for coalition in _coalitions(drivers):
        part = coalition & frozenset(plan.drivers)
        swapped = [column for driver in columns if driver not in coalition for column in columns[driver]]
        mixed = (
            [_with_columns(actual[part], donor, columns=swapped) for donor in usual[part]]
            if swapped
            else [actual[part]]
        )
        blocks += mixed
        counts.append(len(mixed))
    means = np.split(predict(np.stack(blocks)), np.cumsum(counts)[:-1])
    return Situations(drivers=drivers, mean_units=np.stack([of_days.mean(axis=0) for of_days in means]))


def _with_columns(inputs: FloatArray, donor: FloatArray, *, columns: list[int]) -> FloatArray:
    mixed = inputs.copy()
    mixed[:, :, columns] = donor[:, :, columns]
    return mixed


def _of_forecasts(forecaster: DemandForecaster, plan: UsualPlan, *, horizon: int) -> Situations:
    """Return the situations of any other forecaster, from whole forecasts under each plan.

    A family that reads nothing but its history knows no plan. Of the calendar only the place in the season can be told:
    it adds what the forecast under the usual plan lies above its mean over the season, whatever else is planned.
    """
    panel = plan.panel
    season = panel.frequency.season_periods
    place = drivers_of_calendar(panel.frequency)[0]
    of_plan = () if isinstance(forecaster, SeasonalNaive | StatisticalForecaster) else plan.drivers
    reach = min(forecaster.horizon, ceil(horizon / season) * season)
    forecasts = [
        forecaster.forecast(plan.without(frozenset(of_plan) - kept), horizon=reach).mean_units.astype(np.float64)
        for kept in _coalitions(of_plan)
    ]
    of_place = forecasts[0] - _season_means(forecasts[0], season)
    # The place in the season is the lowest bit: each plan without it, then with it.
    means = [units[:, :horizon] for forecast in forecasts for units in (forecast - of_place, forecast)]
    return Situations(drivers=(place, *of_plan), mean_units=np.stack(means))


def _season_means(values: Floats, season: int) -> Floats:
    """Return the mean of the season that each period lies in; a last, cut one reaches back to a whole season."""
    means = np.empty_like(values)
    for first in range(0, values.shape[1], season):
        begin = max(0, min(first, values.shape[1] - season))
        means[:, first : first + season] = values[:, begin : begin + season].mean(axis=1, keepdims=True)
    return means
