"""What tests of several domains share: a small learnable panel, params small enough to train in a test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from restock.forecasting.panel import DemandPanel
from restock.params import Params, merge_values, parse_params, read_param_values
from restock.timeline import Frequency

# As the command does: XGBoost's idle threads spin otherwise and starve whatever else the machine runs. Read when the
# library is loaded, so set before any test.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parents[1]
SMALL_VALUES = {
    "features": {"lags": [0, 1, 6], "rolling_windows": [7, 28]},
    "forecasting": {
        "horizon": 10,
        "quantiles": [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95],
        "training_rows": 4000,
        "training_periods": 200,
    },
    "backtest": {"n_windows": 2, "step_periods": 10, "minimum_history_periods": 28},
    "families": {
        "seasonal_naive": {"residual_periods": 56},
        "random_forest": {"n_trees": 8, "min_samples_leaf": 10},
        "xgboost": {"n_rounds": 15, "learning_rate": 0.3, "max_depth": 4},
        "neural": {"lookback_periods": 28, "hidden_units": 16, "n_blocks": 1, "epochs": 3, "training_windows": 800},
    },
    "promotion": {"n_resamples": 200},
}


@pytest.fixture
def small_params() -> Callable[..., Params]:
    """Return params small enough to train within a test, with any section changed."""

    def build(**changes: object) -> Params:
        values = merge_values(read_param_values(ROOT / "params.yaml"), SMALL_VALUES)
        return parse_params(merge_values(values, changes))

    return build


@pytest.fixture
def make_panel() -> Callable[..., DemandPanel]:
    """Return a panel with a weekly pattern, promotions, price changes, stockouts and a late starter."""

    def build(*, n_series: int = 12, n_periods: int = 120, horizon: int = 10, seed: int = 1) -> DemandPanel:
        rng = np.random.default_rng(seed)
        grid, day = n_periods + horizon, np.arange(n_periods + horizon)
        promoted = (rng.random((n_series, grid)) < 0.12).astype(np.float32)
        level = rng.uniform(0.3, 12, (n_series, 1))
        season = np.array([1.0, 0.8, 0.9, 1.0, 1.6, 2.2, 0.3])[day % 7]
        sales = rng.poisson(level * season * (1 + 1.2 * promoted)).astype(np.float32)
        stockout = np.where(rng.random((n_series, grid)) < 0.06, 0.5, 0.0).astype(np.float32)
        sales = np.where(stockout > 0, np.floor(sales / 2), sales)
        sales[-1, : n_periods // 2] = np.nan
        sales[:, n_periods:] = np.nan
        stockout[:, n_periods:] = np.nan
        price = np.where(promoted > 0, 1.5, 2.0) * rng.uniform(0.5, 3, (n_series, 1))
        series = pl.DataFrame(
            {
                "sku": [f"SKU-{n:03d}" for n in range(n_series)],
                "location": [f"L{n % 3}" for n in range(n_series)],
                "category": [f"C{n % 2}" for n in range(n_series)],
                "subcategory": [f"S{n % 4}" for n in range(n_series)],
                "region": ["R"] * n_series,
                "list_price": price[:, 0].astype(np.float32),
            }
        )
        return DemandPanel(
            series=series,
            start=date(2024, 1, 1),
            frequency=Frequency.DAILY,
            observed_periods=n_periods,
            sales_units=sales.astype(np.float32),
            stockout_share=stockout,
            unit_price=price.astype(np.float32),
            is_promoted=promoted,
            is_holiday=np.tile((day % 30 == 25).astype(np.float32), (n_series, 1)),
        )

    return build


@pytest.fixture
def with_other_future() -> Callable[..., DemandPanel]:
    """Return a panel of which everything after `cutoff` has been changed: sales and stockouts, and plans if asked."""

    def change(panel: DemandPanel, cutoff: date, *, plans: bool = False, seed: int = 9) -> DemandPanel:
        rng = np.random.default_rng(seed)
        later = slice(panel.index_of(cutoff) + 1, None)
        changed = {"sales_units": panel.sales_units.copy(), "stockout_share": panel.stockout_share.copy()}
        changed["sales_units"][:, later] = rng.poisson(50, changed["sales_units"][:, later].shape)
        changed["stockout_share"][:, later] = rng.random(changed["stockout_share"][:, later].shape)
        if plans:
            changed |= {"unit_price": panel.unit_price.copy(), "is_promoted": panel.is_promoted.copy()}
            changed["unit_price"][:, later] = rng.uniform(5, 9, changed["unit_price"][:, later].shape)
            changed["is_promoted"][:, later] = 1 - changed["is_promoted"][:, later]
        return replace(panel, **changed)

    return change


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Yield the URL of a private PostgreSQL cluster; for tests marked `real`."""
    from tests.real_parts import run_postgresql

    with run_postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def planned_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small workspace with a kept plan (`tests.planned_workspace`), only to read; tests write into copies."""
    from tests.planned_workspace import build_planned_workspace

    return build_planned_workspace(tmp_path_factory.mktemp("planned") / "workspace")


@pytest.fixture
def planned(planned_template: Path, tmp_path: Path) -> Path:
    """Return a copy of it, to write into."""
    return Path(shutil.copytree(planned_template, tmp_path / "workspace"))
