"""scikit-learn's random forest, with quantiles from the training targets that fell into the same leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.families.tabular import TabularForecaster, prepare_rows
from restock.forecasting.features import OriginFeatures
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.params import Params
from restock.statistics.quantiles import empirical_quantiles

# Rows whose leaves are looked up at a time: bounds the memory to rows x trees x samples.
_CHUNK_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class RandomForestPredictor:
    """A forest and, for every leaf, some of the training targets that fell into it.

    Attributes:
        forest: a fitted sklearn RandomForestRegressor of scaled demand.
        leaf_targets: shape (n_nodes of all trees, samples_per_leaf): scaled targets; rows of inner nodes are zero.
        first_node: shape (n_trees,): where a tree's nodes begin in `leaf_targets`.
        quantiles: probability levels.
    """

    forest: Any
    leaf_targets: FloatArray
    first_node: NDArray[np.int64]
    quantiles: tuple[float, ...]

    def predict(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return quantiles and mean of the pooled leaf samples, so that both describe one distribution.

        Source: Meinshausen (2006), Quantile Regression Forests, with a fixed-size sample per leaf in place of all its
        targets, so that the model stays small and every tree weighs the same.
        """
        quantiles = np.empty((len(inputs), len(self.quantiles)), dtype=np.float32)
        mean = np.empty(len(inputs), dtype=np.float32)
        for first in range(0, len(inputs), _CHUNK_ROWS):
            rows = slice(first, first + _CHUNK_ROWS)
            pooled = self._pooled(inputs[rows])
            quantiles[rows] = empirical_quantiles(pooled, self.quantiles)
            mean[rows] = pooled.mean(axis=1)
        return quantiles, mean

    def predict_mean(self, inputs: FloatArray) -> FloatArray:
        """Return the mean of the pooled leaf samples."""
        chunks = [inputs[first : first + _CHUNK_ROWS] for first in range(0, len(inputs), _CHUNK_ROWS)]
        return np.concatenate([self._pooled(chunk).mean(axis=1) for chunk in chunks])

    def _pooled(self, inputs: FloatArray) -> FloatArray:
        """Return the samples of the leaves that every row falls into; shape (n_rows, n_samples)."""
        # The trees' own apply: the forest's checks its inputs tree by tree, which takes longer than the trees do.
        rows = np.ascontiguousarray(inputs, dtype=np.float32)
        leaves = np.stack([tree.tree_.apply(rows) for tree in self.forest.estimators_], axis=1) + self.first_node
        pooled: FloatArray = self.leaf_targets[leaves].reshape(len(leaves), -1)
        return pooled


def fit_random_forest(
    panel: DemandPanel,
    *,
    params: Params,
    features: OriginFeatures | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> TabularForecaster:
    """Return a random forest fitted on rows sampled from the observed periods of `panel`.

    Raises:
        InsufficientHistoryError: there is no row to learn from.
    """
    from sklearn.ensemble import RandomForestRegressor

    rows, groups = prepare_rows(panel, params=params, features=features)
    tuned = params.families.random_forest
    forest = RandomForestRegressor(
        n_estimators=tuned.n_trees,
        min_samples_leaf=tuned.min_samples_leaf,
        max_features=tuned.max_features,
        n_jobs=-1,
        random_state=params.seed,
    )
    if on_progress is not None:
        on_progress(0, 2)
    forest.fit(rows.inputs, rows.targets, sample_weight=rows.weights)
    # Threads cost more than they bring for the few rows of one request.
    forest.n_jobs = 1
    if on_progress is not None:
        on_progress(1, 2)
    leaf_targets, first_node = _sample_leaves(
        forest, rows.inputs, targets=rows.targets, samples=tuned.samples_per_leaf, seed=params.seed
    )
    if on_progress is not None:
        on_progress(2, 2)
    return TabularForecaster(
        family="random_forest",
        horizon=params.forecasting.horizon,
        quantiles=params.forecasting.quantiles,
        features=params.features,
        groups=groups,
        predictor=RandomForestPredictor(
            forest=forest, leaf_targets=leaf_targets, first_node=first_node, quantiles=params.forecasting.quantiles
        ),
    )


def _sample_leaves(
    forest: Any, inputs: FloatArray, *, targets: FloatArray, samples: int, seed: int
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return `samples` targets for every leaf, drawn with replacement from the rows that fall into it."""
    rng = np.random.default_rng(seed)
    node_counts = [tree.tree_.node_count for tree in forest.estimators_]
    first_node = np.concatenate([[0], np.cumsum(node_counts)[:-1]]).astype(np.int64)
    kept = np.zeros((sum(node_counts), samples), dtype=np.float32)
    leaves = forest.apply(inputs)
    for tree, begin in enumerate(first_node):
        order = np.argsort(leaves[:, tree], kind="stable")
        leaf, start, count = np.unique(leaves[order, tree], return_index=True, return_counts=True)
        drawn = start[:, None] + rng.integers(0, count[:, None], size=(len(leaf), samples))
        kept[begin + leaf] = targets[order[drawn]]
    return kept, first_node
