import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.adapters.terminal_chart import terminal_chart


def test_terminal_chart_draws_bars_then_the_band_with_its_median() -> None:
    chart = terminal_chart([0, 2, 4], [[1, 2.5, 4]] * 12, title="S1 at L1", height=4)
    assert chart.splitlines() == [
        "S1 at L1",
        "4 ┤  █│░░░░░░░░░░░░",
        "  ┤  █│━━━━━━━━━━━━",
        "2 ┤ ██│░░░░░░░░░░░░",
        "  ┤ ██│",
        "0 └───┴────────────",
        " sold  forecast →",
    ]


def test_terminal_chart_keeps_the_newest_history_that_fits() -> None:
    chart = terminal_chart([9.0] * 500 + [0.0, 9.0], [[0, 1, 2]] * 10, width=30)
    assert max(len(line) for line in chart.splitlines()) == 30
    assert chart.splitlines()[5].split("│")[0].endswith("█ █")


def test_terminal_chart_forecast_wider_than_the_terminal_is_refused() -> None:
    with pytest.raises(ValueError, match="width must be >= 96 for 90 forecast periods, got 80"):
        terminal_chart([], [[0, 0.5, 1]] * 90)


def test_terminal_chart_period_without_quantiles_is_refused() -> None:
    with pytest.raises(ValueError, match=">= 1 quantile"):
        terminal_chart([1], [[]])


@given(
    history=st.lists(st.none() | st.floats(0, 1e6), max_size=100),
    quantile_rows=st.lists(st.lists(st.floats(0, 1e6), min_size=1, max_size=5).map(sorted), max_size=28),
)
def test_terminal_chart_never_leaves_its_width_or_height(
    history: list[float | None], quantile_rows: list[list[float]]
) -> None:
    lines = terminal_chart(history, quantile_rows, width=80, height=10).splitlines()
    assert len(lines) in (11, 12)
    assert max(len(line) for line in lines) <= 80
