"""What purchase orders tell of lead times at a cutoff: what had come, was still open, was short, and what crossed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import InsufficientHistoryError

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

MODE = "mode"
_DAY = pl.Int32


@dataclass(frozen=True, kw_only=True)
class OrderHistory:
    """Order lines as they were known at a cutoff; arrays of shape (n_lines,).

    Attributes:
        cutoff: last day that is known.
        lines: columns supplier, sku, location, mode, order; one row a line.
        age_days: days from the order to the cutoff, >= 0.
        promised_days: days from the order to the promised day; NaN where nothing was promised.
        lead_days: days from the order until all had come; NaN while open.
        received_share: received / ordered quantity of lines that have ended; NaN while open.
    """

    cutoff: date
    lines: pl.DataFrame
    age_days: Floats
    promised_days: Floats
    lead_days: Floats
    received_share: Floats

    @property
    def is_open(self) -> Bools:
        """Whether a line was still expected at the cutoff."""
        found: Bools = np.isnan(self.lead_days)
        return found


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """How often an order came before one that was placed earlier.

    Attributes:
        n_pairs: orders next to each other in time, of one supplier, sku and location, of which it is known who came
            first.
        n_crossed: pairs of which the later order came first.
    """

    n_pairs: int
    n_crossed: int

    @property
    def share(self) -> float:
        """Crossed pairs / pairs, 0-1; 0 where there is no pair."""
        return self.n_crossed / self.n_pairs if self.n_pairs else 0.0


def with_mode(orders: pl.DataFrame) -> pl.DataFrame:
    """Return the orders with column `mode`, empty text where a line has none."""
    if MODE not in orders.columns:
        return orders.with_columns(pl.lit("").alias(MODE))
    return orders.with_columns(pl.col(MODE).cast(pl.String).fill_null(""))


def know_at(purchase_orders: pl.DataFrame, *, cutoff: date) -> OrderHistory:
    """Return the order lines as they were known at the end of `cutoff`.

    A line that came later was open then; how much of it came is not looked at.

    Args:
        purchase_orders: table `purchase_orders`; a column `mode` (text) is optional.
        cutoff: last day that is known.

    Raises:
        InsufficientHistoryError: nothing was ordered by then.
    """
    known = with_mode(purchase_orders).filter(pl.col("ordered_on") <= cutoff, pl.col("quantity_ordered") > 0)
    if known.is_empty():
        raise InsufficientHistoryError(
            f"no purchase order was sent by {cutoff}, expected one or more. Take a later cutoff or import orders."
        )
    ordered = known["ordered_on"].cast(_DAY).to_numpy().astype(np.float64)
    promised = known["promised_on"].cast(_DAY).cast(pl.Float64).fill_null(np.nan).to_numpy()
    received = pl.when(pl.col("received_on") <= cutoff).then(pl.col("received_on").cast(_DAY).cast(pl.Float64))
    came = known.select(received.fill_null(np.nan).alias("day"))["day"].fill_null(np.nan).to_numpy()
    share = (known["quantity_received"] / known["quantity_ordered"]).cast(pl.Float64).to_numpy()
    return OrderHistory(
        cutoff=cutoff,
        lines=known.select("supplier", "sku", "location", MODE, "order"),
        age_days=float(_day_number(cutoff)) - ordered,
        promised_days=promised - ordered,
        lead_days=came - ordered,
        received_share=np.where(np.isnan(came), np.nan, share),
    )


def count_crossing(history: OrderHistory) -> Crossing:
    """Return how often consecutive orders of a sku, location and supplier crossed; orders of one day don't."""
    placed = -history.age_days
    came = placed + np.where(history.is_open, np.inf, history.lead_days)
    frame = history.lines.with_columns(placed=pl.Series(placed), came=pl.Series(came))
    key = ["supplier", "sku", "location"]
    by_day = frame.group_by(*key, "placed").agg(first=pl.col("came").min(), last=pl.col("came").max())
    pairs = by_day.sort(*key, "placed").with_columns(
        earlier=pl.col("last").shift(1).over(key, order_by="placed"),
    )
    pairs = pairs.filter(pl.col("earlier").is_not_null(), pl.col("first").is_finite() | pl.col("earlier").is_finite())
    crossed = pairs.filter(pl.col("first") < pl.col("earlier"))
    return Crossing(n_pairs=pairs.height, n_crossed=crossed.height)


def _day_number(day: date) -> int:
    return (day - date(1970, 1, 1)).days
