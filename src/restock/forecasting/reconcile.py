"""Hierarchical reconciliation: forecasts of every node, made on their own, brought to add up.

Nodes are the aggregates (everything, regions, locations, ...) above the series themselves. Bottom-up keeps the series
and adds them. MinT moves all nodes, each by as much as its past errors say it deserves, so that the errors of the
reconciled forecasts have the least total variance.

The covariance of the errors is a diagonal plus a few columns (as many as there are past errors): nothing of the size of
series x series is ever made, and 30,000 series under some thousand aggregates are one system of the aggregates' size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.totals import group_members

Floats = NDArray[np.float64]

# From wide to narrow; several attributes together are one level.
RECONCILED_LEVELS: tuple[tuple[str, ...], ...] = (
    (),
    ("region",),
    ("location",),
    ("category",),
    ("location", "category"),
    ("sku",),
)
_SEPARATOR = "\x1f"
# Aggregates up to which the system is solved by a dense Cholesky factor (200 MB); above it by conjugate gradients.
_MOST_DENSE_AGGREGATES = 5_000
_TOLERANCE = 1e-12
# Share of the mean variance below which no node's variance is taken: a node that never erred would never be moved.
_SMALLEST_VARIANCE_SHARE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """Which series every aggregate adds up.

    Attributes:
        levels: level of every aggregate, such as "location" ("all" for everything, "location x category" for pairs).
        names: its name within the level.
        sums: sparse, shape (n_aggregates, n_series): 1 where an aggregate holds a series.
    """

    levels: tuple[str, ...]
    names: tuple[str, ...]
    sums: Any

    @property
    def n_aggregates(self) -> int:
        """How many nodes lie above the series."""
        return int(self.sums.shape[0])

    @property
    def n_series(self) -> int:
        """How many series there are: the bottom nodes."""
        return int(self.sums.shape[1])

    def add_up(self, bottom: Floats) -> Floats:
        """Return all nodes, aggregates first, that the series add up to; shape (n_nodes, ...) of (n_series, ...)."""
        flat = np.asarray(bottom, dtype=np.float64).reshape(self.n_series, -1)
        nodes = np.concatenate([self.sums @ flat, flat])
        return nodes.reshape(len(nodes), *np.shape(bottom)[1:])


@dataclass(frozen=True, kw_only=True)
class ErrorCovariance:
    """Covariance of the nodes' forecast errors as `diag(variances) + factors @ factors.T`.

    Attributes:
        variances: shape (n_nodes,), > 0; aggregates first.
        factors: shape (n_nodes, n_factors); no column for a diagonal covariance.
    """

    variances: Floats
    factors: Floats


def build_hierarchy(series: pl.DataFrame, levels: Sequence[tuple[str, ...]] = RECONCILED_LEVELS) -> Hierarchy:
    """Return the hierarchy of series by their attributes.

    Args:
        series: the panel's series, in array order.
        levels: attributes of each level, none for everything.
    """
    from scipy.sparse import csr_array, vstack  # type: ignore[import-untyped]  # scipy ships no types

    labels, names, blocks = [], [], []
    for attributes in levels:
        keys = [_SEPARATOR.join(row) for row in series.select(attributes).iter_rows()] if attributes else None
        found, members = group_members(["all"] * series.height if keys is None else keys)
        labels += [" x ".join(attributes) or "all"] * len(found)
        names += [name.replace(_SEPARATOR, " x ") for name in found]
        blocks.append(members)
    return Hierarchy(levels=tuple(labels), names=tuple(names), sums=csr_array(vstack(blocks)))


def equal_covariance(hierarchy: Hierarchy) -> ErrorCovariance:
    """Return the covariance that counts every node alike: MinT with it is ordinary least squares (OLS)."""
    n_nodes = hierarchy.n_aggregates + hierarchy.n_series
    return ErrorCovariance(variances=np.ones(n_nodes), factors=np.zeros((n_nodes, 0)))


def structural_covariance(hierarchy: Hierarchy) -> ErrorCovariance:
    """Return variances that grow with the number of series below a node (WLS_struct): no past error is needed.

    Source: Athanasopoulos, Hyndman, Kourentzes and Petropoulos (2017), Forecasting with temporal hierarchies, sec. 3.
    """
    sizes = hierarchy.add_up(np.ones(hierarchy.n_series))
    return ErrorCovariance(variances=sizes, factors=np.zeros((len(sizes), 0)))


def variance_covariance(errors: Floats) -> ErrorCovariance:
    """Return each node's mean squared error, no covariance (WLS_var).

    Args:
        errors: shape (n_nodes, n_errors), units; aggregates first.

    Source: Wickramasuriya, Athanasopoulos and Hyndman (2019), Optimal Forecast Reconciliation, sec. 2.4.
    """
    return ErrorCovariance(variances=_floored((errors**2).mean(axis=1)), factors=np.zeros((len(errors), 0)))


def shrunken_covariance(errors: Floats) -> ErrorCovariance:
    """Return the covariance of the errors, drawn towards its diagonal as much as their number calls for (MinT).

    Args:
        errors: shape (n_nodes, n_errors), units, of mean zero; at least two errors; aggregates first.

    Raises:
        ValueError: there are fewer than two errors.

    Source: Schaefer and Strimmer (2005), A Shrinkage Approach to Large-Scale Covariance Matrix Estimation, sec. 2.3;
        Wickramasuriya, Athanasopoulos and Hyndman (2019), sec. 2.4.
    """
    n_errors = errors.shape[1]
    if n_errors < 2:
        raise ValueError(f"a covariance needs two errors a node or more, got {n_errors}")
    squares = (errors**2).mean(axis=1)
    shrinkage = shrinkage_share(errors)
    # The floor: a node that never erred, or no shrinkage at all, must leave a covariance that can be inverted.
    smallest = max(float(squares.mean()) * _SMALLEST_VARIANCE_SHARE, 1e-12)
    return ErrorCovariance(
        variances=np.maximum(shrinkage * squares, smallest), factors=np.sqrt((1 - shrinkage) / n_errors) * errors
    )


def shrinkage_share(errors: Floats) -> float:
    """Return how far correlations are drawn to zero, 0 to 1.

    The sums over all pairs of nodes are taken from the products of errors x errors, so that no matrix of nodes x nodes
    is made.

    Args:
        errors: shape (n_nodes, n_errors), of mean zero.

    Source: Schaefer and Strimmer (2005), table 1, target D (unequal variances), by correlations.
    """
    n_errors = errors.shape[1]
    scale = np.sqrt((errors**2).mean(axis=1))
    scaled = errors[scale > 0] / scale[scale > 0][:, None]
    gram = scaled.T @ scaled
    products = float((gram**2).sum()) - float(((scaled**2).sum(axis=1) ** 2).sum())
    squares = float(((scaled**2).sum(axis=0) ** 2).sum()) - float((scaled**4).sum())
    if products <= 0:
        return 1.0
    variance = (squares - products / n_errors) / (n_errors * (n_errors - 1))
    return float(np.clip(variance / (products / n_errors**2), 0, 1))


def reconcile(base: Floats, hierarchy: Hierarchy, *, covariance: ErrorCovariance) -> Floats:
    """Return the series' forecasts that add up to the best forecasts of all nodes; `add_up` gives the nodes.

    Nothing below zero: what would be is set to zero, and all nodes still add up.

    Args:
        base: shape (n_nodes, ...), units, forecasts of every node made on its own; aggregates first.
        hierarchy: what adds up to what.
        covariance: of their errors.

    Returns:
        shape (n_series, ...), units, >= 0.

    Source: Wickramasuriya, Athanasopoulos and Hyndman (2019), eq. 9, in the form of a projection (their sec. 2.5);
        zeros: Di Fonzo and Girolimetto (2023), Spatio-temporal reconciliation, sec. 4 ("set negative to zero").
    """
    return np.maximum(project(base, hierarchy, covariance=covariance), 0.0)


def project(base: Floats, hierarchy: Hierarchy, *, covariance: ErrorCovariance) -> Floats:
    """Return what `reconcile` does before zeros: linear and unbiased, forecasts that add up already stay as they are.

    Raises:
        ValueError: the shapes don't fit.
    """
    n_aggregates = hierarchy.n_aggregates
    if len(base) != n_aggregates + hierarchy.n_series or len(covariance.variances) != len(base):
        raise ValueError(
            f"base and covariance must have {n_aggregates + hierarchy.n_series} nodes, got {len(base)} and "
            f"{len(covariance.variances)}"
        )
    flat = np.asarray(base, dtype=np.float64).reshape(len(base), -1)
    sums = hierarchy.sums
    gaps = flat[:n_aggregates] - sums @ flat[n_aggregates:]
    above, below = covariance.variances[:n_aggregates], covariance.variances[n_aggregates:]
    gap_factors = covariance.factors[:n_aggregates] - sums @ covariance.factors[n_aggregates:]
    pull = _solve(gaps, sums, above=above, below=below, factors=gap_factors)
    moved = below[:, None] * (sums.T @ pull) - covariance.factors[n_aggregates:] @ (gap_factors.T @ pull)
    found: Floats = (flat[n_aggregates:] + moved).reshape(hierarchy.n_series, *np.shape(base)[1:])
    return found


def _solve(gaps: Floats, sums: Any, *, above: Floats, below: Floats, factors: Floats) -> Floats:
    """Return x of (diag(above) + sums diag(below) sums' + factors factors') x = gaps."""
    from scipy.linalg import cho_factor, cho_solve  # type: ignore[import-untyped]  # scipy ships no types
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import LinearOperator, cg  # type: ignore[import-untyped]

    if len(gaps) <= _MOST_DENSE_AGGREGATES:
        matrix = (sums @ diags_array(below) @ sums.T).toarray() + factors @ factors.T
        matrix[np.diag_indices_from(matrix)] += above
        dense: Floats = cho_solve(cho_factor(matrix, lower=True, overwrite_a=True), gaps)
        return dense

    def product(values: Floats) -> Floats:
        flat = values.reshape(-1)
        found: Floats = above * flat + sums @ (below * (sums.T @ flat)) + factors @ (factors.T @ flat)
        return found

    # The diagonal as preconditioner: nodes differ by orders of magnitude in variance.
    diagonal = above + np.asarray((sums.multiply(sums)) @ below) + (factors**2).sum(axis=1)
    shape = (len(gaps), len(gaps))
    system = LinearOperator(shape, matvec=product, dtype=np.float64)
    condition = LinearOperator(shape, matvec=lambda values: values.reshape(-1) / diagonal, dtype=np.float64)
    columns = []
    for column in gaps.T:
        solved, failed = cg(system, column, rtol=_TOLERANCE, maxiter=20 * len(gaps), M=condition)
        if failed:
            raise ArithmeticError(
                f"reconciliation of {len(gaps)} aggregates did not converge in {20 * len(gaps)} steps"
            )
        columns.append(solved)
    return np.stack(columns, axis=1)


def _floored(variances: Floats) -> Floats:
    """Return variances with none so small that its node could never be moved."""
    return np.maximum(variances, max(float(variances.mean()) * _SMALLEST_VARIANCE_SHARE, 1e-12))
