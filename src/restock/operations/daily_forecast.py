"""The forecast of a day, kept: every stored series as it was known at the end of that day, one partition a day.

    data/forecasts/<model type>/as_of=YYYY-MM-DD/quantile_forecast.parquet   table quantile_forecast
                                                 total_forecast.parquet      table total_forecast: sums of its paths
                                                 demand_dependence.parquet   tables that say how paths are drawn, as
                                                 demand_comovement.parquet   do seed and number of paths in:
                                                 forecast.json               which version and data made it

A partition is whole or not there: no file of it is read without `forecast.json`, which names the SHA-256 of each. It
holds nothing that was learned after its day: neither sales, nor a model trained on later ones. The same
day, data and versions give the same table, so that a day can be forecast again at any time.
"""

from __future__ import annotations

import logging
import tempfile
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
    sha256_of,
    sync_directory,
    sync_file,
    write_frame,
    write_json,
)
from restock.errors import DataError, NotFoundError
from restock.forecasting.panel import DemandPanel
from restock.forecasting.totals import ForecastTotals
from restock.operations.known_tables import panel_as_of, read_known_tables, with_listed
from restock.operations.served_model import ServedModel, load_served_model
from restock.settings import Settings
from restock.tables import (
    DEMAND_COMOVEMENT,
    DEMAND_DEPENDENCE,
    QUANTILE_FORECAST,
    SUPPLY_TERMS,
    TOTAL_FORECAST,
)
from restock.timeline import Frequency, add_periods

logger = logging.getLogger(__name__)

FORECASTS_FOLDER = "forecasts"
FORECAST_FILE = "quantile_forecast.parquet"
TOTAL_FILE = "total_forecast.parquet"
DESCRIPTION_FILE = "forecast.json"
_BESIDE_FILES = tuple(f"{table.name}.parquet" for table in (TOTAL_FORECAST, DEMAND_DEPENDENCE, DEMAND_COMOVEMENT))
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
        DataError: there are no sales up to that day, they end so early that nothing after it would be forecast, or the
            tables changed while they were read.
        TamperedVersionError: the version is not what was promoted.
        GoldenReplayError: the version does not reproduce its golden outputs.
    """
    version = choose_version(settings.models_dir, as_of=as_of)
    model = load_served_model(settings.models_dir, _TYPE, version)
    known = read_known_tables(settings.data_dir)
    sold = panel_as_of(known, model, as_of=as_of)
    panel = with_listed(sold, known)
    _check_reach(model, panel, as_of=as_of)
    folder = partition_folder(settings.data_dir, as_of)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp") as made:
        staging = Path(made)
        totals = None if model.paths is None else ForecastTotals(panel.series, n_paths=model.paths.n_paths)
        blocks = _forecast_blocks(model, panel, totals=totals, on_progress=on_progress)
        n_rows = _write_blocks(blocks, staging / FORECAST_FILE)
        beside = _write_beside(staging, model, totals=totals)
        description = _describe(model, panel, as_of=as_of, beside=beside) | {
            "unsold_series": panel.n_series - sold.n_series,
            "rows": n_rows,
            "sha256": sha256_of(staging / FORECAST_FILE),
            "data_hashes": {SUPPLY_TERMS.name: None, **known.hashes},
            "orchestration_run": settings.orchestration_run,
        }
        _publish(staging, folder, description=description)
    cutoff = panel.last_observed
    logger.info("forecast as of %s: %d series, cutoff %s, %s", as_of, panel.n_series, cutoff, model.version)
    return DailyForecast(
        as_of=as_of,
        cutoff=cutoff,
        version=model.version,
        n_series=panel.n_series,
        n_rows=n_rows,
        path=folder / FORECAST_FILE,
        totals_path=folder / TOTAL_FILE if beside else None,
    )


def _check_reach(model: ServedModel, panel: DemandPanel, *, as_of: date) -> None:
    """Refuse a forecast that says nothing about the days after its own.

    Raises:
        DataError: it does.
    """
    cutoff, horizon = panel.last_observed, model.forecaster.horizon
    last = add_periods(cutoff, horizon, frequency=model.frequency)
    if last <= as_of:
        raise DataError(
            f"stored sales end on {cutoff} and {model.version} forecasts {horizon} {model.frequency} periods: that "
            f"says nothing about the days after {as_of}. Ingest newer sales, or forecast a day before {last}."
        )


def _describe(model: ServedModel, panel: DemandPanel, *, as_of: date, beside: dict[str, str]) -> dict[str, Any]:
    """Return what made a forecast, and how its paths are drawn."""
    return {
        "model_type": _TYPE.value,
        "model_version": model.version,
        "family": model.family,
        "as_of": as_of.isoformat(),
        "cutoff": panel.last_observed.isoformat(),
        "horizon": model.forecaster.horizon,
        "frequency": model.frequency.value,
        "series": panel.n_series,
        "paths": None if model.paths is None else {"seed": model.paths.seed, "n_paths": model.paths.n_paths},
        "beside": beside,
    }


def _publish(staging: Path, folder: Path, *, description: dict[str, Any]) -> None:
    """Make the files in `staging` the partition; one that is there is undone first, so that no two are ever mixed."""
    folder.mkdir(exist_ok=True)
    # A partition counts only while it is described.
    (folder / DESCRIPTION_FILE).unlink(missing_ok=True)
    sync_directory(folder)
    fresh = {path.name: path for path in staging.iterdir()}
    for name in (FORECAST_FILE, *_BESIDE_FILES):
        if name in fresh:
            fresh[name].replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    sync_directory(folder)
    write_json(folder / DESCRIPTION_FILE, description)


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


def read_description(folder: Path) -> dict[str, Any]:
    """Return what a partition's description says.

    Raises:
        NotFoundError: the partition is not finished.
        DataError: the description is not JSON.
    """
    described: dict[str, Any] = read_json(folder / DESCRIPTION_FILE)
    return described


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
        return {}
    dependence, comovement = model.paths.dependence.to_tables(cutoff=model.training_cutoff, model_version=model.version)
    frames = dict(zip(_BESIDE_FILES, (totals.to_table(model.version), dependence, comovement), strict=True))
    for name, frame in frames.items():
        write_frame(frame, folder / name)
    return {name: sha256_of(folder / name) for name in frames}


def _write_blocks(blocks: Iterator[pl.DataFrame], path: Path) -> int:
    """Write blocks of one table to a parquet file, and return how many rows."""
    schema: pa.Schema = QUANTILE_FORECAST.empty().to_arrow().schema
    n_rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in blocks:
            writer.write_table(block.to_arrow().cast(schema))
            n_rows += block.height
    sync_file(path)
    return n_rows
