"""A workspace with stored history and promoted versions, and the real service on a free loopback port."""

import socket
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import polars as pl

from restock.adapters.bento_server import FORECAST_SERVICE, find_services, service_command, service_environment
from restock.adapters.model_files import save_forecaster
from restock.adapters.processes import start_process, stop_process, wait_until_ready
from restock.adapters.registry import Action, Change, ModelType, set_current, write_version
from restock.adapters.storage import read_table, write_json, write_table
from restock.forecasting.dependence import independence
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.panel import build_demand_panel
from restock.forecasting.segments import fit_segment_rule
from restock.operations.access import Role
from restock.operations.golden import make_golden
from restock.operations.identity.issuing import issue_token
from restock.operations.path_recipe import PathRecipe, write_path_recipe
from restock.params import read_params
from restock.settings import Settings
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES
from restock.timeline import Frequency

ROOT = Path(__file__).resolve().parents[2]
FIRST = date(2024, 1, 1)
SKUS = tuple(f"SKU-{number:04d}" for number in range(1, 9))
STORES = ("STORE-1", "STORE-2")
HORIZON = 14
QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@dataclass(frozen=True)
class RunningService:
    """The service, and a client that holds a reader's token."""

    workspace: Path
    address: str
    client: httpx.Client
    token: str
    admin_token: str
    log: Path

    def post(self, path, body, **kwargs):
        return self.client.post(path, json=body, **kwargs)

    def readiness(self):
        return self.client.get("/readyz").json()


def write_history(workspace, *, n_days=120):
    """Write validated tables of 8 skus in 2 stores, seeded."""
    rng = np.random.default_rng(7)
    days = [FIRST + timedelta(days=day) for day in range(n_days)]
    sales = pl.DataFrame(
        [
            {"sku": sku, "location": store, "date": day, "units_sold": float(rng.poisson(6)), "unit_price": 3.49}
            for sku in SKUS
            for store in STORES
            for day in days
        ]
    )
    folder = workspace / "data" / "validated"
    products = pl.DataFrame({"sku": SKUS, "name": SKUS, "category_path": ["Food > Dairy"] * len(SKUS)})
    locations = pl.DataFrame({"location": STORES, "kind": ["store"] * 2, "region": ["north"] * 2})
    calendar = pl.DataFrame({"date": [FIRST], "is_holiday": [True]})
    for frame, table in ((products, PRODUCTS), (locations, LOCATIONS), (calendar, CALENDAR), (sales, SALES)):
        write_table(table.conform(frame), table, folder / f"{table.name}.parquet")


def read_history(workspace):
    """Return the validated tables by name."""
    folder = workspace / "data" / "validated"
    return {
        table.name: read_table(folder / f"{table.name}.parquet", table)
        for table in (SALES, PRODUCTS, LOCATIONS, CALENDAR)
    }


def promote_version(workspace, *, family="seasonal_naive", n_paths=0):
    """Fit a forecaster on the stored history and write it as the next version; it is not served yet.

    With `n_paths`, it draws so many paths of demands that have nothing to do with each other.
    """
    tables = read_history(workspace)
    panel = build_demand_panel(
        tables["sales"],
        tables["products"],
        locations=tables["locations"],
        calendar=tables["calendar"],
        frequency=Frequency.DAILY,
        horizon=HORIZON,
    )
    params = read_params(ROOT / "params.yaml")
    forecasting = params.forecasting.model_copy(update={"horizon": HORIZON, "quantiles": QUANTILES})
    forecaster = fit_forecaster(family, panel, params=params.model_copy(update={"forecasting": forecasting}))

    def build(folder):
        save_forecaster(forecaster, folder)
        golden = make_golden(forecaster, tables, frequency=Frequency.DAILY, horizon=HORIZON)
        write_json(folder / "golden.json", golden)
        if n_paths:
            dependence = independence(HORIZON, rule=fit_segment_rule(panel, params=params.evaluation))
            write_path_recipe(PathRecipe(dependence=dependence, seed=1, n_paths=n_paths), folder)

    metadata = {"cutoff": panel.last_observed.isoformat(), "data_hash": "0" * 64, "frequency": Frequency.DAILY.value}
    return write_version(workspace / "models", ModelType.DEMAND_FORECASTING, build=build, metadata=metadata)


def serve_version(workspace, version):
    """Make a version the one that is served, as promotion and rollback do."""
    change = Change(
        served=version,
        previous=None,
        changed_at_utc=datetime.now(UTC),
        changed_by="test",
        reason="test",
        action=Action.PROMOTE,
    )
    set_current(workspace / "models", ModelType.DEMAND_FORECASTING, change)


def version_folder(workspace, version):
    return workspace / "models" / "demand_forecasting" / f"model_version_{version}"


@contextmanager
def running(workspace, *, workers=1):
    """Run the service of a workspace; it need not have anything to serve."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(workspace=workspace)
    suffix = workspace.name.replace("_", "-")
    reader = issue_token(settings, f"reader-{port}", role=Role.ANALYST)
    admin = issue_token(settings, f"admin-{port}", role=Role.ADMIN)
    record, log = workspace / "logs" / f"{suffix}-{port}.json", workspace / "logs" / f"{suffix}-{port}.log"
    environment = service_environment(settings, FORECAST_SERVICE, port=port, workers=workers)
    process = start_process(
        service_command(FORECAST_SERVICE, host="127.0.0.1", port=port),
        record=record,
        log=log,
        environment=environment | {"RESTOCK_RELOAD_SECONDS": "0.1", "RESTOCK_MAX_BODY_BYTES": "200000"},
        folder=find_services(),
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(f"{address}/livez", process=process, log=log, timeout_seconds=90)
        headers = {"authorization": f"Bearer {reader}"}
        with httpx.Client(base_url=address, headers=headers, timeout=30) as client:
            yield RunningService(workspace, address, client, reader, admin, log)
    finally:
        stop_process(record)
