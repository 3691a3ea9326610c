"""Similar periods against the obvious slow way, one row and one period at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from restock.forecasting.similar_periods import SIMILAR_NAMES, similar_period_columns


def reference(sales, plans, row, *, season_periods):
    """Every column of one row, from lists."""
    series, origin, target, scale, planned = row
    sums = {name: [0.0, 0.0] for name in ("all", "price", "plan", "season")}
    for period in range(max(0, origin - 55), origin + 1):
        sold = float(sales[series, period])
        if math.isnan(sold):
            continue
        price, promotion, holiday = (float(grid[series, period]) for grid in plans)
        wanted_price, wanted_promotion, wanted_holiday = planned
        weight = 0.97 ** (origin - period)
        gap = (price / wanted_price - 1) / 0.05
        near = math.exp(-gap * gap)
        alike = near * (1 if promotion == wanted_promotion else 0.3) * (1 if holiday == wanted_holiday else 0.25)
        in_season = 1 if (target - period) % season_periods == 0 else 0.15
        for name, kernel in (("all", 1), ("price", near), ("plan", alike), ("season", alike * in_season)):
            sums[name][0] += weight * kernel
            sums[name][1] += weight * kernel * sold / scale
    level = (sums["all"][1] + 1) / (sums["all"][0] + 1)
    found = [level]
    for name in ("price", "plan", "season"):
        weight, total = sums[name]
        found += [(total + 0.5 * level) / (weight + 0.5), weight]
    return found


@pytest.fixture
def grids(make_panel):
    panel = make_panel(n_series=5)
    sales = np.where(panel.stockout_share > 0, np.nan, panel.sales_units)[:, : panel.observed_periods]
    return panel, sales.astype(np.float32), (panel.unit_price, panel.is_promoted, panel.is_holiday)


def columns_of(sales, plans, series, origin, horizon, *, planned=None):
    target = origin + horizon
    scale = np.full(len(series), 3.0, dtype=np.float32)
    planned = planned or tuple(grid[series, target] for grid in plans)
    return similar_period_columns(
        sales, plans, series=series, origin=origin, target=target, scale=scale, planned=planned, season_periods=7
    )


def test_similar_periods_equal_the_reference(grids):
    panel, sales, plans = grids
    rng = np.random.default_rng(3)
    series, origin = rng.integers(0, panel.n_series, 60), rng.integers(0, 119, 60)
    horizon = rng.integers(1, 10, 60)
    found = columns_of(sales, plans, series, origin, horizon)
    assert found.shape == (60, len(SIMILAR_NAMES))
    for row in range(60):
        target = origin[row] + horizon[row]
        planned = tuple(float(grid[series[row], target]) for grid in plans)
        expected = reference(sales, plans, (series[row], origin[row], target, 3.0, planned), season_periods=7)
        np.testing.assert_allclose(found[row], expected, rtol=2e-4, atol=2e-5)


def test_similar_periods_tell_a_promoted_price_from_the_usual_one():
    period = np.arange(72)
    promoted = (period % 8 == 0).astype(np.float32)[None, :]
    price = np.where(promoted > 0, 1.5, 2.0).astype(np.float32)
    sales = np.where(promoted > 0, 12.0, 3.0).astype(np.float32)[:, :60]
    plans = (price, promoted, np.zeros_like(price))
    rows = np.zeros(2, dtype=np.intp), np.full(2, 59), np.array([1, 5])
    found = columns_of(sales, plans, *rows)
    usual, promotion = found[:, SIMILAR_NAMES.index("similar_plan")] * 3
    assert usual == pytest.approx(3.0, rel=0.05)
    # Drawn to the level by half a period, of some five promoted ones.
    assert 10.5 < promotion < 12.0


def test_similar_periods_without_prices_are_those_at_one_price(grids):
    _, sales, plans = grids
    rows = np.array([0, 1]), np.array([80, 80]), np.array([2, 9])
    unknown, same = (columns_of(sales, (np.full_like(plans[0], price), *plans[1:]), *rows) for price in (np.nan, 2.0))
    np.testing.assert_allclose(unknown, same, rtol=1e-6)


def test_similar_periods_read_nothing_after_the_cutoff(grids):
    _, sales, plans = grids
    rows = np.arange(5), np.full(5, 70), np.full(5, 4)
    planned = tuple(grid[rows[0], 74] for grid in plans)
    changed_sales = sales.copy()
    changed_sales[:, 71:] = 999
    changed_plans = []
    for grid in plans:
        other = grid.copy()
        other[:, 71:] = 7
        changed_plans.append(other)
    before = columns_of(sales, plans, *rows, planned=planned)
    after = columns_of(changed_sales, tuple(changed_plans), *rows, planned=planned)
    np.testing.assert_array_equal(before, after)


def test_similar_periods_before_any_sale_are_the_level_itself(grids):
    _, sales, plans = grids
    unknown = np.full_like(sales, np.nan)
    found = columns_of(unknown, plans, np.array([0]), np.array([0]), np.array([1]))
    np.testing.assert_allclose(found, [[1, 1, 0, 1, 0, 1, 0]])
