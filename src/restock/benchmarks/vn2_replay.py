"""VN2's game replayed over history: every order is placed with what was known, every week costs what it would have.

Weeks out of stock have no known demand: they count as weeks without demand and cost nothing, for every policy alike.
"""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from restock.benchmarks.vn2_features import week_of_year
from restock.benchmarks.vn2_state import WeeklySales

Floats = NDArray[np.float64]

HOLDING_COST = 0.2  # a unit left at the end of a week, EUR
SHORTAGE_COST = 1.0  # a unit lost, EUR
_LEVEL_WEEKS = 13
_COVERED_WEEKS = 4


class WeeklyPolicy(Protocol):
    """Says what to order at the end of a week."""

    def __call__(self, n_weeks: int, on_hand: Floats, on_order: Floats) -> Floats:
        """Return orders, shape (n_series,), whole units, received at the start of week n_weeks + 2 (counted from 0).

        Args:
            n_weeks: how many weeks are known.
            on_hand: shape (n_series,), units.
            on_order: shape (n_series, 2), units received at the start of the next two weeks.
        """
        ...


def replay(
    history: WeeklySales, policy: WeeklyPolicy, *, start: int, weeks: int, on_hand: Floats, on_order: Floats
) -> Floats:
    """Return the cost of every week, shape (weeks, 2): holding and shortage, EUR.

    Args:
        history: sales; a week's are its demand.
        policy: what orders.
        start: how many weeks are known when the first order is placed.
        weeks: how many orders are placed, one a week; each week's cost falls after its order.
        on_hand: stock at the start, shape (n_series,), units.
        on_order: what is on its way then, shape (n_series, 2), units.
    """
    costs = np.zeros((weeks, 2))
    for place in range(weeks):
        week = start + place
        order = policy(week, on_hand, on_order)
        stock = on_hand + on_order[:, 0]
        is_demand = history.is_in_stock[:, week]
        demand = np.where(is_demand, history.sales_units[:, week], 0.0)
        on_hand = np.maximum(stock - demand, 0.0)
        costs[place, 0] = HOLDING_COST * on_hand[is_demand].sum()
        costs[place, 1] = SHORTAGE_COST * np.maximum(demand - stock, 0.0).sum()
        on_order = np.stack([on_order[:, 1], order], axis=1)
    return costs


def official_order(history: WeeklySales, on_hand: Floats, on_order: Floats) -> Floats:
    """Return the order of the competition's benchmark: up to four weeks of a seasonal moving average.

    Factors of ISO weeks over all series, the mean of the last 13 weeks without them, weeks out of stock left out.

    Args:
        history: sales so far.
        on_hand: shape (n_series,), units.
        on_order: shape (n_series, 2), units.
    """
    level, factor = _seasonal_average(history)
    first = history.first_week + timedelta(weeks=history.n_weeks)
    need = level * factor[week_of_year(first, _COVERED_WEEKS)].sum()
    order: Floats = np.maximum(np.round(need - on_hand - on_order.sum(axis=1)), 0.0)
    return order


def usual_state(history: WeeklySales) -> tuple[Floats, Floats]:
    """Return a plausible state to begin a replay with: a week and a half of sales on hand, a week of them twice."""
    level, _ = _seasonal_average(history)
    on_hand: Floats = np.round(1.5 * level)
    week: Floats = np.round(level)
    return on_hand, np.stack([week, week], axis=1)


def _seasonal_average(history: WeeklySales) -> tuple[Floats, Floats]:
    """Return each series' mean of the last 13 weeks without season, and the factor of every ISO week, shape (54,)."""
    sales = np.where(history.is_in_stock, history.sales_units, np.nan)
    week = week_of_year(history.first_week, history.n_weeks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)
        total = np.nanmean(sales, axis=0)
        factor = np.ones(54)
        held = np.unique(week)
        factor[held] = [total[week == number].mean() for number in held]
        factor[held] /= factor[held].mean()
        level = np.nanmean((sales / np.maximum(factor[week], 1e-9))[:, -_LEVEL_WEEKS:], axis=1)
    return np.nan_to_num(level), factor
