"""What products cost and sell for: from which day on, now and before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from restock.adapters.database.catalogue_tables import CostRow, PriceRow
from restock.operations.catalogue.changes import in_chunks
from restock.operations.stock.company import Company, read_company

# By first day, in order, minor units.
History = dict[date, int]


@dataclass(frozen=True, kw_only=True)
class PricePoint:
    """An amount from a day on.

    Attributes:
        valid_from: first day.
        amount: of one base unit, currency.
    """

    valid_from: date
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class ProductPrices:
    """What a product costs and sells for.

    Attributes:
        unit_cost: cost of one base unit on the day asked for; None where none is known.
        unit_price: price of one base unit on that day; None where none is known.
        costs: all costs, the oldest first; those of later days are planned.
        prices: all prices, the oldest first; those of later days are planned.
    """

    unit_cost: Decimal | None
    unit_price: Decimal | None
    costs: tuple[PricePoint, ...]
    prices: tuple[PricePoint, ...]


def read_prices(connection: Connection, skus: Iterable[str], *, on: date) -> Mapping[str, ProductPrices]:
    """Return what products cost and sell for, by sku; a sku without any has none of both.

    Args:
        connection: in a transaction.
        skus: the products.
        on: the company's day that `unit_cost` and `unit_price` are of.
    """
    wanted = sorted(set(skus))
    company = read_company(connection)
    costs, prices = read_history(connection, CostRow, wanted), read_history(connection, PriceRow, wanted)
    return {
        sku: ProductPrices(
            unit_cost=company.from_minor(find_valid(costs.get(sku, {}), on)),
            unit_price=company.from_minor(find_valid(prices.get(sku, {}), on)),
            costs=_points(costs.get(sku, {}), company),
            prices=_points(prices.get(sku, {}), company),
        )
        for sku in wanted
    }


def read_history(
    connection: Connection, row: type[CostRow] | type[PriceRow], skus: Sequence[str]
) -> dict[str, History]:
    """Return all amounts of products by sku, in minor units."""
    table = row.__table__
    amount = table.c.unit_cost if row is CostRow else table.c.unit_price
    history: dict[str, History] = defaultdict(dict)
    for chunk in in_chunks(skus):
        statement = select(table.c.sku, table.c.valid_from, amount).where(table.c.sku.in_(chunk))
        for sku, valid_from, value in connection.execute(statement.order_by(table.c.sku, table.c.valid_from)):
            history[sku][valid_from] = int(value)
    return history


def find_valid(history: Mapping[date, int], on: date) -> int | None:
    """Return the amount that is valid on a day; None before the first.

    Example:
        >>> find_valid({date(2024, 1, 1): 100, date(2024, 6, 1): 120}, date(2024, 3, 1))
        100
    """
    begun = [day for day in history if day <= on]
    return history[max(begun)] if begun else None


def write_amounts(
    connection: Connection, row: type[CostRow] | type[PriceRow], amounts: Mapping[tuple[str, date], int]
) -> None:
    """Write amounts by (sku, first day), in place of others of the same day.

    Args:
        connection: in a write transaction.
        row: costs or prices.
        amounts: minor units.
    """
    table = row.__table__
    name = "unit_cost" if row is CostRow else "unit_price"
    for chunk in in_chunks(list(amounts), size=500):
        skus, days = {sku for sku, _ in chunk}, {day for _, day in chunk}
        there = connection.execute(
            select(table.c.sku, table.c.valid_from).where(table.c.sku.in_(skus), table.c.valid_from.in_(days))
        )
        for sku, day in [(sku, day) for sku, day in there if (sku, day) in amounts]:
            connection.execute(delete(row).where(table.c.sku == sku, table.c.valid_from == day))
        values: list[dict[str, Any]] = [{"sku": sku, "valid_from": day, name: amounts[sku, day]} for sku, day in chunk]
        connection.execute(insert(row), values)


def _points(history: Mapping[date, int], company: Company) -> tuple[PricePoint, ...]:
    return tuple(
        PricePoint(valid_from=day, amount=Decimal(amount).scaleb(-company.currency_decimals))
        for day, amount in sorted(history.items())
    )
