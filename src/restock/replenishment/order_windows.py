"""Stock projected along sample paths to the window that an order placed now has to cover.

The window of an order runs from its receipt, period L, to just before the receipt of the order that follows. Without
the order, the level (on hand - backorders) falls short of zero by B_t at the end of period t. With q units more from L
on it falls short by B_t - q where unmet demand waits. Where it is lost, let M_t be the largest B from L up to t, with
nothing taken back for what is lost: then q units more leave (q - M_t)+ of their own at the end of t, and (M_t - q)+ are
lost from L up to t. So in both cases the cost of an order is a convex, piecewise linear function of q with kinks at the
samples of B or M: a newsvendor problem with weights, exact on the paths, with no need to simulate each q.

Source: restock; M_t is Skorokhod's regulator, Asmussen (2003), Applied Probability and Queues, chapter IX.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.replenishment.order_lines import Floats, Integers, OrderLines
from restock.replenishment.simulate import UnmetDemand

Samples = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class OrderWindows:
    """The windows of some lines; W is the longest of them, periods.

    Attributes:
        shortfalls: shape (W, n_series, n_paths), units by which stock falls short without the order (M where demand is
            lost, B where it waits), by period since receipt; negative where stock is left, inf outside.
        demand: the same shape, units, 0 outside; None where demand is lost.
        worst: shape (n_series, n_paths), the largest shortfall of the window, units.
        at_expiry: shape (n_series, n_paths), M at the end of the last period in which the order can be sold; inf:
            it keeps.
        other_held: shape (n_series,), unit-periods that are held whatever the order, mean over paths.
        shortfall_sum: shape (n_series,), sum of B over the window, mean over paths.
        periods: shape (n_series,), length of the window, mean over paths.
        window_demand: shape (n_series,), units, mean over paths.
        protection_demand: shape (n_series, n_paths), units from now to the end of the window.
        lost_before: shape (n_series, n_paths), units lost before receipt whatever the order; None where demand waits.
        unmet: whether demand waits or is lost.
    """

    shortfalls: Samples
    demand: Samples | None
    worst: Samples
    at_expiry: Samples | None
    other_held: NDArray[np.float64]
    shortfall_sum: NDArray[np.float64]
    periods: NDArray[np.float64]
    window_demand: NDArray[np.float64]
    protection_demand: Samples
    lost_before: Samples | None
    unmet: UnmetDemand

    def from_full_stock(self, rows: Integers) -> OrderWindows:
        """Return the windows of some lines as they would be with enough stock to lose nothing before receipt.

        What is added to stock now to serve that demand is gone by then, so shortfalls against today's position grow by
        it: levels read off these windows hold for any stock, those of a line that runs out tell only of today.
        """
        lost = np.zeros((len(rows), self.worst.shape[1]), dtype=np.float32)
        lost = lost if self.lost_before is None else self.lost_before[rows]
        return OrderWindows(
            shortfalls=self.shortfalls[:, rows] + lost,
            demand=None if self.demand is None else self.demand[:, rows],
            worst=self.worst[rows] + lost,
            at_expiry=None if self.at_expiry is None else self.at_expiry[rows] + lost,
            other_held=self.other_held[rows],
            shortfall_sum=self.shortfall_sum[rows],
            periods=self.periods[rows],
            window_demand=self.window_demand[rows],
            protection_demand=self.protection_demand[rows],
            lost_before=None,
            unmet=self.unmet,
        )


def project_windows(lines: OrderLines, *, covered_reviews: Integers, shelf_life_periods: Integers) -> OrderWindows:
    """Return the windows that orders placed now cover, on every path, with stock projected to them.

    Lots on hand go first-expired-first-out; the new order, which expires last, serves what nothing else can.

    Args:
        lines: demand, stock and lead times.
        covered_reviews: shape (n_series,), reviews until the order that follows, >= 1.
        shelf_life_periods: shape (n_series,), of the new order and of those open; 0: it keeps.

    Raises:
        HorizonError: a window reaches beyond the paths and `season_periods` is None.
    """
    lead = np.asarray(lines.lead_times, dtype=np.int32)
    following = lead if lines.next_lead_times is None else np.asarray(lines.next_lead_times, dtype=np.int32)
    # An order that crosses the one after it covers its period of receipt.
    end = np.maximum((covered_reviews * lines.review_periods)[:, None].astype(np.int32) + following, lead + 1)
    expiry = _last_saleable(lead, shelf_life_periods, horizon=lines.demand_paths.shape[2])
    if expiry is not None:
        end = np.minimum(end, expiry + 1)
    n_periods = int(end.max())
    # Waste beyond the last window is looked at only where paths, or their repetition, tell of it.
    last = n_periods if expiry is None else max(n_periods, int(expiry[expiry < _NEVER].max(initial=-1)) + 1)
    if lines.season_periods is None:
        last = max(n_periods, min(last, lines.demand_paths.shape[2]))
    run = _Projection(lines, lead=lead, end=end, expiry=expiry, shelf_life_periods=shelf_life_periods)
    source = lines.source_periods(last)
    demand = np.ascontiguousarray(np.moveaxis(lines.demand_paths, 2, 0), dtype=np.float32)
    arrivals = _dense_arrivals(lines, last)
    for period in range(last):
        run.step(period, demand[source[period]], None if arrivals is None else arrivals[period])
    return run.windows()


_NEVER = np.iinfo(np.int32).max - 1


def _last_saleable(lead: NDArray[np.int32], shelf_life_periods: Integers, *, horizon: int) -> NDArray[np.int32] | None:
    """Return the last period in which the order can be sold; one too far to matter is never."""
    perishes = (shelf_life_periods > 0) & (shelf_life_periods <= 2 * horizon)
    if not perishes.any():
        return None
    last = lead + shelf_life_periods[:, None].astype(np.int32) - 1
    return np.where(perishes[:, None], last, _NEVER).astype(np.int32)


def _dense_arrivals(lines: OrderLines, n_periods: int) -> Samples | None:
    """Return units received at the start of each period, shape (n_periods, n_series, n_paths)."""
    orders = lines.open_orders
    if orders is None or len(orders.series) == 0:
        return None
    shape = (n_periods, lines.n_series, lines.n_paths)
    due = np.asarray(orders.arrival_periods, dtype=np.int64)
    units = np.asarray(orders.units, dtype=np.float64)
    units = np.broadcast_to(units[:, None] if units.ndim == 1 else units, due.shape)
    place = (due * shape[1] + np.asarray(orders.series)[:, None]) * shape[2] + np.arange(shape[2])
    seen = due < n_periods
    found = np.bincount(place[seen], weights=units[seen], minlength=int(np.prod(shape)))
    return found.reshape(shape).astype(np.float32)


class _Projection:
    """Levels while they are projected, period by period."""

    def __init__(
        self,
        lines: OrderLines,
        *,
        lead: NDArray[np.int32],
        end: NDArray[np.int32],
        expiry: NDArray[np.int32] | None,
        shelf_life_periods: Integers,
    ) -> None:
        shape = lead.shape
        self.lines, self.lead, self.end, self.expiry = lines, lead, end, expiry
        self.is_lost = lines.unmet is UnmetDemand.LOST
        self.first_receipt, self.last_receipt = int(lead.min()), int(lead.max())
        self.shortest, self.width = int(end.min()), int((end - lead).max())
        level = lines.on_hand if self.is_lost else lines.on_hand - lines.backorders
        self.level = np.repeat(np.asarray(level, dtype=np.float32)[:, None], shape[1], axis=1)
        self.shortfalls = np.full((self.width, *shape), np.inf, dtype=np.float32)
        self.demand = None if self.is_lost else np.zeros((self.width, *shape), dtype=np.float32)
        self.worst = np.full(shape, -np.inf, dtype=np.float32)
        self.window_worst = np.full(shape, -np.inf, dtype=np.float32)
        self.at_expiry = None if expiry is None else np.full(shape, np.inf, dtype=np.float32)
        self.other_held, self.shortfall_sum, self.window_demand = (np.zeros(shape[0]) for _ in range(3))
        self.protection_demand = np.zeros(shape, dtype=np.float32)
        self.lost = np.zeros(shape, dtype=np.float32) if self.is_lost else None
        self.lots = _Lots.of(lines, shape, shelf_life_periods) if expiry is not None or _has_lots(lines) else None

    def step(self, period: int, demand: Samples, arrived: Samples | None) -> None:
        """Take a period's receipts and demand."""
        if arrived is not None:
            self.level += arrived
        if self.lots is not None:
            self.lots.sell(np.minimum(np.maximum(self._stock(), 0), demand), arrived, period)
        self.level -= demand
        if period < self.first_receipt:
            if self.lost is not None:
                self.lost += np.maximum(-self.level, 0)
                np.maximum(self.level, 0, out=self.level)
        else:
            self._record(period, demand)
        if period < self.shortest:
            self.protection_demand += demand
        else:
            np.add(self.protection_demand, demand, out=self.protection_demand, where=period < self.end)
        if self.lots is not None:
            self.level -= self.lots.expire(period, np.maximum(self._stock(), 0))

    def _stock(self) -> Samples:
        """Return the level with what was lost since receipt put back, so that what is on hand is not below 0."""
        if not self.is_lost:
            return self.level
        return self.level + np.maximum(self.worst, 0)

    def _record(self, period: int, demand: Samples) -> None:
        """Keep the shortfalls of paths that have received the order; the others lose what they can't serve."""
        shortfall = -self.level
        if period < self.last_receipt:
            is_received = self.lead <= period
            np.maximum(self.worst, shortfall, out=self.worst, where=is_received)
            if self.lost is not None:
                np.add(self.lost, np.maximum(shortfall, 0), out=self.lost, where=~is_received)
                np.maximum(self.level, 0, out=self.level, where=~is_received)
            is_inside = is_received & (period < self.end)
        else:
            np.maximum(self.worst, shortfall, out=self.worst)
            is_inside = period < self.end
        if self.expiry is not None and self.at_expiry is not None:
            np.copyto(self.at_expiry, self.worst, where=self.expiry == period)
        places = np.flatnonzero(is_inside)
        if len(places) == 0:
            return
        np.copyto(self.window_worst, self.worst, where=is_inside)
        targets = (period - self.lead.ravel()[places]).astype(np.int64) * shortfall.size + places
        kept = self.worst if self.is_lost else shortfall
        self.shortfalls.reshape(-1)[targets] = kept.ravel()[places]
        if self.demand is not None:
            self.demand.reshape(-1)[targets] = demand.ravel()[places]
        self.window_demand += _masked_sum(demand, is_inside)
        if self.is_lost:
            self.other_held += _masked_sum(self.worst - shortfall, is_inside)
        else:
            self.shortfall_sum += _masked_sum(shortfall, is_inside)

    def windows(self) -> OrderWindows:
        """Return what was kept."""
        n_paths = self.lead.shape[1]
        return OrderWindows(
            shortfalls=self.shortfalls,
            demand=self.demand,
            worst=self.window_worst,
            at_expiry=self.at_expiry,
            other_held=self.other_held / n_paths,
            shortfall_sum=self.shortfall_sum / n_paths,
            periods=(self.end - self.lead).mean(axis=1),
            window_demand=self.window_demand / n_paths,
            protection_demand=self.protection_demand,
            lost_before=self.lost,
            unmet=self.lines.unmet,
        )


