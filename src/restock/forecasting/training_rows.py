"""Rows for the learned families: what is known at a cutoff, beside what is known ahead about the target's period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.errors import InsufficientHistoryError
from restock.forecasting.censoring import censoring_rule, mask_censored
from restock.forecasting.features import PRICE_LEVEL, SCALE, OriginFeatures, season_names
from restock.forecasting.group_levels import ATTRIBUTES, GroupHistory, season_position
from restock.forecasting.known_demand import demand_in_hindsight
from restock.forecasting.panel import HOLIDAY_REACH_PERIODS, DemandPanel, FloatArray
from restock.forecasting.similar_periods import SIMILAR_NAMES, similar_period_columns
from restock.params import FeatureParams, Params

IndexArray = NDArray[np.intp]

_YEAR_DAYS = 365.25
# Weights follow a series' scale, because errors are counted in units, but no row may outweigh this many average ones.
_LARGEST_WEIGHT = 10.0
# A target seen from more cutoffs than this teaches nothing more: a small company trains in seconds, not minutes.
_MOST_ROWS_PER_TARGET = 4


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """Rows to learn from.

    Attributes:
        names: name of each column of `inputs`.
        inputs: shape (n_rows, n_features), float32; NaN is unknown.
        targets: shape (n_rows,), demand in units of the series' scale at the cutoff; drawn where it was recovered.
        weights: shape (n_rows,), mean 1.
    """

    names: tuple[str, ...]
    inputs: FloatArray
    targets: FloatArray
    weights: FloatArray


@dataclass(frozen=True, kw_only=True)
class RowPlaces:
    """Which (series, cutoff, target) each row is about.

    Attributes:
        series: shape (n_rows,), row of the panel.
        origin: shape (n_rows,), period index of the cutoff.
        horizon: shape (n_rows,), periods from the cutoff to the target, >= 1.
    """

    series: IndexArray
    origin: IndexArray
    horizon: IndexArray

    @property
    def target(self) -> IndexArray:
        """Period index of the target."""
        return self.origin + self.horizon


def row_feature_names(features: OriginFeatures) -> tuple[str, ...]:
    """Return the names of the columns that `assemble_rows` makes."""
    groups = [f"{attribute}_{what}" for attribute in ATTRIBUTES for what in ("relative_scale", "season_index")]
    return (
        *_origin_columns(features),
        *(f"target_{name}" for name in season_names()),
        *groups,
        "horizon",
        "season_position",
        "day_of_month",
        "year_sine",
        "year_cosine",
        "is_holiday",
        "periods_to_holiday",
        "periods_since_holiday",
        "is_promoted",
        "target_price_ratio",
        "price_change",
        *SIMILAR_NAMES,
    )


def assemble_rows(
    panel: DemandPanel,
    features: OriginFeatures,
    places: RowPlaces,
    *,
    group_means: FloatArray,
    group_seasons: FloatArray,
    params: FeatureParams,
) -> FloatArray:
    """Return the inputs of the rows.

    Args:
        panel: grid that reaches to every target; of periods after a row's cutoff only holidays are read, and prices and
            promotions where `params.known_ahead` names them.
        features: origin features of the panel, reaching to every cutoff.
        places: the rows.
        group_means: shape (n_rows, n_attributes), mean units of the series' groups as of the cutoff or earlier.
        group_seasons: shape (n_rows, n_attributes), their season index at the target, likewise.
        params: which columns are known ahead.

    Returns:
        shape (n_rows, n_features), columns as in `row_feature_names`.
    """
    at_origin = features.values[places.series, places.origin]
    columns = {name: column for column, name in enumerate(features.names)}
    scale = at_origin[:, columns[SCALE]]
    # The same place of the season, in the newest season that lies wholly before the target and not after the cutoff.
    season = panel.frequency.season_periods
    lookup = places.target - season * (-(-places.horizon // season))
    has_season = lookup >= 0
    at_season = features.values[places.series, np.maximum(lookup, 0)][:, [columns[name] for name in season_names()]]
    at_season = np.where(has_season[:, None], at_season / scale[:, None], np.float32(np.nan))
    groups = np.stack([np.log(scale[:, None] / np.maximum(group_means, np.float32(1e-3))), group_seasons], axis=2)
    return np.concatenate(
        [
            at_origin[:, [columns[name] for name in _origin_columns(features)]],
            at_season,
            groups.reshape(len(places.series), -1),
            _target_columns(panel, places, price_level=at_origin[:, columns[PRICE_LEVEL]], params=params),
            _similar_columns(panel, places, scale=scale, params=params),
        ],
        axis=1,
        dtype=np.float32,
    )


@dataclass(frozen=True, kw_only=True)
class TrainingSample:
    """Which rows to learn from; their inputs are made on demand, some at a time, so that memory stays bounded.

    Attributes:
        panel: history.
        features: origin features of its observed periods.
        groups: what its groups sold up to every observed period.
        params: which columns are known ahead.
        places: the rows, by series and target.
        targets: shape (n_rows,), sales in units of the series' scale at the cutoff.
        weights: shape (n_rows,), mean 1.
    """

    panel: DemandPanel
    features: OriginFeatures
    groups: GroupHistory
    params: FeatureParams
    places: RowPlaces
    targets: FloatArray
    weights: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each column of the inputs."""
        return row_feature_names(self.features)

    @property
    def age(self) -> IndexArray:
        """Periods from each target to the last observed one; shape (n_rows,)."""
        age: IndexArray = self.panel.observed_periods - 1 - self.places.target
        return age

    def inputs(self, rows: slice) -> FloatArray:
        """Return the inputs of some rows; shape (n_rows, n_features)."""
        places = RowPlaces(
            series=self.places.series[rows], origin=self.places.origin[rows], horizon=self.places.horizon[rows]
        )
        position = season_position(self.panel.start, places.target, frequency=self.panel.frequency)
        codes = self.groups.codes[places.series]
        means = [self.groups.mean_units[name][codes[:, n], places.origin] for n, name in enumerate(ATTRIBUTES)]
        seasons = [
            self.groups.season_index(name, codes[:, n], period=places.origin, position=position)
            for n, name in enumerate(ATTRIBUTES)
        ]
        return assemble_rows(
            self.panel,
            self.features,
            places,
            group_means=np.stack(means, axis=1),
            group_seasons=np.stack(seasons, axis=1),
            params=self.params,
        )

    def rows(self) -> TrainingRows:
        """Return all rows with their inputs."""
        return TrainingRows(
            names=self.names, inputs=self.inputs(slice(None)), targets=self.targets, weights=self.weights
        )


