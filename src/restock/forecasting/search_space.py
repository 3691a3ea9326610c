"""What a hyper-parameter search may choose: a range for each param of a family, within the bounds of params.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from restock.params import FamilyName


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """The range of one param.

    Attributes:
        low: smallest value tried.
        high: largest value tried.
        is_log: whether values are drawn evenly by their logarithm.
        is_integer: whether only whole numbers are tried.
    """

    low: float
    high: float
    is_log: bool = False
    is_integer: bool = False


# seasonal_naive has none: it is what every family is measured beside, and must not move.
SEARCH_SPACES: Mapping[FamilyName, Mapping[str, Dimension]] = {
    "statistical": {
        "history_periods": Dimension(low=56, high=730, is_log=True, is_integer=True),
        "seasonal_periods": Dimension(low=28, high=112, is_log=True, is_integer=True),
    },
    "random_forest": {
        "n_trees": Dimension(low=20, high=120, is_integer=True),
        "min_samples_leaf": Dimension(low=5, high=120, is_log=True, is_integer=True),
        "max_features": Dimension(low=0.15, high=0.9),
        "samples_per_leaf": Dimension(low=4, high=32, is_log=True, is_integer=True),
    },
    "xgboost": {
        "n_rounds": Dimension(low=40, high=400, is_log=True, is_integer=True),
        "learning_rate": Dimension(low=0.02, high=0.3, is_log=True),
        "max_depth": Dimension(low=3, high=10, is_integer=True),
        "min_child_weight": Dimension(low=1, high=200, is_log=True),
        "subsample": Dimension(low=0.5, high=1.0),
        "colsample_bytree": Dimension(low=0.3, high=1.0),
        "tweedie_variance_power": Dimension(low=1.02, high=1.7),
        "half_life_periods": Dimension(low=30, high=1500, is_log=True),
    },
    "neural": {
        "lookback_periods": Dimension(low=28, high=112, is_log=True, is_integer=True),
        "hidden_units": Dimension(low=16, high=128, is_log=True, is_integer=True),
        "n_blocks": Dimension(low=1, high=3, is_integer=True),
        "dropout_share": Dimension(low=0.0, high=0.4),
        "learning_rate": Dimension(low=0.001, high=0.03, is_log=True),
        "batch_size": Dimension(low=64, high=512, is_log=True, is_integer=True),
        "epochs": Dimension(low=3, high=16, is_integer=True),
    },
}
