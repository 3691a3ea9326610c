"""Returns: customers bring back what they bought, and a dishonest clerk books returns that nobody brought."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from restock.simulation.arrays import Flags, Ints
from restock.simulation.catalogue import Catalogue
from restock.simulation.chain import USERS_PER_LOCATION, Chain
from restock.simulation.movements import ErrorKind, Kind, MovementRows, Reference, true_movements

_RETURN_SHARE = 0.006  # of sale lines of articles that do not expire
_LONGEST_RETURN_DAYS = 14
_DESK_OPENS, _DESK_CLOSES = 9 * 3600, 20 * 3600
_MOST_UNITS_RETURNED = 3
_STORE_DAYS_PER_FRAUD = 450
_FRAUD_DAYS = (25, 70)
_FRAUDS_PER_DAY = 0.8
_DEAR_SHARE = 0.3


@dataclass
class ReturnsDesk:
    """The sales of the last days that can still come back; each line comes back at most once.

    Attributes:
        recent: lines of sale of the last days, oldest first.
        n_notes: return notes written so far.
    """

    recent: deque[MovementRows] = field(default_factory=lambda: deque(maxlen=_LONGEST_RETURN_DAYS))
    n_notes: int = 0


@dataclass(frozen=True, kw_only=True)
class FraudPlan:
    """Spells in which a user books false returns; arrays of shape (n_spells,)."""

    user: Ints
    store: Ints
    first_day: Ints
    last_day: Ints


def plan_fraud(chain: Chain, n_days: int, *, rng: np.random.Generator) -> FraudPlan:
    """Return the spells of fraud of a history, at least one."""
    n_spells = max(1, round(chain.n_stores * n_days / _STORE_DAYS_PER_FRAUD))
    store = rng.integers(0, chain.n_stores, n_spells)
    first_day = rng.integers(n_days // 20, max(n_days // 20 + 1, n_days - _FRAUD_DAYS[0]), n_spells)
    return FraudPlan(
        user=store * USERS_PER_LOCATION + rng.integers(0, USERS_PER_LOCATION, n_spells),
        store=store,
        first_day=first_day,
        last_day=np.minimum(first_day + rng.integers(*_FRAUD_DAYS, n_spells), n_days - 1),
    )


def honest_returns(desk: ReturnsDesk, day: int, *, catalogue: Catalogue, rng: np.random.Generator) -> MovementRows:
    """Return what customers bring back today, and take it out of what the desk still expects."""
    parts: list[MovementRows] = []
    for place, sales in enumerate(desk.recent):
        is_back = rng.random(sales.n_rows) < _RETURN_SHARE / _LONGEST_RETURN_DAYS
        is_back &= catalogue.shelf_life_days[sales.sku] == 0
        if is_back.any():
            parts.append(sales.select(np.flatnonzero(is_back)))
            desk.recent[place] = sales.select(np.flatnonzero(~is_back))

    def column(name: str) -> Ints:
        return np.concatenate([np.empty(0, dtype=np.int64), *(getattr(part, name) for part in parts)])

    store, sold = column("location"), -column("true_units")
    units = np.minimum(sold, rng.integers(1, _MOST_UNITS_RETURNED + 1, sold.size))
    return _return_rows(
        desk,
        day,
        sku=column("sku"),
        store=store,
        units=units,
        price_minor=column("price_minor"),
        user=store * USERS_PER_LOCATION + rng.integers(0, USERS_PER_LOCATION, store.size),
        invoice=column("number"),
        rng=rng,
    )


def false_returns(
    desk: ReturnsDesk, day: int, *, plan: FraudPlan, price_minor: Ints, is_active: Flags, rng: np.random.Generator
) -> MovementRows:
    """Return the returns that dishonest clerks book today: dear articles, on invoices that do not hold them.

    Args:
        desk: recent sales, whose invoices they name.
        day: today.
        plan: who is dishonest when.
        price_minor: today's prices, minor units of currency, shape (n_skus,).
        is_active: listed and introduced, shape (n_skus, n_stores).
        rng: stream of the fraud.
    """
    times = np.minimum(rng.poisson(_FRAUDS_PER_DAY, plan.user.size), 4)
    times = np.where((plan.first_day <= day) & (day <= plan.last_day) & (len(desk.recent) > 0), times, 0)
    spell = np.repeat(np.arange(plan.user.size), times)
    store = plan.store[spell]
    n_dear = max(1, round(_DEAR_SHARE * price_minor.size))
    dear = np.argsort(-price_minor, kind="stable")[:n_dear]
    sku = dear[rng.integers(0, n_dear, spell.size)]
    invoice = np.array([_foreign_invoice(desk, a, b, rng=rng) for a, b in zip(sku, store, strict=True)], dtype=np.int64)
    is_booked = is_active[sku, store] & (invoice >= 0)
    sku, store, spell, invoice = sku[is_booked], store[is_booked], spell[is_booked], invoice[is_booked]
    rows = _return_rows(
        desk,
        day,
        sku=sku,
        store=store,
        units=rng.integers(1, _MOST_UNITS_RETURNED + 1, sku.size),
        price_minor=price_minor[sku],
        user=plan.user[spell],
        invoice=invoice,
        rng=rng,
    )
    return replace(
        rows, true_units=np.zeros_like(rows.true_units), error=np.full_like(rows.error, ErrorKind.RETURNS_FRAUD)
    )


def _foreign_invoice(desk: ReturnsDesk, sku: int, store: int, *, rng: np.random.Generator) -> int:
    """Return a recent invoice of the store without the article, -1 where there is none."""
    sales = desk.recent[int(rng.integers(0, len(desk.recent)))]
    at_store = sales.location == store
    holding = sales.number[at_store & (sales.sku == sku)]
    candidates = np.setdiff1d(sales.number[at_store], holding)
    return int(rng.choice(candidates)) if candidates.size else -1


def _return_rows(
    desk: ReturnsDesk,
    day: int,
    *,
    sku: Ints,
    store: Ints,
    units: Ints,
    price_minor: Ints,
    user: Ints,
    invoice: Ints,
    rng: np.random.Generator,
) -> MovementRows:
    """Return notes numbered on from the desk's last."""
    number = desk.n_notes + 1 + np.arange(sku.size)
    desk.n_notes += int(sku.size)
    return true_movements(
        day,
        rng.integers(_DESK_OPENS, _DESK_CLOSES, sku.size),
        sku=sku,
        location=store,
        kind=Kind.RETURN,
        units=units,
        user=user,
        reference=Reference.RETURN_NOTE,
        number=number,
        price_minor=price_minor,
        invoice=invoice,
    )
