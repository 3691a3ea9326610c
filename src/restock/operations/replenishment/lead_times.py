"""How long orders take and how much of them comes, drawn from the deliveries of the past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.replenishment.order_lines import OpenOrders
from restock.replenishment.path_rule import remaining_periods
from restock.timeline import Frequency


@dataclass(frozen=True, kw_only=True)
class Deliveries:
    """Draws for every line.

    Attributes:
        lead_times: shape (n_lines, n_draws), periods, >= 0.
        received_share: the same shape, of what was ordered, 0-1.
    """

    lead_times: NDArray[np.int64]
    received_share: NDArray[np.float64]


def draw_deliveries(
    lines: pl.DataFrame,
    purchase_orders: pl.DataFrame,
    *,
    cutoff: date,
    frequency: Frequency,
    n_draws: int,
    seed: int,
) -> Deliveries:
    """Return draws of how long an order takes and how much of it comes, from the deliveries up to a day."""
    rng = np.random.default_rng(seed)
    known = purchase_orders.filter(pl.col("received_on") <= cutoff).with_columns(
        lead=(pl.col("received_on") - pl.col("ordered_on")).dt.total_days()
    )
    by = {key[0]: frame["lead"].to_numpy() for key, frame in known.group_by("supplier")}
    lead = np.repeat(lines["quoted_lead_time_periods"].to_numpy()[:, None], n_draws, axis=1)
    for row, supplier in enumerate(lines["supplier"].to_list()):
        if supplier in by:
            lead[row] = -(-rng.choice(by[supplier], size=n_draws) // frequency.days)
    return Deliveries(lead_times=lead, received_share=np.ones(lead.shape))


def draw_open_orders(
    lines: pl.DataFrame,
    purchase_orders: pl.DataFrame,
    deliveries: Deliveries,
    *,
    as_of: date,
    frequency: Frequency,
) -> OpenOrders:
    """Return what is on its way to each line, with draws of when it comes, given that it has not come yet.

    What stock says is on order without a purchase order, such as a transfer, counts as ordered just now.

    Args:
        lines: of `build_lines`.
        purchase_orders: table; orders after `as_of` are not read, nor that they were received after it.
        deliveries: draws for an order of each line, of `draw_deliveries`.
        as_of: the day.
        frequency: length of one period.
    """
    places = lines.with_row_index("line").select("sku", "location", "line")
    came_later = pl.col("received_on") > as_of
    opened = (
        purchase_orders.filter(pl.col("ordered_on") <= as_of, pl.col("received_on").is_null() | came_later)
        .with_columns(
            units=pl.when(came_later)
            .then("quantity_ordered")
            .otherwise(pl.col("quantity_ordered") - pl.col("quantity_received")),
            age=(pl.lit(as_of) - pl.col("ordered_on")).dt.total_days() // frequency.days,
        )
        .filter(pl.col("units") > 0)
        .join(places, on=["sku", "location"], how="inner")
        .group_by("line", "age")
        .agg(pl.col("units").sum())
        .sort("line", "age")
    )
    without = lines.with_row_index("line").filter(
        pl.col("on_order") > 0, ~pl.col("line").is_in(opened["line"].unique().implode())
    )
    rows = np.concatenate([opened["line"].to_numpy(), without["line"].to_numpy()]).astype(np.int64)
    ages = np.concatenate([opened["age"].to_numpy(), np.zeros(without.height)]).astype(np.int64)
    units = np.concatenate([opened["units"].to_numpy(), without["on_order"].to_numpy()]).astype(np.float64)
    arrivals = np.empty((len(rows), deliveries.lead_times.shape[1]), dtype=np.int64)
    for age in np.unique(ages):
        chosen = ages == age
        arrivals[chosen] = remaining_periods(deliveries.lead_times[rows[chosen]], age=int(age)) - 1
    return OpenOrders(series=rows, units=units, arrival_periods=arrivals)
