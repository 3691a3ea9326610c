"""The response to plans: its slopes are those of the data, its momentum is a sku beside the market."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from restock.forecasting.cross_section.history import build_panel_history
from restock.forecasting.cross_section.response import momentum_columns, plan_response, response_columns
from restock.forecasting.panel import DemandPanel
from tests.unit.forecasting.cross_section.test_cross_section import N_SERIES, OBSERVED, PLAN, make_panel

LEVEL = np.full(N_SERIES, 4, dtype=np.float32)


def panel_of(price: np.ndarray, promoted: np.ndarray, sales: np.ndarray) -> DemandPanel:
    return replace(
        make_panel(),
        unit_price=price.astype(np.float32),
        is_promoted=promoted.astype(np.float32),
        sales_units=sales.astype(np.float32),
        stockout_share=np.zeros(price.shape, dtype=np.float32),
    )


def made_up(price_slope: np.ndarray, promotion_slope: float) -> DemandPanel:
    """Return sales of 4 x (1 + slope x log price + slope x promotion), without noise; `price_slope` by series."""
    rng = np.random.default_rng(8)
    shape = make_panel().sales_units.shape
    price, promoted = rng.uniform(0.7, 1.0, size=shape), rng.random(shape) < 0.5
    sales = 4 * (1 + price_slope[:, None] * np.log(price) + promotion_slope * promoted)
    return panel_of(price, promoted, sales)


def test_plan_response_finds_the_slopes_of_every_sku() -> None:
    price_slope = np.repeat(np.linspace(-2.0, -1.0, N_SERIES // 4), 4)
    response = plan_response(build_panel_history(made_up(price_slope, 0.4)), OBSERVED - 1, level=LEVEL)
    # Pulled towards the mean of all skus, by what the priors are worth beside 4 series of 42 days at a level of 4.
    assert response.price_slope == pytest.approx(price_slope, abs=0.25)
    assert np.corrcoef(response.price_slope, price_slope)[0, 1] > 0.99
    assert response.promotion_slope == pytest.approx(np.full(N_SERIES, 0.4), abs=0.05)


def test_response_columns_give_the_ratio_at_the_planned_price() -> None:
    panel = made_up(np.full(N_SERIES, -1.5), 0.4)
    history = build_panel_history(panel)
    response = plan_response(history, OBSERVED - 1, level=LEVEL)
    columns = response_columns(response, history, target=OBSERVED, known_ahead=PLAN)
    planned = 1 - 1.5 * np.log(panel.unit_price[:, OBSERVED]) + 0.4 * panel.is_promoted[:, OBSERVED]
    assert columns["response_ratio"] == pytest.approx(planned, abs=0.02)
    unknown = response_columns(response, history, target=OBSERVED, known_ahead=())
    usual = response.usual_log_price + np.log(response.usual_price)
    expected = response.usual_ratio + response.price_slope * (np.log(response.usual_price) - usual)
    assert unknown["response_ratio"] == pytest.approx(expected, abs=1e-4)


def test_momentum_is_of_the_sku_beside_the_market() -> None:
    shape = make_panel().sales_units.shape
    sales = np.full(shape, 4.0)
    sales[:, OBSERVED - 3 : OBSERVED] *= 1.5  # all of them: no momentum
    sales[:4, OBSERVED - 3 : OBSERVED] *= 2  # and one sku twice as much again
    history = build_panel_history(panel_of(np.ones(shape), np.zeros(shape), sales))
    columns = momentum_columns(plan_response(history, OBSERVED - 1, level=LEVEL), history.codes)
    momentum = columns["sku_momentum_3"]
    assert momentum[4:] == pytest.approx(np.full(N_SERIES - 4, momentum[4]), rel=1e-5)
    # The market rose by (9 x 1.5 + 3) / 10 = 1.65; beside it the others are at 1.5 / 1.65, the one at 3 / 1.65. Both
    # are drawn a little to 1 by the prior, and the one by its own higher usual sales.
    assert momentum[4] == pytest.approx(1.5 / 1.65, abs=0.03)
    assert 1.5 < momentum[0] < 3 / 1.65


def test_plan_response_does_not_read_after_the_origin() -> None:
    panel = make_panel()
    later = replace(panel, unit_price=panel.unit_price.copy(), sales_units=panel.sales_units.copy())
    later.unit_price[:, 31:], later.sales_units[:, 31:] = 3.0, 99.0
    found = [plan_response(build_panel_history(one), 30, level=LEVEL) for one in (panel, later)]
    for name in ("price_slope", "promotion_slope", "usual_ratio", "sold", "explained"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name), err_msg=name)
