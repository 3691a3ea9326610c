"""A number split among its causes, so that the parts add up to it exactly."""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def shapley_values(values: Floats) -> Floats:
    """Return every player's Shapley value: its mean contribution over all orders in which the players may come.

    The parts sum to the value of all players less that of none, players that always bring the same get the same, and
    one that never changes anything gets 0.

    Args:
        values: shape (2 ** n_players, ...): what each coalition is worth; bit i of the position says whether player i
            takes part, so that the first is that of nobody and the last that of all.

    Returns:
        shape (n_players, ...), in the unit of `values`.

    Raises:
        ValueError: the first axis is not a power of two.

    Source: Shapley (1953), A value for n-person games, eq. 13.

    Example:
        >>> shapley_values(np.array([0.0, 1.0, 2.0, 5.0])).tolist()
        [2.0, 3.0]
    """
    n_players = len(values).bit_length() - 1
    if len(values) != 1 << n_players:
        raise ValueError(f"values must hold 2 ** n_players coalitions, got {len(values)}")
    coalitions = np.arange(len(values))
    sizes = np.array([int(coalition).bit_count() for coalition in coalitions])
    parts = np.zeros((n_players, *values.shape[1:]))
    for player in range(n_players):
        without = coalitions[coalitions & (1 << player) == 0]
        weights = np.array(
            [factorial(size) * factorial(n_players - size - 1) / factorial(n_players) for size in sizes[without]]
        )
        parts[player] = np.tensordot(weights, values[without | (1 << player)] - values[without], axes=1)
    return parts


def log_mean_parts(parts: Floats, *, base: Floats, total: Floats) -> Floats:
    """Return parts of a logarithm as parts of the number itself: each times the logarithmic mean of base and total.

    What multiplies becomes what adds: exact, the same in whatever order the factors are taken, 0 for a factor of 1.

    Args:
        parts: shape (..., n_parts): natural logs of the factors between `base` and `total`.
        base: shape (...), > 0: the number before the factors.
        total: shape (...), > 0: the number after them; base times the product of the factors, up to rounding.

    Returns:
        shape of `parts`, in the unit of `total`; sums to total - base along the last axis.

    Source: Ang (2005), The LMDI approach to decomposition analysis: a practical guide, Energy Policy 33, table 1
        (additive form, LMDI-I).

    Example:
        >>> halved_and_tripled = np.log(np.array([0.5, 3.0]))
        >>> log_mean_parts(halved_and_tripled, base=np.array(2.0), total=np.array(3.0)).round(4).tolist()
        [-1.7095, 2.7095]
    """
    logs = parts.sum(axis=-1)
    is_still = np.abs(logs) < 1e-9
    # By the sum of the parts and not by ln(total / base): rounding in either would show as a sum that is off.
    mean = np.where(is_still, total, (total - base) / np.where(is_still, 1.0, logs))
    units: Floats = parts * mean[..., None]
    return units


def round_to_sum(parts: Floats, total: Floats, *, decimals: int) -> Floats:
    """Return the parts rounded so that they sum to the rounded total, each within one step of what it was.

    Args:
        parts: shape (..., n_parts); sums to `total`, up to rounding, along the last axis.
        total: shape (...).
        decimals: digits kept after the point; negative rounds to tens.

    Returns:
        shape of `parts`.

    Source: the method of largest remainders; Balinski and Young (1982), Fair Representation.

    Example:
        >>> round_to_sum(np.array([1.4, 1.4, 1.2]), np.array(4.0), decimals=0).tolist()
        [2.0, 1.0, 1.0]
    """
    step = 10.0**-decimals
    scaled = np.asarray(parts, dtype=np.float64) / step
    floors = np.floor(scaled)
    missing = np.rint(np.asarray(total, dtype=np.float64) / step) - floors.sum(axis=-1)
    order = np.argsort(floors - scaled, axis=-1, kind="stable")
    place: NDArray[Any] = np.argsort(order, axis=-1, kind="stable")
    rounded: Floats = np.round((floors + (place < missing[..., None])) * step, max(decimals, 0))
    return rounded
