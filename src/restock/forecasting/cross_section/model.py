"""Boosted trees over a whole panel: every series learns from what its peers sold on the same days.

The target is a ratio to the series' own recent level, weighted by that level, so that errors count in units. Periods
with a stockout stay: sales under usual availability are forecast from them; demand is learned from them too, with the
share of the period without stock as an input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from restock.errors import InsufficientHistoryError
from restock.forecasting.cross_section.features import level_units, origin_columns, target_columns
from restock.forecasting.cross_section.history import PanelHistory
from restock.forecasting.cross_section.response import plan_response
from restock.forecasting.panel import FloatArray

if TYPE_CHECKING:
    import xgboost

Progress = Callable[[int, int], None]

# Fewer periods before a cutoff make levels and seasons of noise.
FEWEST_PERIODS = 21
# Most decisions are about the first of the periods ahead: of later ones fewer rows are drawn.
_NEAR_PERIODS = 7
_FAR_SHARE = 0.4
# Features are made for all series at a cutoff and horizon: half of the horizons of each cutoff, drawn anew, tell as
# much as all of them, in half the time.
_HORIZONS_PER_CUTOFF = 0.5
# A target of more than this many levels is a typing error or a launch; it would steer a whole tree.
_LARGEST_RATIO = 12.0
_MAX_BIN = 128
# The one input that no forecast knows: it is set to 0, stock throughout.
TARGET_STOCKOUT_SHARE = "target_stockout_share"
# Trees of the target's middle and of its mean err differently: their mean has a lower error than either.
MEAN_OBJECTIVES: tuple[Mapping[str, Any], ...] = (
    {"objective": "reg:tweedie", "tweedie_variance_power": 1.3, "max_depth": 8, "min_child_weight": 300.0},
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
        half_life_periods: a target this much older counts half as much.
        seed: what all random numbers follow from.
    """

    horizon: int
    known_ahead: tuple[str, ...]
    n_rows: int = 500_000
    step_periods: int = 1
    n_rounds: int = 140
    learning_rate: float = 0.09
    half_life_periods: float = 40.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class CrossSectionRows:
    """Rows to learn from.

    Attributes:
        names: name of each column of `inputs`.
        inputs: shape (n_rows, n_features).
        ratios: shape (n_rows,), sales in units of the series' level at the cutoff.
        weights: shape (n_rows,), the level at the cutoff in units per period, less for older targets.
        stockout_share: shape (n_rows,), share of the target period without stock, 0-1. No input: not known before.
    """

    names: tuple[str, ...]
    inputs: FloatArray
    ratios: FloatArray
    weights: FloatArray
    stockout_share: FloatArray

    def in_stock(self) -> CrossSectionRows:
        """Return the rows whose sales were demand."""
        return self._where(self.stockout_share <= 0)

    def with_stockouts(self) -> CrossSectionRows:
        """Return the rows with the target's own stockout share as an input.

        What is learned from them, asked for a share of 0, is demand, with what days that were short tell about it.
        """
        inputs = np.concatenate([self.inputs, self.stockout_share[:, None]], axis=1)
        return replace(self, names=(*self.names, TARGET_STOCKOUT_SHARE), inputs=inputs)

    def thinned(self, n_rows: int) -> CrossSectionRows:
        """Return about so many rows, spread evenly over all of them."""
        step = max(1, len(self.ratios) // n_rows)
        return self._where(np.arange(len(self.ratios)) % step == 0)

    def _where(self, keep: NDArray[np.bool_]) -> CrossSectionRows:
        return replace(
            self,
            inputs=self.inputs[keep],
            ratios=self.ratios[keep],
            weights=self.weights[keep],
            stockout_share=self.stockout_share[keep],
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
    horizons = [_draw_horizons(min(settings.horizon, last - origin), rng=rng) for origin in origins]
    n_places = sum(_horizon_share(horizon) for drawn in horizons for horizon in drawn)
    if not n_places:
        raise InsufficientHistoryError(
            f"the history has {history.n_observed} periods, needs >= {FEWEST_PERIODS + 2}. Ingest more history."
        )
    parts: list[tuple[FloatArray, FloatArray, FloatArray, FloatArray]] = []
    names: tuple[str, ...] = ()
    for done, (origin, drawn) in enumerate(zip(origins, horizons, strict=True)):
        level = level_units(history, origin)
        response = plan_response(history, origin, level=level)
        at_origin = origin_columns(history, origin, level=level, response=response)
        for horizon in drawn:
            at_target = target_columns(
                history, origin, horizon=horizon, level=level, response=response, known_ahead=settings.known_ahead
            )
            wanted = int(settings.n_rows * _horizon_share(horizon) / n_places) + 1
            series = rng.choice(history.n_series, size=min(history.n_series, wanted), replace=False)
            columns = at_origin | at_target
            names = tuple(columns)
            target = origin + horizon
            recency = np.float32(0.5 ** ((last - target) / settings.half_life_periods))
            parts.append(
                (
                    np.stack([column[series] for column in columns.values()], axis=1, dtype=np.float32),
                    history.sales[series, target] / level[series],
                    level[series] * recency,
                    1 - history.in_stock_share[series, target],
                )
            )
        if on_progress is not None:
            on_progress(done + 1, len(origins))
    inputs, ratios, weights, stockout_share = (np.concatenate(column) for column in zip(*parts, strict=True))
    return CrossSectionRows(
        names=names,
        inputs=inputs,
        ratios=np.minimum(ratios, np.float32(_LARGEST_RATIO)),
        weights=weights,
        stockout_share=stockout_share,
    )


def _draw_horizons(longest: int, *, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the horizons that rows of one cutoff are drawn at, increasing; all of them where there are few."""
    wanted = max(math.ceil(longest * _HORIZONS_PER_CUTOFF), min(longest, 2))
    return np.sort(rng.choice(np.arange(1, longest + 1), size=wanted, replace=False))


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
        rows.inputs, rows.ratios, weight=rows.weights, feature_names=list(rows.names), max_bin=_MAX_BIN
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
    response = plan_response(history, origin, level=level)
    at_origin = origin_columns(history, origin, level=level, response=response)
    has_stock = {TARGET_STOCKOUT_SHARE: np.zeros(history.n_series, dtype=np.float32)}
    found: list[list[FloatArray]] = [[] for _ in boosters]
    for horizon in range(1, settings.horizon + 1):
        at_target = target_columns(
            history, origin, horizon=horizon, level=level, response=response, known_ahead=settings.known_ahead
        )
        # The stockout share is the last one, and read by those alone that were fitted with it.
        inputs = np.stack(list((at_origin | at_target | has_stock).values()), axis=1, dtype=np.float32)
        for place, booster in enumerate(boosters):
            known = inputs[:, : booster.num_features()]
            ratios = np.maximum(np.asarray(booster.inplace_predict(known), dtype=np.float32), 0)
            found[place].append(ratios * (level if ratios.ndim == 1 else level[:, None]))
        if on_progress is not None:
            on_progress(horizon, settings.horizon)
    return [np.stack(periods, axis=1) for periods in found]
