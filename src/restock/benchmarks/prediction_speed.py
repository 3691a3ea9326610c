"""What a forecast of the XGBoost family costs beside the bare library's prediction of the same matrix."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from restock.adapters.model_files import load_forecaster
from restock.errors import NotReadyError
from restock.forecasting.families.tabular import TabularForecaster
from restock.forecasting.panel import DemandPanel, FloatArray

if TYPE_CHECKING:
    from restock.forecasting.families.tabular import RowPredictor
    from restock.forecasting.families.xgboost import XGBoostPredictor

_REPEATS = 7


@dataclass(frozen=True, kw_only=True)
class _Recorder:
    """A predictor that keeps the matrices it is given."""

    predictor: RowPredictor
    matrices: list[FloatArray] = field(default_factory=list)

    def predict(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        self.matrices.append(inputs)
        return self.predictor.predict(inputs)

    def predict_mean(self, inputs: FloatArray) -> FloatArray:
        """Return what the predictor gives."""
        return self.predictor.predict_mean(inputs)


def load_xgboost(folder: Path) -> TabularForecaster:
    """Return the trained XGBoost forecaster in a candidate's folder.

    Raises:
        NotReadyError: there is none.
    """
    if not folder.is_dir():
        raise NotReadyError(f"{folder} holds no trained model, so there is nothing to time: dvc repro train@xgboost.")
    forecaster = load_forecaster(folder)
    if not isinstance(forecaster, TabularForecaster) or forecaster.family != "xgboost":
        raise NotReadyError(f"{folder} holds family {forecaster.family}, expected xgboost.")
    return forecaster


def measure_prediction_speed(forecaster: TabularForecaster, panel: DemandPanel) -> dict[str, Any]:
    """Return the seconds from panel to quantiles and of `Booster.inplace_predict` on the matrix in between.

    Ours: features of the whole history, rows, both boosters on one thread (as served), quantiles ordered and in units.
    Bare: both boosters on the finished matrix, on one thread and on all cores. Each the median of seven runs that take
    turns.

    Args:
        forecaster: of the XGBoost family.
        panel: history to forecast from.
    """
    recorder = _Recorder(predictor=forecaster.predictor)
    replace(forecaster, predictor=recorder).forecast(panel, horizon=forecaster.horizon)
    matrices = recorder.matrices
    predictor: XGBoostPredictor = forecaster.predictor  # type: ignore[assignment]  # family xgboost has no other
    calls: dict[str, Callable[[], object]] = {
        "seconds": lambda: forecaster.forecast(panel, horizon=forecaster.horizon),
        "bare_one_thread_seconds": _bare_prediction(predictor, matrices, n_threads=1),
        "bare_all_cores_seconds": _bare_prediction(predictor, matrices, n_threads=os.cpu_count() or 1),
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_REPEATS):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - begun)
    seconds = {name: median(values) for name, values in taken.items()}
    return {
        "series": panel.n_series,
        "history_periods": panel.observed_periods,
        "rows": sum(len(matrix) for matrix in matrices),
        "columns": matrices[0].shape[1],
        "quantiles": len(forecaster.quantiles),
        **{name: round(value, 4) for name, value in seconds.items()},
        "ratio_to_one_thread": round(seconds["seconds"] / seconds["bare_one_thread_seconds"], 2),
        "ratio_to_all_cores": round(seconds["seconds"] / seconds["bare_all_cores_seconds"], 2),
    }


def _bare_prediction(
    predictor: XGBoostPredictor, matrices: list[FloatArray], *, n_threads: int
) -> Callable[[], object]:
    """Return the bare library's prediction, by copies of the boosters: those of the forecaster stay as they are."""
    boosters = [booster.copy() for booster in (predictor.quantile_booster, predictor.mean_booster)]
    for booster in boosters:
        booster.set_param({"nthread": n_threads})

    def predict() -> object:
        return [booster.inplace_predict(matrix) for matrix in matrices for booster in boosters]

    return predict
