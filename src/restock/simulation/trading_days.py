"""Trading days: dates, holidays and events of the history and of what is known ahead, with their pull on demand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from restock.simulation.arrays import Flags, Floats, Ints
from restock.simulation.categories import CATEGORIES
from restock.tables import CALENDAR

KNOWN_AHEAD_DAYS = 90
_FOOD_AND_DRINK = ("Food", "Drinks")


@dataclass(frozen=True, kw_only=True)
class TradingDays:
    """Days of history, then `KNOWN_AHEAD_DAYS` of plan; arrays of shape (n_all_days,) unless said otherwise.

    Attributes:
        first_day: first day of history.
        n_days: days of history.
        weekday: 0 Monday to 6 Sunday.
        day_of_year: 1 to 366.
        is_holiday: public and shopping holidays.
        event: name of the holiday or event, None where there is none.
        event_effect: pull on log demand, shape (n_categories, n_all_days).
    """

    first_day: date
    n_days: int
    weekday: Ints
    day_of_year: Ints
    is_holiday: Flags
    event: tuple[str | None, ...]
    event_effect: Floats

    @property
    def n_all_days(self) -> int:
        """Days of history and plan together."""
        return int(self.weekday.size)

    @property
    def last_day(self) -> date:
        """Last day of history."""
        return self.first_day + timedelta(days=self.n_days - 1)


@dataclass(frozen=True, kw_only=True)
class _Event:
    """What an event does to demand, as factors: on the day, and on each of the days that lead up to it."""

    name: str
    is_holiday: bool = True
    on_day: float = 1.0
    run_up_days: int = 0
    run_up: float = 1.0
    categories: tuple[str, ...] = CATEGORIES


def easter_sunday(year: int) -> date:
    """Return Easter Sunday of a Gregorian year.

    Source: the anonymous Gregorian computus (Meeus, Astronomical Algorithms, 1991, chapter 8).

    Example:
        >>> easter_sunday(2024)
        datetime.date(2024, 3, 31)
    """
    golden = year % 19
    century = year // 100
    correction = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    full_moon = correction - correction // 28 * (
        1 - correction // 28 * (29 // (correction + 1)) * ((21 - golden) // 11)
    )
    weekday = (year + year // 4 + full_moon + 2 - century + century // 4) % 7
    offset = full_moon - weekday
    month = 3 + (offset + 40) // 44
    return date(year, month, offset + 28 - 31 * (month // 4))


def list_trading_days(first_day: date, n_days: int) -> TradingDays:
    """Return `n_days` of history from `first_day` and the days known ahead."""
    n_all = n_days + KNOWN_AHEAD_DAYS
    dates = [first_day + timedelta(days=offset) for offset in range(n_all)]
    is_holiday = np.zeros(n_all, dtype=np.bool_)
    names: list[str | None] = [None] * n_all
    effect = np.zeros((len(CATEGORIES), n_all))
    for year in range(dates[0].year, dates[-1].year + 2):
        for day, event in _events_of(year):
            place = (day - first_day).days
            rows = np.array([CATEGORIES.index(name) for name in event.categories])
            run_up = np.arange(max(place - event.run_up_days, 0), min(max(place, 0), n_all))
            effect[np.ix_(rows, run_up)] += np.log(event.run_up)
            if 0 <= place < n_all:
                effect[rows, place] += np.log(event.on_day)
                names[place] = event.name
                is_holiday[place] = event.is_holiday
    return TradingDays(
        first_day=first_day,
        n_days=n_days,
        weekday=np.array([day.weekday() for day in dates], dtype=np.int64),
        day_of_year=np.array([day.timetuple().tm_yday for day in dates], dtype=np.int64),
        is_holiday=is_holiday,
        event=tuple(names),
        event_effect=effect,
    )


def calendar_table(days: TradingDays) -> pl.DataFrame:
    """Return table `calendar`: one row a day for every location, days known ahead included."""
    return CALENDAR.conform(
        pl.DataFrame(
            {
                "date": [days.first_day + timedelta(days=offset) for offset in range(days.n_all_days)],
                "is_holiday": days.is_holiday,
                "event": days.event,
            },
            schema_overrides={"event": pl.String},
        )
    )


def _events_of(year: int) -> list[tuple[date, _Event]]:
    """Return the holidays and events of a year with their dates."""
    easter = easter_sunday(year)
    november = date(year, 11, 1)
    first_friday = november + timedelta(days=(4 - november.weekday()) % 7)
    gifts = ("Personal care", "Home and garden", "Stationery", "Household")
    return [
        (date(year, 1, 1), _Event(name="New Year's Day", on_day=0.40)),
        (date(year, 2, 14), _Event(name="Valentine's Day", is_holiday=False, on_day=1.25, categories=_FOOD_AND_DRINK)),
        (
            easter - timedelta(days=2),
            _Event(name="Good Friday", on_day=0.50, run_up_days=6, run_up=1.28, categories=_FOOD_AND_DRINK),
        ),
        (easter, _Event(name="Easter Sunday", on_day=0.35)),
        (easter + timedelta(days=1), _Event(name="Easter Monday", on_day=0.45)),
        (date(year, 5, 1), _Event(name="May Day", on_day=0.50, run_up_days=2, run_up=1.20)),
        (easter + timedelta(days=50), _Event(name="Whit Monday", on_day=0.50)),
        (date(year, 10, 31), _Event(name="Halloween", is_holiday=False, on_day=1.30, categories=("Food",))),
        (
            first_friday + timedelta(days=21),
            _Event(name="Black Friday", on_day=2.0, run_up_days=2, run_up=1.15, categories=gifts),
        ),
        (date(year, 12, 24), _Event(name="Christmas Eve", on_day=0.85, run_up_days=9, run_up=1.35)),
        (date(year, 12, 25), _Event(name="Christmas Day", on_day=0.25)),
        (date(year, 12, 26), _Event(name="Boxing Day", on_day=0.45)),
        (date(year, 12, 31), _Event(name="New Year's Eve", on_day=1.30, categories=_FOOD_AND_DRINK)),
    ]
