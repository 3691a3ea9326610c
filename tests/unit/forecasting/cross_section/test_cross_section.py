"""The cross-section model: features are what a slow reading gives, the future is not read, a plan is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from restock.errors import InsufficientHistoryError
from restock.forecasting.cross_section.features import level_units, origin_columns, target_columns
from restock.forecasting.cross_section.history import build_panel_history, running_sum, window_mean
from restock.forecasting.cross_section.model import (
    MEAN_OBJECTIVES,
    CrossSectionSettings,
    draw_rows,
    fit_boosters,
    predict_units,
)
from restock.forecasting.cross_section.response import plan_response
from restock.forecasting.panel import DemandPanel
from restock.timeline import Frequency

N_SERIES, OBSERVED, AHEAD = 40, 42, 8
PLAN = ("unit_price", "is_promoted")


def make_panel() -> DemandPanel:
    rng = np.random.default_rng(3)
    shape = (N_SERIES, OBSERVED + AHEAD)
    price = np.where(rng.random(shape) < 0.3, 0.7, 1.0).astype(np.float32)
    sales = (rng.gamma(20, 0.2, size=shape) * np.where(price < 1, 2.0, 1.0)).astype(np.float32)
    sales[:, OBSERVED:] = np.nan
    stockout = np.where(rng.random(shape) < 0.2, 0.5, 0.0).astype(np.float32)
    stockout[:, OBSERVED:] = np.nan
    series = pl.DataFrame(
        {
            "sku": [f"A{row // 4}" for row in range(N_SERIES)],
            "location": [f"L{row % 4}" for row in range(N_SERIES)],
            "category": [f"C{row % 2}" for row in range(N_SERIES)],
            "subcategory": [f"S{row % 5}" for row in range(N_SERIES)],
            "region": ["R"] * N_SERIES,
            "list_price": [1.0] * N_SERIES,
        }
    )
    return DemandPanel(
        series=series,
        start=date(2025, 1, 6),
        frequency=Frequency.DAILY,
        observed_periods=OBSERVED,
        sales_units=sales,
        stockout_share=stockout,
        unit_price=price,
        is_promoted=(price < 1).astype(np.float32),
        is_holiday=np.zeros(shape, dtype=np.float32),
    )


def test_window_mean_is_the_mean_of_the_window() -> None:
    values = np.random.default_rng(1).random((5, 30))
    assert window_mean(running_sum(values), 20, 7) == pytest.approx(values[:, 14:21].mean(axis=1), rel=1e-5)


def test_columns_do_not_read_sales_or_stockouts_after_the_origin() -> None:
    panel = make_panel()
    changed = panel.sales_units.copy()
    changed[:, 31:OBSERVED] = 99
    later = replace(panel, sales_units=changed, stockout_share=np.ones_like(panel.stockout_share))
    later.stockout_share[:, :31] = panel.stockout_share[:, :31]
    found = []
    for one in (panel, later):
        history = build_panel_history(one)
        level = level_units(history, 30)
        response = plan_response(history, 30, level=level)
        found.append(
            origin_columns(history, 30, level=level, response=response)
            | target_columns(history, 30, horizon=5, level=level, response=response, known_ahead=PLAN)
        )
    for name, column in found[0].items():
        np.testing.assert_array_equal(column, found[1][name], err_msg=name)


def test_columns_without_a_plan_do_not_read_prices_or_promotions_after_the_origin() -> None:
    panel = make_panel()
    price, promoted = panel.unit_price.copy(), panel.is_promoted.copy()
    price[:, 31:], promoted[:, 31:] = 5.0, 1.0
    found = []
    for one in (panel, replace(panel, unit_price=price, is_promoted=promoted)):
        history = build_panel_history(one)
        level = level_units(history, 30)
        response = plan_response(history, 30, level=level)
        found.append(
            origin_columns(history, 30, level=level, response=response)
            | target_columns(history, 30, horizon=3, level=level, response=response, known_ahead=())
        )
    for name, column in found[0].items():
        np.testing.assert_array_equal(column, found[1][name], err_msg=name)


def test_predict_units_follows_the_planned_price() -> None:
    panel = make_panel()
    settings = CrossSectionSettings(horizon=4, known_ahead=PLAN, n_rows=8_000, n_rounds=60, learning_rate=0.2)
    history = build_panel_history(panel)
    objective = dict(MEAN_OBJECTIVES[0]) | {"min_child_weight": 30.0}  # few rows
    boosters = fit_boosters(draw_rows(history, settings), [objective], settings=settings)
    means = []
    place = np.arange(N_SERIES) % 10
    for planned in (place < 3, place >= 7):
        price, promoted = panel.unit_price.copy(), panel.is_promoted.copy()
        price[:, OBSERVED:] = np.where(planned, 0.7, 1.0)[:, None]
        promoted[:, OBSERVED:] = planned[:, None]
        ahead = build_panel_history(replace(panel, unit_price=price, is_promoted=promoted))
        means.append(predict_units(boosters, ahead, settings=settings)[0][place < 3].mean())
    # Twice the sales at the low price is how the panel was made.
    assert means[0] / means[1] == pytest.approx(2.0, rel=0.2)


def test_draw_rows_of_a_short_history_is_refused() -> None:
    panel = make_panel().observed_until(date(2025, 1, 20))
    with pytest.raises(InsufficientHistoryError, match="the history has 15 periods, needs >= 23"):
        draw_rows(build_panel_history(panel), CrossSectionSettings(horizon=4, known_ahead=()))


def test_demand_is_learned_from_short_days_through_their_stockout_share() -> None:
    panel = make_panel()
    # Half of the day without stock halves the sales: demand is what is sold at a share of 0.
    sales = panel.sales_units * (1 - np.nan_to_num(panel.stockout_share))
    history = build_panel_history(replace(panel, sales_units=sales))
    settings = CrossSectionSettings(horizon=3, known_ahead=PLAN, n_rows=8_000, n_rounds=60, learning_rate=0.2)
    rows = draw_rows(history, settings)
    booster = [{"objective": "reg:tweedie", "max_depth": 6, "min_child_weight": 20.0}]
    units = [
        predict_units(fit_boosters(one, booster, settings=settings), history, settings=settings)[0].mean()
        for one in (rows, rows.with_stockouts())
    ]
    # A fifth of the days lose half: 0.8 + 0.2 x 0.5.
    assert units[0] / units[1] == pytest.approx(0.9, abs=0.04)
