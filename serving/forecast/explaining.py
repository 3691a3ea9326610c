"""What `/explain` reads and answers: the parts that a forecast is the sum of, in units."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from restock.forecasting.explanation.drivers import Driver, Remainder
from restock.operations.explain_forecast import ExplainedForecast
from restock.operations.forecast import SeriesRequest
from restock.timeline import Frequency
from serving.forecast.requests import (
    Day,
    Horizon,
    ModelReply,
    Name,
    PlannedPeriods,
    ReplyPart,
    RequestPart,
    model_reply,
)

_MEANINGS = (
    "level: the usual level, the mean of the latest 56 periods without promotion, holiday or stockout. "
    "trend: where the model expects that level to be by then, less the level. "
    "weekday, season (time of year), price (against the usual one), promotion (its price cut included), holiday: what "
    "each adds to the forecast of a usual period. "
    "calibration: the correction by past errors. cold_start: what shared attributes tell about a young series. "
    "Of kept forecasts also later_changes: what changed in the stored history since; unexplained: what neither model "
    "nor history explains. reconciliation: what makes totals add up, which no served forecast has yet."
)


class ExplainRequest(RequestPart):
    """One series whose forecast is to be explained."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"sku": "SKU-0001", "location": "STORE-1", "horizon": 7}]}
    )

    sku: Name = Field(description="The article, as in table sales.", examples=["SKU-0001"])
    location: Name = Field(description="Where it is sold, as in table sales.", examples=["STORE-1"])
    horizon: Horizon = None
    planned: PlannedPeriods = ()

    def to_series(self) -> SeriesRequest:
        """Return the series as the operations take it."""
        planned = tuple(period.to_period() for period in self.planned)
        return SeriesRequest(sku=self.sku, location=self.location, planned=planned)


class ExplainedPeriod(ReplyPart):
    """The parts of one period's forecast."""

    date: Day = Field(description="First day of the period.", examples=["2024-07-01"])
    mean_units: float = Field(description="Expected demand, units in the period: the sum of the parts.", examples=[5.2])
    part_units: dict[Driver | Remainder, float] = Field(
        description="What each part adds or, below 0, removes, units in the period.",
        examples=[{"level": 4.1, "weekday": 0.3, "promotion": 0.9, "calibration": -0.1}],
    )


class ExplainReply(ReplyPart):
    """Why the forecast of one series is what it is, with the model, cutoff and data that made it."""

    sku: str = Field(description="The article.", examples=["SKU-0001"])
    location: str = Field(description="Where it is sold.", examples=["STORE-1"])
    sentence: str = Field(
        description="The explanation in one sentence, in rounded units that add up.",
        examples=["38 units in the 7 days from Mon 1 Jul: 30 is its usual level, +8 because of the promotion."],
    )
    mean_units: float = Field(
        description="Expected demand over all periods, units: the sum of those of /forecast, and of the parts.",
        examples=[38.1],
    )
    part_units: dict[Driver | Remainder, float] = Field(
        description=f"What each part adds over all periods, units. {_MEANINGS}",
        examples=[{"level": 30.2, "promotion": 6.1, "holiday": 3.0, "price": -1.2}],
    )
    periods: list[ExplainedPeriod] = Field(description="The same for every period, the first after the cutoff first.")
    assumptions: list[str] = Field(
        description="What was assumed about the periods ahead where no plan was given.",
        examples=[["no promotion planned", "price stays at 3.49"]],
    )
    model: ModelReply = Field(description="Which model made the forecast.")
    cutoff: Day = Field(description="Last period of the history that was used.")
    data_hash: str = Field(description="SHA-256 of that history: of the validated tables.")
    frequency: Frequency = Field(description="Length of one period.")


def reply_of_explanation(explained: ExplainedForecast) -> ExplainReply:
    """Return the reply for an explained forecast."""
    return ExplainReply.model_construct(
        sku=explained.sku,
        location=explained.location,
        sentence=explained.sentence,
        mean_units=explained.total_units(),
        part_units=explained.totals(),
        periods=[
            ExplainedPeriod.model_construct(
                date=day,
                mean_units=float(explained.mean_units[ahead]),
                part_units={part: float(units[ahead]) for part, units in explained.part_units.items()},
            )
            for ahead, day in enumerate(explained.dates)
        ],
        assumptions=list(explained.assumptions),
        model=model_reply(explained.model),
        cutoff=explained.cutoff,
        data_hash=explained.data_hash,
        frequency=explained.model.frequency,
    )
