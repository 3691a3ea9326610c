"""Out: what is new or was changed here is written to an ERP, once, and what comes back of it is no news."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, and_, exists, or_, select

from restock.adapters.database.catalogue_tables import ProductRow, SupplierRow
from restock.adapters.database.delivery_tables import ErpLinkRow
from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.erp_store import (
    Link,
    Rejection,
    clear_rejection,
    read_links,
    write_link,
    write_rejection,
)
from restock.adapters.database.journal import append_audit
from restock.adapters.database.order_tables import PurchaseOrderRow
from restock.adapters.database.product_facts import read_product_facts
from restock.adapters.erp.interface import (
    ErpFaultError,
    ErpKind,
    ErpOrderLine,
    ErpProduct,
    ErpPurchaseOrder,
    ErpRecord,
    ErpRefusedError,
    ErpSupplier,
    OrderState,
    Unreadable,
)
from restock.errors import DataError
from restock.operations.erp.contents import describe, digest
from restock.operations.erp.exchange import Direction, Exchange, Fate
from restock.operations.erp.masters import KEEPERS, read_product_content, read_supplier_content
from restock.operations.erp.reading import require_run, take
from restock.operations.erp.references import reference_of, require_theirs
from restock.operations.stock.company import read_company
from restock.operations.stock.order_lines import read_lines

# What goes out of a record that is there already; the rest is the ERP's own.
_SENT_FIELDS = ("name", "is_active")
_SENT_STATES = ("sent", "partly_received", "received")
# So many records in a row that the ERP breaks on are an outage, not bad records.
_MOST_FAULTS = 3
_UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A record of ours that is to be written.

    Attributes:
        ours: its key.
        link: what both last agreed on; None where it is not there yet.
        content: what goes out of it, by field.
    """

    ours: str
    link: Link | None
    content: Mapping[str, Any]


def push(engine: Engine, exchange: Exchange, kind: ErpKind) -> None:
    """Write what of a kind is new or was changed here; one that is refused is kept and does not stop the rest.

    Raises:
        ErpError: the ERP can't be reached, or breaks on one record after the other.
    """
    # A run that was cut off needs no cursor: what it has written is linked, and that is not due again.
    after, n_faults = "", 0
    while True:
        with read_transaction(engine) as connection:
            keys = _list_keys(connection, exchange, kind, after=after)
            outgoing = find_outgoing(connection, exchange, kind, keys)
        for each in outgoing:
            try:
                fate = _push_one(engine, exchange, kind, each)
                n_faults = 0
            except (ErpRefusedError, ErpFaultError, DataError) as error:
                n_faults = n_faults + 1 if isinstance(error, ErpFaultError) else 0
                if n_faults >= _MOST_FAULTS:
                    raise
                fate = Fate.REJECTED
                _reject(engine, exchange, kind, each.ours, reason=str(error))
            exchange.summary.tally(kind, Direction.OUT).count(fate)
        if len(keys) < exchange.page_size:
            return
        after = keys[-1]


def count_outgoing(connection: Connection, exchange: Exchange, kind: ErpKind) -> None:
    """Count what would be written, without writing it."""
    after = ""
    while True:
        keys = _list_keys(connection, exchange, kind, after=after)
        for each in find_outgoing(connection, exchange, kind, keys):
            fate = Fate.CREATED if each.link is None else Fate.CHANGED
            exchange.summary.tally(kind, Direction.OUT).count(fate)
        if len(keys) < exchange.page_size:
            return
        after = keys[-1]


def find_outgoing(connection: Connection, exchange: Exchange, kind: ErpKind, keys: Sequence[str]) -> list[Outgoing]:
    """Return which of these records differ from what both last agreed on, or are not there yet."""
    links = {link.ours: link for link in read_links(connection, exchange.system, kind, ours=keys)}
    found = []
    for key in keys:
        link, content = links.get(key), _SENDERS[kind].read(connection, key)
        if content is None:
            continue
        if link is None:
            is_due = content.get("is_active", True) and content.get("state") != "cancelled"
        else:
            is_due = any(
                name in link.our_content and link.our_content[name] != value for name, value in content.items()
            )
        if is_due:
            found.append(Outgoing(ours=key, link=link, content=content))
    return found


