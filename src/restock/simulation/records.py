"""The company's own records of sales and stock, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import numpy as np
import polars as pl

from restock.simulation.arrays import Ints
from restock.simulation.history import NEVER_COUNTED, Company, History
from restock.simulation.movements import major_units, named
from restock.simulation.trading import COUNT_SECOND
from restock.tables import SALES, STOCK


def sales_table(company: Company, history: History) -> pl.DataFrame:
    """Return table `sales`: a row for every day on which a store lists the article, zeros included."""
    sku, store, day = listed_days(company)
    sold = np.stack([sales.sold for sales in history.sales], axis=2)
    return SALES.conform(
        pl.DataFrame(
            {
                "sku": named(company.catalogue.sku, sku),
                "location": named(company.chain.location, store),
                "date": dates_of(company, day),
                "units_sold": sold[sku, store, day],
                "unit_price": major_units(company.prices.price_minor[sku, day]),
                "is_promoted": company.prices.is_promoted[sku, day],
                "stockout_share": history.reported_empty_share[sku, store, day],
            }
        )
    )


def stock_table(company: Company, history: History) -> pl.DataFrame:
    """Return table `stock`: what the books hold at the end, wrong bookings included, and what is on its way."""
    catalogue, chain, last_day = company.catalogue, company.chain, company.days.n_days - 1
    is_sold = (catalogue.launch_day <= last_day)[:, None]
    sku, location = np.nonzero(np.concatenate([chain.is_listed & is_sold, is_sold], axis=1))
    on_order = np.concatenate([history.in_transfer, history.orders.on_order_units[:, None]], axis=1)
    counted = pl.Series(history.last_count_day[sku, location])
    evening = datetime.combine(company.days.first_day, time(), tzinfo=UTC) + timedelta(seconds=COUNT_SECOND)
    frame = pl.DataFrame(
        {
            "sku": named(catalogue.sku, sku),
            "location": named(chain.location, location),
            "as_of": [company.days.last_day] * sku.size,
            "on_hand": history.booked[sku, location],
            "on_order": on_order[sku, location],
            "backorders": np.zeros(sku.size),
            "counted_day": counted.set(counted == NEVER_COUNTED, None),
        }
    )
    return STOCK.conform(frame.with_columns(counted_at=pl.lit(evening) + pl.duration(days=pl.col("counted_day"))))


def listed_days(company: Company) -> tuple[Ints, Ints, Ints]:
    """Return article, store and day of every day on which a store sells an article, in that order."""
    is_sold = np.arange(company.days.n_days) >= company.catalogue.launch_day[:, None]
    sku, store, day = np.nonzero(company.chain.is_listed[:, :, None] & is_sold[:, None, :])
    return sku, store, day


def dates_of(company: Company, day: Ints) -> pl.Series:
    """Return the date of each day of history."""
    dates = pl.date_range(
        company.days.first_day, company.days.first_day + timedelta(days=company.days.n_days - 1), eager=True
    )
    return dates.gather(day)
