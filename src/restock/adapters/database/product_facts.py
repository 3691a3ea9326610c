"""What booking needs to know of products: their units of measure, and whether they are kept by lots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

from sqlalchemy import Connection, select

from restock.adapters.database.catalogue_tables import ProductRow, ProductUnitRow
from restock.adapters.database.engine import is_read_only
from restock.errors import NotFoundError
from restock.ledger.quantities import UnitsOfMeasure

# What a unit's factor is multiplied by where it is stored, so that 0.5 is exact.
FACTOR_SCALE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ProductFacts:
    """What booking needs to know of a product.

    Attributes:
        sku: the product.
        name: its name.
        units: how it is counted.
        is_lot_tracked: whether it is kept by lots.
    """

    sku: str
    name: str
    units: UnitsOfMeasure
    is_lot_tracked: bool


def read_product_facts(
    connection: Connection, skus: Iterable[str], *, must_be_known: bool = True
) -> Mapping[str, ProductFacts]:
    """Return the facts of products by sku; who writes holds them, so that the unit of a product can't change meanwhile.

    Args:
        connection: in a transaction.
        skus: which.
        must_be_known: whether a sku that is not in the catalogue is refused, or left out.

    Raises:
        NotFoundError: a sku is not in the catalogue, and must be.
    """
    wanted = sorted(set(skus))
    statement = (
        select(
            ProductRow.sku,
            ProductRow.name,
            ProductRow.base_unit,
            ProductRow.quantity_decimals,
            ProductRow.is_lot_tracked,
        )
        .where(ProductRow.sku.in_(wanted))
        .order_by(ProductRow.sku)
    )
    if not is_read_only(connection):
        # Many may hold it at once; only a change of the unit waits, which asks for the row alone.
        statement = statement.with_for_update(read=True, key_share=True)
    products = connection.execute(statement).all()
    missing = sorted(set(wanted) - {row.sku for row in products})
    if missing and must_be_known:
        refuse_unknown(missing)
    factors: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for sku, unit, factor in connection.execute(
        select(ProductUnitRow.sku, ProductUnitRow.unit, ProductUnitRow.factor).where(ProductUnitRow.sku.in_(wanted))
    ):
        factors[sku][unit] = Decimal(factor) / FACTOR_SCALE
    return {
        row.sku: ProductFacts(
            sku=row.sku,
            name=row.name,
            units=UnitsOfMeasure(base_unit=row.base_unit, decimals=row.quantity_decimals, factors=factors[row.sku]),
            is_lot_tracked=row.is_lot_tracked,
        )
        for row in products
    }


def refuse_unknown(skus: Sequence[str]) -> NoReturn:
    """Refuse skus that are not in the catalogue.

    Raises:
        NotFoundError: always.
    """
    more = f" (and {len(skus) - 1} more)" if len(skus) > 1 else ""
    raise NotFoundError(f"sku {skus[0]!r} is not in the catalogue{more}. Add it first: POST /api/v1/products.")
