"""Weights for an average of quantile functions: a convex problem with one best answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.statistics.quantiles import pinball_loss

Floats = NDArray[np.floating[Any]]


def fit_average_weights(
    observed: Floats, forecasts: Floats, *, quantiles: Sequence[float], towards: NDArray[np.float64], pull: float
) -> NDArray[np.float64]:
    """Return the weights whose average of the forecasts has the least pinball loss, drawn a little towards given ones.

    Minimises loss(w) / loss(towards) + pull x |w - towards|^2 over w >= 0 with sum 1: convex, since the pinball loss is
    convex in the forecast and the average linear in w.

    Args:
        observed: shape (n_rows,), units.
        forecasts: shape (n_members, n_rows, n_quantiles), units.
        quantiles: levels of the last axis.
        towards: shape (n_members,), weights with sum 1.
        pull: how strongly, >= 0.

    Returns:
        shape (n_members,), each >= 0, sum 1.

    Source: Bates and Granger (1969), The Combination of Forecasts, with the loss of Koenker and Bassett (1978).
    """
    from scipy.optimize import minimize  # type: ignore[import-untyped]  # scipy ships no types

    stacked = np.asarray(forecasts, dtype=np.float64)
    levels = np.asarray(quantiles, dtype=np.float64)
    truth = np.asarray(observed, dtype=np.float64)
    unit = max(float(pinball_loss(truth, np.tensordot(towards, stacked, axes=1), quantiles).mean()), 1e-12)

    def objective(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        average = np.tensordot(weights, stacked, axes=1)
        loss = float(pinball_loss(truth, average, quantiles).mean()) / unit
        slope = np.where(truth[:, None] > average, -levels, 1 - levels)
        gradient = np.tensordot(stacked, slope, axes=2) / (slope.size * unit)
        away = weights - towards
        return loss + pull * float(away @ away), gradient + 2 * pull * away

    found = minimize(
        objective,
        np.asarray(towards, dtype=np.float64),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(stacked),
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": np.ones_like},
        options={"maxiter": 60, "ftol": 1e-6},
    )
    # Where the search fails, it stops at the best it has seen, or worse than where it began: never take the worse.
    weights = np.clip(found.x, 0.0, None)
    weights = weights / weights.sum() if weights.sum() > 0 else towards
    return weights if objective(weights)[0] <= objective(towards)[0] else np.asarray(towards, dtype=np.float64)
