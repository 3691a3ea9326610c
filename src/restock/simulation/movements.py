"""Movement rows as integer arrays: what a clerk books, beside what really happened; and the tables they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, time
from enum import IntEnum

import numpy as np
import polars as pl

from restock.simulation.arrays import Floats, Ints
from restock.simulation.catalogue import Catalogue
from restock.simulation.chain import Chain
from restock.simulation.trading_days import TradingDays
from restock.tables import MOVEMENTS

NOT_EXPECTED = -1
_SECONDS_PER_DAY = 86_400
_PIECE = "piece"


class Kind(IntEnum):
    """Kinds of movement; lower-case names are the table's."""

    SALE = 0
    RETURN = 1
    RECEIPT = 2
    ADJUSTMENT = 3
    TRANSFER = 4


class Reference(IntEnum):
    """What a movement refers to."""

    INVOICE = 0
    RETURN_NOTE = 1
    ORDER = 2
    COUNT = 3
    NOTE = 4
    TRANSFER = 5
    OPENING = 6


class ErrorKind(IntEnum):
    """Mistakes and losses; lower-case names are those of the movement stream."""

    NONE = 0
    UNIT_OF_MEASURE = 1
    DUPLICATE = 2
    SIGN_FLIP = 3
    WRONG_SKU = 4
    WRONG_LOCATION = 5
    SHORT_RECEIPT = 6
    RETURNS_FRAUD = 7
    SHRINKAGE = 8
    PHANTOM_STOCK = 9


@dataclass(frozen=True, kw_only=True)
class MovementRows:
    """Movements as booked, with the truth of each; integer arrays of shape (n_rows,).

    Attributes:
        day: day of history.
        second: second of the day.
        sku: article as booked.
        location: location as booked.
        kind: a `Kind`.
        quantity: signed change as booked, in packs of `pack` units.
        pack: units in the unit of measure as booked; 1 is a piece.
        price_minor: price or cost of a unit, minor units of currency.
        user: index in `Chain.user`.
        reference: a `Reference`.
        number: the reference's number.
        invoice: number of the sale's invoice that a return names, else 0.
        expected_units: what the order had open, `NOT_EXPECTED` where it is no receipt.
        error: an `ErrorKind`.
        true_sku: article that really moved.
        true_location: where it really moved.
        true_units: signed change that really happened, units; 0 where nothing moved.
    """

    day: Ints
    second: Ints
    sku: Ints
    location: Ints
    kind: Ints
    quantity: Ints
    pack: Ints
    price_minor: Ints
    user: Ints
    reference: Ints
    number: Ints
    invoice: Ints
    expected_units: Ints
    error: Ints
    true_sku: Ints
    true_location: Ints
    true_units: Ints

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.day.size)

    @property
    def booked_units(self) -> Ints:
        """Signed change of the books, units."""
        return self.quantity * self.pack

    def select(self, rows: Ints) -> MovementRows:
        """Return the rows at the given places, in that order."""
        return MovementRows(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def true_movements(
    day: int,
    second: Ints | int,
    *,
    sku: Ints,
    location: Ints | int,
    kind: Kind,
    units: Ints,
    user: Ints,
    reference: Reference,
    number: Ints | int,
    price_minor: Ints | int = 0,
    pack: Ints | int = 1,
    invoice: Ints | int = 0,
    expected_units: Ints | int = NOT_EXPECTED,
) -> MovementRows:
    """Return movements booked exactly as they happened; single numbers hold for every row of `sku`.

    Raises:
        ValueError: `units` are not whole packs.
    """

    def column(value: Ints | int) -> Ints:
        return np.array(np.broadcast_to(np.asarray(value, dtype=np.int64), sku.shape))

    packs = column(pack)
    if np.any(units % packs):
        raise ValueError("units must be whole packs of the unit of measure they are booked in")
    return MovementRows(
        day=column(day),
        second=column(second),
        sku=column(sku),
        location=column(location),
        kind=column(kind),
        quantity=units // packs,
        pack=packs,
        price_minor=column(price_minor),
        user=column(user),
        reference=column(reference),
        number=column(number),
        invoice=column(invoice),
        expected_units=column(expected_units),
        error=column(ErrorKind.NONE),
        true_sku=column(sku),
        true_location=column(location),
        true_units=column(units),
    )


def join_rows(parts: Sequence[MovementRows]) -> MovementRows:
    """Return the rows of all parts, one after the other.

    Raises:
        ValueError: there is no part.
    """
    return MovementRows(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(MovementRows)}
    )


