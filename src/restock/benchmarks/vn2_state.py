"""The state of the VN2 game at the end of a week: sales so far, what was in stock, what is on hand and on its way.

A round adds a weekly column to the sales, and may rename the files (`week3_sales.csv`). Where several weeks' files lie
in the folder, the latest is read.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import DataError

KEYS = ("Store", "Product")
GROUPS = ("ProductGroup", "Department", "DepartmentGroup", "StoreFormat", "Format")
ON_HAND = "End Inventory"
ON_ORDER = ("In Transit W+1", "In Transit W+2")
MIN_WEEKS = 60


@dataclass(frozen=True, kw_only=True)
class WeeklySales:
    """Weekly sales of many series, all of them over the same weeks.

    Attributes:
        sales_units: shape (n_series, n_weeks), units.
        is_in_stock: same shape; False: not available in that week, so its sales are no demand.
        first_week: Monday of the first week.
        codes: Store, Product and `GROUPS`, each shape (n_series,), numbered from 0.
    """

    sales_units: NDArray[np.float64]
    is_in_stock: NDArray[np.bool_]
    first_week: date
    codes: dict[str, NDArray[np.int64]]

    @property
    def n_weeks(self) -> int:
        """Return how many weeks are known."""
        return int(self.sales_units.shape[1])

    def until(self, n_weeks: int) -> WeeklySales:
        """Return the first weeks alone."""
        return WeeklySales(
            sales_units=self.sales_units[:, :n_weeks],
            is_in_stock=self.is_in_stock[:, :n_weeks],
            first_week=self.first_week,
            codes=self.codes,
        )


@dataclass(frozen=True, kw_only=True)
class GameState:
    """What is known when an order is placed.

    Attributes:
        names: Store and Product, one row a series, in the order of the sales.
        history: sales so far.
        on_hand: shape (n_series,), units left at the end of the last week.
        on_order: shape (n_series, 2), units received at the start of the next week and of the one after.
        week: how many weeks of the game have passed; its order is received at the start of week + 3.
        files: what was read.
    """

    names: pl.DataFrame
    history: WeeklySales
    on_hand: NDArray[np.float64]
    on_order: NDArray[np.float64]
    week: int
    files: tuple[Path, ...]


def read_state(data: Path) -> GameState:
    """Return the state that a folder holds.

    Weeks of sales for which the in-stock file has no column count as in stock.

    Raises:
        DataError: a file or column is missing, or does not hold what it is meant to.
    """
    sales_file, flags_file = _latest(data, "sales"), _latest(data, "in_stock")
    state_file, master_file = _latest(data, "initial_state", "state"), _latest(data, "master")
    sales = _read_table(sales_file)
    names = sales.select(KEYS)
    weeks = _week_columns(sales, file=sales_file.name)
    if len(weeks) < MIN_WEEKS:
        raise DataError(f"{sales_file.name} holds {len(weeks)} weeks, expected {MIN_WEEKS} or more to learn from.")
    units = _numbers(sales, list(weeks.values()), file=sales_file.name)
    flags = _beside(names, _read_table(flags_file), file=flags_file.name)
    flag_weeks = _week_columns(flags, file=flags_file.name)
    is_in_stock = np.ones(units.shape, dtype=np.bool_)
    for place, monday in enumerate(weeks):
        if monday in flag_weeks:
            is_in_stock[:, place] = flags[flag_weeks[monday]].to_numpy() > 0
    state = _beside(names, _read_table(state_file), file=state_file.name)
    master = _beside(names, _read_table(master_file), file=master_file.name)
    missing = [column for column in GROUPS if column not in master.columns]
    if missing:
        raise DataError(f"{master_file.name} lacks {', '.join(missing)}; it holds {', '.join(master.columns)}.")
    codes = {
        name: np.unique(master[name].cast(pl.String).fill_null("").to_numpy(), return_inverse=True)[1]
        for name in (*KEYS, *GROUPS)
    }
    history = WeeklySales(sales_units=units, is_in_stock=is_in_stock, first_week=next(iter(weeks)), codes=codes)
    stock = _numbers(state, [ON_HAND, *ON_ORDER], file=state_file.name)
    return GameState(
        names=names,
        history=history,
        on_hand=stock[:, 0],
        on_order=stock[:, 1:],
        week=_read_week(data),
        files=(sales_file, flags_file, state_file, master_file),
    )


def _latest(data: Path, *endings: str) -> Path:
    """Return the file of the latest week whose name ends in one of the words, the first word before the others."""
    if not data.is_dir():
        raise DataError(f"{data} is no folder. Name the folder with week0_sales.csv.gz and the files beside it.")
    for ending in endings:
        pattern = re.compile(rf"(?:week_?(\d+)_)?{ending}\.csv(?:\.gz)?", re.IGNORECASE)
        found = [(int(match[1] or 0), path) for path in data.iterdir() if (match := pattern.fullmatch(path.name))]
        if found:
            return max(found)[1]
    raise DataError(f"{data} lacks week0_{endings[0]}.csv (or .csv.gz, or that of a later week).")


def _read_table(path: Path) -> pl.DataFrame:
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        table = pl.read_csv(io.BytesIO(raw), infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError, EOFError, ValueError) as error:
        raise DataError(f"{path.name} can't be read: {error}.") from error
    missing = [column for column in KEYS if column not in table.columns]
    if missing or table.is_empty():
        raise DataError(f"{path.name} does not hold the vn2 layout: expected rows with {' and '.join(KEYS)}.")
    if table.select(KEYS).is_duplicated().any():
        raise DataError(f"{path.name} holds a Store and Product twice, expected one row each.")
    return table


def _beside(names: pl.DataFrame, table: pl.DataFrame, *, file: str) -> pl.DataFrame:
    """Return the table's rows in the order of the sales."""
    try:
        joined = names.join(table.with_columns(is_there=True), on=KEYS, how="left", maintain_order="left")
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{file} names stores and products otherwise than the sales do: {error}.") from error
    lost = joined.filter(pl.col("is_there").is_null())
    if not lost.is_empty():
        store, product = lost.select(KEYS).row(0)
        raise DataError(f"{file} lacks {lost.height} of the sales' series, first Store={store}, Product={product}.")
    return joined


