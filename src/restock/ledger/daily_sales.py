"""What the lines of a ledger say of each day: units sold, the price paid, and how long there was no stock; pure.

A reversed line counts at the time of what it takes back, so that a mistake that was put right leaves no trace. Returns
are not negative sales: the customer had wanted the goods. A balance of zero is no stock. A balance below zero proves
that the books are behind the shelf, so that nothing is known of such a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from restock.ledger.movements import Kind
from restock.tables import SALES

# Lines as these functions take them: all lines of a sku at a physical location, whatever the lot.
LINES_SCHEMA = pl.Schema(
    {
        "sku": pl.String(),
        "location": pl.String(),
        # Of the movement, or of the one that it takes back.
        "kind": pl.String(),
        "occurred_at_utc": pl.Datetime("us", "UTC"),
        # Signed, scaled base units.
        "quantity": pl.Int64(),
        # Minor units of money for one base unit; null where there is none.
        "unit_price": pl.Int64(),
    }
)
_PAIR = ["sku", "location"]
# More than quantities and money have in the ledger.
_DECIMALS = 8


def midnight_utc(day: date, time_zone: str) -> datetime:
    """Return the instant at which a day begins.

    Example:
        >>> midnight_utc(date(2024, 7, 1), "Europe/Berlin").isoformat()
        '2024-06-30T22:00:00+00:00'
    """
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)


def day_of(instant: datetime, time_zone: str) -> date:
    """Return the day in which an instant lies.

    Example:
        >>> day_of(datetime(2024, 6, 30, 22, tzinfo=UTC), "Europe/Berlin")
        datetime.date(2024, 7, 1)
    """
    return instant.astimezone(ZoneInfo(time_zone)).date()


def daily_sales(
    lines: pl.DataFrame,
    *,
    time_zone: str,
    last_day: date,
    stores: Sequence[str],
    units_scale: int = 1,
    money_scale: int = 1,
) -> pl.DataFrame:
    """Return table `sales`: a row a day from the first line of a sku at a store to `last_day`, zeros included.

    Other locations, such as a warehouse, have rows for the skus that they sell, from the first sale on.

    Args:
        lines: columns of LINES_SCHEMA; every line of these skus that occurred up to the end of `last_day`.
        time_zone: whose midnights part the days.
        last_day: over by now.
        stores: the locations that are there to sell.
        units_scale: scaled base units in one.
        money_scale: minor units of money in one.
    """
    lines = lines.with_columns(date=_local_date(time_zone))
    first_days = (
        lines.filter(pl.col("location").is_in(list(stores)) | (pl.col("kind") == Kind.SALE.value))
        .group_by(_PAIR)
        .agg(pl.col("date").min().alias("first_day"))
    )
    lines = lines.join(first_days, on=_PAIR, how="semi")
    if not lines.height:
        return SALES.empty()
    days = first_days.select(*_PAIR, date=pl.date_ranges("first_day", pl.lit(last_day))).explode("date")
    sold = _sum_sold(lines)
    missing = _find_stockouts(lines, days=_list_days(lines["date"].min(), last_day, time_zone=time_zone))
    frame = (
        days.join(sold, on=[*_PAIR, "date"], how="left")
        .join(missing, on=[*_PAIR, "date"], how="left")
        .select(
            *_PAIR,
            "date",
            # Polars may divide by multiplying with the inverse: rounded, cents are cents again.
            units_sold=(pl.col("scaled_units").fill_null(0) / units_scale).round(_DECIMALS),
            unit_price=(pl.col("unit_price") / money_scale).round(_DECIMALS),
            is_promoted=pl.lit(value=False),
            stockout_share=pl.when(pl.col("is_unknown").fill_null(value=False))
            .then(None)
            .otherwise(pl.col("stockout_share").fill_null(0.0)),
        )
        .sort(*_PAIR, "date")
    )
    return SALES.conform(frame)


def _local_date(time_zone: str) -> pl.Expr:
    return pl.col("occurred_at_utc").dt.convert_time_zone(time_zone).dt.date()


def _sum_sold(lines: pl.DataFrame) -> pl.DataFrame:
    """Return by pair and day the scaled units sold, and the mean price of those that have one."""
    units = -pl.col("quantity")
    is_priced = pl.col("unit_price").is_not_null()
    priced = units.filter(is_priced).sum()
    return (
        lines.filter(pl.col("kind") == Kind.SALE.value)
        .group_by(*_PAIR, "date")
        .agg(
            scaled_units=units.sum(),
            unit_price=pl.when(priced > 0).then((units * pl.col("unit_price")).filter(is_priced).sum() / priced),
        )
    )


def _list_days(first_day: object, last_day: date, *, time_zone: str) -> pl.DataFrame:
    """Return the instants at which days begin and end; a day has 23 hours where clocks are put forward."""
    if not isinstance(first_day, date):
        raise TypeError(f"first_day must be a date, got {first_day!r}")
    dates = [first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1)]
    begins = [midnight_utc(day, time_zone) for day in [*dates, last_day + timedelta(days=1)]]
    schema = {"date": pl.Date(), "begins": pl.Datetime("us", "UTC"), "ends": pl.Datetime("us", "UTC")}
    return pl.DataFrame({"date": dates, "begins": begins[:-1], "ends": begins[1:]}, schema=schema)


def _find_stockouts(lines: pl.DataFrame, *, days: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs and days with some time without stock, its share, and whether it is unknown."""
    end = days["ends"][-1]
    flows = (
        lines.group_by(*_PAIR, "occurred_at_utc")
        .agg(pl.col("quantity").sum())
        .sort(*_PAIR, "occurred_at_utc")
        .with_columns(
            balance=pl.col("quantity").cum_sum().over(_PAIR),
            until=pl.col("occurred_at_utc").shift(-1).over(_PAIR).fill_null(end),
        )
    )
    spells = flows.filter((pl.col("balance") <= 0) & (pl.col("occurred_at_utc") < pl.col("until")))
    by_end = days.select(last="date", last_begins="begins")
    spans = (
        spells.sort("occurred_at_utc")
        .join_asof(days, left_on="occurred_at_utc", right_on="begins", check_sortedness=False)
        .rename({"date": "first"})
        .drop("begins", "ends", strict=False)
        .with_columns(within=pl.col("until") - pl.duration(microseconds=1))
        .sort("within")
        .join_asof(by_end, left_on="within", right_on="last_begins", check_sortedness=False)
        .select(*_PAIR, "balance", "occurred_at_utc", "until", date=pl.date_ranges("first", "last"))
        .explode("date")
        .join(days, on="date")
    )
    overlap = pl.min_horizontal("until", "ends") - pl.max_horizontal("occurred_at_utc", "begins")
    length = pl.col("ends") - pl.col("begins")
    shares = spans.group_by(*_PAIR, "date").agg(
        stockout_share=(overlap.dt.total_microseconds() / length.dt.total_microseconds()).sum().clip(0, 1),
        is_unknown=(pl.col("balance") < 0).any(),
    )
    return (
        pl.concat([shares, _begun_within(flows, days)], how="diagonal")
        .group_by(*_PAIR, "date")
        .agg(pl.col("stockout_share").sum(), pl.col("is_unknown").any())
    )


def _begun_within(flows: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
    """Return the first day of each pair whose books begin within it: nothing is known of the hours before."""
    return (
        flows.group_by(_PAIR)
        .agg(pl.col("occurred_at_utc").min())
        .sort("occurred_at_utc")
        .join_asof(days, left_on="occurred_at_utc", right_on="begins", check_sortedness=False)
        .filter(pl.col("occurred_at_utc") > pl.col("begins"))
        .select(*_PAIR, "date", is_unknown=pl.lit(value=True))
    )
