import numpy as np
import pytest

from restock.simulation import clerks
from restock.simulation.catalogue import create_catalogue
from restock.simulation.clerks import book_movements
from restock.simulation.movements import ErrorKind, Kind, Reference, true_movements
from restock.simulation.streams import Stream, random_stream

CATALOGUE = create_catalogue(8, 200, rng=random_stream(0, Stream.CATALOGUE))
N_LOCATIONS = 3


def _transfers(n_rows: int = 60_000, reference: Reference = Reference.TRANSFER):
    rng = np.random.default_rng(0)
    sku = rng.integers(0, 8, n_rows)
    return true_movements(
        3,
        np.full(n_rows, 7 * 3600),
        sku=sku,
        location=rng.integers(0, N_LOCATIONS, n_rows),
        kind=Kind.TRANSFER,
        units=CATALOGUE.pack_units[sku] * rng.integers(1, 4, n_rows),
        user=np.zeros(n_rows, dtype=np.int64),
        reference=reference,
        number=np.arange(n_rows),
        pack=CATALOGUE.pack_units[sku],
    )


@pytest.fixture(scope="module")
def booked():
    is_kept = np.ones((8, N_LOCATIONS), dtype=np.bool_)
    return book_movements(_transfers(), CATALOGUE, is_kept=is_kept, rng=np.random.default_rng(1))


@pytest.mark.parametrize("kind", clerks._POINT_ERRORS)
def test_book_movements_many_rows_hold_every_point_error_at_a_low_rate(booked, kind):
    assert 0 < (booked.error == kind).mean() < 0.002


def test_book_movements_keeps_what_really_happened():
    rows = _transfers()
    booked = book_movements(
        rows, CATALOGUE, is_kept=np.ones((8, N_LOCATIONS), dtype=np.bool_), rng=np.random.default_rng(1)
    )
    is_repeat = booked.error == ErrorKind.DUPLICATE
    assert booked.n_rows == rows.n_rows + is_repeat.sum()
    assert booked.true_units.sum() == rows.true_units.sum()
    assert not booked.true_units[is_repeat].any()


def test_book_movements_each_error_does_what_its_name_says(booked):
    def of(kind: ErrorKind):
        return booked.select(np.flatnonzero(booked.error == kind))

    unit = of(ErrorKind.UNIT_OF_MEASURE)
    assert (unit.booked_units * CATALOGUE.pack_units[unit.sku] == unit.true_units).all()
    flip = of(ErrorKind.SIGN_FLIP)
    assert (flip.booked_units == -flip.true_units).all()
    sku = of(ErrorKind.WRONG_SKU)
    assert (sku.sku != sku.true_sku).all()
    assert (CATALOGUE.subcategory[sku.sku] == CATALOGUE.subcategory[sku.true_sku]).all()
    location = of(ErrorKind.WRONG_LOCATION)
    assert (location.location != location.true_location).all()
    clean = of(ErrorKind.NONE)
    assert (clean.booked_units == clean.true_units).all()


@pytest.mark.parametrize("reference", [Reference.OPENING, Reference.COUNT])
def test_book_movements_opening_stock_and_counts_stay_right(reference):
    rows = _transfers(reference=reference)
    booked = book_movements(
        rows, CATALOGUE, is_kept=np.ones((8, N_LOCATIONS), dtype=np.bool_), rng=np.random.default_rng(1)
    )
    assert not booked.error.any()
    assert booked.n_rows == rows.n_rows


def test_true_movements_part_of_a_pack_is_refused():
    with pytest.raises(ValueError, match="whole packs"):
        true_movements(
            0,
            0,
            sku=np.array([0]),
            location=0,
            kind=Kind.RECEIPT,
            units=np.array([7]),
            user=np.array([0]),
            reference=Reference.ORDER,
            number=1,
            pack=6,
        )