def draw_training_sample(
    panel: DemandPanel, features: OriginFeatures, groups: GroupHistory, *, params: Params
) -> TrainingSample:
    """Return rows drawn from all (series, cutoff, horizon) whose target is known, or recovered from a part of it.

    A recovered target is a draw of what demand may have been, and counts as much as its sales have told of it.

    Args:
        panel: history; only observed periods are targets.
        features: origin features of its observed periods.
        groups: what its groups sold up to every observed period.
        params: seed, features, forecasting.horizon, training_rows and training_periods.

    Raises:
        InsufficientHistoryError: there is no such row.
    """
    rng = np.random.default_rng(params.seed)
    places, targets, told = _draw_places(panel, rng, params=params)
    scale = features.column(SCALE)[places.series, places.origin]
    weights = np.minimum(scale / scale.mean(), _LARGEST_WEIGHT) * told
    return TrainingSample(
        panel=panel,
        features=features,
        groups=groups,
        params=params.features,
        places=places,
        targets=(targets / scale).astype(np.float32),
        weights=(weights / weights.mean()).astype(np.float32),
    )


def _draw_places(
    panel: DemandPanel, rng: np.random.Generator, *, params: Params
) -> tuple[RowPlaces, FloatArray, FloatArray]:
    """Return which rows to learn from, their targets in units, and how much of each was told by sales, 0-1."""
    demand = demand_in_hindsight(panel, censoring_rule(params.features))
    first_listed = np.argmax(~np.isnan(panel.sales_units[:, : panel.observed_periods]), axis=1)
    is_target = demand.weight > 0
    is_target &= np.arange(panel.observed_periods) > first_listed[:, None]
    is_target[:, : max(0, panel.observed_periods - params.forecasting.training_periods)] = False
    cells = np.flatnonzero(is_target)
    if not cells.size:
        raise InsufficientHistoryError(
            f"no series has two observed periods with stock, got {panel.n_series} series x "
            f"{panel.observed_periods} periods "
            f"up to {panel.last_observed}. Ingest more history, or raise params.yaml: features.max_stockout_share."
        )
    wanted = min(params.forecasting.training_rows, cells.size * _MOST_ROWS_PER_TARGET)
    drawn = rng.choice(cells, size=wanted, replace=cells.size < wanted)
    series, target = np.divmod(np.sort(drawn), panel.observed_periods)
    longest = np.minimum(params.forecasting.horizon, target - first_listed[series])
    horizon = rng.integers(1, longest, endpoint=True)
    places = RowPlaces(series=series, origin=target - horizon, horizon=horizon)
    return places, demand.draw(series, target, rng), demand.weight[series, target]


