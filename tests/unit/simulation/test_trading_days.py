from datetime import date, timedelta

import pytest

from restock.simulation.trading_days import KNOWN_AHEAD_DAYS, calendar_table, easter_sunday, list_trading_days


@pytest.mark.parametrize(
    "easter",
    # Published dates: the latest possible one (2038), the early one of 2008, and some of this century.
    [date(2000, 4, 23), date(2008, 3, 23), date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5), date(2038, 4, 25)],
)
def test_easter_sunday_published_year_matches(easter):
    assert easter_sunday(easter.year) == easter


def test_calendar_table_extends_past_history_with_its_holidays():
    calendar = calendar_table(list_trading_days(date(2024, 1, 1), 730))
    assert calendar["date"].max() == date(2025, 12, 30) + timedelta(days=KNOWN_AHEAD_DAYS)
    holidays = set(calendar.filter(calendar["is_holiday"])["date"])
    assert {date(2024, 12, 25), date(2025, 4, 21), date(2026, 1, 1)} <= holidays


def test_list_trading_days_run_up_to_a_holiday_beyond_the_grid_still_lifts_demand():
    days = list_trading_days(date(2024, 7, 1), 170 - KNOWN_AHEAD_DAYS)
    last = date(2024, 7, 1) + timedelta(days=169)
    assert date(2024, 12, 15) <= last < date(2024, 12, 24)
    assert days.event_effect[0, -1] > 0


def test_list_trading_days_black_friday_is_the_fourth_friday_of_november():
    days = list_trading_days(date(2024, 1, 1), 365)
    assert days.event[(date(2024, 11, 22) - date(2024, 1, 1)).days] == "Black Friday"
