"""What a plan stands on, gathered for one day and kept beside it, so that the same plan can be made again later.

The forecast is the kept one of that day. Stock, supply terms and purchase orders are those known at its end; lead times
are drawn once and kept. Lines that can't be planned are left out by name, with the reason.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.registry import ModelType, version_folder
from restock.adapters.storage import read_table, write_frame
from restock.errors import DataError, NotFoundError
from restock.forecasting.dependence import describe_series
from restock.forecasting.panel import SERIES_COLUMNS
from restock.operations.daily_forecast import FORECAST_FILE, partition_folder, read_description
from restock.operations.known_tables import panel_as_of, read_known_tables, with_listed
from restock.operations.path_recipe import PathRecipe, read_path_recipe
from restock.operations.replenishment.lead_times import draw_deliveries, draw_open_orders, learn_lead_times
from restock.operations.replenishment.lines import LINE_TABLES, build_lines
from restock.operations.replenishment.replay import is_warehouse, line_segments, sum_into_warehouses
from restock.operations.replenishment.simulation import line_classes
from restock.operations.served_model import ServedModel, load_served_model
from restock.params import Params
from restock.replenishment.order_lines import OpenOrders
from restock.replenishment.policy_tuning import group_lines
from restock.replenishment.walk_forward import FROM_OUTSIDE
from restock.schema import Table
from restock.statistics.paths import iterate_paths
from restock.tables import PURCHASE_ORDERS, SUPPLY_TERMS
from restock.timeline import Frequency

logger = logging.getLogger(__name__)

_TYPE = ModelType.DEMAND_FORECASTING
LINES_FILE, DELIVERIES_FILE, OPEN_FILE = "lines.parquet", "deliveries.parquet", "open_orders.parquet"


@dataclass(frozen=True, kw_only=True)
class PlanInputs:
    """A day's lines with everything that is drawn for them.

    Attributes:
        as_of: the day; orders are placed at its end.
        lines: of `build_lines`, with segment, abc_class, line_group and the columns of a series.
        skipped: columns sku, location, reason: what can't be planned.
        demand_paths: shape (n_lines, n_paths, horizon), units, from the period after `as_of`; of a warehouse the sum.
        lead_times: shape (n_lines, n_paths), periods of an order placed now.
        open_orders: not yet received, with draws of the periods until they are.
        frequency: length of one period.
        forecast: which forecast: version, cutoff and SHA-256, as its description says.
    """

    as_of: date
    lines: pl.DataFrame
    skipped: pl.DataFrame
    demand_paths: NDArray[np.float32]
    lead_times: NDArray[np.int64]
    open_orders: OpenOrders
    frequency: Frequency
    forecast: dict[str, Any]


def gather_inputs(data_dir: Path, models_dir: Path, *, params: Params, as_of: date) -> PlanInputs:
    """Return what a plan of a day stands on.

    Args:
        data_dir: the workspace's data; the day's forecast is kept in it.
        models_dir: the folder models/.
        params: seed, replenishment.
        as_of: the day.

    Raises:
        NotFoundError: the day has no kept forecast, or a table is missing.
        DataError: there are no supply terms, or nothing can be planned.
    """
    described = read_forecast_description(data_dir, as_of=as_of)
    model = load_served_model(models_dir, _TYPE, int(described["model_version"].removeprefix("model_version_")))
    if model.paths is None:
        raise DataError(f"{model.version} was promoted before there were sample paths. Promote anew.")
    tables = {table.name: _read(data_dir, table) for table in (*LINE_TABLES, PURCHASE_ORDERS)}
    every = build_lines(tables, params=params.replenishment, frequency=model.frequency, as_of=as_of)
    attributed = _with_series(every, data_dir, model, as_of=as_of)
    reasons = _reasons_to_skip(attributed, as_of=as_of)
    kept = attributed.filter(reasons.is_null())
    old = kept.filter(pl.col("stock_as_of") < as_of - timedelta(days=model.frequency.days))
    if old.height:
        logger.warning(
            "%d of %d lines are planned with stock of an earlier day, the oldest of %s: what was sold and came since "
            "is not in it. Ingest table stock of %s.",
            old.height,
            kept.height,
            old["stock_as_of"].min(),
            as_of,
        )
    skipped = attributed.select("sku", "location").with_columns(reason=reasons).filter(reasons.is_not_null())
    if kept.is_empty():
        raise DataError(f"nothing can be planned as of {as_of}: {skipped['reason'][0]}")
    lines = _with_sources(kept)
    paths = draw_demand_paths(data_dir, lines, recipe=model.paths, as_of=as_of, frequency=model.frequency)
    orders = tables[PURCHASE_ORDERS.name]
    learned = learn_lead_times(orders, cutoff=as_of)
    deliveries = draw_deliveries(
        lines, learned, frequency=model.frequency, n_draws=model.paths.n_paths, seed=params.seed
    )
    return PlanInputs(
        as_of=as_of,
        lines=lines,
        skipped=skipped,
        demand_paths=paths,
        lead_times=deliveries.lead_times,
        open_orders=draw_open_orders(
            lines,
            orders,
            learned,
            deliveries=deliveries,
            as_of=as_of,
            frequency=model.frequency,
            seed=params.seed,
        ),
        frequency=model.frequency,
        forecast={name: described[name] for name in ("model_version", "family", "cutoff", "sha256", "data_hashes")},
    )


def write_inputs(inputs: PlanInputs, folder: Path) -> None:
    """Write what the forecast's partition does not hold into a plan's folder."""
    write_frame(inputs.lines, folder / LINES_FILE)
    lead_times = pl.DataFrame({"lead_times": inputs.lead_times.astype(np.int16)})
    write_frame(lead_times, folder / DELIVERIES_FILE)
    opened = inputs.open_orders
    write_frame(
        pl.DataFrame(
            {
                "line": opened.series.astype(np.int64),
                "units": opened.units.astype(np.float32),
                "arrival_periods": opened.arrival_periods.astype(np.int16),
            }
        ),
        folder / OPEN_FILE,
    )


def read_inputs(
    data_dir: Path,
    models_dir: Path,
    folder: Path,
    *,
    as_of: date,
    forecast: Mapping[str, Any],
    frequency: Frequency,
    wanted: Callable[[pl.DataFrame], NDArray[np.intp]] | None = None,
) -> PlanInputs:
    """Return what a kept plan stands on; each line is the same whichever others are wanted.

    Args:
        data_dir: the workspace's data.
        models_dir: the folder models/.
        folder: of the plan.
        as_of: its day.
        forecast: as the plan's description has it.
        frequency: length of one period.
        wanted: returns the rows that are wanted of the plan's lines, ascending; a warehouse's demand is that of the
            lines beside it that it supplies. None: all.

    Raises:
        NotFoundError: a file is missing.
        DataError: the day's forecast was made anew since, by another version or from other data.
    """
    described = read_forecast_description(data_dir, as_of=as_of)
    if described["sha256"] != forecast["sha256"]:
        raise DataError(
            f"the forecast of {as_of} that the plan stands on (SHA-256 {forecast['sha256'][:12]}, by "
            f"{forecast['model_version']}) was replaced by another ({described['sha256'][:12]}, by "
            f"{described['model_version']}). Plan the day anew: restock replenish plan --as-of {as_of}."
        )
    number = int(forecast["model_version"].removeprefix("model_version_"))
    recipe = read_path_recipe(version_folder(models_dir, _TYPE, number))
    if recipe is None:
        raise NotFoundError(f"{forecast['model_version']} holds no recipe of its paths any more.")
    lines = _read_frame(folder / LINES_FILE)
    opened = _read_frame(folder / OPEN_FILE)
    lead_times = _read_frame(folder / DELIVERIES_FILE)["lead_times"].to_numpy().astype(np.int64)
    n_paths = recipe.n_paths
    if wanted is not None:
        rows = wanted(lines)
        lines, opened = some_lines(lines, rows), _some_orders(opened, rows, n_lines=lines.height)
        lead_times = lead_times[rows]
    return PlanInputs(
        as_of=as_of,
        lines=lines,
        skipped=pl.DataFrame(schema={"sku": pl.String(), "location": pl.String(), "reason": pl.String()}),
        demand_paths=draw_demand_paths(data_dir, lines, recipe=recipe, as_of=as_of, frequency=frequency),
        lead_times=lead_times,
        open_orders=OpenOrders(
            series=opened["line"].to_numpy(),
            units=opened["units"].to_numpy().astype(np.float64).reshape(-1, n_paths),
            arrival_periods=opened["arrival_periods"].to_numpy().astype(np.int64).reshape(-1, n_paths),
        ),
        frequency=frequency,
        forecast=dict(forecast),
    )


def some_lines(lines: pl.DataFrame, rows: NDArray[np.intp]) -> pl.DataFrame:
    """Return some of the lines; a line whose warehouse is not among them is supplied from outside.

    Args:
        lines: of `PlanInputs`.
        rows: ascending, each once.
    """
    place = np.full(lines.height + 1, FROM_OUTSIDE, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    # The last place is that of the source -1.
    return lines[rows].with_columns(source=pl.Series(place[lines["source"].to_numpy()[rows]]))


def _some_orders(opened: pl.DataFrame, rows: NDArray[np.intp], *, n_lines: int) -> pl.DataFrame:
    """Return the open orders of some lines, numbered as these are."""
    place = np.full(n_lines, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    return opened.with_columns(line=pl.Series(place[opened["line"].to_numpy()])).filter(pl.col("line") >= 0)


def draw_demand_paths(
    data_dir: Path, lines: pl.DataFrame, *, recipe: PathRecipe, as_of: date, frequency: Frequency
) -> NDArray[np.float32]:
    """Return the paths of a day's kept forecast by line, shape (n_lines, n_paths, horizon), units.

    They begin after `as_of`; where sales ended before it, the periods between are left out and the last season is
    repeated at the end.
    """
    kept = pl.read_parquet(partition_folder(data_dir, as_of) / FORECAST_FILE)
    cutoff = kept["cutoff"][0]
    levels = tuple(sorted(kept["quantile"].unique().to_list()))
    own = lines.with_row_index("line").filter(~pl.Series(is_warehouse(lines)))
    rows = kept.join(own.select("sku", "location", "line"), on=["sku", "location"], how="inner").sort(
        "line", "date", "quantile"
    )
    horizon = kept["date"].n_unique()
    places = rows["line"].unique().sort()
    series = own.filter(pl.col("line").is_in(places.implode()))
    units = rows["demand_units"].to_numpy().reshape(places.len(), horizon, len(levels))
    paths = np.zeros((lines.height, recipe.n_paths, horizon), dtype=np.float32)
    described = recipe.dependence.known_kinds(
        describe_series(series.select(SERIES_COLUMNS), series["segment"].to_list())
    )
    for block, drawn in iterate_paths(
        units, levels, series=described, lags=recipe.dependence.to_lags(), n_paths=recipe.n_paths, seed=recipe.seed
    ):
        paths[places.to_numpy()[block]] = drawn.transpose(0, 2, 1)
    passed = min((as_of - cutoff).days // frequency.days, horizon - 1)
    if passed > 0:
        season = min(frequency.season_periods, horizon)
        beyond = horizon - season + np.arange(passed) % season
        paths = paths[:, :, np.concatenate([np.arange(passed, horizon), beyond])]
    return sum_into_warehouses(lines, paths)


def read_forecast_description(data_dir: Path, *, as_of: date) -> dict[str, Any]:
    """Return the description of a day's kept forecast.

    Raises:
        NotFoundError: the day has none.
    """
    try:
        return read_description(partition_folder(data_dir, as_of))
    except NotFoundError as error:
        raise NotFoundError(
            f"no forecast of {as_of} is kept, and a plan stands on one. Make it: restock forecast --as-of {as_of}."
        ) from error


def _with_series(lines: pl.DataFrame, data_dir: Path, model: ServedModel, *, as_of: date) -> pl.DataFrame:
    """Return lines with the columns of their series, and its segment; null where none is forecast."""
    if model.paths is None:
        raise DataError(f"{model.version} was promoted before there were sample paths. Promote anew.")
    known = read_known_tables(data_dir)
    panel = with_listed(panel_as_of(known, model, as_of=as_of), known)
    series = panel.series.with_columns(
        segment=pl.Series(model.paths.dependence.rule.assign(panel)), is_forecast=pl.lit(value=True)
    )
    return lines.join(series, on=["sku", "location"], how="left", maintain_order="left")


def _reasons_to_skip(lines: pl.DataFrame, *, as_of: date) -> pl.Series:
    """Return why each line can't be planned, null where it can."""
    is_forecast = lines["is_forecast"].fill_null(value=False).to_numpy()
    sources = lines["source"].to_numpy()
    supplies = np.zeros(lines.height, dtype=np.bool_)
    supplies[sources[(sources != FROM_OUTSIDE) & is_forecast]] = True
    return lines.select(
        pl.when(~pl.Series(is_forecast) & ~pl.Series(supplies))
        .then(pl.lit("nothing is forecast for it: it was never sold there and is not sold by any store it supplies"))
        .when(pl.col("stock_as_of").is_null())
        .then(pl.lit(f"its stock is not known as of {as_of}: ingest table stock of that day or an earlier one"))
        .when(pl.Series(_has_unknown_warehouse(lines)))
        .then(pl.lit(f"the stock of its warehouse is not known as of {as_of}: ingest table stock of it"))
        .alias("reason")
    )["reason"]


