"""The stock ledger as a source: posted movements as the tables that a company brings, up to the last day that is over.

One state of the database is read, sku by sku, and spooled to parquet, so that a batch is named after what it says: the
same ledger gives the same batch. The last day is the last one that is over and on which anything was booked anywhere:
that nothing was sold after it is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.orm import aliased

from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.company_table import CompanyRow
from restock.adapters.database.engine import read_transaction
from restock.adapters.database.ledger_tables import MovementLineRow, MovementRow
from restock.adapters.sources.ledger_masters import (
    Scales,
    read_locations,
    read_products,
    read_purchase_orders,
    read_scales,
    read_supply_terms,
)
from restock.adapters.sources.ledger_movements import read_base_units, read_expected, tell_movements
from restock.adapters.sources.ledger_stock import OpenOrders, read_open_orders, tell_stock
from restock.adapters.sources.raw_table import PART_ROWS
from restock.adapters.storage import TableWriter
from restock.errors import DataError, NotReadyError
from restock.ledger.daily_sales import daily_sales, day_of, midnight_utc
from restock.tables import TABLES

_FETCHED_ROWS = 50_000
_LINE_SCHEMA: dict[str, pl.DataType] = {
    "sku": pl.String(),
    "location": pl.String(),
    "movement": pl.String(),
    "line": pl.Int64(),
    "n_lines": pl.Int64(),
    "quantity": pl.Int64(),
    "unit_cost": pl.Int64(),
    "unit_price": pl.Int64(),
    "entered_quantity": pl.String(),
    "entered_unit": pl.String(),
    "kind": pl.String(),
    "booked_at_utc": pl.Datetime("us", "UTC"),
    # When it counts: that of the movement that it takes back.
    "occurred_at_utc": pl.Datetime("us", "UTC"),
    "user": pl.String(),
    "reference": pl.String(),
}


@dataclass(frozen=True, kw_only=True)
class LedgerView:
    """What of a ledger is read.

    Attributes:
        time_zone: whose midnights part the days.
        last_day: the last one that counts.
        ends_at: the instant at which it is over.
        stores: the locations that are there to sell.
        scales: how its integers become numbers.
    """

    time_zone: str
    last_day: date
    ends_at: datetime
    stores: tuple[str, ...]
    scales: Scales


def spool_ledger(engine: Engine, *, folder: Path, now: datetime, part_rows: int = PART_ROWS) -> dict[str, Path]:
    """Write the tables that a ledger gives to `folder`, and return their files by name for people.

    Args:
        engine: a migrated database.
        folder: where the files go.
        now: the present, UTC; its day is not over.
        part_rows: about how many lines are in memory at a time; all those of one sku are.

    Raises:
        NotReadyError: the company's currency and time zone are not set.
        DataError: nothing was booked on a day that is over.
    """
    with read_transaction(engine) as connection:
        view = _look(connection, now=now)
        writers = {name: TableWriter(TABLES[name], folder / f"{name}.parquet") for name in _TABLE_ORDER}
        for name, frame in _read_masters(connection, view).items():
            writers[name].append(frame)
        orders = read_open_orders(connection, as_of=view.last_day)
        base_units = read_base_units(connection)
        expected = read_expected(connection)
        for lines in _read_lines(connection, view, part_rows=part_rows):
            writers["sales"].append(_tell_sales(lines, view))
            writers["movements"].append(
                tell_movements(lines, scales=view.scales, base_units=base_units, expected=expected)
            )
            _append_stock(writers["stock"], lines, view=view, orders=orders)
    for writer in writers.values():
        writer.finish()
    return {f"ledger/{name}": folder / f"{name}.parquet" for name, writer in writers.items() if writer.n_rows}


_TABLE_ORDER = ("sales", "products", "locations", "supply_terms", "purchase_orders", "movements", "stock")


def _look(connection: Connection, *, now: datetime) -> LedgerView:
    """Return what of the ledger is read."""
    company = connection.execute(select(CompanyRow.currency_decimals, CompanyRow.time_zone)).one_or_none()
    if company is None:
        raise NotReadyError(
            "the ledger's company is not set up: its currency and time zone are missing, so that amounts and days mean "
            "nothing. Set them: restock ledger company --currency EUR --time-zone Europe/Berlin."
        )
    today = day_of(now, company.time_zone)
    over = MovementRow.occurred_at_utc < midnight_utc(today, company.time_zone)
    newest = connection.execute(select(func.max(MovementRow.occurred_at_utc)).where(over)).scalar_one()
    if newest is None:
        raise DataError(
            f"the ledger holds no movement before {today}; a day counts once it is over. Post some, or wait for "
            "tomorrow."
        )
    last_day = day_of(newest, company.time_zone)
    ends_at = midnight_utc(last_day + timedelta(days=1), company.time_zone)
    stores = select(LocationRow.location).where(LocationRow.kind == "store").order_by(LocationRow.location)
    return LedgerView(
        time_zone=company.time_zone,
        last_day=last_day,
        ends_at=ends_at,
        stores=tuple(connection.execute(stores).scalars()),
        scales=read_scales(connection, currency_decimals=company.currency_decimals),
    )


def _read_masters(connection: Connection, view: LedgerView) -> dict[str, pl.DataFrame]:
    return {
        "products": read_products(connection, scales=view.scales, as_of=view.last_day),
        "locations": read_locations(connection),
        "supply_terms": read_supply_terms(connection, scales=view.scales),
        "purchase_orders": read_purchase_orders(connection, scales=view.scales, as_of=view.last_day),
    }


def _read_lines(connection: Connection, view: LedgerView, *, part_rows: int) -> Iterator[pl.DataFrame]:
    """Yield the lines at physical locations in parts, each with all lines of its skus."""
    kept: list[pl.DataFrame] = []
    n_kept = 0
    result = connection.execute(_select_lines(view), execution_options={"yield_per": _FETCHED_ROWS})
    for rows in result.partitions():
        chunk = _as_frame(rows)
        kept.append(chunk)
        n_kept += chunk.height
        if n_kept < part_rows or chunk["sku"][0] == chunk["sku"][-1]:
            continue
        # The last sku may go on in the next rows.
        whole = pl.concat(kept)
        is_last = pl.col("sku") == whole["sku"][-1]
        yield whole.filter(~is_last)
        kept = [whole.filter(is_last)]
        n_kept = kept[0].height
    if kept:
        yield pl.concat(kept)


def _select_lines(view: LedgerView) -> Any:
    line, movement, taken_back = MovementLineRow, MovementRow, aliased(MovementRow)
    is_physical = line.location.not_like("@%")
    sizes = select(line.movement, func.count().label("n_lines")).where(is_physical).group_by(line.movement).subquery()
    return (
        select(
            line.sku,
            line.location,
            line.movement,
            line.line,
            sizes.c.n_lines,
            line.quantity,
            line.unit_cost,
            line.unit_price,
            line.entered_quantity,
            line.entered_unit,
            func.coalesce(taken_back.kind, movement.kind),
            movement.occurred_at_utc,
            func.coalesce(taken_back.occurred_at_utc, movement.occurred_at_utc),
            movement.posted_by,
            movement.reference,
        )
        .join(movement, movement.movement == line.movement)
        .join(sizes, sizes.c.movement == line.movement)
        .outerjoin(taken_back, taken_back.movement == movement.reverses)
        .where(is_physical, movement.occurred_at_utc < view.ends_at)
        .order_by(line.sku, line.location, movement.occurred_at_utc, line.movement, line.line)
    )


def _as_frame(rows: Sequence[Any]) -> pl.DataFrame:
    columns = zip(*rows, strict=True)
    return pl.DataFrame(
        [
            pl.Series(name, list(values), dtype=_LINE_SCHEMA[name])
            for name, values in zip(_LINE_SCHEMA, columns, strict=True)
        ]
    )


def _tell_sales(lines: pl.DataFrame, view: LedgerView) -> pl.DataFrame:
    """Return table `sales` of some skus."""
    return pl.concat(
        daily_sales(
            part,
            time_zone=view.time_zone,
            last_day=view.last_day,
            stores=view.stores,
            units_scale=scale,
            money_scale=view.scales.money,
        )
        for scale, part in _by_scale(lines, view.scales)
    ).sort("sku", "location", "date")


def _append_stock(writer: TableWriter, lines: pl.DataFrame, *, view: LedgerView, orders: OpenOrders) -> None:
    for scale, part in _by_scale(lines, view.scales):
        writer.append(tell_stock(part, as_of=view.last_day, orders=orders, units_scale=scale))


def _by_scale(lines: pl.DataFrame, scales: Scales) -> list[tuple[int, pl.DataFrame]]:
    """Return the lines of the skus that have the same number of decimal places together."""
    skus = lines["sku"].unique().sort()
    units = {sku: scales.units_of(sku) for sku in skus}
    return [
        (scale, lines.filter(pl.col("sku").is_in([sku for sku in skus if units[sku] == scale])))
        for scale in sorted(set(units.values()))
    ]
