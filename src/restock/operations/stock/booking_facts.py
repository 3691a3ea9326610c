"""What booking looks up: units, lots, and the cost and price that were valid on a day; read once for many bookings."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, select

from restock.adapters.database.catalogue_tables import CostRow, PriceRow
from restock.adapters.database.product_facts import ProductFacts, read_product_facts, refuse_unknown
from restock.operations.stock.company import Company, read_company

# Day from which it is valid, and minor units of money; the earliest first.
History = Sequence[tuple[date, int]]


@dataclass(frozen=True, kw_only=True)
class BookingFacts:
    """What is known of the products of some bookings.

    Attributes:
        company: its currency and its day.
        products: by sku.
        costs: history by sku.
        prices: history by sku.
    """

    company: Company
    products: Mapping[str, ProductFacts]
    costs: Mapping[str, History]
    prices: Mapping[str, History]

    def product(self, sku: str) -> ProductFacts:
        """Return a product.

        Raises:
            NotFoundError: it is not in the catalogue.
        """
        if sku not in self.products:
            refuse_unknown([sku])
        return self.products[sku]

    def cost(self, sku: str, day: date) -> int | None:
        """Return what one base unit cost on a day, minor units; None where it is not known."""
        return _valid(self.costs.get(sku, ()), day)

    def price(self, sku: str, day: date) -> int | None:
        """Return what one base unit sold for on a day, minor units; None where it is not known."""
        return _valid(self.prices.get(sku, ()), day)


def read_booking_facts(connection: Connection, skus: Iterable[str], *, must_be_known: bool = True) -> BookingFacts:
    """Return what is known of products.

    Args:
        connection: in a transaction.
        skus: which.
        must_be_known: whether a sku that is not in the catalogue is refused now, or when it is asked for.

    Raises:
        NotFoundError: a sku is not in the catalogue, and must be.
    """
    wanted = sorted(set(skus))
    products = read_product_facts(connection, wanted, must_be_known=must_be_known)
    return BookingFacts(
        company=read_company(connection),
        products=products,
        costs=_read_history(connection, CostRow, "unit_cost", skus=wanted),
        prices=_read_history(connection, PriceRow, "unit_price", skus=wanted),
    )


def _read_history(
    connection: Connection, table: type[CostRow] | type[PriceRow], column: str, *, skus: Sequence[str]
) -> Mapping[str, History]:
    histories: dict[str, list[tuple[date, int]]] = defaultdict(list)
    rows = connection.execute(
        select(table.sku, table.valid_from, getattr(table, column))
        .where(table.sku.in_(skus))
        .order_by(table.sku, table.valid_from)
    )
    for sku, valid_from, amount in rows:
        histories[sku].append((valid_from, int(amount)))
    return histories


def _valid(history: History, day: date) -> int | None:
    position = bisect_right(history, day, key=lambda entry: entry[0])
    return history[position - 1][1] if position else None
