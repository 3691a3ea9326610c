"""What can move a forecast: the drivers, and which of them every input of the learned families belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from restock.timeline import Frequency


class Driver(StrEnum):
    """A cause that a planner knows, in the order in which it is told."""

    LEVEL = "level"
    TREND = "trend"
    WEEKDAY = "weekday"
    SEASON = "season"
    PRICE = "price"
    PROMOTION = "promotion"
    HOLIDAY = "holiday"


class Remainder(StrEnum):
    """What is in a served forecast and no driver of demand."""

    CALIBRATION = "calibration"
    COLD_START = "cold_start"
    RECONCILIATION = "reconciliation"
    LATER_CHANGES = "later_changes"
    UNEXPLAINED = "unexplained"


# Exact names first, then beginnings: "lag_" is every lag. Each input has one driver, and one without any is an error.
_NAMES: Mapping[str, Driver] = {
    "scale_units": Driver.LEVEL,
    "log_scale": Driver.LEVEL,
    "known_share": Driver.LEVEL,
    "smoothed_level": Driver.LEVEL,
    "log_age": Driver.TREND,
    "log_periods_since_sale": Driver.TREND,
    "horizon": Driver.TREND,
    "step": Driver.TREND,
    "season_position": Driver.WEEKDAY,
    # Past periods like the target, those at its place in the season first: under another weekday they are others.
    "similar_plan_and_season": Driver.WEEKDAY,
    "similar_plan_and_season_weight": Driver.WEEKDAY,
    "day_of_month": Driver.SEASON,
    "year_sine": Driver.SEASON,
    "year_cosine": Driver.SEASON,
    "price_level": Driver.PRICE,
    "price_ratio": Driver.PRICE,
    "target_price_ratio": Driver.PRICE,
    "price_change": Driver.PRICE,
    "similar_price": Driver.PRICE,
    "similar_price_weight": Driver.PRICE,
    "log_price_ratio": Driver.PRICE,
    "is_promoted": Driver.PROMOTION,
    "similar_plan": Driver.PROMOTION,
    "similar_plan_weight": Driver.PROMOTION,
    "promoted_share": Driver.PROMOTION,
    "promoted_level": Driver.PROMOTION,
    "is_holiday": Driver.HOLIDAY,
    "periods_to_holiday": Driver.HOLIDAY,
    "periods_since_holiday": Driver.HOLIDAY,
}
_BEGINNINGS: Mapping[str, Driver] = {
    "mean_": Driver.LEVEL,
    "deviation_": Driver.LEVEL,
    "zero_share_": Driver.LEVEL,
    "stockout_share_": Driver.LEVEL,
    "lag_": Driver.TREND,
    "season_mean_": Driver.WEEKDAY,
    "target_season_mean_": Driver.WEEKDAY,
    "past_season_": Driver.WEEKDAY,
    "week_": Driver.WEEKDAY,
    "year_": Driver.SEASON,
}
_ENDINGS: Mapping[str, Driver] = {
    "_relative_scale": Driver.LEVEL,
    "_season_index": Driver.WEEKDAY,
}


def driver_of(name: str, *, frequency: Frequency) -> Driver:
    """Return the driver that an input of a learned family belongs to.

    The place in a season is a weekday where periods are days; where they are weeks it is the time of year.

    Raises:
        ValueError: no driver is named for this input.

    Example:
        >>> driver_of("category_season_index", frequency=Frequency.DAILY)
        <Driver.WEEKDAY: 'weekday'>
    """
    found = _NAMES.get(name)
    if found is None:
        matches = [driver for beginning, driver in _BEGINNINGS.items() if name.startswith(beginning)]
        matches += [driver for ending, driver in _ENDINGS.items() if name.endswith(ending)]
        if len(set(matches)) != 1:
            raise ValueError(
                f"input {name!r} must have one driver, got {len(set(matches))}. Name it in "
                "src/restock/forecasting/explanation/drivers.py."
            )
        found = matches[0]
    return Driver.SEASON if found is Driver.WEEKDAY and frequency is not Frequency.DAILY else found


def drivers_of_calendar(frequency: Frequency) -> tuple[Driver, ...]:
    """Return the drivers that the date alone decides."""
    return (Driver.WEEKDAY, Driver.SEASON) if frequency is Frequency.DAILY else (Driver.SEASON,)
