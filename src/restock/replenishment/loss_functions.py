"""Loss functions: the units by which demand is expected to exceed a level, or to fall short of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped]  # scipy ships no types

Floats = NDArray[np.floating[Any]]


def standard_normal_loss(z: float) -> float:
    """Return E[(Z - z)+] of a standard normal Z.

    Source: Snyder and Shen (2019), Fundamentals of Supply Chain Theory, 2nd ed., eq. C.22.

    Example:
        >>> round(standard_normal_loss(0.3), 4)
        0.2668
    """
    return float(normal_density(z) - z * special.ndtr(-z))


def standard_normal_second_loss(z: float) -> float:
    """Return E[((Z - z)+)^2] / 2 of a standard normal Z.

    Source: Snyder and Shen (2019), eq. C.27.

    Example:
        >>> standard_normal_second_loss(0.0)
        0.25
    """
    return float(((z * z + 1) * special.ndtr(-z) - z * normal_density(z)) / 2)


def normal_losses(level: float, *, mean: float, deviation: float) -> tuple[float, float]:
    """Return the expected shortage and the expected leftover of normal demand at a level, units.

    Args:
        level: units on hand before demand.
        mean: expected demand, units.
        deviation: its standard deviation, units, >= 0.

    Source: Snyder and Shen (2019), eq. C.31 and C.32.

    Example:
        >>> shortage, leftover = normal_losses(18.0, mean=15.0, deviation=3.0)
        >>> round(shortage, 4), round(leftover, 4)  # 3 x n(1) = 3 x 0.08332
        (0.2499, 3.2499)
    """
    if deviation == 0:
        return max(mean - level, 0.0), max(level - mean, 0.0)
    shortage = deviation * standard_normal_loss((level - mean) / deviation)
    return shortage, shortage + level - mean


def normal_second_loss(level: float, *, mean: float, deviation: float) -> float:
    """Return E[((demand - level)+)^2] / 2 of normal demand, units squared.

    Source: Snyder and Shen (2019), eq. C.33.
    """
    if deviation == 0:
        return max(mean - level, 0.0) ** 2 / 2
    return deviation * deviation * standard_normal_second_loss((level - mean) / deviation)


def poisson_losses(level: int, *, mean: float) -> tuple[float, float]:
    """Return the expected shortage and the expected leftover of Poisson demand at a whole level, units.

    Source: Snyder and Shen (2019), eq. C.41: n(x) = -(x - mean)(1 - F(x)) + mean f(x).

    Example:
        >>> round(poisson_losses(18, mean=15.0)[0], 4)
        0.5176
    """
    if level < 0:
        return mean - level, 0.0
    above = float(special.pdtrc(level, mean))
    shortage = mean * poisson_probability(level, mean=mean) - (level - mean) * above
    return shortage, shortage + level - mean


def poisson_probability(units: int, *, mean: float) -> float:
    """Return the chance that Poisson demand is exactly `units`."""
    if mean == 0:
        return float(units == 0)
    return math.exp(units * math.log(mean) - mean - math.lgamma(units + 1))


def discrete_losses(level: float, *, units: Floats, probability: Floats) -> tuple[float, float]:
    """Return the expected shortage and the expected leftover of demand with given chances, units.

    Args:
        level: units on hand before demand.
        units: shape (n,), possible demands.
        probability: shape (n,), their chances; they sum to 1.

    Source: Snyder and Shen (2019), eq. C.36 and C.37.

    Example:
        >>> discrete_losses(2.0, units=np.array([1.0, 2.0, 4.0]), probability=np.array([0.25, 0.25, 0.5]))
        (1.0, 0.25)
    """
    shortage = float(probability @ np.maximum(units - level, 0))
    return shortage, float(probability @ np.maximum(level - units, 0))


def normal_density(z: float) -> float:
    """Return the standard normal density."""
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile.

    Raises:
        ValueError: the probability is not strictly between 0 and 1.

    Example:
        >>> round(normal_quantile(0.975), 4)
        1.96
    """
    if not 0 < probability < 1:
        raise ValueError(f"a normal quantile needs a probability above 0 and below 1, got {probability}.")
    return float(special.ndtri(probability))
