"""Draws of lead times: of new orders, of what is still to come of open ones, and how much of each comes.

Each order draws for itself, so orders may cross. Uniform numbers come in: the same ones give the same draws to every
policy, and a longer promise or an older open order never a shorter one.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import DataError
from restock.replenishment import received_shares
from restock.replenishment.delay_distribution import longer_days
from restock.replenishment.lead_times import LeadTimes

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]

_DAY = pl.Int32
_EPOCH = date(1970, 1, 1)
_BLOCK_LINES = 256


def draw_lead_times(lead_times: LeadTimes, terms: pl.DataFrame, uniforms: Floats, *, period_days: int = 1) -> Integers:
    """Return whole-period lead times of new orders, shape (n_series, n_paths); a period that has begun counts.

    Args:
        lead_times: fitted.
        terms: one row a series: sku, supplier, quoted_lead_time_days (null where nothing is promised), `mode` if any.
        uniforms: shape (n_series, n_paths), in [0, 1).
        period_days: days in a period.
    """
    periods = -(-_lead_days(lead_times, _promised_days(lead_times, terms)) // period_days)
    place = _first_above(lead_times.delay_cdf, lead_times.find_groups(terms), uniforms)
    return np.take_along_axis(periods, place, axis=1)


def lead_time_quantiles(lead_times: LeadTimes, terms: pl.DataFrame, levels: tuple[float, ...]) -> Integers:
    """Return quantiles of the lead times of new orders, days, shape (n_series, n_levels).

    Args:
        lead_times: fitted.
        terms: as for `draw_lead_times`.
        levels: above 0 and below 1: the least number of days that is enough with this probability.
    """
    # Just below the level: a draw is the first delay whose chance is above the uniform number.
    uniforms = np.broadcast_to(np.nextafter(np.array(levels), 0), (terms.height, len(levels)))
    return draw_lead_times(lead_times, terms, uniforms)


def chance_of_lateness(lead_times: LeadTimes, lines: pl.DataFrame) -> NDArray[np.float64]:
    """Return the chance that a new order comes after the promised day, 0-1, shape (n_lines,).

    Args:
        lead_times: fitted.
        lines: columns sku, supplier, `mode` if any.
    """
    on_time = int(np.searchsorted(lead_times.days, 0))
    found: NDArray[np.float64] = 1 - lead_times.delay_cdf[lead_times.find_groups(lines), on_time]
    return found


def chance_of_short_delivery(lead_times: LeadTimes, lines: pl.DataFrame) -> NDArray[np.float64]:
    """Return the chance that less comes than was ordered, 0-1, shape (n_lines,); `lines` has column supplier."""
    chances = lead_times.received.p_short
    return lines["supplier"].replace_strict(chances, default=chances[""], return_dtype=pl.Float64).to_numpy()


def draw_remaining_days(lead_times: LeadTimes, open_lines: pl.DataFrame, uniforms: Floats) -> Integers:
    """Return days from the cutoff until open lines come, >= 1, shape (n_open, n_paths), given that they have not yet.

    Args:
        lead_times: fitted.
        open_lines: one row a line: sku, supplier, ordered_on, promised_on (null where nothing is), `mode` if any.
        uniforms: shape (n_open, n_paths), in [0, 1).

    Raises:
        DataError: a line was ordered after the cutoff.
    """
    cutoff = (lead_times.cutoff - _EPOCH).days
    ordered = open_lines["ordered_on"].cast(_DAY).to_numpy().astype(np.float64)
    if (ordered > cutoff).any():
        raise DataError(
            f"{int((ordered > cutoff).sum())} open lines were ordered after the cutoff {lead_times.cutoff}, expected "
            "none. Fit the lead times anew or leave them out."
        )
    promised_on = open_lines["promised_on"].cast(_DAY).cast(pl.Float64).fill_null(np.nan).to_numpy()
    usual = _usual_days(lead_times, open_lines)
    promised = np.where(np.isnan(promised_on), usual, promised_on - ordered)
    age = cutoff - ordered
    groups = lead_times.find_groups(open_lines)
    reached = (
        np.searchsorted(lead_times.days, np.floor((age - promised) / lead_times.scale(promised)), side="right") - 1
    )
    cdf = lead_times.delay_cdf
    passed = np.where(reached >= 0, cdf[groups, np.maximum(reached, 0)], 0.0)
    is_beyond = reached >= lead_times.days.size - 1
    # The last grid day holds all that is above it, so what has passed it follows the tail.
    conditional = passed[:, None] + uniforms * (1 - passed[:, None])
    place = _first_above(cdf, groups, conditional, at_least=np.minimum(reached + 1, cdf.shape[1] - 1))
    days = np.take_along_axis(_lead_days(lead_times, promised), place, axis=1) - age[:, None]
    late = np.maximum(age - promised, 0)[:, None]
    days = np.where(is_beyond[:, None], longer_days(np.broadcast_to(late, uniforms.shape), uniforms), days)
    return np.maximum(days, 1).astype(np.int64)


def draw_received_shares(lead_times: LeadTimes, lines: pl.DataFrame, uniforms: Floats, choices: Floats) -> Floats:
    """Return received / ordered quantity, 0-1, shape (n_lines, n_paths); orders with low uniforms are short.

    Args:
        lead_times: fitted.
        lines: column supplier.
        uniforms: shape (n_lines, n_paths), in [0, 1): whether an order is short.
        choices: same shape: how short.
    """
    return received_shares.draw_received_shares(lead_times.received, lines["supplier"], uniforms, choices)


def _first_above(cdf: Floats, groups: Integers, uniforms: Floats, *, at_least: Integers | None = None) -> Integers:
    """Return the first grid day whose chance is above each uniform number, shape (n_lines, n_paths).

    Days are counted one after the other for a block of lines, which stays in the processor's cache; most draws are
    found within a few days, so it is faster than a search of each.
    """
    n_days = cdf.shape[1]
    found = np.zeros(uniforms.shape, dtype=np.int64)
    for first in range(0, groups.size, _BLOCK_LINES):
        block = slice(first, first + _BLOCK_LINES)
        own, numbers, passed = cdf[groups[block]], uniforms[block], found[block]
        for day in range(n_days - 1):
            is_later = numbers >= own[:, day, None]
            if not is_later.any():
                break
            passed += is_later
    return found if at_least is None else np.maximum(found, at_least[:, None])


def _lead_days(lead_times: LeadTimes, promised_days: Floats) -> Integers:
    """Return the lead time that each delay of the grid makes of each promise, whole days, shape (n_lines, n_days)."""
    days = promised_days[:, None] + lead_times.days * lead_times.scale(promised_days)[:, None]
    return np.maximum(np.floor(days + 0.5), lead_times.shortest_lead_days).astype(np.int64)


def _promised_days(lead_times: LeadTimes, terms: pl.DataFrame) -> NDArray[np.float64]:
    quoted = terms["quoted_lead_time_days"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    found: NDArray[np.float64] = np.where(np.isnan(quoted), _usual_days(lead_times, terms), quoted)
    return found


def _usual_days(lead_times: LeadTimes, lines: pl.DataFrame) -> NDArray[np.float64]:
    usual = lead_times.usual_lead_days
    return lines["supplier"].replace_strict(usual, default=usual[""], return_dtype=pl.Float64).to_numpy()
