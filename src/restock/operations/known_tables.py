"""The validated tables as one whole, with their hashes, and the panel that was known of them at the end of a day."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from restock.adapters.storage import read_table, sha256_of
from restock.errors import DataError
from restock.forecasting.panel import DemandPanel, build_demand_panel, series_attributes
from restock.forecasting.unsold import join_panels, sorted_rows, unsold_series
from restock.operations.served_model import ServedModel
from restock.operations.stored_history import HISTORY_TABLES, STORE, file_identities
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES, SUPPLY_TERMS

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class KnownTables:
    """What every forecast of a day is made from, read as one.

    Attributes:
        frames: the tables of `HISTORY_TABLES` by name, and `supply_terms`, empty where it is not validated.
        hashes: SHA-256 of each one's file, by name; no `supply_terms` where it is not validated.
    """

    frames: Mapping[str, pl.DataFrame]
    hashes: Mapping[str, str]


def read_known_tables(data_dir: Path) -> KnownTables:
    """Return the validated tables of one state: none of them was replaced while they were read.

    Raises:
        NotFoundError: nothing is validated.
        DataError: a table can't be read, or the tables changed while they were read.
    """
    folder = data_dir / "validated"
    tables = {folder / f"{table.name}.parquet": table for table in (*HISTORY_TABLES, SUPPLY_TERMS)}
    before = file_identities(tables)
    frames: dict[str, pl.DataFrame] = {}
    hashes: dict[str, str] = {}
    for path, table in tables.items():
        is_there = table is not SUPPLY_TERMS or path.exists()
        frames[table.name] = read_table(path, table) if is_there else table.empty()
        if is_there:
            hashes[table.name] = sha256_of(path)
    if file_identities(tables) != before:
        raise DataError(f"the tables in {folder.name} changed while they were read. Run the command again.")
    return KnownTables(frames=frames, hashes=hashes)


def panel_as_of(known: KnownTables, model: ServedModel, *, as_of: date) -> DemandPanel:
    """Return the stored history as it was at the end of `as_of`: no later row of sales is in it.

    Args:
        known: the tables.
        model: whose periods and horizon it gets.
        as_of: the day.

    Raises:
        DataError: there are no sales up to that day.
    """
    # A date is the first day of its period: a week that is not over yet holds sales of days to come.
    stored = known.frames[SALES.name]
    sales = stored.filter(pl.col("date") <= as_of - timedelta(days=model.frequency.days - 1))
    if sales.is_empty():
        begin = f"they begin on {stored['date'].min()!s}" if stored.height else "there are none at all"
        raise DataError(f"there are no sales up to {as_of}; {begin}. Ingest sales, or choose a later day.")
    return build_demand_panel(
        sales,
        known.frames[PRODUCTS.name],
        locations=known.frames[LOCATIONS.name],
        calendar=known.frames[CALENDAR.name],
        frequency=model.frequency,
        horizon=model.forecaster.horizon,
    )


def with_listed(panel: DemandPanel, known: KnownTables) -> DemandPanel:
    """Return the panel with what supply terms list for a store and nobody bought there yet.

    Terms have no date, so they say nothing about an earlier day: only a panel up to the last stored sale is added to.
    """
    if known.frames[SALES.name]["date"].max() != panel.last_observed:
        return panel
    stores = known.frames[LOCATIONS.name].filter(pl.col("kind") == STORE)
    listed = known.frames[SUPPLY_TERMS.name].select("sku", "location").unique().join(stores, on="location", how="semi")
    together = with_series(panel, listed, known=known)
    if together.n_series > panel.n_series:
        n_unsold = together.n_series - panel.n_series
        logger.info("%d listed series were never sold and are forecast by their attributes", n_unsold)
    return together


def with_series(panel: DemandPanel, keys: pl.DataFrame, *, known: KnownTables) -> DemandPanel:
    """Return the panel with those of `keys` (columns sku and location) that it lacks and products know, never sold."""
    products = known.frames[PRODUCTS.name]
    lacking = keys.join(products, on="sku", how="semi").join(panel.series, on=["sku", "location"], how="anti")
    if lacking.is_empty():
        return panel
    attributes = series_attributes(lacking, products, locations=known.frames[LOCATIONS.name])
    together = join_panels(panel, unsold_series(panel, attributes))
    return together.select(sorted_rows(together.series))
