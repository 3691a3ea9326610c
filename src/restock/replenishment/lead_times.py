"""Lead times as distributions per supplier, sku and mode: the promise and what suppliers make of it.

A lead time is the promised one plus a delay, in days, early below 0. Delays are learned from all orders, from the
supplier's, from those of its mode and from those of the sku, each on top of the wider group (`delay_distribution`).
Within a supplier, the lines of one order travel together and count as one order there.

Where late orders with a longer promise are later, delays grow as a power of the promised days, at most in proportion;
so a longer promise never means an earlier receipt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.replenishment.delay_distribution import (
    LONGEST_DAYS,
    likeliest_strength,
    shrunken_shares,
    starting_shares,
)
from restock.replenishment.lead_time_history import MODE, Crossing, OrderHistory, count_crossing, know_at, with_mode
from restock.replenishment.received_shares import ReceivedShares, fit_received_shares

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]

# From the widest group to the narrowest.
LEVELS: tuple[tuple[str, ...], ...] = ((), ("supplier",), ("supplier", MODE), ("supplier", "sku", MODE))
_NARROWEST = len(LEVELS) - 1
# Days of the grid above the longest delay that was seen: an order may take longer than any before.
_BEYOND_DAYS = (1, 2, 4, 8, 16, 32)
_MOST_GRID_DAYS = 160
# Groups from whose histories the strength of a prior is told; more cost time and tell little.
_MOST_TELLING_GROUPS = 2_000
_SUM_DIGITS = 9
# A slope is believed from so many standard errors on.
_BELIEVED = 2.0


@dataclass(frozen=True, kw_only=True)
class DelayCounts:
    """Orders of one level by group and delay, as rows.

    Attributes:
        names: name of each group, one text a column of the level.
        group: index of the group, shape (n_rows,).
        day: index on the grid of delays, same shape.
        came: orders that came with the delay, same shape.
        still_open: orders that had reached the delay and were open, same shape.
    """

    names: tuple[tuple[str, ...], ...]
    group: Integers
    day: Integers
    came: Floats
    still_open: Floats


@dataclass(frozen=True, kw_only=True)
class LeadTimes:
    """Fitted lead times; draw from them with `lead_time_draws`.

    Attributes:
        cutoff: last day whose orders and receipts are known.
        days: delays of the grid, rising, in days at the usual promise.
        counts: of each of `LEVELS`, what the distributions rest on.
        strengths: orders that the wider group is worth, of each level.
        delay_cdf: shape (n_groups of all levels, n_days), chance of a delay of at most each grid day.
        usual_promise_days: the promise at which a delay counts as it is, > 0.
        scale_exponent: power of the promised days with which delays grow, 0-1.
        usual_lead_days: by supplier, what stands for the promise of an order without one; "" is for all others.
        shortest_lead_days: no order is taken to come sooner.
        received: how much of an order comes.
        crossing: how often orders crossed.
        n_lines: order lines that were sent.
        n_open: those of them that had not come.
    """

    cutoff: date
    days: Integers
    counts: tuple[DelayCounts, ...]
    strengths: tuple[float, ...]
    delay_cdf: Floats
    usual_promise_days: float
    scale_exponent: float
    usual_lead_days: dict[str, float]
    shortest_lead_days: int
    received: ReceivedShares
    crossing: Crossing
    n_lines: int
    n_open: int

    def find_groups(self, lines: pl.DataFrame) -> Integers:
        """Return the row of `delay_cdf` of the narrowest group that each line belongs to, shape (n_lines,).

        Args:
            lines: columns supplier and sku; `mode` is optional.
        """
        wanted = with_mode(lines).with_row_index("_line")
        first, found = 0, np.zeros(lines.height, dtype=np.int64)
        for level, counts in zip(LEVELS, self.counts, strict=True):
            if level:
                known = pl.DataFrame(counts.names, schema=dict.fromkeys(level, pl.String), orient="row")
                matched = wanted.join(known.with_row_index("_group"), on=list(level), how="left").sort("_line")
                group = matched["_group"].cast(pl.Int64).fill_null(-1).to_numpy()
                found = np.where(group >= 0, first + group, found)
            first += len(counts.names)
        return found

    def scale(self, promised_days: Floats) -> NDArray[np.float64]:
        """Return by how much delays at this promise are wider than at the usual one, same shape."""
        found: NDArray[np.float64] = _scale(promised_days, self.usual_promise_days, self.scale_exponent)
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the fit as plain values, from which `read_lead_times` builds the same again."""
        return {
            "cutoff": self.cutoff.isoformat(),
            "days": self.days.tolist(),
            "counts": [
                {
                    "names": [list(name) for name in counts.names],
                    "group": counts.group.tolist(),
                    "day": counts.day.tolist(),
                    "came": counts.came.tolist(),
                    "still_open": counts.still_open.tolist(),
                }
                for counts in self.counts
            ],
            "strengths": list(self.strengths),
            "usual_promise_days": self.usual_promise_days,
            "scale_exponent": self.scale_exponent,
            "usual_lead_days": self.usual_lead_days,
            "shortest_lead_days": self.shortest_lead_days,
            "received": self.received.as_json(),
            "crossing": {"n_pairs": self.crossing.n_pairs, "n_crossed": self.crossing.n_crossed},
            "n_lines": self.n_lines,
            "n_open": self.n_open,
        }


