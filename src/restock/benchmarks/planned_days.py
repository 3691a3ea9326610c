"""The plan of the coming days, FreshRetailNet's way: a discount and an activity flag for every series and day."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import DataError
from restock.forecasting.panel import FloatArray

_COLUMNS = ("series_id", "day", "discount_x1000", "activity_flag")
_CSV_SUFFIXES = (".csv", ".csv.gz")


@dataclass(frozen=True, kw_only=True)
class PlannedDays:
    """What is planned.

    Attributes:
        price_factor: shape (n_series, n_days), 1 = list price.
        is_promoted: same shape, 0 or 1.
    """

    price_factor: FloatArray
    is_promoted: FloatArray


def read_planned_days(path: Path, *, series_ids: NDArray[np.int64], first_day: int, n_days: int) -> PlannedDays:
    """Return the plan of exactly these series and days, in their order.

    Args:
        path: parquet or CSV file with series_id, day, discount_x1000 and activity_flag.
        series_ids: shape (n_series,).
        first_day: number of the first planned day.
        n_days: how many days.

    Raises:
        DataError: the file can't be read, lacks a column or a value, or holds other series or days.
    """
    rows = _read_rows(path)
    last_day = first_day + n_days - 1
    days = rows["day"].unique().sort().to_list()
    if days != list(range(first_day, last_day + 1)):
        found = f"{days[0]} to {days[-1]} ({len(days)} days)" if days else "none"
        raise DataError(
            f"{path.name} plans days {found}, expected {first_day} to {last_day}: the {n_days} days after the last one "
            "of the sales."
        )
    expected = pl.DataFrame({"series_id": series_ids}).with_row_index("place")
    placed = rows.join(expected, on="series_id", how="left", maintain_order="left")
    unknown = placed.filter(pl.col("place").is_null())
    if unknown.height:
        raise DataError(f"{path.name} plans series {unknown['series_id'][0]}, which series.parquet lacks.")
    cells = placed["place"].to_numpy().astype(np.int64) * n_days + (placed["day"].to_numpy() - first_day)
    planned = np.bincount(cells, minlength=len(series_ids) * n_days)
    wrong = np.flatnonzero(planned != 1)
    if wrong.size:
        series, day = divmod(int(wrong[0]), n_days)
        raise DataError(
            f"{path.name} plans series {series_ids[series]} on day {first_day + day} {planned[wrong[0]]} times, "
            "expected every series and day once."
        )
    shape = (len(series_ids), n_days)
    price_factor, is_promoted = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    price_factor.reshape(-1)[cells] = placed["discount_x1000"].to_numpy() / 1000
    is_promoted.reshape(-1)[cells] = placed["activity_flag"].to_numpy() == 1
    return PlannedDays(price_factor=price_factor, is_promoted=is_promoted)


def _read_rows(path: Path) -> pl.DataFrame:
    """Return the columns of the plan as whole numbers."""
    try:
        rows = pl.read_csv(path) if path.name.lower().endswith(_CSV_SUFFIXES) else pl.read_parquet(path)
        missing = [name for name in _COLUMNS if name not in rows.columns]
        if missing:
            raise DataError(f"{path.name} lacks {', '.join(missing)}, expected the columns {', '.join(_COLUMNS)}.")
        whole = rows.select(pl.col(name).cast(pl.Int64) for name in _COLUMNS)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path.name} can't be read as a plan: {error}.") from error
    empty = [name for name in _COLUMNS if whole[name].null_count()]
    if empty:
        raise DataError(
            f"{path.name}: column {empty[0]!r} has {whole[empty[0]].null_count()} empty values, expected 0."
        )
    return whole
