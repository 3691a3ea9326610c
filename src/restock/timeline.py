"""Periods and dates: how a regular grid of days or weeks maps to calendar dates, and where backtests cut it."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum

from restock.errors import InsufficientHistoryError


class Frequency(StrEnum):
    """Length of one period."""

    DAILY = "daily"
    WEEKLY = "weekly"

    @property
    def days(self) -> int:
        """Days in one period."""
        return 1 if self is Frequency.DAILY else 7

    @property
    def season_periods(self) -> int:
        """Periods after which the main season repeats: 7 days, or 52 weeks."""
        return 7 if self is Frequency.DAILY else 52


def add_periods(day: date, periods: int, *, frequency: Frequency) -> date:
    """Return the date that lies `periods` periods after `day` (before, where negative).

    Example:
        >>> add_periods(date(2024, 2, 28), 2, frequency=Frequency.DAILY)
        datetime.date(2024, 3, 1)
    """
    return day + timedelta(days=periods * frequency.days)


def period_index(day: date, start: date, *, frequency: Frequency) -> int:
    """Return how many whole periods `day` lies after `start`.

    Raises:
        ValueError: `day` is not on the grid that begins at `start`.

    Example:
        >>> period_index(date(2024, 1, 15), date(2024, 1, 1), frequency=Frequency.WEEKLY)
        2
    """
    periods, rest = divmod((day - start).days, frequency.days)
    if rest:
        raise ValueError(f"{day} is not a whole number of {frequency} periods after {start}")
    return periods


def backtest_cutoffs(
    first: date,
    last: date,
    *,
    horizon: int,
    n_windows: int,
    step_periods: int,
    minimum_history_periods: int,
    frequency: Frequency,
) -> tuple[date, ...]:
    """Return the cutoffs of a rolling-origin backtest, oldest first.

    The newest window ends on `last`; each older one lies `step_periods` before. `cutoff` is the last period whose data
    may be used.

    Args:
        first: first period with data.
        last: last period with data.
        horizon: periods forecast after each cutoff, >= 1.
        n_windows: how many cutoffs, >= 1.
        step_periods: periods between two cutoffs, >= 1.
        minimum_history_periods: periods of history that the oldest cutoff must have.
        frequency: length of one period.

    Raises:
        InsufficientHistoryError: the history can't hold that many windows.

    Example:
        >>> backtest_cutoffs(date(2024, 1, 1), date(2024, 3, 31), horizon=7, n_windows=2, step_periods=7,
        ...                  minimum_history_periods=28, frequency=Frequency.DAILY)
        (datetime.date(2024, 3, 17), datetime.date(2024, 3, 24))
    """
    newest = add_periods(last, -horizon, frequency=frequency)
    cutoffs = tuple(
        add_periods(newest, -step_periods * back, frequency=frequency) for back in reversed(range(n_windows))
    )
    history_periods = (cutoffs[0] - first).days // frequency.days + 1
    if history_periods < minimum_history_periods:
        needed = minimum_history_periods + horizon + step_periods * (n_windows - 1)
        raise InsufficientHistoryError(
            f"the oldest of {n_windows} backtest windows would have {history_periods} periods of history, needs "
            f">= {minimum_history_periods} ({needed} periods in all, data run {first} to {last}). "
            "Lower params.yaml: backtest.n_windows, backtest.step_periods or forecasting.horizon, or ingest more."
        )
    return cutoffs