def _masked_sum(values: Samples, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sum(np.where(mask, values, 0), axis=1, dtype=np.float64)
    return found


def _has_lots(lines: OrderLines) -> bool:
    return lines.expiring_units is not None and bool(np.any(lines.expiring_units > 0))


class _Lots:
    """What expires, first-expired-first-out, without keeping lots apart.

    Of all units that expire up to period e, A_e, those neither sold nor expired by its end expire then. Lots are taken
    to be received in the order in which they expire.
    """

    def __init__(self, expiring: Floats | None, shape: tuple[int, ...], shelf_life_periods: Integers) -> None:
        self.expiring, self.shelf_life_periods = expiring, shelf_life_periods
        self.sold, self.expired, self.due = (np.zeros(shape, dtype=np.float32) for _ in range(3))
        self.received: dict[int, Samples] = {}

    @classmethod
    def of(cls, lines: OrderLines, shape: tuple[int, ...], shelf_life_periods: Integers) -> _Lots:
        return cls(lines.expiring_units, shape, shelf_life_periods)

    def sell(self, sold: Samples, arrived: Samples | None, period: int) -> None:
        self.sold += sold
        if arrived is not None:
            self.received[period] = arrived

    def expire(self, period: int, on_hand: Samples) -> Samples:
        """Return what expires at the end of a period, at most what is on hand."""
        if self.expiring is not None and period < self.expiring.shape[1]:
            self.due += np.asarray(self.expiring[:, period], dtype=np.float32)[:, None]
        for life in np.unique(self.shelf_life_periods[self.shelf_life_periods > 0]):
            arrived = self.received.get(period - int(life) + 1)
            if arrived is not None:
                self.due += np.where((self.shelf_life_periods == life)[:, None], arrived, np.float32(0))
        gone: Samples = np.minimum(np.maximum(self.due - self.sold - self.expired, 0), on_hand)
        self.expired += gone
        return gone
