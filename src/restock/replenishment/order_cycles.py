"""How often a line is ordered, and lines in chunks of like windows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.order_lines import Integers, OrderLines, OrderTerms

# Lines worked on at once: their windows stay in the processor's cache.
_CHUNK_CELLS = 2_000_000


def map_chunks(
    work: Callable[[Integers], Any], lines: OrderLines, covered: Integers, *, n_threads: int
) -> tuple[list[Any], Integers]:
    """Return the results of work on chunks of lines of like windows, and the rows of all chunks in their order.

    Args:
        work: called with the rows of a chunk.
        lines: all of them.
        covered: shape (n_series,), reviews covered.
        n_threads: chunks worked on side by side.
    """
    if lines.n_series == 0:
        raise ValueError("there must be at least one line to order for, got none.")
    window = covered * lines.review_periods
    order = np.lexsort((lines.lead_times.mean(axis=1), window))
    chunks, first = [], 0
    while first < len(order):
        width = int(window[order[first]]) + lines.demand_paths.shape[2]
        size = max(1, min(512, _CHUNK_CELLS // (width * lines.n_paths)))
        # Windows of one length go together, or the longest sets the memory of all.
        same = int(np.searchsorted(window[order], window[order[first]] + 7, side="right"))
        chunks.append(order[first : min(first + size, same)])
        first += len(chunks[-1])
    if n_threads == 1:
        return [work(rows) for rows in chunks], order
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(work, chunks)), order


def covered_reviews(lines: OrderLines, terms: OrderTerms, *, most_covered_reviews: int = 8) -> NDArray[np.int64]:
    """Return how many reviews an order is to cover, shape (n_series,).

    The number with the least fixed and holding cost per period for expected demand from now on, at least as many as the
    smallest order lasts in whole, at most as many as a unit keeps.

    Source: Silver and Meal (1973), A Heuristic for Selecting Lot Size Quantities, with the least of all in place of the
        first that is less than the next.
    """
    review = np.asarray(lines.review_periods, dtype=np.int64)
    least = np.maximum(terms.minimum_order_quantity, terms.order_multiple)
    needs_more = (terms.fixed_order_cost > 0) | (least > 1)
    found = np.ones(lines.n_series, dtype=np.int64)
    rows = np.flatnonzero(needs_more)
    if len(rows) == 0 or most_covered_reviews == 1:
        return found
    horizon = lines.demand_paths.shape[2]
    mean = lines.demand_paths[rows].mean(axis=1, dtype=np.float64)
    span = int((review[rows] * (most_covered_reviews + 1)).max())
    # Beyond the horizon, expected demand goes on as it is on average: this sets only how often is ordered.
    rest = np.repeat(mean.mean(axis=1, keepdims=True), max(span - horizon, 0), axis=1)
    until = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(np.concatenate([mean, rest], axis=1), axis=1)], axis=1)
    # Unit-periods held from receipt to sale of all that is sold by period t: t x until(t) - the sum of what remained.
    area = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(until[:, 1:], axis=1)], axis=1)
    place = np.arange(len(rows))
    best, best_rate = found[rows], np.full(len(rows), np.inf)
    for reviews in range(1, most_covered_reviews + 1):
        end = reviews * review[rows]
        held = end * until[place, end] - area[place, end]
        rate = (terms.fixed_order_cost[rows] + terms.holding_cost[rows] * held) / end
        # The smallest order lasts to the review after: more reviews, whatever they cost.
        is_too_short = until[place, end + review[rows]] <= least[rows] * (1 + 1e-6)
        is_better = is_too_short | (rate < best_rate)
        best = np.where(is_better, reviews, best)
        best_rate = np.where(is_too_short, np.inf, np.minimum(rate, best_rate))
    life = terms.shelf_life_periods[rows]
    kept = np.where(life > 0, np.maximum(life // review[rows], 1), most_covered_reviews)
    found[rows] = np.minimum(best, kept)
    return found
