"""The walk-forward simulation against one that follows every single unit, and its own promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.replenishment.walk_forward import FROM_OUTSIDE, Market, Situation, Trading, TradingTerms, trade

ALWAYS = 0


def make_terms(n_rows: int = 1, **changes: object) -> TradingTerms:
    values: dict[str, object] = {
        "source": np.full(n_rows, FROM_OUTSIDE),
        "unit_cost": np.full(n_rows, 2.0),
        "holding_cost": np.full(n_rows, 0.1),
        "shortage_cost": np.full(n_rows, 1.5),
        "order_group": np.zeros(n_rows, dtype=int),
        "fixed_order_cost": np.full(n_rows, 3.0),
        "review_periods": np.ones(n_rows, dtype=int),
        "review_offset": np.zeros(n_rows, dtype=int),
        "minimum_order_quantity": np.zeros(n_rows),
        "order_multiple": np.ones(n_rows),
        "shelf_life_periods": np.full(n_rows, ALWAYS),
    }
    return TradingTerms(**(values | changes))  # type: ignore[arg-type]


def make_market(demand: np.ndarray, *, lead_time: int = 1) -> Market:
    return Market(
        demand=demand,
        lead_times=np.full(demand.shape, lead_time),
        received_share=np.ones(demand.shape),
    )


def up_to(level: float):
    return lambda situation: level - situation.inventory_position


def follow_units(
    demand: list[int], leads: list[int], *, start: int, level: int, shelf_life: int
) -> tuple[list[int], list[int], list[int]]:
    """Return lost, wasted and on hand by period, unit by unit: each is the periods left to sell it."""
    shelf = [shelf_life] * start
    due: list[tuple[int, int]] = []
    lost, wasted, left = [], [], []
    for period, asked in enumerate(demand):
        shelf += [shelf_life] * sum(units for when, units in due if when == period)
        due = [(when, units) for when, units in due if when != period]
        shelf.sort(key=lambda periods: periods if shelf_life else 0)
        served = min(asked, len(shelf))
        shelf = shelf[served:]
        lost.append(asked - served)
        wasted.append(sum(periods == 1 for periods in shelf) if shelf_life else 0)
        shelf = [periods - 1 for periods in shelf if periods > 1] if shelf_life else shelf
        left.append(len(shelf))
        order = max(0, level - len(shelf) - sum(units for _, units in due))
        due.append((period + max(leads[period], 1), order))
    return lost, wasted, left


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_trade_of_one_row_is_what_following_every_unit_gives(data: st.DataObject) -> None:
    n_periods = data.draw(st.integers(2, 12))
    demand = data.draw(st.lists(st.integers(0, 6), min_size=n_periods, max_size=n_periods))
    leads = data.draw(st.lists(st.integers(0, 4), min_size=n_periods, max_size=n_periods))
    start, level, shelf_life = data.draw(st.tuples(st.integers(0, 9), st.integers(0, 15), st.integers(0, 4)))
    market = Market(
        demand=np.array([demand], dtype=float), lead_times=np.array([leads]), received_share=np.ones((1, n_periods))
    )
    terms = make_terms(shelf_life_periods=np.array([shelf_life]))
    traded = trade(up_to(level), market, terms, on_hand=np.array([float(start)]))
    lost, wasted, left = follow_units(demand, leads, start=start, level=level, shelf_life=shelf_life)
    assert traded.lost[0].tolist() == lost
    assert traded.wasted[0].tolist() == wasted
    assert traded.on_hand[0].tolist() == left


def shop_and_warehouse(seed: int, *, n_periods: int = 40) -> tuple[Market, TradingTerms, np.ndarray]:
    """Return two stores of one warehouse, and what is there at the start."""
    rng = np.random.default_rng(seed)
    demand = np.vstack([rng.poisson(4, (2, n_periods)), np.zeros((1, n_periods))]).astype(float)
    market = Market(
        demand=demand,
        lead_times=np.vstack([rng.integers(1, 3, (2, n_periods)), rng.integers(2, 9, (1, n_periods))]),
        received_share=np.vstack([np.ones((2, n_periods)), rng.choice([1.0, 0.75], (1, n_periods))]),
    )
    terms = make_terms(
        3,
        source=np.array([2, 2, FROM_OUTSIDE]),
        review_periods=np.array([1, 1, 7]),
        order_multiple=np.array([3.0, 3.0, 12.0]),
        shelf_life_periods=np.array([9, 9, 9]),
    )
    return market, terms, np.array([8.0, 0.0, 30.0])


@pytest.mark.parametrize("seed", range(5))
def test_trade_with_a_warehouse_loses_no_unit(seed: int) -> None:
    market, terms, on_hand = shop_and_warehouse(seed)
    traded = trade(lambda s: np.array([24.0, 24.0, 100.0]) - s.inventory_position, market, terms, on_hand=on_hand)
    served = (traded.demand - traded.lost).sum()
    from_outside = traded.received[2].sum()
    # On its way to a store; what is sent on the last period still counts as on hand.
    under_way = traded.ordered[:2, :-1].sum() - traded.received[:2].sum()
    assert on_hand.sum() + from_outside == pytest.approx(
        served + traded.wasted.sum() + traded.on_hand[:, -1].sum() + under_way, abs=1e-9
    )
    assert under_way >= 0


def test_trade_where_the_warehouse_is_short_shares_by_what_is_wanted_in_whole_multiples() -> None:
    terms = make_terms(3, source=np.array([2, 2, FROM_OUTSIDE]), order_multiple=np.array([2.0, 2.0, 1.0]))
    market = make_market(np.zeros((3, 1)))
    traded = trade(lambda _: np.array([12.0, 6.0, 0.0]), market, terms, on_hand=np.array([0.0, 0.0, 10.0]))
    # 10 of 18: 6.67 and 3.33, in pairs 6 and 2.
    assert traded.ordered[:, 0].tolist() == [6.0, 2.0, 0.0]


def test_trade_shows_the_rule_open_orders_by_their_age_and_nothing_of_when_they_come() -> None:
    seen: list[Situation] = []

    def rule(situation: Situation) -> np.ndarray:
        seen.append(situation)
        return np.array([float(situation.period + 1)])

    trade(rule, make_market(np.zeros((1, 4)), lead_time=2), make_terms(), on_hand=np.array([0.0]))
    assert seen[3].open_orders[0].tolist() == [0.0, 3.0, 0.0]
    assert seen[3].on_hand.tolist() == [1.0 + 2.0]
    assert seen[3].inventory_position.tolist() == [6.0]


def test_trade_changed_future_changes_no_earlier_order() -> None:
    market, terms, on_hand = shop_and_warehouse(7)
    changed = replace(market, demand=np.where(np.arange(40) >= 25, market.demand * 3, market.demand))

    def rule(situation: Situation) -> np.ndarray:
        return np.array([20.0, 20.0, 90.0]) - situation.inventory_position

    first, second = (trade(rule, one, terms, on_hand=on_hand) for one in (market, changed))
    assert np.array_equal(first.ordered[:, :25], second.ordered[:, :25])
    assert not np.array_equal(first.ordered, second.ordered)


def test_costs_count_from_the_first_period_on() -> None:
    traded = Trading(
        demand=np.array([[5.0, 5.0]]),
        lost=np.array([[1.0, 2.0]]),
        on_hand=np.array([[10.0, 20.0]]),
        wasted=np.array([[0.0, 3.0]]),
        ordered=np.array([[4.0, 4.0]]),
        received=np.zeros((1, 2)),
    )
    costs = {name: value.item() for name, value in traded.costs(make_terms(), first_period=1).items()}
    assert costs == {"holding": pytest.approx(2.0), "shortage": 3.0, "ordering": 3.0, "waste": 6.0}
    assert traded.total_cost(make_terms(), first_period=1).item() == pytest.approx(14.0)
    assert traded.fill_rate(first_period=1) == pytest.approx(0.6)


def test_costs_of_lines_ordered_together_share_the_fixed_cost() -> None:
    ordered = np.array([[4.0, 4.0], [2.0, 0.0], [1.0, 0.0]])
    zeros = np.zeros((3, 2))
    traded = Trading(demand=zeros, lost=zeros, on_hand=zeros, wasted=zeros, ordered=ordered, received=zeros)
    terms = make_terms(3, order_group=np.array([0, 0, 1]))
    assert traded.costs(terms)["ordering"].tolist() == [4.5, 1.5, 3.0]


def test_trade_of_three_levels_is_refused() -> None:
    terms = make_terms(3, source=np.array([1, 2, FROM_OUTSIDE]))
    with pytest.raises(ValueError, match="two levels"):
        trade(up_to(1), make_market(np.zeros((3, 1))), terms, on_hand=np.zeros(3))
