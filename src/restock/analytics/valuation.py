"""What stock is worth, by moving average or first in, first out: exact, and true to every flow; pure.

The value of a product is kept in minor units of money. Each flow is rounded once, half to even, when it is valued, and
the value is the sum of the flows: opening + flows = closing holds to the cent by construction.

Rules that accounting leaves open:
- returns and found stock come in at the average of what is there, or at the last cost where nothing is; before any
  receipt, at the cost that was booked with them;
- what is sold below zero goes out at the last cost; the next receipt settles it; the difference is a cost adjustment;
- a receipt that is taken back takes out the newest layers first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Flow(StrEnum):
    """Why the value of stock changes."""

    RECEIPTS = "receipts"
    RETURNS = "returns"
    FOUND = "found"
    ADJUSTMENTS = "adjustments"
    COST_OF_SALES = "cost_of_sales"
    WRITE_OFFS = "write_offs"
    SHRINKAGE = "shrinkage"
    COST_ADJUSTMENTS = "cost_adjustments"


class Method(StrEnum):
    """How what goes out is valued."""

    MOVING_AVERAGE = "moving_average"
    FIFO = "fifo"


@dataclass(frozen=True, kw_only=True)
class StockEvent:
    """A change of what the company holds of one product, wherever it is; transfers between its places are none.

    Attributes:
        occurred_at: when, UTC.
        flow: why; never COST_ADJUSTMENTS.
        quantity: signed, scaled base units; not 0.
        unit_cost: minor units of money for one base unit; None where not known. It counts for receipts.
        scale: scaled units in one base unit, 10 to the product's decimals.
    """

    occurred_at: datetime
    flow: Flow
    quantity: int
    unit_cost: int | None
    scale: int


@dataclass(frozen=True, kw_only=True)
class ValuedFlow:
    """A change of the value of stock.

    Attributes:
        occurred_at: when, UTC.
        flow: why.
        quantity: signed, scaled base units; 0 for a cost adjustment.
        value: signed, minor units of money.
    """

    occurred_at: datetime
    flow: Flow
    quantity: int
    value: int


@dataclass(slots=True)
class _Layer:
    """Goods that came together: scaled units, what they are worth in minor units, and since when they are there."""

    quantity: int
    value: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Goods in stock that came together.

    Attributes:
        quantity: scaled base units.
        value: minor units of money.
        since: when they came, UTC.
    """

    quantity: int
    value: int
    since: datetime


