"""A small workspace with trained candidates, and promotions in processes of their own that can be killed."""

import multiprocessing
import os
import shutil
import signal
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from restock.adapters.storage import write_json, write_table
from restock.operations.promote import promote
from restock.operations.promotion_steps import PromotionRequest
from restock.params import merge_values, read_param_values, read_params
from restock.pipeline.features import run_features
from restock.pipeline.train import run_train
from restock.settings import Settings
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2024, 8, 1, 12, 0, tzinfo=UTC)
N_DAYS = 150
_SKUS = tuple(f"SKU-{number}" for number in range(1, 7))
_STORES = ("STORE-1", "STORE-2")
_PARAMS = {
    "forecasting": {
        "horizon": 7,
        "quantiles": [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95],
        "families": ["seasonal_naive", "xgboost"],
        "training_rows": 2000,
        "training_periods": 90,
    },
    "backtest": {"n_windows": 2, "step_periods": 7, "minimum_history_periods": 56},
    "families": {"xgboost": {"n_rounds": 25}},
    "promotion": {"n_resamples": 200},
}


def settings_of(workspace):
    return Settings(workspace=workspace, mlflow_tracking_uri=f"sqlite:///{workspace}/mlflow.db")


def params_of(workspace):
    return read_params(workspace / "params.yaml")


def write_params(workspace, changes=None):
    values = merge_values(read_param_values(ROOT / "params.yaml"), _PARAMS)
    text = yaml.safe_dump(merge_values(values, changes or {}), sort_keys=False)
    (workspace / "params.yaml").write_text(text, encoding="utf-8")


def write_history(workspace, *, n_days=N_DAYS):
    """Write validated tables of unrelated days around a level per series: whoever averages beats the naive."""
    rng = np.random.default_rng(11)
    levels = rng.uniform(3, 30, size=(len(_SKUS), len(_STORES)))
    days = [date(2024, 1, 1) + timedelta(days=day) for day in range(n_days)]
    sold = rng.poisson(levels[:, :, None], size=(*levels.shape, n_days))
    sales = pl.DataFrame(
        [
            {"sku": sku, "location": store, "date": day, "units_sold": float(units), "unit_price": 2.5}
            for sku, of_sku in zip(_SKUS, sold, strict=True)
            for store, of_store in zip(_STORES, of_sku, strict=True)
            for day, units in zip(days, of_store, strict=True)
        ]
    )
    products = pl.DataFrame({"sku": _SKUS, "name": _SKUS, "category_path": ["Food > Dairy"] * len(_SKUS)})
    locations = pl.DataFrame({"location": _STORES, "kind": ["store"] * 2, "region": ["north"] * 2})
    calendar = pl.DataFrame({"date": days[:1], "is_holiday": [True]})
    folder = workspace / "data" / "validated"
    for frame, table in ((products, PRODUCTS), (locations, LOCATIONS), (calendar, CALENDAR), (sales, SALES)):
        write_table(table.conform(frame), table, folder / f"{table.name}.parquet")
    write_json(workspace / "data" / "manifest.json", {"batches": [{"id": f"days-{n_days}"}]})


def train_candidates(workspace, *, best="xgboost"):
    """Run the features and train stages, and name the candidate."""
    settings, params = settings_of(workspace), params_of(workspace)
    run_features(settings.data_dir, params)
    for family in params.forecasting.families:
        run_train(family, settings, params)
    write_json(
        workspace / "data" / "reports" / "evaluation" / "candidate.json",
        {"model_type": "demand_forecasting", "family": best, "reason": "test"},
    )


def make_request(**changes):
    return PromotionRequest(**({"reason": "test", "promoted_by": "tester"} | changes))


def promote_in(workspace, *, now=NOW, after_step=None, **changes):
    return promote(
        settings_of(workspace), params_of(workspace), make_request(**changes), now=now, after_step=after_step
    )


def copy_workspace(template, target):
    """Copy a workspace; MLflow's artifacts stay where they are, named by the database."""
    shutil.copytree(template, target, ignore=shutil.ignore_patterns("mlartifacts"))
    return target


def start_promotion(workspace, *, kill_after=None, **changes):
    """Start a promotion in a process of its own, which kills itself after a step, as power or memory would."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["restock.operations.promote", "mlflow", "xgboost"])
    process = context.Process(target=_promote_and_die, args=(str(workspace), kill_after, changes), daemon=True)
    process.start()
    return process


def _promote_and_die(workspace, kill_after, changes):
    def after_step(name):
        if name == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    promote_in(Path(workspace), after_step=after_step, **changes)