def _push_one(engine: Engine, exchange: Exchange, kind: ErpKind, outgoing: Outgoing) -> Fate:
    """Write a record and keep what both agree on then."""
    due = outgoing if outgoing.link is None else _meet(engine, exchange, kind, outgoing)
    if due is None:
        return Fate.UNCHANGED
    sender = _SENDERS[kind]
    with read_transaction(engine) as connection:
        record = sender.build(connection, exchange, due)
    written = sender.write(exchange, record, reference_of(kind, due.ours))
    if isinstance(written, Unreadable):
        raise ErpRefusedError(f"{kind} {due.ours!r} was written, but comes back unreadable: {written.reason}")
    with write_transaction(engine) as connection:
        require_run(connection, exchange)
        theirs = describe(written, currency_decimals=read_company(connection).currency_decimals).content
        # A new record goes out whole, one that is there only in part.
        agreed = due.link.our_content if due.link else _read_whole(connection, kind, due.ours)
        link = Link(
            theirs=written.theirs,
            ours=due.ours,
            digest=digest(theirs),
            their_content=theirs,
            our_content={**agreed, **due.content},
        )
        _require_unlinked(connection, exchange, kind, link)
        write_link(connection, exchange.system, kind, link, now=exchange.clock())
        clear_rejection(connection, exchange.system, kind, Direction.OUT, due.ours)
        append_audit(
            connection,
            actor=exchange.actor,
            action=f"send_{kind}_to_erp",
            subject=due.ours,
            now=exchange.clock(),
            details={"system": exchange.system, "theirs": written.theirs},
        )
    return Fate.CREATED if due.link is None else Fate.CHANGED


def _meet(engine: Engine, exchange: Exchange, kind: ErpKind, outgoing: Outgoing) -> Outgoing | None:
    """Take over what has changed there meanwhile, and return what is still to go out; None where nothing is.

    Raises:
        ErpRefusedError: the record is not there any more.
    """
    theirs = outgoing.link.theirs if outgoing.link else ""
    found = exchange.client.read_some(kind, [theirs])
    if not found:
        raise ErpRefusedError(f"{kind} {outgoing.ours!r} was {theirs!r} in {exchange.system}, which is gone there.")
    with write_transaction(engine) as connection:
        require_run(connection, exchange)
        take(connection, exchange, kind, found[0])
        left = find_outgoing(connection, exchange, kind, [outgoing.ours])
    return left[0] if left else None


def _read_whole(connection: Connection, kind: ErpKind, ours: str) -> Mapping[str, Any]:
    return (KEEPERS[kind].read(connection, ours) or {}) if kind in KEEPERS else {}


def _require_unlinked(connection: Connection, exchange: Exchange, kind: ErpKind, link: Link) -> None:
    """Refuse a record of theirs that is another one of ours."""
    for other in read_links(connection, exchange.system, kind, theirs=[link.theirs]):
        if other.ours != link.ours:
            raise DataError(f"{kind} {link.ours!r} would be {link.theirs!r} there, which is {other.ours!r} already.")


def _reject(engine: Engine, exchange: Exchange, kind: ErpKind, ours: str, *, reason: str) -> None:
    with write_transaction(engine) as connection:
        require_run(connection, exchange)
        rejection = Rejection(kind=kind, direction=Direction.OUT, record=ours, reason=reason)
        write_rejection(connection, exchange.system, rejection, now=exchange.clock())


def _list_keys(connection: Connection, exchange: Exchange, kind: ErpKind, *, after: str) -> list[str]:
    column = _SENDERS[kind].key
    statement = select(column).where(column > after)
    if kind is ErpKind.PURCHASE_ORDER:
        linked = exists().where(
            ErpLinkRow.system == exchange.system,
            ErpLinkRow.kind == kind.value,
            ErpLinkRow.ours == PurchaseOrderRow.purchase_order,
        )
        # Drafts are nobody's business yet, and what has ended here without being there never comes there.
        statement = statement.where(
            or_(
                PurchaseOrderRow.state == "cancelled",
                and_(PurchaseOrderRow.state.in_(_SENT_STATES), ~linked),
            )
        )
    return list(connection.execute(statement.order_by(column).limit(exchange.page_size)).scalars())


def _read_product(connection: Connection, sku: str) -> Mapping[str, Any] | None:
    content = read_product_content(connection, sku)
    return None if content is None else {name: content[name] for name in _SENT_FIELDS}


