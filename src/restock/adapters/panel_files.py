"""The demand panel and its features on disk, between the stages: flat parquet columns, one row a (series, period)."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from restock.adapters.storage import read_json, write_json
from restock.errors import NotFoundError
from restock.forecasting.features import OriginFeatures
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.timeline import Frequency

_GRIDS = ("sales_units", "stockout_share", "unit_price", "is_promoted", "is_holiday")
# Only of sources that know it.
_IN_STOCK_GRID = "in_stock_demand_share"


def save_panel(panel: DemandPanel, folder: Path) -> None:
    """Write `panel` as series.parquet, grids.parquet and panel.json."""
    folder.mkdir(parents=True, exist_ok=True)
    panel.series.write_parquet(folder / "series.parquet")
    grids = pl.DataFrame({name: getattr(panel, name).reshape(-1) for name in _GRIDS})
    if panel.in_stock_demand_share is not None:
        grids = grids.with_columns(pl.Series(_IN_STOCK_GRID, panel.in_stock_demand_share.reshape(-1)))
    grids.write_parquet(folder / "grids.parquet", compression="zstd", compression_level=1)
    write_json(
        folder / "panel.json",
        {
            "start": panel.start.isoformat(),
            "frequency": panel.frequency.value,
            "observed_periods": panel.observed_periods,
            "n_periods": panel.n_periods,
        },
    )


def load_panel(folder: Path) -> DemandPanel:
    """Return the panel that `save_panel` wrote.

    Raises:
        NotFoundError: `folder` holds none.
    """
    described = read_json(folder / "panel.json")
    series = pl.read_parquet(folder / "series.parquet")
    columns = pl.read_parquet(folder / "grids.parquet")
    shape = (series.height, int(described["n_periods"]))

    def grid(name: str) -> FloatArray:
        return columns[name].to_numpy().reshape(shape).astype(np.float32, copy=False)

    return DemandPanel(
        series=series,
        start=date.fromisoformat(described["start"]),
        frequency=Frequency(described["frequency"]),
        observed_periods=int(described["observed_periods"]),
        sales_units=grid("sales_units"),
        stockout_share=grid("stockout_share"),
        unit_price=grid("unit_price"),
        is_promoted=grid("is_promoted"),
        is_holiday=grid("is_holiday"),
        in_stock_demand_share=grid(_IN_STOCK_GRID) if _IN_STOCK_GRID in columns.columns else None,
    )


def save_features(features: OriginFeatures, folder: Path) -> None:
    """Write `features` as origin_features.parquet, one float32 column a feature, rows by series then period."""
    folder.mkdir(parents=True, exist_ok=True)
    flat = features.values.reshape(-1, len(features.names))
    frame = pl.DataFrame({name: flat[:, column] for column, name in enumerate(features.names)})
    frame.write_parquet(folder / "origin_features.parquet", compression="zstd", compression_level=1)


def load_features(folder: Path, *, n_series: int) -> OriginFeatures:
    """Return the features that `save_features` wrote, for a panel of `n_series` series.

    Raises:
        NotFoundError: `folder` holds none.
    """
    path = folder / "origin_features.parquet"
    if not path.exists():
        raise NotFoundError(f"{path} is missing. Run the stage that writes it: dvc repro features.")
    frame = pl.read_parquet(path)
    flat = np.empty((frame.height, frame.width), dtype=np.float32)
    for column, name in enumerate(frame.columns):
        flat[:, column] = frame[name].to_numpy()
    return OriginFeatures(names=tuple(frame.columns), values=flat.reshape(n_series, -1, frame.width))
