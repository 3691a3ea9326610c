import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.adapters.terminal_waterfall import terminal_waterfall


def test_terminal_waterfall_begins_each_bar_where_the_last_one_ended():
    chart = terminal_waterfall([("level", 6.0), ("promotion", 4.0), ("price", -2.0)], width=27)
    assert chart.splitlines() == [
        "level       6.0  ██████",
        "promotion  +4.0        ████",
        "price      -2.0          ░░",
        "total       8.0  ████████",
    ]


def test_terminal_waterfall_below_zero_keeps_zero_in_the_picture():
    assert terminal_waterfall([("level", 2.0), ("price", -4.0)], width=21).splitlines() == [
        "level   2.0      ████",
        "price  -4.0  ░░░░░░░░",
        "total  -2.0  ░░░░",
    ]


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=9), st.integers(40, 120))
def test_terminal_waterfall_never_is_wider_than_asked(units, width):
    chart = terminal_waterfall([(f"part {n}", value) for n, value in enumerate(units)], width=width)
    assert max(len(line) for line in chart.splitlines()) <= width
    assert len(chart.splitlines()) == len(units) + 1


def test_terminal_waterfall_without_parts_or_room_is_refused():
    with pytest.raises(ValueError, match="at least one part"):
        terminal_waterfall([])
    with pytest.raises(ValueError, match=r"width must be >= \d+ .* got 10"):
        terminal_waterfall([("promotion", 1.0)], width=10)