def _origin_columns(features: OriginFeatures) -> list[str]:
    """Return the origin features that are inputs as they are: all but those in units."""
    in_units = {SCALE, PRICE_LEVEL, *season_names()}
    return [name for name in features.names if name not in in_units]


def _planned(
    panel: DemandPanel, places: RowPlaces, *, params: FeatureParams
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return price, promotion and holiday of each row's target as planned; what isn't known ahead stays as it was."""
    promotion_period = places.target if "is_promoted" in params.known_ahead else places.origin
    price_period = places.target if "unit_price" in params.known_ahead else places.origin
    return (
        panel.unit_price[places.series, price_period],
        panel.is_promoted[places.series, promotion_period],
        panel.is_holiday[places.series, places.target],
    )


def _similar_columns(panel: DemandPanel, places: RowPlaces, *, scale: FloatArray, params: FeatureParams) -> FloatArray:
    """Return how each row's series sold in similar periods; shape (n_rows, len(SIMILAR_NAMES))."""
    return similar_period_columns(
        # As sold in stock: called for every part of the rows, and what is recovered takes its time.
        mask_censored(panel, max_stockout_share=params.max_stockout_share),
        (panel.unit_price, panel.is_promoted, panel.is_holiday),
        series=places.series,
        origin=places.origin,
        target=places.target,
        scale=scale,
        planned=_planned(panel, places, params=params),
        season_periods=panel.frequency.season_periods,
    )


def _target_columns(
    panel: DemandPanel, places: RowPlaces, *, price_level: FloatArray, params: FeatureParams
) -> FloatArray:
    """Return what is known ahead about each row's target; shape (n_rows, 11)."""
    target = places.target
    dates = np.datetime64(panel.start) + target * np.timedelta64(panel.frequency.days, "D")
    day_of_year = (dates - dates.astype("datetime64[Y]").astype(dates.dtype)).astype(np.float32)
    day_of_month = (dates - dates.astype("datetime64[M]").astype(dates.dtype)).astype(np.float32)
    angle = 2 * np.pi * day_of_year / _YEAR_DAYS
    to_holiday, since_holiday = _holiday_distances(panel.is_holiday)
    price, is_promoted, is_holiday = _planned(panel, places, params=params)
    return np.stack(
        [
            places.horizon,
            season_position(panel.start, target, frequency=panel.frequency),
            day_of_month,
            np.sin(angle),
            np.cos(angle),
            is_holiday,
            to_holiday[places.series, target],
            since_holiday[places.series, target],
            is_promoted,
            price / np.maximum(price_level, 1e-6),
            price / np.maximum(panel.unit_price[places.series, places.origin], 1e-6),
        ],
        axis=1,
    ).astype(np.float32)


def _holiday_distances(is_holiday: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return periods to the next and since the last holiday, the period itself included, at most 14."""
    period = np.arange(is_holiday.shape[1], dtype=np.float32)
    last = np.maximum.accumulate(np.where(is_holiday > 0, period, -np.inf), axis=1)
    coming = np.minimum.accumulate(np.where(is_holiday > 0, period, np.inf)[:, ::-1], axis=1)[:, ::-1]
    reach = np.float32(HOLIDAY_REACH_PERIODS)
    return np.minimum(coming - period, reach).astype(np.float32), np.minimum(period - last, reach).astype(np.float32)
