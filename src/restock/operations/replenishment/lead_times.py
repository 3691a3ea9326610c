"""How long orders take and how much of them comes, drawn for the lines of a plan from the deliveries of the past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import InsufficientHistoryError
from restock.replenishment.lead_time_draws import draw_lead_times, draw_received_shares, draw_remaining_days
from restock.replenishment.lead_times import LeadTimes, fit_lead_times
from restock.replenishment.order_lines import OpenOrders
from restock.replenishment.path_rule import remaining_periods
from restock.replenishment.walk_forward import FROM_OUTSIDE
from restock.timeline import Frequency

_NEW_ORDERS, _OPEN_ORDERS = 11, 13


@dataclass(frozen=True, kw_only=True)
class Deliveries:
    """Draws for every line.

    Attributes:
        lead_times: shape (n_lines, n_draws), periods, >= 0.
        received_share: the same shape, of what was ordered, 0-1.
    """

    lead_times: NDArray[np.int64]
    received_share: NDArray[np.float64]


def learn_lead_times(purchase_orders: pl.DataFrame, *, cutoff: date) -> LeadTimes | None:
    """Return the lead times that orders up to a day tell, None where nothing was ordered by then."""
    try:
        return fit_lead_times(purchase_orders, cutoff=cutoff)
    except InsufficientHistoryError:
        return None


def draw_deliveries(
    lines: pl.DataFrame, lead_times: LeadTimes | None, *, frequency: Frequency, n_draws: int, seed: int
) -> Deliveries:
    """Return draws of how long a new order of each line takes and how much of it comes.

    What a warehouse of one's own sends takes what its terms say, and all of it comes; so does everything where nothing
    was ever ordered.

    Args:
        lines: of `build_lines`.
        lead_times: of `learn_lead_times`.
        frequency: length of one period.
        n_draws: of every line.
        seed: of all draws.
    """
    quoted = lines["quoted_lead_time_periods"].to_numpy().astype(np.int64)
    lead = np.repeat(quoted[:, None], n_draws, axis=1)
    share = np.ones(lead.shape)
    outside = np.flatnonzero((lines["source"] == FROM_OUTSIDE).to_numpy())
    if lead_times is not None and outside.size:
        rng = np.random.default_rng([seed, _NEW_ORDERS])
        uniforms = rng.random((3, outside.size, n_draws))
        own = lines[outside]
        lead[outside] = draw_lead_times(lead_times, own, uniforms[0], period_days=frequency.days)
        share[outside] = draw_received_shares(lead_times, own, uniforms[1], uniforms[2])
    return Deliveries(lead_times=lead, received_share=share)


def draw_open_orders(
    lines: pl.DataFrame,
    purchase_orders: pl.DataFrame,
    lead_times: LeadTimes | None,
    *,
    deliveries: Deliveries,
    as_of: date,
    frequency: Frequency,
    seed: int,
) -> OpenOrders:
    """Return what is on its way to each line, with draws of when it comes and how much, given that it has not come yet.

    What stock says is on order without a purchase order, such as a transfer, counts as ordered just now.

    Args:
        lines: of `build_lines`.
        purchase_orders: table; orders after `as_of` are not read, nor that they were received after it.
        lead_times: of `learn_lead_times`, as of `as_of`.
        deliveries: draws for a new order of each line, of `draw_deliveries`.
        as_of: the day.
        frequency: length of one period.
        seed: of all draws.
    """
    n_draws = deliveries.lead_times.shape[1]
    opened = _open_lines(lines, purchase_orders, as_of=as_of)
    rows, units, arrivals = [], [], []
    if opened.height and lead_times is not None:
        uniforms = np.random.default_rng([seed, _OPEN_ORDERS]).random((3, opened.height, n_draws))
        days = draw_remaining_days(lead_times, opened, uniforms[0])
        share = draw_received_shares(lead_times, opened, uniforms[1], uniforms[2])
        ordered, came = (opened[name].to_numpy()[:, None] for name in ("quantity_ordered", "known_received"))
        rows.append(opened["place"].to_numpy().astype(np.int64))
        units.append(np.maximum(ordered * share - came, 0.0))
        # Tomorrow is period 0.
        arrivals.append(-(-days // frequency.days) - 1)
    without = lines.with_row_index("place").filter(
        pl.col("on_order") > 0, ~pl.col("place").is_in(opened["place"].unique().implode())
    )
    if without.height:
        places = without["place"].to_numpy().astype(np.int64)
        rows.append(places)
        units.append(np.repeat(without["on_order"].to_numpy()[:, None], n_draws, axis=1))
        arrivals.append(remaining_periods(deliveries.lead_times[places], age=0) - 1)
    if not rows:
        nothing = np.zeros((0, n_draws))
        return OpenOrders(series=np.zeros(0, dtype=np.int64), units=nothing, arrival_periods=nothing.astype(np.int64))
    return OpenOrders(
        series=np.concatenate(rows), units=np.concatenate(units), arrival_periods=np.concatenate(arrivals)
    )


def _open_lines(lines: pl.DataFrame, purchase_orders: pl.DataFrame, *, as_of: date) -> pl.DataFrame:
    """Return the order lines that were open at the end of a day, as it knew them, with the plan's line of each."""
    places = lines.with_row_index("place").select("sku", "location", "place")
    came_later = pl.col("received_on") > as_of
    return (
        purchase_orders.filter(pl.col("ordered_on") <= as_of, pl.col("received_on").is_null() | came_later)
        .with_columns(known_received=pl.when(came_later).then(0.0).otherwise("quantity_received"))
        .filter(pl.col("quantity_ordered") > pl.col("known_received"))
        .join(places, on=["sku", "location"], how="inner")
        .sort("place", "ordered_on", "order", "line")
    )
