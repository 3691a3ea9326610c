"""Suppliers: their terms, and what they really deliver - late, short or in several parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import polars as pl

from restock.simulation.arrays import Floats, Ints
from restock.simulation.catalogue import Catalogue
from restock.simulation.chain import Chain
from restock.tables import SUPPLY_TERMS

STORE_LEAD_DAYS = 1
_FRESH_LIFE_DAYS = 30
_SKUS_PER_SUPPLIER = 12
_FRESH_LEAD_DAYS, _DRY_LEAD_DAYS = (1, 3), (4, 12)
_FRESH_REVIEW_DAYS, _DRY_REVIEW_DAYS = (1, 2), (3, 8)
_SPLIT_SHARE = 0.06
_UNNOTICED_SHARE = 0.006
_MINIMUM_ORDER_DAYS = 3.0


@dataclass(frozen=True, kw_only=True)
class Suppliers:
    """Who delivers what to the warehouse, on what terms.

    Attributes:
        name: identifiers, shape (n_suppliers,).
        quoted_lead_days: days from order to promised delivery, shape (n_suppliers,).
        review_days: days between two orders, shape (n_suppliers,).
        late_share: share of deliveries that come late, shape (n_suppliers,).
        short_share: share of lines that never come in full, shape (n_suppliers,).
        order_cost_minor: cost of an order, minor units of currency, shape (n_suppliers,).
        of_sku: index of each article's supplier, shape (n_skus,).
        minimum_units: fewest units in a line, a multiple of the case pack, shape (n_skus,).
        store_multiple: units in the inner pack that stores are sent, shape (n_skus,).
    """

    name: tuple[str, ...]
    quoted_lead_days: Ints
    review_days: Ints
    late_share: Floats
    short_share: Floats
    order_cost_minor: Ints
    of_sku: Ints
    minimum_units: Ints
    store_multiple: Ints


@dataclass(frozen=True, kw_only=True)
class Deliveries:
    """Deliveries of order lines; arrays of shape (n_deliveries,).

    Attributes:
        line: index of the order line.
        order: number of the order.
        sku: article.
        day: day of arrival.
        came_units: what is really on the pallet.
        claimed_units: what the delivery note says and the clerk books.
        expected_units: what the line still had open.
        closed_units: what the line has open no longer: delivered, or cancelled with the last delivery.
        is_short: whether less came than booked or ordered, and nothing comes later.
    """

    line: Ints
    order: Ints
    sku: Ints
    day: Ints
    came_units: Ints
    claimed_units: Ints
    expected_units: Ints
    closed_units: Ints
    is_short: Ints

    def select(self, rows: Ints) -> Deliveries:
        """Return the deliveries at the given places."""
        return Deliveries(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def sign_suppliers(catalogue: Catalogue, chain: Chain, *, rng: np.random.Generator) -> Suppliers:
    """Return suppliers, each for fresh or for durable articles of one category."""
    life = catalogue.shelf_life_days
    is_fresh = (life > 0) & (life <= _FRESH_LIFE_DAYS)
    of_sku = np.zeros(catalogue.n_skus, dtype=np.int64)
    fresh_suppliers: list[bool] = []
    for fresh in (True, False):
        for category in np.unique(catalogue.category[is_fresh == fresh]).tolist():
            skus = np.flatnonzero((is_fresh == fresh) & (catalogue.category == category))
            n_suppliers = max(1, skus.size // _SKUS_PER_SUPPLIER)
            of_sku[skus] = len(fresh_suppliers) + np.arange(skus.size) % n_suppliers
            fresh_suppliers += [fresh] * n_suppliers
    n_suppliers = len(fresh_suppliers)
    fresh_flag = np.array(fresh_suppliers)
    pack = catalogue.pack_units
    daily_units = catalogue.base_rate * chain.n_stores
    smallest_line = np.maximum(1, np.round(daily_units * rng.uniform(0, _MINIMUM_ORDER_DAYS, catalogue.n_skus) / pack))
    inner_packs = np.where(catalogue.base_rate >= 2.0, np.where(pack % 2 == 0, pack // 2, 1), 1)
    return Suppliers(
        name=tuple(f"SUP-{number:02d}" for number in range(1, n_suppliers + 1)),
        quoted_lead_days=np.where(
            fresh_flag, rng.integers(*_FRESH_LEAD_DAYS, n_suppliers), rng.integers(*_DRY_LEAD_DAYS, n_suppliers)
        ),
        review_days=np.where(
            fresh_flag, rng.integers(*_FRESH_REVIEW_DAYS, n_suppliers), rng.integers(*_DRY_REVIEW_DAYS, n_suppliers)
        ),
        late_share=rng.uniform(0.03, 0.25, n_suppliers),
        short_share=rng.uniform(0.003, 0.030, n_suppliers),
        order_cost_minor=rng.integers(1_500, 6_000, n_suppliers),
        of_sku=of_sku,
        minimum_units=np.where(is_fresh, pack, smallest_line.astype(np.int64) * pack),
        store_multiple=np.minimum(inner_packs, 6).astype(np.int64),
    )


def draw_deliveries(
    first_line: int,
    *,
    day: int,
    order: Ints,
    sku: Ints,
    ordered_units: Ints,
    terms: Suppliers,
    rng: np.random.Generator,
) -> Deliveries:
    """Return what comes of the lines ordered on one day, and when; lines of one supplier travel together.

    Args:
        first_line: index of the first line.
        day: day of the order.
        order: number of each line's order, shape (n_lines,).
        sku: article of each line, shape (n_lines,).
        ordered_units: units ordered, shape (n_lines,), > 0.
        terms: the suppliers.
        rng: stream of the deliveries.
    """
    n_suppliers, n_lines = len(terms.name), sku.size
    supplier = terms.of_sku[sku]
    is_late = rng.random(n_suppliers) < terms.late_share
    delay = np.where(is_late, rng.geometric(0.35, n_suppliers), rng.choice((-1, 0, 0, 0, 0), n_suppliers))
    arrival = day + np.maximum(terms.quoted_lead_days + delay, 1)[supplier]

    is_short = rng.random(n_lines) < terms.short_share[supplier]
    is_split = ~is_short & (rng.random(n_lines) < _SPLIT_SHARE) & (ordered_units > 1)
    part = np.maximum(1, np.round(ordered_units * rng.uniform(0.4, 0.9, n_lines)).astype(np.int64))
    first = np.where(is_short | is_split, np.minimum(part, ordered_units), ordered_units)
    # Booked as ordered although less came: the clerk signs the note without counting.
    is_unnoticed = ~is_split & ~is_short & (rng.random(n_lines) < _UNNOTICED_SHARE)
    came = np.where(is_unnoticed, ordered_units - np.maximum(1, np.round(0.3 * ordered_units)).astype(np.int64), first)
    line = first_line + np.arange(n_lines)
    rest = np.flatnonzero(is_split & (first < ordered_units))
    rest_units = (ordered_units - first)[rest]
    later = arrival[rest] + rng.integers(1, 6, rest.size)
    never = (is_unnoticed | (is_short & (first < ordered_units))).astype(np.int64)
    return Deliveries(
        line=np.concatenate([line, line[rest]]),
        order=np.concatenate([order, order[rest]]),
        sku=np.concatenate([sku, sku[rest]]),
        day=np.concatenate([arrival, later]),
        came_units=np.concatenate([came, rest_units]),
        claimed_units=np.concatenate([first, rest_units]),
        expected_units=np.concatenate([ordered_units, rest_units]),
        closed_units=np.concatenate([np.where(is_split, first, ordered_units), rest_units]),
        is_short=np.concatenate([never, np.zeros(rest.size, dtype=np.int64)]),
    )


def join_deliveries(parts: Sequence[Deliveries]) -> Deliveries:
    """Return the deliveries of all parts, one after the other; none where there is no part."""
    nothing = np.empty(0, dtype=np.int64)
    return Deliveries(
        **{
            field.name: np.concatenate([nothing, *(getattr(part, field.name) for part in parts)])
            for field in fields(Deliveries)
        }
    )


def supply_terms_table(catalogue: Catalogue, chain: Chain, *, terms: Suppliers) -> pl.DataFrame:
    """Return table `supply_terms`: suppliers to the warehouse, the warehouse to every store that lists the article."""
    sku = np.array(catalogue.sku)
    supplier = terms.of_sku
    to_warehouse = pl.DataFrame(
        {
            "sku": sku,
            "location": [chain.location[chain.warehouse]] * catalogue.n_skus,
            "supplier": np.array(terms.name)[supplier],
            "unit_cost": catalogue.unit_cost_minor / 100,
            "minimum_order_quantity": terms.minimum_units,
            "order_multiple": catalogue.pack_units,
            "fixed_order_cost": terms.order_cost_minor[supplier] / 100,
            "review_periods": terms.review_days[supplier],
            "quoted_lead_time_days": terms.quoted_lead_days[supplier],
        }
    )
    row, store = np.nonzero(chain.is_listed)
    to_stores = pl.DataFrame(
        {
            "sku": sku[row],
            "location": np.array(chain.location)[store],
            "supplier": [chain.location[chain.warehouse]] * row.size,
            "unit_cost": catalogue.unit_cost_minor[row] / 100,
            "minimum_order_quantity": terms.store_multiple[row],
            "order_multiple": terms.store_multiple[row],
            "fixed_order_cost": np.zeros(row.size),
            "review_periods": np.ones(row.size, dtype=np.int64),
            "quoted_lead_time_days": np.full(row.size, STORE_LEAD_DAYS),
        }
    )
    return SUPPLY_TERMS.conform(pl.concat([to_warehouse, to_stores]))
