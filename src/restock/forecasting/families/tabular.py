"""What the families that learn from rows share: rows in, scaled quantiles out, back to units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from restock.forecasting.features import SCALE, OriginFeatures, build_origin_features
from restock.forecasting.forecast import DemandForecast, check_horizon
from restock.forecasting.group_levels import GroupLevels, build_group_history, season_position
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.forecasting.training_rows import RowPlaces, TrainingRows, assemble_rows, sample_training_rows
from restock.params import FamilyName, FeatureParams, Params
from restock.statistics.quantiles import order_quantiles

# Rows assembled at a time, so that the memory of a forecast does not grow with the number of series.
_CHUNK_ROWS = 400_000


class RowPredictor(Protocol):
    """A fitted regressor of scaled demand."""

    def predict(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return quantiles, shape (n_rows, n_quantiles), and mean, shape (n_rows,), in units of the series' scale."""
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

    def _forecast_part(self, panel: DemandPanel, horizon: int) -> tuple[FloatArray, FloatArray]:
        """Return quantiles and mean of a few series, in units."""
        features = build_origin_features(panel, self.features)
        last = panel.observed_periods - 1
        places = RowPlaces(
            series=np.repeat(np.arange(panel.n_series), horizon),
            origin=np.full(panel.n_series * horizon, last),
            horizon=np.tile(np.arange(1, horizon + 1), panel.n_series),
        )
        means, seasons = self.groups.of_series(panel.series)
        position = season_position(panel.start, places.target, frequency=panel.frequency)
        inputs = assemble_rows(
            panel,
            features,
            places,
            group_means=means[places.series],
            group_seasons=seasons[places.series, :, position],
            params=self.features,
        )
        scale = features.column(SCALE)[:, last]
        quantiles, mean = self.predictor.predict(inputs)
        shape = (panel.n_series, horizon)
        scaled = order_quantiles(quantiles).reshape(*shape, -1)
        return scaled * scale[:, None, None], np.maximum(mean, 0).reshape(shape) * scale[:, None]


def prepare_rows(
    panel: DemandPanel, *, params: Params, features: OriginFeatures | None
) -> tuple[TrainingRows, GroupLevels]:
    """Return rows to learn from and the group levels as of the panel's last observed period.

    Raises:
        InsufficientHistoryError: there is no row to learn from.
    """
    known = features if features is not None else build_origin_features(panel, params.features)
    groups = build_group_history(panel, max_stockout_share=params.features.max_stockout_share)
    rows = sample_training_rows(panel, known, groups, params=params)
    return rows, groups.at(panel.observed_periods - 1)
