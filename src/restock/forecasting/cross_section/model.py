"""Boosted trees over a whole panel: every series learns from what its peers sold on the same days.

The target is a ratio to the series' own recent level, weighted by that level, so that errors count in units. Periods
with a stockout stay: sales under usual availability are forecast from them; demand is learned from the others alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from restock.errors import InsufficientHistoryError
from restock.forecasting.cross_section.features import level_units, origin_columns, target_columns
from restock.forecasting.cross_section.history import PanelHistory
from restock.forecasting.panel import FloatArray

if TYPE_CHECKING:
    import xgboost

Progress = Callable[[int, int], None]

# Fewer periods before a cutoff make levels and seasons of noise.
FEWEST_PERIODS = 21
# Most decisions are about the first of the periods ahead: of later ones fewer rows are drawn.
_NEAR_PERIODS = 7
_FAR_SHARE = 0.4
# A target of more than this many levels is a typing error or a launch; it would steer a whole tree.
_LARGEST_RATIO = 12.0
_MAX_BIN = 128
# Trees of the target's middle and of its mean err differently: their mean has a lower error than either.
MEAN_OBJECTIVES: tuple[Mapping[str, Any], ...] = (
    {"objective": "reg:tweedie", "tweedie_variance_power": 1.3, "max_depth": 8, "min_child_weight": 150.0},
    {"objective": "reg:absoluteerror", "max_depth": 8, "min_child_weight": 30.0},
)


@dataclass(frozen=True, kw_only=True)
class CrossSectionSettings:
    """How the model is fitted.

    Attributes:
        horizon: longest horizon, periods.
        known_ahead: columns whose plan is known: `unit_price`, `is_promoted`.
        n_rows: rows drawn from all (series, cutoff, horizon).
        step_periods: periods between two cutoffs that rows are drawn at.
        n_rounds: boosting rounds.
        learning_rate: shrinkage of each round.
        seed: what all random numbers follow from.
    """

    horizon: int
    known_ahead: tuple[str, ...]
    n_rows: int = 500_000
    step_periods: int = 1
    n_rounds: int = 140
    learning_rate: float = 0.09
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class CrossSectionRows:
    """Rows to learn from.

    Attributes:
        names: name of each column of `inputs`.
        inputs: shape (n_rows, n_features).
        ratios: shape (n_rows,), sales in units of the series' level at the cutoff.
        levels: shape (n_rows,), units per period; the weights.
        is_in_stock: shape (n_rows,), whether the target period had stock throughout.
    """

    names: tuple[str, ...]
    inputs: FloatArray
    ratios: FloatArray
    levels: FloatArray
    is_in_stock: NDArray[np.bool_]

    def in_stock(self) -> CrossSectionRows:
        """Return the rows whose sales were demand."""
        return self._where(self.is_in_stock)

    def thinned(self, n_rows: int) -> CrossSectionRows:
        """Return about so many rows, spread evenly over all of them."""
        step = max(1, len(self.ratios) // n_rows)
        return self._where(np.arange(len(self.ratios)) % step == 0)

    def _where(self, keep: NDArray[np.bool_]) -> CrossSectionRows:
        return CrossSectionRows(
            names=self.names,
            inputs=self.inputs[keep],
            ratios=self.ratios[keep],
            levels=self.levels[keep],
            is_in_stock=self.is_in_stock[keep],
        )


def draw_rows(
    history: PanelHistory, settings: CrossSectionSettings, *, on_progress: Progress | None = None
) -> CrossSectionRows:
    """Return rows of random series at every cutoff and horizon whose target is observed.

    Raises:
        InsufficientHistoryError: the history is shorter than FEWEST_PERIODS and one more.
    """
    rng = np.random.default_rng(settings.seed)
    last = history.n_observed - 1
    origins = range(last - 1, FEWEST_PERIODS - 1, -settings.step_periods)
    n_places = sum(
        _horizon_share(horizon) for origin in origins for horizon in range(1, min(settings.horizon, last - origin) + 1)
    )
    if not n_places:
        raise InsufficientHistoryError(
            f"the history has {history.n_observed} periods, needs >= {FEWEST_PERIODS + 2}. Ingest more history."
        )
    parts: list[tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]] = []
    names: tuple[str, ...] = ()
    for done, origin in enumerate(origins):
        level = level_units(history, origin)
        at_origin = origin_columns(history, origin, level=level)
        for horizon in range(1, min(settings.horizon, last - origin) + 1):
            at_target = target_columns(history, origin, horizon=horizon, level=level, known_ahead=settings.known_ahead)
            wanted = int(settings.n_rows * _horizon_share(horizon) / n_places) + 1
            series = rng.choice(history.n_series, size=min(history.n_series, wanted), replace=False)
            columns = at_origin | at_target
            names = tuple(columns)
            target = origin + horizon
            parts.append(
                (
                    np.stack([column[series] for column in columns.values()], axis=1, dtype=np.float32),
                    history.sales[series, target] / level[series],
                    level[series],
                    history.in_stock_share[series, target] >= 1,
                )
            )
        if on_progress is not None:
            on_progress(done + 1, len(origins))
    inputs, ratios, levels, is_in_stock = (np.concatenate(column) for column in zip(*parts, strict=True))
    return CrossSectionRows(
        names=names,
        inputs=inputs,
        ratios=np.minimum(ratios, np.float32(_LARGEST_RATIO)),
        levels=levels,
        is_in_stock=is_in_stock,
    )


def _horizon_share(horizon: int) -> float:
    return 1.0 if horizon <= _NEAR_PERIODS else _FAR_SHARE


def fit_boosters(
    rows: CrossSectionRows,
    objectives: Sequence[Mapping[str, Any]],
    *,
    settings: CrossSectionSettings,
    n_rounds: int | None = None,
    on_progress: Progress | None = None,
) -> list[xgboost.Booster]:
    """Return one booster an objective, fitted on the same rows.

    Args:
        rows: what to learn from.
        objectives: XGBoost params of each, laid over the shared ones.
        settings: seed, learning rate and rounds.
        n_rounds: instead of those of `settings`.
        on_progress: called with (done, total) boosters.
    """
    import xgboost

    matrix = xgboost.QuantileDMatrix(
        rows.inputs, rows.ratios, weight=rows.levels, feature_names=list(rows.names), max_bin=_MAX_BIN
    )
    shared: dict[str, Any] = {
        "tree_method": "hist",
        "max_bin": _MAX_BIN,
        "learning_rate": settings.learning_rate,
        "subsample": 0.8,
        "colsample_bytree": 0.25,
        "seed": settings.seed,
    }
    boosters = []
    for done, objective in enumerate(objectives):
        if on_progress is not None:
            on_progress(done, len(objectives))
        boosters.append(xgboost.train(shared | dict(objective), matrix, num_boost_round=n_rounds or settings.n_rounds))
    return boosters


def quantile_objective(quantiles: Sequence[float]) -> dict[str, Any]:
    """Return the objective of one tree for all levels."""
    return {
        "objective": "reg:quantileerror",
        "quantile_alpha": list(quantiles),
        "multi_strategy": "multi_output_tree",
        "max_depth": 6,
        "min_child_weight": 60.0,
        "learning_rate": 0.12,
    }


def predict_units(
    boosters: Sequence[xgboost.Booster],
    history: PanelHistory,
    *,
    settings: CrossSectionSettings,
    on_progress: Progress | None = None,
) -> list[FloatArray]:
    """Return what each booster gives for the periods after the last observed one, in units, >= 0.

    Returns:
        one array a booster, shape (n_series, horizon), or (n_series, horizon, n_quantiles) of one with many outputs.
    """
    origin = history.n_observed - 1
    level = level_units(history, origin)
    at_origin = origin_columns(history, origin, level=level)
    found: list[list[FloatArray]] = [[] for _ in boosters]
    for horizon in range(1, settings.horizon + 1):
        at_target = target_columns(history, origin, horizon=horizon, level=level, known_ahead=settings.known_ahead)
        inputs = np.stack(list((at_origin | at_target).values()), axis=1, dtype=np.float32)
        for place, booster in enumerate(boosters):
            ratios = np.maximum(np.asarray(booster.inplace_predict(inputs), dtype=np.float32), 0)
            found[place].append(ratios * (level if ratios.ndim == 1 else level[:, None]))
        if on_progress is not None:
            on_progress(horizon, settings.horizon)
    return [np.stack(periods, axis=1) for periods in found]
