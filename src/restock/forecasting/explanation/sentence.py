"""An explanation in one sentence, in whole numbers that add up, for a person who orders."""

from __future__ import annotations

from datetime import date

import numpy as np

from restock.forecasting.explanation.drivers import Driver, Remainder
from restock.forecasting.explanation.explain import Explanation, Flags
from restock.statistics.attribution import round_to_sum
from restock.timeline import Frequency

# What adds or removes a smaller share of the total is told together with the rest.
_TOLD_SHARE = 0.02
# Totals below these are told with one and with two digits after the point, units.
_WHOLE_FROM_UNITS, _TENTHS_FROM_UNITS = 10.0, 1.0
_WORDS: dict[Driver | Remainder, str] = {
    Driver.TREND: "by its trend",
    Driver.PRICE: "because of the price",
    Driver.WEEKDAY: "by the weekdays",
    Driver.SEASON: "by the time of year",
    Remainder.CALIBRATION: "by calibration on past errors",
    Remainder.COLD_START: "by what the product shares with others",
    Remainder.RECONCILIATION: "so that totals add up",
    Remainder.LATER_CHANGES: "because the stored history has changed since",
    Remainder.UNEXPLAINED: "for no known reason",
}


def tell_forecast(explanation: Explanation, row: int, *, frequency: Frequency) -> str:
    """Return one sentence that says how much will sell over the whole horizon, and why.

    Args:
        explanation: of one series or many.
        row: which series.
        frequency: length of one period.
    """
    parts = {part: float(units[row].sum()) for part, units in explanation.parts().items()}
    total = float(explanation.mean_units[row].sum())
    decimals = 0 if total >= _WHOLE_FROM_UNITS else 1 if total >= _TENTHS_FROM_UNITS else 2
    told = {part: units for part, units in parts.items() if abs(units) >= _TOLD_SHARE * max(abs(total), 1e-9)}
    rest = total - sum(told.values())
    rounded = round_to_sum(np.array([*told.values(), rest]), np.array(total), decimals=decimals).tolist()
    shown = {part: units for part, units in zip(told, rounded[:-1], strict=True) if units}
    level = shown.pop(Driver.LEVEL, None)
    phrases = [] if level is None else [f"{level:,.{decimals}f} is its usual level"]
    for part, units in sorted(shown.items(), key=lambda pair: -abs(pair[1])):
        phrases.append(f"{units:+,.{decimals}f} {_reason(explanation, row, part=part)}")
    if rounded[-1]:
        phrases.append(f"{rounded[-1]:+,.{decimals}f} by the rest")
    because = f": {', '.join(phrases)}" if phrases else ""
    # The rounded parts' own sum: a total half-way between two numbers may be rounded another way.
    return f"{sum(rounded):,.{decimals}f} units {_period(explanation.dates, frequency)}{because}."


def _period(dates: tuple[date, ...], frequency: Frequency) -> str:
    if len(dates) == 1:
        return f"on {_day(dates[0])}" if frequency is Frequency.DAILY else f"in the week from {_day(dates[0])}"
    return f"in the {len(dates)} {'days' if frequency is Frequency.DAILY else 'weeks'} from {_day(dates[0])}"


def _day(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _reason(explanation: Explanation, row: int, *, part: Driver | Remainder) -> str:
    if part is Driver.PROMOTION:
        return f"because of the promotion{_span(explanation.dates, explanation.is_promoted[row])}"
    if part is Driver.HOLIDAY:
        return _holiday_words(explanation.dates, explanation.is_holiday[row])
    return _WORDS[part]


def _span(dates: tuple[date, ...], is_in: Flags) -> str:
    """Return from when to when, as far as the horizon does not say it; gaps are said as a count."""
    places = np.flatnonzero(is_in)
    if not places.size or places.size == len(dates):
        return ""
    first, last = int(places[0]), int(places[-1])
    if last - first + 1 > places.size:
        return f" ({places.size} of {len(dates)} periods)"
    if first == last:
        return f" on {_day(dates[first])}"
    begins = f" from {_day(dates[first])}" if first else ""
    ends = f" until {_day(dates[last])}" if last < len(dates) - 1 else ""
    return begins + ends


def _holiday_words(dates: tuple[date, ...], is_holiday: Flags) -> str:
    places = np.flatnonzero(is_holiday)
    if not places.size:
        return "because a holiday is near"
    if places.size == 1:
        return f"for the holiday on {_day(dates[int(places[0])])}"
    return f"for {places.size} holidays"