def _has_unknown_warehouse(lines: pl.DataFrame) -> NDArray[np.bool_]:
    """Return which lines are supplied by a warehouse whose stock is not known, shape (n_lines,)."""
    sources, is_unknown = lines["source"].to_numpy(), lines["stock_as_of"].is_null().to_numpy()
    found: NDArray[np.bool_] = (sources != FROM_OUTSIDE) & is_unknown[np.maximum(sources, 0)]
    return found


def _with_sources(kept: pl.DataFrame) -> pl.DataFrame:
    """Return lines with the rows of their warehouses as they are now, and their segment, class and group."""
    places = kept.with_row_index("place").select("sku", supplier="location", place=pl.col("place").cast(pl.Int64))
    lines = (
        kept.join(places, on=["sku", "supplier"], how="left", maintain_order="left")
        .with_columns(
            source=pl.when(pl.col("source") != FROM_OUTSIDE).then("place").fill_null(FROM_OUTSIDE),
            order_group=pl.col("order_group").rank("dense").cast(pl.Int64) - 1,
        )
        .drop("place", "is_forecast")
    )
    segments = line_segments(lines, lines.filter(pl.col("segment").is_not_null()))
    return lines.with_columns(
        segment=pl.Series(segments),
        abc_class=pl.Series(line_classes(lines, segments)),
        line_group=pl.Series(
            group_lines(is_warehouse=is_warehouse(lines), is_perishable=(lines["shelf_life_periods"] > 0).to_numpy())
        ),
        **{name: pl.col(name).fill_null("") for name in ("category", "subcategory", "region")},
    )


def _read(data_dir: Path, table: Table) -> pl.DataFrame:
    path = data_dir / "validated" / f"{table.name}.parquet"
    if not path.exists() and table is not SUPPLY_TERMS:
        return table.empty()
    return read_table(path, table)


def _read_frame(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} is missing: plan the day anew.") from error
