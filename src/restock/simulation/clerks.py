"""Clerks: they book what happened, and now and then make one of the usual mistakes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from restock.simulation.arrays import Flags, Ints
from restock.simulation.catalogue import Catalogue
from restock.simulation.movements import ErrorKind, Kind, MovementRows, Reference, join_rows

_POINT_ERRORS = (
    ErrorKind.UNIT_OF_MEASURE,
    ErrorKind.DUPLICATE,
    ErrorKind.SIGN_FLIP,
    ErrorKind.WRONG_SKU,
    ErrorKind.WRONG_LOCATION,
)
# Mistakes a row, per kind of row in order of `_POINT_ERRORS`.
_MISTAKE_SHARES: dict[Kind, tuple[float, ...]] = {
    Kind.SALE: (0.00006, 0.00025, 0.00015, 0.00030, 0.00005),
    Kind.RETURN: (0.0, 0.00300, 0.00300, 0.00300, 0.0),
    Kind.RECEIPT: (0.00500, 0.00250, 0.00060, 0.00300, 0.00150),
    Kind.ADJUSTMENT: (0.0, 0.00100, 0.00150, 0.00100, 0.0),
    Kind.TRANSFER: (0.00040, 0.00040, 0.00025, 0.00040, 0.00050),
}
_LONGEST_REPEAT_SECONDS = 600


def book_movements(
    rows: MovementRows, catalogue: Catalogue, *, is_kept: Flags, rng: np.random.Generator
) -> MovementRows:
    """Return the rows as clerks book them, repeated bookings appended; opening stock, counts and marked rows are right.

    Args:
        rows: movements booked as they happened.
        catalogue: packs, and which articles are neighbours.
        is_kept: whether a location keeps an article by now, shape (n_skus, n_locations); nothing is booked elsewhere.
        rng: stream of the clerks.
    """
    thresholds = np.cumsum([_MISTAKE_SHARES[kind] for kind in Kind], axis=1)
    draw = rng.random(rows.n_rows)
    place = (draw[:, None] >= thresholds[rows.kind]).sum(axis=1)
    is_spared = (
        (rows.error != ErrorKind.NONE) | (rows.reference == Reference.OPENING) | (rows.reference == Reference.COUNT)
    )
    mistaken = np.flatnonzero((place < len(_POINT_ERRORS)) & ~is_spared)
    if mistaken.size == 0:
        return rows
    error = np.array([int(kind) for kind in _POINT_ERRORS])[place[mistaken]]
    wrong = _mistaken_rows(rows.select(mistaken), error, catalogue=catalogue, is_kept=is_kept, rng=rng)
    is_repeat = wrong.error == ErrorKind.DUPLICATE
    in_place = mistaken[~is_repeat]
    kept = rows.select(np.setdiff1d(np.arange(rows.n_rows), in_place))
    return join_rows([kept, wrong])


def _mistaken_rows(
    rows: MovementRows, error: Ints, *, catalogue: Catalogue, is_kept: Flags, rng: np.random.Generator
) -> MovementRows:
    """Return each row with its mistake; a row to which the mistake can't happen comes back unmarked."""
    n_rows, n_locations = rows.n_rows, is_kept.shape[1]
    pack = catalogue.pack_units[rows.sku]
    neighbour = _neighbours(catalogue, rng.integers(1, 4, n_rows), sku=rows.sku)
    elsewhere = (rows.location + rng.integers(1, n_locations, n_rows)) % n_locations
    is_possible = np.select(
        [error == ErrorKind.UNIT_OF_MEASURE, error == ErrorKind.WRONG_SKU, error == ErrorKind.WRONG_LOCATION],
        [
            (pack > 1) & ((rows.pack == 1) | (rows.pack == pack)),
            (neighbour != rows.sku) & is_kept[neighbour, rows.location],
            is_kept[rows.sku, elsewhere],
        ],
        default=True,
    )
    error = np.where(is_possible, error, np.int64(ErrorKind.NONE))
    is_repeat = error == ErrorKind.DUPLICATE
    return replace(
        rows,
        # The number stays, its unit changes: packs are booked as pieces, or pieces as packs.
        pack=np.where(error == ErrorKind.UNIT_OF_MEASURE, np.where(rows.pack > 1, 1, pack), rows.pack),
        quantity=np.where(error == ErrorKind.SIGN_FLIP, -rows.quantity, rows.quantity),
        sku=np.where(error == ErrorKind.WRONG_SKU, neighbour, rows.sku),
        location=np.where(error == ErrorKind.WRONG_LOCATION, elsewhere, rows.location),
        second=rows.second + np.where(is_repeat, rng.integers(5, _LONGEST_REPEAT_SECONDS, n_rows), 0),
        true_units=np.where(is_repeat, 0, rows.true_units),
        error=error,
    )


def _neighbours(catalogue: Catalogue, step: Ints, *, sku: Ints) -> Ints:
    """Return an article some places on within the subcategory, the article itself where it is alone."""
    first = np.searchsorted(catalogue.subcategory, catalogue.subcategory[sku], side="left")
    size = np.searchsorted(catalogue.subcategory, catalogue.subcategory[sku], side="right") - first
    return first + (sku - first + step) % size
