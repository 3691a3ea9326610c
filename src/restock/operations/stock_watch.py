"""Watching stock: balances at every posting, and at times what no posting tells of: expiry, plans, late orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from restock.adapters.database.catalogue_tables import LotRow, ProductRow
from restock.adapters.database.company_table import CompanyRow
from restock.adapters.database.ledger_tables import BalanceRow
from restock.adapters.database.order_tables import PurchaseOrderLineRow, PurchaseOrderRow
from restock.adapters.database.planning_tables import PlanRow
from restock.ledger.balances import BalanceKey, Lot
from restock.ledger.movements import is_virtual
from restock.ledger.stock_alerts import (
    EXPIRES_SOON_DAYS,
    AlertDraft,
    AlertKind,
    OrderedLine,
    StockPlace,
    about_balance,
    judge_balance,
    judge_expiry,
    judge_promise,
    judge_receipt,
    judge_reorder_point,
)
from restock.operations.alerts import find_unresolved, raise_alert, resolve_about

_AWAITED = ("sent", "partly_received")
_ENDED = ("received", "closed")
_BACK = "The balance is not below zero any more."
_OVER = "It is not so any more."
# What a sweep finds anew each time, and ends when it does not find it any more. What came short or over stays so, and a
# person resolves it.
_PASSING = frozenset(
    {
        AlertKind.BELOW_REORDER_POINT,
        AlertKind.LOT_EXPIRING,
        AlertKind.LOT_EXPIRED,
        AlertKind.PURCHASE_ORDER_OVERDUE,
    }
)


def watch_balances(connection: Connection, balances: Mapping[BalanceKey, int], *, now: datetime) -> None:
    """Raise an alert for every balance below zero, and resolve those of balances that are not any more.

    Args:
        connection: in the transaction of the posting.
        balances: what was touched, after it; scaled base units.
        now: the time, UTC.
    """
    physical = {key: balance for key, balance in balances.items() if not is_virtual(key[1])}
    recovered = [about_balance(key) for key, balance in physical.items() if balance >= 0]
    resolve_about(connection, recovered, now=now, note=_BACK)
    negative = {key: balance for key, balance in sorted(physical.items()) if balance < 0}
    places = _read_places(connection, ((sku, location) for sku, location, _ in negative))
    for (sku, location, lot), balance in negative.items():
        draft = judge_balance(places[sku, location], lot=lot, balance=balance)
        if draft is not None:
            raise_alert(connection, draft, now=now)


def sweep_stock(connection: Connection, *, now: datetime, expires_soon_days: int = EXPIRES_SOON_DAYS) -> int:
    """Raise the alerts that plans, lots and orders call for today, resolve those that they don't any more.

    What is known already is left as it is: a sweep counts nothing.

    Args:
        connection: in a write transaction.
        now: the time, UTC.
        expires_soon_days: how many days before its expiry a lot is told of.

    Returns:
        how many alerts were raised.
    """
    today = now.astimezone(ZoneInfo(_read_time_zone(connection))).date()
    drafts = {
        draft.about: draft
        for draft in (
            *_find_expiring(connection, today=today, expires_soon_days=expires_soon_days),
            *_find_below_reorder_point(connection),
            *_find_overdue(connection, today=today),
        )
    }
    known = find_unresolved(connection, _PASSING)
    resolve_about(connection, known - drafts.keys(), now=now, note=_OVER)
    new = sorted(drafts.keys() - known)
    for about in new:
        raise_alert(connection, drafts[about], now=now)
    return len(new)


def watch_receipts(connection: Connection, purchase_order: str, *, now: datetime) -> None:
    """Raise an alert for every line of a purchase order that came over, or short where nothing more is expected.

    Args:
        connection: in the transaction of a receipt, or of closing the order.
        purchase_order: which.
        now: the time, UTC.
    """
    order, line = PurchaseOrderRow, PurchaseOrderLineRow
    rows = connection.execute(
        select(order.state, order.location, line.sku, line.line, line.quantity_ordered, line.quantity_received)
        .join(line, line.purchase_order == order.purchase_order)
        .where(order.purchase_order == purchase_order)
        .order_by(line.line)
    ).all()
    places = _read_places(connection, ((row.sku, row.location) for row in rows))
    for row in rows:
        ordered = OrderedLine(
            purchase_order=purchase_order,
            line=row.line,
            quantity_ordered=int(row.quantity_ordered),
            quantity_received=int(row.quantity_received),
            is_closed=row.state in _ENDED,
        )
        draft = judge_receipt(places[row.sku, row.location], ordered)
        if draft is not None:
            raise_alert(connection, draft, now=now)


def _find_expiring(connection: Connection, *, today: date, expires_soon_days: int) -> Iterable[AlertDraft]:
    rows = connection.execute(
        select(BalanceRow.sku, BalanceRow.location, BalanceRow.lot, BalanceRow.quantity, LotRow.expires_on)
        .join(LotRow, (LotRow.sku == BalanceRow.sku) & (LotRow.lot == BalanceRow.lot))
        .where(BalanceRow.quantity > 0, LotRow.expires_on <= today + timedelta(days=expires_soon_days))
        .where(BalanceRow.location.not_like("@%"))
    ).all()
    places = _read_places(connection, ((row.sku, row.location) for row in rows))
    for row in rows:
        lot = Lot(lot=row.lot, quantity=int(row.quantity), expires_on=row.expires_on)
        draft = judge_expiry(places[row.sku, row.location], lot, today=today, expires_soon_days=expires_soon_days)
        if draft is not None:
            yield draft


def _find_below_reorder_point(connection: Connection) -> Iterable[AlertDraft]:
    """Yield an alert for each latest plan whose reorder point is above what is on hand and on order."""
    latest = select(func.max(PlanRow.as_of)).scalar_subquery()
    on_hand = (
        select(BalanceRow.sku, BalanceRow.location, func.sum(BalanceRow.quantity).label("quantity"))
        .group_by(BalanceRow.sku, BalanceRow.location)
        .subquery()
    )
    missing = PurchaseOrderLineRow.quantity_ordered - PurchaseOrderLineRow.quantity_received
    on_order = (
        select(PurchaseOrderLineRow.sku, PurchaseOrderRow.location, func.sum(missing).label("quantity"))
        .join(PurchaseOrderRow, PurchaseOrderRow.purchase_order == PurchaseOrderLineRow.purchase_order)
        .where(PurchaseOrderRow.state.in_(_AWAITED), missing > 0)
        .group_by(PurchaseOrderLineRow.sku, PurchaseOrderRow.location)
        .subquery()
    )
    position = func.coalesce(on_hand.c.quantity, 0) + func.coalesce(on_order.c.quantity, 0)
    statement = (
        select(PlanRow.sku, PlanRow.location, PlanRow.reorder_point, position.label("position"))
        .outerjoin(on_hand, (on_hand.c.sku == PlanRow.sku) & (on_hand.c.location == PlanRow.location))
        .outerjoin(on_order, (on_order.c.sku == PlanRow.sku) & (on_order.c.location == PlanRow.location))
        .where(PlanRow.as_of == latest, position < PlanRow.reorder_point)
    )
    rows = connection.execute(statement).all()
    places = _read_places(connection, ((row.sku, row.location) for row in rows))
    for row in rows:
        draft = judge_reorder_point(
            places[row.sku, row.location],
            inventory_position=int(row.position),
            reorder_point=int(row.reorder_point),
        )
        if draft is not None:
            yield draft


def _find_overdue(connection: Connection, *, today: date) -> Iterable[AlertDraft]:
    rows = connection.execute(
        select(
            PurchaseOrderRow.purchase_order,
            PurchaseOrderRow.supplier,
            PurchaseOrderRow.location,
            PurchaseOrderRow.promised_on,
        ).where(PurchaseOrderRow.state.in_(_AWAITED), PurchaseOrderRow.promised_on < today)
    )
    for row in rows:
        draft = judge_promise(
            row.purchase_order,
            supplier=row.supplier,
            location=row.location,
            promised_on=row.promised_on,
            today=today,
        )
        if draft is not None:
            yield draft


def _read_places(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], StockPlace]:
    """Return products at locations with how their quantities are written."""
    keys = sorted(set(wanted))
    skus = sorted({sku for sku, _ in keys})
    statement = select(ProductRow.sku, ProductRow.quantity_decimals, ProductRow.base_unit)
    units = {
        row.sku: (row.quantity_decimals, row.base_unit)
        for start in range(0, len(skus), 500)
        for row in connection.execute(statement.where(ProductRow.sku.in_(skus[start : start + 500])))
    }
    return {
        (sku, location): StockPlace(
            sku=sku,
            location=location,
            quantity_decimals=units.get(sku, (0, "units"))[0],
            base_unit=units.get(sku, (0, "units"))[1],
        )
        for sku, location in keys
    }


def _read_time_zone(connection: Connection) -> str:
    found = connection.execute(select(CompanyRow.time_zone)).scalar_one_or_none()
    return "UTC" if found is None else str(found)
