"""How long orders take and how much of them comes, drawn from the deliveries of the past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

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
