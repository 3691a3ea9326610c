"""Shopping: demand meets the shelf, some of what is missing moves to a similar article, the rest is lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from restock.simulation.arrays import Floats, Ints
from restock.simulation.catalogue import Catalogue
from restock.simulation.chain import USERS_PER_LOCATION
from restock.simulation.movements import Kind, MovementRows, Reference, true_movements

INVOICES_PER_STORE_DAY = 10_000
_SUBSTITUTION_SHARE = 0.40
_LINES_PER_INVOICE = 3
_SPLIT_FROM_UNITS = 8
_OPENS, _CLOSES = 8 * 3600, 20 * 3600
_SHARE_DECIMALS = 3


@dataclass(frozen=True, kw_only=True)
class DayOfSales:
    """What customers of one day did; arrays of shape (n_skus, n_stores), units.

    Attributes:
        sold: units sold, substitutes included.
        lost: own demand that the article did not serve.
        moved_out: the part of `lost` that asked for another article instead.
        moved_in: sales to customers who had wanted another article.
        empty_share: share of the day on which the shelf was empty, 0-1.
    """

    sold: Ints
    lost: Ints
    moved_out: Ints
    moved_in: Ints
    empty_share: Floats


def serve_customers(demand: Ints, on_hand: Ints, *, catalogue: Catalogue, rng: np.random.Generator) -> DayOfSales:
    """Return a day's sales.

    Assumptions: customers come evenly over the day, so the moment at which the k-th of n wanted units goes is
    Beta(k, n - k + 1) distributed; substitutes are asked for in proportion to their base rates, among articles of the
    subcategory that are still there.

    Args:
        demand: units wanted, shape (n_skus, n_stores).
        on_hand: units there in the morning, same shape.
        catalogue: subcategories and base rates.
        rng: stream of the shoppers.
    """
    own = np.minimum(demand, on_hand)
    lost = demand - own
    left = on_hand - own
    moved_out, asked = _ask_for_substitutes(lost, left, catalogue=catalogue, rng=rng)
    moved_in = np.minimum(asked, left)
    wanted = demand + asked
    is_empty = on_hand == 0
    runs_out = ~is_empty & (wanted >= on_hand)
    empty_share = np.where(is_empty, 1.0, 0.0)
    moment = rng.beta(on_hand[runs_out], wanted[runs_out] - on_hand[runs_out] + 1)
    empty_share[runs_out] = np.round(1 - moment, _SHARE_DECIMALS)
    return DayOfSales(sold=own + moved_in, lost=lost, moved_out=moved_out, moved_in=moved_in, empty_share=empty_share)


def _ask_for_substitutes(
    lost: Ints, left: Ints, *, catalogue: Catalogue, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Return units that leave an article for another, and units asked for of each article instead."""
    n_skus, n_stores = lost.shape
    willing = rng.binomial(lost, _SUBSTITUTION_SHARE)
    # Store by store, articles of a subcategory side by side: one running sum of weights serves all draws.
    weight = np.where(left > 0, catalogue.base_rate[:, None], 0.0).T.ravel()
    total = np.concatenate([[0.0], np.cumsum(weight)])
    sku, store = np.nonzero(willing)
    units = willing[sku, store]
    first = store * n_skus + np.searchsorted(catalogue.subcategory, catalogue.subcategory[sku], side="left")
    end = store * n_skus + np.searchsorted(catalogue.subcategory, catalogue.subcategory[sku], side="right")
    low, high = total[first], total[end]
    has_choice = high > low
    moved_out = np.zeros_like(lost)
    moved_out[sku[has_choice], store[has_choice]] = units[has_choice]
    low, high = (np.repeat(bound[has_choice], units[has_choice]) for bound in (low, high))
    place = np.searchsorted(total, low + (high - low) * rng.random(low.size), side="right") - 1
    asked = np.bincount(place, minlength=weight.size).reshape(n_stores, n_skus).T
    return moved_out, asked.astype(np.int64)


def sale_rows(day: int, sold: Ints, *, price_minor: Ints, rng: np.random.Generator) -> MovementRows:
    """Return a day's sales as lines of invoices; brisk articles are on two.

    Args:
        day: today.
        sold: units sold, shape (n_skus, n_stores).
        price_minor: price of each article today, minor units of currency, shape (n_skus,).
        rng: stream of the bookings.
    """
    n_stores = sold.shape[1]
    sku, store = np.nonzero(sold)
    units = sold[sku, store]
    lines = np.bincount(store, minlength=n_stores)
    invoices = np.minimum(np.maximum(1, -(-lines // _LINES_PER_INVOICE)), INVOICES_PER_STORE_DAY)
    place = np.floor(rng.random(sku.size) * invoices[store]).astype(np.int64)
    is_split = (units >= _SPLIT_FROM_UNITS) & (invoices[store] > 1)
    second_part = np.where(is_split, 1 + rng.binomial(np.maximum(units - 2, 0), 0.5), 0)
    other_place = (place + 1 + invoices[store] // 2) % invoices[store]
    rows = np.concatenate([np.arange(sku.size), np.flatnonzero(is_split & (other_place != place))])
    second_part = np.where(other_place != place, second_part, 0)
    part = np.concatenate([units - second_part, second_part[rows[sku.size :]]])
    place = np.concatenate([place, other_place[rows[sku.size :]]])
    sku, store = sku[rows], store[rows]
    span = (_CLOSES - _OPENS) / invoices[store]
    return true_movements(
        day,
        (_OPENS + (place + 0.5) * span).astype(np.int64),
        sku=sku,
        location=store,
        kind=Kind.SALE,
        units=-part,
        user=store * USERS_PER_LOCATION + (place * 7 + day) % USERS_PER_LOCATION,
        reference=Reference.INVOICE,
        number=(day * n_stores + store) * INVOICES_PER_STORE_DAY + place,
        price_minor=price_minor[sku],
    )
