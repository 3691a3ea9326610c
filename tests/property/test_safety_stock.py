"""What a planner expects of safety stock and levels, for any demand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from restock.replenishment.newsvendor import normal_newsvendor, poisson_newsvendor
from restock.replenishment.order_up_to import poisson_order_up_to_rule
from restock.replenishment.safety_stock import protection_demand, safety_stock_for_cycles, safety_stock_for_fill_rate

amounts = st.floats(0.01, 1000)
more = st.floats(0, 10)


@given(amounts, amounts, st.floats(0, 20), st.floats(0, 5), more, more, st.floats(0.5, 0.999))
def test_longer_or_more_variable_lead_time_never_lowers_safety_stock(
    mean, deviation, lead, spread, longer, wider, level
):
    def stock(lead_time, lead_deviation):
        demand = protection_demand(
            demand_mean=mean,
            demand_deviation=deviation,
            lead_time_periods=lead_time,
            lead_time_deviation=lead_deviation,
            review_periods=1,
        )
        by_fill_rate = safety_stock_for_fill_rate(demand, fill_rate=level, order_quantity=mean)
        return safety_stock_for_cycles(demand, cycle_service_level=level), by_fill_rate

    before, after = stock(lead, spread), stock(lead + longer, spread + wider)
    # 1e-9 of the deviation is where the bisection stops.
    assert after[0] >= before[0] - 1e-9 * (1 + abs(before[0]))
    assert after[1] >= before[1] - 1e-6 * (1 + before[1])


@given(st.floats(0.1, 50), amounts, amounts, more)
def test_a_higher_shortage_cost_never_lowers_the_base_stock(mean, holding, shortage, extra):
    for solve in (
        lambda cost: poisson_newsvendor(holding_cost=holding, shortage_cost=cost, demand_mean=mean),
        lambda cost: normal_newsvendor(
            holding_cost=holding, shortage_cost=cost, demand_mean=mean, demand_deviation=mean / 3
        ),
    ):
        assert solve(shortage + extra).order_up_to_level >= solve(shortage).order_up_to_level - 1e-9


@given(st.floats(0.2, 15), st.floats(0.5, 40), st.floats(0.5, 30), st.integers(0, 3))
def test_an_order_up_to_rule_costs_no_less_than_the_base_stock_without_order_costs(mean, fixed, shortage, lead):
    base = poisson_newsvendor(holding_cost=1, shortage_cost=shortage, demand_mean=mean, lead_time_periods=lead)
    found = poisson_order_up_to_rule(
        fixed_order_cost=fixed, holding_cost=1, shortage_cost=shortage, demand_mean=mean, lead_time_periods=lead
    )
    assert base.expected_cost <= found.cost + 1e-9
    assert found.reorder_point < found.order_up_to_level