def _week_columns(table: pl.DataFrame, *, file: str) -> dict[date, str]:
    """Return the weekly columns by their day, in order.

    Raises:
        DataError: there is none, or they are not a week apart.
    """
    found: dict[date, str] = {}
    for column in table.columns:
        try:
            found[date.fromisoformat(column.strip()[:10])] = column
        except ValueError:
            continue
    weeks = dict(sorted(found.items()))
    days = list(weeks)
    if not days:
        raise DataError(f"{file} does not hold the vn2 layout: no column is a week such as 2024-04-08.")
    for before, after in pairwise(days):
        if after - before != timedelta(days=7):
            raise DataError(f"{file} jumps from week {before} to {after}, expected every week once.")
    return weeks


def _numbers(table: pl.DataFrame, columns: list[str], *, file: str) -> NDArray[np.float64]:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(f"{file} lacks {', '.join(missing)}; it holds {', '.join(table.columns[:12])}.")
    try:
        values = table.select(pl.col(columns).cast(pl.Float64)).to_numpy().astype(np.float64)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{file} holds text where units are expected: {error}.") from error
    if not (np.isfinite(values) & (values >= 0)).all():
        raise DataError(f"{file} holds empty or negative units in {columns[0]} to {columns[-1]}, expected >= 0.")
    return values


def _read_week(data: Path) -> int:
    path = data / "state.json"
    if not path.exists():
        return 0
    try:
        held: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"state.json can't be read: {error}.") from error
    week = held.get("week") if isinstance(held, dict) else None
    if not isinstance(week, int) or isinstance(week, bool) or week < 0:
        raise DataError(f'state.json says week {week!r}, expected a whole number >= 0, such as {{"week": 2}}.')
    return week
