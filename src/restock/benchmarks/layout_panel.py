"""The public data sets as demand panels, read by the same code that ingests them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from restock.adapters.sources.columnar import read_columns
from restock.adapters.sources.formats import build_request, read_source
from restock.adapters.sources.requests import SourceFormat
from restock.errors import DataError, InsufficientHistoryError
from restock.forecasting.panel import DemandPanel, build_demand_panel
from restock.params import Params
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES

# Before the held-out days, so that lags and means have something to stand on.
_FEWEST_KNOWN_DAYS = 14


def read_layout_panel(data: Path, params: Params, *, source_format: SourceFormat | None = None) -> DemandPanel:
    """Return the panel of a folder in the FreshRetailNet or M5 layout.

    Args:
        data: the folder.
        params: forecasting.frequency and horizon.
        source_format: which layout; by default the one that the names of the files tell.

    Raises:
        DataError: a file is missing or does not hold what the layout says.
    """
    request = build_request([data], source_format=source_format)
    if not request.files:
        raise DataError(f"{data} holds neither the FreshRetailNet nor the M5 layout. Name a folder that does.")
    try:
        tables = {raw.table.name: raw.frame for raw in read_source(request, params).tables}
        conformed = {
            table.name: table.conform(
                tables[table.name].select(name for name in table.column_names if name in tables[table.name].columns)
            )
            for table in (SALES, PRODUCTS, LOCATIONS, CALENDAR)
        }
    except (pl.exceptions.PolarsError, ValueError, KeyError) as error:
        raise DataError(
            f"{data} does not hold the {request.format} layout: {error}. Compare its columns with the set's own README."
        ) from error
    return build_demand_panel(
        conformed["sales"],
        conformed["products"],
        locations=conformed["locations"],
        calendar=conformed["calendar"],
        frequency=params.forecasting.frequency,
        horizon=params.forecasting.horizon,
    )


def read_layout_columns(path: Path, columns: list[str]) -> pl.DataFrame:
    """Return some columns of a layout's parquet file, without nulls.

    Raises:
        DataError: the file can't be read, lacks a column, or a value is missing.
    """
    frame = read_columns(path, file=path.name, columns=columns).select(columns)
    empty = [name for name in columns if frame[name].null_count()]
    if empty:
        raise DataError(
            f"{path.name}: column {empty[0]!r} has {frame[empty[0]].null_count()} empty values, expected 0."
        )
    return frame


def in_file_order(panel: DemandPanel, names: pl.DataFrame, *, file: str) -> DemandPanel:
    """Return the panel with its series in the order of a file that names them.

    Args:
        panel: the panel of that layout.
        names: columns sku and location, one row a series of the file.
        file: name of the file, for people.

    Raises:
        DataError: the file names a series twice, or one without sales.
    """
    if names.n_unique() < names.height:
        raise DataError(f"{file} names {names.height - names.n_unique()} series twice, expected each once.")
    places = panel.series.select("sku", "location").with_row_index("place")
    found = names.join(places, on=["sku", "location"], how="left", maintain_order="left")["place"]
    if found.null_count():
        raise DataError(
            f"{file} names {found.null_count()} series without any sales, expected none. Take all files from one copy."
        )
    return panel.select(found.to_numpy().astype(np.intp))


def known_before(panel: DemandPanel, *, held_out_days: int, has_plan: bool) -> DemandPanel:
    """Return the panel as it was before its last days: without their sales, and without their plan where unknown.

    Args:
        panel: history.
        held_out_days: how many observed periods to hold out.
        has_plan: whether prices and promotions of the periods after the cutoff stay, as the plan.

    Raises:
        InsufficientHistoryError: too little is left to learn from.
    """
    left = panel.observed_periods - held_out_days
    if left < _FEWEST_KNOWN_DAYS:
        raise InsufficientHistoryError(
            f"the data have {panel.observed_periods} days, needs >= {held_out_days + _FEWEST_KNOWN_DAYS}: the last "
            f"{held_out_days} are held out for the back-test. Give more days."
        )
    known = panel.observed_until(panel.date_of(left - 1))
    return known if has_plan else without_plan(known)


def without_plan(panel: DemandPanel) -> DemandPanel:
    """Return the panel with nothing planned after its last observed period: the last price stays, no promotions."""
    unit_price, is_promoted = panel.unit_price.copy(), panel.is_promoted.copy()
    unit_price[:, panel.observed_periods :] = unit_price[:, panel.observed_periods - 1, None]
    is_promoted[:, panel.observed_periods :] = 0
    return replace(panel, unit_price=unit_price, is_promoted=is_promoted)
