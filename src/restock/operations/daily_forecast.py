"""The forecast of a day, kept: every stored series as it was known at the end of that day, one partition a day.

    data/forecasts/<model type>/as_of=YYYY-MM-DD/quantile_forecast.parquet   table quantile_forecast
                                                 total_forecast.parquet      table total_forecast: sums of its paths
                                                 demand_dependence.parquet   tables that say how paths are drawn, as
                                                 demand_comovement.parquet   do seed and number of paths in:
                                                 forecast.json               which version and data made it

A partition holds nothing that was learned after its day: neither sales, nor a model trained on later ones. The same
day, data and versions give the same table, so that a day can be forecast again at any time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from restock.adapters.registry import ModelType, list_versions, read_current, read_metadata
from restock.adapters.storage import (
    read_json,
    read_table,
    sha256_of,
    sync_directory,
    sync_file,
    write_frame,
    write_json,
)
from restock.errors import DataError, NotFoundError
from restock.forecasting.panel import DemandPanel, build_demand_panel, series_attributes
from restock.forecasting.totals import ForecastTotals
from restock.forecasting.unsold import join_panels, sorted_rows, unsold_series
from restock.operations.served_model import ServedModel, load_served_model
from restock.operations.stored_history import HISTORY_TABLES, STORE
from restock.settings import Settings
from restock.tables import (
    DEMAND_COMOVEMENT,
    DEMAND_DEPENDENCE,
    LOCATIONS,
    PRODUCTS,
    QUANTILE_FORECAST,
    SALES,
    SUPPLY_TERMS,
    TOTAL_FORECAST,
)
from restock.timeline import Frequency, add_periods

logger = logging.getLogger(__name__)

FORECASTS_FOLDER = "forecasts"
FORECAST_FILE = "quantile_forecast.parquet"
TOTAL_FILE = "total_forecast.parquet"
DESCRIPTION_FILE = "forecast.json"
_TYPE = ModelType.DEMAND_FORECASTING
# Series forecast at a time: bounds the memory of the long table (1,000 x 28 periods x 25 quantiles are 700,000 rows).
_BLOCK_SERIES = 1_000


@dataclass(frozen=True, kw_only=True)
class DailyForecast:
    """A partition that was written.

    Attributes:
        as_of: its day.
        cutoff: last period whose sales were used.
        version: the model version that made it.
        n_series: how many series.
        n_rows: rows of the table.
        path: the table's file.
        totals_path: the file of table `total_forecast`; None where the version has no sample paths.
    """

    as_of: date
    cutoff: date
    version: str
    n_series: int
    n_rows: int
    path: Path
    totals_path: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return the result ready for JSON."""
        return {
            "as_of": self.as_of.isoformat(),
            "cutoff": self.cutoff.isoformat(),
            "version": self.version,
            "series": self.n_series,
            "rows": self.n_rows,
            "path": str(self.path),
            "totals_path": None if self.totals_path is None else str(self.totals_path),
        }


def partition_folder(data_dir: Path, as_of: date) -> Path:
    """Return the folder of a day's forecast, whether or not it exists."""
    return data_dir / FORECASTS_FOLDER / _TYPE / f"as_of={as_of.isoformat()}"


def list_partitions(data_dir: Path) -> dict[date, Path]:
    """Return the folders of all finished partitions by day, ascending."""
    found = (data_dir / FORECASTS_FOLDER / _TYPE).glob(f"as_of=*/{DESCRIPTION_FILE}")
    return dict(sorted((date.fromisoformat(path.parent.name.removeprefix("as_of=")), path.parent) for path in found))


