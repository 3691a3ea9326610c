"""What the groups of the hierarchy tell about a series: how much its peers sell, and on which days of the season."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.censoring import mask_censored, series_scale
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.timeline import Frequency

ATTRIBUTES = ("category", "subcategory", "region", "location")
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
        found = [
            [
                self.levels[attribute].get(name, self.levels[attribute][EVERYTHING])
                for attribute, name in zip(ATTRIBUTES, row, strict=True)
            ]
            for row in series.select(ATTRIBUTES).iter_rows()
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
        mean_units: attribute -> shape (n_groups, n_periods).
        season_index: attribute -> shape (n_groups, n_periods, season_periods).
    """

    groups: Mapping[str, tuple[str, ...]]
    codes: NDArray[np.intp]
    mean_units: Mapping[str, FloatArray]
    season_index: Mapping[str, FloatArray]

    def at(self, period: int) -> GroupLevels:
        """Return the levels as of one period."""
        return GroupLevels(
            levels={
                attribute: {
                    name: GroupLevel(
                        mean_units=float(self.mean_units[attribute][code, period]),
                        season_index=tuple(float(v) for v in self.season_index[attribute][code, period]),
                    )
                    for code, name in enumerate(names)
                }
                for attribute, names in self.groups.items()
            }
        )


def season_position(start: date, periods: NDArray[np.intp], *, frequency: Frequency) -> NDArray[np.intp]:
    """Return the place in the season of the periods counted from `start`; the same date has the same place always."""
    return (start.toordinal() // frequency.days + periods) % frequency.season_periods


def build_group_history(panel: DemandPanel, *, max_stockout_share: float) -> GroupHistory:
    """Return what every group sold up to every observed period.

    Args:
        panel: history; nothing after its last observed period is read.
        max_stockout_share: a period with a larger known share of it without stock is left out.
    """
    sales = mask_censored(panel, max_stockout_share=max_stockout_share)
    is_known = ~np.isnan(sales)
    units = np.where(is_known, sales, 0).astype(np.float64)
    scaled = units / series_scale(sales)
    season = panel.frequency.season_periods
    positions = season_position(panel.start, np.arange(panel.observed_periods), frequency=panel.frequency)
    groups, codes, mean_units, season_index = {}, [], {}, {}
    for attribute in ATTRIBUTES:
        column = panel.series[attribute]
        names = (*sorted(set(column.to_list()) - {EVERYTHING}), EVERYTHING)
        place = {name: code for code, name in enumerate(names)}
        code = np.array([place[name] for name in column.to_list()], dtype=np.intp)
        count = _sum_by_group(is_known.astype(np.float64), code, len(names))
        total = np.cumsum(_sum_by_group(units, code, len(names)), axis=1)
        mean_units[attribute] = (total / np.maximum(np.cumsum(count, axis=1), 1)).astype(np.float32)
        scaled_sum = _sum_by_group(scaled, code, len(names))
        at_place = positions[None, :, None] == np.arange(season)
        places = np.cumsum(np.where(at_place, scaled_sum[..., None], 0), axis=1) + _PRIOR_OBSERVATIONS
        counts = np.cumsum(np.where(at_place, count[..., None], 0), axis=1) + _PRIOR_OBSERVATIONS
        season_index[attribute] = (places / counts).astype(np.float32)
        groups[attribute] = names
        codes.append(code)
    return GroupHistory(groups=groups, codes=np.stack(codes, axis=1), mean_units=mean_units, season_index=season_index)


def _sum_by_group(values: NDArray[np.float64], code: NDArray[np.intp], n_groups: int) -> NDArray[np.float64]:
    """Return sums over the series of each group, the last row over all; shape (n_groups, n_periods)."""
    order = np.argsort(code, kind="stable")
    present, first = np.unique(code[order], return_index=True)
    sums = np.zeros((n_groups, values.shape[1]))
    sums[present] = np.add.reduceat(values[order], first, axis=0)
    sums[-1] = values.sum(axis=0)
    return sums