def in_order_of_time(rows: MovementRows) -> MovementRows:
    """Return the rows sorted by time; rows of one second keep their order."""
    return rows.select(np.argsort(rows.day * _SECONDS_PER_DAY + rows.second, kind="stable"))


def unnoticed(rows: MovementRows, came_units: Ints, *, is_short: Ints) -> MovementRows:
    """Return receipts of which less came than was booked or ordered, marked as short receipts where `is_short`."""
    return replace(
        rows, true_units=came_units, error=np.where(is_short == 1, np.int64(ErrorKind.SHORT_RECEIPT), rows.error)
    )


def movement_table(rows: MovementRows, *, catalogue: Catalogue, chain: Chain, days: TradingDays) -> pl.DataFrame:
    """Return table `movements` from rows in order of time."""
    midnight = datetime.combine(days.first_day, time(), tzinfo=UTC)
    instant = pl.Series(rows.day * _SECONDS_PER_DAY + rows.second) * 1_000_000
    expected = pl.Series(rows.expected_units)
    packs = np.unique(rows.pack)
    units = pl.Series([_PIECE if size == 1 else f"pack of {size}" for size in packs.tolist()])
    return MOVEMENTS.conform(
        pl.DataFrame(
            {
                "movement": movement_ids(rows),
                "occurred_at_utc": pl.select(pl.lit(midnight) + instant.cast(pl.Duration("us"))).to_series(),
                "sku": named(catalogue.sku, rows.sku),
                "location": named(chain.location, rows.location),
                "kind": named([kind.name.lower() for kind in Kind], rows.kind),
                "quantity": rows.quantity,
                "unit_of_measure": units.gather(np.searchsorted(packs, rows.pack)),
                "unit_price": major_units(rows.price_minor),
                "user": named(chain.user, rows.user),
                "reference": _reference_text(rows),
                "quantity_expected": expected.set(expected == NOT_EXPECTED, None),
            }
        )
    )


def movement_ids(rows: MovementRows) -> pl.Series:
    """Return identifiers that sort in order of the rows."""
    return pl.select(pl.format("M{}", _padded(pl.int_range(1, rows.n_rows + 1), 9))).to_series()


def named(names: Sequence[str], index: Ints) -> pl.Series:
    """Return the name behind each index."""
    return pl.Series(names, dtype=pl.String).gather(index)


def major_units(minor: Ints) -> Floats:
    """Return money in units of currency."""
    return minor / 100


def order_ids(number: Ints) -> pl.Series:
    """Return the identifiers of purchase orders."""
    return pl.select(pl.format("PO-{}", _padded(pl.lit(pl.Series(number)), 6))).to_series()


def _padded(number: pl.Expr, width: int) -> pl.Expr:
    return number.cast(pl.String).str.zfill(width)


def _reference_text(rows: MovementRows) -> pl.Series:
    """Return the reference of each row as text."""
    number, invoice = pl.col("number"), pl.col("invoice")
    week = pl.col("number").cast(pl.String)
    texts = {
        Reference.INVOICE: pl.format("INV-{}", _padded(number, 9)),
        Reference.RETURN_NOTE: pl.format("RET-{}/INV-{}", _padded(number, 6), _padded(invoice, 9)),
        Reference.ORDER: pl.format("PO-{}", _padded(number, 6)),
        Reference.COUNT: pl.format("COUNT-{}-W{}", week.str.head(4), week.str.tail(2)),
        Reference.NOTE: pl.format("ADJ-{}", _padded(number, 6)),
        Reference.TRANSFER: pl.format("TR-{}", _padded(number, 7)),
        Reference.OPENING: pl.lit("OPENING"),
    }
    frame = pl.DataFrame({"reference": rows.reference, "number": rows.number, "invoice": rows.invoice})
    frame = frame.with_row_index("row")
    parts = [frame.filter(pl.col("reference") == int(kind)).select("row", text=text) for kind, text in texts.items()]
    return pl.concat(parts).sort("row")["text"]
