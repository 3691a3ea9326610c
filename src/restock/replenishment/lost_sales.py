"""Lost sales with a lead time: exact average costs of policies, and the exact optimum where the lead time is short.

A period: an order that was placed a lead time ago is received, a new one is placed, demand comes, and what stock can't
serve is lost. The state is what is on hand after the receipt and then each order on its way, oldest first: as many
numbers as the lead time has periods. Costs are per unit left (`holding_cost`) and per unit lost (`shortage_cost`) at
the end of a period.

Source of model and state: Zipkin (2008), Old and New Methods for Lost-Sales Inventory Systems.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # type: ignore[import-untyped]  # scipy ships no types

from restock.replenishment.loss_functions import poisson_probability
from restock.replenishment.newsvendor import critical_ratio, poisson_quantile

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]
# From states, shape (n, lead_time_periods), to whole orders, shape (n,).
Policy = Callable[[Integers], Integers]

# Chance of demand beyond the last that is looked at: far below what any cost shows.
_TAIL = 1e-13
_ENOUGH = 1 - 1e-6
_MOST_ROUNDS = 20_000
_STEP = 0.9
_MOST_STATES = 20_000_000
# A state is kept as one whole number of so many bits, shared by its components.
_KEY_BITS = 62


@dataclass(frozen=True, kw_only=True)
class LostSalesCase:
    """Demand, lead time and costs of one sku at one location.

    Attributes:
        probability: chance of each whole demand of a period, 0, 1, …; independent between periods, sums to 1.
        lead_time_periods: whole periods between order and receipt, >= 1.
        holding_cost: currency per unit left and period, > 0.
        shortage_cost: currency per unit lost, > 0.
    """

    probability: tuple[float, ...]
    lead_time_periods: int
    holding_cost: float
    shortage_cost: float

    def __post_init__(self) -> None:
        """Refuse what is no case."""
        if self.lead_time_periods < 1:
            raise ValueError(f"lead_time_periods must be >= 1, got {self.lead_time_periods}.")
        if min(self.probability) < 0 or abs(sum(self.probability) - 1) > 1e-9:
            raise ValueError(f"chances of demand must be >= 0 and sum to 1, got a sum of {sum(self.probability)}.")
        critical_ratio(holding_cost=self.holding_cost, shortage_cost=self.shortage_cost)

    @cached_property
    def critical_ratio(self) -> float:
        """Probability with which the newsvendor would cover demand."""
        return critical_ratio(holding_cost=self.holding_cost, shortage_cost=self.shortage_cost)

    @cached_property
    def demand_mean(self) -> float:
        """Expected demand, units per period."""
        return float(np.arange(len(self.probability)) @ np.array(self.probability))

    def demand_quantile(self, periods: int, probability: float) -> int:
        """Return the smallest number that demand over some periods stays within with at least a probability."""
        chances = np.array([1.0])
        for _ in range(periods):
            chances = np.convolve(chances, self.probability)
        return int(np.argmax(np.cumsum(chances) >= probability - 1e-12))

    @cached_property
    def enough_levels(self) -> tuple[int, ...]:
        """Levels on hand, now and in each period up to the last before a new order's receipt, that are surely enough.

        Demand up to the end of the period after that receipt stays within all but once in a million.
        """
        periods = range(self.lead_time_periods + 2, 2, -1)
        return tuple(self.demand_quantile(each, _ENOUGH) for each in periods)

    @cached_property
    def enough_leftovers(self) -> NDArray[np.float64]:
        """Chance of each leftover from each level up to the highest of `enough_levels`."""
        return self.leftover_chances(self.enough_levels[0] + 1)

    def leftover_chances(self, n_levels: int) -> NDArray[np.float64]:
        """Return the chance of each leftover from each level on hand, shape (n_levels, n_levels)."""
        chances = np.zeros((n_levels, n_levels))
        levels = np.arange(n_levels)
        for units, chance in enumerate(self.probability):
            chances[levels, np.maximum(levels - units, 0)] += chance
        return chances

    def level_costs(self, n_levels: int) -> NDArray[np.float64]:
        """Return the expected cost of a period that starts with each level on hand, shape (n_levels,), currency."""
        gap = np.arange(n_levels)[:, None] - np.arange(len(self.probability))
        cost = self.holding_cost * np.maximum(gap, 0) + self.shortage_cost * np.maximum(-gap, 0)
        found: NDArray[np.float64] = cost @ np.array(self.probability)
        return found


@dataclass(frozen=True, kw_only=True)
class AverageCost:
    """The average cost per period in the long run, as bounds that hold exactly for the case.

    Attributes:
        low: lower bound, currency per period.
        high: upper bound, currency per period.
        n_states: states looked at.
    """

    low: float
    high: float
    n_states: int

    @property
    def cost(self) -> float:
        """The middle of the bounds, currency per period."""
        return (self.low + self.high) / 2


def poisson_case(
    demand_mean: float, *, lead_time_periods: int, holding_cost: float, shortage_cost: float
) -> LostSalesCase:
    """Return a case with Poisson demand; its far tail (1e-13) counts as the last demand before it.

    Example:
        >>> case = poisson_case(5.0, lead_time_periods=4, holding_cost=1.0, shortage_cost=9.0)
        >>> round(case.demand_mean, 6)
        5.0
    """
    last = poisson_quantile(1 - _TAIL, mean=demand_mean)
    chances = [poisson_probability(units, mean=demand_mean) for units in range(last)]
    return LostSalesCase(
        probability=(*chances, 1 - sum(chances)),
        lead_time_periods=lead_time_periods,
        holding_cost=holding_cost,
        shortage_cost=shortage_cost,
    )


def optimal_cost(
    case: LostSalesCase, *, tolerance: float = 1e-7, on_progress: Callable[[float], None] | None = None
) -> AverageCost:
    """Return the least average cost of any policy, by value iteration over all states that an optimum can reach.

    An optimal order is at most the one-period newsvendor level, and never lifts stock and orders above the newsvendor
    level of lead time + 1 periods. The work grows by the former + 1 with every period of lead time.

    Args:
        case: a lead time of up to 5 or 6 periods at 5 units a period.
        tolerance: distance between the bounds that is good enough, currency per period.
        on_progress: called with the distance so far, after every round.

    Raises:
        ValueError: there are more states than memory holds, or the bounds do not meet.

    Source: Zipkin (2008), section 3, bounds of Karush (1957) and Morton (1969); the bounds of the average cost are
        those of Odoni (1969), Puterman (1994), Markov Decision Processes, theorem 8.5.6.

    Example:
        >>> case = poisson_case(5.0, lead_time_periods=2, holding_cost=1.0, shortage_cost=4.0)
        >>> round(optimal_cost(case).cost, 2)  # Zipkin (2008), table 3
        4.4
    """
    n_levels, n_orders = optimal_order_bounds(case)
    shape = (n_levels,) + (n_orders,) * (case.lead_time_periods - 1)
    n_states = float(np.prod(shape, dtype=np.float64))
    if n_states > _MOST_STATES:
        raise ValueError(
            f"the exact optimum at lead time {case.lead_time_periods} has {n_states:.1e} states, "
            f"more than {_MOST_STATES}. Take a policy and a bound."
        )
    room = n_levels - 1 - _totals(shape)
    step = _expectation(case, n_levels, n_orders if case.lead_time_periods > 1 else 1)
    cost = case.level_costs(n_levels).reshape((n_levels,) + (1,) * (case.lead_time_periods - 1))
    value = np.zeros(shape)
    for _ in range(_MOST_ROUNDS):
        best = np.full(shape, np.inf)
        for order in range(n_orders):
            following = _after(step, value, order, shape)
            np.minimum(best, following if order == 0 else np.where(room >= order, following, np.inf), out=best)
        best += cost
        change = (best - value)[room >= 0]
        low, high = float(change.min()), float(change.max())
        value = best - best.flat[0]
        if on_progress is not None:
            on_progress(high - low)
        if high - low < tolerance:
            return AverageCost(low=low, high=high, n_states=int((room >= 0).sum()))
    raise ValueError(f"value iteration did not reach {tolerance} in {_MOST_ROUNDS} rounds.")


def optimal_order_bounds(case: LostSalesCase) -> tuple[int, int]:
    """Return how many levels of stock and how many orders, 0 included, an optimal policy can reach.

    Source: Karush (1957) and Morton (1969), as in Zipkin (2008), section 3: an order is at most the newsvendor level of
        one period, stock and orders together at most that of lead time + 1 periods.
    """
    most = case.demand_quantile(case.lead_time_periods + 1, case.critical_ratio)
    return most + 1, case.demand_quantile(1, case.critical_ratio) + 1


def expected_next(case: LostSalesCase, value: Floats, *, order: int) -> NDArray[np.float64]:
    """Return the expected value of the next period's state after one order from every state.

    Args:
        case: demand and lead time.
        value: shape (n_levels, n_orders, …), one axis a component of the state.
        order: units ordered, below n_orders.
    """
    n_arrivals = value.shape[1] if value.ndim > 1 else 1
    return _after(_expectation(case, value.shape[0], n_arrivals), value, order, value.shape)


def policy_cost(
    case: LostSalesCase, policy: Policy, *, tolerance: float = 1e-6, most_on_hand: int | None = None
) -> AverageCost:
    """Return the average cost of a policy, exactly, over the states that it reaches from an empty system.

    Args:
        case: any whose policy reaches few enough states: a lead time of 4 has tens of thousands.
        policy: whole orders >= 0 for each state.
        tolerance: distance between the bounds that is good enough, currency per period.
        most_on_hand: units at which stock on hand is cut off, for policies without a highest level; none: not at all.

    Raises:
        ValueError: there are too many states, stock grows too high to tell them apart, or the bounds do not meet.

    Source: Odoni's bounds for one policy, Puterman (1994), theorem 8.5.6.

    Example:
        >>> case = poisson_case(5.0, lead_time_periods=1, holding_cost=1.0, shortage_cost=4.0)
        >>> policy_cost(case, lambda states: np.maximum(10 - states.sum(axis=1), 0)).n_states
        11
    """
    units = np.arange(len(case.probability))
    known = np.zeros((1, case.lead_time_periods), dtype=np.int64)
    most_units = 1 << _KEY_BITS // case.lead_time_periods
    keys, orders = _keys(known), policy(known)
    fresh, fresh_orders = known, orders
    while len(fresh):
        following = _followers(fresh, fresh_orders, units, most_on_hand)
        following_keys = _keys(following)
        _, first = np.unique(following_keys, return_index=True)
        is_new = ~np.isin(following_keys[first], keys)
        fresh = following[first[is_new]]
        if fresh.max(initial=0) >= most_units:
            raise ValueError(f"the policy lets stock grow to {most_units} units. Cut it off with most_on_hand.")
        if len(known) + len(fresh) > _MOST_STATES // len(units):
            raise ValueError(f"the policy reaches more than {len(known)} states. Simulate it instead.")
        fresh_orders = policy(fresh)
        known, keys = np.concatenate([known, fresh]), np.concatenate([keys, _keys(fresh)])
        orders = np.concatenate([orders, fresh_orders])
    place = np.argsort(keys)
    columns = place[np.searchsorted(keys[place], _keys(_followers(known, orders, units, most_on_hand)))]
    rows = np.repeat(np.arange(len(known)), len(units))
    chances = sparse.csr_matrix((np.tile(case.probability, len(known)), (rows, columns)))
    cost = case.level_costs(int(known[:, 0].max()) + 1)[known[:, 0]]
    value = np.zeros(len(known))
    for _ in range(_MOST_ROUNDS):
        following_value = cost + chances @ value
        change = following_value - value
        low, high = float(change.min()), float(change.max())
        # Not quite a whole step: a policy with a rhythm, such as an order every second period, settles too.
        value += _STEP * (following_value - following_value[0] - value)
        if high - low < tolerance:
            return AverageCost(low=low, high=high, n_states=len(known))
    raise ValueError(f"the bounds of the policy's cost did not meet within {tolerance} in {_MOST_ROUNDS} rounds.")


def projected_leftovers(case: LostSalesCase, states: Integers) -> NDArray[np.float64]:
    """Return the chance of each leftover just before the next order will be received, from every state.

    Args:
        case: demand and lead time.
        states: shape (n, lead_time_periods).

    Returns:
        shape (n, n_levels): chance of 0, 1, … units left after lead_time_periods periods of demand. Stock so high that
        it outlasts this order's period and one more counts as just that high, `case.enough_levels`.
    """
    chances = case.enough_leftovers
    n_levels = min(int(states[:, 0].max(initial=0)), case.enough_levels[0]) + 1
    found = chances[np.minimum(states[:, 0], n_levels - 1), :n_levels]
    for place, arrival in enumerate(states.T[1:], start=1):
        most = int(arrival.max(initial=0))
        n_before, n_levels = n_levels, min(n_levels - 1 + most, case.enough_levels[place]) + 1
        # Zeros on both sides of the levels so far, then each row from where its arrival shifts it to.
        after = max(n_levels - n_before, 0)
        padded = np.pad(found, ((0, 0), (most, after)))
        found = np.take_along_axis(padded, most + np.arange(n_levels) - arrival[:, None], axis=1)
        # What was pushed beyond the last level counts there.
        found[:, -1] += 1 - found.sum(axis=1)
        found = found @ chances[:n_levels, :n_levels]
    return found


def _totals(shape: tuple[int, ...]) -> Integers:
    total = np.arange(shape[0])
    for n_orders in shape[1:]:
        total = np.add.outer(total, np.arange(n_orders))
    return total


def _expectation(case: LostSalesCase, n_levels: int, n_arrivals: int) -> NDArray[np.float64]:
    """Return the chance of each next level on hand, shape (n_levels x n_arrivals, n_levels); the last is a lid."""
    left = case.leftover_chances(n_levels)
    chances = np.zeros((n_levels, n_arrivals, n_levels))
    for units in range(n_arrivals):
        for level in range(n_levels):
            chances[:, units, min(level + units, n_levels - 1)] += left[:, level]
    return chances.reshape(-1, n_levels)


def _after(step: Floats, value: Floats, order: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the expected value of the next state after one order from every state, shape `shape`."""
    if len(shape) == 1:
        # A lead time of one period: the order itself is what arrives next.
        levels = np.minimum(np.arange(shape[0]) + order, shape[0] - 1)
        found: NDArray[np.float64] = step @ value[levels]
        return found
    return (step @ value[..., order].reshape(shape[0], -1)).reshape(shape)


def _followers(states: Integers, orders: Integers, units: Integers, most_on_hand: int | None) -> Integers:
    """Return the states after each demand, shape (n x n_demands, lead_time_periods), demand fastest."""
    left = np.maximum(states[:, :1] - units, 0)
    on_its_way = np.concatenate([states[:, 1:], orders[:, None]], axis=1)
    on_hand = left + on_its_way[:, :1]
    if most_on_hand is not None:
        on_hand = np.minimum(on_hand, most_on_hand)
    rest = np.repeat(on_its_way[:, 1:], len(units), axis=0)
    return np.concatenate([on_hand.reshape(-1, 1), rest], axis=1)


def _keys(states: Integers) -> Integers:
    """Return one whole number for each state: its components, each in its share of the bits."""
    bits = _KEY_BITS // states.shape[1]
    key = np.zeros(len(states), dtype=np.int64)
    for column in states.T:
        key = (key << bits) | column
    return key