class Pool:
    """The stock of one product in layers; by moving average there is never more than one.

    Invariant: `value` is the sum of all flows so far, and of the layers; either all layers are above zero or there is a
    single one below.
    """

    def __init__(self, method: Method) -> None:
        """Begin with nothing."""
        self._method = method
        self._layers: deque[_Layer] = deque()
        # Minor units of money for so many scaled units; nothing until any cost is known.
        self._last_cost: tuple[int, int] | None = None

    @property
    def quantity(self) -> int:
        """What is there, scaled base units."""
        return sum(layer.quantity for layer in self._layers)

    @property
    def value(self) -> int:
        """What it is worth, minor units of money."""
        return sum(layer.value for layer in self._layers)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What is there by when it came, the oldest first."""
        return tuple(Layer(quantity=one.quantity, value=one.value, since=one.since) for one in self._layers)

    def apply(self, event: StockEvent) -> list[ValuedFlow]:
        """Bring the stock forward by an event, and return what changed its value: the event, and what it settles."""
        before = self.value
        if self._last_cost is None and event.unit_cost is not None:
            self._last_cost = (event.unit_cost, event.scale)
        if event.quantity > 0:
            value = self._worth(event)
            adjustment = self._take_in(event.quantity, value, since=event.occurred_at)
        else:
            is_taken_back = event.flow is Flow.RECEIPTS
            value = self._give_out(-event.quantity, since=event.occurred_at, is_newest_first=is_taken_back)
            adjustment = self.value - before - value
        flows = [ValuedFlow(occurred_at=event.occurred_at, flow=event.flow, quantity=event.quantity, value=value)]
        if self.quantity == 0 and self.value != 0:
            adjustment -= self.value
        if self.quantity == 0:
            self._layers.clear()
        if adjustment:
            flow = Flow.COST_ADJUSTMENTS
            flows.append(ValuedFlow(occurred_at=event.occurred_at, flow=flow, quantity=0, value=adjustment))
        return flows

    def _worth(self, event: StockEvent) -> int:
        """Return what comes in is worth."""
        if event.flow is Flow.RECEIPTS and event.unit_cost is not None:
            self._last_cost = (event.unit_cost, event.scale)
            return divide_half_even(event.quantity * event.unit_cost, event.scale)
        quantity, value = self.quantity, self.value
        if quantity > 0:
            return divide_half_even(event.quantity * value, quantity)
        return self._at_last_cost(event.quantity)

    def _at_last_cost(self, quantity: int) -> int:
        cost, units = self._last_cost or (0, 1)
        return divide_half_even(quantity * cost, units)

    def _take_in(self, quantity: int, value: int, *, since: datetime) -> int:
        """Add a layer, settling what was sold below zero, and return what that adjusts."""
        if self._layers and self._layers[0].quantity < 0:
            owed = self._layers[0]
            settled = min(quantity, -owed.quantity)
            cost = divide_half_even(value * settled, quantity)
            booked = divide_half_even(owed.value * settled, -owed.quantity)
            before = owed.value + value
            owed.quantity += settled
            owed.value -= booked
            if owed.quantity == 0:
                self._layers.clear()
            if quantity > settled:
                self._layers.append(_Layer(quantity - settled, value - cost, since))
            return self.value - before
        if self._method is Method.MOVING_AVERAGE and self._layers:
            self._layers[0].quantity += quantity
            self._layers[0].value += value
        else:
            self._layers.append(_Layer(quantity, value, since))
        return 0

    def _give_out(self, quantity: int, *, since: datetime, is_newest_first: bool) -> int:
        """Take goods out and return what they were worth, below 0."""
        worth = 0
        while quantity and self._layers and self._layers[0].quantity > 0:
            layer = self._layers[-1 if is_newest_first else 0]
            taken = min(quantity, layer.quantity)
            part = divide_half_even(layer.value * taken, layer.quantity)
            if layer.quantity:
                # What the goods cost last, for what is sold when nothing is there.
                self._remember(layer)
            layer.quantity -= taken
            layer.value -= part
            worth += part
            quantity -= taken
            if layer.quantity == 0:
                worth += layer.value
                self._layers.remove(layer)
        if quantity:
            missing = self._at_last_cost(quantity)
            worth += missing
            if self._layers:
                self._layers[0].quantity -= quantity
                self._layers[0].value -= missing
            else:
                self._layers.append(_Layer(-quantity, -missing, since))
        return -worth

    def _remember(self, layer: _Layer) -> None:
        if layer.value > 0:
            self._last_cost = (layer.value, layer.quantity)


def value_events(events: Iterable[StockEvent], *, method: Method) -> Iterator[ValuedFlow]:
    """Yield what changes the value of one product's stock.

    Args:
        events: of one product, in the order in which they occurred.
        method: how what goes out is valued.

    Source:
        IAS 2.25: first in, first out, or weighted average cost.

    Example:
        >>> from datetime import UTC
        >>> at = datetime(2024, 1, 1, tzinfo=UTC)
        >>> def event(flow, quantity, cost=None):
        ...     return StockEvent(occurred_at=at, flow=flow, quantity=quantity, unit_cost=cost, scale=1)
        >>> bought = [event(Flow.RECEIPTS, 10, cost) for cost in (100, 120)]
        >>> sold = event(Flow.COST_OF_SALES, -10)
        >>> [flow.value for flow in value_events([*bought, sold], method=Method.FIFO)]
        [1000, 1200, -1000]
        >>> [flow.value for flow in value_events([*bought, sold], method=Method.MOVING_AVERAGE)]
        [1000, 1200, -1100]
    """
    pool = Pool(method)
    for event in events:
        yield from pool.apply(event)


def divide_half_even(numerator: int, denominator: int) -> int:
    """Return a quotient of integers rounded to the nearest, half to even, exactly.

    Example:
        >>> [divide_half_even(number, 2) for number in (1, 3, 5, -1, -3)]
        [0, 2, 2, 0, -2]
    """
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def share_out(total: int, weights: list[int]) -> list[int]:
    """Return a total split by weights into integers that add up to it: the largest remainders get what is left.

    Example:
        >>> share_out(100, [1, 1, 1])
        [34, 33, 33]
    """
    base = sum(weights)
    if base == 0:
        return [total, *([0] * (len(weights) - 1))] if weights else []
    parts = [total * weight // base for weight in weights]
    rests = sorted(range(len(weights)), key=lambda place: (-(total * weights[place] % base), place))
    for place in rests[: total - sum(parts)]:
        parts[place] += 1
    return parts