def write_daily_forecast(
    settings: Settings, *, as_of: date, on_progress: Callable[[int, int], None] | None = None
) -> DailyForecast:
    """Forecast every stored series as known at the end of `as_of`, write the partition and return what it is.

    Args:
        settings: workspace with validated data and promoted versions.
        as_of: the day.
        on_progress: called with (done, total) series.

    Raises:
        NotFoundError: nothing is validated or promoted, or no version may forecast that day.
        DataError: there are no sales up to that day, or they end so early that nothing after it would be forecast.
        TamperedVersionError: the version is not what was promoted.
        GoldenReplayError: the version does not reproduce its golden outputs.
    """
    version = choose_version(settings.models_dir, as_of=as_of)
    model = load_served_model(settings.models_dir, _TYPE, version)
    sold = load_panel_as_of(settings.data_dir, model, as_of=as_of)
    panel = with_listed(sold, settings.data_dir)
    cutoff = panel.last_observed
    last = add_periods(cutoff, model.forecaster.horizon, frequency=model.frequency)
    if last <= as_of:
        raise DataError(
            f"stored sales end on {cutoff} and {model.version} forecasts {model.forecaster.horizon} {model.frequency} "
            f"periods: that says nothing about the days after {as_of}. Ingest newer sales, or forecast a day before "
            f"{last}."
        )
    folder = partition_folder(settings.data_dir, as_of)
    path = folder / FORECAST_FILE
    totals = None if model.paths is None else ForecastTotals(panel.series, n_paths=model.paths.n_paths)
    n_rows = _write_blocks(_forecast_blocks(model, panel, totals=totals, on_progress=on_progress), path)
    beside = _write_beside(folder, model, totals=totals)
    description = {
        "model_type": _TYPE.value,
        "model_version": model.version,
        "family": model.family,
        "as_of": as_of.isoformat(),
        "cutoff": cutoff.isoformat(),
        "horizon": model.forecaster.horizon,
        "frequency": model.frequency.value,
        "series": panel.n_series,
        "unsold_series": panel.n_series - sold.n_series,
        "rows": n_rows,
        "sha256": sha256_of(path),
        "paths": None if model.paths is None else {"seed": model.paths.seed, "n_paths": model.paths.n_paths},
        "beside": beside,
        "data_hashes": {table.name: sha256_of(_validated(settings.data_dir, table.name)) for table in HISTORY_TABLES},
        "orchestration_run": settings.orchestration_run,
    }
    # Last: a partition counts once it is described.
    write_json(folder / DESCRIPTION_FILE, description)
    logger.info("forecast as of %s: %d series, cutoff %s, %s", as_of, panel.n_series, cutoff, model.version)
    return DailyForecast(
        as_of=as_of,
        cutoff=cutoff,
        version=model.version,
        n_series=panel.n_series,
        n_rows=n_rows,
        path=path,
        totals_path=folder / TOTAL_FILE if beside else None,
    )


def choose_version(models_dir: Path, *, as_of: date) -> int:
    """Return the version that may forecast a day: the served one, unless it was trained on later data.

    Then it is the newest of those served before that was not.

    Raises:
        NotFoundError: nothing is promoted, or every version was trained on data after `as_of`.
    """
    current = read_current(models_dir, _TYPE)
    if current is None:
        raise NotFoundError(
            'no model version is promoted yet. Promote one: restock promote demand_forecasting --reason "...".'
        )
    here = set(list_versions(models_dir, _TYPE))
    served = {current.served, *(change.served for change in current.history)}
    cutoffs = {version: _last_day(read_metadata(models_dir, _TYPE, version)) for version in served & here}
    allowed = [version for version, cutoff in cutoffs.items() if cutoff <= as_of]
    if current.served in allowed:
        return current.served
    if not allowed:
        first = min(cutoffs.values(), default=None)
        raise NotFoundError(
            f"no promoted version may forecast as of {as_of}: the earliest was trained on data up to {first}, and a "
            f"forecast must not know what came after its day. Choose a day from {first} on."
        )
    chosen = max(allowed)
    logger.info("version %d was trained on later data, version %d forecasts as of %s", current.served, chosen, as_of)
    return chosen


def _last_day(metadata: dict[str, Any]) -> date:
    """Return the last day of the period that a version was trained up to."""
    return date.fromisoformat(metadata["cutoff"]) + timedelta(days=Frequency(metadata["frequency"]).days - 1)


def load_panel_as_of(data_dir: Path, model: ServedModel, *, as_of: date) -> DemandPanel:
    """Return the stored history as it was at the end of `as_of`: no later row of sales is in it.

    Raises:
        NotFoundError: nothing is validated.
        DataError: there are no sales up to that day.
    """
    tables = {table.name: read_table(_validated(data_dir, table.name), table) for table in HISTORY_TABLES}
    # A date is the first day of its period: a week that is not over yet holds sales of days to come.
    sales = tables[SALES.name].filter(pl.col("date") <= as_of - timedelta(days=model.frequency.days - 1))
    if sales.is_empty():
        first = str(tables[SALES.name]["date"].min())
        raise DataError(f"there are no sales up to {as_of}; they begin on {first}.")
    return build_demand_panel(
        sales,
        tables["products"],
        locations=tables["locations"],
        calendar=tables["calendar"],
        frequency=model.frequency,
        horizon=model.forecaster.horizon,
    )


