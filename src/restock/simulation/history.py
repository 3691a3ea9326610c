"""What a simulated company is before its first day, and what its days brought."""

from __future__ import annotations

from dataclasses import dataclass

from restock.simulation.arrays import Floats, Ints
from restock.simulation.catalogue import Catalogue
from restock.simulation.chain import Chain
from restock.simulation.demand import LatentDemand
from restock.simulation.movements import MovementRows
from restock.simulation.ordering import Planner
from restock.simulation.prices import Prices
from restock.simulation.purchasing import OrderBook
from restock.simulation.shopping import DayOfSales
from restock.simulation.suppliers import Suppliers
from restock.simulation.trading_days import TradingDays

NEVER_COUNTED = -1


@dataclass(frozen=True, kw_only=True)
class Company:
    """All that is fixed before the first day."""

    catalogue: Catalogue
    chain: Chain
    days: TradingDays
    prices: Prices
    demand: LatentDemand
    suppliers: Suppliers
    planner: Planner


@dataclass(frozen=True, kw_only=True)
class HiddenLosses:
    """Losses that nobody booked; arrays of shape (n_losses,).

    Attributes:
        kind: an `ErrorKind`: shrinkage or phantom stock.
        day: day of history.
        sku: article.
        store: store.
        units: units lost, > 0.
    """

    kind: Ints
    day: Ints
    sku: Ints
    store: Ints
    units: Ints


@dataclass(frozen=True, kw_only=True)
class History:
    """What the days brought; stores are 0 to n_stores - 1, the warehouse comes after them.

    Attributes:
        sales: one `DayOfSales` a day, what really happened.
        reported_empty_share: empty share as the shop knows it, shape (n_skus, n_stores, n_days): 0 where stock is gone
            that the books hold.
        on_hand: units there at the end of a day, shape (n_skus, n_stores + 1, n_days).
        booked: units in the books at the end, shape (n_skus, n_stores + 1).
        in_transfer: units promised to each store for the next morning, shape (n_skus, n_stores).
        last_count_day: day of the last count, `NEVER_COUNTED` before the first, shape (n_skus, n_stores + 1).
        rows: every movement, in order of time.
        losses: what nobody booked.
        orders: the order book.
    """

    sales: list[DayOfSales]
    reported_empty_share: Floats
    on_hand: Ints
    booked: Ints
    in_transfer: Ints
    last_count_day: Ints
    rows: MovementRows
    losses: HiddenLosses
    orders: OrderBook
