"""Sample paths of demand: the quantiles of every period, joined across periods and series by a Gaussian copula.

A path's numbers follow from the seed and the names of the series and of what it shares with others, nothing else: the
same series has the same paths whichever others are asked for, here or in another process (common random numbers).

In every period the paths take the values at the levels (k + 1/2) / n_paths, each once: the copula decides only which
path gets which (Latin hypercube sampling with dependence). So the marginals are the quantiles themselves, a point mass
at zero included, and not a noisy sample of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.statistics.copulas import factor_lags
from restock.statistics.quantile_functions import extrapolate_quantiles

Floats = NDArray[np.floating[Any]]

# Numbers of one block of paths: bounds memory for any number of series (a block takes about 16 bytes a number).
_BLOCK_NUMBERS = 8_000_000
# Numbers of shared shocks kept between blocks.
_KEPT_NUMBERS = 20_000_000
_SEPARATOR = "\x1f"


@dataclass(frozen=True, kw_only=True)
class CopulaLags:
    """Covariances of normal scores by lag, lag 0 first: of what a series has alone, and of what it shares.

    Attributes:
        own: by kind of series: shape (n_lags,), its own part.
        shared: by what is shared, such as "location": shape (n_lags,), the part that all who share it have in common.
    """

    own: Mapping[str, NDArray[np.float64]]
    shared: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class PathSeries:
    """The series that paths are drawn of, in array order.

    Attributes:
        keys: shape (n_series,), a name of each that no other has.
        kinds: shape (n_series,), which of `CopulaLags.own` it follows.
        groups: by what is shared: shape (n_series,), the name of the group that a series belongs to.
    """

    keys: Sequence[str]
    kinds: Sequence[str]
    groups: Mapping[str, Sequence[str]]


def series_key(sku: str, location: str) -> str:
    """Return the name by which a series draws its numbers."""
    return f"{sku}{_SEPARATOR}{location}"


def draw_paths(
    quantile_units: Floats,
    quantiles: Sequence[float],
    *,
    series: PathSeries,
    lags: CopulaLags,
    n_paths: int,
    seed: int,
) -> NDArray[np.float32]:
    """Return sample paths of a few series; `iterate_paths` does the same for many, block by block.

    Args:
        quantile_units: shape (n_series, horizon, n_quantiles), units per period, sorted along the last axis, >= 0.
        quantiles: levels of the last axis, increasing, at least two.
        series: who they are.
        lags: how their periods hang together; at least `horizon` lags.
        n_paths: paths of every series, at least 2.
        seed: another seed gives other paths.

    Returns:
        shape (n_series, horizon, n_paths), units per period, >= 0.

    Raises:
        ValueError: there are fewer lags than periods, or a kind has none.

    Source: Nelsen (2006), An Introduction to Copulas, sec. 2.9; ranks as in Iman and Conover (1982), A
        Distribution-Free Approach to Inducing Rank Correlation Among Input Variables.
    """
    blocks = [
        block
        for _, block in iterate_paths(quantile_units, quantiles, series=series, lags=lags, n_paths=n_paths, seed=seed)
    ]
    return np.concatenate(blocks) if blocks else np.empty((0, quantile_units.shape[1], n_paths), dtype=np.float32)


def iterate_paths(
    quantile_units: Floats,
    quantiles: Sequence[float],
    *,
    series: PathSeries,
    lags: CopulaLags,
    n_paths: int,
    seed: int,
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield rows and their sample paths, so many at a time that memory stays bounded; arguments as of `draw_paths`.

    Raises:
        ValueError: there are fewer lags than periods, or a kind has none.
    """
    n_series, horizon, _ = quantile_units.shape
    if n_paths < 2:
        raise ValueError(f"n_paths must be at least 2, got {n_paths}")
    levels = (np.arange(n_paths) + 0.5) / n_paths
    own = {kind: _factor(lags.own, kind, horizon=horizon) for kind in sorted(set(series.kinds))}
    shocks = {
        shared: _SharedShocks(
            shared, _factor(lags.shared, shared, horizon=horizon), horizon=horizon, n_paths=n_paths, seed=seed
        )
        for shared in lags.shared
    }
    size = max(1, _BLOCK_NUMBERS // (horizon * n_paths))
    for first in range(0, n_series, size):
        rows = slice(first, min(first + size, n_series))
        scores = _own_scores(
            series.keys[rows], series.kinds[rows], factors=own, horizon=horizon, n_paths=n_paths, seed=seed
        )
        for shared, shock in shocks.items():
            shock.add_to(scores, series.groups[shared][rows])
        order = np.argsort(scores, axis=-1)
        del scores
        # Sorted as the levels are; each goes to the path of its rank.
        values = extrapolate_quantiles(np.asarray(quantile_units[rows], dtype=np.float32), quantiles, levels)
        paths = np.empty(values.shape, dtype=np.float32)
        np.put_along_axis(paths, order, values.astype(np.float32), axis=-1)
        yield rows, paths


def normal_numbers(seed: int, *names: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return standard normal numbers that follow from the seed and the names alone.

    Source: Salmon, Moraes, Dror and Shaw (2011), Parallel Random Numbers: As Easy as 1, 2, 3 (Philox).
    """
    digest = hashlib.blake2b(_SEPARATOR.join((str(seed), *names)).encode(), digest_size=16).digest()
    key = np.frombuffer(digest, dtype="<u8").astype(np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).standard_normal(shape, dtype=np.float32)


def _factor(by_name: Mapping[str, NDArray[np.float64]], name: str, *, horizon: int) -> NDArray[np.float32]:
    if name not in by_name or len(by_name[name]) < horizon:
        known = len(by_name[name]) if name in by_name else 0
        raise ValueError(f"{name!r} has {known} lags, expected at least {horizon} (lag 0 included)")
    # All lags, whatever the horizon: nearer periods then have the same numbers to the last digit.
    return factor_lags(by_name[name]).astype(np.float32)


def _own_scores(
    keys: Sequence[str],
    kinds: Sequence[str],
    *,
    factors: Mapping[str, NDArray[np.float32]],
    horizon: int,
    n_paths: int,
    seed: int,
) -> NDArray[np.float32]:
    """Return the normal scores that series have alone; shape (n_series, horizon, n_paths)."""
    scores = np.empty((len(keys), horizon, n_paths), dtype=np.float32)
    for place, (key, kind) in enumerate(zip(keys, kinds, strict=True)):
        # One product a series, always of this shape: its numbers must not depend on who is asked for beside it.
        factor = factors[kind]
        scores[place] = (factor @ normal_numbers(seed, "series", key, shape=(len(factor), n_paths)))[:horizon]
    return scores


class _SharedShocks:
    """The shocks that groups have in common, each made once and kept while there is room."""

    def __init__(self, shared: str, factor: NDArray[np.float32], *, horizon: int, n_paths: int, seed: int) -> None:
        self._shared, self._factor, self._horizon, self._seed = shared, factor, horizon, seed
        self._shape = (len(factor), n_paths)
        self._most = max(1, _KEPT_NUMBERS // (len(factor) * n_paths))
        self._kept: dict[str, NDArray[np.float32]] = {}

    def add_to(self, scores: NDArray[np.float32], groups: Sequence[str]) -> None:
        """Add every series' shock of its group to its scores."""
        for place, group in enumerate(groups):
            shock = self._kept.get(group)
            if shock is None:
                if len(self._kept) >= self._most:
                    self._kept.clear()
                shock = self._factor @ normal_numbers(self._seed, self._shared, group, shape=self._shape)
                shock = shock[: self._horizon]
                self._kept[group] = shock
            scores[place] += shock
