"""Losses that nobody books: theft little by little, and stock that is gone at once while the books hold it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from restock.simulation.arrays import Flags, Floats, Ints
from restock.simulation.chain import Chain

_CELL_DAYS_PER_SHRINKAGE = 16_000
_SHRINKAGE_DAYS = (40, 110)
_SHRINKAGE_SHARE_OF_RATE = (0.06, 0.20)
_SLOWEST_SHRINKAGE_UNITS = 0.15
_PHANTOM_SHARE = 0.0004  # of brisk article x store x days
_BRISK_RATE_UNITS = 2.0


@dataclass(frozen=True, kw_only=True)
class ShrinkagePlan:
    """Spells in which an article is stolen from a store; arrays of shape (n_spells,).

    Attributes:
        sku: article.
        store: store.
        first_day: first day of the spell.
        last_day: last day of the spell.
        daily_units: mean loss, units a day.
    """

    sku: Ints
    store: Ints
    first_day: Ints
    last_day: Ints
    daily_units: Floats


def plan_shrinkage(mean_units: Floats, chain: Chain, *, rng: np.random.Generator) -> ShrinkagePlan:
    """Return the spells of theft of a history; a cell has at most one.

    Args:
        mean_units: latent mean demand, shape (n_skus, n_stores, n_days).
        chain: which store lists what.
        rng: stream of the losses.
    """
    n_days = mean_units.shape[2]
    sku, store = np.nonzero(chain.is_listed)
    n_spells = min(max(1, round(sku.size * n_days / _CELL_DAYS_PER_SHRINKAGE)), sku.size)
    # Thieves take what sells: cells are drawn in proportion to the root of their rate.
    rate = mean_units.mean(axis=2)[sku, store]
    weight = np.sqrt(rate + 1e-9)
    chosen = rng.choice(sku.size, size=n_spells, replace=False, p=weight / weight.sum())
    first_day = rng.integers(0, max(1, n_days - _SHRINKAGE_DAYS[0]), n_spells)
    return ShrinkagePlan(
        sku=sku[chosen],
        store=store[chosen],
        first_day=first_day,
        last_day=np.minimum(first_day + rng.integers(*_SHRINKAGE_DAYS, n_spells), n_days - 1),
        daily_units=np.maximum(
            rate[chosen] * rng.uniform(*_SHRINKAGE_SHARE_OF_RATE, n_spells), _SLOWEST_SHRINKAGE_UNITS
        ),
    )


def steal(plan: ShrinkagePlan, on_hand: Ints, *, day: int, rng: np.random.Generator) -> Ints:
    """Return what is stolen on a day, units, shape (n_skus, n_stores).

    Args:
        plan: the spells.
        on_hand: what is there, units, same shape as the result.
        day: today.
        rng: stream of the losses.
    """
    stolen = np.zeros_like(on_hand)
    units = rng.poisson(plan.daily_units)
    is_active = (plan.first_day <= day) & (day <= plan.last_day)
    stolen[plan.sku[is_active], plan.store[is_active]] = units[is_active]
    return np.minimum(stolen, on_hand)


def vanish(on_hand: Ints, booked: Ints, *, rates: Floats, is_active: Flags, rng: np.random.Generator) -> Ints:
    """Return stock that is gone at once, units, shape (n_skus, n_stores).

    It happens to brisk articles of which the books hold so much that nobody will order for a while.

    Args:
        on_hand: what is there, units, same shape as the result.
        booked: what the books hold, same shape.
        rates: the planner's units per average day, same shape.
        is_active: listed and introduced, same shape.
        rng: stream of the losses.
    """
    is_struck = rng.random(on_hand.shape) < _PHANTOM_SHARE
    is_brisk = is_active & (rates >= _BRISK_RATE_UNITS) & (booked > 3 * rates)
    return np.where(is_struck & is_brisk, on_hand, 0)