def with_listed(panel: DemandPanel, data_dir: Path) -> DemandPanel:
    """Return the panel with what supply terms list for a store and nobody bought there yet.

    Terms have no date, so they say nothing about an earlier day: only a panel up to the last stored sale is added to.
    """
    path = _validated(data_dir, SUPPLY_TERMS.name)
    last = read_table(_validated(data_dir, SALES.name), SALES)["date"].max()
    if not path.exists() or last != panel.last_observed:
        return panel
    products, locations = (read_table(_validated(data_dir, table.name), table) for table in (PRODUCTS, LOCATIONS))
    listed = (
        read_table(path, SUPPLY_TERMS)
        .select("sku", "location")
        .unique()
        .join(products, on="sku", how="semi")
        .join(locations.filter(pl.col("kind") == STORE), on="location", how="semi")
        .join(panel.series, on=["sku", "location"], how="anti")
    )
    if listed.is_empty():
        return panel
    logger.info("%d listed series were never sold and are forecast by their attributes", listed.height)
    together = join_panels(panel, unsold_series(panel, series_attributes(listed, products, locations=locations)))
    return together.select(sorted_rows(together.series))


def read_description(folder: Path) -> dict[str, Any]:
    """Return what a partition's description says.

    Raises:
        NotFoundError: the partition is not finished.
        DataError: the description is not JSON.
    """
    described: dict[str, Any] = read_json(folder / DESCRIPTION_FILE)
    return described


def _validated(data_dir: Path, table: str) -> Path:
    return data_dir / "validated" / f"{table}.parquet"


def _forecast_blocks(
    model: ServedModel,
    panel: DemandPanel,
    *,
    totals: ForecastTotals | None,
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[pl.DataFrame]:
    """Yield table `quantile_forecast`, some series at a time, and add their paths to the totals."""
    for first in range(0, panel.n_series, _BLOCK_SERIES):
        rows = np.arange(first, min(first + _BLOCK_SERIES, panel.n_series), dtype=np.intp)
        part = panel.select(rows)
        forecast = model.forecaster.forecast(part, horizon=model.forecaster.horizon)
        if totals is not None and model.paths is not None:
            for block, paths in model.paths.draw(forecast, part):
                totals.add(forecast, rows[block], block=block, paths=paths)
        yield forecast.to_table(model.version)
        if on_progress is not None:
            on_progress(int(rows[-1]) + 1, panel.n_series)


def _write_beside(folder: Path, model: ServedModel, *, totals: ForecastTotals | None) -> dict[str, str]:
    """Write the totals and what paths are drawn with beside the forecast; return the SHA-256 of each file by name."""
    if model.paths is None or totals is None:
        logger.warning(
            "%s was promoted before there were sample paths: no totals are written. Promote anew.", model.version
        )
        for table in (TOTAL_FORECAST, DEMAND_DEPENDENCE, DEMAND_COMOVEMENT):
            (folder / f"{table.name}.parquet").unlink(missing_ok=True)
        return {}
    dependence, comovement = model.paths.dependence.to_tables(cutoff=model.training_cutoff, model_version=model.version)
    frames = {
        TOTAL_FILE: totals.to_table(model.version),
        f"{DEMAND_DEPENDENCE.name}.parquet": dependence,
        f"{DEMAND_COMOVEMENT.name}.parquet": comovement,
    }
    for name, frame in frames.items():
        write_frame(frame, folder / name)
    return {name: sha256_of(folder / name) for name in frames}


def _write_blocks(blocks: Iterator[pl.DataFrame], path: Path) -> int:
    """Write blocks of one table to a parquet file, whole or not at all, and return how many rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    schema: pa.Schema = QUANTILE_FORECAST.empty().to_arrow().schema
    n_rows = 0
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for block in blocks:
                writer.write_table(block.to_arrow().cast(schema))
                n_rows += block.height
        sync_file(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
    return n_rows
