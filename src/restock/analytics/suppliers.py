"""How suppliers keep their word: on time and in full, lead times, lateness, short deliveries, prices; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import fmean

LEAD_TIME_QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, kw_only=True)
class OrderedLine:
    """A line of a purchase order that was sent.

    Attributes:
        sku: the product.
        ordered_on: when it was sent.
        promised_on: when the supplier would deliver; None where nothing was promised.
        quantity_ordered: any unit.
        receipts: day and quantity of each delivery, the same unit, in the order in which they came.
        is_ended: nothing more is expected.
        unit_cost: what one base unit costs, any money.
    """

    sku: str
    ordered_on: date
    promised_on: date | None
    quantity_ordered: float
    receipts: tuple[tuple[date, float], ...]
    is_ended: bool
    unit_cost: float

    @property
    def received(self) -> float:
        """What came of it."""
        return sum(quantity for _, quantity in self.receipts)

    @property
    def completed_on(self) -> date | None:
        """When all of it had come; None where it has not."""
        total = 0.0
        for day, quantity in self.receipts:
            total += quantity
            if total >= self.quantity_ordered:
                return day
        return None


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """How a supplier kept their word.

    Attributes:
        n_lines: lines that were sent.
        n_open: lines that are still expected and not overdue.
        n_judged: lines whose promise can be judged: it was kept, broken or is overdue.
        on_time_in_full_share: of the judged lines, those that were there whole by the promised day, 0-1.
        mean_lateness_days: days after the promise until the line was whole, early ones below 0; of the lines that are.
        lead_time_days: quantiles of the days from order to the whole line; lines still open last longer than so far.
        short_share: of the ended lines, those of which less came than was ordered, 0-1.
        price_drift_share: mean change of cost from the first to the last order of a sku, as a share of the first.
    """

    n_lines: int
    n_open: int
    n_judged: int
    on_time_in_full_share: float | None
    mean_lateness_days: float | None
    lead_time_days: dict[str, float | None]
    short_share: float | None
    price_drift_share: float | None


def score_supplier(lines: Sequence[OrderedLine], *, today: date) -> Scorecard:
    """Return how a supplier kept their word.

    Args:
        lines: of the orders of one supplier, at least one.
        today: the day up to which something is known; no receipt lies after it.
    """
    judged = [verdict for line in lines if (verdict := _judge_promise(line, today=today)) is not None]
    lateness = [
        (line.completed_on - line.promised_on).days
        for line in lines
        if line.completed_on is not None and line.promised_on is not None
    ]
    ended = [line for line in lines if line.is_ended or line.completed_on is not None]
    lead_times = [
        ((line.completed_on - line.ordered_on).days, True)
        if line.completed_on is not None
        # A line that ended short was not whole; it is known only that it took longer than its last delivery.
        else ((_known_until(line, today=today) - line.ordered_on).days, False)
        for line in lines
    ]
    open_lines = [line for line in lines if line.completed_on is None and not line.is_ended]
    return Scorecard(
        n_lines=len(lines),
        n_open=sum(line.promised_on is None or line.promised_on >= today for line in open_lines),
        n_judged=len(judged),
        on_time_in_full_share=fmean(judged) if judged else None,
        mean_lateness_days=fmean(lateness) if lateness else None,
        lead_time_days={str(level): censored_quantile(lead_times, level) for level in LEAD_TIME_QUANTILES},
        short_share=fmean([line.received < line.quantity_ordered for line in ended]) if ended else None,
        price_drift_share=_price_drift(lines),
    )


def censored_quantile(durations: Sequence[tuple[float, bool]], level: float) -> float | None:
    """Return a quantile of durations of which some have not ended; None where too few have.

    Args:
        durations: how long, and whether it has ended; one that has not lasted at least so long.
        level: 0-1.

    Source:
        Kaplan, Meier (1958), Nonparametric estimation from incomplete observations.

    Example:
        >>> censored_quantile([(2, True), (4, True), (6, False), (8, True)], 0.5)
        4.0
    """
    survival = 1.0
    at_risk = len(durations)
    for time in sorted({duration for duration, _ in durations}):
        n_ended = sum(is_ended for duration, is_ended in durations if duration == time)
        if n_ended:
            survival *= 1 - n_ended / at_risk
            if 1 - survival >= level - 1e-12:
                return float(time)
        at_risk -= sum(duration == time for duration, _ in durations)
    return None


def _judge_promise(line: OrderedLine, *, today: date) -> bool | None:
    """Return whether a promise was kept; None where there was none, or its day has not passed."""
    if line.promised_on is None:
        return None
    if line.completed_on is not None:
        return line.completed_on <= line.promised_on
    return False if line.promised_on < today or line.is_ended else None


def _known_until(line: OrderedLine, *, today: date) -> date:
    if line.is_ended and line.receipts:
        return line.receipts[-1][0]
    return max(today, line.ordered_on)


def _price_drift(lines: Sequence[OrderedLine]) -> float | None:
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for line in sorted(lines, key=lambda one: one.ordered_on):
        first.setdefault(line.sku, line.unit_cost)
        last[line.sku] = line.unit_cost
    drifts = [last[sku] / cost - 1 for sku, cost in first.items() if cost > 0]
    return fmean(drifts) if drifts else None
