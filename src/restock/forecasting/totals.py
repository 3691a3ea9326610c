"""Totals of many series: who belongs to which group, and what the groups' demands add up to.

Bottom-up: means are added, quantiles are those of added paths, so that totals agree with what they are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.forecast import DemandForecast
from restock.tables import TOTAL_FORECAST

Floats = NDArray[np.floating[Any]]

# What planners ask totals of; "all" is everything.
TOTAL_LEVELS = ("all", "region", "category", "location")
# Periods from the first that are also added up, where the horizon has them; the whole horizon always is.
SPANS_PERIODS = (7, 14, 28)


def group_members(groups: Sequence[str]) -> tuple[tuple[str, ...], Any]:
    """Return the groups, sorted, and a sparse matrix of shape (n_groups, n_series): 1 where a series belongs to one.

    Args:
        groups: shape (n_series,), the group of every series.
    """
    from scipy.sparse import csc_array  # type: ignore[import-untyped]  # scipy ships no types

    names, code = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    entries = (np.ones(len(code)), code, np.arange(len(code) + 1))
    return tuple(names.tolist()), csc_array(entries, shape=(len(names), len(code)))


def sum_members(members: Any, values: Floats) -> NDArray[np.float64]:
    """Return the sums of every group's series; shape (n_groups, ...) of values of shape (n_series, ...)."""
    flat = members @ np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    found: NDArray[np.float64] = flat.reshape(members.shape[0], *values.shape[1:])
    return found


class ForecastTotals:
    """Sums of means and of sample paths by level, added up block by block so that memory stays bounded."""

    def __init__(self, series: pl.DataFrame, *, n_paths: int) -> None:
        """Begin at nothing.

        Args:
            series: the panel's series, all that will be added.
            n_paths: paths of every series.
        """
        self._n_paths = n_paths
        self._members = {
            level: group_members(["all"] * series.height if level == "all" else series[level].to_list())
            for level in TOTAL_LEVELS
        }
        self._paths: dict[str, NDArray[np.float64]] = {}
        self._means: dict[str, NDArray[np.float64]] = {}
        self._of: DemandForecast | None = None

    def add(
        self, forecast: DemandForecast, rows: NDArray[np.intp], *, block: slice, paths: NDArray[np.float32]
    ) -> None:
        """Add some series of a forecast.

        Args:
            forecast: holds the series.
            rows: their places among all series.
            block: their places in `forecast`.
            paths: shape (n_rows, horizon, n_paths), units per period.

        Raises:
            ValueError: the forecast is of other periods or levels than those before.
        """
        first = forecast if self._of is None else self._of
        if (first.dates, first.quantiles, first.cutoff) != (forecast.dates, forecast.quantiles, forecast.cutoff):
            raise ValueError("totals of different periods, cutoffs or quantile levels can't be added")
        self._of = first
        for level, (names, members) in self._members.items():
            own = members[:, rows]
            if level not in self._paths:
                self._paths[level] = np.zeros((len(names), forecast.horizon, self._n_paths))
                self._means[level] = np.zeros((len(names), forecast.horizon))
            self._paths[level] += sum_members(own, paths)
            self._means[level] += sum_members(own, forecast.mean_units[block])

    def to_table(self, model_version: str) -> pl.DataFrame:
        """Return table `total_forecast`: every period, and the first 7, 14, 28 and all of them together."""
        forecast = self._of
        if forecast is None:
            return TOTAL_FORECAST.empty()
        spans = sorted({*(span for span in SPANS_PERIODS if span < forecast.horizon), forecast.horizon} - {1})
        tables = []
        for level, (names, _) in self._members.items():
            paths, means = self._paths[level], self._means[level]
            parts = [(day, 1, slice(ahead, ahead + 1)) for ahead, day in enumerate(forecast.dates)]
            parts += [(forecast.dates[0], span, slice(0, span)) for span in spans]
            for day, periods, columns in parts:
                # Hazen's: the paths stand at the levels (k + 1/2) / n_paths.
                sums = paths[:, columns].sum(axis=1)
                units = np.quantile(sums, forecast.quantiles, axis=1, method="hazen").T
                rows = _long(names, forecast.quantiles, units=units, means=means[:, columns].sum(axis=1))
                tables.append(rows.with_columns(level=pl.lit(level), date=pl.lit(day), periods=pl.lit(periods)))
        together = pl.concat(tables).with_columns(cutoff=pl.lit(forecast.cutoff), model_version=pl.lit(model_version))
        return TOTAL_FORECAST.conform(together)


def _long(names: tuple[str, ...], quantiles: tuple[float, ...], *, units: Floats, means: Floats) -> pl.DataFrame:
    """Return one row a (group, quantile); units of shape (n_groups, n_quantiles), means of (n_groups,)."""
    return pl.DataFrame(
        {
            "name": [name for name in names for _ in quantiles],
            "quantile": np.tile(np.array(quantiles), len(names)),
            "demand_units": units.reshape(-1),
            "mean_demand_units": np.repeat(means, len(quantiles)),
        }
    )
