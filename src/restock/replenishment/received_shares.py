"""How much of an order comes: the chance of a short delivery per supplier, and how short short ones are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.replenishment.lead_time_history import OrderHistory

Floats = NDArray[np.floating[Any]]

# Of the share of units; below it an order counts as short.
_WHOLE = 1 - 1e-9
# Ended lines that the average of all suppliers is worth.
_PRIOR_LINES = 20.0
# Short lines that the short lines of all suppliers are worth.
_PRIOR_SHORT_LINES = 5.0
_MOST_KEPT = 512


@dataclass(frozen=True, kw_only=True)
class ReceivedShares:
    """How much of an order comes.

    Attributes:
        p_short: chance that less comes than was ordered, 0-1, by supplier; "" is for all others.
        short_shares: received / ordered of short lines, rising, by supplier with any; "" has those of all.
        short_lines: short lines of each supplier, as many as were seen.
    """

    p_short: dict[str, float]
    short_shares: dict[str, list[float]]
    short_lines: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return plain values; `ReceivedShares(**values)` is the same again."""
        return {"p_short": self.p_short, "short_shares": self.short_shares, "short_lines": self.short_lines}


def fit_received_shares(history: OrderHistory) -> ReceivedShares:
    """Return how much of an order comes; what came above the order counts as the whole."""
    ended = history.lines.select("supplier", share=pl.Series(history.received_share)).filter(
        pl.col("share").is_not_nan()
    )
    is_short = pl.col("share") < _WHOLE
    of_all = (ended.filter(is_short).height + 0.5) / (ended.height + 1.0) if ended.height else 0.0
    by_supplier = ended.group_by("supplier").agg(
        n=pl.len(), short=is_short.sum(), shares=pl.col("share").filter(is_short)
    )
    p_short, kept, lines = (
        {"": of_all},
        {"": _some(ended.filter(is_short)["share"])},
        {"": ended.filter(is_short).height},
    )
    for supplier, n, short, shares in by_supplier.sort("supplier").rows():
        p_short[supplier] = (short + _PRIOR_LINES * of_all) / (n + _PRIOR_LINES)
        if short:
            kept[supplier], lines[supplier] = _some(pl.Series(shares)), short
    return ReceivedShares(p_short=p_short, short_shares=kept, short_lines=lines)


def draw_received_shares(
    received: ReceivedShares, suppliers: pl.Series, uniforms: Floats, choices: Floats
) -> NDArray[np.float64]:
    """Return received / ordered quantity, 0-1, shape (n_lines, n_paths).

    Args:
        received: how much of an order comes.
        suppliers: of each line, shape (n_lines,).
        uniforms: shape (n_lines, n_paths), in [0, 1): whether an order is short, the low ones are.
        choices: same shape, in [0, 1): how short it is.
    """
    p_short = suppliers.replace_strict(
        received.p_short, default=received.p_short[""], return_dtype=pl.Float64
    ).to_numpy()
    shares = np.ones(uniforms.shape)
    row, path = np.nonzero(uniforms < p_short[:, None])
    of_all = np.array(received.short_shares[""] or [1.0])
    names = suppliers.to_numpy()
    for supplier in np.unique(names[row]).tolist():
        at = np.flatnonzero(names[row] == supplier)
        own = np.array(received.short_shares.get(supplier, []))
        weight = received.short_lines.get(supplier, 0) / (received.short_lines.get(supplier, 0) + _PRIOR_SHORT_LINES)
        choice = choices[row[at], path[at]]
        # The low part of the choices takes from the supplier's own short lines, the rest from those of all.
        is_own = choice < weight
        drawn = of_all[_place((choice - weight) / (1 - weight), of_all.size)]
        if own.size:
            drawn = np.where(is_own, own[_place(choice / weight, own.size)], drawn)
        shares[row[at], path[at]] = drawn
    return shares


def _place(choice: Floats, size: int) -> NDArray[np.int64]:
    return np.clip((choice * size).astype(np.int64), 0, size - 1)


def _some(shares: pl.Series) -> list[float]:
    """Return the shares in order, at most `_MOST_KEPT` of them evenly by rank."""
    values = np.sort(shares.to_numpy().astype(np.float64))
    if values.size > _MOST_KEPT:
        values = values[np.round(np.linspace(0, values.size - 1, _MOST_KEPT)).astype(np.int64)]
    return [float(value) for value in values]
