from __future__ import annotations

import pytest

from restock.adapters.terminal_curve import terminal_curve


def test_terminal_curve_draws_points_where_they_lie_and_the_ends_of_both_axes():
    lines = terminal_curve([(0, 10), (10, 0)], marked=(10, 10), title="T", x_label="units", width=24, height=5).split(
        "\n"
    )
    assert lines[0] == "T"
    plot = lines[1:6]
    assert plot[0].index("●") < plot[0].index("◆")
    assert plot[4].endswith("●")
    assert plot[0].startswith("10 ┤")
    assert plot[4].startswith(" 0 ┤")
    assert lines[-1].split() == ["0", "units", "10"]
    assert all(len(line) <= 24 for line in lines)
    # Straight between the two.
    assert [line.find("·") >= 0 for line in plot] == [True] * 5


def test_terminal_curve_of_one_point_is_that_point():
    assert terminal_curve([(3, 4)], width=20, height=3).count("●") == 1


def test_terminal_curve_without_room_or_points_is_refused():
    with pytest.raises(ValueError, match="width must be >= 8"):
        terminal_curve([(0, 1), (1, 100)], width=6)
    with pytest.raises(ValueError, match="at least one point"):
        terminal_curve([])
