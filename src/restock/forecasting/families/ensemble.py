"""The weighted ensemble: each segment's own average of the families' quantile functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.calibration import Calibration, calibrate
from restock.forecasting.cold_start import ColdStart
from restock.forecasting.forecast import DemandForecast, DemandForecaster, check_horizon
from restock.forecasting.panel import DemandPanel
from restock.forecasting.segments import SegmentRule
from restock.params import FamilyName


@dataclass(frozen=True, kw_only=True)
class SegmentWeights:
    """How much each member counts, overall and in the segments that had enough to tell.

    Attributes:
        members: the families, in the order of the weights.
        overall: for a segment without weights of its own; each >= 0, their sum 1.
        by_segment: by name of the segment, as `overall`.
    """

    members: tuple[FamilyName, ...]
    overall: tuple[float, ...]
    by_segment: Mapping[str, tuple[float, ...]]

    def of(self, segments: NDArray[np.str_]) -> NDArray[np.float64]:
        """Return the weights of series in `segments`; shape (n_series, n_members)."""
        return np.array([self.by_segment.get(str(name), self.overall) for name in segments]).reshape(
            len(segments), len(self.members)
        )

    def without_unused(self) -> SegmentWeights:
        """Return the same weights without the members that count nowhere."""
        rows = [self.overall, *self.by_segment.values()]
        used = [place for place in range(len(self.members)) if any(row[place] > 0 for row in rows)]

        def keep(row: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(row[place] for place in used)

        return SegmentWeights(
            members=tuple(self.members[place] for place in used),
            overall=keep(self.overall),
            by_segment={name: keep(row) for name, row in self.by_segment.items()},
        )


@dataclass(frozen=True, kw_only=True)
class EnsembleForecaster:
    """Fitted families and how much each counts for a series, by the segment that its own history puts it in.

    Attributes:
        horizon: longest horizon, periods.
        quantiles: probability levels, those of every member.
        rule: how a series finds its segment.
        weights: how much each member counts.
        members: the fitted families by name, at least those of `weights`.
        calibration: corrections of the members' average; None: none.
        cold_start: what stands in for the members where a series has hardly a history; None: nothing does.
    """

    family: ClassVar[str] = "ensemble"
    horizon: int
    quantiles: tuple[float, ...]
    rule: SegmentRule
    weights: SegmentWeights
    members: Mapping[FamilyName, DemandForecaster]
    calibration: Calibration | None = None
    cold_start: ColdStart | None = None

    def forecast(self, panel: DemandPanel, *, horizon: int) -> DemandForecast:
        """Return the forecast of every series for the periods after its last observed one.

        Quantile functions are averaged, level by level: the average keeps the members' shape, where an average of their
        probabilities would be wider than each.

        Raises:
            HorizonError: `horizon` is longer than the model's.

        Source: Lichtendahl, Grushka-Cockayne and Winkler (2013), Is It Better to Average Probabilities or Quantiles?
        """
        check_horizon(horizon, longest=self.horizon)
        segments = self.rule.assign(panel)
        weights = self.weights.of(segments).astype(np.float32)
        quantile_units = np.zeros((panel.n_series, horizon, len(self.quantiles)), dtype=np.float32)
        mean_units = np.zeros((panel.n_series, horizon), dtype=np.float32)
        for place, name in enumerate(self.weights.members):
            rows = np.flatnonzero(weights[:, place])
            if not rows.size:
                continue
            part = panel if rows.size == panel.n_series else panel.select(rows)
            found = self.members[name].forecast(part, horizon=horizon)
            quantile_units[rows] += weights[rows, place, None, None] * found.quantile_units
            mean_units[rows] += weights[rows, place, None] * found.mean_units
        last = panel.observed_periods - 1
        forecast = DemandForecast(
            series=panel.series.select("sku", "location"),
            cutoff=panel.last_observed,
            dates=tuple(panel.date_of(last + ahead) for ahead in range(1, horizon + 1)),
            quantiles=self.quantiles,
            # Sums of sorted float32 may differ in the last digit.
            quantile_units=np.sort(quantile_units, axis=-1),
            mean_units=mean_units,
        )
        if self.calibration is not None:
            forecast = calibrate(forecast, self.calibration, segments=segments)
        return forecast if self.cold_start is None else self.cold_start.blend(forecast, panel)
