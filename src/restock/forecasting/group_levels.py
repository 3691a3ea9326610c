"""What the groups of the hierarchy tell about a series: how much its peers sell, and on which days of the season."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.censoring import series_scale
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.timeline import Frequency

# The sku itself is a group of its locations: what it sells elsewhere.
ATTRIBUTES = ("category", "subcategory", "region", "location", "sku")
# The group of all series: what stands in for a group that was never seen.
EVERYTHING = ""
# Observations that a season index of 1 is worth, so that young groups do not show noise as a season.
_PRIOR_OBSERVATIONS = 5.0


@dataclass(frozen=True, kw_only=True)
class GroupLevel:
    """What one group sold up to some period.

    Attributes:
        mean_units: mean sales of a series and period.
        season_index: shape (season_periods,): mean sales at each place of the season, in units of the series' scale.
    """

    mean_units: float
    season_index: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class GroupLevels:
    """The levels of every group as of one period: plain values, saved with a model.

    Attributes:
        levels: attribute -> group -> level; each attribute holds `EVERYTHING`.
    """

    levels: Mapping[str, Mapping[str, GroupLevel]]

    def of_series(self, series: pl.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Return the levels that apply to each series.

        Args:
            series: the panel's series, with the columns `ATTRIBUTES`.

        Returns:
            mean units, shape (n_series, n_attributes); season index, shape (n_series, n_attributes, season_periods).
        """
        # Columns as lists: a polars query costs more than all the look-ups of a request.
        names = zip(*(series[attribute].to_list() for attribute in ATTRIBUTES), strict=True)
        found = [
            [
                self.levels[attribute].get(name, self.levels[attribute][EVERYTHING])
                for attribute, name in zip(ATTRIBUTES, row, strict=True)
            ]
            for row in names
        ]
        means = np.array([[level.mean_units for level in row] for row in found], dtype=np.float32)
        indices = np.array([[level.season_index for level in row] for row in found], dtype=np.float32)
        return means, indices


@dataclass(frozen=True, kw_only=True)
class GroupHistory:
    """The levels of every group as of every period, each from data up to that period.

    Attributes:
        groups: attribute -> names of its groups, `EVERYTHING` last.
        codes: shape (n_series, n_attributes): which group a series belongs to.
        positions: shape (n_periods,): place in the season of each period.
        season_periods: periods after which the season repeats.
        mean_units: attribute -> shape (n_groups, n_periods).
        own_place_index: attribute -> shape (n_groups, n_periods): the season index of each period's own place; that of
            another place is found where that place last was, so that memory does not grow with the season.
    """

    groups: Mapping[str, tuple[str, ...]]
    codes: NDArray[np.intp]
    positions: NDArray[np.intp]
    season_periods: int
    mean_units: Mapping[str, FloatArray]
    own_place_index: Mapping[str, FloatArray]

    def season_index(
        self, attribute: str, code: NDArray[np.intp], *, period: NDArray[np.intp], position: NDArray[np.intp]
    ) -> FloatArray:
        """Return the season index of groups at places in the season, as of periods; all of one shape."""
        last_there = period - (self.positions[period] - position) % self.season_periods
        found = self.own_place_index[attribute][code, np.maximum(last_there, 0)]
        # A place that was not yet seen says nothing: as much as any other.
        return np.where(last_there >= 0, found, np.float32(1))

    def at(self, period: int) -> GroupLevels:
        """Return the levels as of one period."""
        levels = {}
        for attribute, names in self.groups.items():
            code, place = np.meshgrid(np.arange(len(names)), np.arange(self.season_periods), indexing="ij")
            index = self.season_index(attribute, code, period=np.full(code.shape, period), position=place)
            means = self.mean_units[attribute][:, period].tolist()
            levels[attribute] = {
                name: GroupLevel(mean_units=mean, season_index=tuple(row))
                for name, mean, row in zip(names, means, index.tolist(), strict=True)
            }
        return GroupLevels(levels=levels)


def season_position(start: date, periods: NDArray[np.intp], *, frequency: Frequency) -> NDArray[np.intp]:
    """Return the place in the season of the periods counted from `start`; the same date has the same place always."""
    return (start.toordinal() // frequency.days + periods) % frequency.season_periods


def build_group_history(panel: DemandPanel, demand: FloatArray) -> GroupHistory:
    """Return what was wanted of every group up to every observed period.

    Args:
        panel: history; nothing after its last observed period is read.
        demand: shape (n_series, observed_periods), units; NaN is left out. Each period's from data up to it.
    """
    is_known = ~np.isnan(demand)
    units = np.where(is_known, demand, 0).astype(np.float64)
    scaled = units / series_scale(demand)
    season = panel.frequency.season_periods
    positions = season_position(panel.start, np.arange(panel.observed_periods), frequency=panel.frequency)
    groups, codes, mean_units, own_place_index = {}, [], {}, {}
    for attribute in ATTRIBUTES:
        column = panel.series[attribute]
        names = (*sorted(set(column.to_list()) - {EVERYTHING}), EVERYTHING)
        place = {name: code for code, name in enumerate(names)}
        code = np.array([place[name] for name in column.to_list()], dtype=np.intp)
        count = _sum_by_group(is_known.astype(np.float64), code, n_groups=len(names))
        total = np.cumsum(_sum_by_group(units, code, n_groups=len(names)), axis=1)
        mean_units[attribute] = (total / np.maximum(np.cumsum(count, axis=1), 1)).astype(np.float32)
        scaled_sum = _sum_by_group(scaled, code, n_groups=len(names))
        index = np.empty(count.shape, dtype=np.float32)
        for at in range(season):
            same = np.flatnonzero(positions == at)
            sums = np.cumsum(scaled_sum[:, same], axis=1) + _PRIOR_OBSERVATIONS
            index[:, same] = sums / (np.cumsum(count[:, same], axis=1) + _PRIOR_OBSERVATIONS)
        own_place_index[attribute] = index
        groups[attribute] = names
        codes.append(code)
    return GroupHistory(
        groups=groups,
        codes=np.stack(codes, axis=1),
        positions=positions,
        season_periods=season,
        mean_units=mean_units,
        own_place_index=own_place_index,
    )


def _sum_by_group(values: NDArray[np.float64], code: NDArray[np.intp], *, n_groups: int) -> NDArray[np.float64]:
    """Return sums over the series of each group, the last row over all; shape (n_groups, n_periods)."""
    order = np.argsort(code, kind="stable")
    present, first = np.unique(code[order], return_index=True)
    sums = np.zeros((n_groups, values.shape[1]))
    sums[present] = np.add.reduceat(values[order], first, axis=0)
    sums[-1] = values.sum(axis=0)
    return sums
