"""Prices: list prices that change now and then, and planned promotions with a discount."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from restock.simulation.arrays import Flags, Floats, Ints
from restock.simulation.catalogue import Catalogue, end_in_nine
from restock.simulation.categories import SUBCATEGORIES
from restock.simulation.trading_days import TradingDays

_DAYS_BETWEEN_PRICE_CHANGES = 210
_LARGEST_PRICE_STEP = 0.14
_PROMOTION_WEEKS_SHARES = (0.7, 0.3)
_DISCOUNTS = (0.10, 0.15, 0.20, 0.25, 0.30, 0.35)
_PROMOTION_STARTS = 3  # Thursday


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices of every article, the same in all stores, history and plan; arrays of shape (n_skus, n_all_days).

    Attributes:
        price_minor: what a customer pays, minor units of currency.
        list_minor: price without promotion, minor units of currency.
        is_promoted: whether a promotion runs.
        is_after_promotion: the week after one, when households still have a stock.
    """

    price_minor: Ints
    list_minor: Ints
    is_promoted: Flags
    is_after_promotion: Flags

    @property
    def discount_log(self) -> Floats:
        """Log of price over list price, at most 0."""
        return np.log(self.price_minor / self.list_minor)

    @property
    def list_change_log(self) -> Floats:
        """Log of list price over the first list price."""
        return np.log(self.list_minor / self.list_minor[:, :1])


def plan_prices(catalogue: Catalogue, days: TradingDays, *, rng: np.random.Generator) -> Prices:
    """Return the prices and promotions of history and plan."""
    shape = (catalogue.n_skus, days.n_all_days)
    is_change = rng.random(shape) < 1 / _DAYS_BETWEEN_PRICE_CHANGES
    is_change[:, 0] = False
    steps = np.where(is_change, rng.uniform(-0.5 * _LARGEST_PRICE_STEP, _LARGEST_PRICE_STEP, shape), 0.0)
    level = catalogue.list_price_minor[:, None] * np.exp(np.cumsum(steps, axis=1))
    list_minor = end_in_nine(np.round(level).astype(np.int64))

    discount = np.zeros(shape)
    is_after = np.zeros(shape, dtype=np.bool_)
    starts = np.flatnonzero(days.weekday == _PROMOTION_STARTS)
    frequency = np.array([SUBCATEGORIES[index].promotions_per_year for index in catalogue.subcategory])
    for start in starts.tolist():
        is_chosen = rng.random(catalogue.n_skus) < frequency / 52
        weeks = 1 + rng.choice(len(_PROMOTION_WEEKS_SHARES), size=catalogue.n_skus, p=_PROMOTION_WEEKS_SHARES)
        depth = rng.choice(_DISCOUNTS, size=catalogue.n_skus)
        # Not twice in a row, and nothing for an article in its first weeks: it has no price to cut yet.
        is_chosen &= ~is_after[:, start] & (discount[:, start] == 0) & (start >= catalogue.launch_day + 28)
        for length in (1, 2):
            rows = np.flatnonzero(is_chosen & (weeks == length))
            end = start + 7 * length
            discount[rows, start:end] = depth[rows, None]
            is_after[rows, end : end + 7] = True
    is_promoted = discount > 0
    cut_minor = end_in_nine(np.round(list_minor * (1 - discount)).astype(np.int64))
    return Prices(
        price_minor=np.where(is_promoted, np.minimum(cut_minor, list_minor), list_minor),
        list_minor=list_minor,
        is_promoted=is_promoted,
        is_after_promotion=is_after,
    )
