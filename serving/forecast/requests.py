"""What the forecast service reads and answers: every field with its unit, bounds and an example."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Annotated, Any, Self

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from restock.operations.forecast import (
    LONGEST_HISTORY_PERIODS,
    ForecastAnswer,
    PostedSeries,
    SeriesRequest,
)
from restock.operations.planned_periods import PlannedPeriod
from restock.operations.served_model import ServedModel
from restock.tables import SALES
from restock.timeline import Frequency

MOST_SERIES = 500
MOST_QUANTILES = 99
_LONGEST_HORIZON = 366
_UNIT_DECIMALS = 4
_HIGHEST_NUMBER = 1e9
_DEFAULT_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Name = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[float, Field(ge=0, le=_HIGHEST_NUMBER)]
# The calendar's ends are kept away from: date arithmetic there overflows.
Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(2999, 12, 31))]


class RequestPart(BaseModel):
    """A part of a request: unknown fields, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ReplyPart(BaseModel):
    """A part of a reply."""

    model_config = ConfigDict(frozen=True)


class Planned(RequestPart):
    """What is known ahead about one period; leave out what is not known."""

    date: Day = Field(description="First day of the period; one of the forecast periods.", examples=["2024-07-01"])
    unit_price: Number | None = Field(
        default=None, description="Planned price, currency per unit. Left out: the last known price.", examples=[2.99]
    )
    is_promoted: bool | None = Field(
        default=None, description="Whether a promotion is planned. Left out: none.", examples=[True]
    )

    def to_period(self) -> PlannedPeriod:
        """Return it as the operations take it."""
        return PlannedPeriod(date=self.date, unit_price=self.unit_price, is_promoted=self.is_promoted)


PlannedPeriods = Annotated[
    tuple[Planned, ...],
    Field(max_length=_LONGEST_HORIZON, description="What is known ahead, one entry a period, in any order."),
]


Horizon = Annotated[
    int | None,
    Field(
        ge=1,
        le=_LONGEST_HORIZON,
        description="Periods to forecast after the last one of the history. Left out: as many as the model gives.",
        examples=[14],
    ),
]


class _Asked(RequestPart):
    """What every request may ask for."""

    horizon: Horizon = None
    quantiles: tuple[float, ...] = Field(
        default=_DEFAULT_QUANTILES,
        min_length=1,
        max_length=MOST_QUANTILES,
        description="Probability levels, each above 0 and below 1, increasing. Levels that the model does not give "
        "itself are interpolated and named in the reply.",
        examples=[[0.05, 0.5, 0.95]],
    )

    @field_validator("quantiles")
    @classmethod
    def _check_quantiles(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < level < 1 for level in quantiles) or list(quantiles) != sorted(set(quantiles)):
            raise ValueError("must lie above 0 and below 1 and increase without repeats")
        return quantiles


class ForecastRequest(_Asked):
    """One series, forecast from stored history."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"sku": "SKU-0001", "location": "STORE-1", "horizon": 14, "quantiles": [0.05, 0.5, 0.95]}]
        }
    )

    sku: Name = Field(description="The article, as in table sales.", examples=["SKU-0001"])
    location: Name = Field(description="Where it is sold, as in table sales.", examples=["STORE-1"])
    planned: PlannedPeriods = ()

    def to_series(self) -> tuple[SeriesRequest, ...]:
        """Return the one series as the operations take it."""
        planned = tuple(period.to_period() for period in self.planned)
        return (SeriesRequest(sku=self.sku, location=self.location, planned=planned),)


class BatchSeries(RequestPart):
    """One series of a batch."""

    sku: Name = Field(description="The article, as in table sales.", examples=["SKU-0001"])
    location: Name = Field(description="Where it is sold, as in table sales.", examples=["STORE-1"])
    planned: PlannedPeriods = ()


class ForecastBatchRequest(_Asked):
    """Many series, forecast from stored history in one go; one unknown series refuses the whole batch."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "series": [
                        {"sku": "SKU-0001", "location": "STORE-1"},
                        {"sku": "SKU-0002", "location": "STORE-1"},
                    ],
                    "horizon": 7,
                }
            ]
        }
    )

    series: tuple[BatchSeries, ...] = Field(
        min_length=1, max_length=MOST_SERIES, description=f"The series, at most {MOST_SERIES}."
    )

    def to_series(self) -> tuple[SeriesRequest, ...]:
        """Return the series as the operations take them."""
        return tuple(
            SeriesRequest(
                sku=one.sku, location=one.location, planned=tuple(period.to_period() for period in one.planned)
            )
            for one in self.series
        )


