"""What is known of an order line of the SCMS history before it is delivered, as numbers to learn from.

A line is compared with the lines beside it: of the same order, quote, country, day and month, and with those whose
order numbers are next to its own, which were ordered at about the same time. How deliveries to a country went is told
by lines that were scheduled before the block of half a year in which a line lies, as they are for new lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

FROM_WAREHOUSE = "From RDC"
_DAY = pl.Int32
_ORDER_NEIGHBOURS = (30, 100)
_SHIPMENT_NEIGHBOURS = (4, 10, 25)
_BLOCK_DAYS = 182
_HALF_LIFE_DAYS = 365.0
_PRIOR_LINES = 10.0
_LARGEST_DELAY_DAYS = 60
_PAST_KEYS: tuple[tuple[str, ...], ...] = (("country", "mode", "is_from_warehouse"), ("vendor", "is_from_warehouse"))


def day_numbers(days: pl.Series) -> NDArray[np.float64]:
    """Return days since 1970, NaN where there is none."""
    return days.cast(_DAY).cast(pl.Float64).fill_null(np.nan).to_numpy()


def is_from_warehouse(lines: pl.DataFrame) -> NDArray[np.bool_]:
    """Return whether each line is filled from a regional warehouse; the others come straight from the vendor."""
    return (lines["fulfilled_via"] == FROM_WAREHOUSE).fill_null(value=False).to_numpy()


def line_features(lines: pl.DataFrame, *, has_shipments: bool) -> NDArray[np.float64]:
    """Return what is known of each line before delivery, shape (n_lines, n_features); NaN is not known.

    Args:
        lines: past and new lines together.
        has_shipments: whether the numbers of shipping notices may be read: they are given when a shipment is made up,
            so they say about when that was.
    """
    frame = _with_numbers(lines)
    scheduled = frame["scheduled"].to_numpy()
    columns = [frame.select(_own_columns()).to_numpy(), frame.select(_columns_beside()).to_numpy()]
    columns.append(_slack_beside(frame, "order_number", scheduled, neighbours=_ORDER_NEIGHBOURS))
    if has_shipments:
        columns.append(_slack_beside(frame, "shipment_number", scheduled, neighbours=_SHIPMENT_NEIGHBOURS))
    found: NDArray[np.float64] = np.concatenate(columns, axis=1).astype(np.float64)
    return found


def past_features(lines: pl.DataFrame, delay_days: Floats, *, cutoff: date) -> NDArray[np.float64]:
    """Return how earlier deliveries to a line's country and of its vendor went, shape (n_lines, n_features).

    Args:
        lines: past and new lines together.
        delay_days: shape (n_lines,), NaN for new lines.
        cutoff: first day of the new lines.
    """
    frame = _with_numbers(lines).with_columns(delay=pl.Series(delay_days).fill_nan(None))
    scheduled = frame["scheduled"].to_numpy()
    end = float((cutoff - date(1970, 1, 1)).days)
    block = np.where(scheduled >= end, 0, np.ceil((end - scheduled) / _BLOCK_DAYS)).astype(np.int64)
    found = np.full((lines.height, 4 * len(_PAST_KEYS)), np.nan)
    for number in np.unique(block).tolist():
        rows = np.flatnonzero(block == number)
        begin = end - number * _BLOCK_DAYS
        known = frame.filter(pl.col("scheduled") < begin, pl.col("delay").is_not_null())
        if known.height:
            found[rows] = _past_of(frame[rows], known, begin)
    return found


def _past_of(wanted: pl.DataFrame, known: pl.DataFrame, begin: float) -> NDArray[np.float64]:
    """Return mean delay, shares of late and early lines and their number, of each key of `wanted`."""
    weight = pl.lit(2.0) ** (-(begin - pl.col("scheduled")) / _HALF_LIFE_DAYS)
    told = {
        "delay": pl.col("delay").clip(-_LARGEST_DELAY_DAYS, _LARGEST_DELAY_DAYS),
        "late": (pl.col("delay") > 0).cast(pl.Float64),
        "early": (pl.col("delay") < 0).cast(pl.Float64),
    }
    known = known.with_columns(weight.alias("w")).with_columns(
        **{name: pl.col("w") * what for name, what in told.items()}
    )
    sums = [pl.col(name).sum() for name in ("w", *told)]
    wide = known.group_by("is_from_warehouse").agg(sums)
    columns = []
    for key in _PAST_KEYS:
        own = wanted.join(
            known.group_by(key).agg(sums), on=list(key), how="left", nulls_equal=True, maintain_order="left"
        )
        of_all = wanted.join(wide, on="is_from_warehouse", how="left", maintain_order="left")
        n = own["w"].fill_null(0.0).to_numpy()
        for name in told:
            usual = (of_all[name] / of_all["w"]).fill_null(0.0).to_numpy()
            columns.append((own[name].fill_null(0.0).to_numpy() + _PRIOR_LINES * usual) / (n + _PRIOR_LINES))
        columns.append(n)
    return np.stack(columns, axis=1)


def _with_numbers(lines: pl.DataFrame) -> pl.DataFrame:
    digits = r"(\d+)"
    day = {name: pl.col(f"{name}_on").cast(_DAY).cast(pl.Float64) for name in ("scheduled", "ordered", "quoted")}
    return lines.with_columns(
        **day,
        is_from_warehouse=pl.Series(is_from_warehouse(lines)),
        order_number=pl.col("order").str.extract(digits).cast(pl.Float64, strict=False),
        shipment_number=pl.col("shipment").str.extract(digits).cast(pl.Float64, strict=False),
        # Lines without a number of their own are their own group.
        order=pl.col("order").fill_null(pl.format("line {}", "ID")),
        quote=pl.when(pl.col("quote").str.contains(digits))
        .then("quote")
        .otherwise(pl.col("order").fill_null(pl.col("ID"))),
    )


def _own_columns() -> list[pl.Expr]:
    day = pl.col("scheduled_on").dt
    return [
        pl.col("is_from_warehouse").cast(pl.Float64),
        (pl.col("scheduled") - pl.col("ordered")).alias("promised_days"),
        (pl.col("scheduled") - pl.col("quoted")).alias("quoted_days"),
        day.month().cast(pl.Float64).alias("month"),
        (day.month_end().dt.day() - day.day()).cast(pl.Float64).alias("days_to_month_end"),
        *((pl.col(name) + 1).log().alias(f"log_{name}") for name in ("quantity", "value", "weight_kg")),
        # The last digit numbers the parts of an order.
        (pl.col("order_number") % 10).alias("order_part"),
    ]


def _columns_beside() -> list[pl.Expr]:
    """Return how many lines lie beside each, and how far its scheduled day is from theirs."""
    month = pl.col("scheduled_on").dt.truncate("1mo")
    at = pl.col("scheduled")
    return [
        pl.len().over("order").cast(pl.Float64).alias("n_order"),
        pl.len().over("country", "scheduled_on", "is_from_warehouse").cast(pl.Float64).alias("n_country_day"),
        pl.len().over(pl.col("country"), month, pl.col("is_from_warehouse")).cast(pl.Float64).alias("n_country_month"),
        pl.len().over("scheduled_on").cast(pl.Float64).alias("n_day"),
        (at - at.min().over("order")).alias("order_offset"),
        (at - at.min().over("quote")).alias("quote_offset"),
        (at.max().over("quote") - at).alias("quote_rest"),
        (at - at.shift(1).over("country", "is_from_warehouse", order_by="scheduled")).alias("gap_before"),
        (at.shift(-1).over("country", "is_from_warehouse", order_by="scheduled") - at).alias("gap_after"),
    ]


def _slack_beside(
    frame: pl.DataFrame, number: str, scheduled: Floats, *, neighbours: Sequence[int]
) -> NDArray[np.float64]:
    """Return how much later a line is scheduled than the median and the earliest tenth of its neighbours by number.

    Returns: shape (n_lines, 2 * n_neighbours); warehouse lines and others are numbered apart.
    """
    numbers, group = frame[number].fill_null(np.nan).to_numpy(), frame["is_from_warehouse"].to_numpy()
    found = np.full((frame.height, 2 * len(neighbours)), np.nan)
    for own in (False, True):
        rows = np.flatnonzero((group == own) & ~np.isnan(numbers))
        rows = rows[np.argsort(numbers[rows], kind="stable")]
        days = pl.Series(scheduled[rows])
        for place, reach in enumerate(neighbours):
            window = {"window_size": 2 * reach + 1, "min_samples": 5, "center": True}
            median = days.rolling_median(**window).to_numpy()  # type: ignore[arg-type]  # one dict for both
            earliest = days.rolling_quantile(0.1, interpolation="linear", **window).to_numpy()  # type: ignore[arg-type]
            found[rows, 2 * place] = scheduled[rows] - median
            found[rows, 2 * place + 1] = scheduled[rows] - earliest
    return found
