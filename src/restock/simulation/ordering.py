"""The planner's simple policy: smoothed sales times known effects, reorder point and order-up-to level.

It reads the books, never the shelf, and so is misled by every wrong booking - as a real planner is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from restock.simulation.arrays import Flags, Floats, Ints
from restock.simulation.catalogue import Catalogue
from restock.simulation.chain import Chain
from restock.simulation.demand import KnownEffects
from restock.simulation.suppliers import Suppliers
from restock.simulation.trading_days import KNOWN_AHEAD_DAYS

_SMOOTHING = 0.06
_SMALLEST_RATE_UNITS = 0.02
_SHARE_OF_EFFECT_PLANNED = 0.8
_STORE_REORDER_DAYS, _STORE_COVER_DAYS = 1, 5
_STORE_SAFETY, _WAREHOUSE_SAFETY = 1.05, 1.3
_WAREHOUSE_SPARE_DAYS = 2
_LONGEST_PLAN_DAYS = KNOWN_AHEAD_DAYS - 1


@dataclass(frozen=True, kw_only=True)
class Planner:
    """What the planner knows ahead.

    Attributes:
        day_factor: planned demand of a day beside an average one, shape (n_skus, n_all_days).
        factor_sum: running sum of it with a leading 0, shape (n_skus, n_all_days + 1).
        cover_days: days a store's delivery should last, shape (n_skus,).
        protection_days: days a purchase must last, shape (n_skus,).
    """

    day_factor: Floats
    factor_sum: Floats
    cover_days: Ints
    protection_days: Ints


def brief_planner(catalogue: Catalogue, effects: KnownEffects, *, terms: Suppliers) -> Planner:
    """Return what the planner knows: the week, and most of what promotions and events will do."""
    factor = np.exp(effects.weekly + _SHARE_OF_EFFECT_PLANNED * (effects.promotion + effects.event))
    life = np.where(catalogue.shelf_life_days > 0, catalogue.shelf_life_days, _LONGEST_PLAN_DAYS)
    protection = terms.quoted_lead_days + terms.review_days
    return Planner(
        day_factor=factor,
        factor_sum=np.concatenate([np.zeros((catalogue.n_skus, 1)), np.cumsum(factor, axis=1)], axis=1),
        cover_days=np.clip(life - 1, 1, _STORE_COVER_DAYS),
        protection_days=np.minimum(
            protection[terms.of_sku] + np.where(life > 10, _WAREHOUSE_SPARE_DAYS, 1), _LONGEST_PLAN_DAYS
        ),
    )


def first_rates(catalogue: Catalogue, chain: Chain, *, rng: np.random.Generator) -> Floats:
    """Return the planner's first guess of units per average day, shape (n_skus, n_stores)."""
    guess = catalogue.base_rate[:, None] * chain.store_size[None, :]
    return np.where(chain.is_listed, guess * np.exp(rng.normal(0, 0.25, guess.shape)), 0.0)


def smoothed_rates(rates: Floats, sold_units: Ints, *, day_factor: Floats, is_informative: Flags) -> Floats:
    """Return the rates after one more day; days on which stock ran out teach nothing.

    Args:
        rates: units per average day, shape (n_skus, n_stores).
        sold_units: the day's sales, same shape.
        day_factor: the day's planned factor, shape (n_skus,).
        is_informative: listed, introduced and in stock all day, same shape as `rates`.
    """
    seen = sold_units / np.maximum(day_factor, 0.2)[:, None]
    moved = np.maximum(rates + _SMOOTHING * (seen - rates), _SMALLEST_RATE_UNITS)
    return np.where(is_informative, moved, rates)


def request_transfers(
    booked: Ints, rates: Floats, *, planner: Planner, terms: Suppliers, day: int, is_active: Flags
) -> Ints:
    """Return what the stores ask of the warehouse on the evening of `day`, units, shape (n_skus, n_stores).

    Args:
        booked: what the books hold, units, shape (n_skus, n_stores).
        rates: units per average day, same shape.
        planner: what is known ahead.
        terms: inner packs.
        day: today.
        is_active: listed, and introduced by tomorrow; same shape.
    """
    skus = np.arange(rates.shape[0])
    ahead = planner.factor_sum[skus, day + 1]
    soon = rates * (planner.factor_sum[skus, day + 1 + _STORE_REORDER_DAYS] - ahead)[:, None]
    cover = rates * (planner.factor_sum[skus, day + 1 + planner.cover_days] - ahead)[:, None]
    reorder_point = soon + _STORE_SAFETY * np.sqrt(soon)
    order_up_to = cover + _STORE_SAFETY * np.sqrt(cover)
    multiple = terms.store_multiple[:, None]
    wanted = np.ceil((order_up_to - booked) / multiple).astype(np.int64) * multiple
    return np.where(is_active & (booked <= reorder_point), np.maximum(wanted, multiple), 0)


def share_out(requests: Ints, available: Ints, *, first_store: int) -> Ints:
    """Return what each store is sent: stores are served in turn, beginning with `first_store`, until stock is gone.

    Args:
        requests: units, shape (n_skus, n_stores).
        available: units in the warehouse, shape (n_skus,).
        first_store: who is served first.
    """
    turned = np.roll(requests, -first_store, axis=1)
    before = np.cumsum(turned, axis=1) - turned
    sent = np.clip(available[:, None] - before, 0, turned)
    return np.roll(sent, first_store, axis=1)


def purchase_quantities(
    position: Ints, rates: Floats, *, planner: Planner, catalogue: Catalogue, terms: Suppliers, day: int
) -> Ints:
    """Return what the buyer orders on the evening of `day`, units, shape (n_skus,).

    Args:
        position: booked stock of the warehouse plus what is on order, units, shape (n_skus,).
        rates: units per average day over all stores, shape (n_skus,).
        planner: what is known ahead.
        catalogue: case packs and launch days.
        terms: minimum quantities and review days.
        day: today.
    """
    skus = np.arange(rates.size)
    days_ahead = planner.protection_days
    planned = rates * (planner.factor_sum[skus, day + 1 + days_ahead] - planner.factor_sum[skus, day + 1])
    target = planned + _WAREHOUSE_SAFETY * np.sqrt(planned)
    pack = catalogue.pack_units
    wanted = np.ceil((target - position) / pack).astype(np.int64) * pack
    is_review = (day + terms.of_sku) % terms.review_days[terms.of_sku] == 0
    is_listed = day >= catalogue.launch_day - days_ahead - 5
    return np.where(is_review & is_listed & (wanted > 0), np.maximum(wanted, terms.minimum_units), 0)
