"""The floor: what is on the shelves and in the books while the days pass, and how it stands on the first morning."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from restock.simulation.arrays import Flags, Floats, Ints
from restock.simulation.chain import USERS_PER_LOCATION
from restock.simulation.history import NEVER_COUNTED, Company
from restock.simulation.movements import Kind, MovementRows, Reference, true_movements
from restock.simulation.ordering import first_rates
from restock.simulation.purchasing import OrderBook
from restock.simulation.returns import ReturnsDesk

_OPENING_SECOND = 0
_OPENING_DAYS = 6.0


@dataclass
class Floor:
    """The moving parts of the loop. Invariant: `on_hand` >= 0; `fresh` is what came within an article's shelf life."""

    on_hand: Ints
    booked: Ints
    rates: Floats
    in_transfer: Ints
    received: Ints
    fresh: Ints
    is_phantom: Flags
    last_count_day: Ints
    orders: OrderBook
    desk: ReturnsDesk = field(default_factory=ReturnsDesk)
    n_transfers: int = 0
    n_notes: int = 0


def open_floor(company: Company, *, rng: np.random.Generator) -> Floor:
    """Return the floor on the first morning: some days of stock of every article that is sold from the start."""
    catalogue, chain = company.catalogue, company.chain
    rates = first_rates(catalogue, chain, rng=rng)
    days = np.minimum(np.where(catalogue.shelf_life_days > 0, catalogue.shelf_life_days - 1, 99), _OPENING_DAYS)
    is_sold = catalogue.launch_day == 0
    stock = np.zeros((catalogue.n_skus, chain.n_stores + 1), dtype=np.int64)
    stock[:, :-1] = np.where(chain.is_listed, np.ceil(rates * days[:, None]) + 1, 0)
    stock[:, -1] = np.ceil(rates.sum(axis=1) * np.minimum(company.planner.protection_days, days * 2))
    stock *= is_sold[:, None]
    received = np.zeros((company.days.n_days, *stock.shape), dtype=np.int64)
    received[0] = stock
    return Floor(
        on_hand=stock,
        booked=stock.copy(),
        rates=rates,
        in_transfer=np.zeros((catalogue.n_skus, chain.n_stores), dtype=np.int64),
        received=received,
        fresh=np.zeros_like(stock),
        is_phantom=np.zeros((catalogue.n_skus, chain.n_stores), dtype=np.bool_),
        last_count_day=np.full(stock.shape, NEVER_COUNTED, dtype=np.int64),
        orders=OrderBook(company.suppliers, np.zeros(catalogue.n_skus, dtype=np.int64)),
    )


def opening_rows(floor: Floor) -> MovementRows:
    """Return the opening stock as it is booked on the first morning."""
    sku, location = np.nonzero(floor.on_hand)
    return true_movements(
        0,
        _OPENING_SECOND,
        sku=sku,
        location=location,
        kind=Kind.ADJUSTMENT,
        units=floor.on_hand[sku, location],
        user=location * USERS_PER_LOCATION,
        reference=Reference.OPENING,
        number=0,
    )


def kept_articles(company: Company, day: int) -> Flags:
    """Return which location keeps an article by `day`, shape (n_skus, n_stores + 1)."""
    is_sold = (company.catalogue.launch_day <= day)[:, None]
    return np.concatenate([company.chain.is_listed & is_sold, is_sold], axis=1)