def _build_product(connection: Connection, exchange: Exchange, outgoing: Outgoing) -> ErpProduct:  # noqa: ARG001
    content = read_product_content(connection, outgoing.ours) or {}
    return ErpProduct(
        theirs=outgoing.link.theirs if outgoing.link else "",
        code=outgoing.ours,
        name=content["name"],
        category_path="/".join(content["category_path"].split(" > ")),
        base_unit=content["base_unit"],
        decimals=content["quantity_decimals"],
        units=tuple((unit, Decimal(factor)) for unit, factor in content["units"]),
        barcodes=tuple((gtin, unit or content["base_unit"]) for gtin, unit in content["barcodes"]),
        is_lot_tracked=content["is_lot_tracked"],
        shelf_life_days=content["shelf_life_days"],
        is_active=content["is_active"],
        changed_at=_UNKNOWN_TIME,
    )


def _build_supplier(connection: Connection, exchange: Exchange, outgoing: Outgoing) -> ErpSupplier:  # noqa: ARG001
    return ErpSupplier(
        theirs=outgoing.link.theirs if outgoing.link else "",
        code=outgoing.ours,
        name=outgoing.content["name"],
        is_active=outgoing.content["is_active"],
        changed_at=_UNKNOWN_TIME,
    )


def _read_order(connection: Connection, purchase_order: str) -> Mapping[str, Any] | None:
    state = connection.execute(
        select(PurchaseOrderRow.state).where(PurchaseOrderRow.purchase_order == purchase_order)
    ).scalar_one_or_none()
    return None if state is None else {"state": "cancelled" if state == "cancelled" else "sent"}


def _build_order(connection: Connection, exchange: Exchange, outgoing: Outgoing) -> ErpPurchaseOrder:
    row = (
        connection.execute(select(PurchaseOrderRow.__table__).where(PurchaseOrderRow.purchase_order == outgoing.ours))
        .mappings()
        .one()
    )
    lines = list(read_lines(connection, outgoing.ours).values())
    facts = read_product_facts(connection, [line["sku"] for line in lines])
    company, system = read_company(connection), exchange.system
    products = require_theirs(connection, system, ErpKind.PRODUCT, sorted(facts))
    is_cancelled = outgoing.content["state"] == "cancelled"
    return ErpPurchaseOrder(
        theirs=outgoing.link.theirs if outgoing.link else "",
        code=outgoing.ours,
        supplier=require_theirs(connection, system, ErpKind.SUPPLIER, [row["supplier"]])[row["supplier"]],
        location=require_theirs(connection, system, ErpKind.LOCATION, [row["location"]])[row["location"]],
        state=OrderState.CANCELLED if is_cancelled else OrderState.CONFIRMED,
        ordered_on=row["ordered_on"] or company.day_of(row["created_at_utc"]),
        promised_on=row["promised_on"],
        lines=tuple(
            ErpOrderLine(
                theirs="",
                product=products[line["sku"]],
                quantity=facts[line["sku"]].units.from_scaled(line["quantity_ordered"]),
                unit=facts[line["sku"]].units.base_unit,
                unit_amount=company.from_minor(line["unit_cost"]) or Decimal(0),
            )
            for line in lines
        ),
        changed_at=_UNKNOWN_TIME,
    )


@dataclass(frozen=True, kw_only=True)
class _Sender:
    """How a kind is read here and written there."""

    key: Any
    read: Callable[[Connection, str], Mapping[str, Any] | None]
    build: Callable[[Connection, Exchange, Outgoing], Any]
    write: Callable[[Exchange, Any, str], ErpRecord | Unreadable]


_SENDERS: Mapping[ErpKind, _Sender] = {
    ErpKind.SUPPLIER: _Sender(
        key=SupplierRow.supplier,
        read=read_supplier_content,
        build=_build_supplier,
        write=lambda exchange, record, reference: exchange.client.write_supplier(record, reference=reference),
    ),
    ErpKind.PRODUCT: _Sender(
        key=ProductRow.sku,
        read=_read_product,
        build=_build_product,
        write=lambda exchange, record, reference: exchange.client.write_product(record, reference=reference),
    ),
    ErpKind.PURCHASE_ORDER: _Sender(
        key=PurchaseOrderRow.purchase_order,
        read=_read_order,
        build=_build_order,
        write=lambda exchange, record, reference: exchange.client.write_purchase_order(record, reference=reference),
    ),
}
# Warehouses, customers and their orders are made in the ERP or CRM.
SENT_KINDS = tuple(_SENDERS)