def fit_lead_times(purchase_orders: pl.DataFrame, *, cutoff: date) -> LeadTimes:
    """Return the lead times that the orders known at the end of `cutoff` tell.

    Assumptions: delays of an order's lines are one draw at the supplier and independent between orders; open orders
    are censored by the cutoff alone; locations of one supplier and sku share their delays.

    Args:
        purchase_orders: table `purchase_orders`; a column `mode` (text) is optional. What happened after `cutoff` is
            not looked at.
        cutoff: last day that is known.

    Raises:
        InsufficientHistoryError: nothing was ordered by then.
    """
    history = know_at(purchase_orders, cutoff=cutoff)
    usual_lead = _usual_lead_days(history)
    promised = _filled_promise(history, usual_lead)
    usual_promise = float(max(1.0, np.median(promised)))
    exponent = _scale_exponent(history, promised)
    scale = _scale(promised, usual_promise, exponent)
    came_at = np.round((history.lead_days - promised) / scale)
    open_at = np.floor((history.age_days - promised) / scale)
    days = _grid(came_at[~history.is_open])
    # An open order's next hazard is that of the first day above what it has reached.
    index = np.where(
        history.is_open,
        np.searchsorted(days, open_at, side="right") - 1,
        np.minimum(np.searchsorted(days, np.nan_to_num(came_at), side="left"), days.size - 1),
    )
    counts = tuple(_count(history, index, level=level) for level in range(len(LEVELS)))
    strengths, cdf = _fit_levels(counts, days)
    seen = history.lead_days[~history.is_open]
    return LeadTimes(
        cutoff=cutoff,
        days=days,
        counts=counts,
        strengths=strengths,
        delay_cdf=cdf,
        usual_promise_days=usual_promise,
        scale_exponent=exponent,
        usual_lead_days=usual_lead,
        shortest_lead_days=int(seen.min()) if seen.size else 0,
        received=fit_received_shares(history),
        crossing=count_crossing(history),
        n_lines=history.lines.height,
        n_open=int(history.is_open.sum()),
    )


def read_lead_times(values: dict[str, Any]) -> LeadTimes:
    """Return the lead times that `LeadTimes.as_json` gave."""
    days = np.array(values["days"], dtype=np.int64)
    counts = tuple(
        DelayCounts(
            names=tuple(tuple(name) for name in level["names"]),
            group=np.array(level["group"], dtype=np.int64),
            day=np.array(level["day"], dtype=np.int64),
            came=np.array(level["came"], dtype=np.float64),
            still_open=np.array(level["still_open"], dtype=np.float64),
        )
        for level in values["counts"]
    )
    strengths = tuple(values["strengths"])
    _, cdf = _fit_levels(counts, days, strengths=strengths)
    return LeadTimes(
        cutoff=date.fromisoformat(values["cutoff"]),
        days=days,
        counts=counts,
        strengths=strengths,
        delay_cdf=cdf,
        usual_promise_days=values["usual_promise_days"],
        scale_exponent=values["scale_exponent"],
        usual_lead_days=dict(values["usual_lead_days"]),
        shortest_lead_days=values["shortest_lead_days"],
        received=ReceivedShares(**values["received"]),
        crossing=Crossing(**values["crossing"]),
        n_lines=values["n_lines"],
        n_open=values["n_open"],
    )


