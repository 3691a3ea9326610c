"""Orders from sample paths, against a slow count and the newsvendor."""

from __future__ import annotations

import numpy as np
import pytest

from restock.replenishment.path_orders import missing_units, order_to_cover


def test_missing_units_equal_a_slow_projection():
    rng = np.random.default_rng(4)
    on_hand, on_order, demand = rng.poisson(3, 5) * 1.0, rng.poisson(2, (5, 2)) * 1.0, rng.poisson(2, (5, 3, 7)) * 1.0
    found = missing_units(on_hand, on_order, demand)
    for sku in range(5):
        for path in range(7):
            stock = on_hand[sku]
            for period in range(2):
                stock = max(0, stock + on_order[sku, period] - demand[sku, period, path])
            assert found[sku, path] == demand[sku, 2, path] - stock


def test_missing_units_with_demand_of_other_periods_is_refused():
    with pytest.raises(ValueError, match="expected demand of 3 periods, got 2"):
        missing_units(np.ones(1), np.ones((1, 2)), np.ones((1, 2, 4)))


def test_order_to_cover_is_as_cheap_as_any_order_at_the_critical_ratio():
    rng = np.random.default_rng(9)
    missing = missing_units(np.array([2.0]), np.array([[1.0, 3.0]]), rng.poisson(4, (1, 3, 999)) * 1.0)
    costs = [(0.2 * np.maximum(q - missing, 0) + np.maximum(missing - q, 0)).mean() for q in range(25)]
    assert order_to_cover(missing, 1 / 1.2)[0] == np.argmin(costs)


def test_order_to_cover_with_enough_stock_is_nothing():
    missing = missing_units(np.array([90.0]), np.zeros((1, 2)), np.ones((1, 3, 50)))
    assert order_to_cover(missing, 0.99).tolist() == [0.0]


def test_order_to_cover_a_larger_share_never_orders_less():
    missing = np.random.default_rng(1).normal(size=(6, 100))
    orders = [order_to_cover(missing, share) for share in (0.5, 0.8, 1.0)]
    assert (np.diff(orders, axis=0) >= 0).all()


def test_order_to_cover_a_share_of_nothing_is_refused():
    with pytest.raises(ValueError, match="shares above 0"):
        order_to_cover(np.ones((1, 4)), 0.0)
