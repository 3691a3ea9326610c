"""What may be ordered: each sku at each location with its supplier, its terms, and what stock and its lack cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import DataError
from restock.params import ReplenishmentParams
from restock.replenishment.walk_forward import FROM_OUTSIDE, TradingTerms
from restock.tables import LOCATIONS, PRODUCTS, STOCK, SUPPLY_TERMS
from restock.timeline import Frequency

DAYS_OF_YEAR = 365
LINE_TABLES = (SUPPLY_TERMS, PRODUCTS, LOCATIONS, STOCK)
# A unit that costs more than it brings is short at this share of its cost: it is in the range, so it is wanted.
_LEAST_SHORTAGE_SHARE = 0.01


def build_lines(
    tables: Mapping[str, pl.DataFrame], *, params: ReplenishmentParams, frequency: Frequency, as_of: date
) -> pl.DataFrame:
    """Return one row a sku and location that has supply terms, sorted by both.

    Where several suppliers deliver a sku to a location, the cheapest counts, then the quickest. A supplier that is
    itself a location with terms of the sku is its warehouse.

    Args:
        tables: those of `LINE_TABLES`, by name.
        params: costs.
        frequency: length of one period.
        as_of: day of the plan; stock of later days is not read.

    Returns:
        columns sku, location, supplier, source (row of the warehouse, -1: from outside), n_suppliers, category_path,
        unit_cost, unit_price, has_price, holding_cost (currency per unit and period), shortage_cost (currency per
        unit), order_group, fixed_order_cost, review_periods, minimum_order_quantity, order_multiple,
        quoted_lead_time_days, quoted_lead_time_periods, shelf_life_periods (0: for ever), capacity_units, on_hand,
        on_order, backorders, stock_as_of (null: stock is not known and counts as none).

    Raises:
        DataError: there are no supply terms.
    """
    terms = tables[SUPPLY_TERMS.name]
    if terms.is_empty():
        raise DataError(
            "table supply_terms has no rows, so nothing can be ordered. Ingest who delivers what to where: sku, "
            "location, supplier, unit_cost, quoted_lead_time_days (docs/data-dictionary.md)."
        )
    stock = tables[STOCK.name].filter(pl.col("as_of") <= as_of)
    latest = stock.sort("as_of").group_by("sku", "location", maintain_order=True).last()
    chosen = (
        terms.sort("sku", "location", "unit_cost", "quoted_lead_time_days", "supplier")
        .with_columns(n_suppliers=pl.len().over("sku", "location"))
        .unique(["sku", "location"], keep="first", maintain_order=True)
        .join(
            tables[PRODUCTS.name].select("sku", "category_path", "unit_price", "shelf_life_days"),
            on="sku",
            how="left",
            maintain_order="left",
        )
        .join(
            tables[LOCATIONS.name].select("location", "capacity_units"),
            on="location",
            how="left",
            maintain_order="left",
        )
        .join(
            latest.select("sku", "location", "on_hand", "on_order", "backorders", stock_as_of="as_of"),
            on=["sku", "location"],
            how="left",
            maintain_order="left",
        )
        .with_row_index("row")
    )
    sources = chosen.select("sku", supplier="location", source=pl.col("row").cast(pl.Int64))
    return _with_costs(
        chosen.join(sources, on=["sku", "supplier"], how="left", maintain_order="left"),
        params=params,
        frequency=frequency,
    )


def _with_costs(lines: pl.DataFrame, *, params: ReplenishmentParams, frequency: Frequency) -> pl.DataFrame:
    cost, price = pl.col("unit_cost"), pl.col("unit_price")
    has_price = price.is_not_null() & (price > 0)
    # Without a price: the default margin share of a price that nobody told.
    margin = (
        pl.when(has_price)
        .then(price - cost)
        .otherwise(cost * params.default_margin_share / (1 - params.default_margin_share))
    )
    a_year = params.capital_cost_share + params.storage_cost_share

    def in_periods(days: str) -> pl.Expr:
        return (pl.col(days).cast(pl.Int64) / frequency.days).ceil().cast(pl.Int64)

    return lines.select(
        "sku",
        "location",
        "supplier",
        pl.col("source").fill_null(FROM_OUTSIDE),
        "n_suppliers",
        pl.col("category_path").fill_null(""),
        "unit_cost",
        "unit_price",
        has_price=has_price,
        holding_cost=cost * a_year * frequency.days / DAYS_OF_YEAR,
        shortage_cost=pl.max_horizontal(margin * params.shortage_margin_multiple, cost * _LEAST_SHORTAGE_SHARE),
        order_group=pl.struct("supplier", "location").rank("dense").cast(pl.Int64) - 1,
        fixed_order_cost=pl.col("fixed_order_cost").max().over("supplier", "location"),
        review_periods=pl.col("review_periods").cast(pl.Int64),
        minimum_order_quantity=pl.col("minimum_order_quantity").cast(pl.Float64),
        order_multiple=pl.col("order_multiple").cast(pl.Float64),
        quoted_lead_time_days=pl.col("quoted_lead_time_days").cast(pl.Int64),
        quoted_lead_time_periods=in_periods("quoted_lead_time_days"),
        # What can't be sold for a whole period is still sold in the period that it comes in.
        shelf_life_periods=(pl.col("shelf_life_days").cast(pl.Int64) // frequency.days).clip(1).fill_null(0),
        capacity_units="capacity_units",
        on_hand=pl.col("on_hand").fill_null(0.0),
        on_order=pl.col("on_order").fill_null(0.0),
        backorders=pl.col("backorders").fill_null(0.0),
        stock_as_of="stock_as_of",
    )


def trading_terms(lines: pl.DataFrame) -> TradingTerms:
    """Return the terms of lines as the walk-forward simulation takes them; the first review is in period 0."""

    def column(name: str) -> NDArray[Any]:
        return lines[name].to_numpy()

    return TradingTerms(
        source=column("source"),
        unit_cost=column("unit_cost"),
        holding_cost=column("holding_cost"),
        shortage_cost=column("shortage_cost"),
        order_group=column("order_group"),
        fixed_order_cost=column("fixed_order_cost"),
        review_periods=column("review_periods"),
        review_offset=np.zeros(lines.height, dtype=np.int64),
        minimum_order_quantity=column("minimum_order_quantity"),
        order_multiple=column("order_multiple"),
        shelf_life_periods=column("shelf_life_periods"),
    )
