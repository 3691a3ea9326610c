from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.analytics.valuation import Flow, Method, Pool, StockEvent, divide_half_even, share_out, value_events

AT = datetime(2024, 1, 1, tzinfo=UTC)
METHODS = list(Method)


def event(flow, quantity, cost=None, *, scale=1, day=0):
    return StockEvent(occurred_at=AT + timedelta(days=day), flow=flow, quantity=quantity, unit_cost=cost, scale=scale)


def values(events, method):
    return [(flow.flow, flow.value) for flow in value_events(events, method=method)]


# Horngren, Cost Accounting: the purchases of a textbook year, 8 of 15 units sold.
TEXTBOOK = [
    event(Flow.RECEIPTS, 5, 1000),
    event(Flow.RECEIPTS, 5, 1200),
    event(Flow.RECEIPTS, 5, 1500),
    event(Flow.COST_OF_SALES, -8),
]


def test_value_events_fifo_takes_the_oldest_first():
    assert values(TEXTBOOK, Method.FIFO)[-1] == (Flow.COST_OF_SALES, -(5 * 1000 + 3 * 1200))


def test_value_events_moving_average_takes_the_average():
    # 18,500 for 15 units: 8 of them are worth 9,866 2/3.
    assert values(TEXTBOOK, Method.MOVING_AVERAGE)[-1] == (Flow.COST_OF_SALES, -9867)


@pytest.mark.parametrize("method", METHODS)
def test_value_events_sold_below_zero_is_settled_by_the_next_receipt(method):
    events = [
        event(Flow.RECEIPTS, 2, 100),
        event(Flow.COST_OF_SALES, -5),
        event(Flow.RECEIPTS, 10, 130),
    ]
    # Three were sold at the last cost of 100 and had really cost 130.
    assert values(events, method)[1:] == [
        (Flow.COST_OF_SALES, -500),
        (Flow.RECEIPTS, 1300),
        (Flow.COST_ADJUSTMENTS, -90),
    ]
    pool = Pool(method)
    for one in events:
        pool.apply(one)
    assert (pool.quantity, pool.value) == (7, 910)


@pytest.mark.parametrize("method", METHODS)
def test_value_events_receipt_that_is_taken_back_leaves_nothing(method):
    events = [event(Flow.RECEIPTS, 10, 100), event(Flow.RECEIPTS, 5, 160), event(Flow.RECEIPTS, -5, 160)]
    pool = Pool(method)
    for one in events:
        pool.apply(one)
    expected = {Method.FIFO: 1000, Method.MOVING_AVERAGE: 1200}
    assert (pool.quantity, pool.value) == (10, expected[method])


def test_pool_layers_tell_when_the_goods_came():
    pool = Pool(Method.FIFO)
    for one in (
        event(Flow.RECEIPTS, 5, 100),
        event(Flow.RECEIPTS, 5, 100, day=9),
        event(Flow.COST_OF_SALES, -7, day=9),
    ):
        pool.apply(one)
    assert [(layer.quantity, (layer.since - AT).days) for layer in pool.layers] == [(3, 9)]


EVENTS = st.lists(
    st.one_of(
        st.builds(event, st.just(Flow.RECEIPTS), st.integers(1, 500), st.integers(0, 10_000)),
        st.builds(event, st.sampled_from([Flow.RETURNS, Flow.FOUND, Flow.ADJUSTMENTS]), st.integers(1, 50)),
        st.builds(
            event,
            st.sampled_from([Flow.COST_OF_SALES, Flow.WRITE_OFFS, Flow.SHRINKAGE, Flow.ADJUSTMENTS]),
            st.integers(-400, -1),
        ),
        st.builds(event, st.just(Flow.RECEIPTS), st.integers(-50, -1), st.integers(0, 10_000)),
    ),
    max_size=60,
)


@given(EVENTS, st.sampled_from(METHODS))
def test_pool_value_is_the_sum_of_its_flows_and_nothing_is_worth_nothing(events, method):
    pool, total = Pool(method), 0
    for one in events:
        total += sum(flow.value for flow in pool.apply(one))
        assert pool.value == total
        assert pool.quantity != 0 or pool.value == 0
    assert pool.quantity == sum(one.quantity for one in events)


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 9_999)), min_size=1, max_size=20), st.data())
def test_pool_is_what_plain_fractions_say_while_stock_lasts(receipts, data):
    """An independent reference: exact layers as lists, an exact average; rounding is at most one unit a flow."""
    for method in METHODS:
        pool, layers, n_flows = Pool(method), [], 0
        for quantity, cost in receipts:
            pool.apply(event(Flow.RECEIPTS, quantity, cost))
            layers.append([quantity, Fraction(cost)])
            sold = data.draw(st.integers(0, sum(layer[0] for layer in layers)))
            n_flows += 2
            if sold:
                pool.apply(event(Flow.COST_OF_SALES, -sold))
            whole = sum(layer[0] for layer in layers)
            if method is Method.MOVING_AVERAGE:
                average = sum(layer[0] * layer[1] for layer in layers) / whole
                layers = [[whole - sold, average]] if whole > sold else []
                continue
            while sold:
                taken = min(sold, layers[0][0])
                layers[0][0] -= taken
                sold -= taken
                layers = [layer for layer in layers if layer[0]]
        exact = sum(layer[0] * layer[1] for layer in layers)
        assert abs(pool.value - exact) <= n_flows * len(receipts)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 1000), min_size=1, max_size=20))
def test_share_out_adds_up(total, weights):
    assert sum(share_out(total, weights)) == total


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_divide_half_even_is_python_s_own_rounding(numerator, denominator):
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))
