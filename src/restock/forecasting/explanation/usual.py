"""What is usual for a series: its level, its price, and a plan from which promotions, prices or holidays are taken."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.censoring import SCALE_PERIODS
from restock.forecasting.explanation.drivers import Driver
from restock.forecasting.panel import HOLIDAY_REACH_PERIODS, DemandPanel

Floats = NDArray[np.float64]

PLAN_DRIVERS = (Driver.PRICE, Driver.PROMOTION, Driver.HOLIDAY)
# Fewer usual periods than this say too little: then all known ones make the level.
_FEWEST_USUAL_PERIODS = 7
# Prices closer together than this are one price.
_SAME_PRICE_SHARE = 1e-4


def usual_level(panel: DemandPanel) -> Floats:
    """Return what a series usually sells: the mean of its latest 56 periods without promotion, holiday or stockout.

    Where fewer than 7 of them are left, all known ones of the 56 count, then all that are known at all; 0 where none.

    Args:
        panel: history; nothing after its last observed period is read.

    Returns:
        shape (n_series,), units per period, >= 0.
    """
    observed = panel.observed_periods
    sales = panel.sales_units[:, :observed].astype(np.float64)
    is_known = ~np.isnan(sales)
    is_latest = np.arange(observed) >= observed - SCALE_PERIODS
    # NaN compares false: an unknown stockout counts as none.
    is_marked = (panel.stockout_share[:, :observed] > 0) | (panel.is_promoted[:, :observed] > 0)
    is_usual = is_known & is_latest & ~is_marked & (panel.is_holiday[:, :observed] == 0)
    level = np.zeros(panel.n_series)
    for chosen, fewest in ((is_known, 1), (is_known & is_latest, 1), (is_usual, _FEWEST_USUAL_PERIODS)):
        count = chosen.sum(axis=1)
        mean = np.where(chosen, sales, 0.0).sum(axis=1) / np.maximum(count, 1)
        level = np.where(count >= fewest, mean, level)
    return np.maximum(level, 0.0)


@dataclass(frozen=True, kw_only=True)
class UsualPlan:
    """The plan ahead taken apart: price = regular price x discount; a discount comes with a promotion.

    Attributes:
        panel: grid that the plan stands in.
        regular_price: shape (n_series, n_ahead), currency per unit: without promotion; NaN where unknown.
        discount: same shape: price over regular price where promoted, 1 elsewhere.
        usual_price: shape (n_series, 1), currency per unit: mean regular price of the latest 56 periods.
    """

    panel: DemandPanel
    regular_price: Floats
    discount: Floats
    usual_price: Floats

    @property
    def drivers(self) -> tuple[Driver, ...]:
        """The drivers that make the plan of any series differ from the usual one."""
        ahead = slice(self.panel.observed_periods, None)
        # A holiday reaches ahead of and after its day.
        near = slice(max(0, self.panel.observed_periods - HOLIDAY_REACH_PERIODS), None)
        away = np.abs(self.regular_price / np.maximum(self.usual_price, 1e-9) - 1)
        is_different = {
            Driver.PRICE: bool((np.nan_to_num(away) > _SAME_PRICE_SHARE).any()),
            Driver.PROMOTION: bool((self.panel.is_promoted[:, ahead] > 0).any()),
            Driver.HOLIDAY: bool((self.panel.is_holiday[:, near] > 0).any()),
        }
        return tuple(driver for driver in PLAN_DRIVERS if is_different[driver])

    def without(self, dropped: frozenset[Driver], *, holidays_from: int | None = None) -> DemandPanel:
        """Return the panel with some drivers taken from the plan; the history stays what it was.

        Args:
            dropped: of `PLAN_DRIVERS`; others are ignored.
            holidays_from: first period from which holidays are taken; None: the first after the last observed one.
        """
        panel = self.panel
        dropped &= frozenset(PLAN_DRIVERS)
        if not dropped:
            return panel
        first = panel.observed_periods
        regular = np.broadcast_to(self.usual_price, self.discount.shape)
        regular = regular if Driver.PRICE in dropped else self.regular_price
        discount = np.ones_like(self.discount) if Driver.PROMOTION in dropped else self.discount
        price, promoted, holiday = panel.unit_price.copy(), panel.is_promoted, panel.is_holiday
        if dropped & {Driver.PRICE, Driver.PROMOTION}:
            price[:, first:] = regular * discount
        if Driver.PROMOTION in dropped:
            promoted = promoted.copy()
            promoted[:, first:] = 0
        if Driver.HOLIDAY in dropped:
            holiday = holiday.copy()
            holiday[:, first if holidays_from is None else holidays_from :] = 0
        return replace(panel, unit_price=price, is_promoted=promoted, is_holiday=holiday)


def split_plan(panel: DemandPanel) -> UsualPlan:
    """Return the plan of every series, taken apart.

    The regular price of a promoted period is the last one before it without promotion; where there is none, its own
    price counts as regular.

    Args:
        panel: grid that reaches over the horizon.
    """
    first = panel.observed_periods
    price = panel.unit_price.astype(np.float64)
    is_regular = (panel.is_promoted == 0) & np.isfinite(price)
    regular = np.where(is_regular, price, np.nan)
    filled = _filled_forward(regular)
    filled = np.where(np.isnan(filled), price, filled)
    latest = regular[:, max(0, first - SCALE_PERIODS) : first]
    count = (~np.isnan(latest)).sum(axis=1)
    mean = np.nansum(latest, axis=1) / np.maximum(count, 1)
    usual = np.where(count > 0, mean, filled[:, first] if panel.n_periods > first else filled[:, -1])[:, None]
    ahead = filled[:, first:]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = price[:, first:] / ahead
    is_cut = (panel.is_promoted[:, first:] > 0) & np.isfinite(ratio)
    return UsualPlan(panel=panel, regular_price=ahead, discount=np.where(is_cut, ratio, 1.0), usual_price=usual)


def _filled_forward(values: Floats) -> Floats:
    """Return values with each unknown one replaced by the last known before it; NaN before the first."""
    place = np.where(np.isnan(values), 0, np.arange(values.shape[1]))
    filled: Floats = np.take_along_axis(values, np.maximum.accumulate(place, axis=1), axis=1)
    return filled


def usual_days(frequency_season: int, *, most: int = 13) -> tuple[int, int]:
    """Return how many periods stand for the usual calendar, and how far apart they lie.

    They are spread over the 56 periods from which the level is taken, each at another place of the season: 7 days that
    lie 8 apart are each weekday once.

    Example:
        >>> usual_days(7), usual_days(52)
        ((7, 8), (13, 4))
    """
    n_days = min(frequency_season, most)
    return n_days, SCALE_PERIODS // n_days
