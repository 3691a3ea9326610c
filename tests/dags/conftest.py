"""A private Airflow, and a small company that trains in seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from restock.adapters.airflow_home import prepare_airflow_home
from restock.adapters.local_services import migrate_command
from restock.adapters.workspace import create_workspace
from restock.params import merge_values
from restock.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "features": {"lags": [0, 1, 6], "rolling_windows": [7, 28]},
    "forecasting": {
        "horizon": 7,
        "quantiles": [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95],
        "families": ["seasonal_naive", "xgboost", "random_forest"],
        "training_rows": 4000,
        "training_periods": 100,
    },
    "backtest": {"n_windows": 2, "step_periods": 7, "minimum_history_periods": 28},
    "families": {
        "seasonal_naive": {"residual_periods": 28},
        "xgboost": {"n_rounds": 25, "learning_rate": 0.2, "max_depth": 3},
    },
    "promotion": {"n_resamples": 200},
}
N_DAYS = 150
LAST_DAY = "2024-05-29"


def write_sales(path: Path, *, first_day: str = "2024-01-01", n_days: int = N_DAYS, level: float = 1.0) -> None:
    """Write sales of ten series with a strong weekly pattern."""
    rng = np.random.default_rng(5)
    days = [date.fromisoformat(first_day) + timedelta(days=offset) for offset in range(n_days)]
    season = (1.0, 0.8, 0.9, 1.0, 1.6, 2.2, 0.3)
    rows = [
        {
            "sku": f"SKU-{number}",
            "location": f"L{number % 2}",
            "date": day,
            "units_sold": rng.poisson(level * (4 + number) * season[day.weekday()]),
            "unit_price": 2.5,
        }
        for number in range(10)
        for day in days
    ]
    pl.DataFrame(rows).write_csv(path)


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory):
    """Return (workspace, environment) of a migrated private Airflow over a small company."""
    home = tmp_path_factory.mktemp("airflow") / "home"
    create_workspace(home)
    params = home / "params.yaml"
    params.write_text(yaml.safe_dump(merge_values(yaml.safe_load(params.read_text()), SMALL)), encoding="utf-8")
    settings = Settings(workspace=home)
    prepared = prepare_airflow_home(settings, dags=ROOT / "dags")
    environment = os.environ | prepared.environment | {"RESTOCK_LOG_LEVEL": "WARNING"}
    subprocess.run(migrate_command(), env=environment, check=True, capture_output=True)
    return home, environment


@pytest.fixture(scope="session")
def run_script(airflow_home):
    """Return a function that runs a script of this folder in Airflow's environment and returns what it printed."""
    _, environment = airflow_home

    def run(name: str, *arguments: str) -> str:
        command = [sys.executable, str(Path(__file__).with_name(name)), str(ROOT / "dags"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def run_dags(run_script):
    """Return a function that runs DAGs in order and returns their results, each with the log of all."""

    def run(*wanted: tuple[str, dict[str, object]]) -> tuple[list[dict[str, object]], str]:
        arguments = [part for dag_id, form in wanted for part in (dag_id, json.dumps(form))]
        printed = run_script("run_dags.py", *arguments)
        results = [
            json.loads(line.removeprefix("RESULT ")) for line in printed.splitlines() if line.startswith("RESULT ")
        ]
        return results, printed

    return run
