"""M5 (Walmart) as Kaggle publishes it: one line a series, one column a day; read in blocks of series.

Source: Makridakis, Spiliotis and Assimakopoulos 2022, "M5 accuracy competition", doi:10.1016/j.ijforecast.2021.11.013.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from restock.adapters.sources.decoding import read_blocks
from restock.adapters.sources.m5 import list_calendar, list_locations, list_products, read_days, unfold_sales
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import LINE, RawTable, build_raw_table
from restock.adapters.sources.unpacking import UnpackBudget, list_text_files, open_text_file
from restock.errors import DataError
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES

FILES = ("sales_train_evaluation.csv|sales_train_validation.csv", "sell_prices.csv", "calendar.csv")
_ID_COLUMNS = ("item_id", "dept_id", "cat_id", "store_id", "state_id")
_PRICE_COLUMNS = ("store_id", "item_id", "wm_yr_wk", "sell_price")
# About 250 series of 1,941 days, which unfold to half a million rows.
_SALES_BLOCK_BYTES = 1 << 20


def read_m5_kaggle(files: Mapping[str, Path], part_rows: int) -> Iterator[RawTable]:
    """Yield sales, products, locations and calendar; see `m5.read_m5` for what the tables hold.

    A series without any price was never on sale and has no rows.

    Args:
        files: path by name, for each of `FILES`.
        part_rows: most rows of a part of the sales; a part holds one series at least.

    Raises:
        DataError: a file can't be read or lacks a column, or the files don't fit together.
    """
    name = next(choice for choice in FILES[0].split("|") if choice in files)
    path, mapping = files[name], SourceMapping()
    series = pl.concat(block.select(LINE, *_ID_COLUMNS) for block, _ in _read_csv_blocks(path, needed=_ID_COLUMNS))
    series = series.with_row_index("series_row").with_columns(
        pl.col("series_row").cast(pl.Int64), sku=pl.col("item_id"), location=pl.col("store_id")
    )
    prices = _read_prices(files["sell_prices.csv"], series)
    first_weeks = prices.group_by("series_row").agg(first_week=pl.col("wm_yr_wk").min())
    attributes = series.select(LINE, "series_row", "sku", "location").join(first_weeks, on="series_row", how="left")
    days = read_days(files)
    for block, position in _read_csv_blocks(path, needed=_ID_COLUMNS, block_bytes=_SALES_BLOCK_BYTES):
        n_days = sum(column.startswith("d_") for column in block.columns)
        if not n_days:
            raise DataError(f"{name} has no column d_1, d_2, ... with units. Take Kaggle's own file.")
        n_series = max(1, part_rows // n_days)
        for start in range(0, block.height, n_series):
            wide = block.slice(start, n_series).drop("id", *_ID_COLUMNS, strict=False).join(attributes, on=LINE)
            rows = wide["series_row"]
            near = prices.filter(pl.col("series_row").is_between(rows.min(), rows.max()))
            sales = unfold_sales(wide, days=days, prices=near)
            yield build_raw_table(sales, SALES, mapping=mapping, file=name, bytes_read=position)
    yield build_raw_table(list_products(series), PRODUCTS, mapping=mapping, file=name)
    yield build_raw_table(list_locations(series), LOCATIONS, mapping=mapping, file=name)
    yield build_raw_table(list_calendar(days, series), CALENDAR, mapping=mapping, file="calendar.csv")


def _read_prices(path: Path, series: pl.DataFrame) -> pl.DataFrame:
    """Return `series_row`, `wm_yr_wk` and `sell_price_cents`, as small as they can be held."""
    rows = series.select("series_row", "item_id", "store_id")
    blocks = [
        block.join(rows, on=["item_id", "store_id"]).select(
            "series_row",
            pl.col("wm_yr_wk").cast(pl.Int32),
            sell_price_cents=(pl.col("sell_price").cast(pl.Float64) * 100).round().cast(pl.Int32),
        )
        for block, _ in _read_csv_blocks(path, needed=_PRICE_COLUMNS)
    ]
    prices = pl.concat(blocks)
    if not prices.height:
        raise DataError(f"{path.name} has no price of any series. Take all files from the same copy.")
    return prices


def _read_csv_blocks(
    path: Path, *, needed: tuple[str, ...], block_bytes: int = 8 << 20
) -> Iterator[tuple[pl.DataFrame, int]]:
    """Yield a plain CSV file's rows with LINE, block by block, and how far the file is read.

    Raises:
        DataError: it can't be read, or lacks a column.
    """
    (text_file,) = list_text_files(path, file=path.name)
    with open_text_file(text_file, budget=UnpackBudget()) as stream:
        header, line = b"", 1
        for content in read_blocks(stream, encoding="utf-8", file=path.name, block_bytes=block_bytes):
            if not header:
                header = content[: content.find(b"\n") + 1]
                names = header.decode().strip().split(",")
                missing = [name for name in needed if name not in names]
                if missing:
                    raise DataError(f"{path.name} has no column {', '.join(missing)}. Take Kaggle's own file.")
                line, body = 2, content[len(header) :]
            else:
                body = content
            try:
                frame = pl.read_csv(io.BytesIO(header + body), row_index_name=LINE, infer_schema_length=None)
            except pl.exceptions.PolarsError as error:
                raise DataError(f"{path.name}, from line {line}: {error}.") from error
            yield frame.with_columns(pl.col(LINE).cast(pl.Int64) + line), stream.position
            line += body.count(b"\n")
