"""Stage `features`: validated tables in, the demand panel and its features out."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from restock.adapters.panel_files import save_features, save_panel
from restock.adapters.storage import read_table, sha256_of, write_json
from restock.forecasting.features import build_origin_features
from restock.forecasting.panel import DemandPanel, build_demand_panel
from restock.params import Params
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES

logger = logging.getLogger(__name__)

# SHA-256 of each validated table that the features were made from: later stages stamp it on what they make.
DATA_HASHES_FILE = "data_hashes.json"


def read_demand_panel(data_dir: Path, params: Params) -> DemandPanel:
    """Return the panel of the validated tables in `data_dir`.

    Raises:
        NotFoundError: a validated table is missing.
        DataError: the sales are empty or off the grid.
    """
    validated = data_dir / "validated"
    return build_demand_panel(
        read_table(validated / "sales.parquet", SALES),
        read_table(validated / "products.parquet", PRODUCTS),
        locations=read_table(validated / "locations.parquet", LOCATIONS),
        calendar=read_table(validated / "calendar.parquet", CALENDAR),
        frequency=params.forecasting.frequency,
        horizon=params.forecasting.horizon,
    )


def run_features(data_dir: Path, params: Params) -> int:
    """Write `data_dir`/features and return how many feature rows it holds.

    Raises:
        NotFoundError: a validated table is missing.
        DataError: the sales are empty or off the grid.
    """
    panel = read_demand_panel(data_dir, params)
    features = build_origin_features(panel, params.features)
    folder = data_dir / "features"
    shutil.rmtree(folder, ignore_errors=True)
    save_panel(panel, folder)
    save_features(features, folder)
    tables = ("sales", "products", "locations", "calendar")
    hashes = {name: sha256_of(data_dir / "validated" / f"{name}.parquet") for name in tables}
    write_json(folder / DATA_HASHES_FILE, hashes)
    rows = panel.n_series * panel.observed_periods
    logger.info(
        "features: %d rows (%d series x %d periods, up to %s), %d features",
        rows,
        panel.n_series,
        panel.observed_periods,
        panel.last_observed,
        len(features.names),
    )
    return rows
