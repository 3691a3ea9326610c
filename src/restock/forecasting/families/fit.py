"""The one place that knows the families by name."""

from __future__ import annotations

from collections.abc import Callable

from restock.forecasting.features import OriginFeatures
from restock.forecasting.forecast import DemandForecaster
from restock.forecasting.panel import DemandPanel
from restock.params import FamilyName, Params

Progress = Callable[[int, int], None]


def fit_forecaster(
    family: FamilyName,
    panel: DemandPanel,
    *,
    params: Params,
    features: OriginFeatures | None = None,
    on_progress: Progress | None = None,
) -> DemandForecaster:
    """Return a forecaster of `family`, fitted on the observed periods of `panel` and nothing after them.

    Args:
        family: which family.
        panel: history; its last observed period is the cutoff.
        params: all params; a family reads its own section and forecasting, features and seed.
        features: origin features of at least the observed periods, where they are at hand; computed otherwise.
        on_progress: called with (done, total) steps of the fit.

    Raises:
        InsufficientHistoryError: no (series, cutoff, horizon) of the history can be learned from.
    """
    # TensorFlow, XGBoost and scikit-learn take seconds to import: only the family that is asked for.
    if family == "seasonal_naive":
        from restock.forecasting.families.seasonal_naive import fit_seasonal_naive

        return fit_seasonal_naive(panel, params=params)
    if family == "statistical":
        from restock.forecasting.families.statistical import fit_statistical

        return fit_statistical(panel, params=params)
    if family == "random_forest":
        from restock.forecasting.families.random_forest import fit_random_forest

        return fit_random_forest(panel, params=params, features=features, on_progress=on_progress)
    if family == "xgboost":
        from restock.forecasting.families.xgboost import fit_xgboost

        return fit_xgboost(panel, params=params, features=features, on_progress=on_progress)
    from restock.forecasting.families.neural import fit_neural

    return fit_neural(panel, params=params, seed=params.seed, on_progress=on_progress)