class HistoryRow(RequestPart):
    """What was sold in one period."""

    date: Day = Field(description="First day of the period.", examples=["2024-06-01"])
    units_sold: Number = Field(description="Units sold in the period.", examples=[12])
    unit_price: Number | None = Field(
        default=None, description="Average price that customers paid, currency per unit.", examples=[3.49]
    )
    is_promoted: bool = Field(default=False, description="Whether a promotion ran in the period.")
    stockout_share: float | None = Field(
        default=None, ge=0, le=1, description="Share of the period without stock, 0-1; left out: unknown."
    )
    in_stock_demand_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of the period's usual demand that falls into its time with stock, 0-1; left out: demand "
        "counts as spread evenly over the period.",
    )


class ForecastHistoryRequest(_Asked):
    """One series whose history comes with the request: for a product that the system has never seen."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "history": [
                        {"date": "2024-06-01", "units_sold": 12, "unit_price": 3.49},
                        {"date": "2024-06-02", "units_sold": 9, "unit_price": 3.49},
                        {"date": "2024-06-03", "units_sold": 15, "unit_price": 2.99, "is_promoted": True},
                    ],
                    "sku": "NEW-1",
                    "location": "STORE-1",
                    "horizon": 7,
                }
            ]
        }
    )

    history: tuple[HistoryRow, ...] = Field(
        min_length=1,
        max_length=LONGEST_HISTORY_PERIODS,
        description="One row a period, in any order; a period without a row, between others, counts as no sale.",
    )
    sku: Name = Field(default="new", description="Any name for the article.", examples=["NEW-1"])
    location: Name = Field(
        default="new",
        description="A stored location lends its region and holidays; any other name is fine.",
        examples=["STORE-1"],
    )
    category_path: Annotated[str, Field(max_length=500)] = Field(
        default="", description="Categories from broad to narrow, joined by ' > '.", examples=["Dairy > Milk"]
    )
    planned: PlannedPeriods = ()

    @model_validator(mode="after")
    def _check_dates(self) -> Self:
        days = [row.date for row in self.history]
        if len(set(days)) < len(days):
            raise ValueError("history: a date comes more than once, expected one row a period")
        return self

    def to_posted(self) -> PostedSeries:
        """Return the series as the operations take it."""
        rows = self.history
        sales = pl.DataFrame(
            {
                "sku": [self.sku] * len(rows),
                "location": [self.location] * len(rows),
                "date": [row.date for row in rows],
                "units_sold": [row.units_sold for row in rows],
                "unit_price": [row.unit_price for row in rows],
                "is_promoted": [row.is_promoted for row in rows],
                "stockout_share": [row.stockout_share for row in rows],
                "in_stock_demand_share": [row.in_stock_demand_share for row in rows],
            },
            schema=SALES.polars_schema,
        )
        return PostedSeries(
            sku=self.sku,
            location=self.location,
            category_path=self.category_path,
            sales=sales,
            planned=tuple(period.to_period() for period in self.planned),
        )

    def data_hash(self) -> str:
        """Return the SHA-256 of the posted history."""
        return hashlib.sha256(self.model_dump_json(include={"history"}).encode()).hexdigest()


class ModelReply(ReplyPart):
    """Which model made a forecast."""

    type: str = Field(description="Folder of the model under models/.", examples=["demand_forecasting"])
    version: str = Field(description="The promoted version.", examples=["model_version_3"])
    family: str = Field(description="Family of the model.", examples=["xgboost"])
    training_cutoff: date = Field(description="Last period that the model was trained on.")
    training_data_hash: str = Field(description="Hash of the data that the model was trained on.")


class PeriodForecast(ReplyPart):
    """Demand in one period."""

    date: Day = Field(description="First day of the period.", examples=["2024-07-01"])
    mean_units: float = Field(description="Expected demand, units in the period.", examples=[11.2])
    quantile_units: dict[str, float] = Field(
        description="Demand that is not exceeded with each probability, units in the period, by probability level.",
        examples=[{"0.05": 4.1, "0.5": 10.8, "0.95": 19.6}],
    )


class SeriesForecast(ReplyPart):
    """The forecast of one series."""

    sku: str = Field(description="The article.", examples=["SKU-0001"])
    location: str = Field(description="Where it is sold.", examples=["STORE-1"])
    periods: list[PeriodForecast] = Field(description="The forecast periods, the first after the cutoff first.")
    assumptions: list[str] = Field(
        description="What was assumed about the periods ahead where no plan was given.",
        examples=[["no promotion planned", "price stays at 3.49"]],
    )


class _Traced(ReplyPart):
    """What makes a reply traceable: model, cutoff and data."""

    model: ModelReply = Field(description="Which model made it.")
    cutoff: date = Field(description="Last period of the history that was used.")
    data_hash: str = Field(
        description="SHA-256 of that history: of the validated tables, or of the history in the request."
    )
    frequency: Frequency = Field(description="Length of one period.")
    quantiles: list[float] = Field(description="Probability levels, increasing.")
    interpolated_quantiles: list[float] = Field(
        description="Those among them that the model does not give itself: interpolated between its neighbours."
    )


class ForecastReply(SeriesForecast, _Traced):
    """The forecast of one series, with the model, cutoff and data that made it."""


class ForecastBatchReply(_Traced):
    """The forecasts of many series, with the one model, cutoff and data that made them."""

    forecasts: list[SeriesForecast] = Field(description="The forecasts, in the order of the request.")


def reply_of_one(answer: ForecastAnswer) -> ForecastReply:
    """Return the reply for a forecast of one series."""
    return ForecastReply.model_construct(**_traced(answer), **_series(answer)[0])


def reply_of_many(answer: ForecastAnswer) -> ForecastBatchReply:
    """Return the reply for a forecast of many series."""
    forecasts = [SeriesForecast.model_construct(**one) for one in _series(answer)]
    return ForecastBatchReply.model_construct(**_traced(answer), forecasts=forecasts)


def model_reply(model: ServedModel) -> ModelReply:
    """Return which model it was."""
    return ModelReply.model_construct(
        type=model.model_type,
        version=model.version,
        family=model.family,
        training_cutoff=model.training_cutoff,
        training_data_hash=model.training_data_hash,
    )


# model_construct: these values are our own, and checking hundreds of floats again would be most of a reply's time.
def _traced(answer: ForecastAnswer) -> dict[str, Any]:
    model, forecast = answer.model, answer.forecast
    return {
        "model": model_reply(model),
        "cutoff": forecast.cutoff,
        "data_hash": answer.data_hash,
        "frequency": model.frequency,
        "quantiles": list(forecast.quantiles),
        "interpolated_quantiles": list(answer.interpolated_quantiles),
    }


def _series(answer: ForecastAnswer) -> list[dict[str, Any]]:
    forecast = answer.forecast
    levels = [str(level) for level in forecast.quantiles]
    means = np.round(forecast.mean_units.astype(np.float64), _UNIT_DECIMALS).tolist()
    quantiles = np.round(forecast.quantile_units.astype(np.float64), _UNIT_DECIMALS).tolist()
    return [
        {
            "sku": sku,
            "location": location,
            "periods": [
                PeriodForecast.model_construct(
                    date=day,
                    mean_units=means[row][ahead],
                    quantile_units=dict(zip(levels, quantiles[row][ahead], strict=True)),
                )
                for ahead, day in enumerate(forecast.dates)
            ],
            "assumptions": list(answer.assumptions[row]),
        }
        for row, (sku, location) in enumerate(forecast.series.select("sku", "location").rows())
    ]
