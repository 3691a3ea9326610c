"""What a forecaster gives back, and what every forecaster is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import HorizonError
from restock.forecasting.panel import DemandPanel
from restock.tables import QUANTILE_FORECAST


@dataclass(frozen=True, kw_only=True)
class DemandForecast:
    """Demand of many series over a horizon, as quantiles and a mean.

    Attributes:
        series: columns sku and location, one row a series, in array order.
        cutoff: last period whose data were used.
        dates: the forecast periods, horizon 1 first.
        quantiles: probability levels, increasing.
        quantile_units: shape (n_series, horizon, n_quantiles), units per period, sorted along the last axis, >= 0.
        mean_units: shape (n_series, horizon), units per period, >= 0.
    """

    series: pl.DataFrame
    cutoff: date
    dates: tuple[date, ...]
    quantiles: tuple[float, ...]
    quantile_units: NDArray[np.float32]
    mean_units: NDArray[np.float32]

    def __post_init__(self) -> None:
        expected = (self.series.height, len(self.dates), len(self.quantiles))
        if self.quantile_units.shape != expected or self.mean_units.shape != expected[:2]:
            raise ValueError(
                f"shapes must be {expected} and {expected[:2]}, "
                f"got {self.quantile_units.shape} and {self.mean_units.shape}"
            )

    @property
    def horizon(self) -> int:
        """How many periods are forecast."""
        return len(self.dates)

    def to_table(self, model_version: str) -> pl.DataFrame:
        """Return the forecast as table `quantile_forecast`, one row a (series, date, quantile)."""
        n_series, horizon, n_quantiles = self.quantile_units.shape
        repeats = horizon * n_quantiles
        frame = self.series.select(pl.col("sku", "location").repeat_by(repeats).explode()).with_columns(
            date=pl.Series(np.tile(np.repeat(np.array(self.dates, dtype="datetime64[D]"), n_quantiles), n_series)),
            cutoff=pl.lit(self.cutoff),
            model_version=pl.lit(model_version),
            quantile=pl.Series(np.tile(np.array(self.quantiles), n_series * horizon)),
            demand_units=pl.Series(self.quantile_units.reshape(-1).astype(np.float64)),
            mean_demand_units=pl.Series(np.repeat(self.mean_units.reshape(-1).astype(np.float64), n_quantiles)),
        )
        return QUANTILE_FORECAST.conform(frame)


def check_horizon(horizon: int, *, longest: int) -> None:
    """Refuse a horizon that a model was not fitted for.

    Raises:
        HorizonError: `horizon` is below 1 or above `longest`.
    """
    if not 1 <= horizon <= longest:
        raise HorizonError(
            f"horizon must be 1 to {longest} periods, got {horizon}. For more, raise params.yaml: "
            "forecasting.horizon and train anew."
        )


class DemandForecaster(Protocol):
    """A fitted model that forecasts demand of any panel, also of series it has never seen."""

    @property
    def family(self) -> str:
        """Name of the family, as in params.yaml: forecasting.families."""
        ...

    @property
    def horizon(self) -> int:
        """The longest horizon it was fitted for, periods."""
        ...

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The probability levels it gives."""
        ...

    def forecast(self, panel: DemandPanel, *, horizon: int) -> DemandForecast:
        """Return the forecast of every series of `panel` for the periods after its last observed one.

        Args:
            panel: history (and plans) of any series; `panel.extended(horizon)` is called inside.
            horizon: periods, 1 to `self.horizon`.

        Raises:
            HorizonError: `horizon` is longer than `self.horizon`.
        """
        ...