def _fit_levels(
    counts: tuple[DelayCounts, ...], days: Integers, *, strengths: tuple[float, ...] | None = None
) -> tuple[tuple[float, ...], Floats]:
    """Return the strength of each level's prior, and the distributions of all groups, the widest first."""
    found, rows = [], []
    parent_names: dict[tuple[str, ...], int] = {}
    parents = starting_shares(days)[None, :]
    for number, (level, count) in enumerate(zip(LEVELS, counts, strict=True)):
        wider = LEVELS[number - 1] if number else ()
        places = [level.index(column) for column in wider]
        prior = (
            parents[[parent_names[tuple(name[place] for place in places)] for name in count.names]]
            if number
            else parents
        )
        came, still_open = _matrix(count, count.came, days.size), _matrix(count, count.still_open, days.size)
        if strengths is not None:
            strength = strengths[number]
        elif number == 0:
            strength = 1.0
        else:
            every = max(1, -(-len(count.names) // _MOST_TELLING_GROUPS))
            telling = slice(None, None, every)
            strength = likeliest_strength(came[telling], still_open[telling], prior=prior[telling])
        shares = shrunken_shares(came, still_open, prior=prior, strength=strength)
        found.append(strength)
        rows.append(shares)
        parents, parent_names = shares, {name: row for row, name in enumerate(count.names)}
    cdf = np.cumsum(np.concatenate(rows), axis=1)
    cdf[:, -1] = 1.0
    return tuple(found), np.minimum(cdf, 1.0)


def _matrix(count: DelayCounts, weight: Floats, n_days: int) -> NDArray[np.float64]:
    """Return the orders by group and delay, shape (n_groups, n_days)."""
    size = len(count.names) * n_days
    found = np.bincount(count.group * n_days + count.day, weights=weight, minlength=size).astype(np.float64)
    return found.reshape(-1, n_days)


def _count(history: OrderHistory, index: Integers, *, level: int) -> DelayCounts:
    """Return the orders of a level by group and delay; an open order that has reached no grid day tells nothing."""
    columns = list(LEVELS[level])
    order = history.lines.group_by(pl.col("supplier"), pl.col("order")).len("n_in_order")
    lines = history.lines.join(order, on=["supplier", "order"], how="left", maintain_order="left")
    weight = np.ones(lines.height) if level == _NARROWEST else 1.0 / lines["n_in_order"].to_numpy()
    frame = lines.with_columns(
        pl.Series("day", index), pl.Series("came", np.where(history.is_open, 0.0, weight)),
        pl.Series("open", np.where(history.is_open, weight, 0.0)),
    )  # fmt: skip
    # Shares of one order, added up in any order: the last digits would differ from run to run.
    sums = (pl.col(name).sum().round(_SUM_DIGITS) for name in ("came", "open"))
    told = frame.group_by(*columns, "day").agg(*sums).sort(*columns, "day")
    if not columns:
        names: tuple[tuple[str, ...], ...] = ((),)
        told = told.with_columns(group=pl.lit(0, dtype=pl.Int64))
    else:
        groups = told.select(columns).unique(maintain_order=True)
        names = tuple(groups.rows())
        told = told.join(
            groups.with_columns(group=pl.int_range(pl.len())), on=columns, how="left", maintain_order="left"
        )
    told = told.filter(pl.col("day") >= 0)
    return DelayCounts(
        names=names,
        group=told["group"].to_numpy().astype(np.int64),
        day=told["day"].to_numpy().astype(np.int64),
        came=told["came"].to_numpy(),
        still_open=told["open"].to_numpy(),
    )


def _grid(came_at: Floats) -> Integers:
    """Return delays to tell apart: those that were seen, on time, and some beyond the longest."""
    seen = np.unique(np.clip(came_at, -LONGEST_DAYS, LONGEST_DAYS).astype(np.int64)) if came_at.size else np.array([0])
    if seen.size > _MOST_GRID_DAYS:
        at = np.unique(np.round(np.linspace(0, came_at.size - 1, _MOST_GRID_DAYS)).astype(np.int64))
        seen = np.unique(np.append(np.sort(came_at)[at], seen[-1]).clip(-LONGEST_DAYS, LONGEST_DAYS).astype(np.int64))
    last = max(int(seen[-1]), 0)
    found: Integers = np.unique(np.concatenate([seen, [0], last + np.array(_BEYOND_DAYS)])).astype(np.int64)
    return found


def _usual_lead_days(history: OrderHistory) -> dict[str, float]:
    """Return the median of promised days, or of lead times where nothing was ever promised, by supplier and of all."""
    told = np.where(np.isnan(history.promised_days), history.lead_days, history.promised_days)
    frame = history.lines.select("supplier", days=pl.Series(np.where(np.isnan(told), history.age_days, told)))
    by_supplier = frame.group_by("supplier").agg(pl.col("days").median()).sort("supplier")
    return {str(name): float(days) for name, days in by_supplier.rows()} | {
        "": float(np.median(frame["days"].to_numpy()))
    }


def _filled_promise(history: OrderHistory, usual_lead_days: dict[str, float]) -> NDArray[np.float64]:
    usual = history.lines["supplier"].replace_strict(usual_lead_days, return_dtype=pl.Float64).to_numpy()
    found: NDArray[np.float64] = np.where(np.isnan(history.promised_days), usual, history.promised_days)
    return found


def _scale(promised_days: Floats, usual_promise_days: float, exponent: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (np.maximum(promised_days, 1.0) / usual_promise_days) ** exponent
    return found


def _scale_exponent(history: OrderHistory, promised: Floats) -> float:
    """Return the slope of the log of delays' sizes on the log of promised days, 0-1; 0 where it may well be none.

    Source: after Glejser (1969), A new test for heteroskedasticity.
    """
    size = np.abs(history.lead_days - promised)
    told = ~history.is_open & (size > 0) & (promised >= 1) & ~np.isnan(history.promised_days)
    if told.sum() < 3:
        return 0.0
    x, y = np.log(promised[told]), np.log(size[told])
    x = x - x.mean()
    spread = float((x**2).sum())
    if spread <= 1e-9:
        return 0.0
    slope = float((x * y).sum()) / spread
    rest = y - y.mean() - slope * x
    error = float(np.sqrt((rest**2).sum() / (told.sum() - 2) / spread))
    return float(np.clip(slope, 0.0, 1.0)) if slope > _BELIEVED * error else 0.0
