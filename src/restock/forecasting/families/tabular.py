"""What the families that learn from rows share: rows in, scaled quantiles out, back to units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from restock.forecasting.censoring import censoring_rule
from restock.forecasting.features import SCALE, OriginFeatures, build_origin_features
from restock.forecasting.forecast import DemandForecast, check_horizon
from restock.forecasting.group_levels import GroupLevels, build_group_history, season_position
from restock.forecasting.known_demand import known_demand
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.forecasting.training_rows import (
    RowPlaces,
    TrainingRows,
    TrainingSample,
    assemble_rows,
    draw_training_sample,
)
from restock.params import FamilyName, FeatureParams, Params
from restock.statistics.quantiles import order_quantiles

# Rows assembled at a time, so that the memory of a forecast does not grow with the number of series.
_CHUNK_ROWS = 400_000


class RowPredictor(Protocol):
    """A fitted regressor of scaled demand."""

    def predict(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return quantiles, shape (n_rows, n_quantiles), and mean, shape (n_rows,), in units of the series' scale."""
        ...

    def predict_mean(self, inputs: FloatArray) -> FloatArray:
        """Return the mean alone, as `predict` does; shape (n_rows,), in units of the series' scale."""
        ...


@dataclass(frozen=True, kw_only=True)
class TabularForecaster:
    """A regressor over rows of features, with what it needs to make the rows.

    Attributes:
        family: name of the family.
        horizon: longest horizon, periods.
        quantiles: probability levels.
        features: how features are made.
        groups: levels of the hierarchy as of the last period it was fitted on.
        predictor: the regressor.
    """

    family: FamilyName
    horizon: int
    quantiles: tuple[float, ...]
    features: FeatureParams
    groups: GroupLevels
    predictor: RowPredictor

    def forecast(self, panel: DemandPanel, *, horizon: int) -> DemandForecast:
        """Return the forecast of every series for the periods after its last observed one.

        Raises:
            HorizonError: `horizon` is longer than the model's.
        """
        check_horizon(horizon, longest=self.horizon)
        reaching = panel.extended(horizon)
        quantile_units = np.empty((panel.n_series, horizon, len(self.quantiles)), dtype=np.float32)
        mean_units = np.empty((panel.n_series, horizon), dtype=np.float32)
        step = max(1, _CHUNK_ROWS // horizon)
        for first in range(0, panel.n_series, step):
            rows = np.arange(first, min(first + step, panel.n_series))
            part = reaching.select(rows) if len(rows) < panel.n_series else reaching
            quantile_units[rows], mean_units[rows] = self._forecast_part(part, horizon)
        last = panel.observed_periods - 1
        return DemandForecast(
            series=panel.series.select("sku", "location"),
            cutoff=panel.last_observed,
            dates=tuple(panel.date_of(last + ahead) for ahead in range(1, horizon + 1)),
            quantiles=self.quantiles,
            quantile_units=quantile_units,
            mean_units=mean_units,
        )

    def rows_ahead(self, panel: DemandPanel, features: OriginFeatures, *, horizon: int) -> FloatArray:
        """Return the inputs of every series' next periods; shape (n_series * horizon, n_features).

        Args:
            panel: grid that reaches over the horizon.
            features: origin features of its history.
            horizon: periods after the last observed one.
        """
        places = RowPlaces(
            series=np.repeat(np.arange(panel.n_series), horizon),
            origin=np.full(panel.n_series * horizon, panel.observed_periods - 1),
            horizon=np.tile(np.arange(1, horizon + 1), panel.n_series),
        )
        return self.rows_at(panel, features, places)

    def rows_at(self, panel: DemandPanel, features: OriginFeatures, places: RowPlaces) -> FloatArray:
        """Return the inputs of some rows; shape (n_rows, n_features).

        Args:
            panel: grid that reaches to every target.
            features: origin features of its history.
            places: the rows.
        """
        means, seasons = self.groups.of_series(panel.series)
        position = season_position(panel.start, places.target, frequency=panel.frequency)
        return assemble_rows(
            panel,
            features,
            places,
            group_means=means[places.series],
            group_seasons=seasons[places.series, :, position],
            params=self.features,
        )

    def _forecast_part(self, panel: DemandPanel, horizon: int) -> tuple[FloatArray, FloatArray]:
        """Return quantiles and mean of a few series, in units."""
        features = build_origin_features(panel, self.features)
        scale = features.column(SCALE)[:, panel.observed_periods - 1]
        quantiles, mean = self.predictor.predict(self.rows_ahead(panel, features, horizon=horizon))
        shape = (panel.n_series, horizon)
        scaled = order_quantiles(quantiles).reshape(*shape, -1)
        return scaled * scale[:, None, None], np.maximum(mean, 0).reshape(shape) * scale[:, None]


def prepare_sample(
    panel: DemandPanel, *, params: Params, features: OriginFeatures | None
) -> tuple[TrainingSample, GroupLevels]:
    """Return which rows to learn from, and the group levels as of the panel's last observed period.

    Raises:
        InsufficientHistoryError: there is no row to learn from.
    """
    known = features if features is not None else build_origin_features(panel, params.features)
    groups = build_group_history(panel, known_demand(panel, censoring_rule(params.features)).units)
    return draw_training_sample(panel, known, groups, params=params), groups.at(panel.observed_periods - 1)


def prepare_rows(
    panel: DemandPanel, *, params: Params, features: OriginFeatures | None
) -> tuple[TrainingRows, GroupLevels]:
    """Return rows to learn from with all their inputs, and the group levels as of the panel's last observed period.

    Raises:
        InsufficientHistoryError: there is no row to learn from.
    """
    sample, groups = prepare_sample(panel, params=params, features=features)
    return sample.rows(), groups
