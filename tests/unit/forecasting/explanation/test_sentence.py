"""One sentence a planner reads: whole numbers that add up, and when what happens."""

import re
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.forecasting.explanation.drivers import Driver, Remainder
from restock.forecasting.explanation.explain import Explanation
from restock.forecasting.explanation.sentence import tell_forecast
from restock.timeline import Frequency

MONDAY = date(2024, 7, 1)


def explain(parts, *, horizon=7, promoted=(), holidays=(), frequency=Frequency.DAILY):
    """Return the explanation of one series whose parts are spread evenly over the horizon."""
    units = {part: np.full((1, horizon), total / horizon) for part, total in parts.items()}
    days = np.arange(horizon)
    return Explanation(
        series=pl.DataFrame({"sku": ["A"], "location": ["L"]}),
        cutoff=MONDAY - timedelta(days=frequency.days),
        dates=tuple(MONDAY + timedelta(days=frequency.days * day) for day in range(horizon)),
        mean_units=np.sum(list(units.values()), axis=0),
        is_promoted=np.isin(days, promoted)[None],
        is_holiday=np.isin(days, holidays)[None],
        driver_units={part: values for part, values in units.items() if isinstance(part, Driver)},
        remainder_units={part: values for part, values in units.items() if isinstance(part, Remainder)},
    )


def tell(parts, **changes):
    frequency = changes.get("frequency", Frequency.DAILY)
    return tell_forecast(explain(parts, **changes), 0, frequency=frequency)


PARTS = {Driver.LEVEL: 30.2, Driver.PROMOTION: 6.1, Driver.HOLIDAY: 2.9, Driver.PRICE: -1.2}


def test_tell_forecast_says_how_much_and_why_the_largest_first():
    assert tell(PARTS, promoted=(3, 4, 5, 6), holidays=(4,)) == (
        "38 units in the 7 days from Mon 1 Jul: 30 is its usual level, +6 because of the promotion from Thu 4 Jul, "
        "+3 for the holiday on Fri 5 Jul, -1 because of the price."
    )


@pytest.mark.parametrize(
    ("promoted", "words"),
    [
        (range(7), "because of the promotion,"),
        ((2,), "because of the promotion on Wed 3 Jul,"),
        ((0, 1), "because of the promotion until Tue 2 Jul,"),
        ((1, 2), "because of the promotion from Tue 2 Jul until Wed 3 Jul,"),
        ((0, 6), "because of the promotion (2 of 7 periods),"),
    ],
)
def test_tell_forecast_says_when_the_promotion_runs(promoted, words):
    assert words in tell(PARTS, promoted=tuple(promoted), holidays=(1,))


@pytest.mark.parametrize(("holidays", "words"), [((), "because a holiday is near"), ((1, 2, 3), "for 3 holidays")])
def test_tell_forecast_says_which_holidays(holidays, words):
    assert words in tell(PARTS, holidays=holidays)


def test_tell_forecast_of_few_units_has_digits_after_the_point_and_of_weeks_says_weeks():
    assert tell({Driver.LEVEL: 1.5, Driver.SEASON: 0.32}, horizon=1) == (
        "1.8 units on Mon 1 Jul: 1.5 is its usual level, +0.3 by the time of year."
    )
    told = tell({Driver.LEVEL: 0.4}, horizon=2, frequency=Frequency.WEEKLY)
    assert told == "0.40 units in the 2 weeks from Mon 1 Jul: 0.40 is its usual level."


def test_tell_forecast_of_a_new_product_and_of_nothing():
    assert tell({Driver.LEVEL: 0.0, Remainder.COLD_START: 12.0}) == (
        "12 units in the 7 days from Mon 1 Jul: +12 by what the product shares with others."
    )
    assert tell({Driver.LEVEL: 0.0}) == "0.00 units in the 7 days from Mon 1 Jul."


def test_tell_forecast_tells_small_parts_together():
    small = dict.fromkeys((Driver.SEASON, Driver.WEEKDAY, Driver.TREND, Driver.PRICE), 1.5)
    told = tell({Driver.LEVEL: 200.0} | small)
    assert told == "206 units in the 7 days from Mon 1 Jul: 200 is its usual level, +6 by the rest."


@given(
    st.dictionaries(st.sampled_from([*Driver, *Remainder]), st.floats(-300, 300)),
    st.floats(0, 1e4),
)
def test_tell_forecast_numbers_add_up(parts, level):
    explanation = explain(parts | {Driver.LEVEL: level})
    total = explanation.mean_units.sum()
    if total < 0:
        # No forecast is below zero: let the level lift it.
        explanation = explain(parts | {Driver.LEVEL: level - total})
    told = tell_forecast(replace(explanation), 0, frequency=Frequency.DAILY).replace(",", "")
    head, _, reasons = told.partition(":")
    numbers = [
        float(number) for number in re.findall(r"(?:^| )([+-]?\d+(?:\.\d+)?) (?:is its|because|by|for|so)", reasons)
    ]
    assert sum(numbers) == pytest.approx(float(head.split(" ")[0]), abs=1e-6)
