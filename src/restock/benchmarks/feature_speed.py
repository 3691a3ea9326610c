"""How many feature rows a second are computed, on a data set of the source layouts, and with how much memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.sources.formats import build_request, read_source
from restock.adapters.usage import peak_rss_mb
from restock.forecasting.features import build_origin_features
from restock.forecasting.panel import build_demand_panel
from restock.params import Params
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES


def measure_feature_speed(data: Path, params: Params) -> dict[str, Any]:
    """Return the seconds of building the panel and the features of `data`, rows per second, and peak memory.

    The peak is that of the whole process so far, reading included: call it in a fresh process for a clean figure.

    Args:
        data: folder in the FreshRetailNet or M5 layout.
        params: features and forecasting.

    Raises:
        DataError: the folder holds neither layout.
    """
    tables = {raw.table.name: raw.frame for raw in read_source(build_request([data]), params).tables}
    conformed = {
        table.name: table.conform(
            tables[table.name].select(pl.col(name) for name in table.column_names if name in tables[table.name].columns)
        )
        for table in (SALES, PRODUCTS, LOCATIONS, CALENDAR)
    }
    del tables
    begun = time.perf_counter()
    panel = build_demand_panel(
        conformed["sales"],
        conformed["products"],
        locations=conformed["locations"],
        calendar=conformed["calendar"],
        frequency=params.forecasting.frequency,
        horizon=params.forecasting.horizon,
    )
    panel_seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    features = build_origin_features(panel, params.features)
    seconds = time.perf_counter() - begun
    rows = panel.n_series * panel.observed_periods
    return {
        "rows": rows,
        "features": len(features.names),
        "panel_seconds": round(panel_seconds, 2),
        "feature_seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
        "peak_rss_mb": round(peak_rss_mb()),
    }
