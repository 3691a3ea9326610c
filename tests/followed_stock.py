"""One line on one path, unit by unit: the slow reference of the order modules."""

from __future__ import annotations

from dataclasses import dataclass, field

NEVER = 10**6


@dataclass
class Followed:
    """What happened, by period, with an order or without."""

    held: list[float] = field(default_factory=list)
    short: list[float] = field(default_factory=list)
    missed: list[float] = field(default_factory=list)
    wasted_of_order: float = 0.0

    def sums(self, first, end):
        return sum(self.held[first:end]), sum(self.short[first:end]), sum(self.missed[first:end])


def follow(demand, *, on_hand, order, lead, is_lost, arrivals=(), expiring=(), shelf_life=0, backorders=0.0):
    """Return stock followed lot by lot, first-expired-first-out; `arrivals` are (period, units)."""
    life = shelf_life or NEVER
    lots = [[period, units, False] for period, units in enumerate(expiring) if units]
    lots.append([NEVER, on_hand - sum(expiring), False])
    found, waiting = Followed(), backorders
    for period, asked in enumerate(demand):
        lots += [[period + life - 1, units, False] for due, units in arrivals if due == period]
        if period == lead:
            # The order's own lot expires last among equals.
            lots.append([period + life - 1, order, True])
        lots.sort(key=lambda lot: (lot[0], lot[2]))
        waiting = take(lots, waiting)
        short = take(lots, asked)
        found.missed.append(short)
        waiting = 0.0 if is_lost else waiting + short
        found.short.append(short if is_lost else waiting)
        found.held.append(sum(lot[1] for lot in lots))
        found.wasted_of_order += sum(lot[1] for lot in lots if lot[0] == period and lot[2])
        lots = [lot for lot in lots if lot[0] > period]
    return found


def take(lots, wanted):
    """Take units from lots in their order and return what they can't give."""
    for lot in lots:
        taken = min(lot[1], wanted)
        lot[1] -= taken
        wanted -= taken
    return wanted
