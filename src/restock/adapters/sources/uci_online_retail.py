"""UCI Online Retail: invoice lines of a wholesaler, as sales, movements, products and the one location.

Source: Chen, Sain and Guo 2012, "Data mining for the online retail industry", doi:10.1057/dbm.2012.17 (CC BY 4.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from restock.adapters.sources.columnar import read_columns
from restock.adapters.sources.delimited import read_delimited_frame
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import LINE, RawTable, build_raw_table
from restock.adapters.sources.unpacking import MAX_UNPACKED_BYTES
from restock.adapters.sources.workbook import read_workbook
from restock.errors import DataError
from restock.tables import LOCATIONS, MOVEMENTS, PRODUCTS, SALES

_NAMES = (
    "Online Retail.xlsx",
    "Online_Retail.xlsx",
    "online_retail.xlsx",
    "Online Retail.csv",
    "Online_Retail.csv",
    "online_retail.csv",
    "OnlineRetail.csv",
    "transactions_to_2011-10-09.parquet",
    "online_retail.parquet",
)
FILES = ("|".join(_NAMES),)
# All orders are served from one stock, wherever the customer lives.
LOCATION = "online"
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
# Postage, fees, discounts and the like: sold, but not stocked.
_SERVICES = ("POST", "DOT", "M", "D", "C2", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK")
_INSTANTS = ("%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M")


def read_uci_online_retail(files: Mapping[str, Path]) -> tuple[RawTable, ...]:
    """Return sales, products, locations and movements.

    A sale is a line with a positive quantity and price; sales are the units of such lines a sku and day, and their
    average price. Movements are all lines but those with a negative price, which move money only: sales; returns, the
    lines of invoices that begin with C; adjustments, the unpriced lines: negative ones are write-offs, positive ones
    are stock that was found or, with a customer, goods given away. Times are taken as UTC.

    Args:
        files: path by name, one file.

    Raises:
        DataError: the file can't be read or lacks a column, or a line has no quantity, price or time.
    """
    ((file, path),) = files.items()
    lines = _read_lines(path, file=file)
    mapping = SourceMapping()
    return (
        build_raw_table(_sales(lines), SALES, mapping=mapping, file=file),
        build_raw_table(_products(lines), PRODUCTS, mapping=mapping, file=file),
        build_raw_table(_locations(), LOCATIONS, mapping=mapping, file=file),
        build_raw_table(_movements(lines), MOVEMENTS, mapping=mapping, file=file),
    )


def _read_lines(path: Path, *, file: str) -> pl.DataFrame:
    """Return the invoice lines, typed, with LINE."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        raw = read_columns(path, file=file)
    elif suffix == ".xlsx":
        raw = read_workbook(path, sheet=None, file=file, max_unpacked_bytes=MAX_UNPACKED_BYTES)
    else:
        raw = read_delimited_frame(path, file=file)
    missing = [name for name in COLUMNS if name not in raw.columns]
    if missing:
        raise DataError(f"{file} has no column {', '.join(missing)}, which format uci_online_retail needs.")
    text = [pl.col(name).cast(pl.String).str.strip_chars() for name in ("InvoiceNo", "StockCode", "Description")]
    typed = raw.select(
        LINE,
        *text,
        pl.col("Quantity").cast(pl.Float64, strict=False),
        _instant(raw.schema["InvoiceDate"]),
        pl.col("UnitPrice").cast(pl.Float64, strict=False),
        has_customer=pl.col("CustomerID").cast(pl.String).str.strip_chars().fill_null("").ne(""),
    )
    bad = typed.filter(pl.any_horizontal(pl.col("Quantity", "InvoiceDate", "UnitPrice", "StockCode").is_null()))
    if bad.height:
        raise DataError(
            f"{file}, line {bad[LINE][0]}: {bad.height:,} lines have no StockCode, Quantity, InvoiceDate or UnitPrice "
            "that can be read. Take the published file."
        )
    return typed.with_columns(pl.col("InvoiceNo").str.strip_suffix(".0"), pl.col("StockCode").str.strip_suffix(".0"))


def _instant(dtype: pl.DataType) -> pl.Expr:
    """Return the expression that reads the time of an invoice."""
    value = pl.col("InvoiceDate")
    if dtype == pl.String:
        text = value.str.strip_chars()
        return pl.coalesce(text.str.to_datetime(form, strict=False, time_unit="us") for form in _INSTANTS)
    return value.cast(pl.Datetime("us"))


def _is_return() -> pl.Expr:
    return pl.col("InvoiceNo").str.to_uppercase().str.starts_with("C")


def _is_sale() -> pl.Expr:
    return (pl.col("Quantity") > 0) & (pl.col("UnitPrice") > 0)


def _sales(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one row a sku and day with sales; LINE is the first line of the day."""
    amount = (pl.col("Quantity") * pl.col("UnitPrice")).sum()
    return (
        lines.filter(_is_sale())
        .group_by(sku="StockCode", date=pl.col("InvoiceDate").dt.date())
        .agg(pl.col(LINE).min(), units_sold=pl.col("Quantity").sum(), unit_price=amount / pl.col("Quantity").sum())
        .sort("sku", "date")
        .with_columns(location=pl.lit(LOCATION))
    )


def _products(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one row a sku, named as on its first priced line."""
    is_service = pl.col("sku").is_in(_SERVICES)
    named = pl.col("Description").filter(_is_sale() & pl.col("Description").ne("")).first()
    return (
        lines.group_by(sku="StockCode")
        .agg(pl.col(LINE).min(), name=named)
        .sort("sku")
        .with_columns(
            pl.col("name").fill_null(pl.col("sku")),
            category_path=pl.when(is_service).then(pl.lit("services")).otherwise(pl.lit("giftware")),
        )
    )


def _locations() -> pl.DataFrame:
    return pl.DataFrame({LINE: [1], "location": [LOCATION], "kind": ["warehouse"]}, schema_overrides={LINE: pl.Int64})


def _movements(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one row a line that moved stock, numbered in order of time."""
    is_adjustment = pl.col("UnitPrice") == 0
    leaves = pl.when(is_adjustment & ~pl.col("has_customer")).then(pl.lit(1)).otherwise(pl.lit(-1))
    kind = (
        pl.when(_is_return())
        .then(pl.lit("return"))
        .when(is_adjustment | (pl.col("Quantity") < 0))
        .then(pl.lit("adjustment"))
        .otherwise(pl.lit("sale"))
    )
    prefix = pl.when(_is_return()).then(pl.lit("RET-")).when(kind.eq("adjustment")).then(pl.lit("ADJ-"))
    moved = lines.filter(pl.col("UnitPrice") >= 0, pl.col("Quantity") != 0).sort("InvoiceDate", LINE)
    return moved.with_row_index("number", offset=1).select(
        LINE,
        movement=pl.col("number").cast(pl.String).str.zfill(9),
        occurred_at_utc=pl.col("InvoiceDate").dt.replace_time_zone("UTC"),
        sku="StockCode",
        location=pl.lit(LOCATION),
        kind=kind,
        quantity=leaves * pl.col("Quantity"),
        unit_of_measure=pl.lit("piece"),
        unit_price=pl.when(kind.eq("adjustment")).then(pl.lit(0.0)).otherwise("UnitPrice"),
        user=pl.lit("unknown"),
        reference=pl.concat_str(prefix.otherwise(pl.lit("")), "InvoiceNo"),
    )
