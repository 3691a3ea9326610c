"""The planner as a rule of the walk-forward simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from restock.replenishment.order_lines import order_terms
from restock.replenishment.path_rule import PathRule, remaining_periods
from restock.replenishment.walk_forward import Market, trade
from tests.unit.replenishment.test_walk_forward import make_terms

N_PERIODS, HORIZON, N_PATHS = 30, 14, 40


def make_rule(*, trading, paths, forecast_from, holding_cost=0.1, shelf_life=0):
    n_rows = len(trading)
    return PathRule(
        paths=paths,
        forecast_from=np.array(forecast_from),
        lead_times=np.full((n_rows, N_PATHS), 2),
        trading=trading,
        terms=order_terms(
            n_rows, holding_cost=holding_cost, shortage_cost=2.0, waste_cost=2.0, shelf_life_periods=shelf_life
        ),
        season_periods=7,
    )


def poisson_paths(seed: int, *, mean: float, n_rows: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).poisson(mean, (n_rows, N_PATHS, HORIZON)).astype(np.float32)


def market_of(demand: np.ndarray) -> Market:
    return Market(demand=demand, lead_times=np.full(demand.shape, 2), received_share=np.ones(demand.shape))


def test_path_rule_of_known_demand_loses_nothing_after_the_first_lead_time() -> None:
    demand = np.tile([3.0, 5.0, 1.0, 8.0, 2.0, 2.0, 6.0], 5)[None, :N_PERIODS]
    known = np.repeat(np.tile([3.0, 5.0, 1.0, 8.0, 2.0, 2.0, 6.0], 2)[None, None, :], N_PATHS, axis=1)
    rule = make_rule(trading=make_terms(), paths=(known.astype(np.float32),), forecast_from=[-1])
    traded = trade(rule, market_of(demand), make_terms(), on_hand=np.array([8.0]))
    assert traded.lost[0, 2:].sum() == 0
    # Nothing is ordered before it is needed: what is left at night is no more than the day after takes.
    assert traded.on_hand[0, 3:].max() <= 8.0


def test_path_rule_of_a_later_forecast_does_not_change_earlier_orders() -> None:
    first, second, other = (poisson_paths(seed, mean=mean) for seed, mean in ((1, 4.0), (2, 4.0), (3, 12.0)))
    demand = np.random.default_rng(4).poisson(4.0, (1, N_PERIODS)).astype(float)
    traded = [
        trade(
            make_rule(trading=make_terms(), paths=(first, later), forecast_from=[-1, 13]),
            market_of(demand),
            make_terms(),
            on_hand=np.array([10.0]),
        )
        for later in (second, other)
    ]
    assert np.array_equal(traded[0].ordered[:, :13], traded[1].ordered[:, :13])
    assert traded[1].ordered[:, 13:].sum() > traded[0].ordered[:, 13:].sum()


def test_path_rule_of_a_warehouse_asks_for_what_its_stores_ask_for_now() -> None:
    trading = replace(make_terms(3), source=np.array([2, 2, -1]))
    paths = poisson_paths(1, mean=4.0, n_rows=3)
    paths[2] = paths[0] + paths[1]
    rule = make_rule(trading=trading, paths=(paths,), forecast_from=[-1])
    demand = np.vstack([np.random.default_rng(2).poisson(4.0, (2, N_PERIODS)), np.zeros((1, N_PERIODS))]).astype(float)
    traded = trade(rule, market_of(demand), trading, on_hand=np.array([0.0, 0.0, 0.0]))
    # Empty at the start: it orders what its stores want at once and what their customers will take.
    assert traded.ordered[2, 0] > paths[2].mean() * 2
    assert traded.ordered[:2, 0].sum() == 0
    assert traded.fill_rate(first_period=8) > 0.9


def test_path_rule_of_fresh_goods_orders_less_where_the_warehouse_has_old_ones() -> None:
    trading = replace(make_terms(2), source=np.array([1, -1]), shelf_life_periods=np.array([5, 5]))
    paths = poisson_paths(1, mean=10.0, n_rows=2)
    rule = make_rule(trading=trading, paths=(paths,), forecast_from=[-1], shelf_life=5)
    orders = {}
    for name, place in (("old", 0), ("fresh", 4)):
        lots = np.zeros((2, 6))
        lots[1, place] = 200.0
        seen: list[float] = []

        def look(situation, lots=lots, seen=seen):
            seen.append(float(rule(replace(situation, lots=lots))[0]))
            return np.zeros(2)

        trade(look, market_of(np.zeros((2, 1))), trading, on_hand=np.zeros(2))
        orders[name] = seen[0]
    assert 0 < orders["old"] < orders["fresh"]


@pytest.mark.parametrize(("age", "expected"), [(0, [[2, 3, 5, 9]]), (3, [[2, 2, 6, 6]]), (9, [[1, 1, 1, 1]])])
def test_remaining_periods_are_those_of_draws_that_have_not_come(age: int, expected: list[list[int]]) -> None:
    assert remaining_periods(np.array([[2, 3, 5, 9]]), age=age).tolist() == expected
