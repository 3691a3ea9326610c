"""What the ledger says of a product as a whole: events to be valued, what was sold for how much, what is where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.orm import aliased

from restock.adapters.database.catalogue_tables import ProductRow
from restock.adapters.database.ledger_tables import MovementLineRow, MovementRow
from restock.analytics.valuation import Flow, StockEvent
from restock.ledger.movements import Kind, Virtual

_FLOWS = {
    Kind.RECEIPT: Flow.RECEIPTS,
    Kind.RETURN: Flow.RETURNS,
    Kind.SALE: Flow.COST_OF_SALES,
    Kind.WRITE_OFF: Flow.WRITE_OFFS,
    Kind.ADJUSTMENT: Flow.ADJUSTMENTS,
    Kind.TRANSFER_IN: Flow.ADJUSTMENTS,
    Kind.TRANSFER_OUT: Flow.ADJUSTMENTS,
}
_AT_A_TIME = 20_000


@dataclass(frozen=True, kw_only=True)
class Trade:
    """An event with what customers paid or got back for it.

    Attributes:
        event: the change of stock.
        revenue: minor units of money times the product's scale; below 0 for a return.
    """

    event: StockEvent
    revenue: int


@dataclass(frozen=True, kw_only=True)
class ProductFacts:
    """What reports say of a product.

    Attributes:
        name: its name.
        category_path: its categories.
        scale: scaled units in one base unit.
        base_unit: what it is counted in.
    """

    name: str
    category_path: str
    scale: int
    base_unit: str


def read_products(connection: Connection, *, category: str | None = None) -> Mapping[str, ProductFacts]:
    """Return the products by sku, those of a category or all.

    Args:
        connection: in a transaction.
        category: beginning of the category path; None for all.
    """
    columns = (
        ProductRow.sku,
        ProductRow.name,
        ProductRow.category_path,
        ProductRow.quantity_decimals,
        ProductRow.base_unit,
    )
    statement = select(*columns).order_by(ProductRow.sku)
    if category is not None:
        statement = statement.where(ProductRow.category_path.startswith(category, autoescape=True))
    return {
        row.sku: ProductFacts(
            name=row.name,
            category_path=row.category_path,
            scale=10**row.quantity_decimals,
            base_unit=row.base_unit,
        )
        for row in connection.execute(statement)
    }


def read_trades(
    connection: Connection, products: Mapping[str, ProductFacts], *, before: datetime
) -> Iterator[tuple[str, list[Trade]]]:
    """Yield the trades of each product in the order in which they occurred, product by product.

    Goods in transit belong to the company: a transfer changes nothing as a whole.

    Args:
        connection: in a transaction.
        products: which, by sku.
        before: what occurred before it, UTC.
    """
    rows = connection.execution_options(yield_per=_AT_A_TIME).execute(_select_events(before))
    for sku, group in groupby(rows, key=lambda row: str(row.sku)):
        if sku in products:
            yield sku, [_trade(row, scale=products[sku].scale) for row in group]
        else:
            # The rows of the others must be passed over one by one.
            for _ in group:
                pass


def read_positions(connection: Connection, *, before: datetime) -> Mapping[str, dict[str, int]]:
    """Return what was where before an instant, scaled base units by sku and location; goods in transit at @transit."""
    quantity = func.sum(MovementLineRow.quantity).label("quantity")
    statement = (
        select(MovementLineRow.sku, MovementLineRow.location, quantity)
        .join(MovementRow, MovementRow.movement == MovementLineRow.movement)
        .where(MovementRow.occurred_at_utc < before, _is_held())
        .group_by(MovementLineRow.sku, MovementLineRow.location)
        .having(quantity != 0)
        .order_by(MovementLineRow.sku, MovementLineRow.location)
    )
    positions: dict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(statement):
        positions[row.sku][row.location] = int(row.quantity)
    return positions


def _is_held() -> Any:
    location = MovementLineRow.location
    return ~location.like("@%") | (location == Virtual.TRANSIT.value)


def _select_events(before: datetime) -> Select[*tuple[Any, ...]]:
    original = aliased(MovementRow)
    quantity = func.sum(MovementLineRow.quantity).label("quantity")
    keys = (
        MovementLineRow.sku,
        MovementRow.occurred_at_utc,
        MovementRow.posted_at_utc,
        MovementRow.movement,
        MovementRow.kind,
        original.kind.label("original_kind"),
        MovementLineRow.unit_cost,
        MovementLineRow.unit_price,
    )
    return (
        select(*keys, quantity)
        .join(MovementRow, MovementRow.movement == MovementLineRow.movement)
        .join(original, original.movement == MovementRow.reverses, isouter=True)
        .where(MovementRow.occurred_at_utc < before, _is_held())
        .group_by(*keys)
        .having(quantity != 0)
        .order_by(MovementLineRow.sku, MovementRow.occurred_at_utc, MovementRow.posted_at_utc, MovementRow.movement)
    )


def _trade(row: Any, *, scale: int) -> Trade:
    kind, quantity = Kind(row.original_kind or row.kind), int(row.quantity)
    if kind is Kind.COUNT:
        # What a count finds too much is found, what it misses is lost; a reversal undoes the same.
        is_gain = (quantity > 0) == (row.original_kind is None)
        flow = Flow.FOUND if is_gain else Flow.SHRINKAGE
    else:
        flow = _FLOWS[kind]
    event = StockEvent(
        occurred_at=row.occurred_at_utc, flow=flow, quantity=quantity, unit_cost=row.unit_cost, scale=scale
    )
    is_trade = flow in (Flow.COST_OF_SALES, Flow.RETURNS) and row.unit_price is not None
    return Trade(event=event, revenue=-quantity * int(row.unit_price) if is_trade else 0)
