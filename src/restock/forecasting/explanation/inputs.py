"""Behind the drivers: what each input of the boosted trees adds, beside an average row of those they learned from.

The trees' mean is a product of factors, one an input: TreeSHAP gives their logs, the logarithmic mean makes units of
them. What other members of an ensemble, calibration and cold start make different is one remainder: they can't be
split by the inputs of the trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from restock.errors import NotFoundError
from restock.forecasting.explanation.drivers import Driver, driver_of
from restock.forecasting.families.ensemble import EnsembleForecaster
from restock.forecasting.families.tabular import TabularForecaster
from restock.forecasting.features import SCALE, build_origin_features
from restock.forecasting.forecast import DemandForecaster
from restock.forecasting.panel import DemandPanel
from restock.forecasting.training_rows import row_feature_names
from restock.statistics.attribution import log_mean_parts

if TYPE_CHECKING:
    from restock.forecasting.families.xgboost import XGBoostPredictor

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class InputParts:
    """A mean forecast by the inputs of its boosted trees: average + sum over inputs + others = mean.

    Attributes:
        names: the inputs.
        drivers: the driver of each.
        mean_units: shape (n_series, horizon), units per period: what is served.
        average_units: same shape: what the trees say of an average row at the series' scale, by their weight.
        input_units: shape (n_series, horizon, n_inputs): what each input adds, by the trees' weight.
        other_units: shape (n_series, horizon): what the trees do not say: other members, calibration, cold start.
    """

    names: tuple[str, ...]
    drivers: tuple[Driver, ...]
    mean_units: Floats
    average_units: Floats
    input_units: Floats
    other_units: Floats


def explain_by_inputs(forecaster: DemandForecaster, panel: DemandPanel, *, horizon: int) -> InputParts:
    """Return the mean forecast of every series of `panel` by the inputs of its boosted trees.

    Args:
        forecaster: family xgboost, or an ensemble with it as a member.
        panel: history and plan.
        horizon: periods, 1 to what the forecaster was fitted for.

    Raises:
        NotFoundError: there are no boosted trees in it.
        HorizonError: `horizon` is longer than the model's.

    Source: Lundberg, Erion and Lee (2018), Consistent Individualized Feature Attribution for Tree Ensembles; units by
        `log_mean_parts`.
    """
    served = forecaster.forecast(panel, horizon=horizon).mean_units.astype(np.float64)
    trees, weight = _trees_of(forecaster, panel)
    reaching = panel.extended(horizon)
    features = build_origin_features(reaching, trees.features)
    names = row_feature_names(features)
    shape = (panel.n_series, horizon)
    rows = trees.rows_ahead(reaching, features, horizon=horizon)
    scale = features.column(SCALE)[:, panel.observed_periods - 1].astype(np.float64)[:, None] * weight
    logs = _log_contributions(cast("XGBoostPredictor", trees.predictor), rows).reshape(*shape, -1)
    total = trees.predictor.predict_mean(rows).reshape(shape).astype(np.float64)
    average = np.exp(logs[..., -1])
    units = log_mean_parts(logs[..., :-1], base=average, total=total) * scale[..., None]
    average_units = average * scale
    return InputParts(
        names=names,
        drivers=tuple(driver_of(name, frequency=panel.frequency) for name in names),
        mean_units=served,
        average_units=average_units,
        input_units=units,
        other_units=served - average_units - units.sum(axis=-1),
    )


def _trees_of(forecaster: DemandForecaster, panel: DemandPanel) -> tuple[TabularForecaster, Floats]:
    """Return the boosted trees and how much they count for every series; shape (n_series, 1).

    Raises:
        NotFoundError: there are none.
    """
    if isinstance(forecaster, EnsembleForecaster) and "xgboost" in forecaster.weights.members:
        trees = forecaster.members["xgboost"]
        place = forecaster.weights.members.index("xgboost")
        weight = forecaster.weights.of(forecaster.rule.assign(panel))[:, place, None]
        own = 1.0 if forecaster.cold_start is None else forecaster.cold_start.own_share(panel)[:, None]
    else:
        trees, weight, own = forecaster, np.ones((panel.n_series, 1)), 1.0
    if not isinstance(trees, TabularForecaster) or trees.family != "xgboost":
        raise NotFoundError(
            f"family {forecaster.family} has no boosted trees, whose inputs could be told apart. Explain it by "
            "drivers, or serve xgboost or an ensemble with it."
        )
    return trees, weight * own


def _log_contributions(predictor: XGBoostPredictor, rows: NDArray[np.float32]) -> Floats:
    """Return what each input adds to the log of the mean, the average last; shape (n_rows, n_inputs + 1)."""
    import xgboost

    booster = predictor.mean_booster
    matrix = xgboost.DMatrix(rows, feature_names=booster.feature_names, nthread=1)
    return np.asarray(booster.predict(matrix, pred_contribs=True), dtype=np.float64)
