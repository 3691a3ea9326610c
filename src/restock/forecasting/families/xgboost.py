"""XGBoost: all quantiles in one model, the mean by a Tweedie objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from restock.forecasting.families.tabular import TabularForecaster, prepare_sample
from restock.forecasting.features import OriginFeatures
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.forecasting.training_rows import TrainingSample
from restock.params import Params, XGBoostParams
from restock.statistics.quantile_functions import between_by_normal_score, even_by_normal_score
from restock.statistics.quantiles import order_quantiles

if TYPE_CHECKING:
    import xgboost

# Quantile targets move by whole shares of the scale: finer bins cost time and bring nothing.
_MAX_BIN = 64
# Shrunken steps approach a quantile that is zero and never reach it: below this share of the scale it is zero. Without
# this, an interval that should begin at zero leaves out the many periods without a sale.
_INDISTINCT_FROM_ZERO = 0.02
# A forecast on request has a few dozen rows: waking and waiting for more threads costs more than it brings, and many
# times more on a busy machine. Set on the boosters once fitted or loaded; the numbers are the same on any count.
PREDICTION_PARAMS = {"nthread": 1}
# Rows whose inputs are held at a time while the matrix is binned to a byte a value. Below this they are made once;
# above it they are made anew for every pass that XGBoost takes over them, and memory stays bounded.
BATCH_ROWS = 500_000


@dataclass(frozen=True, kw_only=True)
class XGBoostPredictor:
    """Two boosters over the same rows.

    Attributes:
        quantile_booster: gives the quantiles of scaled demand at `fitted_quantiles`.
        mean_booster: gives the mean of scaled demand.
        fitted_quantiles: levels that the trees give, the outermost of `quantiles` among them.
        quantiles: levels that are asked for.
    """

    quantile_booster: xgboost.Booster
    mean_booster: xgboost.Booster
    fitted_quantiles: tuple[float, ...]
    quantiles: tuple[float, ...]

    def predict(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return quantiles and mean of scaled demand."""
        quantiles = np.asarray(self.quantile_booster.inplace_predict(inputs), dtype=np.float32)
        quantiles[quantiles < _INDISTINCT_FROM_ZERO] = 0
        if self.fitted_quantiles != self.quantiles:
            # Before, so that no level between two that cross lies outside of both.
            ordered = order_quantiles(quantiles)
            quantiles = between_by_normal_score(ordered, self.fitted_quantiles, self.quantiles).astype(np.float32)
        return quantiles, self.predict_mean(inputs)

    def predict_mean(self, inputs: FloatArray) -> FloatArray:
        """Return the mean of scaled demand."""
        return np.asarray(self.mean_booster.inplace_predict(inputs), dtype=np.float32)


def fit_xgboost(
    panel: DemandPanel,
    *,
    params: Params,
    features: OriginFeatures | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> TabularForecaster:
    """Return boosted trees fitted on rows sampled from the observed periods of `panel`.

    Raises:
        InsufficientHistoryError: there is no row to learn from.
    """
    import xgboost

    sample, groups = prepare_sample(panel, params=params, features=features)
    tuned = params.families.xgboost
    matrix = build_matrix(sample, half_life_periods=tuned.half_life_periods)
    fitted = even_by_normal_score(params.forecasting.quantiles, tuned.fitted_quantiles)
    # The mean's rounds come after the quantiles'.
    n_rounds = 2 * tuned.n_rounds
    shared = _tree_params(tuned, seed=params.seed)
    quantile_booster = xgboost.train(
        shared
        | {
            "objective": "reg:quantileerror",
            "quantile_alpha": list(fitted),
            # One tree for all levels: as accurate as a tree for each, half the time, a quarter of the file.
            "multi_strategy": "multi_output_tree",
        },
        matrix,
        num_boost_round=tuned.n_rounds,
        callbacks=[_progress_callback(on_progress, done_before=0, n_rounds=n_rounds)],
    )
    mean_booster = xgboost.train(
        shared | {"objective": "reg:tweedie", "tweedie_variance_power": tuned.tweedie_variance_power},
        matrix,
        num_boost_round=tuned.n_rounds,
        callbacks=[_progress_callback(on_progress, done_before=tuned.n_rounds, n_rounds=n_rounds)],
    )
    for booster in (quantile_booster, mean_booster):
        booster.set_param(PREDICTION_PARAMS)
    return TabularForecaster(
        family="xgboost",
        horizon=params.forecasting.horizon,
        quantiles=params.forecasting.quantiles,
        features=params.features,
        groups=groups,
        predictor=XGBoostPredictor(
            quantile_booster=quantile_booster,
            mean_booster=mean_booster,
            fitted_quantiles=fitted,
            quantiles=params.forecasting.quantiles,
        ),
    )


def _tree_params(tuned: XGBoostParams, *, seed: int) -> dict[str, Any]:
    """Return what both boosters are grown by."""
    return {
        "tree_method": "hist",
        "max_bin": _MAX_BIN,
        "seed": seed,
        "learning_rate": tuned.learning_rate,
        "max_depth": tuned.max_depth,
        "min_child_weight": tuned.min_child_weight,
        "subsample": tuned.subsample,
        "colsample_bytree": tuned.colsample_bytree,
    }


def _progress_callback(on_progress: Callable[[int, int], None] | None, *, done_before: int, n_rounds: int) -> Any:
    """Return what tells after each round how many of `n_rounds` are done, with those done before."""
    import xgboost

    class Report(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # xgboost ships no types
        """Tells how far the fit is."""

        def after_iteration(self, _model: object, epoch: int, _evals_log: object) -> bool:
            if on_progress is not None:
                on_progress(done_before + epoch + 1, n_rounds)
            return False

    return Report()


def build_matrix(
    sample: TrainingSample, *, half_life_periods: float, batch_rows: int = BATCH_ROWS
) -> xgboost.QuantileDMatrix:
    """Return the rows of `sample` as bins, a byte a value, made of a few rows at a time.

    Args:
        sample: which rows.
        half_life_periods: a target this much older counts half as much.
        batch_rows: rows whose inputs are held at a time.
    """
    import xgboost

    weights = sample.weights * 0.5 ** (sample.age / half_life_periods)
    weights = (weights / weights.mean()).astype(np.float32)
    n_rows = len(sample.targets)
    parts = [slice(first, min(first + batch_rows, n_rows)) for first in range(0, n_rows, batch_rows)]

    class Batches(xgboost.DataIter):  # type: ignore[misc]  # xgboost ships no types
        """Hands the rows out, part by part."""

        def __init__(self) -> None:
            super().__init__()
            self._next = 0
            # A single part is made once and kept for every pass.
            self._kept = sample.inputs(parts[0]) if len(parts) == 1 else None

        def next(self, input_data: Callable[..., None]) -> bool:
            if self._next == len(parts):
                return False
            part = parts[self._next]
            self._next += 1
            input_data(
                data=self._kept if self._kept is not None else sample.inputs(part),
                label=sample.targets[part],
                weight=weights[part],
                feature_names=list(sample.names),
            )
            return True

        def reset(self) -> None:
            self._next = 0

    return xgboost.QuantileDMatrix(Batches(), max_bin=_MAX_BIN)
